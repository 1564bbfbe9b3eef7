//! Names of queues that are closed, or of another session.

mod pair;

use mqtt_session::proto::{Packet, Properties, QoS, ReasonCode, SubAck, Version};
use mqtt_session::{Event, QueueId, QueueOptions, Session, SubscribeError};
use pair::raw::{Raw, at_least_once, id};
use pair::{VERSIONS, config};

const NONE: Properties = Properties::new();

fn suback(raw: &mut Raw, number: u16, code: ReasonCode) {
    raw.feed(&Packet::SubAck(SubAck {
        id: id(number),
        codes: vec![code],
        properties: NONE,
    }));
}

/// The packet identifier of the only SUBSCRIBE.
fn subscribe_id(raw: &mut Raw) -> u16 {
    let packets = raw.packets();
    let [Packet::Subscribe(subscribe)] = &packets[..] else {
        panic!("{packets:?}");
    };
    subscribe.id.get()
}

/// A queue that was closed, and the one that was opened after it.
fn closed_and_open(session: &mut Session) -> (QueueId, QueueId) {
    let closed = session.open_queue();
    session.close_queue(mqtt_session::Instant::ZERO, closed);
    (closed, session.open_queue())
}

/// A queue of another session.
fn foreign() -> QueueId {
    let config = config(Version::V5).build().expect("good");
    let server = mqtt_session::Endpoint::new("192.0.2.2", 1883);
    Session::new(config, server, 8).open_queue()
}

#[test]
fn the_name_of_a_closed_queue_means_none_that_is_opened_later() {
    for version in VERSIONS {
        let mut raw = Raw::connected(config(version));
        let (closed, open) = closed_and_open(&mut raw.session);
        raw.subscribe("a", open);
        let subscribe = subscribe_id(&mut raw);
        suback(&mut raw, subscribe, ReasonCode::GRANTED_QOS_1);

        let mut options = QueueOptions::default();
        options.ack_on_arrival = true;
        for other in [closed, foreign()] {
            raw.session.set_queue(raw.now, other, options);
            raw.session.close_queue(raw.now, other);
            raw.feed_publish("a", at_least_once(1), b"x");
            assert!(raw.session.poll_message(other).is_none(), "{version}");
            assert_eq!(raw.lines(), [""; 0], "{version}: acknowledged by ticket");
            let received = raw.take(open);
            raw.session.ack(raw.now, received.ticket).expect("fresh");
            assert_eq!(raw.lines(), ["PUBACK 1"], "{version}");
        }
    }
}

/// Else its messages would wait where nobody looks, and hold back all acknowledgements behind them.
#[test]
fn nothing_is_subscribed_to_for_a_queue_that_is_not_there() {
    for version in VERSIONS {
        let mut raw = Raw::connected(config(version));
        let (closed, _) = closed_and_open(&mut raw.session);
        for queue in [closed, foreign()] {
            let filters = || vec![("a".try_into().expect("a filter"), QoS::AtLeastOnce.into())];
            let now = raw.now;
            let session = &mut raw.session;
            let refused = session.subscribe(now, filters(), NONE, queue);
            assert_eq!(refused, Err(SubscribeError::NoQueue), "{version}");
            let refused = session.declare_subscription(now, filters(), NONE, queue);
            assert_eq!(refused, Err(SubscribeError::NoQueue), "{version}");
            let refused = session.replace_subscription(now, filters(), NONE, queue);
            assert_eq!(refused.err(), Some(SubscribeError::NoQueue), "{version}");
            assert_eq!(raw.lines(), [""; 0], "{version}");
            raw.feed_publish("a", at_least_once(1), b"x");
            assert_eq!(raw.take_and_ack(), b"x", "{version}");
            assert_eq!(raw.lines(), ["PUBACK 1"], "{version}");
        }
    }
}

#[test]
fn an_answer_for_a_queue_that_was_closed_is_none_for_the_next() {
    for version in VERSIONS {
        let mut raw = Raw::connected(config(version));
        let first = raw.session.open_queue();
        raw.subscribe("a", first);
        let asked_first = subscribe_id(&mut raw);
        raw.session.close_queue(raw.now, first);
        let second = raw.session.open_queue();
        raw.subscribe("a", second);
        let asked_second = subscribe_id(&mut raw);

        suback(&mut raw, asked_first, ReasonCode::UNSPECIFIED_ERROR);
        raw.feed_publish("a", at_least_once(1), b"1");
        let received = raw.take(second);
        raw.session.ack(raw.now, received.ticket).expect("fresh");
        suback(&mut raw, asked_second, ReasonCode::GRANTED_QOS_1);
        raw.packets();

        // All of it is known of the second one: closing it leaves nothing behind.
        raw.session.close_queue(raw.now, second);
        raw.feed_publish("a", at_least_once(2), b"2");
        assert_eq!(raw.take_and_ack(), b"2", "{version}");
    }
}

#[test]
fn nobody_is_told_to_read_where_nothing_waits() {
    let mut raw = Raw::connected(config(Version::V5));
    let queue = raw.session.open_queue();
    raw.subscribe("a", queue);
    raw.session.close_queue(raw.now, queue);
    raw.poll();
    let readable = |event: &Event| matches!(event, Event::Readable(_));
    assert!(!raw.events.iter().any(readable), "{:?}", raw.events);
    // What waits and was told of is not told of again.
    raw.feed_publish("b", at_least_once(1), b"");
    let (one, other) = (raw.session.open_queue(), raw.session.open_queue());
    raw.subscribe("c", one);
    raw.subscribe("d", other);
    raw.feed_publish("c", at_least_once(2), b"");
    raw.subscribe("c/#", one);
    raw.session.close_queue(raw.now, one);
    raw.session.close_queue(raw.now, other);
    raw.poll();
    let told = raw.events.iter().filter_map(|event| match event {
        Event::Readable(queue) => Some(*queue),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [QueueId::DEFAULT, one]);
}

/// What waits there is acknowledged at once, and its place is somebody else's.
#[test]
fn a_message_that_waited_when_its_queue_came_to_acknowledge_on_arrival_acknowledges_no_other() {
    for version in VERSIONS {
        let mut raw = Raw::connected(config(version));
        let [early, other] = ["early", "other"].map(|filter| {
            let queue = raw.session.open_queue();
            raw.subscribe(filter, queue);
            let subscribe = subscribe_id(&mut raw);
            suback(&mut raw, subscribe, ReasonCode::GRANTED_QOS_1);
            queue
        });
        raw.feed_publish("early", at_least_once(1), b"x");
        assert_eq!(raw.lines(), [""; 0]);
        let mut options = QueueOptions::default();
        options.ack_on_arrival = true;
        raw.session.set_queue(raw.now, early, options);
        assert_eq!(raw.lines(), ["PUBACK 1"], "{version}");
        raw.feed_publish("other", at_least_once(2), b"y");
        let held = raw.session.stats().inbox_bytes;
        let received = raw.take(early);
        raw.session
            .ack(raw.now, received.ticket)
            .expect("a fresh ticket");
        assert_eq!(raw.lines(), [""; 0], "{version}");
        assert_eq!(raw.session.stats().inbox_bytes, held / 2, "its room");
        let received = raw.take(other);
        raw.session
            .ack(raw.now, received.ticket)
            .expect("a fresh ticket");
        assert_eq!(raw.lines(), ["PUBACK 2"], "{version}");
    }
}
