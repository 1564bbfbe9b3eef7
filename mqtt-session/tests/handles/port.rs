//! What a driver brings to its port and takes from there, and when it is woken.

use std::pin::pin;
use std::time::Duration;

use mqtt_session::client::{Report, Turn};
use mqtt_session::proto::{Ack, Flow, Outbox, Packet, Properties, QoS, Version};
use mqtt_session::{Action, Cause, Durability, Instant, Outcome, Phase, PublishOptions};

use crate::driver::Driver;
use crate::limits;
use crate::pair::exchange::authenticating;
use crate::pair::hand::{Hand, poll, ready};
use crate::pair::{config, message};
use crate::woken::Task;

fn connected() -> Driver {
    Driver::connected(config(Version::V5))
}

/// Its waker is kept, and it has not been woken.
fn sleeps(driver: &mut Driver, task: &Task) -> bool {
    let next = driver.turn(Some(&task.waker));
    assert_eq!(task.woken(), 0);
    assert!(!next.sleep || task.is_awaited());
    next.sleep
}

#[test]
fn a_driver_sleeps_when_it_would_and_there_is_nothing_to_do() {
    let mut driver = Driver::new(config(Version::V5));
    let task = Task::new();
    assert!(!driver.turn(None).sleep, "it would not");
    assert!(sleeps(&mut driver, &task));
    driver.client.start();
    assert_eq!(task.woken(), 1);
    assert!(!sleeps(&mut driver, &task), "there is a dial to do");
    let Some(Action::Dial { attempt, .. }) = driver.actions.pop() else {
        panic!("a dial")
    };
    assert!(sleeps(&mut driver, &task));
    driver.reports.push(Report::Opened(attempt));
    assert!(!sleeps(&mut driver, &task), "there is CONNECT to write");
    assert!(driver.reports.is_empty());
    let len = driver.output.len();
    assert!(sleeps(&mut driver, &task), "the socket takes nothing");
    assert_eq!(driver.output.len(), len);
    driver.write();
    assert!(sleeps(&mut driver, &task));
}

#[test]
fn actions_are_added_to_those_that_are_there_and_reports_are_taken() {
    let mut driver = Driver::new(config(Version::V5));
    driver.client.start();
    driver.turn(None);
    let [Action::Dial { attempt, .. }] = driver.actions[..] else {
        panic!("{:?}", driver.actions)
    };
    driver
        .reports
        .push(Report::Closed(attempt, Cause::ConnectionRefused));
    driver.turn(None);
    assert!(driver.reports.is_empty());
    driver.advance(Duration::from_secs(3600));
    driver.turn(None);
    assert_eq!(driver.actions.len(), 2, "{:?}", driver.actions);
    assert_eq!(driver.client.stats().attempts, 2);
}

#[test]
fn a_sleeping_driver_is_woken_for_the_first_output_alone() {
    let (mut driver, task) = (connected(), Task::new());
    let client = driver.client.clone();
    assert!(sleeps(&mut driver, &task));
    ready(client.publish("a", QoS::AtMostOnce, "1")).unwrap();
    assert_eq!(task.woken(), 1);
    assert!(!task.is_awaited(), "it is awake, and its waker is its own");
    ready(client.publish("a", QoS::AtMostOnce, "2")).unwrap();
    assert_eq!(task.woken(), 0);
    assert!(!sleeps(&mut driver, &task));
    // It is at work.
    ready(client.publish("a", QoS::AtMostOnce, "3")).unwrap();
    assert_eq!(task.woken(), 0);
    // What waits for the socket has room for more when it is gone.
    assert!(sleeps(&mut driver, &task));
    ready(client.publish("a", QoS::AtMostOnce, "4")).unwrap();
    assert_eq!(task.woken(), 0);
    driver.write();
    assert!(!sleeps(&mut driver, &task));
    assert_eq!(driver.write(), 14, "3 and 4");
    assert!(sleeps(&mut driver, &task));
}

