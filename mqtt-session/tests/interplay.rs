//! Parts of the session that meet where neither knows of the other.

mod pair;

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use mqtt_session::proto::{Disconnect, Flow, Packet, Properties, QoS, ReasonCode, SubAck, Version};
use mqtt_session::{
    Cause, ConnectionError, Durability, Endpoint, Event, Instant, Limits, Outcome, Phase,
    PublishOptions, QueueId, QueueOptions, Record, Session, UnixTime, WallClock,
};
use pair::raw::{Raw, at_least_once, exactly_once, id};
use pair::{config, message};

const NONE: Properties = Properties::new();

fn fallen_back() -> Raw {
    let mut raw = Raw::of(
        config(Version::V5).fall_back(true),
        Endpoint::new("192.0.2.1", 1883),
    );
    raw.session.start(raw.now);
    raw.open();
    raw.closed(Cause::Eof);
    raw.version = Version::V3_1_1;
    raw.open();
    raw.accept(false, NONE);
    assert_eq!(raw.session.version(), Version::V3_1_1);
    raw
}

#[test]
fn a_subscribe_after_the_fall_back_to_3_1_1_has_no_subscription_identifier() {
    let mut raw = fallen_back();
    raw.subscribe("a", QueueId::DEFAULT);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
    // And so it is when it subscribes anew.
    raw.feed(&Packet::SubAck(SubAck {
        id: id(65535),
        codes: vec![ReasonCode::SUCCESS],
        properties: NONE,
    }));
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
}

#[test]
fn an_identifier_of_doubt_that_comes_at_qos_1_is_released_once_in_the_records() {
    let settings = || config(Version::V5).durability(Durability::Behind);
    let mut raw = Raw::connected(settings());
    let mut records = Vec::new();
    let mut store = |raw: &mut Raw| {
        raw.poll();
        while let Some((seq, record)) = raw.session.poll_record() {
            raw.session.handle_stored(raw.now, seq);
            records.push(record);
        }
    };
    raw.feed_publish("a", exactly_once(5), b"taken");
    raw.take_and_ack();
    // A CONNACK that never comes: it may have said that the session was lost.
    raw.closed(Cause::Eof);
    raw.wait_for_dial();
    raw.open();
    raw.closed(Cause::Eof);
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, NONE);
    for flow in [at_least_once(5), exactly_once(5)] {
        raw.feed_publish("a", flow, b"another");
        raw.take_and_ack();
    }
    store(&mut raw);
    let clock = WallClock {
        now: Instant::ZERO,
        time: UnixTime::from_millis(1),
    };
    let built = settings().build().expect("a good configuration");
    let released = records
        .iter()
        .filter(|r| matches!(r, Record::Released { .. }));
    assert_eq!(released.count(), 1);
    Session::restore(built, Endpoint::new("192.0.2.1", 1883), 7, clock, records)
        .expect("good records");
}

#[test]
fn a_full_inbox_that_a_new_bound_of_a_queue_empties_lets_the_session_reconnect() {
    let mut limits = Limits::default();
    limits.inbox_bytes = 64 * 1024;
    let mut raw = Raw::connected(config(Version::V3_1_1).limits(limits));
    let queue = raw.session.open_queue();
    raw.subscribe("a", queue);
    let payload = vec![0; 20_000];
    for _ in 0..4 {
        raw.feed_publish("a", Flow::AtMostOnce, &payload);
    }
    // It waits for SUBACK, so reading goes on.
    assert!(raw.session.wants_read());
    raw.feed_publish("b", at_least_once(1), &payload);
    let error = raw.last_loss();
    assert!(
        matches!(error, ConnectionError::InboxFull { .. }),
        "{error}"
    );
    raw.hang_up();
    raw.advance(Duration::from_secs(300));
    assert_eq!(raw.session.phase(), Phase::Waiting);
    let mut few = QueueOptions::default();
    few.max_at_most_once = NonZeroUsize::new(1);
    raw.session.set_queue(raw.now, queue, few);
    assert_eq!(raw.session.phase(), Phase::Connecting);
}

#[test]
fn a_ticket_of_another_session_of_the_same_seed_upsets_nothing() {
    let mut raw = Raw::connected(config(Version::V5));
    let mut other = Raw::connected(config(Version::V5));
    let queue = raw.session.open_queue();
    raw.subscribe("a", queue);
    raw.feed_publish("a", Flow::AtMostOnce, b"small");
    other.feed_publish("a", Flow::AtMostOnce, &[0; 5000]);
    let ticket = other.take(QueueId::DEFAULT).ticket;
    let _ = raw.session.ack(raw.now, ticket);
    raw.session.close_queue(raw.now, queue);
    let queue = raw.session.open_queue();
    raw.subscribe("b", queue);
    let mut one = QueueOptions::default();
    one.max_at_most_once = NonZeroUsize::new(1);
    raw.session.set_queue(raw.now, queue, one);
    raw.feed_publish("b", Flow::AtMostOnce, b"one");
    other.feed_publish("a", Flow::AtMostOnce, &[0; 5000]);
    let ticket = other.take(QueueId::DEFAULT).ticket;
    let _ = raw.session.ack(raw.now, ticket);
    raw.feed_publish("b", Flow::AtMostOnce, b"two");
    assert_eq!(raw.take(queue).publish.payload(), &b"two"[..]);
}

