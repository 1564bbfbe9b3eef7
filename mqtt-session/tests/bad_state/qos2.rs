//! Entry 15: exchanges of QoS 2 that go wrong.

use std::num::NonZeroU16;

use mqtt_session::proto::{Flow, PacketType, QoS, ReasonCode, Version};
use mqtt_session::{ConnectionError, Limits, Outcome, Phase, QueueId, Violation};

use crate::pair::raw::{Raw, exactly_once, id};
use crate::pair::{ACKNOWLEDGED, VERSIONS};
use crate::{NONE, assert_next_is_clean, ids, lasting};

const fn again(number: mqtt_session::proto::PacketId) -> Flow {
    Flow::ExactlyOnce {
        id: number,
        dup: true,
    }
}

#[test]
fn a_pubrel_for_an_unknown_identifier_is_answered_and_the_connection_stays() {
    for version in VERSIONS {
        let mut raw = Raw::connected(lasting(version));
        for number in [1, 9, 65_535] {
            raw.feed_ack(PacketType::PubRel, number);
            let reason = if version.is_v5() { " 0x92" } else { "" };
            assert_eq!(raw.lines(), [format!("PUBCOMP {number}{reason}")]);
        }
        // It releases nothing that comes later.
        raw.feed_publish("a", exactly_once(9), b"x");
        assert_eq!(raw.take_and_ack(), b"x");
        raw.feed_publish("a", again(id(9)), b"x");
        assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
        assert_eq!(raw.lines(), ["PUBREC 9", "PUBREC 9"]);
        assert_eq!(raw.session.phase(), Phase::Connected);
    }
}

#[test]
fn a_pubrel_ahead_of_our_pubrec_does_not_lose_or_double_the_message() {
    for version in VERSIONS {
        let mut raw = Raw::connected(lasting(version));
        raw.feed_publish("a", exactly_once(9), b"x");
        raw.feed_ack(PacketType::PubRel, 9);
        raw.packets();
        assert_eq!(raw.take_and_ack(), b"x");
        assert_eq!(raw.lines(), ["PUBREC 9"]);
        raw.feed_ack(PacketType::PubRel, 9);
        assert_eq!(raw.lines(), ["PUBCOMP 9"]);
        assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
    }
}

#[test]
fn a_pubcomp_ahead_of_pubrec_and_a_puback_at_qos_2_end_the_connection_and_the_message_is_sent_again()
 {
    for version in VERSIONS {
        for wrong in [PacketType::PubComp, PacketType::PubAck] {
            let mut raw = Raw::connected(lasting(version));
            let token = raw.publish(QoS::ExactlyOnce, b"x");
            let number = ids(&raw.lines())[0];
            raw.feed_ack(wrong, number);
            let error = raw.last_loss();
            let ConnectionError::Protocol { violation, .. } = error else {
                panic!("{error}")
            };
            let expected = Violation::WrongAck {
                packet: wrong,
                id: id(number),
            };
            assert_eq!(violation, expected);
            let said: &[&str] = if version.is_v5() {
                &["DISCONNECT 0x82"]
            } else {
                &[]
            };
            assert_eq!(raw.lines(), said);
            raw.hang_up();
            raw.wait_for_dial();
            raw.open();
            raw.accept(true, NONE);
            assert_eq!(raw.lines(), [format!("PUBLISH {number} DUP")]);
            raw.feed_ack(PacketType::PubRec, number);
            raw.feed_ack(PacketType::PubComp, number);
            assert_eq!(raw.outcome(token), Some(ACKNOWLEDGED));
        }
    }
}

#[test]
fn a_pubrec_with_an_error_ends_the_message_and_a_later_one_for_it_is_answered_as_unknown() {
    let mut raw = Raw::connected(lasting(Version::V5));
    let token = raw.publish(QoS::ExactlyOnce, b"x");
    let number = ids(&raw.lines())[0];
    raw.feed_ack_with(PacketType::PubRec, number, ReasonCode::QUOTA_EXCEEDED);
    let rejected = Outcome::Rejected(ReasonCode::QUOTA_EXCEEDED);
    assert_eq!(raw.outcome(token), Some(rejected));
    assert_eq!(raw.lines(), Vec::<String>::new());
    raw.feed_ack(PacketType::PubRec, number);
    assert_eq!(raw.lines(), [format!("PUBREL {number} 0x92")]);
    raw.feed_ack(PacketType::PubComp, number);
    assert_eq!(raw.session.phase(), Phase::Connected);
    assert_eq!(raw.session.stats().unexpected, 2);
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), Vec::<String>::new());
}

#[test]
fn the_same_identifier_again_before_pubrel_is_one_message_whatever_dup_and_content_say() {
    for version in VERSIONS {
        let mut raw = Raw::connected(lasting(version));
        raw.feed_publish("a", exactly_once(9), b"first");
        raw.feed_publish("a", again(id(9)), b"first");
        raw.feed_publish("a", exactly_once(9), b"another");
        assert_eq!(raw.take_and_ack(), b"first");
        assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
        for dup in [false, true, false] {
            let flow = Flow::ExactlyOnce { id: id(9), dup };
            raw.feed_publish("b", flow, b"another");
        }
        assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
        let lines = raw.lines();
        assert!(lines.iter().all(|line| line == "PUBREC 9"), "{lines:?}");
        assert_eq!(raw.session.stats().duplicates, 5);
    }
}

#[test]
fn pubrels_that_never_come_for_any_identifier_fill_the_window_and_then_end_the_connection() {
    let mut limits = Limits::default();
    limits.receive_maximum = NonZeroU16::MAX;
    let mut raw = Raw::connected(lasting(Version::V5).limits(limits));
    for number in 1..=65_535 {
        raw.feed_publish("a", exactly_once(number), b"");
        raw.take_and_ack();
    }
    assert_eq!(raw.session.phase(), Phase::Connected);
    assert_eq!(raw.packets().len(), 65_535);
    // All are recorded: each is a duplicate now, and a bit of memory.
    for number in [1, 40_000, 65_535] {
        raw.feed_publish("a", again(id(number)), b"");
    }
    assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
    // With a narrower window the one beyond it is answered with 0x93.
    let mut raw = Raw::connected(lasting(Version::V5));
    let max = Limits::default().receive_maximum.get();
    for number in 1..=max {
        raw.feed_publish("a", exactly_once(number), b"");
        raw.take_and_ack();
    }
    raw.packets();
    raw.feed_publish("a", exactly_once(max + 1), b"");
    assert_eq!(raw.lines(), ["DISCONNECT 0x93"]);
    let error = raw.last_loss();
    let exceeded = matches!(
        error,
        ConnectionError::Protocol {
            violation: Violation::ReceiveMaximum { max: told },
            ..
        } if told == max
    );
    assert!(exceeded, "{error}");
    assert_next_is_clean(&mut raw, true);
}

#[test]
fn a_pubrel_after_a_reconnect_is_answered_for_what_was_recorded_before_it() {
    for version in VERSIONS {
        let mut raw = Raw::connected(lasting(version));
        raw.feed_publish("a", exactly_once(9), b"x");
        raw.take_and_ack();
        raw.packets();
        for _ in 0..2 {
            raw.reconnect(true, NONE);
            raw.packets();
            raw.feed_publish("a", again(id(9)), b"x");
            assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
            assert_eq!(raw.lines(), ["PUBREC 9"]);
        }
        raw.feed_ack(PacketType::PubRel, 9);
        assert_eq!(raw.lines(), ["PUBCOMP 9"]);
    }
}
