use core::fmt;

use mqtt_proto::{DecodeError, PacketType, ReasonCode};

use super::ConnId;
use crate::Time;

/// A breach of the protocol by a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// When it was found.
    pub time: Time,
    /// On which connection.
    pub conn: ConnId,
    /// The client identifier, where CONNECT had come.
    pub client_id: Option<String>,
    /// The type of the packet that broke the rule; none for silence and for bytes that are no packet.
    pub packet: Option<PacketType>,
    /// The normative statement of MQTT 5.0, without brackets: `MQTT-2.2.1-3`. 3.x has the same rules under other numbers. A section
    /// (`3.3.2.3.4`) where the rule has no number.
    pub rule: &'static str,
    /// What the broker ends the connection with, in 5.0.
    pub reason: ReasonCode,
    /// What was wrong, with the values that show it.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:.6} s on {}", self.time.as_secs_f64(), self.conn)?;
        if let Some(client_id) = &self.client_id {
            write!(f, " '{client_id}'")?;
        }
        if let Some(packet) = self.packet {
            write!(f, ", {packet}")?;
        }
        write!(f, ": {} [{}]", self.text, self.rule)
    }
}

/// A violation before it is known where and when.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) rule: &'static str,
    pub(crate) reason: ReasonCode,
    pub(crate) text: String,
}

impl Fault {
    /// One that is answered with a Protocol Error.
    pub(crate) fn protocol(rule: &'static str, text: impl Into<String>) -> Self {
        Self::new(ReasonCode::PROTOCOL_ERROR, rule, text)
    }

    pub(crate) fn new(reason: ReasonCode, rule: &'static str, text: impl Into<String>) -> Self {
        Self {
            rule,
            reason,
            text: text.into(),
        }
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        let rule = match error {
            DecodeError::PacketTooLarge { .. } => "MQTT-3.2.2-15",
            DecodeError::BadVarInt => "MQTT-1.5.5-1",
            DecodeError::BadFlags { .. } => "MQTT-2.1.3-1",
            DecodeError::BadQoS => "MQTT-3.3.1-4",
            DecodeError::DupAtQoS0 => "MQTT-3.3.1-2",
            DecodeError::ZeroPacketId => "MQTT-2.2.1-3",
            DecodeError::BadText { .. } => "MQTT-1.5.4-1",
            DecodeError::BadTopic { .. } => "MQTT-4.7.0-1",
            DecodeError::BadConnectFlags { .. } => "MQTT-3.1.2-3",
            DecodeError::BadSubscriptionOptions { .. } => "MQTT-3.8.3-5",
            DecodeError::NoLocalOnShared => "MQTT-3.8.3-4",
            _ => "MQTT-4.13.1-1",
        };
        Self::new(error.reason(), rule, error.to_string())
    }
}

pub(crate) type Checked<T = ()> = Result<T, Fault>;
