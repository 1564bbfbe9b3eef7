//! Connecting, waiting for that, and the end.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use mqtt_session::client::{BuildError, Client, Closed, ConnectError, build};
use mqtt_session::proto::{
    ConnAck, Disconnect, Packet, Properties, QoS, ReasonCode, TopicFilter, Version,
};
use mqtt_session::{
    Backoff, Config, ConfigBuilder, ConfigError, ConnectionError, DisconnectError, Durability,
    Endpoint, EndpointError, Instant, Outcome, Phase, Servers,
};

use crate::driver::Driver;
use crate::limits;
use crate::pair::config;
use crate::pair::hand::{Hand, poll, ready};
use crate::woken::Task;

fn answer() -> ConnAck {
    let properties = Properties::builder()
        .assigned_client_identifier("you")
        .response_information("answers/");
    ConnAck {
        properties: properties.build().unwrap(),
        ..ConnAck::default()
    }
}

/// Asks for all that [`answer`] gives.
fn asking() -> ConfigBuilder {
    let properties = Properties::builder().request_response_information(true);
    Config::builder("").connect_properties(properties.build().unwrap())
}

#[test]
fn connect_resolves_with_what_the_server_says_of_itself() {
    let mut hand = Hand::new(asking());
    let (client, tasks) = (hand.client.clone(), [Task::new(), Task::new(), Task::new()]);
    assert_eq!(
        (client.phase(), client.version()),
        (Phase::Idle, Version::V5)
    );
    let mut connect = pin!(client.connect());
    let mut connected = pin!(client.connected());
    {
        let mut dropped = pin!(client.connected());
        assert!(tasks[2].poll(dropped.as_mut()).is_pending());
    }
    assert!(!tasks[2].is_awaited());
    assert!(tasks[0].poll(connect.as_mut()).is_pending());
    assert!(tasks[1].poll(connected.as_mut()).is_pending());
    assert_eq!(client.phase(), Phase::Connecting);
    hand.open();
    assert_eq!(client.phase(), Phase::Handshaking);
    assert_eq!(tasks.each_ref().map(Task::woken), [0; 3]);
    let connack = answer();
    hand.feed(&Packet::ConnAck(connack.clone()));
    assert_eq!(tasks.each_ref().map(Task::woken), [1, 1, 0]);
    assert_eq!(ready(connect), Ok(connack.clone()));
    assert_eq!(ready(connected), Ok(connack.clone()));
    // And at once to who asks when it is connected.
    assert_eq!(ready(client.connected()), Ok(connack));
    assert_eq!(client.server(), Endpoint::new("192.0.2.1", 1883));
    assert_eq!(format!("{client:?}"), "Client { phase: Connected, .. }");
}

#[test]
fn a_client_tells_what_the_server_has_assigned() {
    let mut hand = Hand::new(asking());
    let client = hand.client.clone();
    assert_eq!(client.client_identifier(), "");
    assert_eq!(client.response_information(), None);
    client.start();
    hand.open();
    hand.feed(&Packet::ConnAck(answer()));
    assert_eq!(client.client_identifier(), "you");
    assert_eq!(client.response_information().as_deref(), Some("answers/"));
}

/// Each connection counts for who waited before it, though it was lost before they looked.
#[test]
fn who_waits_for_a_connection_has_had_one_though_it_is_lost_already() {
    let mut hand = Hand::new(config(Version::V5));
    let (client, task) = (hand.client.clone(), Task::new());
    client.start();
    for n in 0..3 {
        let mut connected = pin!(client.connected());
        assert!(task.poll(connected.as_mut()).is_pending(), "{n}");
        // Still waiting, whatever else it is polled for.
        assert!(task.poll(connected.as_mut()).is_pending(), "{n}");
        hand.accept();
        hand.lose();
        assert_eq!(task.woken(), 1);
        assert_eq!(client.phase(), Phase::Waiting);
        assert_eq!(ready(connected), Ok(ConnAck::default()));
        hand.advance(Duration::from_secs(3600));
    }
}

