//! What can be wrong with bytes, and with what shall become bytes.

use crate::{PacketType, PropertyId, ReasonCode, Sender, TextError, TopicError, Version};

/// Bytes that are no packet, or none that this sender may send. The fault is the sender's; [`reason`](Self::reason) is what to
/// answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A variable byte integer has a fifth byte or is not in its shortest form [MQTT-1.5.5-1].
    #[error("a variable byte integer is longer than four bytes or than it need be")]
    BadVarInt,
    /// The packet is larger than the receiver's maximum. Found from the header alone.
    #[error("a packet of {size} bytes is above the maximum of {max}")]
    PacketTooLarge {
        /// The whole packet, fixed header included.
        size: u32,
        /// The limit that was given to the decoder.
        max: u32,
    },
    /// The packet type does not exist in this version.
    #[error("packet type {packet_type} does not exist in {version}")]
    UnknownType {
        /// The high four bits of the first byte.
        packet_type: u8,
        /// The version of the decoder.
        version: Version,
    },
    /// Only the other side sends such packets.
    #[error("a {sender} does not send {packet}")]
    WrongSender {
        /// The packet's type.
        packet: PacketType,
        /// Who sent it.
        sender: Sender,
    },
    /// Reserved flag bits of the fixed header are set, or those that must be set are not [MQTT-2.1.3-1].
    #[error("{packet} has the flags {flags:#06b}")]
    BadFlags {
        /// The packet's type.
        packet: PacketType,
        /// The low four bits of the first byte.
        flags: u8,
    },
    /// Both QoS bits are set [MQTT-3.3.1-4].
    #[error("both QoS bits are set")]
    BadQoS,
    /// DUP is set at QoS 0 [MQTT-3.3.1-2].
    #[error("DUP is set at QoS 0")]
    DupAtQoS0,
    /// The packet ends before `field` does.
    #[error("the packet ends before its {field} does")]
    Truncated {
        /// The field in the words of the specification.
        field: &'static str,
    },
    /// Bytes are left after the last field.
    #[error("{packet} has {extra} bytes after its last field")]
    TrailingBytes {
        /// The packet's type.
        packet: PacketType,
        /// How many.
        extra: usize,
    },
    /// A string is not well-formed [MQTT-1.5.4-1], [MQTT-1.5.4-2].
    #[error("{field}: {error}")]
    BadText {
        /// The field in the words of the specification.
        field: &'static str,
        /// What is wrong with it.
        error: TextError,
    },
    /// A topic name or filter breaks the rules of section 4.7.
    #[error("{field}: {error}")]
    BadTopic {
        /// The field in the words of the specification.
        field: &'static str,
        /// What is wrong with it.
        error: TopicError,
    },
    /// The topic of a PUBLISH is empty and no topic alias stands for it.
    #[error("the topic name is empty and there is no topic alias")]
    NoTopic,
    /// A packet identifier is zero [MQTT-2.2.1-3], [MQTT-2.2.1-4].
    #[error("the packet identifier is zero")]
    ZeroPacketId,
    /// CONNECT names a protocol or level that does not exist.
    #[error("unknown protocol name or level {level}")]
    UnknownProtocol {
        /// The protocol level byte.
        level: u8,
    },
    /// CONNECT flags contradict each other or set the reserved bit [MQTT-3.1.2-3], [MQTT-3.1.2-11] to [MQTT-3.1.2-13].
    #[error("the connect flags {flags:#010b} are not allowed")]
    BadConnectFlags {
        /// The flags byte.
        flags: u8,
    },
    /// CONNACK sets a reserved bit [MQTT-3.2.2-1].
    #[error("the connect acknowledge flags {flags:#010b} are not allowed")]
    BadConnAckFlags {
        /// The flags byte.
        flags: u8,
    },
    /// CONNACK refuses the connection, and tells of a session all the same [MQTT-3.2.2-6].
    #[error("session present is set although the connection is refused with {reason}")]
    SessionPresentOnRefusal {
        /// The reason code beside it.
        reason: ReasonCode,
    },
    /// The packet may not carry this reason code.
    #[error("{packet} from the {sender} may not carry the reason code {code:#04X}")]
    BadReasonCode {
        /// The packet's type.
        packet: PacketType,
        /// Who sent it.
        sender: Sender,
        /// The code as it stands on the wire.
        code: u8,
    },
    /// There is no property with this identifier (section 2.2.2.2).
    #[error("there is no property {id:#04X}")]
    UnknownProperty {
        /// The identifier.
        id: u32,
    },
    /// The property does not belong into this packet (section 2.2.2.2).
    #[error("{property} does not belong into {packet} from the {sender}")]
    PropertyNotAllowed {
        /// The property.
        property: PropertyId,
        /// The packet's type; CONNECT for will properties, too.
        packet: PacketType,
        /// Who sent it.
        sender: Sender,
    },
    /// A property that may stand once stands twice.
    #[error("{property} stands more than once")]
    DuplicateProperty {
        /// The property.
        property: PropertyId,
    },
    /// A property has a value that it must not have.
    #[error("{property} may not be {value}")]
    BadPropertyValue {
        /// The property.
        property: PropertyId,
        /// The value.
        value: u32,
    },
    /// Authentication data without an authentication method, or AUTH without a method where it needs one (section 3.15.2.2.2).
    #[error("there is no authentication method")]
    NoAuthenticationMethod,
    /// SUBSCRIBE, UNSUBSCRIBE or SUBACK without an entry [MQTT-3.8.3-2], [MQTT-3.10.3-2].
    #[error("{packet} has no entry")]
    NoEntries {
        /// The packet's type.
        packet: PacketType,
    },
    /// Subscription options that do not exist [MQTT-3.8.3-5].
    #[error("the subscription options {options:#010b} are not allowed")]
    BadSubscriptionOptions {
        /// The options byte.
        options: u8,
    },
    /// No Local on a shared subscription [MQTT-3.8.3-4].
    #[error("No Local is set on a shared subscription")]
    NoLocalOnShared,
}

