//! The table of properties (section 2.2.2.2): identifier, type, and where each may stand.

use core::fmt;

use super::{PropertiesRef, PropertyValue};
use crate::{PacketType, Sender};

/// The identifier of a property.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PropertyId(pub(crate) u8);

/// The types of the values, with what is checked of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    TwoByte,
    TwoByteNonZero,
    FourByte,
    FourByteNonZero,
    VarIntNonZero,
    Text,
    Topic,
    Binary,
    Pair,
}

/// Where properties stand: in a packet, or in the will of CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Packet(PacketType),
    Will,
}

impl Place {
    const fn bit(self) -> u16 {
        match self {
            Self::Will => WILL,
            Self::Packet(packet) => 1 << packet as u16,
        }
    }
}

const WILL: u16 = 1;
const CONNECT: u16 = 1 << PacketType::Connect as u16;
const CONNACK: u16 = 1 << PacketType::ConnAck as u16;
const PUBLISH: u16 = 1 << PacketType::Publish as u16;
const SUBSCRIBE: u16 = 1 << PacketType::Subscribe as u16;
const DISCONNECT: u16 = 1 << PacketType::Disconnect as u16;
const AUTH: u16 = 1 << PacketType::Auth as u16;
const ACKS: u16 = 1 << PacketType::PubAck as u16
    | 1 << PacketType::PubRec as u16
    | 1 << PacketType::PubRel as u16
    | 1 << PacketType::PubComp as u16
    | 1 << PacketType::SubAck as u16
    | 1 << PacketType::UnsubAck as u16;
const ALL: u16 = WILL
    | CONNECT
    | CONNACK
    | PUBLISH
    | SUBSCRIBE
    | DISCONNECT
    | AUTH
    | ACKS
    | 1 << PacketType::Unsubscribe as u16;

struct Row {
    kind: Kind,
    places: u16,
    name: &'static str,
}