fn refused(client: &Client, hand: &mut Hand) -> Closed {
    let task = Task::new();
    let mut connect = pin!(client.connect());
    let mut closed = pin!(client.closed());
    assert!(task.poll(connect.as_mut()).is_pending());
    assert!(poll(closed.as_mut()).is_pending());
    hand.open();
    hand.feed(&Packet::ConnAck(ConnAck {
        reason: ReasonCode::NOT_AUTHORIZED,
        ..ConnAck::default()
    }));
    hand.turn();
    assert!(task.woken() > 0);
    let Poll::Ready(Err(error)) = task.poll(connect.as_mut()) else {
        panic!("it is refused")
    };
    assert_eq!(ready(closed), error);
    assert!(!task.is_awaited());
    error
}

#[test]
fn connect_tries_the_servers_once_and_tells_why_none_accepted() {
    let mut hand = Hand::new(config(Version::V5));
    let client = hand.client.clone();
    let closed = refused(&client, &mut hand);
    let Closed { error, before, .. } = &closed;
    assert_eq!(before, &[]);
    assert!(matches!(
        error.as_deref(),
        Some(ConnectionError::Refused {
            reason: ReasonCode::NOT_AUTHORIZED,
            ..
        })
    ));
    let words = error.as_ref().unwrap().to_string();
    assert_eq!(closed.to_string(), words);
    let source = std::error::Error::source(&closed).unwrap();
    assert_eq!(source.to_string(), words);
    assert_eq!(ready(client.connected()), Err(closed.clone()));
    assert_eq!(client.phase(), Phase::Closed);
    let error = ConnectError::from(closed.clone());
    assert_eq!(error.attempts(), [*closed.error.unwrap()]);
    assert_eq!(error.to_string(), words);
}

/// Servers of which none is there: each is tried, and each says why not.
#[test]
fn connect_tells_of_each_server_that_was_tried() {
    let names = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    let [first, second, third] = names.map(|host| Endpoint::new(host, 1883));
    let servers = Servers::new(first).or(second).or_sharing(third);
    let mut hand = Hand::with(config(Version::V5), |config, _, seed, clock| {
        build(config, servers, seed, clock).unwrap()
    });
    let client = hand.client.clone();
    let mut connect = pin!(client.connect());
    assert!(poll(connect.as_mut()).is_pending());
    for _ in names {
        hand.turn();
        hand.lose();
        hand.advance(Duration::from_secs(3600));
    }
    let closed = ready(connect).unwrap_err();
    let error = ConnectError::from(closed.clone());
    assert_eq!(closed.before.len(), 2);
    let all: Vec<_> = closed
        .before
        .iter()
        .chain(closed.error.as_deref())
        .cloned()
        .collect();
    assert_eq!(error.attempts(), all);
    for (attempt, name) in all.iter().zip(names) {
        let ConnectionError::Dial { addr, .. } = attempt else {
            panic!("{attempt:?}")
        };
        assert!(addr.to_string().starts_with(name), "{addr}");
    }
    let words: Vec<_> = all.iter().map(ToString::to_string).collect();
    let words = format!("no server accepted: {}", words.join("; "));
    assert_eq!(error.to_string(), words);
    assert_eq!(format!("{error:?}"), words);
    assert!(format!("{error:#?}").starts_with("Attempts(\n"));
}

