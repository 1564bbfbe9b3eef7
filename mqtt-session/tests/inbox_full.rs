//! A full inbox, in every version: when reading stops, when it goes on and what is dropped then, and when the connection ends.

mod pair;

use std::time::Duration;

use mqtt_session::proto::{Flow, PacketType, Properties, QoS, Version};
use mqtt_session::{
    Cause, ConfigBuilder, ConnectionError, Event, InboxFull, Limits, Phase, QueueId, Received,
};
use pair::raw::{Raw, at_least_once, exactly_once};
use pair::{VERSIONS, config};

const NONE: Properties = Properties::new();

/// Room for three messages of 100 bytes.
fn narrow(version: Version, full: InboxFull) -> ConfigBuilder {
    let mut limits = Limits::default();
    limits.inbox_bytes = 3 * (Received::OVERHEAD + 120);
    limits.max_queued = 1;
    limits.max_in_flight = std::num::NonZeroU16::MIN;
    limits.max_in_flight_v3 = std::num::NonZeroU16::MIN;
    config(version)
        .clean_start(false)
        .limits(limits)
        .inbox_full(full)
}

fn fill(raw: &mut Raw, numbers: std::ops::RangeInclusive<u8>) {
    for number in numbers {
        raw.feed_publish("a", Flow::AtMostOnce, &[number; 100]);
    }
}

/// What is left, by number, oldest first.
fn left(raw: &mut Raw) -> Vec<u8> {
    let mut left = Vec::new();
    while let Some(received) = raw.session.poll_message(QueueId::DEFAULT) {
        left.push(received.publish.payload()[0]);
        let _ = raw.session.ack(raw.now, received.ticket);
    }
    left
}

fn told_dropping(raw: &mut Raw) -> usize {
    raw.poll();
    let told = raw.events.iter();
    told.filter(|event| matches!(event, Event::Dropping))
        .count()
}

#[test]
fn pause_stops_reading_and_drops_nothing_while_the_session_waits_for_nothing() {
    for version in VERSIONS {
        let mut raw = Raw::connected(narrow(version, InboxFull::Pause));
        fill(&mut raw, 1..=10);
        assert!(!raw.session.wants_read(), "{version}");
        assert_eq!(raw.session.stats().dropped, 0);
        let mut seen = Vec::new();
        while seen.len() < 10 {
            seen.extend(left(&mut raw));
            raw.bytes_in(&[]);
        }
        assert_eq!(seen, Vec::from_iter(1..=10), "{version}");
        assert_eq!(told_dropping(&mut raw), 0);
    }
}

#[test]
fn drop_oldest_never_stops_reading_and_tells_once_until_there_was_room() {
    for version in VERSIONS {
        let mut raw = Raw::connected(narrow(version, InboxFull::DropOldest));
        fill(&mut raw, 1..=10);
        assert!(raw.session.wants_read());
        assert_eq!(raw.session.stats().dropped_full, 7, "{version}");
        assert_eq!(told_dropping(&mut raw), 1);
        // One place is no room yet.
        raw.take_and_ack();
        fill(&mut raw, 11..=12);
        assert_eq!(told_dropping(&mut raw), 1);
        assert_eq!(left(&mut raw), [10, 11, 12], "the oldest are gone");
        fill(&mut raw, 1..=10);
        assert_eq!(told_dropping(&mut raw), 2, "there was room in between");
        // Less than half of it is room, too.
        raw.take_and_ack();
        raw.take_and_ack();
        assert!(raw.session.stats().inbox_bytes > 0);
        fill(&mut raw, 11..=13);
        assert_eq!(told_dropping(&mut raw), 3, "{version}");
    }
}

type Step = fn(&mut Raw);