macro_rules! properties {
    ($($(#[$doc:meta])* $const:ident $getter:ident = $id:literal, $kind:ident, $places:expr, $name:literal;)*) => {
        impl PropertyId {
            $($(#[$doc])* pub const $const: Self = Self($id);)*

            /// Every property of the specification.
            pub const ALL: &[Self] = &[$(Self($id)),*];
        }

        const ROWS: [Option<Row>; 64] = {
            let mut rows = [const { None }; 64];
            $(rows[$id] = Some(Row { kind: Kind::$kind, places: $places, name: $name });)*
            rows
        };

        const KINDS: [Kind; 64] = {
            let mut kinds = [Kind::Bool; 64];
            $(kinds[$id] = Kind::$kind;)*
            kinds
        };

        impl<'a> PropertiesRef<'a> {
            $(properties!(@getter $(#[$doc])* $const $getter $kind);)*
        }
    };
    (@getter $(#[$doc:meta])* $const:ident $getter:ident Bool) => {
        $(#[$doc])*
        pub fn $getter(self) -> Option<bool> {
            match self.get(PropertyId::$const)? { PropertyValue::Byte(v) => Some(v == 1), _ => None }
        }
    };
    (@getter $(#[$doc:meta])* $const:ident $getter:ident TwoByte) => {
        $(#[$doc])*
        pub fn $getter(self) -> Option<u16> {
            match self.get(PropertyId::$const)? { PropertyValue::TwoByte(v) => Some(v), _ => None }
        }
    };
    (@getter $(#[$doc:meta])* $const:ident $getter:ident TwoByteNonZero) => {
        $(#[$doc])*
        pub fn $getter(self) -> Option<core::num::NonZeroU16> {
            match self.get(PropertyId::$const)? {
                PropertyValue::TwoByte(v) => core::num::NonZeroU16::new(v),
                _ => None,
            }
        }
    };
    (@getter $(#[$doc:meta])* $const:ident $getter:ident FourByte) => {
        $(#[$doc])*
        pub fn $getter(self) -> Option<u32> {
            match self.get(PropertyId::$const)? { PropertyValue::FourByte(v) => Some(v), _ => None }
        }
    };
    (@getter $(#[$doc:meta])* $const:ident $getter:ident FourByteNonZero) => {
        $(#[$doc])*
        pub fn $getter(self) -> Option<core::num::NonZeroU32> {
            match self.get(PropertyId::$const)? {
                PropertyValue::FourByte(v) => core::num::NonZeroU32::new(v),
                _ => None,
            }
        }
    };
    (@getter $(#[$doc:meta])* $const:ident $getter:ident Binary) => {
        $(#[$doc])*
        pub fn $getter(self) -> Option<&'a [u8]> {
            match self.get(PropertyId::$const)? { PropertyValue::Binary(v) => Some(v), _ => None }
        }
    };
    (@getter $(#[$doc:meta])* $const:ident $getter:ident Text) => {
        $(#[$doc])*
        pub fn $getter(self) -> Option<&'a str> {
            match self.get(PropertyId::$const)? { PropertyValue::Text(v) => Some(v), _ => None }
        }
    };
    (@getter $(#[$doc:meta])* $const:ident $getter:ident Topic) => {
        properties!(@getter $(#[$doc])* $const $getter Text);
    };
    // These two may stand more than once: `user_properties` and `subscription_identifiers` are iterators.
    (@getter $(#[$doc:meta])* $const:ident $getter:ident Pair) => {};
    (@getter $(#[$doc:meta])* $const:ident $getter:ident VarIntNonZero) => {};
}

properties! {
    /// Payload Format Indicator: whether the payload is UTF-8 text. Absent means not told (section 3.3.2.3.2).
    PAYLOAD_FORMAT_INDICATOR payload_format_indicator = 0x01, Bool, PUBLISH | WILL, "Payload Format Indicator";
    /// Message Expiry Interval, in seconds. Absent means never (section 3.3.2.3.3).
    MESSAGE_EXPIRY_INTERVAL message_expiry_interval = 0x02, FourByte, PUBLISH | WILL, "Message Expiry Interval";
    /// Content Type, in words that the applications agree on (section 3.3.2.3.9).
    CONTENT_TYPE content_type = 0x03, Text, PUBLISH | WILL, "Content Type";
    /// Response Topic: where an answer is awaited (section 3.3.2.3.5).
    RESPONSE_TOPIC response_topic = 0x08, Topic, PUBLISH | WILL, "Response Topic";
    /// Correlation Data: which request an answer belongs to (section 3.3.2.3.6).
    CORRELATION_DATA correlation_data = 0x09, Binary, PUBLISH | WILL, "Correlation Data";
    /// Subscription Identifier, 1 to 268,435,455 (sections 3.3.2.3.8 and 3.8.2.1.2).
    SUBSCRIPTION_IDENTIFIER subscription_identifier = 0x0B, VarIntNonZero, PUBLISH | SUBSCRIBE, "Subscription Identifier";
    /// Session Expiry Interval, in seconds after the connection; 0xFFFF_FFFF means never (section 3.1.2.11.2).
    SESSION_EXPIRY_INTERVAL session_expiry_interval = 0x11, FourByte, CONNECT | CONNACK | DISCONNECT, "Session Expiry Interval";
    /// Assigned Client Identifier (section 3.2.2.3.7).
    ASSIGNED_CLIENT_IDENTIFIER assigned_client_identifier = 0x12, Text, CONNACK, "Assigned Client Identifier";
    /// Server Keep Alive, in seconds; it replaces the client's (section 3.2.2.3.14).
    SERVER_KEEP_ALIVE server_keep_alive = 0x13, TwoByte, CONNACK, "Server Keep Alive";
    /// Authentication Method (section 3.1.2.11.9).
    AUTHENTICATION_METHOD authentication_method = 0x15, Text, CONNECT | CONNACK | AUTH, "Authentication Method";
    /// Authentication Data, as the method defines it (section 3.1.2.11.10).
    AUTHENTICATION_DATA authentication_data = 0x16, Binary, CONNECT | CONNACK | AUTH, "Authentication Data";
    /// Request Problem Information. Absent means yes (section 3.1.2.11.7).
    REQUEST_PROBLEM_INFORMATION request_problem_information = 0x17, Bool, CONNECT, "Request Problem Information";
    /// Will Delay Interval, in seconds. Absent means none (section 3.1.3.2.2).
    WILL_DELAY_INTERVAL will_delay_interval = 0x18, FourByte, WILL, "Will Delay Interval";
    /// Request Response Information. Absent means no (section 3.1.2.11.6).
    REQUEST_RESPONSE_INFORMATION request_response_information = 0x19, Bool, CONNECT, "Request Response Information";
    /// Response Information: a base for response topics (section 3.2.2.3.15).
    RESPONSE_INFORMATION response_information = 0x1A, Text, CONNACK, "Response Information";
    /// Server Reference: another server to use (section 4.11).
    SERVER_REFERENCE server_reference = 0x1C, Text, CONNACK | DISCONNECT, "Server Reference";
    /// Reason String: words for a person who looks for a fault (section 3.2.2.3.9).
    REASON_STRING reason_string = 0x1F, Text, CONNACK | ACKS | DISCONNECT | AUTH, "Reason String";
    /// Receive Maximum: publications of QoS 1 and 2 in flight. Absent means 65,535 (section 3.1.2.11.3).
    RECEIVE_MAXIMUM receive_maximum = 0x21, TwoByteNonZero, CONNECT | CONNACK, "Receive Maximum";
    /// Topic Alias Maximum. Absent means 0: no aliases (section 3.1.2.11.5).
    TOPIC_ALIAS_MAXIMUM topic_alias_maximum = 0x22, TwoByte, CONNECT | CONNACK, "Topic Alias Maximum";
    /// Topic Alias: stands for the topic name (section 3.3.2.3.4).
    TOPIC_ALIAS topic_alias = 0x23, TwoByteNonZero, PUBLISH, "Topic Alias";
    /// Maximum QoS: whether QoS 1 is supported. Absent means QoS 2 (section 3.2.2.3.4).
    MAXIMUM_QOS maximum_qos = 0x24, Bool, CONNACK, "Maximum QoS";
    /// Retain Available. Absent means yes (section 3.2.2.3.5).
    RETAIN_AVAILABLE retain_available = 0x25, Bool, CONNACK, "Retain Available";
    /// User Property: a name and a value; may stand more than once (section 3.1.2.11.8).
    USER_PROPERTY user_property = 0x26, Pair, ALL, "User Property";
    /// Maximum Packet Size, in bytes. Absent means no limit beyond the protocol's (section 3.1.2.11.4).
    MAXIMUM_PACKET_SIZE maximum_packet_size = 0x27, FourByteNonZero, CONNECT | CONNACK, "Maximum Packet Size";
    /// Wildcard Subscription Available. Absent means yes (section 3.2.2.3.11).
    WILDCARD_SUBSCRIPTION_AVAILABLE wildcard_subscription_available = 0x28, Bool, CONNACK, "Wildcard Subscription Available";
    /// Subscription Identifier Available. Absent means yes (section 3.2.2.3.12).
    SUBSCRIPTION_IDENTIFIER_AVAILABLE subscription_identifier_available = 0x29, Bool, CONNACK, "Subscription Identifier Available";
    /// Shared Subscription Available. Absent means yes (section 3.2.2.3.13).
    SHARED_SUBSCRIPTION_AVAILABLE shared_subscription_available = 0x2A, Bool, CONNACK, "Shared Subscription Available";
}

impl PropertyId {
    /// The identifier as it stands on the wire.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The bit that stands for it in a set; none for identifiers that do not exist.
    #[inline]
    pub(crate) const fn bit(self) -> u64 {
        if self.0 < 64 { 1 << self.0 } else { 0 }
    }

    #[inline]
    pub(crate) const fn kind(self) -> Option<Kind> {
        match &ROWS[self.0 as usize & 63] {
            Some(row) if self.0 < 64 => Some(row.kind),
            _ => None,
        }
    }

    /// The type of a property that exists, without a second look whether it does.
    #[inline]
    pub(crate) const fn kind_if_known(self) -> Kind {
        KINDS[self.0 as usize & 63]
    }

    /// The name in the specification.
    pub(crate) const fn field(self) -> &'static str {
        match &ROWS[self.0 as usize & 63] {
            Some(row) if self.0 < 64 => row.name,
            _ => "property",
        }
    }
}

impl fmt::Display for PropertyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field())
    }
}

impl fmt::Debug for PropertyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field())
    }
}

/// The set of properties that `sender` may put there.
#[inline]
pub(crate) const fn allowed(place: Place, sender: Sender) -> u64 {
    const SETS: [[u64; 16]; 2] = [sets(Sender::Client), sets(Sender::Server)];
    SETS[sender as usize][place.bit().trailing_zeros() as usize]
}

const fn sets(sender: Sender) -> [u64; 16] {
    let mut sets = [0; 16];
    let mut id = 0;
    while id < 64 {
        if let Some(row) = &ROWS[id as usize] {
            let mut place = 0;
            while place < 16 {
                if row.places & (1 << place) != 0 {
                    sets[place] |= 1 << id;
                }
                place += 1;
            }
        }
        id += 1;
    }
    match sender {
        // [MQTT-3.3.4-6]
        Sender::Client => {
            sets[PacketType::Publish as usize] &= !PropertyId::SUBSCRIPTION_IDENTIFIER.bit();
            sets[PacketType::Disconnect as usize] &= !PropertyId::SERVER_REFERENCE.bit();
        }
        // [MQTT-3.14.2-2]
        Sender::Server => {
            sets[PacketType::Disconnect as usize] &= !PropertyId::SESSION_EXPIRY_INTERVAL.bit();
        }
    }
    sets
}

/// Those that may stand more than once there.
#[inline]
pub(crate) const fn repeatable(place: Place) -> u64 {
    match place {
        Place::Packet(PacketType::Publish) => {
            PropertyId::USER_PROPERTY.bit() | PropertyId::SUBSCRIPTION_IDENTIFIER.bit()
        }
        _ => PropertyId::USER_PROPERTY.bit(),
    }
}

/// A property of the set that `sender` may not put there.
pub(crate) const fn forbidden(present: u64, place: Place, sender: Sender) -> Option<PropertyId> {
    match present & !allowed(place, sender) {
        0 => None,
        set => Some(PropertyId(set.trailing_zeros() as u8)),
    }
}
