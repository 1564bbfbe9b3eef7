//! Events, hooks, and what handles show of themselves.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use mqtt_session::auth::{AuthAnswer, AuthError};
use mqtt_session::client::{Answers, ClientEvent, Events, Hooks, Interceptor, Observer};
use mqtt_session::proto::{
    ConnAck, Disconnect, Packet, Properties, PropertiesBuilder, QoS, ReasonCode, Version,
};
use mqtt_session::{ConfigBuilder, Instant, Observation};

use crate::driver::Driver;
use crate::pair::config;
use crate::pair::exchange::authenticating;
use crate::pair::hand::{Hand, poll, ready};
use crate::pair::raw::at_least_once;
use crate::woken::Task;

fn next(events: &mut Events) -> Option<ClientEvent> {
    match poll(pin!(events.next())) {
        Poll::Ready(event) => event,
        Poll::Pending => None,
    }
}

fn all(events: &mut Events) -> Vec<ClientEvent> {
    std::iter::from_fn(|| next(events)).collect()
}

/// How many were missed, and how many there are.
fn missed(events: &mut Events) -> (u64, usize) {
    let all = all(events);
    match all.first() {
        Some(ClientEvent::Missed { count }) => (*count, all.len() - 1),
        _ => (0, all.len()),
    }
}

/// A session that ends with its connection, so that its loss is no event.
fn passing() -> ConfigBuilder {
    config(Version::V5).session_expiry(Duration::ZERO)
}

/// Connected, and lost.
fn come_and_go(hand: &mut Hand) {
    hand.accept();
    hand.lose();
    hand.advance(Duration::from_secs(3600));
}

#[test]
fn a_stream_of_events_is_woken_for_each_and_takes_nothing_from_others() {
    let mut hand = Hand::new(config(Version::V5));
    let client = hand.client.clone();
    let (mut first, mut second, tasks) =
        (client.events(), client.events(), [Task::new(), Task::new()]);
    {
        let mut third = client.events();
        let task = Task::new();
        assert!(task.poll(pin!(third.next())).is_pending());
        drop(third);
        assert!(!task.is_awaited());
    }
    assert!(tasks[0].poll(pin!(first.next())).is_pending());
    client.start();
    hand.accept();
    assert_eq!(tasks.each_ref().map(Task::woken), [1, 0]);
    assert!(matches!(
        next(&mut first),
        Some(ClientEvent::Connected { .. })
    ));
    // One that is dropped takes nothing with it.
    drop(first);
    assert!(matches!(
        next(&mut second),
        Some(ClientEvent::Connected { .. })
    ));
    assert!(tasks[1].poll(pin!(second.next())).is_pending());
    hand.lose();
    assert_eq!(tasks[1].woken(), 1);
    // What happened before is not told to who comes now.
    let mut late = client.events();
    assert!(next(&mut late).is_none());
    drop((second, late));
    hand.advance(Duration::from_secs(3600));
    come_and_go(&mut hand);
    assert!(next(&mut client.events()).is_none());
}

#[test]
fn sixty_four_events_are_kept_for_who_lags() {
    let mut hand = Hand::new(passing());
    let client = hand.client.clone();
    client.start();
    let (mut kept, mut lagging, mut far) = (client.events(), client.events(), client.events());
    for _ in 0..32 {
        come_and_go(&mut hand);
    }
    assert_eq!(missed(&mut kept), (0, 64));
    hand.accept();
    assert_eq!(missed(&mut lagging), (1, 64));
    assert_eq!(missed(&mut kept), (0, 1));
    hand.lose();
    assert_eq!(missed(&mut lagging), (0, 1));
    assert_eq!(missed(&mut far), (2, 64));
}

fn unclaimed(hand: &mut Hand, number: u16, topic_len: usize) {
    let topic = "x".repeat(topic_len);
    hand.feed_publish(&topic, at_least_once(number), b"");
    hand.turn();
    assert_eq!(hand.client.discard_unclaimed(), 1);
}

/// 64 KiB of it, and the latest event in any case.
#[test]
fn what_servers_say_in_events_is_kept_up_to_a_bound() {
    let mut hand = Hand::connected(passing());
    hand.turn();
    let client = hand.client.clone();
    let (mut exact, mut above) = (client.events(), client.events());
    unclaimed(&mut hand, 1, 32 * 1024);
    unclaimed(&mut hand, 2, 32 * 1024);
    assert_eq!(missed(&mut exact), (0, 2));
    unclaimed(&mut hand, 3, 1);
    assert_eq!(missed(&mut above), (1, 2));

    // One alone may be larger.
    let said = "x".repeat(40_000);
    let connack = |properties: PropertiesBuilder| {
        Packet::ConnAck(ConnAck {
            properties: properties.build().unwrap(),
            ..ConnAck::default()
        })
    };
    let mut events = client.events();
    hand.lose();
    hand.advance(Duration::from_secs(3600));
    hand.open();
    let large = Properties::builder()
        .user_property("a", &said)
        .user_property("b", &said);
    hand.feed(&connack(large));
    let all = all(&mut events);
    assert!(
        matches!(
            all[..],
            [
                ClientEvent::Missed { count: 1 },
                ClientEvent::Connected { .. }
            ]
        ),
        "{:?}",
        all.first()
    );
}