impl DecodeError {
    /// A topic name or filter that is refused: as a string, or by the rules of section 4.7.
    #[cold]
    pub(crate) const fn topic(field: &'static str, error: TopicError) -> Self {
        match error {
            TopicError::Text(error) => Self::BadText { field, error },
            error => Self::BadTopic { field, error },
        }
    }

    /// The reason code to answer with in a 5.0 DISCONNECT or CONNACK (section 4.13).
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::PacketTooLarge { .. } => ReasonCode::PACKET_TOO_LARGE,
            Self::UnknownProtocol { .. } => ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
            Self::BadTopic {
                error: TopicError::Wildcard { .. },
                ..
            } => ReasonCode::TOPIC_NAME_INVALID,
            Self::BadPropertyValue {
                property: PropertyId::TOPIC_ALIAS,
                ..
            } => ReasonCode::TOPIC_ALIAS_INVALID,
            // Section 3.8.3.1: reserved bits are malformed [MQTT-3.8.3-5], a QoS or Retain Handling of 3 is a protocol error.
            Self::BadSubscriptionOptions { options } if *options >> 6 != 0 => {
                ReasonCode::MALFORMED_PACKET
            }
            Self::BadSubscriptionOptions { .. }
            | Self::WrongSender { .. }
            | Self::NoTopic
            | Self::ZeroPacketId
            | Self::SessionPresentOnRefusal { .. }
            | Self::BadReasonCode { .. }
            | Self::DuplicateProperty { .. }
            | Self::BadPropertyValue { .. }
            | Self::NoAuthenticationMethod
            | Self::NoEntries { .. }
            | Self::NoLocalOnShared => ReasonCode::PROTOCOL_ERROR,
            _ => ReasonCode::MALFORMED_PACKET,
        }
    }
}

/// A packet that can't be sent as it is. The fault is the caller's; nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The version has no way to carry this.
    #[error("{version} can't carry {what}")]
    NotInVersion {
        /// The version of the encoder.
        version: Version,
        /// What it can't carry.
        what: &'static str,
    },
    /// The packet is larger than the peer's Maximum Packet Size [MQTT-3.2.2-15], or than any packet can be.
    #[error("a packet of {size} bytes is above the peer's maximum of {max}")]
    PacketTooLarge {
        /// The whole packet, fixed header included.
        size: usize,
        /// The limit that was given to the encoder.
        max: u32,
    },
    /// Only the other side sends such packets.
    #[error("a {sender} does not send {packet}")]
    WrongSender {
        /// The packet's type.
        packet: PacketType,
        /// The sender that the encoder speaks for.
        sender: Sender,
    },
    /// The property does not belong into this packet (section 2.2.2.2).
    #[error("{property} does not belong into {packet} from the {sender}")]
    PropertyNotAllowed {
        /// The property.
        property: PropertyId,
        /// The packet's type; CONNECT for will properties, too.
        packet: PacketType,
        /// The sender that the encoder speaks for.
        sender: Sender,
    },
    /// The packet may not carry this reason code.
    #[error("{packet} from the {sender} may not carry the reason code {code}")]
    ReasonNotAllowed {
        /// The packet's type.
        packet: PacketType,
        /// The sender that the encoder speaks for.
        sender: Sender,
        /// The code.
        code: ReasonCode,
    },
    /// A field is longer than the 65,535 bytes that its length can tell.
    #[error("the {field} is {len} bytes long; the maximum is 65,535")]
    FieldTooLong {
        /// The field in the words of the specification.
        field: &'static str,
        /// Its length in bytes.
        len: usize,
    },
    /// SUBSCRIBE or UNSUBSCRIBE without a filter, SUBACK without a code [MQTT-3.8.3-2], [MQTT-3.10.3-2].
    #[error("{packet} needs at least one entry")]
    NoEntries {
        /// The packet's type.
        packet: PacketType,
    },
    /// No Local on a shared subscription [MQTT-3.8.3-4].
    #[error("No Local is not allowed on a shared subscription")]
    NoLocalOnShared,
    /// 3.x has no password without a user name [MQTT-3.1.2-22].
    #[error("{version} allows no password without a user name")]
    PasswordWithoutUserName {
        /// The version of the CONNECT.
        version: Version,
    },
    /// A client identifier that the version does not allow: empty with a kept session in 3.1.1 [MQTT-3.1.3-7], empty or above 23
    /// characters in 3.1.
    #[error("{version} does not allow this client identifier of {len} bytes here")]
    BadClientId {
        /// The version of the CONNECT.
        version: Version,
        /// Its length in bytes.
        len: usize,
    },
    /// CONNACK refuses the connection, and tells of a session all the same [MQTT-3.2.2-6].
    #[error("session present may not be set when the connection is refused")]
    SessionPresentOnRefusal,
    /// A topic is neither given nor does an alias stand for it.
    #[error("the topic name is empty and there is no topic alias")]
    NoTopic,
    /// Authentication data without an authentication method, or AUTH without a method.
    #[error("there is no authentication method")]
    NoAuthenticationMethod,
}
