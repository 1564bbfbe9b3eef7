//! Bytes and states of a server that broke other clients: what is answered, what is said about it, and that the next connection
//! is clean.

mod pair;

use std::time::Duration;

use mqtt_session::proto::{Packet, PacketType, Properties, QoS, ReasonCode, SubAck, Version};
use mqtt_session::{Cause, ConnectionError, Fault, Limits, Outcome, Phase, QueueId};
use mqtt_testkit::Rng;
use pair::raw::{Raw, at_least_once, exactly_once, id};
use pair::{ACKNOWLEDGED, VERSIONS, config};

const NONE: Properties = Properties::new();

/// After the connection has ended, the next one works as if nothing had been.
fn check_next_connection(raw: &mut Raw, case: &str) {
    assert!(raw.input.is_empty(), "{case}");
    raw.hang_up();
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, NONE);
    assert_eq!(raw.session.phase(), Phase::Connected, "{case}");
    raw.packets();
    let token = raw.publish(QoS::AtMostOnce, b"");
    assert_eq!(raw.outcome(token), Some(Outcome::Written), "{case}");
    raw.feed_publish("a", at_least_once(1), b"x");
    assert_eq!(raw.take_and_ack(), b"x", "{case}");
}

/// These bytes end the connection: in 5.0 with this reason, in 3.x without a word.
fn refuses(version: Version, bytes: &[u8], reason: u8, case: &str) {
    // In one piece, and byte by byte.
    for piece in [bytes.len().max(1), 1] {
        let mut raw = Raw::connected(config(version).clean_start(false));
        raw.subscribe("a", QueueId::DEFAULT);
        raw.packets();
        for piece in bytes.chunks(piece) {
            raw.bytes_in(piece);
        }
        let case = format!("{version}: {case}");
        let mut losses = raw.losses();
        assert_eq!(losses.len(), 1, "{case}");
        let (error, retry_in) = losses.remove(0);
        assert!(retry_in.is_some(), "{case}");
        assert_eq!(error.fault(), Fault::Peer, "{case}: {error}");
        let expected: &[String] = if version.is_v5() {
            &[format!("DISCONNECT 0x{reason:02X}")]
        } else {
            &[]
        };
        assert_eq!(raw.lines(), expected, "{case}: {error}");
        check_next_connection(&mut raw, &case);
    }
}

#[test]
fn malformed_packets_end_the_connection_in_every_version() {
    let cases: &[(&[u8], &str)] = &[
        (
            &[0x30, 3, 0xFF, 0xFF, b'a'],
            "a topic longer than the packet",
        ),
        (
            &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
            "a length of five bytes",
        ),
        (&[0x00, 0], "type 0"),
        (&[0x36, 6, 0, 1, b'a', 0, 1, 0], "QoS 3"),
        (&[0x31 | 0x08, 4, 0, 1, b'a', 0], "DUP at QoS 0"),
        (&[0x32, 6, 0, 1, b'a', 0, 0, 0], "packet identifier 0"),
        (&[0x30, 4, 0, 1, b'+', 0], "a wildcard in a topic name"),
        (&[0x30, 4, 0, 1, 0, 0], "U+0000 in a topic name"),
        (&[0x30, 6, 0, 3, 0xED, 0xA0, 0x80, 0], "a surrogate"),
        (&[0x41, 2, 0, 1], "reserved flags on PUBACK"),
        (&[0x60, 2, 0, 1], "PUBREL without its flags"),
        (&[0xD1, 0], "reserved flags on PINGRESP"),
        (&[0xD0, 1, 0], "PINGRESP with a body"),
        (&[0x40, 1, 0], "PUBACK of one byte"),
    ];
    for version in VERSIONS {
        for (bytes, case) in cases {
            let mut raw = Raw::connected(config(version));
            raw.bytes_in(bytes);
            let error = raw.last_loss();
            let ConnectionError::Decode { error, .. } = &error else {
                panic!("{case}: {error:?}")
            };
            refuses(version, bytes, error.reason().0, case);
        }
    }
}

