//! Packets around the part that a test is about.

use mqtt_proto::{Sender, Version};

use super::{frame, hex, properties, string};

/// Where properties can stand (section 2.2.2.2): in a packet, by its type, or in the will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Packet(u8),
    Will,
}

pub const PLACES: [Place; 14] = [
    Place::Packet(1),
    Place::Will,
    Place::Packet(2),
    Place::Packet(3),
    Place::Packet(4),
    Place::Packet(5),
    Place::Packet(6),
    Place::Packet(7),
    Place::Packet(8),
    Place::Packet(9),
    Place::Packet(10),
    Place::Packet(11),
    Place::Packet(14),
    Place::Packet(15),
];

impl Place {
    /// Who sends such packets.
    pub fn senders(self) -> &'static [Sender] {
        match self {
            Self::Will | Self::Packet(1 | 8 | 10 | 12) => &[Sender::Client],
            Self::Packet(2 | 9 | 11 | 13) => &[Sender::Server],
            Self::Packet(_) => &[Sender::Client, Sender::Server],
        }
    }

    /// A whole 5.0 packet from `sender` with these encoded properties.
    pub fn packet(self, sender: Sender, encoded: &[u8]) -> Vec<u8> {
        let p = properties(encoded);
        let around = |first, before: &str, after: &str| {
            frame(first, &[&hex(before)[..], &p, &hex(after)].concat())
        };
        match self {
            Self::Packet(1) => around(0x10, "0004 4D515454 05 02 003C", "0001 63"),
            Self::Will => around(
                0x10,
                "0004 4D515454 05 06 003C 00 0001 63",
                "0001 77 0001 6D",
            ),
            Self::Packet(2) => around(0x20, "00 00", ""),
            Self::Packet(3) => around(0x32, "0001 74 0007", "70"),
            Self::Packet(4 | 5 | 7) => around(self.number() << 4, "0007 00", ""),
            Self::Packet(6) => around(0x62, "0007 00", ""),
            Self::Packet(8) => around(0x82, "0007", "0001 66 00"),
            Self::Packet(9) => around(0x90, "0007", "00"),
            Self::Packet(10) => around(0xA2, "0007", "0001 66"),
            Self::Packet(11) => around(0xB0, "0007", "00"),
            Self::Packet(14) => around(0xE0, "81", ""),
            Self::Packet(15) if sender == Sender::Client => around(0xF0, "19", ""),
            Self::Packet(15) => around(0xF0, "18", ""),
            Self::Packet(other) => panic!("no properties in packet type {other}"),
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Will => 1,
            Self::Packet(number) => number,
        }
    }
}

/// A CONNECT with these flags and this payload, and without properties.
pub fn connect(version: Version, flags: u8, payload: &[u8]) -> Vec<u8> {
    let header = match version {
        Version::V3_1 => "0006 4D5149736470 03",
        Version::V3_1_1 => "0004 4D515454 04",
        Version::V5 => "0004 4D515454 05",
    };
    let none = none(version);
    frame(
        0x10,
        &[&hex(header)[..], &[flags, 0, 60], none, payload].concat(),
    )
}

/// A PUBLISH without properties; `first` is its first byte.
pub fn publish(version: Version, first: u8, topic: impl AsRef<[u8]>, payload: &[u8]) -> Vec<u8> {
    let id = hex(if first & 0b110 == 0 { "" } else { "0007" });
    frame(
        first,
        &[&string(topic)[..], &id, none(version), payload].concat(),
    )
}

/// A SUBSCRIBE with one filter and its options.
pub fn subscribe(version: Version, filter: impl AsRef<[u8]>, options: u8) -> Vec<u8> {
    frame(
        0x82,
        &[&hex("0007")[..], none(version), &string(filter), &[options]].concat(),
    )
}

/// An UNSUBSCRIBE with one filter.
pub fn unsubscribe(version: Version, filter: impl AsRef<[u8]>) -> Vec<u8> {
    frame(
        0xA2,
        &[&hex("0007")[..], none(version), &string(filter)].concat(),
    )
}

/// No properties: a length of zero, in 5.0.
pub fn none(version: Version) -> &'static [u8] {
    if version == Version::V5 { &[0] } else { &[] }
}

/// A packet of each field that is a string, with `text` in it: the name of the field, who sends, the bytes.
pub fn every_string(
    version: Version,
    text: impl AsRef<[u8]>,
) -> Vec<(&'static str, Sender, Vec<u8>)> {
    let s = &string(text.as_ref());
    let c = &string("c");
    let client = Sender::Client;
    let mut all = vec![
        ("client identifier", client, connect(version, 0x02, s)),
        (
            "will topic",
            client,
            connect(
                version,
                0x06,
                &[c, none(version), s, &string("m")[..]].concat(),
            ),
        ),
        (
            "user name",
            client,
            connect(version, 0x82, &[&c[..], s].concat()),
        ),
        (
            "topic name",
            client,
            publish(version, 0x30, text.as_ref(), b""),
        ),
        (
            "topic name",
            Sender::Server,
            publish(version, 0x30, text.as_ref(), b""),
        ),
        (
            "topic filter",
            client,
            subscribe(version, text.as_ref(), 0x01),
        ),
        ("topic filter", client, unsubscribe(version, text.as_ref())),
    ];
    if version == Version::V5 {
        let pair = [&string("n")[..], s].concat();
        for row in super::tables::PROPERTIES {
            let values: &[&[u8]] = match row.kind {
                "string" | "topic" => &[s],
                "pair" => &[&pair, &[&s[..], &string("v")].concat()],
                _ => continue,
            };
            for (place, sender) in row.places() {
                for value in values {
                    let one = [&[row.id], *value].concat();
                    all.push((row.name, sender, row.packet(place, sender, &one)));
                }
            }
        }
    }
    all
}
