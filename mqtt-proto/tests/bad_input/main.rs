//! Bytes that broke other clients: each is refused with the right error, and with the right reason code to answer with.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[path = "../common/mod.rs"]
mod common;

mod framing;
mod lists;
mod properties;
mod secrets;
mod strings;

use common::{VERSIONS, hex, refuses};
use mqtt_proto::{DecodeError, PacketType, ReasonCode, Sender, Version};

const MALFORMED: ReasonCode = ReasonCode::MALFORMED_PACKET;
const PROTOCOL: ReasonCode = ReasonCode::PROTOCOL_ERROR;

/// The server sent this, in 5.0.
#[track_caller]
fn is_refused(bytes: &str, error: DecodeError, reason: ReasonCode) {
    is_refused_in(Version::V5, bytes, error, reason);
}

#[track_caller]
fn is_refused_in(version: Version, bytes: &str, error: DecodeError, reason: ReasonCode) {
    let refused = refuses(version, Sender::Server, &hex(bytes));
    assert_eq!(refused, error, "{version}: {bytes}");
    assert_eq!(refused.reason(), reason, "{version}: {bytes}: {error:?}");
}

fn truncated(field: &'static str) -> DecodeError {
    DecodeError::Truncated { field }
}

/// CONNACK with reserved flags, with a session although it refuses, with an unknown code; what is in the wrong order only a
/// session can see.
#[test]
fn broken_answers_to_connect() {
    is_refused(
        "20 03 02 00 00",
        DecodeError::BadConnAckFlags { flags: 2 },
        MALFORMED,
    );
    is_refused(
        "20 03 80 00 00",
        DecodeError::BadConnAckFlags { flags: 0x80 },
        MALFORMED,
    );
    let (packet, sender) = (PacketType::ConnAck, Sender::Server);
    let reason = ReasonCode::NOT_AUTHORIZED;
    is_refused(
        "20 03 01 87 00",
        DecodeError::SessionPresentOnRefusal { reason },
        PROTOCOL,
    );
    for (bytes, code) in [
        ("20 03 00 01 00", 1),
        ("20 03 00 8B 00", 0x8B),
        ("20 03 00 FF 00", 0xFF),
    ] {
        is_refused(
            bytes,
            DecodeError::BadReasonCode {
                packet,
                sender,
                code,
            },
            PROTOCOL,
        );
    }
    for version in [Version::V3_1, Version::V3_1_1] {
        is_refused_in(
            version,
            "20 02 00 06",
            DecodeError::BadReasonCode {
                packet,
                sender,
                code: 6,
            },
            PROTOCOL,
        );
        is_refused_in(
            version,
            "20 02 00 80",
            DecodeError::BadReasonCode {
                packet,
                sender,
                code: 0x80,
            },
            PROTOCOL,
        );
        is_refused_in(
            version,
            "20 03 00 00 00",
            DecodeError::TrailingBytes { packet, extra: 1 },
            MALFORMED,
        );
        is_refused_in(version, "20 01 00", truncated("reason code"), MALFORMED);
    }
    is_refused_in(
        Version::V3_1_1,
        "20 02 01 05",
        DecodeError::SessionPresentOnRefusal { reason },
        PROTOCOL,
    );
    is_refused("20 00", truncated("connect acknowledge flags"), MALFORMED);
    is_refused("20 01 00", truncated("reason code"), MALFORMED);
    is_refused("20 02 00 00", truncated("property length"), MALFORMED);
}

/// Servers of other protocols on the plain port.
#[test]
fn what_is_no_mqtt_is_refused_by_its_first_bytes() {
    let tls_alert = [0x15, 3, 1, 0, 2, 2, 40];
    for version in VERSIONS {
        let text = |text: &str| refuses(version, Sender::Server, text.as_bytes());
        let flags = |packet, flags| DecodeError::BadFlags { packet, flags };
        assert_eq!(
            text("HTTP/1.1 400 Bad Request\r\n\r\n"),
            flags(PacketType::PubAck, 8)
        );
        assert_eq!(
            text("SSH-2.0-OpenSSH_9.6\r\n"),
            flags(PacketType::PubRec, 3)
        );
        assert_eq!(text("+OK POP3 ready\r\n"), flags(PacketType::ConnAck, 11));
        let wrong = DecodeError::WrongSender {
            packet: PacketType::Connect,
            sender: Sender::Server,
        };
        assert_eq!(refuses(version, Sender::Server, &tls_alert), wrong);
        assert_eq!(wrong.reason(), PROTOCOL);
    }
    // And what a server may find instead of CONNECT.
    let client = |bytes: &[u8]| refuses(Version::V5, Sender::Client, bytes);
    assert_eq!(
        client(b"GET / HTTP/1.1\r\n"),
        DecodeError::BadFlags {
            packet: PacketType::PubAck,
            flags: 7
        }
    );
    assert_eq!(
        client(&[0x16, 3, 1, 2, 0, 1]),
        DecodeError::BadFlags {
            packet: PacketType::Connect,
            flags: 6
        }
    );
}

#[test]
fn packets_of_the_other_side_are_a_protocol_error() {
    for version in VERSIONS {
        for (bytes, packet) in [
            (
                "10 0D 0004 4D515454 04 02 003C 0001 63",
                PacketType::Connect,
            ),
            ("82 06 0001 0001 66 00", PacketType::Subscribe),
            ("A2 05 0001 0001 66", PacketType::Unsubscribe),
            ("C0 00", PacketType::PingReq),
        ] {
            is_refused_in(
                version,
                bytes,
                DecodeError::WrongSender {
                    packet,
                    sender: Sender::Server,
                },
                PROTOCOL,
            );
        }
        for (bytes, packet) in [
            ("20 02 00 00", PacketType::ConnAck),
            ("90 03 0001 00", PacketType::SubAck),
            ("B0 02 0001", PacketType::UnsubAck),
            ("D0 00", PacketType::PingResp),
        ] {
            let error = refuses(version, Sender::Client, &hex(bytes));
            assert_eq!(
                error,
                DecodeError::WrongSender {
                    packet,
                    sender: Sender::Client
                }
            );
        }
    }
    for version in [Version::V3_1, Version::V3_1_1] {
        let error = DecodeError::WrongSender {
            packet: PacketType::Disconnect,
            sender: Sender::Server,
        };
        is_refused_in(version, "E0 00", error, PROTOCOL);
    }
}

#[test]
fn types_that_do_not_exist_are_malformed() {
    for version in VERSIONS {
        for first in 0..16 {
            let bytes = [first, 0];
            let error = refuses(version, Sender::Server, &bytes);
            assert_eq!(
                error,
                DecodeError::UnknownType {
                    packet_type: 0,
                    version
                }
            );
            assert_eq!(error.reason(), MALFORMED);
        }
    }
    for version in [Version::V3_1, Version::V3_1_1] {
        for bytes in ["F0 00", "F1 00", "F0 06 18 04 15 0001 6D"] {
            is_refused_in(
                version,
                bytes,
                DecodeError::UnknownType {
                    packet_type: 15,
                    version,
                },
                MALFORMED,
            );
        }
    }
}
