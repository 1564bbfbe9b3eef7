//! Entry 5, and what of entry 12 is bytes: properties.

use std::num::NonZeroU16;

use mqtt_session::Violation;
use mqtt_session::proto::{DecodeError, PacketType, PropertyId, Sender};

use super::*;

/// A PUBLISH of QoS 0 with these properties.
fn with(properties: &[u8]) -> Script {
    let topic = Script::hex("0001 61");
    let length = Script::bytes(crate::script::varint(properties.len()));
    Script::frame(0x30, topic.then(length).then(Script::bytes(properties)))
}

fn hex(text: &str) -> Vec<u8> {
    Script::hex(text).with(None)
}

pub(super) fn add(rows: &mut Rows) {
    lengths(rows);
    places(rows);
    many(rows);
    aliases(rows);
}

fn bad(rows: &mut Rows, name: &str, properties: &str, error: DecodeError) {
    let bytes = with(&hex(properties));
    rows.add(
        5,
        Version::V5,
        Before::Connected,
        name,
        bytes,
        decode(error),
    );
}

fn lengths(rows: &mut Rows) {
    let v5 = Version::V5;
    let beyond = truncated("properties");
    rows.malformed(
        5,
        v5,
        "properties beyond a PUBLISH",
        "30 04 0001 61 01",
        beyond,
    );
    rows.malformed(
        5,
        v5,
        "properties beyond a PUBACK",
        "40 04 0007 00 05",
        beyond,
    );
    rows.malformed(
        5,
        v5,
        "properties beyond a DISCONNECT",
        "E0 02 00 09",
        beyond,
    );
    for (name, hex) in [
        ("properties beyond a CONNACK", "20 03 0000 7F"),
        (
            "268,435,455 bytes of properties in a CONNACK",
            "20 06 0000 FFFFFF7F",
        ),
    ] {
        rows.add(
            5,
            v5,
            Before::Connecting,
            name,
            Script::hex(hex),
            decode(beyond),
        );
    }
    for (name, properties, field) in [
        ("an integer cut off", "02 000000", "Message Expiry Interval"),
        ("a byte cut off", "01", "Payload Format Indicator"),
        ("a length of a string cut off", "03 00", "Content Type"),
        ("a string past the end", "03 0005 61", "Content Type"),
        (
            "a string of 65,535 bytes past the end",
            "03 FFFF 61",
            "Content Type",
        ),
        ("binary data past the end", "09 0002 61", "Correlation Data"),
        ("a pair cut off", "26 0001 61", "User Property"),
        (
            "the second half of a pair past the end",
            "26 0001 61 0005 62",
            "User Property",
        ),
        (
            "a variable byte integer cut off",
            "0B 80",
            "Subscription Identifier",
        ),
        ("an identifier cut off", "80", "property identifier"),
    ] {
        bad(rows, name, properties, truncated(field));
    }
    let name = "a string that reaches into the payload";
    let bytes = "30 0C 0001 74 04 03 0005 61 62636465";
    rows.malformed(5, v5, name, bytes, truncated("Content Type"));
}

