//! The inbox is bounded in bytes: what happens when the application does not keep up.

mod pair;

use std::num::NonZeroU16;

use mqtt_session::proto::{Flow, Packet, PacketType, Properties, QoS, ReasonCode, SubAck, Version};
use mqtt_session::{
    Cause, ConfigBuilder, ConnectionError, Event, InboxFull, Limits, Phase, QueueId, Received,
};
use pair::raw::{Raw, at_least_once, id};
use pair::{VERSIONS, config};

const NONE: Properties = Properties::new();

fn lasting(version: Version) -> ConfigBuilder {
    config(version).clean_start(false)
}

fn again(number: u16, qos: QoS) -> Flow {
    match qos {
        QoS::ExactlyOnce => Flow::ExactlyOnce {
            id: id(number),
            dup: true,
        },
        _ => Flow::AtLeastOnce {
            id: id(number),
            dup: true,
        },
    }
}

/// Room for about two messages of 100 bytes.
const NARROW: usize = 2 * Received::OVERHEAD + 250;

fn narrow(version: Version, full: InboxFull) -> ConfigBuilder {
    let mut limits = Limits::default();
    limits.inbox_bytes = NARROW;
    lasting(version).limits(limits).inbox_full(full)
}

fn granted(raw: &mut Raw, filter: &str, queue: QueueId) {
    raw.subscribe(filter, queue);
    let packets = raw.packets();
    let Some(Packet::Subscribe(subscribe)) = packets.last() else {
        panic!("{packets:?}")
    };
    let codes = vec![ReasonCode::GRANTED_QOS_2];
    raw.feed(&Packet::SubAck(SubAck {
        id: subscribe.id,
        codes,
        properties: NONE,
    }));
}

fn take_all(raw: &mut Raw) -> Vec<Received> {
    std::iter::from_fn(|| raw.session.poll_message(QueueId::DEFAULT)).collect()
}

#[test]
fn unclaimed_qos_0_messages_are_dropped_and_counted_where_nobody_looks_at_the_default_queue() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.session.keep_unclaimed(false);
    raw.feed_publish("a", Flow::AtMostOnce, b"x");
    assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
    assert_eq!(raw.session.stats().dropped, 1);
    raw.session.keep_unclaimed(true);
    raw.feed_publish("a", Flow::AtMostOnce, b"y");
    assert_eq!(raw.take(QueueId::DEFAULT).publish.payload(), b"y");
}

#[test]
fn a_full_inbox_stops_reading_until_a_message_is_given_back() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let mut raw = Raw::connected(narrow(Version::V5, InboxFull::Pause));
        granted(&mut raw, "a", QueueId::DEFAULT);
        for number in 1..=10 {
            let flow = if qos == QoS::AtMostOnce {
                Flow::AtMostOnce
            } else {
                at_least_once(number)
            };
            raw.feed_publish("a", flow, &[number as u8; 100]);
        }
        assert!(!raw.session.wants_read());
        // What was read and not taken stays in the driver's buffer.
        let left = raw.input.len();
        assert!(left > 0);
        for number in 1..=10 {
            assert_eq!(raw.take_and_ack(), [number; 100]);
            raw.bytes_in(&[]);
        }
        assert!(raw.session.wants_read());
        assert_eq!(raw.session.stats().dropped, 0);
        assert_eq!(raw.session.phase(), Phase::Connected);
    }
}

#[test]
fn a_full_inbox_keeps_reading_while_the_session_waits_for_the_server_and_drops_the_oldest_of_qos_0()
{
    let mut raw = Raw::connected(narrow(Version::V5, InboxFull::Pause));
    granted(&mut raw, "a", QueueId::DEFAULT);
    let token = raw.publish(QoS::AtLeastOnce, b"");
    let packets = raw.packets();
    let [Packet::Publish(publish)] = packets.as_slice() else {
        panic!("{packets:?}")
    };
    let number = publish.packet_id().expect("QoS 1").get();
    for number in 1..=10u8 {
        raw.feed_publish("a", Flow::AtMostOnce, &[number; 100]);
    }
    assert!(raw.session.wants_read());
    raw.feed_ack(PacketType::PubAck, number);
    assert_eq!(raw.outcome(token), Some(pair::ACKNOWLEDGED));
    let dropping = raw
        .events
        .iter()
        .filter(|event| matches!(event, Event::Dropping))
        .count();
    assert_eq!(dropping, 1);
    let kept = take_all(&mut raw);
    assert_eq!(kept.len() as u64 + raw.session.stats().dropped, 10);
    assert_eq!(
        kept.last().map(|received| received.publish.payload()[0]),
        Some(10),
        "the oldest go"
    );
    assert!(kept.len() <= 3, "bounded");
}