#[test]
fn the_reason_is_malformed_packet_protocol_error_or_what_the_specification_names() {
    let cases: &[(&[u8], u8, &str)] = &[
        (
            &[0x30, 3, 0xFF, 0xFF, b'a'],
            0x81,
            "a topic longer than the packet",
        ),
        (
            &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
            0x81,
            "a length of five bytes",
        ),
        (&[0x36, 6, 0, 1, b'a', 0, 1, 0], 0x81, "QoS 3"),
        (
            &[0x30, 0xFF, 0xFF, 0xFF, 0x7F],
            0x95,
            "a length of 268,435,455",
        ),
        (
            &[0x30, 7, 0, 1, b'a', 3, 0x23, 0, 17],
            0x94,
            "a topic alias above our maximum",
        ),
        (&[0x30, 7, 0, 1, b'a', 3, 0x23, 0, 0], 0x94, "topic alias 0"),
        (
            &[0x30, 6, 0, 0, 3, 0x23, 0, 5],
            0x82,
            "a topic alias that stands for nothing yet",
        ),
        (&[0x30, 3, 0, 0, 0], 0x82, "an empty topic without an alias"),
        (&[0x20, 3, 0, 0, 0], 0x82, "CONNACK twice"),
        (&[0xF0, 0], 0x82, "AUTH unasked"),
    ];
    for (bytes, reason, case) in cases {
        refuses(Version::V5, bytes, *reason, case);
    }
}

#[test]
fn packets_that_only_a_client_may_send_end_the_connection() {
    let cases: &[(&[u8], &str)] = &[
        (
            &[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, 0],
            "CONNECT",
        ),
        (&[0x82, 6, 0, 1, 0, 1, b'a', 0], "SUBSCRIBE"),
        (&[0xA2, 5, 0, 1, 0, 1, b'a'], "UNSUBSCRIBE"),
        (&[0xC0, 0], "PINGREQ"),
    ];
    for version in VERSIONS {
        for (bytes, case) in cases {
            refuses(version, bytes, 0x82, case);
        }
    }
    // Only a 5.0 server says DISCONNECT, and type 15 is reserved before.
    for version in [Version::V3_1, Version::V3_1_1] {
        refuses(version, &[0xE0, 0], 0, "DISCONNECT");
        refuses(version, &[0xF0, 0], 0, "type 15");
    }
}

#[test]
fn a_suback_with_too_few_too_many_or_reserved_codes_ends_the_connection() {
    // Answers for the one SUBSCRIBE under way, whose identifier depends on the seed.
    for version in VERSIONS {
        for codes in [&[][..], &[0, 0], &[0x03], &[0x7F]] {
            let mut raw = Raw::connected(config(version).clean_start(false));
            raw.subscribe("a", QueueId::DEFAULT);
            let line = raw.lines().remove(0);
            let number: u16 = line
                .split(' ')
                .nth(1)
                .and_then(|id| id.parse().ok())
                .expect("an identifier");
            let mut body = number.to_be_bytes().to_vec();
            body.extend(version.is_v5().then_some(0));
            body.extend(codes);
            let mut bytes = vec![0x90, body.len() as u8];
            bytes.extend(body);
            raw.bytes_in(&bytes);
            assert_eq!(raw.session.phase(), Phase::Closing, "{version} {codes:?}");
            assert_eq!(raw.last_loss().fault(), Fault::Peer);
            check_next_connection(&mut raw, "codes");
        }
    }
}

#[test]
fn acknowledgements_of_the_wrong_kind_are_protocol_errors() {
    use PacketType::{PubAck, PubComp, PubRec};
    for version in VERSIONS {
        for (qos, wrong) in [
            (QoS::ExactlyOnce, PubAck),
            (QoS::ExactlyOnce, PubComp),
            (QoS::AtLeastOnce, PubRec),
            (QoS::AtLeastOnce, PubComp),
        ] {
            let mut raw = Raw::connected(config(version).clean_start(false));
            let token = raw.publish(qos, b"");
            let packets = raw.lines();
            let number: u16 = packets[0]
                .split(' ')
                .nth(1)
                .and_then(|id| id.parse().ok())
                .expect("an id");
            raw.feed_ack(wrong, number);
            let text = format!(
                "192.0.2.1:1883 broke the protocol: {wrong} came for the packet identifier {number}, which waits for another packet"
            );
            assert_eq!(raw.last_loss().to_string(), text);
            let expected: &[&str] = if version.is_v5() {
                &["DISCONNECT 0x82"]
            } else {
                &[]
            };
            assert_eq!(raw.lines(), expected);
            assert_eq!(raw.outcome(token), None, "it is resent");
            check_next_connection(&mut raw, "the wrong acknowledgement");
        }
    }
}

