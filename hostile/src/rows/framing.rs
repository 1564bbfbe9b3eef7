//! Entries 1 to 4, 6, 8 and 10: lengths, types, flags, lists of codes.

use mqtt_session::Violation;
use mqtt_session::proto::{DecodeError, PacketType, ReasonCode, Sender};

use super::*;

const SERVER: Sender = Sender::Server;

pub(super) fn add(rows: &mut Rows) {
    topic_lengths(rows);
    remaining_lengths(rows);
    integers(rows);
    lists(rows);
    short_forms(rows);
    empty_bodies(rows);
    senders(rows);
}

fn topic_lengths(rows: &mut Rows) {
    for version in VERSIONS {
        for (name, hex) in [
            ("a topic of 65,535 bytes in a packet of two", "30 02 FFFF"),
            (
                "a topic that is longer than the packet by one",
                "30 03 0002 61",
            ),
            (
                "a topic that is longer than the packet, at QoS 1",
                "32 05 FFFF 61 0001",
            ),
            ("a PUBLISH without a topic", "30 00"),
            ("half a length of a topic", "30 01 00"),
        ] {
            rows.malformed(1, version, name, hex, truncated("topic name"));
        }
        let (name, field) = ("a topic and no identifier, at QoS 1", "packet identifier");
        rows.malformed(1, version, name, "32 03 0001 61", truncated(field));
    }
}

fn remaining_lengths(rows: &mut Rows) {
    let too_large = |size, max| DecodeError::PacketTooLarge { size, max };
    for version in VERSIONS {
        for (name, hex, size) in [
            (
                "268,435,455 bytes are announced",
                "30 FFFFFF7F",
                268_435_460,
            ),
            (
                "one byte above the limit is announced",
                "30 FDFF3F",
                1_048_577,
            ),
        ] {
            rows.malformed(2, version, name, hex, too_large(size, 1 << 20));
        }
        let name = "268,435,455 bytes are announced, allowed and withheld";
        let bytes = Script::hex("30 FFFFFF7F 0001 61 62 63");
        let row = rows.add(2, version, Before::Connected, name, bytes, Then::Waits);
        row.limit = Some(268_435_460);
        let (name, bytes) = (
            "a CONNACK that is announced with 1 MiB",
            Script::hex("20 FDFF3F"),
        );
        let then = decode(too_large(1_048_577, 1 << 20));
        rows.add(2, version, Before::Connecting, name, bytes, then);
    }
}

fn integers(rows: &mut Rows) {
    for version in VERSIONS {
        for (name, hex) in [
            ("a length of five bytes", "70 8080808001"),
            ("a length of four bytes that goes on", "70 FFFFFFFF"),
            ("a length of 0 in two bytes", "70 8000"),
            ("a length of 2 in two bytes", "70 8200 0007"),
            ("a length of 0 in four bytes", "70 80808000"),
        ] {
            rows.malformed(3, version, name, hex, DecodeError::BadVarInt);
        }
        for cut in ["70", "70 80", "70 8080", "70 808080"] {
            let (name, bytes) = (format!("a length cut off: {cut}"), Script::hex(cut));
            rows.add(3, version, Before::Connected, name, bytes, Then::Waits);
        }
        let connack: &[u8] = if version.is_v5() {
            &[0x20, 10, 0, 0, 7, 0x26, 0, 1, b'a', 0, 1, b'b']
        } else {
            &[0x20, 2, 0, 0]
        };
        for cut in 0..connack.len() {
            let name = format!("CONNACK cut off behind {cut} bytes");
            let bytes = Script::bytes(&connack[..cut]);
            rows.add(3, version, Before::Connecting, name, bytes, Then::Waits);
        }
    }
    for (name, hex) in [
        ("a property length of 0 in two bytes", "20 04 0000 8000"),
        ("a property length of five bytes", "20 07 0000 8080808001"),
        ("a property length that goes on", "20 06 0000 FFFFFFFF"),
    ] {
        let then = decode(DecodeError::BadVarInt);
        rows.add(
            3,
            Version::V5,
            Before::Connecting,
            name,
            Script::hex(hex),
            then,
        );
    }
    let (name, cut) = ("a property length cut off by the packet", "20 03 0000 80");
    let then = decode(truncated("property length"));
    rows.add(
        3,
        Version::V5,
        Before::Connecting,
        name,
        Script::hex(cut),
        then,
    );
}