fn redirect(hand: &mut Hand, reference: &str) {
    let properties = Properties::builder().server_reference(reference);
    hand.feed(&Packet::Disconnect(Disconnect {
        reason: ReasonCode::USE_ANOTHER_SERVER,
        properties: properties.build().unwrap(),
    }));
}

#[test]
fn where_servers_send_us_counts_as_what_they_say() {
    let redirected = |long: &str, times: usize| {
        let mut hand = Hand::new(config(Version::V5));
        hand.client.start();
        let mut events = hand.client.events();
        for _ in 0..times {
            hand.accept();
            redirect(&mut hand, long);
            hand.turn();
            if hand.attempt.is_some() {
                hand.lose();
            }
            hand.advance(Duration::from_secs(3600));
        }
        let all = all(&mut events);
        let told = all
            .iter()
            .filter(|event| matches!(event, ClientEvent::Redirected { .. }));
        (matches!(all[0], ClientEvent::Missed { .. }), told.count())
    };
    assert_eq!(redirected("192.0.2.9", 10), (false, 10));
    let host = format!("{}.example", "x".repeat(200));
    assert_eq!(redirected(&host, 5), (false, 5));
    let long = "x".repeat(30_000);
    let (missed, told) = redirected(&long, 5);
    assert!(missed && told < 3, "{told}");
}

#[test]
fn what_servers_say_in_an_authentication_counts_too() {
    let mut steps = 0;
    let answers = Answers::new().authentication(move |_| {
        steps += 1;
        std::future::ready(match steps {
            // CONNECT and CONNACK of the first connection.
            1 | 2 => Ok(AuthAnswer::new("me")),
            _ => Err(AuthError::Refused("x".repeat(70_000))),
        })
    });
    let mut driver = Driver::answering(authenticating(), answers);
    let mut events = driver.client.events();
    crate::answering::connect(&mut driver);
    driver.lose();
    driver.actions.clear();
    driver.advance(Duration::from_secs(3600));
    driver.open();
    // Connected, and lost.
    assert_eq!(missed(&mut events).0, 2);
}

struct Nothing;

impl Interceptor for Nothing {}

impl Observer for Nothing {
    fn observe(&mut self, _: Instant, _: Observation) {}
}

#[test]
fn hooks_are_set_once_and_come_back_where_there_are_some() {
    let hand = Hand::new(config(Version::V5));
    let none = "Hooks { interceptors: 0, observer: false }";
    assert_eq!(format!("{:?}", Hooks::new()), none);
    let hooks = Hooks::new()
        .interceptor(Nothing)
        .interceptor(Nothing)
        .observer(Nothing);
    let all = "Hooks { interceptors: 2, observer: true }";
    assert_eq!(format!("{hooks:?}"), all);
    hand.client.set_hooks(Hooks::new()).unwrap();
    let back = hand.client.set_hooks(hooks).unwrap_err();
    assert_eq!(format!("{back:?}"), all);
}

/// An interceptor that does nothing changes nothing.
#[test]
fn hooks_that_do_nothing_change_nothing() {
    let mut hand = Hand::new(config(Version::V5));
    let hooks = Hooks::new().interceptor(Nothing).observer(Nothing);
    hand.client.set_hooks(hooks).unwrap();
    hand.connect();
    let mut stream = hand.subscribe("a", QoS::AtLeastOnce);
    hand.feed_publish("a", at_least_once(1), b"in");
    assert_eq!(ready(stream.next()).unwrap().payload(), b"in");
    drop(ready(hand.client.publish("a", QoS::AtMostOnce, "out")));
    assert_eq!(crate::published(&mut hand), ["out"]);
    let stats = hand.client.stats();
    assert_eq!((stats.refused_in, stats.refused_out), (0, 0));
}

/// They may be locked, so they show nothing of what is behind the lock.
#[test]
fn handles_show_themselves_whatever_else_goes_on() {
    let mut hand = Hand::connected(config(Version::V5));
    let client = hand.client.clone();
    let delivery = ready(client.publish("a", QoS::AtLeastOnce, "secret")).unwrap();
    let stream = hand.subscribe("a", QoS::AtLeastOnce);
    let shown = [
        format!("{delivery:?}"),
        format!("{stream:?}"),
        format!("{:?}", client.events()),
        format!("{:?}", client.publish("a", QoS::AtMostOnce, "x")),
        format!("{:?}", hand.port),
    ];
    for shown in shown {
        assert!(shown.contains("Shared { .. }"), "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}