#[test]
fn with_drop_oldest_reading_never_stops_and_memory_stays_within_its_bound() {
    let mut raw = Raw::connected(narrow(Version::V5, InboxFull::DropOldest));
    granted(&mut raw, "a", QueueId::DEFAULT);
    for number in 0..1000u32 {
        raw.feed_publish("a", Flow::AtMostOnce, &[number as u8; 100]);
        assert!(raw.session.wants_read());
    }
    let kept = take_all(&mut raw);
    assert_eq!(kept.len(), 2);
    assert_eq!(raw.session.stats().dropped, 998);
    assert!(raw.input.is_empty());
}

#[test]
fn qos_1_over_the_bound_ends_the_connection_and_the_next_waits_until_the_inbox_is_half_empty() {
    for version in VERSIONS {
        let mut raw = Raw::connected(narrow(version, InboxFull::DropOldest));
        for number in 1..=4 {
            raw.feed_publish("a", at_least_once(number), &[number as u8; 100]);
        }
        assert!(
            matches!(
                raw.last_loss(),
                ConnectionError::InboxFull { bytes: NARROW.. }
            ),
            "{:?}",
            raw.losses()
        );
        let expected: &[&str] = if version == Version::V5 {
            &["DISCONNECT 0x97"]
        } else {
            &[]
        };
        assert_eq!(raw.lines(), expected);
        assert_eq!(raw.hang_up(), version == Version::V5);
        raw.actions.clear();
        raw.advance(std::time::Duration::from_secs(3600));
        assert_eq!(raw.actions, [], "the inbox is still full");
        for number in 1..=2 {
            assert_eq!(raw.take_and_ack(), [number; 100]);
        }
        raw.wait_for_dial();
        raw.open();
        raw.accept(true, NONE);
        raw.packets();
        // The server sends everything again that is not acknowledged, also what found no room.
        for number in 1..=4 {
            raw.feed_publish("a", again(number, QoS::AtLeastOnce), &[number as u8; 100]);
        }
        assert_eq!(raw.lines(), ["PUBACK 1", "PUBACK 2"]);
        assert_eq!(raw.take_and_ack(), [3; 100], "{version}");
        assert_eq!(raw.take_and_ack(), [4; 100], "{version}");
        assert_eq!(raw.lines(), ["PUBACK 3", "PUBACK 4"]);
    }
}

#[test]
fn a_message_beyond_receive_maximum_is_delivered_when_it_comes_again_over_the_next_connection() {
    let mut limits = Limits::default();
    limits.receive_maximum = NonZeroU16::new(2).expect("not 0");
    let mut raw = Raw::connected(lasting(Version::V5).limits(limits));
    for number in 1..=3 {
        raw.feed_publish("a", at_least_once(number), &[number as u8]);
    }
    assert_eq!(raw.lines(), ["DISCONNECT 0x93"]);
    raw.hang_up();
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, NONE);
    assert_eq!(raw.take_and_ack(), [1]);
    assert_eq!(raw.take_and_ack(), [2]);
    raw.feed_publish("a", again(3, QoS::AtLeastOnce), &[3]);
    assert_eq!(raw.take_and_ack(), [3]);
}

#[test]
fn acknowledgements_that_are_due_are_written_before_a_full_inbox_ends_the_connection() {
    for version in VERSIONS {
        let mut raw = Raw::connected(narrow(version, InboxFull::DropOldest));
        for number in 1..=2 {
            raw.feed_publish("a", at_least_once(number), &[number as u8; 100]);
        }
        raw.closed(Cause::Eof);
        for number in 1..=2 {
            assert_eq!(raw.take_and_ack(), [number; 100]);
        }
        raw.wait_for_dial();
        raw.open();
        raw.accept(true, NONE);
        // All that the server has comes in one piece. Else it would never come to an end.
        let mut bytes = Vec::new();
        for number in 1..=8 {
            let flow = again(number, QoS::AtLeastOnce);
            bytes.extend(raw.encode_publish("a", flow, &[number as u8; 100]));
        }
        raw.bytes_in(&bytes);
        assert!(matches!(raw.last_loss(), ConnectionError::InboxFull { .. }));
        let mut expected = vec!["PUBACK 1", "PUBACK 2"];
        expected.extend(version.is_v5().then_some("DISCONNECT 0x97"));
        assert_eq!(raw.lines(), expected);
        assert!(raw.hang_up(), "the driver is told to write it");
        assert_eq!(raw.take_and_ack(), [3; 100]);
    }
}