/// SUBACK and UNSUBACK: the request has two filters.
fn lists(rows: &mut Rows) {
    let count = |n| match n {
        1 => Then::Ends(Told::Violation(|_| Violation::CodeCount {
            packet: PacketType::SubAck,
            got: 1,
            wanted: 2,
        })),
        _ => Then::Ends(Told::Violation(|_| Violation::CodeCount {
            packet: PacketType::SubAck,
            got: 3,
            wanted: 2,
        })),
    };
    for version in VERSIONS {
        let suback = |codes: &str| {
            let body = Script::hex("ID").then(Script::bytes(none(version)));
            Script::frame(0x90, body.then(Script::hex(codes)))
        };
        let packet = PacketType::SubAck;
        let empty = decode(DecodeError::NoEntries { packet });
        let before = Before::Subscribing;
        rows.add(
            4,
            version,
            before,
            "SUBACK without a code",
            suback(""),
            empty,
        );
        rows.add(
            4,
            version,
            before,
            "SUBACK with too few codes",
            suback("00"),
            count(1),
        );
        rows.add(
            4,
            version,
            before,
            "SUBACK with too many codes",
            suback("00 00 00"),
            count(3),
        );
        for (name, codes, code) in [
            ("SUBACK with the code 0x03", "00 03", 0x03),
            ("SUBACK with the code 0x7F", "7F 00", 0x7F),
            ("SUBACK with the code 0xFF", "00 FF", 0xFF),
        ] {
            let error = DecodeError::BadReasonCode {
                packet,
                sender: SERVER,
                code,
            };
            rows.add(4, version, before, name, suback(codes), decode(error));
        }
        let name = "SUBACK with the identifier 0";
        let codes = if version.is_v5() {
            "90 05 0000 00 00 00"
        } else {
            "90 04 0000 00 00"
        };
        let zero = decode(DecodeError::ZeroPacketId);
        rows.add(4, version, before, name, Script::hex(codes), zero);
        let name = "SUBACK that nothing waits for";
        let codes = if version.is_v5() {
            "90 04 0009 00 00"
        } else {
            "90 03 0009 00"
        };
        rows.add(
            4,
            version,
            Before::Connected,
            name,
            Script::hex(codes),
            ignored(),
        );
    }
    let packet = PacketType::UnsubAck;
    let before = Before::Unsubscribing;
    let unsuback = |codes: &str| {
        let body = Script::hex("ID 00").then(Script::hex(codes));
        Script::frame(0xB0, body)
    };
    let v5 = Version::V5;
    let empty = decode(DecodeError::NoEntries { packet });
    rows.add(
        4,
        v5,
        before,
        "UNSUBACK without a code",
        unsuback(""),
        empty,
    );
    let few = Then::Ends(Told::Violation(|_| Violation::CodeCount {
        packet: PacketType::UnsubAck,
        got: 1,
        wanted: 2,
    }));
    rows.add(
        4,
        v5,
        before,
        "UNSUBACK with too few codes",
        unsuback("00"),
        few,
    );
    let many = Then::Ends(Told::Violation(|_| Violation::CodeCount {
        packet: PacketType::UnsubAck,
        got: 3,
        wanted: 2,
    }));
    rows.add(
        4,
        v5,
        before,
        "UNSUBACK with too many codes",
        unsuback("00 11 00"),
        many,
    );
    for (name, codes, code) in [
        ("UNSUBACK with the code 0x01", "00 01", 0x01),
        ("UNSUBACK with the code 0x7F", "7F 00", 0x7F),
    ] {
        let error = DecodeError::BadReasonCode {
            packet,
            sender: SERVER,
            code,
        };
        rows.add(4, v5, before, name, unsuback(codes), decode(error));
    }
    for version in V3 {
        let error = DecodeError::TrailingBytes { packet, extra: 2 };
        let bytes = Script::hex("B0 04 ID 00 00");
        rows.add(
            4,
            version,
            before,
            "UNSUBACK with codes",
            bytes,
            decode(error),
        );
    }
}

