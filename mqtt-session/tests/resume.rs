//! What a reconnect does to messages in flight and to subscriptions: with the session, and without it.

mod pair;

use std::time::Duration;

use mqtt_session::proto::{Packet, Publish};
use mqtt_session::proto::{PacketType, Properties, QoS, ReasonCode, Version};
use mqtt_session::{ConfigBuilder, Limits, Outcome, PublishRefused, SessionLost};
use mqtt_testkit::Direction;
use pair::raw::Raw;
use pair::{ACKNOWLEDGED, Pair, QOS, VERSIONS, config, message, numbers};

const NONE: Properties = Properties::new();

/// A configuration whose session outlives a connection in each version.
fn lasting(version: Version) -> ConfigBuilder {
    config(version).clean_start(false)
}

/// Packet identifiers that begin at 1.
fn from_one(version: Version) -> ConfigBuilder {
    config(version)
}

#[test]
fn with_the_session_pubrels_go_first_then_publishes_with_dup_and_their_identifiers_then_what_is_new()
 {
    let mut raw = Raw::connected(from_one(Version::V5));
    for (qos, payload) in [
        QoS::ExactlyOnce,
        QoS::AtLeastOnce,
        QoS::ExactlyOnce,
        QoS::ExactlyOnce,
    ]
    .into_iter()
    .zip(numbers(0..4))
    {
        raw.publish(qos, &payload);
    }
    raw.packets();
    // The PUBRECs come in another order than the messages went.
    raw.feed_ack(PacketType::PubRec, 4);
    raw.feed_ack(PacketType::PubRec, 1);
    assert_eq!(raw.lines(), ["PUBREL 4", "PUBREL 1"]);
    raw.closed(mqtt_session::Cause::Eof);
    let new = raw.publish(QoS::AtLeastOnce, b"new");
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, NONE);
    assert_eq!(
        raw.lines(),
        [
            "PUBREL 4",
            "PUBREL 1",
            "PUBLISH 2 DUP",
            "PUBLISH 3 DUP",
            "PUBLISH 5"
        ]
    );
    assert_eq!(raw.session.stats().resent, 2);
    assert_eq!(raw.session.stats().republished, 0);
    raw.feed_ack(PacketType::PubAck, 5);
    assert_eq!(raw.outcome(new), Some(ACKNOWLEDGED));
}

#[test]
fn without_the_session_messages_are_published_anew_without_dup_in_their_order_ahead_of_what_was_unsent()
 {
    for version in [Version::V3_1_1, Version::V5] {
        let mut raw = Raw::connected(from_one(version));
        let first = raw.publish(QoS::AtLeastOnce, b"1");
        let second = raw.publish(QoS::ExactlyOnce, b"2");
        let recorded = raw.publish(QoS::ExactlyOnce, b"3");
        raw.packets();
        raw.feed_ack(PacketType::PubRec, 3);
        raw.packets();
        raw.closed(mqtt_session::Cause::ConnectionReset);
        let third = raw.publish(QoS::AtLeastOnce, b"4");
        raw.wait_for_dial();
        raw.open();
        raw.accept(false, NONE);
        let packets = raw.packets();
        let sent: Vec<_> = packets
            .iter()
            .map(|packet| match packet {
                Packet::Publish(publish) => (publish.payload().to_vec(), publish.dup()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            sent,
            [
                (b"1".to_vec(), false),
                (b"2".to_vec(), false),
                (b"4".to_vec(), false)
            ]
        );
        let incomplete = Outcome::Acknowledged {
            reason: ReasonCode::SUCCESS,
            republished: false,
            completed: false,
        };
        assert_eq!(raw.outcome(recorded), Some(incomplete));
        assert_eq!(raw.session.stats().republished, 2);
        assert_eq!(raw.session.stats().resent, 0);
        raw.feed_ack(PacketType::PubAck, 1);
        raw.feed_ack(PacketType::PubRec, 2);
        raw.feed_ack(PacketType::PubComp, 2);
        raw.feed_ack(PacketType::PubAck, 3);
        let republished = Outcome::Acknowledged {
            reason: ReasonCode::SUCCESS,
            republished: true,
            completed: true,
        };
        assert_eq!(raw.outcome(first), Some(republished));
        assert_eq!(raw.outcome(second), Some(republished));
        assert_eq!(raw.outcome(third), Some(ACKNOWLEDGED));
    }
}

#[test]
fn a_message_that_was_published_anew_says_so_also_when_the_session_is_lost_again_after_its_pubrec()
{
    let mut raw = Raw::connected(from_one(Version::V5));
    let token = raw.publish(QoS::ExactlyOnce, b"1");
    raw.packets();
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["PUBLISH 1"]);
    raw.feed_ack(PacketType::PubRec, 1);
    raw.reconnect(false, NONE);
    let outcome = Outcome::Acknowledged {
        reason: ReasonCode::SUCCESS,
        republished: true,
        completed: false,
    };
    assert_eq!(raw.outcome(token), Some(outcome));
}

#[test]
fn as_configured_messages_in_flight_fail_when_the_session_is_lost_and_unsent_ones_do_not() {
    let mut raw = Raw::connected(from_one(Version::V5).session_lost(SessionLost::Fail));
    let in_flight: Vec<_> = [QoS::AtLeastOnce, QoS::ExactlyOnce]
        .map(|qos| raw.publish(qos, b""))
        .into();
    raw.packets();
    raw.closed(mqtt_session::Cause::Eof);
    let unsent = raw.publish(QoS::AtLeastOnce, b"");
    raw.wait_for_dial();
    raw.open();
    raw.accept(false, NONE);
    assert_eq!(raw.lines(), ["PUBLISH 1"]);
    for token in in_flight {
        assert_eq!(raw.outcome(token), Some(Outcome::SessionLost));
    }
    raw.feed_ack(PacketType::PubAck, 1);
    assert_eq!(raw.outcome(unsent), Some(ACKNOWLEDGED));
}

#[test]
fn a_qos_0_message_of_which_no_byte_had_left_goes_back_to_the_queue_and_one_of_which_a_part_had_is_lost()
 {
    let mut raw = Raw::connected(config(Version::V5));
    let mut out = mqtt_session::proto::Outbox::new();
    let tokens: Vec<_> = (0..3u8)
        .map(|n| raw.publish(QoS::AtMostOnce, &[n; 10]))
        .collect();
    raw.session.poll_transmit(raw.now, &mut out);
    // All of the first message, and one byte of the second.
    raw.session.handle_written(raw.now, out.len() / 3 + 1);
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), ["PUBLISH"]);
    let outcomes: Vec<_> = tokens.into_iter().map(|token| raw.outcome(token)).collect();
    assert_eq!(
        outcomes,
        [
            Some(Outcome::Written),
            Some(Outcome::ConnectionLost),
            Some(Outcome::Written)
        ]
    );
}

