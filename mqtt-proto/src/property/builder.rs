use alloc::vec::Vec;
use core::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;

use super::{Properties, PropertiesRef, PropertyId, PropertyValue};
use crate::{TextError, TopicError, VARINT_MAX, text, topic, varint};

/// Why properties can't be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PropertyError {
    /// A value is no MQTT string.
    #[error("{property}: {error}")]
    Text {
        /// The property.
        property: PropertyId,
        /// What is wrong with it.
        error: TextError,
    },
    /// The response topic is no topic name [MQTT-3.3.2-14].
    #[error("{property}: {error}")]
    Topic {
        /// The property.
        property: PropertyId,
        /// What is wrong with it.
        error: TopicError,
    },
    /// Binary data is longer than 65,535 bytes.
    #[error("{property} is {len} bytes long; the maximum is 65,535")]
    TooLong {
        /// The property.
        property: PropertyId,
        /// Its length in bytes.
        len: usize,
    },
    /// A subscription identifier above 268,435,455.
    #[error("{property} may not be {value}")]
    Value {
        /// The property.
        property: PropertyId,
        /// The value.
        value: u32,
    },
    /// A property that may stand once was set twice.
    #[error("{property} was set more than once")]
    Duplicate {
        /// The property.
        property: PropertyId,
    },
}

/// Builds [`Properties`]. The first error is kept and told by [`build`](Self::build); which packet a property may stand in is
/// checked when the packet is encoded.
#[derive(Clone, Debug, Default)]
pub struct PropertiesBuilder {
    bytes: Vec<u8>,
    present: u64,
    error: Option<PropertyError>,
}

impl PropertiesBuilder {
    /// The properties, or the first thing that was wrong.
    pub fn build(self) -> Result<Properties, PropertyError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(Properties::checked_before(
                Bytes::from(self.bytes),
                self.present,
            )),
        }
    }

    fn begin(&mut self, id: PropertyId) {
        if self.present & id.bit() != 0
            && id != PropertyId::USER_PROPERTY
            && id != PropertyId::SUBSCRIPTION_IDENTIFIER
        {
            self.fail(PropertyError::Duplicate { property: id });
        }
        self.present |= id.bit();
        self.bytes.push(id.get());
    }

    fn fail(&mut self, error: PropertyError) {
        self.error.get_or_insert(error);
    }

    fn byte(mut self, id: PropertyId, value: bool) -> Self {
        self.begin(id);
        self.bytes.push(u8::from(value));
        self
    }

    fn two(mut self, id: PropertyId, value: u16) -> Self {
        self.begin(id);
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    fn four(mut self, id: PropertyId, value: u32) -> Self {
        self.begin(id);
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    fn text(mut self, id: PropertyId, value: &str) -> Self {
        self.begin(id);
        self.put_text(id, value);
        self
    }

    fn binary(mut self, id: PropertyId, value: &[u8]) -> Self {
        self.begin(id);
        self.put(id, value);
        self
    }

    fn put_text(&mut self, id: PropertyId, value: &str) {
        match text::check(value.as_bytes()) {
            Ok(()) => self.put(id, value.as_bytes()),
            Err(error) => self.fail(PropertyError::Text {
                property: id,
                error,
            }),
        }
    }

    fn put(&mut self, id: PropertyId, value: &[u8]) {
        match u16::try_from(value.len()) {
            Ok(len) => {
                self.bytes.extend_from_slice(&len.to_be_bytes());
                self.bytes.extend_from_slice(value);
            }
            Err(_) => self.fail(PropertyError::TooLong {
                property: id,
                len: value.len(),
            }),
        }
    }

    /// Sets Response Topic, which is a topic name (section 3.3.2.3.5).
    pub fn response_topic(mut self, value: &str) -> Self {
        let id = PropertyId::RESPONSE_TOPIC;
        if let Err(error) = topic::check_topic(value.as_bytes()) {
            self.fail(PropertyError::Topic {
                property: id,
                error,
            });
        }
        self.text(id, value)
    }

    /// Sets Correlation Data, at most 65,535 bytes of any kind: `&str`, `&[u8]`, `Vec<u8>`, `[u8; 8]` (section 3.3.2.3.6).
    pub fn correlation_data(self, value: impl AsRef<[u8]>) -> Self {
        self.binary(PropertyId::CORRELATION_DATA, value.as_ref())
    }

    /// Sets Authentication Data, at most 65,535 bytes of any kind, as the method defines them (section 3.1.2.11.10).
    pub fn authentication_data(self, value: impl AsRef<[u8]>) -> Self {
        self.binary(PropertyId::AUTHENTICATION_DATA, value.as_ref())
    }

    /// Adds a Subscription Identifier, 1 to 268,435,455; a server may add several to a PUBLISH.
    pub fn subscription_identifier(mut self, value: u32) -> Self {
        let id = PropertyId::SUBSCRIPTION_IDENTIFIER;
        self.begin(id);
        if value == 0 || value > VARINT_MAX {
            self.fail(PropertyError::Value {
                property: id,
                value,
            });
        }
        varint::write(value.min(VARINT_MAX), &mut self.bytes);
        self
    }

    /// Adds a user property; a name may stand more than once, and the order is kept.
    pub fn user_property(mut self, name: &str, value: &str) -> Self {
        let id = PropertyId::USER_PROPERTY;
        self.begin(id);
        self.put_text(id, name);
        self.put_text(id, value);
        self
    }

    /// Adds all of `other`.
    pub fn extend(mut self, other: PropertiesRef<'_>) -> Self {
        for (id, _) in other {
            if self.present & other.present() & id.bit() != 0
                && id != PropertyId::USER_PROPERTY
                && id != PropertyId::SUBSCRIPTION_IDENTIFIER
            {
                self.fail(PropertyError::Duplicate { property: id });
            }
        }
        self.present |= other.present();
        self.bytes.extend_from_slice(other.as_bytes());
        self
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($put:ident, $type:ty) = $id:ident;)*) => {
        impl PropertiesBuilder {
            $($(#[$doc])* pub fn $name(self, value: $type) -> Self {
                self.$put(PropertyId::$id, value.into())
            })*
        }
    };
}