#[test]
fn more_bytes_than_were_taken_are_not_counted_as_written() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.session.handle_written(raw.now, usize::MAX);
    raw.session.handle_written(raw.now, usize::MAX);
    let token = raw.publish(QoS::AtMostOnce, b"x");
    raw.session.handle_written(raw.now, usize::MAX);
    while let Some(event) = raw.session.poll_event() {
        raw.events.push(event);
    }
    let done = |event: &Event| matches!(event, Event::Published { token: of, .. } if *of == token);
    assert!(!raw.events.iter().any(done), "it is still in the outbox");
}

#[test]
fn a_declared_subscription_whose_queue_is_closed_before_it_was_sent_is_not_sent() {
    let mut raw = Raw::new(config(Version::V5));
    let (gone, stays) = (raw.session.open_queue(), raw.session.open_queue());
    for (filter, queue) in [("a", gone), ("b", gone), ("b", stays)] {
        let filters = vec![(
            filter.try_into().expect("a filter"),
            QoS::AtLeastOnce.into(),
        )];
        raw.session
            .declare_subscription(raw.now, filters, NONE, queue)
            .expect("accepted");
    }
    raw.session.close_queue(raw.now, gone);
    raw.session.connect(raw.now);
    raw.open();
    raw.accept(false, NONE);
    let lines = raw.lines();
    assert!(lines.iter().all(|line| line.ends_with(" b")), "{lines:?}");
    assert!(!lines.is_empty());
}

#[test]
fn draining_ends_when_the_last_message_has_expired_by_the_time_that_it_is_stored() {
    let mut raw = Raw::connected(config(Version::V5).durability(Durability::WriteAhead));
    let stored = |raw: &mut Raw| {
        raw.poll();
        while let Some((seq, _)) = raw.session.poll_record() {
            raw.session.handle_stored(raw.now, seq);
        }
        raw.poll();
    };
    stored(&mut raw);
    let options = PublishOptions::new().with_time_to_live(Duration::from_secs(1));
    let token = raw
        .session
        .publish_with(raw.now, QoS::AtLeastOnce, message("a", b"x"), &options)
        .expect("accepted");
    let drain = Duration::from_secs(60);
    raw.session
        .disconnect(raw.now, Disconnect::default(), drain)
        .expect("allowed");
    raw.advance(Duration::from_secs(2));
    stored(&mut raw);
    assert_eq!(raw.outcome(token), Some(Outcome::Expired));
    assert_eq!(raw.session.phase(), Phase::Closing);
}

fn granted(raw: &mut Raw, filter: &str) {
    raw.subscribe(filter, QueueId::DEFAULT);
    let [Packet::Subscribe(sent)] = &raw.packets()[..] else {
        panic!("no SUBSCRIBE")
    };
    raw.feed(&Packet::SubAck(SubAck {
        id: sent.id,
        codes: vec![ReasonCode::SUCCESS],
        properties: NONE,
    }));
}

#[test]
fn an_unsubscribe_is_not_withdrawn_with_its_token() {
    for sent in [false, true] {
        let mut raw = Raw::connected(config(Version::V5));
        granted(&mut raw, "a");
        if !sent {
            raw.closed(Cause::Eof);
        }
        let filters = vec!["a".try_into().expect("a filter")];
        let token = raw
            .session
            .unsubscribe(raw.now, filters, NONE)
            .expect("accepted");
        raw.poll();
        raw.session.withdraw(raw.now, token);
        if sent {
            raw.closed(Cause::Eof);
        }
        raw.wait_for_dial();
        raw.open();
        raw.accept(true, NONE);
        assert_eq!(raw.lines(), ["UNSUBSCRIBE 65535 a"]);
    }
}

#[test]
fn an_unsubscribe_that_can_not_be_sent_leaves_the_subscription_as_it_was() {
    let mut raw = Raw::connected(config(Version::V5));
    granted(&mut raw, "a");
    raw.closed(Cause::Eof);
    let large = Properties::builder().user_property("k", "v".repeat(100).as_str());
    let large = large.build().expect("good properties");
    let filters = vec!["a".try_into().expect("a filter")];
    raw.session
        .unsubscribe(raw.now, filters, large)
        .expect("accepted");
    let small = Properties::builder().maximum_packet_size(NonZeroU32::MIN.saturating_add(49));
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, small.build().expect("good properties"));
    assert!(raw.lines().is_empty());
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
}