/// What the session may wait for, and how the server brings it to an end.
const WAITS: [(&str, Step, Step); 4] = [
    (
        "PINGRESP",
        |raw| {
            raw.advance(Duration::from_secs(46));
            assert_eq!(raw.lines(), ["PINGREQ"]);
        },
        |raw| raw.bytes_in(&[0xD0, 0]),
    ),
    (
        "PUBACK",
        |raw| {
            raw.publish(QoS::AtLeastOnce, b"");
        },
        |raw| {
            let number = number(raw);
            raw.feed_ack(PacketType::PubAck, number);
        },
    ),
    (
        "PUBCOMP",
        |raw| {
            raw.publish(QoS::ExactlyOnce, b"");
        },
        |raw| {
            let number = number(raw);
            raw.feed_ack(PacketType::PubRec, number);
            raw.feed_ack(PacketType::PubComp, number);
        },
    ),
    (
        "room for a publisher",
        |raw| {
            // One is in flight, one waits, and the third finds no room.
            raw.publish(QoS::AtLeastOnce, b"");
            raw.publish(QoS::AtLeastOnce, b"");
            let third = pair::message("a", b"");
            assert!(raw.offer(QoS::AtLeastOnce, third).is_err());
        },
        |raw| {
            for _ in 0..2 {
                let number = number(raw);
                raw.feed_ack(PacketType::PubAck, number);
            }
        },
    ),
];

/// The identifier of the PUBLISH that was sent last.
fn number(raw: &mut Raw) -> u16 {
    let packets = raw.packets();
    let id = packets.iter().rev().find_map(|packet| match packet {
        mqtt_session::proto::Packet::Publish(publish) => publish.packet_id(),
        _ => None,
    });
    id.expect("a PUBLISH").get()
}

#[test]
fn while_the_session_waits_for_the_server_reading_goes_on_and_the_oldest_of_qos_0_go() {
    for version in VERSIONS {
        for (what, wait, end) in WAITS {
            let mut raw = Raw::connected(narrow(version, InboxFull::Pause));
            fill(&mut raw, 1..=4);
            assert!(!raw.session.wants_read(), "{version}, {what}");
            wait(&mut raw);
            assert!(raw.session.wants_read(), "{version}, {what}");
            fill(&mut raw, 5..=20);
            assert!(raw.session.wants_read(), "{version}, {what}");
            assert_eq!(told_dropping(&mut raw), 1, "{version}, {what}");
            end(&mut raw);
            assert_eq!(raw.session.phase(), Phase::Connected);
            let dropped = raw.session.stats().dropped;
            assert_eq!(dropped, raw.session.stats().dropped_full);
            let left = left(&mut raw);
            assert_eq!(left.len() as u64 + dropped, 20, "{version}, {what}");
            assert_eq!(left.last(), Some(&20), "{version}, {what}: the oldest go");
            assert!(left.len() <= 4, "{version}, {what}: {left:?}");
            // The session waits for nothing any more.
            fill(&mut raw, 1..=4);
            assert!(!raw.session.wants_read(), "{version}, {what}");
        }
    }
}

#[test]
fn a_full_inbox_does_not_keep_the_next_connection_from_being_accepted() {
    for version in VERSIONS {
        let mut raw = Raw::connected(narrow(version, InboxFull::Pause));
        fill(&mut raw, 1..=4);
        raw.closed(Cause::Eof);
        raw.wait_for_dial();
        raw.open();
        assert!(raw.session.wants_read(), "{version}: CONNACK is awaited");
        raw.accept(true, NONE);
        assert_eq!(raw.session.phase(), Phase::Connected);
        assert!(!raw.session.wants_read(), "{version}");
        assert_eq!(left(&mut raw).len(), 4);
        assert!(raw.session.wants_read());
    }
}

#[test]
fn what_must_be_acknowledged_is_not_dropped_for_what_need_not() {
    for version in VERSIONS {
        let mut raw = Raw::connected(narrow(version, InboxFull::DropOldest));
        raw.feed_publish("a", at_least_once(1), &[100; 100]);
        raw.feed_publish("a", exactly_once(2), &[101; 100]);
        fill(&mut raw, 1..=10);
        assert_eq!(left(&mut raw), [100, 101, 10], "{version}");
        assert_eq!(raw.session.phase(), Phase::Connected);
    }
}