#[test]
fn a_qos_0_message_that_the_driver_had_not_taken_survives_an_error_of_the_server() {
    let mut raw = Raw::connected(config(Version::V5));
    let token = raw.publish(QoS::AtMostOnce, b"payload");
    // Reserved: the session discards what it has encoded, and says DISCONNECT instead.
    raw.bytes_in(&[0x00, 0x00]);
    assert_eq!(raw.lines(), ["DISCONNECT 0x81"]);
    raw.hang_up();
    assert_eq!(raw.outcome(token), None);
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, NONE);
    assert_eq!(raw.lines(), ["PUBLISH"]);
    assert_eq!(raw.outcome(token), Some(Outcome::Written));
}

#[test]
fn what_a_later_server_does_not_take_ends_as_refused_and_names_the_limit() {
    let mut raw = Raw::connected(config(Version::V5));
    let retained = raw
        .offer(QoS::AtLeastOnce, message("a", b"x").with_retain(true))
        .expect("accepted");
    let large = raw.publish(QoS::AtLeastOnce, &[0; 100]);
    let small = raw.publish(QoS::AtLeastOnce, b"x");
    raw.packets();
    raw.closed(mqtt_session::Cause::Eof);
    let queued = raw.publish(QoS::ExactlyOnce, b"x");
    let limits = Properties::builder()
        .retain_available(false)
        .maximum_qos(true)
        .maximum_packet_size(50u32.try_into().expect("not 0"))
        .build()
        .expect("good properties");
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, limits);
    assert_eq!(raw.lines(), ["PUBLISH 3 DUP"]);
    assert_eq!(
        raw.outcome(retained),
        Some(Outcome::Refused(PublishRefused::RetainNotAvailable))
    );
    assert!(matches!(
        raw.outcome(large),
        Some(Outcome::Refused(PublishRefused::Encode(_)))
    ));
    let refused = PublishRefused::QoSNotSupported {
        max: QoS::AtLeastOnce,
    };
    assert_eq!(raw.outcome(queued), Some(Outcome::Refused(refused)));
    raw.feed_ack(PacketType::PubAck, 3);
    assert_eq!(raw.outcome(small), Some(ACKNOWLEDGED));
}

#[test]
fn mixed_messages_both_ways_survive_a_cut_after_any_byte_in_either_direction() {
    for version in VERSIONS {
        for direction in Direction::BOTH {
            for cut_after in 0..150 {
                let mut pair = Pair::connected(lasting(version));
                for qos in QOS {
                    pair.subscribe(&format!("down/{}", qos.as_u8()), qos);
                }
                pair.run();
                pair.link().cut_after(direction, cut_after);
                let mut tokens = Vec::new();
                for (n, payload) in numbers(0..12).into_iter().enumerate() {
                    let qos = QOS[n % 3];
                    tokens.push((
                        pair.publish(&format!("up/{}", qos.as_u8()), qos, &payload),
                        qos,
                    ));
                    let publish = message(&format!("down/{}", qos.as_u8()), &payload);
                    pair.broker.publish(pair.clock.now(), &publish, qos);
                }
                pair.run();
                let mut taken = pair.take_all();
                pair.run_for(Duration::from_secs(5));
                taken.extend(pair.take_all());
                let case = format!(
                    "{version} {direction:?} cut after {cut_after}\n{}",
                    pair.broker.ladder()
                );
                for (token, qos) in tokens {
                    let outcome = pair.outcome(token).expect(&case);
                    let lost = qos == QoS::AtMostOnce && outcome == Outcome::ConnectionLost;
                    assert!(outcome.is_success() || lost, "{qos} {outcome:?} {case}");
                }
                for (what, got) in [("up", pair.accepted()), ("down", taken)] {
                    for (qos, n) in (0..12u32).map(|n| (QOS[n as usize % 3], n)) {
                        let count = got
                            .iter()
                            .filter(|payload| **payload == n.to_be_bytes())
                            .count();
                        let good = match qos {
                            QoS::AtMostOnce => count <= 1,
                            QoS::AtLeastOnce => count >= 1,
                            QoS::ExactlyOnce => count == 1,
                        };
                        assert!(good, "{what} {qos} {n}: {count} times, {case}");
                    }
                }
                pair.check();
            }
        }
    }
}