#[test]
fn looking_does_not_wake_a_driver() {
    let (mut driver, task) = (connected(), Task::new());
    let client = driver.client.clone();
    let mut delivery = ready(client.publish("a", QoS::AtLeastOnce, "1")).unwrap();
    driver.settle();
    assert!(sleeps(&mut driver, &task));
    assert_eq!(delivery.outcome(), None);
    assert!(poll(pin!(&mut delivery)).is_pending());
    let mut messages = client.messages();
    assert!(messages.try_next().is_none());
    assert!(poll(pin!(messages.next())).is_pending());
    assert!(poll(pin!(client.closed())).is_pending());
    drop((client.events(), client.watch(), messages, delivery));
    assert_eq!(client.discard_unclaimed(), 0);
    assert!(client.publish_capacity().messages > 0);
    assert_eq!(task.woken(), 0);
}

#[test]
fn a_sleeping_driver_is_woken_for_a_first_deadline() {
    let mut driver = Driver::new(config(Version::V5));
    let (client, task) = (driver.client.clone(), Task::new());
    let next = driver.turn(Some(&task.waker));
    assert_eq!((next.sleep, next.deadline), (true, None));
    let options = PublishOptions::new().with_time_to_live(Duration::from_secs(3));
    let publish = client.publish_with(QoS::AtLeastOnce, message("a", b"x"), options);
    ready(publish).unwrap();
    assert_eq!(task.woken(), 1);
    let next = driver.turn(Some(&task.waker));
    assert!(next.sleep, "there is no connection");
    assert_eq!(next.deadline, Some(Instant::from_nanos(3_000_000_000)));
}

#[test]
fn a_sleeping_driver_is_woken_for_an_earlier_deadline_and_for_no_other() {
    let mut driver = connected();
    let (client, task) = (driver.client.clone(), Task::new());
    ready(client.publish("a", QoS::AtMostOnce, "1")).unwrap();
    driver.turn(None);
    // The socket takes nothing, so more output is no reason.
    let next = driver.turn(Some(&task.waker));
    assert!(next.sleep && next.deadline.is_some());
    ready(client.publish("a", QoS::AtMostOnce, "2")).unwrap();
    let options = PublishOptions::new().with_time_to_live(Duration::from_secs(3600));
    let publish = client.publish_with(QoS::AtLeastOnce, message("a", b"3"), options);
    ready(publish).unwrap();
    assert_eq!(task.woken(), 0);
    assert!(poll(pin!(client.disconnect(Duration::from_secs(5)))).is_pending());
    assert_eq!(task.woken(), 1);
    let next = driver.turn(Some(&task.waker));
    assert_eq!(next.deadline, Some(Instant::from_nanos(5_000_000_000)));
}

/// The step of an authentication, which has more time than the next ping.
#[test]
fn a_sleeping_driver_is_woken_for_an_action() {
    let config = authenticating().keep_alive(Duration::from_secs(1));
    let mut driver = Driver::answering(
        config,
        mqtt_session::client::Answers::new().authentication(|_| std::future::ready(Ok("".into()))),
    );
    crate::answering::connect(&mut driver);
    let (client, task) = (driver.client.clone(), Task::new());
    assert!(sleeps(&mut driver, &task));
    assert!(poll(pin!(client.reauthenticate())).is_pending());
    assert_eq!(task.woken(), 1);
}

#[test]
fn a_sleeping_driver_is_woken_when_there_is_room_for_what_it_did_not_read() {
    let limits = limits(|limits| limits.inbox_bytes = 20_000);
    let mut hand = Hand::connected(config(Version::V5).limits(limits));
    let (mut messages, task) = (hand.client.messages(), Task::new());
    while hand.turn() {
        hand.feed_publish("a", Flow::AtMostOnce, &[7; 1000]);
    }
    let next = hand.sleep(&task.waker);
    assert!(next.sleep && !next.wants_read);
    // It takes several at once, and they have their room until it comes back.
    while task.woken() == 0 {
        assert!(
            messages.try_next().is_some(),
            "there is room before the end"
        );
    }
    let next = hand.sleep(&task.waker);
    assert!(next.sleep && next.wants_read);
    while messages.try_next().is_some() {}
    assert_eq!(task.woken(), 0, "it reads");
}

