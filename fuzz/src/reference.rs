//! A second, plain reader of properties, with the tables of the specification written down once more.

use mqtt_proto::{PacketType, PropertyValue, Sender};

/// Where properties stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Packet(PacketType),
    Will,
}

/// The types of section 2.2.2.2, with the values that the section of each property allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Two,
    TwoNonZero,
    Four,
    FourNonZero,
    VarIntNonZero,
    Text,
    Topic,
    Binary,
    Pair,
}

/// Every place that has properties, with those who may send it.
pub(crate) const PLACES: &[(Place, Sender)] = {
    use PacketType as P;
    use Place::{Packet, Will};
    use Sender::{Client, Server};
    &[
        (Packet(P::Connect), Client),
        (Will, Client),
        (Packet(P::ConnAck), Server),
        (Packet(P::Publish), Client),
        (Packet(P::Publish), Server),
        (Packet(P::PubAck), Client),
        (Packet(P::PubAck), Server),
        (Packet(P::PubRec), Client),
        (Packet(P::PubRec), Server),
        (Packet(P::PubRel), Client),
        (Packet(P::PubRel), Server),
        (Packet(P::PubComp), Client),
        (Packet(P::PubComp), Server),
        (Packet(P::Subscribe), Client),
        (Packet(P::SubAck), Server),
        (Packet(P::Unsubscribe), Client),
        (Packet(P::UnsubAck), Server),
        (Packet(P::Disconnect), Client),
        (Packet(P::Disconnect), Server),
        (Packet(P::Auth), Client),
        (Packet(P::Auth), Server),
    ]
};

pub(crate) fn kind(id: u8) -> Option<Kind> {
    Some(match id {
        0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A => Kind::Bool,
        0x13 | 0x22 => Kind::Two,
        0x21 | 0x23 => Kind::TwoNonZero,
        0x02 | 0x11 | 0x18 => Kind::Four,
        0x27 => Kind::FourNonZero,
        0x0B => Kind::VarIntNonZero,
        0x03 | 0x12 | 0x15 | 0x1A | 0x1C | 0x1F => Kind::Text,
        0x08 => Kind::Topic,
        0x09 | 0x16 => Kind::Binary,
        0x26 => Kind::Pair,
        _ => return None,
    })
}

/// What may stand there, by the section of each packet: the second column of table 2-4, turned around.
pub(crate) fn allowed(place: Place, sender: Sender) -> &'static [u8] {
    use PacketType as P;
    use Sender::{Client, Server};
    match (place, sender) {
        (Place::Will, _) => &[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26],
        (Place::Packet(packet), _) => match (packet, sender) {
            (P::Connect, _) => &[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27],
            (P::ConnAck, _) => &[
                0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27,
                0x28, 0x29, 0x2A,
            ],
            // [MQTT-3.3.4-6]
            (P::Publish, Client) => &[0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26],
            (P::Publish, Server) => &[0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26],
            (P::Subscribe, _) => &[0x0B, 0x26],
            (P::Unsubscribe, _) => &[0x26],
            // [MQTT-3.14.2-2]; Server Reference is the server's (section 3.14.2.2.5).
            (P::Disconnect, Client) => &[0x11, 0x1F, 0x26],
            (P::Disconnect, Server) => &[0x1C, 0x1F, 0x26],
            (P::Auth, _) => &[0x15, 0x16, 0x1F, 0x26],
            (P::PingReq | P::PingResp, _) => &[],
            (P::PubAck | P::PubRec | P::PubRel | P::PubComp | P::SubAck | P::UnsubAck, _) => {
                &[0x1F, 0x26]
            }
        },
    }
}

pub(crate) fn may_repeat(id: u8, place: Place) -> bool {
    id == 0x26 || id == 0x0B && place == Place::Packet(PacketType::Publish)
}

/// The properties of a block in order; `None` where it breaks a rule.
pub(crate) fn read(
    mut block: &[u8],
    place: Place,
    sender: Sender,
) -> Option<Vec<(u8, PropertyValue<'_>)>> {
    let mut found: Vec<(u8, PropertyValue<'_>)> = Vec::new();
    while let Some((id, rest)) = block.split_first() {
        let duplicate = found.iter().any(|(other, _)| other == id);
        if !allowed(place, sender).contains(id) || duplicate && !may_repeat(*id, place) {
            return None;
        }
        block = rest;
        found.push((*id, value(kind(*id)?, &mut block)?));
    }
    let has = |id| found.iter().any(|(other, _)| *other == id);
    // Section 3.1.2.11.10, which says so of CONNECT alone.
    let connect = place == Place::Packet(PacketType::Connect);
    let data_without_method = connect && has(0x16) && !has(0x15);
    // Section 3.15.2.2.2
    let auth_without_method = place == Place::Packet(PacketType::Auth) && !has(0x15);
    (!data_without_method && !auth_without_method).then_some(found)
}

fn value<'a>(kind: Kind, block: &mut &'a [u8]) -> Option<PropertyValue<'a>> {
    Some(match kind {
        Kind::Bool => match take(block, 1)? {
            [value @ (0 | 1)] => PropertyValue::Byte(*value),
            _ => return None,
        },
        Kind::Two | Kind::TwoNonZero => {
            let value = number(take(block, 2)?);
            if value == 0 && kind == Kind::TwoNonZero {
                return None;
            }
            PropertyValue::TwoByte(value as u16)
        }
        Kind::Four | Kind::FourNonZero => {
            let value = number(take(block, 4)?);
            if value == 0 && kind == Kind::FourNonZero {
                return None;
            }
            PropertyValue::FourByte(value)
        }
        Kind::VarIntNonZero => PropertyValue::VarInt(varint(block).filter(|value| *value > 0)?),
        Kind::Text => PropertyValue::Text(text(block)?),
        Kind::Topic => PropertyValue::Text(
            text(block).filter(|topic| !topic.is_empty() && !topic.contains(['+', '#']))?,
        ),
        Kind::Binary => PropertyValue::Binary(binary(block)?),
        Kind::Pair => PropertyValue::Pair(text(block)?, text(block)?),
    })
}

fn take<'a>(block: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = block.split_at_checked(count)?;
    *block = rest;
    Some(taken)
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte))
}

/// Section 1.5.5: at most four bytes, none of them superfluous.
fn varint(block: &mut &[u8]) -> Option<u32> {
    let len = 1 + block.iter().take_while(|byte| **byte >= 128).count();
    let bytes = take(block, len)?;
    let superfluous = len > 1 && bytes[len - 1] == 0;
    if len > 4 || superfluous {
        return None;
    }
    let low = |n, byte: &u8| n * 128 + u32::from(byte % 128);
    Some(bytes.iter().rev().fold(0, low))
}

fn binary<'a>(block: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = number(take(block, 2)?);
    take(block, len as usize)
}

fn text<'a>(block: &mut &'a [u8]) -> Option<&'a str> {
    let text = std::str::from_utf8(binary(block)?).ok()?;
    (!text.contains('\0')).then_some(text)
}
