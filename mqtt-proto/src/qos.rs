use core::fmt;

use crate::PacketId;

/// Quality of service: what sender and receiver promise each other for one message (section 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QoS {
    /// QoS 0: sent once, may be lost.
    #[default]
    AtMostOnce = 0,
    /// QoS 1: sent until acknowledged, may arrive twice.
    AtLeastOnce = 1,
    /// QoS 2: arrives exactly once while the session lasts.
    ExactlyOnce = 2,
}

impl QoS {
    /// `None` for 3 and above [MQTT-3.3.1-4].
    pub const fn from_u8(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }

    /// 0, 1 or 2.
    pub const fn as_u8(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for QoS {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QoS {}", self.as_u8())
    }
}

/// The QoS of one PUBLISH on the wire, with the fields that exist only at that QoS: a packet at QoS 0 has no packet
/// identifier [MQTT-2.2.1-2] and is never a duplicate [MQTT-3.3.1-2].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flow {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce {
        /// The packet identifier.
        id: PacketId,
        /// Whether this may be a re-delivery.
        dup: bool,
    },
    /// QoS 2.
    ExactlyOnce {
        /// The packet identifier.
        id: PacketId,
        /// Whether this may be a re-delivery.
        dup: bool,
    },
}

impl Flow {
    /// The QoS alone.
    pub const fn qos(self) -> QoS {
        match self {
            Self::AtMostOnce => QoS::AtMostOnce,
            Self::AtLeastOnce { .. } => QoS::AtLeastOnce,
            Self::ExactlyOnce { .. } => QoS::ExactlyOnce,
        }
    }

    /// The packet identifier, which QoS 0 has not.
    pub const fn packet_id(self) -> Option<PacketId> {
        match self {
            Self::AtMostOnce => None,
            Self::AtLeastOnce { id, .. } | Self::ExactlyOnce { id, .. } => Some(id),
        }
    }

    /// Whether the DUP flag is set.
    pub const fn dup(self) -> bool {
        match self {
            Self::AtMostOnce => false,
            Self::AtLeastOnce { dup, .. } | Self::ExactlyOnce { dup, .. } => dup,
        }
    }
}
