use core::fmt;

/// A version of the protocol. It is a value that the codec is given, not a type: one packet model serves all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// MQTT 3.1: protocol name `MQIsdp`, level 3.
    V3_1,
    /// MQTT 3.1.1: protocol name `MQTT`, level 4.
    V3_1_1,
    /// MQTT 5.0: protocol name `MQTT`, level 5.
    V5,
}

impl Version {
    /// The protocol name at the start of CONNECT [MQTT-3.1.2-1].
    pub const fn protocol_name(self) -> &'static str {
        match self {
            Self::V3_1 => "MQIsdp",
            Self::V3_1_1 | Self::V5 => "MQTT",
        }
    }

    /// The protocol level, which 5.0 calls protocol version (section 3.1.2.2).
    pub const fn level(self) -> u8 {
        match self {
            Self::V3_1 => 3,
            Self::V3_1_1 => 4,
            Self::V5 => 5,
        }
    }

    /// Whether packets have properties and acknowledgements have reason codes: only in 5.0.
    pub const fn is_v5(self) -> bool {
        matches!(self, Self::V5)
    }

    pub(crate) fn from_wire(name: &[u8], level: u8) -> Option<Self> {
        [Self::V3_1, Self::V3_1_1, Self::V5]
            .into_iter()
            .find(|v| v.level() == level && v.protocol_name().as_bytes() == name)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V3_1 => "MQTT 3.1",
            Self::V3_1_1 => "MQTT 3.1.1",
            Self::V5 => "MQTT 5.0",
        })
    }
}

/// Who sent the bytes that are decoded, or sends those that are encoded. Some packets, properties and reason codes belong to
/// one side only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// The client sends.
    Client,
    /// The server (broker) sends.
    Server,
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}