#[test]
fn qos_1_and_2_over_the_bound_pause_where_that_is_possible() {
    for version in VERSIONS {
        for flow in [at_least_once, exactly_once] {
            let mut raw = Raw::connected(narrow(version, InboxFull::Pause));
            for number in 1..=10 {
                raw.feed_publish("a", flow(number), &[number as u8; 100]);
            }
            assert!(!raw.session.wants_read());
            let mut seen = Vec::new();
            while seen.len() < 10 {
                seen.extend(left(&mut raw));
                raw.bytes_in(&[]);
            }
            assert_eq!(seen, Vec::from_iter(1..=10), "{version}");
            assert_eq!(raw.session.phase(), Phase::Connected);
        }
    }
}

#[test]
fn qos_1_and_2_over_the_bound_end_the_connection_where_pausing_is_not_possible() {
    for version in VERSIONS {
        for flow in [at_least_once, exactly_once] {
            for (what, wait, _) in WAITS {
                let mut raw = Raw::connected(narrow(version, InboxFull::Pause));
                wait(&mut raw);
                raw.packets();
                for number in 1..=5 {
                    raw.feed_publish("a", flow(number), &[number as u8; 100]);
                }
                assert!(
                    matches!(raw.last_loss(), ConnectionError::InboxFull { .. }),
                    "{version}, {what}: {:?}",
                    raw.losses()
                );
                let goodbye: &[&str] = if version.is_v5() {
                    &["DISCONNECT 0x97"]
                } else {
                    &[]
                };
                assert_eq!(raw.lines(), goodbye, "{version}, {what}");
                assert_eq!(left(&mut raw).first(), Some(&1));
                assert_eq!(raw.session.phase(), Phase::Closing);
                raw.hang_up();
                raw.wait_for_dial();
            }
        }
    }
}

#[test]
fn the_next_connection_waits_until_half_of_what_filled_the_inbox_is_dealt_with() {
    for version in VERSIONS {
        for flow in [at_least_once, exactly_once] {
            for (_, wait, _) in WAITS {
                let mut raw = Raw::connected(narrow(version, InboxFull::Pause));
                wait(&mut raw);
                for number in 1..=5 {
                    raw.feed_publish("a", flow(number), &[number as u8; 100]);
                }
                raw.hang_up();
                raw.actions.clear();
                raw.advance(Duration::from_secs(3600));
                assert_eq!(raw.actions, [], "the next attempt waits for half of it");
                assert_eq!(left(&mut raw).first(), Some(&1));
                raw.wait_for_dial();
            }
        }
    }
}

#[test]
fn a_large_message_is_taken_by_an_empty_inbox_that_is_smaller() {
    for version in VERSIONS {
        for full in [InboxFull::Pause, InboxFull::DropOldest] {
            for flow in [Flow::AtMostOnce, at_least_once(1), exactly_once(1)] {
                let mut raw = Raw::connected(narrow(version, full));
                raw.feed_publish("a", flow, &[7; 5000]);
                assert_eq!(left(&mut raw), [7], "{version} {full:?}");
                assert_eq!(raw.session.phase(), Phase::Connected);
            }
        }
    }
}

/// Whoever never takes a message: the rest of the session goes on.
#[test]
fn a_consumer_that_never_comes_keeps_no_publisher_and_no_ping_waiting() {
    for version in VERSIONS {
        for full in [InboxFull::Pause, InboxFull::DropOldest] {
            let mut raw = Raw::connected(narrow(version, full));
            for round in 0..50 {
                fill(&mut raw, 1..=10);
                let token = raw.publish(QoS::AtLeastOnce, b"x");
                let number = number(&mut raw);
                assert!(raw.session.wants_read(), "{round}");
                raw.feed_ack(PacketType::PubAck, number);
                assert_eq!(raw.outcome(token), Some(pair::ACKNOWLEDGED));
                raw.advance(Duration::from_secs(46));
                assert!(raw.session.wants_read(), "PINGRESP is awaited");
                raw.bytes_in(&[0xD0, 0]);
                raw.packets();
            }
            assert_eq!(raw.session.phase(), Phase::Connected, "{version} {full:?}");
            assert!(raw.session.stats().inbox_bytes <= 4 * (Received::OVERHEAD + 120));
        }
    }
}

