use core::time::Duration;

use mqtt_proto::{Flow, Packet, PacketId, PacketType, QoS, ReasonCode};

use crate::{ConnectionError, Peer};

/// Something that an observer may see: see [`Session::keep_observations`](crate::Session::keep_observations).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Observation {
    /// A packet was encoded, or came.
    Packet(PacketSummary),
    /// The server accepted the connection.
    Connected {
        /// The address of the server.
        addr: Peer,
    },
    /// A connection, or a round of attempts at one, ended.
    Lost {
        /// Why.
        error: ConnectionError,
        /// When the next attempt will begin; `None` where there will be none.
        retry_in: Option<Duration>,
    },
    /// The session has ended.
    Closed,
    /// There was no room for so many observations, which would have stood here.
    Missed {
        /// How many.
        count: u64,
    },
}

/// What is told of a packet: never its topic, payload, properties or credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PacketSummary {
    /// Who sent it.
    pub direction: Direction,
    /// Its type.
    pub packet_type: PacketType,
    /// Its packet identifier, where it has one.
    pub id: Option<PacketId>,
    /// The QoS of a PUBLISH.
    pub qos: Option<QoS>,
    /// Whether a PUBLISH is sent again.
    pub dup: bool,
    /// Its size in bytes.
    pub size: usize,
    /// Its reason code, where the packet has one and not several. In 3.x that is success but for CONNACK.
    pub reason: Option<ReasonCode>,
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From us to the server. It is encoded, and not yet written.
    Sent,
    /// From the server to us.
    Received,
}

impl PacketSummary {
    pub(crate) const fn new(direction: Direction, packet_type: PacketType, size: usize) -> Self {
        Self {
            direction,
            packet_type,
            id: None,
            qos: None,
            dup: false,
            size,
            reason: None,
        }
    }

    pub(crate) const fn publish(direction: Direction, flow: Flow, size: usize) -> Self {
        Self {
            id: flow.packet_id(),
            qos: Some(flow.qos()),
            dup: flow.dup(),
            ..Self::new(direction, PacketType::Publish, size)
        }
    }

    /// What is sent with an identifier of its own is told where it gets that, and a server sends no requests.
    pub(crate) fn of(direction: Direction, packet: &Packet, size: usize) -> Self {
        let summary = Self::new(direction, packet.packet_type(), size);
        let (id, reason) = match packet {
            Packet::Publish(publish) => return Self::publish(direction, publish.flow(), size),
            Packet::ConnAck(connack) => (None, Some(connack.reason)),
            Packet::PubAck(ack)
            | Packet::PubRec(ack)
            | Packet::PubRel(ack)
            | Packet::PubComp(ack) => (Some(ack.id), Some(ack.reason)),
            Packet::SubAck(suback) => (Some(suback.id), None),
            Packet::UnsubAck(unsuback) => (Some(unsuback.id), None),
            Packet::Disconnect(disconnect) => (None, Some(disconnect.reason)),
            Packet::Auth(auth) => (None, Some(auth.reason)),
            _ => (None, None),
        };
        Self {
            id,
            reason,
            ..summary
        }
    }
}
