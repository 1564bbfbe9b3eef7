//! Entry 9, with [`foreign`](super::foreign): what comes instead of CONNACK, and CONNACK where it should not.

use mqtt_session::Violation;
use mqtt_session::proto::{DecodeError, PacketType, ReasonCode, Sender};

use super::*;

pub(super) fn add(rows: &mut Rows) {
    let (packet, sender) = (PacketType::ConnAck, Sender::Server);
    let before = Before::Connecting;
    for version in VERSIONS {
        let again: &[u8] = if version.is_v5() {
            &[0x20, 3, 0, 0, 0]
        } else {
            &[0x20, 2, 0, 0]
        };
        let then = Then::Ends(Told::Violation(|_| Violation::SecondConnAck));
        rows.add(
            9,
            version,
            Before::Connected,
            "CONNACK again",
            Script::bytes(again),
            then,
        );
        for (name, bytes, packet) in first(version) {
            let then = Then::Ends(Told::Violation(packet));
            let name = format!("{name} ahead of CONNACK");
            rows.add(9, version, before, name, Script::hex(bytes), then);
        }
        let (name, none) = (
            "the end of the stream instead of CONNACK",
            Script::default(),
        );
        rows.add(9, version, before, name, none, Then::Waits);
        let (name, none) = ("the end of the stream", Script::default());
        rows.add(9, version, Before::Connected, name, none, Then::Waits);
    }
    for (name, bytes, flags) in [
        ("a reserved flag in CONNACK", "20 03 02 00 00", 2),
        ("the highest flag in CONNACK", "20 03 80 00 00", 0x80),
    ] {
        let then = decode(DecodeError::BadConnAckFlags { flags });
        rows.add(9, Version::V5, before, name, Script::hex(bytes), then);
    }
    let reason = ReasonCode::NOT_AUTHORIZED;
    let error = DecodeError::SessionPresentOnRefusal { reason };
    let name = "a refusal with a session present";
    rows.add(
        9,
        Version::V5,
        before,
        name,
        Script::hex("20 03 01 87 00"),
        decode(error),
    );
    rows.add(
        9,
        Version::V3_1_1,
        before,
        name,
        Script::hex("20 02 01 05"),
        decode(error),
    );
    for (name, code) in [("0x01", 1), ("0x8B", 0x8B), ("0xFF", 0xFF)] {
        let error = DecodeError::BadReasonCode {
            packet,
            sender,
            code,
        };
        let name = format!("CONNACK with the reason {name}");
        let bytes = Script::bytes([0x20, 3, 0, code, 0]);
        rows.add(9, Version::V5, before, name, bytes, decode(error));
    }
    for version in V3 {
        for code in [6, 0x80] {
            let error = DecodeError::BadReasonCode {
                packet,
                sender,
                code,
            };
            let name = format!("CONNACK with the return code {code}");
            let bytes = Script::bytes([0x20, 2, 0, code]);
            rows.add(9, version, before, name, bytes, decode(error));
        }
        let error = DecodeError::TrailingBytes { packet, extra: 1 };
        let (name, bytes) = ("CONNACK with a byte more", Script::hex("20 03 00 00 00"));
        rows.add(9, version, before, name, bytes, decode(error));
    }
    for reason in [
        ReasonCode::UNSPECIFIED_ERROR,
        ReasonCode::SERVER_BUSY,
        ReasonCode::QUOTA_EXCEEDED,
    ] {
        let name = format!("CONNACK with {reason}");
        let bytes = Script::bytes([0x20, 3, 0, reason.0, 0]);
        rows.add(
            9,
            Version::V5,
            before,
            name,
            bytes,
            Then::Ends(Told::Refused(reason)),
        );
    }
}

type Breach = fn(mqtt_session::proto::PacketId) -> Violation;

/// A packet of each kind that a server sends.
fn first(version: Version) -> Vec<(&'static str, &'static str, Breach)> {
    macro_rules! ahead {
        ($packet:ident) => {
            |_| Violation::BeforeConnAck {
                packet: PacketType::$packet,
            }
        };
    }
    let mut all: Vec<(_, _, Breach)> = vec![
        ("PUBLISH", "30 04 0001 61 00", ahead!(Publish)),
        ("PUBACK", "40 02 0001", ahead!(PubAck)),
        ("PUBREC", "50 02 0001", ahead!(PubRec)),
        ("PUBREL", "62 02 0001", ahead!(PubRel)),
        ("PUBCOMP", "70 02 0001", ahead!(PubComp)),
        ("PINGRESP", "D0 00", ahead!(PingResp)),
    ];
    if version.is_v5() {
        all.extend::<[(_, _, Breach); 4]>([
            ("SUBACK", "90 04 0001 00 00", ahead!(SubAck)),
            ("UNSUBACK", "B0 04 0001 00 00", ahead!(UnsubAck)),
            ("DISCONNECT", "E0 01 8B", ahead!(Disconnect)),
            ("AUTH", "F0 06 18 04 15 0001 6D", ahead!(Auth)),
        ]);
    } else {
        all.extend::<[(_, _, Breach); 2]>([
            ("SUBACK", "90 03 0001 00", ahead!(SubAck)),
            ("UNSUBACK", "B0 02 0001", ahead!(UnsubAck)),
        ]);
    }
    all
}