#[test]
fn a_sleeping_driver_is_woken_for_records_and_gives_them_once() {
    let mut driver = Driver::recording(config(Version::V5).durability(Durability::Behind));
    let (client, task) = (driver.client.clone(), Task::new());
    let mut records = Vec::new();
    driver.turn(None);
    driver.port.poll_records(&mut records);
    assert!(!driver.port.poll_records(&mut records));
    let before = records.len();
    assert!(sleeps(&mut driver, &task));
    ready(client.publish("a", QoS::AtLeastOnce, "1")).unwrap();
    assert_eq!(task.woken(), 1);
    assert!(driver.port.poll_records(&mut records));
    assert_eq!(records.len(), before + 1, "behind those that are there");
    assert!(!driver.port.poll_records(&mut records));
    assert_eq!(records.len(), before + 1);
}

#[test]
fn a_sleeping_driver_is_woken_when_the_client_is_closed_without_it() {
    let mut driver = Driver::new(config(Version::V5));
    let task = Task::new();
    assert!(sleeps(&mut driver, &task));
    ready(driver.client.disconnect(Duration::ZERO));
    assert_eq!(task.woken(), 1);
    let next = driver.turn(Some(&task.waker));
    assert!(next.closed);
    assert!(driver.actions.is_empty());
}

#[test]
fn the_waker_of_the_last_turn_is_the_one_that_is_woken() {
    let mut driver = connected();
    let tasks = [Task::new(), Task::new()];
    for at in [0, 1, 1, 0, 0] {
        assert!(driver.turn(Some(&tasks[at].waker)).sleep);
    }
    ready(driver.client.publish("a", QoS::AtMostOnce, "1")).unwrap();
    assert_eq!(tasks.each_ref().map(Task::woken), [1, 0]);
    driver.settle();
    assert!(driver.turn(Some(&tasks[1].waker)).sleep);
    ready(driver.client.publish("a", QoS::AtMostOnce, "1")).unwrap();
    assert_eq!(tasks.each_ref().map(Task::woken), [0, 1]);
    // One that takes a turn without sleeping needs no wake.
    driver.settle();
    assert!(driver.turn(Some(&tasks[0].waker)).sleep);
    driver.turn(None);
    ready(driver.client.publish("a", QoS::AtMostOnce, "1")).unwrap();
    assert_eq!(tasks.each_ref().map(Task::woken), [0, 0]);
}