fn places(rows: &mut Rows) {
    let sender = Sender::Server;
    for (name, properties, property) in [
        (
            "Receive Maximum in a PUBLISH",
            "21 0001",
            PropertyId::RECEIVE_MAXIMUM,
        ),
        (
            "Reason String in a PUBLISH",
            "1F 0001 61",
            PropertyId::REASON_STRING,
        ),
        (
            "Session Expiry Interval in a PUBLISH",
            "11 00000001",
            PropertyId::SESSION_EXPIRY_INTERVAL,
        ),
        (
            "Will Delay Interval in a PUBLISH",
            "18 00000001",
            PropertyId::WILL_DELAY_INTERVAL,
        ),
    ] {
        let packet = PacketType::Publish;
        bad(
            rows,
            name,
            properties,
            DecodeError::PropertyNotAllowed {
                property,
                packet,
                sender,
            },
        );
    }
    let (property, packet) = (PropertyId::TOPIC_ALIAS, PacketType::ConnAck);
    let error = DecodeError::PropertyNotAllowed {
        property,
        packet,
        sender,
    };
    let bytes = Script::hex("20 06 0000 03 23 0001");
    let name = "Topic Alias in a CONNACK";
    rows.add(
        5,
        Version::V5,
        Before::Connecting,
        name,
        bytes,
        decode(error),
    );
    for (name, properties, property) in [
        (
            "an expiry twice",
            "02 00000001 02 00000001",
            PropertyId::MESSAGE_EXPIRY_INTERVAL,
        ),
        (
            "an alias twice",
            "23 0001 26 0000 0000 23 0001",
            PropertyId::TOPIC_ALIAS,
        ),
        (
            "a response topic twice",
            "08 0001 61 08 0001 61",
            PropertyId::RESPONSE_TOPIC,
        ),
    ] {
        bad(
            rows,
            name,
            properties,
            DecodeError::DuplicateProperty { property },
        );
    }
    for (name, properties, id) in [
        ("property 0x00", "00 01", 0),
        ("property 0x04", "04 01", 4),
        ("property 0x7F", "7F 01", 127),
        ("property 128", "8001 01", 128),
        ("property 268,435,455", "FFFFFF7F", 268_435_455),
    ] {
        bad(rows, name, properties, DecodeError::UnknownProperty { id });
    }
    for (name, properties) in [
        ("property 0 in two bytes", "8000 01"),
        (
            "User Property with an identifier of two bytes",
            "A600 0001 61 0001 62",
        ),
        ("an identifier of five bytes", "8080808001"),
    ] {
        bad(rows, name, properties, DecodeError::BadVarInt);
    }
    for (name, bytes, property, value) in [
        (
            "Receive Maximum 0",
            "20 06 0000 03 21 0000",
            PropertyId::RECEIVE_MAXIMUM,
            0,
        ),
        (
            "Maximum Packet Size 0",
            "20 08 0000 05 27 00000000",
            PropertyId::MAXIMUM_PACKET_SIZE,
            0,
        ),
        (
            "Maximum QoS 2",
            "20 05 0000 02 24 02",
            PropertyId::MAXIMUM_QOS,
            2,
        ),
        (
            "Retain Available 255",
            "20 05 0000 02 25 FF",
            PropertyId::RETAIN_AVAILABLE,
            255,
        ),
    ] {
        let then = decode(DecodeError::BadPropertyValue { property, value });
        rows.add(
            5,
            Version::V5,
            Before::Connecting,
            name,
            Script::hex(bytes),
            then,
        );
    }
}

/// As many as a packet holds: each is looked at once, and none costs memory of its own.
fn many(rows: &mut Rows) {
    let (v5, before) = (Version::V5, Before::Connected);
    let bytes = with(&hex("26 0001 61 0001 62").repeat(100_000));
    let name = "100,000 user properties in a PUBLISH";
    rows.add(5, v5, before, name, bytes, taken(1, Script::default()));
    let bytes = with(&hex("0B 01").repeat(400_000));
    let name = "400,000 subscription identifiers in a PUBLISH";
    rows.add(5, v5, before, name, bytes, taken(1, Script::default()));
    let properties = hex("26 0001 61 0001 62").repeat(100_000);
    let length = Script::bytes(crate::script::varint(properties.len()));
    let body = Script::hex("ID 00")
        .then(length)
        .then(Script::bytes(properties));
    let (name, bytes) = (
        "100,000 user properties in a PUBACK",
        Script::frame(0x40, body),
    );
    rows.add(5, v5, AT_LEAST_ONCE, name, bytes, ignored());
}

fn aliases(rows: &mut Rows) {
    let (v5, before) = (Version::V5, Before::Connected);
    let property = PropertyId::TOPIC_ALIAS;
    let zero = DecodeError::BadPropertyValue { property, value: 0 };
    rows.malformed(12, v5, "alias 0", "30 07 0001 61 03 23 0000", zero);
    rows.malformed(
        12,
        v5,
        "alias 0 without a topic",
        "30 06 0000 03 23 0000",
        zero,
    );
    let above = Then::Ends(Told::Violation(|_| Violation::TopicAlias {
        alias: 17,
        max: 16,
    }));
    let bytes = Script::hex("30 07 0001 61 03 23 0011");
    rows.add(12, v5, before, "an alias above our maximum", bytes, above);
    let most = Then::Ends(Told::Violation(|_| Violation::TopicAlias {
        alias: 65_535,
        max: 16,
    }));
    let bytes = Script::hex("30 07 0001 61 03 23 FFFF");
    rows.add(12, v5, before, "alias 65,535", bytes, most);
    let unknown = Then::Ends(Told::Violation(|_| Violation::UnknownTopicAlias {
        alias: NonZeroU16::MIN,
    }));
    let bytes = Script::hex("30 06 0000 03 23 0001");
    rows.add(
        12,
        v5,
        before,
        "an alias that stands for nothing yet",
        bytes,
        unknown,
    );
}