/// Acknowledgements, DISCONNECT and AUTH in each of their lengths.
fn short_forms(rows: &mut Rows) {
    let v5 = Version::V5;
    for (first, name, before, answer) in [
        ("40", "PUBACK", AT_LEAST_ONCE, ""),
        ("50", "PUBREC", EXACTLY_ONCE, "62 02 ID"),
        ("70", "PUBCOMP", Before::Released, ""),
    ] {
        for (form, rest) in [
            ("two", "02 ID"),
            ("three", "03 ID 00"),
            ("four", "04 ID 00 00"),
        ] {
            let (name, bytes) = (format!("{name} of {form} bytes"), format!("{first} {rest}"));
            rows.add(6, v5, before, name, Script::hex(&bytes), answered(answer));
        }
    }
    let bytes = Script::hex("40 03 ID 10");
    let name = "PUBACK that says that nobody subscribes";
    rows.add(6, v5, AT_LEAST_ONCE, name, bytes, ignored());
    for (first, name) in ACKS {
        let packet = [
            PacketType::PubAck,
            PacketType::PubRec,
            PacketType::PubRel,
            PacketType::PubComp,
        ][usize::from(first >> 4) - 4];
        for version in VERSIONS {
            for (form, body) in [("no", ""), ("one", "01")] {
                let name = format!("{name} of {form} byte");
                let bytes = Script::frame(first, Script::hex(body));
                let then = decode(truncated("packet identifier"));
                rows.add(6, version, Before::Connected, name, bytes, then);
            }
            let bytes = Script::frame(first, Script::hex("0000"));
            let zero = decode(DecodeError::ZeroPacketId);
            rows.add(
                6,
                version,
                Before::Connected,
                format!("{name} for 0"),
                bytes,
                zero,
            );
        }
        for version in V3 {
            let bytes = Script::frame(first, Script::hex("0001 00"));
            let then = decode(DecodeError::TrailingBytes { packet, extra: 1 });
            let name = format!("{name} of three bytes");
            rows.add(6, version, Before::Connected, name, bytes, then);
        }
        let bytes = Script::frame(first, Script::hex("0001 00 00 00"));
        let then = decode(DecodeError::TrailingBytes { packet, extra: 1 });
        rows.add(
            6,
            v5,
            Before::Connected,
            format!("{name} of five bytes"),
            bytes,
            then,
        );
        let bytes = Script::frame(first, Script::hex("0001 7F"));
        let sender = SERVER;
        let then = decode(DecodeError::BadReasonCode {
            packet,
            sender,
            code: 0x7F,
        });
        rows.add(
            6,
            v5,
            Before::Connected,
            format!("{name} with 0x7F"),
            bytes,
            then,
        );
    }
    for (name, hex, reason) in [
        ("DISCONNECT of no byte", "E0 00", ReasonCode(0)),
        (
            "DISCONNECT of one byte",
            "E0 01 8B",
            ReasonCode::SERVER_SHUTTING_DOWN,
        ),
        (
            "DISCONNECT of two bytes",
            "E0 02 97 00",
            ReasonCode::QUOTA_EXCEEDED,
        ),
    ] {
        let then = Then::Ends(Told::Disconnected(reason));
        rows.add(6, v5, Before::Connected, name, Script::hex(hex), then);
    }
    let (packet, extra) = (PacketType::Disconnect, 1);
    let error = DecodeError::TrailingBytes { packet, extra };
    rows.malformed(
        6,
        v5,
        "DISCONNECT with a byte more",
        "E0 03 8B 00 00",
        error,
    );
    let error = DecodeError::BadReasonCode {
        packet,
        sender: SERVER,
        code: 4,
    };
    rows.malformed(
        6,
        v5,
        "DISCONNECT with a client's reason",
        "E0 01 04",
        error,
    );
    let then = Then::Ends(Told::Violation(|_| Violation::Unexpected {
        packet: PacketType::Auth,
    }));
    let bytes = Script::hex("F0 00");
    rows.add(6, v5, Before::Connected, "AUTH of no byte", bytes, then);
    let error = DecodeError::NoAuthenticationMethod;
    rows.malformed(6, v5, "AUTH of one byte", "F0 01 18", error);
}

