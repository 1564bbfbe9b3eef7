//! Entries 13 and 14: packet identifiers and the count of messages in flight, over lost sessions and reconnects.

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use mqtt_session::proto::{Packet, PacketType, Properties, QoS, Version};
use mqtt_session::{Cause, Limits, Outcome, QueueId};

use crate::pair::VERSIONS;
use crate::pair::raw::Raw;
use crate::{NONE, assert_all_given_back, assert_next_is_clean, ids, lasting};

fn at_most(max: u16) -> Properties {
    let max = NonZeroU16::new(max).expect("not 0");
    Properties::builder()
        .receive_maximum(max)
        .build()
        .expect("good properties")
}

#[test]
fn identifiers_do_not_collide_when_the_session_is_lost_with_some_in_use_and_the_session_is_not_stuck()
 {
    for version in [Version::V3_1_1, Version::V5] {
        let mut raw = Raw::connected(lasting(version));
        let mut tokens: Vec<_> = (0..20)
            .map(|n| raw.publish([QoS::AtLeastOnce, QoS::ExactlyOnce][n % 2], b""))
            .collect();
        for _ in 0..10 {
            // Every third is answered; the rest is in use when the session is lost.
            let sent = published(&mut raw);
            assert!(!sent.is_empty());
            for (id, qos) in sent.into_iter().step_by(3) {
                finish(&mut raw, id, qos);
            }
            raw.reconnect(false, NONE);
            tokens.push(raw.publish(QoS::AtLeastOnce, b""));
        }
        let sent = published(&mut raw);
        let distinct: BTreeSet<_> = sent.iter().map(|(id, _)| *id).collect();
        assert_eq!(distinct.len(), sent.len(), "no identifier twice");
        for (id, qos) in sent {
            finish(&mut raw, id, qos);
        }
        for token in tokens {
            assert!(raw.outcome(token).is_some_and(|o| o.is_success()));
        }
        assert_all_given_back(&raw);
    }
}

#[test]
fn a_subscribe_after_a_reconnect_does_not_take_the_identifier_of_a_message_that_is_sent_again() {
    for version in VERSIONS {
        let mut raw = Raw::connected(lasting(version));
        for _ in 0..50 {
            raw.publish(QoS::AtLeastOnce, b"");
        }
        let published = raw.packets().len();
        assert!(published > 1);
        for _ in 0..3 {
            raw.reconnect(true, NONE);
            raw.subscribe("a", QueueId::DEFAULT);
            let mut all = ids(&raw.lines());
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "{version}");
        }
    }
}

#[test]
fn the_count_of_messages_in_flight_begins_anew_with_each_connection() {
    for present in [true, false] {
        let mut raw = Raw::connected_with(lasting(Version::V5), at_most(3));
        let tokens: Vec<_> = (0..9).map(|_| raw.publish(QoS::AtLeastOnce, b"")).collect();
        for _ in 0..5 {
            assert_eq!(raw.packets().len(), 3, "the whole window is there again");
            raw.reconnect(present, at_most(3));
        }
        for _ in 0..3 {
            let sent = ids(&raw.lines());
            assert_eq!(sent.len(), 3);
            sent.into_iter()
                .for_each(|id| raw.feed_ack(PacketType::PubAck, id));
        }
        for token in tokens {
            assert!(raw.outcome(token).is_some_and(|o| o.is_success()));
        }
        assert_all_given_back(&raw);
    }
}

#[test]
fn with_every_identifier_in_use_messages_wait_without_spinning_and_the_next_connection_goes_on() {
    let mut limits = Limits::default();
    limits.max_in_flight = NonZeroU16::MAX;
    limits.max_queued = 100_000;
    let mut raw = Raw::connected(lasting(Version::V5).limits(limits));
    for _ in 0..65_600 {
        raw.publish(QoS::AtLeastOnce, b"");
    }
    assert_eq!(raw.packets().len(), 65_535);
    // Nothing to write, and nothing to do before the keep-alive.
    assert!(!raw.session.has_transmit() && !raw.session.has_action());
    assert!(raw.session.poll_timeout().is_some_and(|at| at > raw.now));
    raw.reconnect(true, NONE);
    for count in [65_535, 65] {
        let sent = published(&mut raw);
        assert_eq!(sent.len(), count);
        for (id, qos) in sent {
            finish(&mut raw, id, qos);
        }
    }
    assert_eq!(raw.session.publish_capacity().messages, 100_000);
    raw.closed(Cause::Eof);
    assert_next_is_clean(&mut raw, true);
}

#[test]
fn a_message_whose_identifier_was_lost_with_its_session_is_not_ended_by_a_late_answer_to_another() {
    let mut raw = Raw::connected(lasting(Version::V5));
    let first = raw.publish(QoS::ExactlyOnce, b"first");
    let id = ids(&raw.lines())[0];
    raw.feed_ack(PacketType::PubRec, id);
    raw.reconnect(false, NONE);
    let acknowledged = Outcome::Acknowledged {
        reason: mqtt_session::proto::ReasonCode::SUCCESS,
        republished: false,
        completed: false,
    };
    assert_eq!(raw.outcome(first), Some(acknowledged));
    raw.packets();
    // The server finishes what it should have forgotten: nothing waits for it.
    raw.feed_ack(PacketType::PubComp, id);
    assert_eq!(raw.session.stats().unexpected, 1);
    assert_eq!(raw.lines(), Vec::<String>::new());
    let second = raw.publish(QoS::ExactlyOnce, b"second");
    assert_eq!(raw.outcome(second), None);
}

/// The messages that the session wrote since the last look.
fn published(raw: &mut Raw) -> Vec<(u16, QoS)> {
    let packets = raw.packets();
    let publishes = packets.iter().filter_map(|packet| match packet {
        Packet::Publish(publish) => Some((publish.packet_id()?.get(), publish.qos())),
        _ => None,
    });
    publishes.collect()
}

fn finish(raw: &mut Raw, id: u16, qos: QoS) {
    if qos == QoS::ExactlyOnce {
        raw.feed_ack(PacketType::PubRec, id);
        raw.feed_ack(PacketType::PubComp, id);
    } else {
        raw.feed_ack(PacketType::PubAck, id);
    }
}