/// What is remembered of attempts is bounded, and begins anew where a server accepts.
#[test]
fn the_latest_attempts_before_the_end_are_told() {
    for accepted in [false, true] {
        let config = config(Version::V5).backoff(Backoff {
            jitter_percent: 0,
            ..Backoff::default()
        });
        let mut hand = Hand::new(config);
        let client = hand.client.clone();
        client.start();
        for _ in 0..20 {
            hand.turn();
            hand.lose();
            hand.advance(Duration::from_secs(3600));
        }
        if accepted {
            hand.accept();
            hand.lose();
            hand.advance(Duration::from_secs(3600));
        }
        hand.open();
        hand.feed(&Packet::ConnAck(ConnAck {
            reason: ReasonCode::BANNED,
            ..ConnAck::default()
        }));
        hand.turn();
        let closed = ready(client.closed());
        assert!(matches!(
            closed.error.as_deref(),
            Some(ConnectionError::Refused {
                reason: ReasonCode::BANNED,
                ..
            })
        ));
        let expected = if accepted { 1 } else { 16 };
        assert_eq!(closed.before.len(), expected);
    }
    // None of them ended a session that the application has left.
    let mut hand = Hand::new(config(Version::V5));
    hand.client.start();
    hand.turn();
    hand.lose();
    let client = hand.client.clone();
    let mut leaving = pin!(client.disconnect(Duration::ZERO));
    let _ = poll(leaving.as_mut());
    hand.turn();
    let closed = ready(client.closed());
    assert_eq!((closed.error, closed.before), (None, Vec::new()));
}

#[test]
fn disconnect_sends_what_was_accepted_and_resolves_when_the_connection_is_closed() {
    let mut driver = Driver::connected(config(Version::V5));
    let (client, task) = (driver.client.clone(), Task::new());
    let mut delivery = ready(client.publish("a", QoS::AtLeastOnce, "x")).unwrap();
    let with_will = Disconnect::new(ReasonCode::DISCONNECT_WITH_WILL);
    let mut leaving = pin!(client.disconnect_with(with_will.clone(), Duration::from_secs(5)));
    assert!(task.poll(leaving.as_mut()).is_pending());
    let packets = driver.packets();
    assert!(
        matches!(packets.as_slice(), [Packet::Publish(_)]),
        "{packets:?}"
    );
    driver.advance(Duration::from_secs(4));
    assert!(driver.packets().is_empty());
    assert_eq!((task.woken(), delivery.outcome()), (0, None));
    driver.advance(Duration::from_secs(1));
    assert_eq!(driver.packets(), [Packet::Disconnect(with_will)]);
    assert!(
        task.poll(leaving.as_mut()).is_pending(),
        "the stream is open"
    );
    driver.lose();
    assert_eq!(task.woken(), 1);
    assert_eq!(task.poll(leaving.as_mut()), Poll::Ready(Ok(())));
    assert_eq!(delivery.outcome(), Some(Outcome::Closed));
    // Once more is no error, and changes nothing.
    assert_eq!(
        ready(client.disconnect_with(Disconnect::default(), Duration::ZERO)),
        Ok(())
    );
    assert!(driver.turn(None).closed);
}

#[test]
fn a_disconnect_that_can_not_be_sent_leaves_the_session_as_it_is() {
    let mut hand = Hand::connected(config(Version::V3_1_1));
    let client = hand.client.clone();
    let properties = Properties::builder().reason_string("enough");
    let disconnect = Disconnect {
        properties: properties.build().unwrap(),
        ..Disconnect::default()
    };
    let error = ready(client.disconnect_with(disconnect, Duration::ZERO)).unwrap_err();
    assert!(matches!(error, DisconnectError::Encode(_)), "{error:?}");
    hand.turn();
    assert_eq!(client.phase(), Phase::Connected);
    assert!(ready(client.publish("a", QoS::AtMostOnce, "x")).is_ok());
    assert!(poll(pin!(client.closed())).is_pending());
}