/// What a decoder could go round and round at: each call takes something, or fails, or waits for more.
fn empty_bodies(rows: &mut Rows) {
    for version in VERSIONS {
        for (name, hex, field) in [
            (
                "CONNACK without a body",
                "20 00",
                "connect acknowledge flags",
            ),
            ("SUBACK without a body", "90 00", "packet identifier"),
            ("UNSUBACK without a body", "B0 00", "packet identifier"),
        ] {
            rows.malformed(8, version, name, hex, truncated(field));
        }
        let (name, bytes) = (
            "10,000 PINGRESP that nobody asked for",
            [0xD0, 0].repeat(10_000),
        );
        rows.add(
            8,
            version,
            Before::Connected,
            name,
            Script::bytes(bytes),
            ignored(),
        );
        let (name, packet) = ("PINGRESP with a body", PacketType::PingResp);
        let error = DecodeError::TrailingBytes { packet, extra: 1 };
        rows.malformed(8, version, name, "D0 01 00", error);
        let name = "what comes behind the end";
        let bytes = Script::hex("00 00").then(Script::bytes([0x30, 4, 0, 1, b'a', 0].repeat(5000)));
        let error = DecodeError::UnknownType {
            packet_type: 0,
            version,
        };
        rows.add(8, version, Before::Connected, name, bytes, decode(error));
    }
    for (name, hex) in [
        (
            "an identifier of a property that wraps",
            "30 09 0001 61 05 FFFFFFFF0F",
        ),
        (
            "a subscription identifier of five bytes",
            "30 0A 0001 61 06 0B FFFFFFFF0F",
        ),
    ] {
        rows.malformed(8, Version::V5, name, hex, DecodeError::BadVarInt);
    }
}

/// Packets of the other side, types that there are not, and reserved flags.
fn senders(rows: &mut Rows) {
    for version in VERSIONS {
        let wrong = |packet| DecodeError::WrongSender {
            packet,
            sender: SERVER,
        };
        for (name, hex, packet) in [
            (
                "CONNECT",
                "10 0D 0004 4D515454 04 02 003C 0001 63",
                PacketType::Connect,
            ),
            ("SUBSCRIBE", "82 06 0001 0001 66 00", PacketType::Subscribe),
            ("UNSUBSCRIBE", "A2 05 0001 0001 66", PacketType::Unsubscribe),
            ("PINGREQ", "C0 00", PacketType::PingReq),
        ] {
            rows.malformed(
                10,
                version,
                &format!("{name} from the server"),
                hex,
                wrong(packet),
            );
        }
        let unknown = |packet_type| DecodeError::UnknownType {
            packet_type,
            version,
        };
        rows.malformed(10, version, "type 0", "00 00", unknown(0));
        if !version.is_v5() {
            rows.malformed(10, version, "type 15", "F0 00", unknown(15));
            let name = "DISCONNECT from the server";
            rows.malformed(10, version, name, "E0 00", wrong(PacketType::Disconnect));
        }
        for (packet, first) in [
            (PacketType::ConnAck, 0x20),
            (PacketType::PubAck, 0x40),
            (PacketType::PubRec, 0x50),
            (PacketType::PubRel, 0x60),
            (PacketType::PubComp, 0x70),
            (PacketType::SubAck, 0x90),
            (PacketType::UnsubAck, 0xB0),
            (PacketType::PingResp, 0xD0),
            (PacketType::Disconnect, 0xE0),
            (PacketType::Auth, 0xF0),
        ] {
            let absent = matches!(packet, PacketType::Disconnect | PacketType::Auth);
            if absent && !version.is_v5() {
                continue;
            }
            for bit in [1, 2, 4, 8] {
                let flags = if packet == PacketType::PubRel {
                    bit ^ 2
                } else {
                    bit
                };
                if (packet, bit, version) == (PacketType::PubRel, 8, Version::V3_1) {
                    // There it is DUP (section 2.1 of MQTT 3.1).
                    continue;
                }
                let name = format!("{packet} with the flags {flags:#06b}");
                let bytes = Script::bytes([first | flags, 2, 0, 1]);
                let then = decode(DecodeError::BadFlags { packet, flags });
                rows.add(10, version, Before::Connected, name, bytes, then);
            }
        }
        rows.malformed(
            10,
            version,
            "PUBLISH of QoS 3",
            "36 06 0001 61 0001 00",
            DecodeError::BadQoS,
        );
        let (name, error) = ("PUBLISH with DUP at QoS 0", DecodeError::DupAtQoS0);
        rows.malformed(10, version, name, "38 04 0001 61 00", error);
        let error = DecodeError::ZeroPacketId;
        rows.malformed(
            10,
            version,
            "PUBLISH with the identifier 0",
            "32 06 0001 61 0000 00",
            error,
        );
    }
}
