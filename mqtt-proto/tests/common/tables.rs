//! Tables of the specification, written from it and not from the code.

use mqtt_proto::Sender;
use mqtt_proto::Sender::{Client, Server};

use super::packets::{PLACES, Place};

/// A row of table 2-4 of MQTT 5.0.
#[derive(Debug)]
pub struct Property {
    pub id: u8,
    pub name: &'static str,
    pub kind: &'static str,
    /// A value as it stands on the wire.
    pub value: &'static [u8],
    /// The packet types that it may stand in; 0 is the will.
    pub packets: &'static [u8],
    /// Packet types in which it may stand more than once.
    pub repeats_in: &'static [u8],
}

const ANY: &[u8] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15];

macro_rules! rows {
    ($($id:literal $name:literal $kind:literal $value:expr, $packets:expr;)*) => {
        &[$(Property {
            id: $id,
            name: $name,
            kind: $kind,
            value: $value,
            packets: $packets,
            repeats_in: match $id {
                0x26 => ANY,
                0x0B => &[3],
                _ => &[],
            },
        }),*]
    };
}

pub const PROPERTIES: &[Property] = rows! {
    0x01 "Payload Format Indicator" "bool" &[1], &[0, 3];
    0x02 "Message Expiry Interval" "u32" &[0, 0, 1, 2], &[0, 3];
    0x03 "Content Type" "string" b"\x00\x01a", &[0, 3];
    0x08 "Response Topic" "topic" b"\x00\x03a/b", &[0, 3];
    0x09 "Correlation Data" "binary" b"\x00\x02\x00\xFF", &[0, 3];
    0x0B "Subscription Identifier" "varint" &[0xFF, 0x7F], &[3, 8];
    0x11 "Session Expiry Interval" "u32" &[0xFF; 4], &[1, 2, 14];
    0x12 "Assigned Client Identifier" "string" b"\x00\x01a", &[2];
    0x13 "Server Keep Alive" "u16" &[0, 0], &[2];
    0x15 "Authentication Method" "string" b"\x00\x01a", &[1, 2, 15];
    0x16 "Authentication Data" "binary" b"\x00\x02\x00\xFF", &[1, 2, 15];
    0x17 "Request Problem Information" "bool" &[0], &[1];
    0x18 "Will Delay Interval" "u32" &[0, 0, 0, 9], &[0];
    0x19 "Request Response Information" "bool" &[1], &[1];
    0x1A "Response Information" "string" b"\x00\x01a", &[2];
    0x1C "Server Reference" "string" b"\x00\x01a", &[2, 14];
    0x1F "Reason String" "string" b"\x00\x01a", &[2, 4, 5, 6, 7, 9, 11, 14, 15];
    0x21 "Receive Maximum" "u16 above 0" &[0, 1], &[1, 2];
    0x22 "Topic Alias Maximum" "u16" &[0, 0], &[1, 2];
    0x23 "Topic Alias" "u16 above 0" &[0, 1], &[3];
    0x24 "Maximum QoS" "bool" &[1], &[2];
    0x25 "Retain Available" "bool" &[0], &[2];
    0x26 "User Property" "pair" b"\x00\x01a\x00\x01b", ANY;
    0x27 "Maximum Packet Size" "u32 above 0" &[0, 0, 0, 1], &[1, 2];
    0x28 "Wildcard Subscription Available" "bool" &[0], &[2];
    0x29 "Subscription Identifier Available" "bool" &[0], &[2];
    0x2A "Shared Subscription Available" "bool" &[0], &[2];
};

impl Property {
    pub fn encoded(&self) -> Vec<u8> {
        [&[self.id], self.value].concat()
    }

    pub fn allowed(&self, place: Place, sender: Sender) -> bool {
        match (place, sender, self.id) {
            // [MQTT-3.3.4-6]: only the server tells which subscriptions a message is for.
            (Place::Packet(3), Client, 0x0B) => false,
            // [MQTT-3.14.2-2]
            (Place::Packet(14), Server, 0x11) => false,
            // Section 3.14.2.2.5: the server sends it.
            (Place::Packet(14), Client, 0x1C) => false,
            (Place::Will, _, _) => self.packets.contains(&0),
            (Place::Packet(packet), _, _) => self.packets.contains(&packet),
        }
    }

    pub fn repeats(&self, place: Place) -> bool {
        match place {
            Place::Will => self.repeats_in.contains(&0),
            Place::Packet(packet) => self.repeats_in.contains(&packet),
        }
    }

    /// Where it may stand, and by whom it may be put there.
    pub fn places(&self) -> Vec<(Place, Sender)> {
        let all = PLACES
            .iter()
            .flat_map(|place| place.senders().iter().map(|sender| (*place, *sender)));
        all.filter(|(place, sender)| self.allowed(*place, *sender))
            .collect()
    }

    /// This property as `encoded`, in a 5.0 packet with what it can't stand without: an authentication method in AUTH, and
    /// beside authentication data.
    pub fn packet(&self, place: Place, sender: Sender, encoded: &[u8]) -> Vec<u8> {
        let needs = self.id == 0x16 || (place == Place::Packet(15) && self.id != 0x15);
        let method: &[u8] = if needs { b"\x15\x00\x01m" } else { b"" };
        place.packet(sender, &[method, encoded].concat())
    }
}

/// The reason codes that a packet of 5.0 may carry (the tables of chapter 3), `None` where `sender` does not send it.
pub fn reason_codes(packet: u8, sender: Sender) -> Option<&'static [u8]> {
    const PUBACK: &[u8] = &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
    const PUBREL: &[u8] = &[0x00, 0x92];
    Some(match (packet, sender) {
        // Table 3-1
        (2, Server) => &[
            0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90,
            0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
        ],
        // Sections 3.4.2.1, 3.5.2.1
        (4 | 5, _) => PUBACK,
        // Sections 3.6.2.1, 3.7.2.1
        (6 | 7, _) => PUBREL,
        // Section 3.9.3
        (9, Server) => &[
            0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2,
        ],
        // Section 3.11.3
        (11, Server) => &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91],
        // Section 3.14.2.1; 0x8C stands in the table of section 2.4 alone.
        (14, Client) => &[
            0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x8C, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98,
            0x99,
        ],
        (14, Server) => &[
            0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x93,
            0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1,
            0xA2,
        ],
        // Section 3.15.2.1
        (15, Client) => &[0x18, 0x19],
        (15, Server) => &[0x00, 0x18],
        _ => return None,
    })
}

/// A 5.0 packet of this type with this reason code, and what else it needs.
pub fn with_reason_code(packet: u8, code: u8) -> Vec<u8> {
    let body: &[u8] = match packet {
        2 => &[0, code, 0],
        4..=7 => &[0, 7, code],
        9 | 11 => &[0, 7, 0, code],
        14 => &[code],
        15 => &[code, 4, 0x15, 0, 1, b'm'],
        _ => panic!("packet type {packet} has no reason code"),
    };
    let flags = if packet == 6 { 2 } else { 0 };
    super::frame(packet << 4 | flags, body)
}