#[test]
fn acknowledgements_for_identifiers_that_are_not_in_use_are_counted_and_change_nothing() {
    for version in VERSIONS {
        let mut raw = Raw::connected(config(version));
        let token = raw.publish(QoS::AtLeastOnce, b"");
        raw.packets();
        raw.feed_ack(PacketType::PubAck, 9);
        raw.feed_ack(PacketType::PubComp, 9);
        assert_eq!(raw.lines(), Vec::<String>::new());
        raw.feed_ack(PacketType::PubRec, 9);
        let pubrel = if version.is_v5() {
            "PUBREL 9 0x92"
        } else {
            "PUBREL 9"
        };
        assert_eq!(raw.lines(), [pubrel]);
        assert_eq!(raw.session.stats().unexpected, 3);
        raw.feed(&Packet::SubAck(SubAck {
            id: id(9),
            codes: vec![ReasonCode::SUCCESS],
            properties: Properties::new(),
        }));
        assert_eq!(raw.session.stats().unexpected, 4);
        raw.feed_ack(PacketType::PubAck, 1);
        raw.feed_ack(PacketType::PubAck, 1);
        assert_eq!(raw.outcome(token), Some(ACKNOWLEDGED));
        assert_eq!(raw.session.phase(), Phase::Connected);
    }
}

#[test]
fn a_pubrec_with_an_error_after_a_good_one_ends_the_exchange_without_another_pubrel() {
    let mut raw = Raw::connected(config(Version::V5));
    let token = raw.publish(QoS::ExactlyOnce, b"x");
    raw.feed_ack(PacketType::PubRec, 1);
    raw.packets();
    // The identifier is free with it [MQTT-4.3.3-9]; the message was taken before.
    raw.feed_ack_with(PacketType::PubRec, 1, ReasonCode::UNSPECIFIED_ERROR);
    assert_eq!(raw.lines(), Vec::<String>::new());
    assert_eq!(raw.outcome(token), Some(ACKNOWLEDGED));
    raw.publish(QoS::ExactlyOnce, b"y");
    raw.feed_ack(PacketType::PubRec, 1);
    assert_eq!(raw.session.phase(), Phase::Connected);
}

#[test]
fn pubrec_twice_is_answered_with_pubrel_twice() {
    let mut raw = Raw::connected(config(Version::V5));
    let token = raw.publish(QoS::ExactlyOnce, b"");
    raw.packets();
    raw.feed_ack(PacketType::PubRec, 1);
    raw.feed_ack(PacketType::PubRec, 1);
    assert_eq!(raw.lines(), ["PUBREL 1", "PUBREL 1"]);
    raw.feed_ack(PacketType::PubComp, 1);
    assert_eq!(raw.outcome(token), Some(ACKNOWLEDGED));
}

#[test]
fn acknowledgements_of_5_0_are_taken_in_their_short_and_long_forms() {
    for bytes in [
        &[0x40, 2, 0, 1][..],
        &[0x40, 3, 0, 1, 0x10],
        &[0x40, 4, 0, 1, 0x10, 0],
    ] {
        let mut raw = Raw::connected(config(Version::V5));
        let token = raw.publish(QoS::AtLeastOnce, b"");
        raw.packets();
        raw.bytes_in(bytes);
        assert!(
            raw.outcome(token)
                .is_some_and(|outcome| outcome.is_success()),
            "{bytes:?}"
        );
    }
    for bytes in [&[0xE0, 0][..], &[0xE0, 1, 0x8B]] {
        let mut raw = Raw::connected(config(Version::V5));
        raw.bytes_in(bytes);
        assert!(
            matches!(raw.last_loss(), ConnectionError::Disconnected { .. }),
            "{bytes:?}"
        );
    }
}

#[test]
fn a_connack_cut_at_any_byte_is_awaited_and_then_taken() {
    for version in VERSIONS {
        let connack: &[u8] = if version.is_v5() {
            &[0x20, 6, 0, 0, 3, 0x21, 0, 10]
        } else {
            &[0x20, 2, 0, 0]
        };
        for cut in 0..connack.len() {
            let mut raw = Raw::new(config(version));
            raw.session.connect(raw.now);
            raw.open();
            raw.bytes_in(&connack[..cut]);
            assert_eq!(raw.session.phase(), Phase::Handshaking);
            raw.bytes_in(&connack[cut..]);
            assert_eq!(raw.session.phase(), Phase::Connected);
        }
    }
}

