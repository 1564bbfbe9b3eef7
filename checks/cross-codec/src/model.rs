//! Packets as plain fields that every codec is translated to and from, so that "the same fields" has one meaning.
//!
//! Numbers are the ones on the wire. What a version has not is empty or zero: in 3.1.1 there are no properties, acknowledgements
//! have the code 0, and UNSUBACK has no codes.

use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V3_1_1,
    V5,
}

/// Who sends a packet: some reason codes and properties belong to one side only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Client,
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Connect,
    ConnAck,
    Publish,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    Subscribe,
    SubAck,
    Unsubscribe,
    UnsubAck,
    PingReq,
    PingResp,
    Disconnect,
    Auth,
}

impl Kind {
    pub const ALL: [Self; 15] = [
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
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    Connect(Connect),
    ConnAck {
        session_present: bool,
        code: u8,
        properties: Properties,
    },
    Publish(Publish),
    Ack(Ack),
    Subscribe {
        id: u16,
        filters: Vec<Filter>,
        properties: Properties,
    },
    SubAck {
        id: u16,
        codes: Vec<u8>,
        properties: Properties,
    },
    Unsubscribe {
        id: u16,
        filters: Vec<String>,
        properties: Properties,
    },
    UnsubAck {
        id: u16,
        codes: Vec<u8>,
        properties: Properties,
    },
    PingReq,
    PingResp,
    Disconnect {
        code: u8,
        properties: Properties,
    },
    Auth {
        code: u8,
        properties: Properties,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    pub clean_start: bool,
    pub keep_alive: u16,
    pub client_id: String,
    pub will: Option<Will>,
    pub user_name: Option<String>,
    pub password: Option<Vec<u8>>,
    pub properties: Properties,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub retain: bool,
    pub properties: Properties,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    pub dup: bool,
    pub qos: u8,
    pub retain: bool,
    pub topic: String,
    /// `None` exactly at QoS 0.
    pub id: Option<u16>,
    pub payload: Vec<u8>,
    pub properties: Properties,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP, as `kind` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    pub kind: Kind,
    pub id: u16,
    pub code: u8,
    pub properties: Properties,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub filter: String,
    pub qos: u8,
    pub no_local: bool,
    pub retain_as_published: bool,
    pub retain_handling: u8,
}

/// Properties by identifier, where the order does not matter; the two that may repeat are lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    pub single: BTreeMap<u8, Value>,
    pub subscription_ids: Vec<u32>,
    pub user: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Byte(u8),
    Two(u16),
    Four(u32),
    Text(String),
    Binary(Vec<u8>),
}

impl Properties {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The value of the property with this identifier.
    pub fn get<T: From<Value>>(&self, id: u8) -> Option<T> {
        self.single.get(&id).cloned().map(T::from)
    }

    /// Sets or removes the property with this identifier.
    pub fn set<T: Into<Value>>(&mut self, id: u8, value: Option<T>) {
        match value {
            Some(value) => self.single.insert(id, value.into()),
            None => self.single.remove(&id),
        };
    }

    pub fn remove(&mut self, id: u8) {
        self.single.remove(&id);
    }

    pub fn has(&self, id: u8) -> bool {
        self.single.contains_key(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (u8, &Value)> {
        self.single.iter().map(|(id, value)| (*id, value))
    }
}

/// The identifiers of section 2.2.2.2.
pub mod id {
    pub const PAYLOAD_FORMAT_INDICATOR: u8 = 0x01;
    pub const MESSAGE_EXPIRY_INTERVAL: u8 = 0x02;
    pub const CONTENT_TYPE: u8 = 0x03;
    pub const RESPONSE_TOPIC: u8 = 0x08;
    pub const CORRELATION_DATA: u8 = 0x09;
    pub const SESSION_EXPIRY_INTERVAL: u8 = 0x11;
    pub const ASSIGNED_CLIENT_IDENTIFIER: u8 = 0x12;
    pub const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub const AUTHENTICATION_METHOD: u8 = 0x15;
    pub const AUTHENTICATION_DATA: u8 = 0x16;
    pub const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;
    pub const WILL_DELAY_INTERVAL: u8 = 0x18;
    pub const REQUEST_RESPONSE_INFORMATION: u8 = 0x19;
    pub const RESPONSE_INFORMATION: u8 = 0x1A;
    pub const SERVER_REFERENCE: u8 = 0x1C;
    pub const REASON_STRING: u8 = 0x1F;
    pub const RECEIVE_MAXIMUM: u8 = 0x21;
    pub const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub const TOPIC_ALIAS: u8 = 0x23;
    pub const MAXIMUM_QOS: u8 = 0x24;
    pub const RETAIN_AVAILABLE: u8 = 0x25;
    pub const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub const WILDCARD_SUBSCRIPTION_AVAILABLE: u8 = 0x28;
    pub const SUBSCRIPTION_IDENTIFIER_AVAILABLE: u8 = 0x29;
    pub const SHARED_SUBSCRIPTION_AVAILABLE: u8 = 0x2A;
}

macro_rules! values {
    ($($variant:ident($ty:ty)),*) => {$(
        impl From<$ty> for Value {
            fn from(value: $ty) -> Self {
                Self::$variant(value)
            }
        }

        impl From<Value> for $ty {
            fn from(value: Value) -> Self {
                match value {
                    Value::$variant(value) => value,
                    other => panic!("a property of another type was asked for: {other:?}"),
                }
            }
        }
    )*};
}

values!(Byte(u8), Two(u16), Four(u32), Text(String), Binary(Vec<u8>));