#[test]
fn what_need_not_be_acknowledged_is_dropped_where_all_else_must() {
    for version in VERSIONS {
        let mut raw = Raw::connected(narrow(version, InboxFull::DropOldest));
        for number in 1..=3 {
            raw.feed_publish("a", at_least_once(number), &[number as u8; 100]);
        }
        let full = raw.session.stats().inbox_bytes;
        fill(&mut raw, 11..=14);
        let stats = raw.session.stats();
        assert_eq!((stats.dropped, stats.dropped_full), (4, 4), "{version}");
        assert_eq!(stats.inbox_bytes, full, "{version}");
        assert_eq!(left(&mut raw), [1, 2, 3], "{version}");
    }
}

#[test]
fn a_bound_that_is_met_exactly_is_full() {
    let cost = {
        let mut raw = Raw::connected(config(Version::V5));
        fill(&mut raw, 1..=1);
        raw.session.stats().inbox_bytes
    };
    let mut limits = Limits::default();
    limits.inbox_bytes = 2 * cost;
    let mut raw = Raw::connected(config(Version::V5).limits(limits));
    fill(&mut raw, 1..=1);
    assert!(raw.session.wants_read());
    fill(&mut raw, 2..=2);
    assert!(!raw.session.wants_read());
    // Reading goes on for the acknowledgement.
    raw.publish(QoS::AtLeastOnce, b"");
    fill(&mut raw, 3..=3);
    assert_eq!(raw.session.stats().inbox_bytes, 2 * cost);
    assert_eq!(left(&mut raw), [2, 3]);
    // Where reading never stops, it is the same.
    let full = InboxFull::DropOldest;
    let mut raw = Raw::connected(config(Version::V5).limits(limits).inbox_full(full));
    fill(&mut raw, 1..=5);
    assert_eq!(left(&mut raw), [4, 5]);
}

/// Who waits for SUBACK can't read, and the next connection waits until somebody has.
#[cfg(feature = "client")]
#[test]
fn a_subscribe_whose_messages_fill_the_inbox_is_answered_when_the_connection_is_lost_by_it() {
    use std::pin::pin;

    use pair::hand::{Hand, poll, ready};

    let mut hand = Hand::connected(narrow(Version::V5, InboxFull::Pause));
    let client = hand.client.clone();
    let mut one = pin!(client.subscribe("a", QoS::AtLeastOnce));
    let mut other = pin!(client.subscribe("b", QoS::AtLeastOnce));
    assert!(poll(one.as_mut()).is_pending());
    assert!(poll(other.as_mut()).is_pending());
    hand.packets();
    for number in 1..=5 {
        hand.feed_publish("a", at_least_once(number), &[number as u8; 100]);
    }
    hand.turn();
    assert_eq!(client.phase(), Phase::Waiting);
    assert!(poll(other.as_mut()).is_pending(), "nothing waits for it");
    let mut stream = ready(one).expect("as if granted");
    hand.advance(Duration::from_secs(3600));
    assert_eq!(client.phase(), Phase::Waiting, "the inbox is full");
    for number in 1..=3 {
        let message = stream.try_next().expect("a message");
        assert_eq!(message.payload()[0], number);
    }
    drop(stream);
    hand.turn();
    assert_eq!(client.phase(), Phase::Connecting);
}

#[cfg(feature = "client")]
#[test]
fn what_a_stream_of_the_default_queue_leaves_waits_there_for_the_next() {
    use pair::hand::Hand;

    let mut hand = Hand::connected(config(Version::V5));
    let mut first = hand.client.messages();
    let mut next = hand.client.messages();
    let read = [1, 2, 3].map(|number| hand.encode_publish("a", Flow::AtMostOnce, &[number; 100]));
    hand.bytes_in(&read.concat());
    // It takes several over at once.
    assert_eq!(first.try_next().expect("a message").payload()[0], 1);
    assert!(next.try_next().is_none());
    drop(first);
    hand.feed_publish("a", Flow::AtMostOnce, &[4; 100]);
    let numbers = core::iter::from_fn(|| next.try_next());
    let numbers: Vec<_> = numbers.map(|message| message.payload()[0]).collect();
    assert_eq!(numbers, [2, 3, 4]);
}