#[test]
fn the_last_client_leaves_in_order_and_takes_a_second_for_what_was_accepted() {
    let Driver { client, .. } = Driver::connected(config(Version::V5));
    drop(client);
    let mut driver = Driver::connected(config(Version::V5));
    let elsewhere = Driver::new(config(Version::V5)).client;
    let client = std::mem::replace(&mut driver.client, elsewhere);
    let (clone, mut messages) = (client.clone(), client.messages());
    let mut delivery = ready(client.publish("a", QoS::AtLeastOnce, "x")).unwrap();
    driver.packets();
    let (mut events, task) = (client.events(), Task::new());
    drop(client);
    driver.advance(Duration::from_secs(10));
    driver.settle();
    assert_eq!(clone.phase(), Phase::Connected);
    assert!(driver.turn(Some(&task.waker)).sleep);
    drop(clone);
    assert_eq!(task.woken(), 1);
    driver.advance(Duration::from_millis(999));
    assert!(driver.packets().is_empty());
    driver.advance(Duration::from_millis(1));
    let packets = driver.packets();
    assert_eq!(packets, [Packet::Disconnect(Disconnect::default())]);
    driver.lose();
    assert_eq!(delivery.outcome(), Some(Outcome::Closed));
    assert!(ready(messages.next()).is_none());
    while ready(events.next()).is_some() {}
}

#[test]
fn everything_ends_when_the_client_does_with_the_reason_that_there_is() {
    let mut hand = Hand::connected(config(Version::V5));
    let client = hand.client.clone();
    hand.turn();
    let mut subscribing = pin!(client.subscribe("a", QoS::AtMostOnce));
    let filter = TopicFilter::try_from("a").unwrap();
    let mut unsubscribing = pin!(client.unsubscribe(vec![filter]));
    assert!(poll(subscribing.as_mut()).is_pending());
    assert!(poll(unsubscribing.as_mut()).is_pending());
    hand.feed(&Packet::Disconnect(Disconnect::new(
        ReasonCode::SESSION_TAKEN_OVER,
    )));
    hand.turn();
    let why = ready(client.closed());
    assert!(why.error.is_some());
    let words = format!("the session is closed: {why}");
    let errors = [
        ready(subscribing).map(drop).unwrap_err(),
        ready(unsubscribing).unwrap_err(),
        ready(client.subscribe("b", QoS::AtMostOnce))
            .map(drop)
            .unwrap_err(),
        client.declare("b", QoS::AtMostOnce).map(drop).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.to_string(), words);
        assert_eq!(format!("{error:?}"), words);
        assert!(format!("{error:#?}").starts_with("Closed(\n"), "{error:#?}");
    }
}

#[test]
fn a_client_that_is_to_record_is_not_built_without_a_store() {
    let config = Config::builder("c")
        .durability(Durability::Behind)
        .build()
        .unwrap();
    let server = Endpoint::new("192.0.2.1", 1883);
    let built = build(config, server, 7, || Instant::ZERO);
    assert_eq!(built.map(drop).unwrap_err(), ConfigError::NoStore);
}

#[test]
fn errors_before_anything_is_opened_say_what_is_wrong() {
    let endpoint: EndpointError = Endpoint::parse("mqtt://").unwrap_err();
    let errors = [
        (
            BuildError::from(endpoint.clone()),
            endpoint.to_string(),
            "Endpoint(\n",
        ),
        (
            BuildError::from(ConfigError::NoStore),
            ConfigError::NoStore.to_string(),
            "Config(\n",
        ),
    ];
    for (error, words, structure) in errors {
        assert_eq!(error.to_string(), words);
        assert_eq!(format!("{error:?}"), words);
        assert!(format!("{error:#?}").starts_with(structure), "{error:#?}");
        let error = ConnectError::from(error);
        assert_eq!(error.to_string(), words);
        assert_eq!(format!("{error:?}"), words);
        assert!(format!("{error:#?}").starts_with(structure), "{error:#?}");
        assert_eq!(error.attempts(), []);
    }
}

#[test]
fn a_client_tells_how_much_room_there_is() {
    let limits = limits(|limits| (limits.max_queued, limits.outgoing_bytes) = (3, 1000));
    let hand = Hand::new(config(Version::V5).limits(limits));
    let client = &hand.client;
    assert_eq!(client.publish_capacity().messages, 3);
    let before = client.publish_capacity().bytes;
    drop(ready(client.publish("a", QoS::AtLeastOnce, vec![0; 100])));
    let after = client.publish_capacity();
    assert_eq!(after.messages, 2);
    assert!(before - after.bytes >= 100, "{after:?}");
}
