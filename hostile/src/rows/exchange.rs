//! Entries 13 and 15: acknowledgements that do not fit.

use mqtt_session::Violation;
use mqtt_session::proto::{PacketType, Version};

use super::*;

pub(super) fn add(rows: &mut Rows) {
    for version in VERSIONS {
        unknown(rows, version);
        wrong(rows, version);
        received(rows, version);
    }
    let rejected = Script::hex("50 03 ID 97").then(Script::hex("50 02 ID"));
    let name = "PUBREC with an error, and again without";
    let then = answered("62 03 ID 92");
    rows.add(15, Version::V5, EXACTLY_ONCE, name, rejected, then);
    let beyond = (1..=257_u16).map(|id| qos(Version::V5, 0x34, id));
    let bytes = beyond.fold(Script::default(), Script::then);
    let then = Then::Ends(Told::Violation(|_| Violation::ReceiveMaximum { max: 256 }));
    let name = "one message of QoS 2 more than Receive Maximum";
    rows.add(15, Version::V5, Before::Connected, name, bytes, then);
}

/// A PUBLISH of QoS 1 or 2.
fn qos(version: Version, first: u8, id: u16) -> Script {
    let body = [&string("a")[..], &id.to_be_bytes(), none(version), b"x"].concat();
    Script::frame(first, Script::bytes(body))
}

/// Nothing here waits for it.
fn unknown(rows: &mut Rows, version: Version) {
    let not_found = |v3: &str, v5: &str| answered(if version.is_v5() { v5 } else { v3 });
    for (name, bytes, then) in [
        ("PUBACK for an unknown identifier", "40 02 0009", ignored()),
        ("PUBCOMP for an unknown identifier", "70 02 0009", ignored()),
        (
            "PUBREC for an unknown identifier",
            "50 02 0009",
            not_found("62 02 0009", "62 03 0009 92"),
        ),
        (
            "PUBREL for an unknown identifier",
            "62 02 0009",
            not_found("70 02 0009", "70 03 0009 92"),
        ),
    ] {
        let entry = if name.starts_with("PUBRE") { 15 } else { 13 };
        rows.add(
            entry,
            version,
            Before::Connected,
            name,
            Script::hex(bytes),
            then,
        );
    }
    let (name, bytes) = ("PUBACK twice", Script::hex("40 02 ID 40 02 ID"));
    rows.add(13, version, AT_LEAST_ONCE, name, bytes, ignored());
}

/// Something else is waited for.
fn wrong(rows: &mut Rows, version: Version) {
    let ends = |packet| match packet {
        PacketType::PubAck => Told::Violation(|id| Violation::WrongAck {
            packet: PacketType::PubAck,
            id,
        }),
        PacketType::PubRec => Told::Violation(|id| Violation::WrongAck {
            packet: PacketType::PubRec,
            id,
        }),
        PacketType::SubAck => Told::Violation(|id| Violation::WrongAck {
            packet: PacketType::SubAck,
            id,
        }),
        PacketType::UnsubAck => Told::Violation(|id| Violation::WrongAck {
            packet: PacketType::UnsubAck,
            id,
        }),
        _ => Told::Violation(|id| Violation::WrongAck {
            packet: PacketType::PubComp,
            id,
        }),
    };
    let (puback, pubrec, pubcomp) = (PacketType::PubAck, PacketType::PubRec, PacketType::PubComp);
    for (name, before, bytes, packet) in [
        ("PUBACK at QoS 2", EXACTLY_ONCE, "40 02 ID", puback),
        ("PUBCOMP ahead of PUBREC", EXACTLY_ONCE, "70 02 ID", pubcomp),
        ("PUBREC at QoS 1", AT_LEAST_ONCE, "50 02 ID", pubrec),
        ("PUBCOMP at QoS 1", AT_LEAST_ONCE, "70 02 ID", pubcomp),
        ("PUBACK behind PUBREL", Before::Released, "40 02 ID", puback),
    ] {
        let then = Then::Ends(ends(packet));
        rows.add(15, version, before, name, Script::hex(bytes), then);
    }
    // No message has the identifier of a request, and no request that of a message: nothing waits for these.
    let suback = if version.is_v5() {
        "90 04 ID 00 00"
    } else {
        "90 03 ID 00"
    };
    let pubrel = if version.is_v5() {
        "62 03 ID 92"
    } else {
        "62 02 ID"
    };
    for (name, before, bytes, answer) in [
        (
            "PUBACK for a SUBSCRIBE",
            Before::Subscribing,
            "40 02 ID",
            "",
        ),
        (
            "PUBREC for a SUBSCRIBE",
            Before::Subscribing,
            "50 02 ID",
            pubrel,
        ),
        (
            "PUBCOMP for an UNSUBSCRIBE",
            Before::Unsubscribing,
            "70 02 ID",
            "",
        ),
        ("SUBACK for a PUBLISH", AT_LEAST_ONCE, suback, ""),
    ] {
        rows.add(
            13,
            version,
            before,
            name,
            Script::hex(bytes),
            answered(answer),
        );
    }
    let unsuback = if version.is_v5() {
        "B0 05 ID 00 00 00"
    } else {
        "B0 02 ID"
    };
    for (name, before, bytes, packet) in [
        (
            "SUBACK for an UNSUBSCRIBE",
            Before::Unsubscribing,
            suback,
            PacketType::SubAck,
        ),
        (
            "UNSUBACK for a SUBSCRIBE",
            Before::Subscribing,
            unsuback,
            PacketType::UnsubAck,
        ),
    ] {
        let then = Then::Ends(ends(packet));
        rows.add(13, version, before, name, Script::hex(bytes), then);
    }
    let (name, bytes) = ("PUBREC twice", Script::hex("50 02 ID 50 02 ID"));
    rows.add(
        15,
        version,
        EXACTLY_ONCE,
        name,
        bytes,
        answered("62 02 ID 62 02 ID"),
    );
    let (name, bytes) = ("PUBREC again behind PUBREL", Script::hex("50 02 ID"));
    rows.add(
        15,
        version,
        Before::Released,
        name,
        bytes,
        answered("62 02 ID"),
    );
    let (name, bytes) = ("PUBCOMP twice", Script::hex("70 02 ID 70 02 ID"));
    rows.add(15, version, Before::Released, name, bytes, ignored());
}

/// The same identifier again before PUBREL, with DUP and without.
fn received(rows: &mut Rows, version: Version) {
    let bytes = qos(version, 0x34, 9)
        .then(qos(version, 0x3C, 9))
        .then(qos(version, 0x34, 9));
    let name = "one identifier of QoS 2 three times, with DUP and without";
    let then = taken(3, Script::hex("50 02 0009"));
    rows.add(15, version, Before::Connected, name, bytes, then);
    let bytes = (1..=200_u16)
        .map(|id| qos(version, 0x34, id))
        .fold(Script::default(), Script::then);
    let recs = (1..=200_u16).map(|id| Script::hex("50 02").then(Script::bytes(id.to_be_bytes())));
    let then = taken(200, recs.fold(Script::default(), Script::then));
    let name = "200 messages of QoS 2 whose PUBREL never comes";
    rows.add(15, version, Before::Connected, name, bytes, then);
}
