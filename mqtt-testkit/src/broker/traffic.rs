use std::collections::BTreeMap;

use mqtt_proto::{Packet, PacketType, ReasonCode};

use crate::Direction;

/// How many packets of each type have passed the broker's edge, and with which reason codes. Kept also where nothing is logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    packets: [[u64; 16]; 2],
    reasons: BTreeMap<(Direction, PacketType, ReasonCode), u64>,
}

impl Traffic {
    /// How many packets of a type went in a direction. What a test injects as bytes is not counted.
    pub fn packets(&self, direction: Direction, packet_type: PacketType) -> u64 {
        self.packets[direction as usize][packet_type as usize]
    }

    /// Each reason code that was seen in a packet of a type in a direction, and how often.
    pub fn reasons(&self) -> impl Iterator<Item = ((Direction, PacketType, ReasonCode), u64)> + '_ {
        self.reasons.iter().map(|(key, count)| (*key, *count))
    }

    pub(super) fn count(
        &mut self,
        direction: Direction,
        packet_type: PacketType,
        codes: &[ReasonCode],
    ) {
        self.packets[direction as usize][packet_type as usize] += 1;
        for code in codes {
            *self
                .reasons
                .entry((direction, packet_type, *code))
                .or_default() += 1;
        }
    }
}

/// The reason codes of a packet.
pub(super) fn codes(packet: &Packet) -> &[ReasonCode] {
    use core::slice::from_ref;
    match packet {
        Packet::ConnAck(connack) => from_ref(&connack.reason),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            from_ref(&ack.reason)
        }
        Packet::SubAck(suback) => &suback.codes,
        Packet::UnsubAck(unsuback) => &unsuback.codes,
        Packet::Disconnect(disconnect) => from_ref(&disconnect.reason),
        Packet::Auth(auth) => from_ref(&auth.reason),
        _ => &[],
    }
}