#[test]
fn a_connack_that_is_wrong_ends_the_attempt() {
    let cases: &[(&[u8], &str)] = &[
        (&[0x20, 3, 2, 0, 0], "reserved flags"),
        (&[0x20, 3, 1, 0x87, 0], "a refusal with a session present"),
        (&[0x20, 3, 0, 0x7E, 0], "an unknown code"),
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP"),
        (&[0x15, 3, 3, 0, 2, 2, 40], "a TLS alert"),
    ];
    for (bytes, case) in cases {
        let mut raw = Raw::new(config(Version::V5).clean_start(false));
        raw.session.start(raw.now);
        raw.open();
        raw.bytes_in(bytes);
        let error = raw.last_loss();
        assert_eq!(error.fault(), Fault::Peer, "{case}: {error}");
        check_next_connection(&mut raw, case);
    }
}

#[test]
fn a_large_length_reserves_nothing_while_the_bytes_are_withheld() {
    for version in VERSIONS {
        let mut limits = Limits::default();
        limits.max_packet_size = u32::MAX;
        let mut raw = Raw::connected(config(version).limits(limits));
        raw.bytes_in(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, b'a']);
        assert_eq!(raw.session.phase(), Phase::Connected);
        assert!(raw.input.capacity() < 64 << 10, "{}", raw.input.capacity());
        // The peer is alive as long as it answers pings, and no longer.
        raw.advance(Duration::from_secs(60));
        assert!(matches!(
            raw.last_loss(),
            ConnectionError::NoPingResp { .. }
        ));
        raw.hang_up();
        assert_eq!(raw.session.phase(), Phase::Waiting);
    }
}

#[test]
fn a_topic_of_65535_slashes_is_matched_without_harm() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.subscribe("#", QueueId::DEFAULT);
    raw.subscribe("/+/#", QueueId::DEFAULT);
    raw.packets();
    raw.feed_publish(&"/".repeat(65_535), at_least_once(1), b"x");
    assert_eq!(raw.take_and_ack(), b"x");
    assert_eq!(raw.lines(), ["PUBACK 1"]);
}

#[test]
fn qos_2_identifiers_that_are_never_released_fill_the_window_and_not_the_memory() {
    let mut raw = Raw::connected(config(Version::V5));
    for number in 1..=256 {
        raw.feed_publish("a", exactly_once(number), b"x");
        raw.take_and_ack();
    }
    assert_eq!(raw.packets().len(), 256);
    raw.feed_publish("a", exactly_once(257), b"x");
    assert_eq!(raw.lines(), ["DISCONNECT 0x93"]);
}

#[test]
fn what_comes_behind_the_packet_that_ended_the_connection_is_not_looked_at() {
    let mut raw = Raw::connected(config(Version::V5));
    let mut bytes = vec![0xE0, 1, 0x8B];
    bytes.extend([0x30, 5, 0, 1, b'a', 0, b'x'].repeat(100));
    raw.bytes_in(&bytes);
    assert!(
        matches!(raw.last_loss(), ConnectionError::Disconnected { reason, .. } if reason == ReasonCode(0x8B))
    );
    assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
    assert_eq!(raw.session.stats().received, 0);
    check_next_connection(&mut raw, "what follows DISCONNECT");
}

#[test]
fn random_bytes_end_in_an_error_or_in_nothing_and_never_in_a_panic() {
    let mut rng = Rng::new(11);
    for round in 0..3000u32 {
        let mut raw = Raw::connected(config(VERSIONS[round as usize % 3]));
        raw.publish(QoS::ExactlyOnce, b"");
        raw.subscribe("a/#", QueueId::DEFAULT);
        for _ in 0..rng.range(1, 8) {
            // Likely beginnings, so that more than the first byte is looked at.
            let mut bytes = vec![*rng.pick(&[
                0x20, 0x30, 0x32, 0x34, 0x3C, 0x40, 0x50, 0x62, 0x70, 0x90, 0xB0, 0xD0, 0xE0, 0xF0,
            ])];
            bytes.push(rng.below(12) as u8);
            bytes.extend((0..rng.below(14)).map(|_| {
                if rng.chance(2) {
                    rng.below(4) as u8
                } else {
                    rng.next_u64() as u8
                }
            }));
            raw.bytes_in(&bytes);
        }
        raw.packets();
        raw.closed(Cause::Eof);
        assert_ne!(raw.session.phase(), Phase::Connected);
    }
}

/// [MQTT-3.2.0-2]
#[test]
fn a_refusal_in_the_words_of_an_older_version_is_none_once_the_server_has_accepted() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.bytes_in(&[0x20, 2, 0, 1]);
    let error = raw.last_loss();
    assert!(matches!(error, ConnectionError::Decode { .. }), "{error:?}");
}