setters! {
    /// Sets Payload Format Indicator: whether the payload is UTF-8 text.
    payload_format_indicator(byte, bool) = PAYLOAD_FORMAT_INDICATOR;
    /// Sets Message Expiry Interval, in seconds.
    message_expiry_interval(four, u32) = MESSAGE_EXPIRY_INTERVAL;
    /// Sets Content Type.
    content_type(text, &str) = CONTENT_TYPE;
    /// Sets Session Expiry Interval, in seconds.
    session_expiry_interval(four, u32) = SESSION_EXPIRY_INTERVAL;
    /// Sets Assigned Client Identifier.
    assigned_client_identifier(text, &str) = ASSIGNED_CLIENT_IDENTIFIER;
    /// Sets Server Keep Alive, in seconds.
    server_keep_alive(two, u16) = SERVER_KEEP_ALIVE;
    /// Sets Authentication Method.
    authentication_method(text, &str) = AUTHENTICATION_METHOD;
    /// Sets Request Problem Information.
    request_problem_information(byte, bool) = REQUEST_PROBLEM_INFORMATION;
    /// Sets Will Delay Interval, in seconds.
    will_delay_interval(four, u32) = WILL_DELAY_INTERVAL;
    /// Sets Request Response Information.
    request_response_information(byte, bool) = REQUEST_RESPONSE_INFORMATION;
    /// Sets Response Information.
    response_information(text, &str) = RESPONSE_INFORMATION;
    /// Sets Server Reference.
    server_reference(text, &str) = SERVER_REFERENCE;
    /// Sets Reason String.
    reason_string(text, &str) = REASON_STRING;
    /// Sets Receive Maximum.
    receive_maximum(two, NonZeroU16) = RECEIVE_MAXIMUM;
    /// Sets Topic Alias Maximum.
    topic_alias_maximum(two, u16) = TOPIC_ALIAS_MAXIMUM;
    /// Sets Topic Alias.
    topic_alias(two, NonZeroU16) = TOPIC_ALIAS;
    /// Sets Maximum QoS: `true` for QoS 1, `false` for QoS 0.
    maximum_qos(byte, bool) = MAXIMUM_QOS;
    /// Sets Retain Available.
    retain_available(byte, bool) = RETAIN_AVAILABLE;
    /// Sets Maximum Packet Size, in bytes.
    maximum_packet_size(four, NonZeroU32) = MAXIMUM_PACKET_SIZE;
    /// Sets Wildcard Subscription Available.
    wildcard_subscription_available(byte, bool) = WILDCARD_SUBSCRIPTION_AVAILABLE;
    /// Sets Subscription Identifier Available.
    subscription_identifier_available(byte, bool) = SUBSCRIPTION_IDENTIFIER_AVAILABLE;
    /// Sets Shared Subscription Available.
    shared_subscription_available(byte, bool) = SHARED_SUBSCRIPTION_AVAILABLE;
}

impl Properties {
    /// A copy of these properties without some.
    pub(crate) fn without(&self, dropped: &[PropertyId]) -> Self {
        let mut kept = PropertiesBuilder::default();
        for (id, value) in self.view() {
            if dropped.contains(&id) {
                continue;
            }
            kept = match value {
                PropertyValue::Byte(value) => kept.byte(id, value != 0),
                PropertyValue::TwoByte(value) => kept.two(id, value),
                PropertyValue::FourByte(value) => kept.four(id, value),
                PropertyValue::VarInt(value) => kept.subscription_identifier(value),
                PropertyValue::Text(value) => kept.text(id, value),
                PropertyValue::Binary(value) => kept.binary(id, value),
                PropertyValue::Pair(name, value) => kept.user_property(name, value),
            };
        }
        Self::checked_before(Bytes::from(kept.bytes), kept.present)
    }
}
