//! SUBACK and UNSUBACK, whose codes are a list. Whether there are as many as filters only a session knows.

use super::*;

#[test]
fn without_a_code() {
    for version in VERSIONS {
        let bytes = if version == Version::V5 {
            "90 03 0007 00"
        } else {
            "90 02 0007"
        };
        is_refused_in(
            version,
            bytes,
            DecodeError::NoEntries {
                packet: PacketType::SubAck,
            },
            PROTOCOL,
        );
        is_refused_in(version, "90 00", truncated("packet identifier"), MALFORMED);
        is_refused_in(
            version,
            "90 01 00",
            truncated("packet identifier"),
            MALFORMED,
        );
        is_refused_in(
            version,
            "B0 01 00",
            truncated("packet identifier"),
            MALFORMED,
        );
    }
    is_refused(
        "B0 03 0007 00",
        DecodeError::NoEntries {
            packet: PacketType::UnsubAck,
        },
        PROTOCOL,
    );
    is_refused("90 02 0007", truncated("property length"), MALFORMED);
    is_refused("B0 02 0007", truncated("property length"), MALFORMED);
}

#[test]
fn with_a_packet_identifier_of_zero() {
    for version in VERSIONS {
        let bytes = if version == Version::V5 {
            ["90 04 0000 00 00", "B0 04 0000 00 00"]
        } else {
            ["90 03 0000 00", "B0 02 0000"]
        };
        for bytes in bytes {
            is_refused_in(version, bytes, DecodeError::ZeroPacketId, PROTOCOL);
        }
    }
}

#[test]
fn with_reserved_codes() {
    let sender = Sender::Server;
    for code in [0x03, 0x04, 0x7F, 0x81, 0xFE, 0xFF] {
        for (packet, first) in [(PacketType::SubAck, "90"), (PacketType::UnsubAck, "B0")] {
            let error = DecodeError::BadReasonCode {
                packet,
                sender,
                code,
            };
            is_refused(
                &format!("{first} 05 0007 00 00 {code:02X}"),
                error,
                PROTOCOL,
            );
            is_refused(
                &format!("{first} 05 0007 00 {code:02X} 00"),
                error,
                PROTOCOL,
            );
        }
        for version in [Version::V3_1, Version::V3_1_1] {
            let error = DecodeError::BadReasonCode {
                packet: PacketType::SubAck,
                sender,
                code,
            };
            is_refused_in(
                version,
                &format!("90 04 0007 00 {code:02X}"),
                error,
                PROTOCOL,
            );
        }
    }
    for version in [Version::V3_1, Version::V3_1_1] {
        let error = DecodeError::TrailingBytes {
            packet: PacketType::UnsubAck,
            extra: 1,
        };
        is_refused_in(version, "B0 03 0007 00", error, MALFORMED);
    }
}

#[test]
fn a_suback_takes_no_more_memory_than_its_codes() {
    let codes = vec![0; 100_000];
    let bytes = crate::common::frame(0x90, &[&[0, 7], &codes[..]].concat());
    let mqtt_proto::Packet::SubAck(suback) =
        crate::common::accepts(Version::V3_1_1, Sender::Server, &bytes)
    else {
        panic!("no SUBACK")
    };
    assert_eq!(suback.codes.len(), 100_000);
    assert!(
        suback.codes.capacity() <= 2 * 100_000,
        "{}",
        suback.codes.capacity()
    );
}
