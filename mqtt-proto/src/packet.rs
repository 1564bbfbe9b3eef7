//! The packet types: one plain struct each, for all versions.

mod ack;
mod connack;
mod connect;
mod disconnect;
mod publish;
mod suback;
mod subscribe;

use core::fmt;

pub use ack::Ack;
pub use connack::ConnAck;
pub use connect::{Connect, Will};
pub use disconnect::{Auth, Disconnect};
pub use publish::{Publish, PublishView};
pub use suback::{SubAck, UnsubAck};
pub use subscribe::{RetainHandling, Subscribe, SubscribeOptions, Unsubscribe};

/// The type of a packet (section 2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PacketType {
    /// Client to server: the first packet of a connection.
    Connect = 1,
    /// Server to client: the answer to CONNECT.
    ConnAck = 2,
    /// Both ways: a message.
    Publish = 3,
    /// Both ways: a message of QoS 1 has arrived.
    PubAck = 4,
    /// Both ways: a message of QoS 2 has arrived.
    PubRec = 5,
    /// Both ways: a message of QoS 2 is released.
    PubRel = 6,
    /// Both ways: the exchange of a message of QoS 2 is complete.
    PubComp = 7,
    /// Client to server.
    Subscribe = 8,
    /// Server to client: the answer to SUBSCRIBE.
    SubAck = 9,
    /// Client to server.
    Unsubscribe = 10,
    /// Server to client: the answer to UNSUBSCRIBE.
    UnsubAck = 11,
    /// Client to server: is somebody there?
    PingReq = 12,
    /// Server to client: yes.
    PingResp = 13,
    /// The connection ends: from the client, and in 5.0 from the server, too.
    Disconnect = 14,
    /// Both ways, 5.0 only: a step of enhanced authentication.
    Auth = 15,
}

impl PacketType {
    /// Every type.
    pub const ALL: &[Self] = &[
        Self::Connect,
        Self::ConnAck,
        Self::Publish,
        Self::PubAck,
        Self::PubRec,
        Self::PubRel,
        Self::PubComp,
        Self::Subscribe,
        Self::SubAck,
        Self::Unsubscribe,
        Self::UnsubAck,
        Self::PingReq,
        Self::PingResp,
        Self::Disconnect,
        Self::Auth,
    ];

    /// `None` for 0 and above 15.
    pub const fn from_u8(packet_type: u8) -> Option<Self> {
        match packet_type {
            1..=15 => Some(Self::ALL[packet_type as usize - 1]),
            _ => None,
        }
    }

    /// The name in the specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::ConnAck => "CONNACK",
            Self::Publish => "PUBLISH",
            Self::PubAck => "PUBACK",
            Self::PubRec => "PUBREC",
            Self::PubRel => "PUBREL",
            Self::PubComp => "PUBCOMP",
            Self::Subscribe => "SUBSCRIBE",
            Self::SubAck => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::UnsubAck => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
            Self::Auth => "AUTH",
        }
    }
}

impl fmt::Display for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A packet as it was received. [`Encoder::encode`](crate::Encoder::encode) takes it, too; what a client publishes goes through
/// [`Encoder::publish`](crate::Encoder::publish) instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// CONNECT.
    Connect(alloc::boxed::Box<Connect>),
    /// CONNACK.
    ConnAck(ConnAck),
    /// PUBLISH.
    Publish(PublishView),
    /// PUBACK.
    PubAck(Ack),
    /// PUBREC.
    PubRec(Ack),
    /// PUBREL.
    PubRel(Ack),
    /// PUBCOMP.
    PubComp(Ack),
    /// SUBSCRIBE.
    Subscribe(Subscribe),
    /// SUBACK.
    SubAck(SubAck),
    /// UNSUBSCRIBE.
    Unsubscribe(Unsubscribe),
    /// UNSUBACK.
    UnsubAck(UnsubAck),
    /// PINGREQ.
    PingReq,
    /// PINGRESP.
    PingResp,
    /// DISCONNECT.
    Disconnect(Disconnect),
    /// AUTH.
    Auth(Auth),
}

impl Packet {
    /// Its type.
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::Auth(_) => PacketType::Auth,
        }
    }
}