#[test]
fn messages_survive_several_cuts_in_a_row_in_their_order() {
    for version in VERSIONS {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for bytes in [1, 7, 20, 33, 60] {
                let mut pair = Pair::connected(lasting(version));
                let sent: Vec<_> = numbers(0..20).into();
                for payload in &sent {
                    pair.publish("a", qos, payload);
                }
                for cut in 0..6 {
                    let direction = Direction::BOTH[cut % 2];
                    // CONNECT and CONNACK always pass.
                    let passed = if direction == Direction::ToBroker {
                        40
                    } else {
                        10
                    };
                    pair.link().cut_after(direction, bytes + passed);
                    pair.run_for(Duration::from_secs(130));
                }
                pair.on_open = |_| {};
                pair.run_for(Duration::from_secs(130));
                let mut accepted = pair.accepted();
                if qos == QoS::AtLeastOnce {
                    let mut firsts: Vec<Vec<u8>> = Vec::new();
                    accepted.retain(|payload| {
                        let first = !firsts.contains(payload);
                        firsts.push(payload.clone());
                        first
                    });
                }
                assert_eq!(
                    accepted,
                    sent,
                    "{version} {qos} {bytes}\n{}",
                    pair.broker.ladder()
                );
                pair.check();
            }
        }
    }
}

#[test]
fn nothing_is_resent_before_connack() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.publish(QoS::AtLeastOnce, b"1");
    raw.packets();
    raw.closed(mqtt_session::Cause::Eof);
    raw.wait_for_dial();
    raw.open();
    raw.offer(
        QoS::AtMostOnce,
        Publish::new("a".try_into().expect("a topic"), "x"),
    )
    .expect("accepted");
    assert_eq!(raw.lines(), Vec::<String>::new());
}

/// [MQTT-4.6.0-4]
#[test]
fn pubrels_are_sent_again_in_the_order_in_which_their_pubrecs_came() {
    let mut raw = Raw::connected(config(Version::V5));
    for payload in [b"1", b"2", b"3"] {
        raw.publish(QoS::ExactlyOnce, payload);
    }
    raw.packets();
    for number in [3, 1, 2] {
        raw.feed_ack(PacketType::PubRec, number);
    }
    let order = ["PUBREL 3", "PUBREL 1", "PUBREL 2"];
    assert_eq!(raw.lines(), order);
    raw.reconnect(true, Properties::new());
    assert_eq!(raw.lines(), order);
}

#[test]
fn what_is_sent_again_leaves_as_fast_as_it_is_written_and_to_the_last() {
    let mut limits = Limits::default();
    limits.outbox_bytes = 1000;
    let mut raw = Raw::connected(config(Version::V5).limits(limits));
    for qos in [QoS::ExactlyOnce, QoS::AtLeastOnce].repeat(3) {
        raw.publish(qos, &[7; 900]);
    }
    raw.poll();
    for number in [1, 3] {
        raw.feed_ack(PacketType::PubRec, number);
    }
    raw.packets();
    raw.reconnect(true, Properties::new());
    let lines = raw.lines();
    assert_eq!(lines[..2], ["PUBREL 1", "PUBREL 3"]);
    assert_eq!(lines.len(), 6, "{lines:?}");
}

#[test]
fn a_message_counts_as_acknowledged_once_with_puback_or_pubrec() {
    let mut raw = Raw::connected(config(Version::V5));
    let acknowledged = |raw: &Raw| raw.session.stats().acknowledged;
    raw.publish(QoS::ExactlyOnce, b"");
    raw.publish(QoS::AtLeastOnce, b"");
    assert_eq!(raw.lines(), ["PUBLISH 1", "PUBLISH 2"]);
    for (packet, number, count) in [
        (PacketType::PubRec, 1, 1),
        (PacketType::PubRec, 1, 1),
        (PacketType::PubAck, 2, 2),
        (PacketType::PubComp, 1, 2),
    ] {
        raw.feed_ack(packet, number);
        assert_eq!(acknowledged(&raw), count, "{packet} {number}");
    }
}