#[test]
fn a_driver_that_is_gone_leaves_nobody_waiting_and_no_waker_behind() {
    let mut driver = Driver::connected(config(Version::V5));
    let Driver { client, port, .. } = {
        let task = Task::new();
        assert!(driver.turn(Some(&task.waker)).sleep);
        driver
    };
    let tasks: [_; 7] = std::array::from_fn(|_| Task::new());
    let sleeper = Task::new();
    let mut port = port;
    let mut parts = (
        Outbox::new(),
        Vec::new(),
        Vec::new(),
        bytes::BytesMut::new(),
    );
    port.turn(Turn {
        now: port.now(),
        input: &mut parts.3,
        written: 0,
        reports: &mut parts.1,
        output: &mut parts.0,
        actions: &mut parts.2,
        idle: Some(&sleeper.waker),
    });
    let mut messages = client.messages();
    let mut events = client.events();
    let mut closed = pin!(client.closed());
    let mut subscribing = pin!(client.subscribe("a", QoS::AtMostOnce));
    let mut unsubscribing = pin!(client.unsubscribe(vec!["a".try_into().unwrap()]));
    let mut delivery = ready(client.publish("a", QoS::AtLeastOnce, "1")).unwrap();
    let mut next = Box::pin(messages.next());
    let mut event = Box::pin(events.next());
    assert!(tasks[0].poll(closed.as_mut()).is_pending());
    assert!(tasks[1].poll(subscribing.as_mut()).is_pending());
    assert!(tasks[2].poll(unsubscribing.as_mut()).is_pending());
    assert!(tasks[3].poll(pin!(&mut delivery)).is_pending());
    assert!(tasks[4].poll(next.as_mut()).is_pending());
    assert!(tasks[5].poll(event.as_mut()).is_pending());
    let mut full = client.publish("a", QoS::AtLeastOnce, vec![0; 60 << 20]);
    let first = ready(client.publish("a", QoS::AtLeastOnce, vec![0; 60 << 20]));
    assert!(tasks[6].poll(pin!(&mut full)).is_pending());
    sleeper.woken();

    drop(port);
    assert_eq!(tasks.each_ref().map(Task::woken), [1; 7]);
    assert!(!sleeper.is_awaited());
    assert_eq!(client.phase(), Phase::Closed);
    assert_eq!(ready(closed).error, None);
    assert!(ready(subscribing).is_err());
    assert!(ready(unsubscribing).is_err());
    assert_eq!(ready(delivery).unwrap_err().outcome, Outcome::Closed);
    assert!(ready(next).is_none());
    // Lost, or closed at once.
    let mut last = ready(event);
    while let std::task::Poll::Ready(Some(event)) = poll(pin!(events.next())) {
        last = Some(event);
    }
    assert!(matches!(
        last,
        Some(mqtt_session::client::ClientEvent::Closed)
    ));
    assert!(ready(full).is_err());
    drop(first);
    assert!(!tasks.iter().any(Task::is_awaited));
}

#[test]
fn what_is_written_counts_once_and_a_part_of_a_message_is_not_one() {
    let mut driver = connected();
    let before = driver.client.stats().bytes_written;
    let mut delivery = ready(driver.client.publish("a", QoS::AtMostOnce, "12345")).unwrap();
    driver.turn(None);
    let len = driver.write();
    driver.written = len - 1;
    driver.turn(None);
    assert_eq!(delivery.outcome(), None);
    driver.turn(None);
    assert_eq!(delivery.outcome(), None);
    driver.written = 1;
    driver.turn(None);
    assert_eq!(delivery.outcome(), Some(Outcome::Written));
    assert_eq!(driver.client.stats().bytes_written, before + len as u64);
}

/// Where there are answers that have no room yet, what made them stays in front of what is read next.
#[test]
fn input_waits_for_room_for_its_answers_and_is_taken_before_more_is_read() {
    let limits = limits(|limits| limits.outbox_bytes = 100);
    let mut driver = Driver::connected(config(Version::V5).limits(limits));
    driver.settle();
    let task = Task::new();
    // PUBREL for an identifier that nothing is known of: each is answered.
    driver
        .input
        .extend_from_slice(&[0x62, 2, 0, 7].repeat(1000));
    let mut answered = 0;
    let mut left = driver.input.len();
    while !driver.input.is_empty() {
        let next = driver.turn(Some(&task.waker));
        assert!(driver.input.len() < left, "each turn takes some");
        left = driver.input.len();
        assert!(!next.sleep);
        assert!(left == 0 || !next.wants_read, "{left} left");
        answered += driver.write();
        assert!(driver.output.len() < 1000);
    }
    driver.turn(None);
    answered += driver.write();
    assert_eq!(answered, 5 * 1000);
    // Nor is anything taken that the socket leaves no room for.
    driver.turn(None);
    driver
        .input
        .extend_from_slice(&[0x62, 2, 0, 7].repeat(1000));
    driver.turn(Some(&task.waker));
    let next = driver.turn(Some(&task.waker));
    assert!(!next.wants_read);
    let left = driver.input.len();
    let next = driver.turn(Some(&task.waker));
    assert!(next.sleep && !next.wants_read);
    assert_eq!(driver.input.len(), left);
    assert!(left > 0);
}

#[test]
fn a_turn_shows_of_bytes_how_many_there_are() {
    let (mut input, mut output) = (bytes::BytesMut::from(&b"hunter2"[..]), Outbox::new());
    let (mut reports, mut actions) = (Vec::new(), Vec::new());
    let turn = Turn {
        now: Instant::ZERO,
        input: &mut input,
        written: 3,
        reports: &mut reports,
        output: &mut output,
        actions: &mut actions,
        idle: None,
    };
    let shown = format!("{turn:?}");
    assert!(shown.contains("input_len: 7, written: 3"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

/// The driver's clock is the one that the client was built with.
#[test]
fn the_port_tells_the_time_and_deadlines_are_told_by_it() {
    let mut driver = Driver::connected(config(Version::V5).keep_alive(Duration::from_secs(30)));
    driver.settle();
    assert_eq!(driver.port.now(), Instant::ZERO);
    driver.advance(Duration::from_secs(7));
    assert_eq!(driver.port.now(), Instant::from_nanos(7_000_000_000));
    // A message that is accepted now: its time to live counts from now on.
    let options = PublishOptions::new().with_time_to_live(Duration::from_secs(1));
    let client = driver.client.clone();
    let publish = message("a", b"x");
    driver.lose();
    let mut delivery = ready(client.publish_with(QoS::AtLeastOnce, publish, options)).unwrap();
    driver.turn(None);
    assert_eq!(delivery.outcome(), None);
    driver.advance(Duration::from_secs(2));
    driver.turn(None);
    assert_eq!(delivery.outcome(), Some(Outcome::Expired));
}

#[test]
fn what_is_published_while_the_driver_sleeps_is_dated_by_the_clock() {
    let seconds = Duration::from_secs;
    let (never, plain) = (config(Version::V5), PublishOptions::new());
    let lives = never.clone().time_to_live(seconds(5));
    let of_its_own = plain.clone().with_time_to_live(seconds(5));
    let interval = Properties::builder().message_expiry_interval(5);
    let interval = message("a", b"x").with_properties(interval.build().unwrap());
    for (config, publish, options) in [
        (never.clone(), message("a", b"x"), of_its_own),
        (lives, message("a", b"x"), plain.clone()),
        (never, interval, plain),
    ] {
        let (mut driver, task) = (Driver::new(config), Task::new());
        assert!(sleeps(&mut driver, &task));
        driver.advance(seconds(10));
        let client = driver.client.clone();
        let mut delivery = client
            .try_publish_with(QoS::AtLeastOnce, publish, &options)
            .unwrap();
        for _ in 0..5 {
            driver.turn(None);
            assert_eq!(delivery.outcome(), None, "its time began at ten seconds");
            driver.advance(seconds(1));
        }
        driver.turn(None);
        assert_eq!(delivery.outcome(), Some(Outcome::Expired));
    }
}

/// It sees by itself what there is to do.
#[test]
fn a_driver_is_not_woken_for_what_comes_of_its_own_turn() {
    let config = config(Version::V5).clean_start(false);
    let mut driver = Driver::recording(config.durability(Durability::Behind));
    driver.connect();
    let (mut records, task) = (Vec::new(), Task::new());
    drop(ready(driver.client.publish("a", QoS::AtLeastOnce, "1")));
    let packets = driver.packets();
    let [Packet::Publish(sent)] = packets.as_slice() else {
        panic!("{:?} {packets:?}", driver.client.phase())
    };
    let id = sent.packet_id().unwrap();
    driver.port.poll_records(&mut records);
    assert!(sleeps(&mut driver, &task));
    driver.say(&Packet::PubAck(Ack::new(id)));
    driver.turn(None);
    assert_eq!(driver.client.stats().acknowledged, 1);
    records.clear();
    assert!(driver.port.poll_records(&mut records), "it is done");
    assert_eq!(task.woken(), 0);
}
