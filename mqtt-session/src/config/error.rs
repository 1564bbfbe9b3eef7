use mqtt_proto::{EncodeError, PropertyError, TextError, TopicError, Version};

use crate::transport::ProxyConfigError;

/// Why a configuration can't work, or not with the driver that it is given to. The fault is the caller's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The client identifier is no MQTT string.
    #[error("client_id: {0}")]
    ClientId(TextError),
    /// The version does not allow this client identifier: 3.1 asks for 1 to 23 characters, and 3.1.1 allows an empty one only with
    /// Clean Session [MQTT-3.1.3-7].
    #[error(
        "client_id: {version} does not allow an identifier of {len} bytes with clean_start {clean_start}"
    )]
    ClientIdForVersion {
        /// The configured version.
        version: Version,
        /// The identifier's length in bytes.
        len: usize,
        /// The configured Clean Start.
        clean_start: bool,
    },
    /// The user name is no MQTT string.
    #[error("user_name: {0}")]
    UserName(TextError),
    /// A password without a user name, which 3.x does not allow [MQTT-3.1.2-22].
    #[error("password: {version} allows no password without a user name")]
    PasswordWithoutUserName {
        /// The configured version.
        version: Version,
    },
    /// The will's topic is no topic name: it may have no wildcards.
    #[error("will topic: {0}")]
    WillTopic(TopicError),
    /// The properties can't be built.
    #[error("properties: {0}")]
    Properties(PropertyError),
    /// CONNECT can't be encoded: a field too long, or something that the version has not.
    #[error("connect: {0}")]
    Connect(EncodeError),
    /// The property is set by the session itself, from another field of the configuration.
    #[error("connect_properties: {property} is set through `{field}`")]
    OwnProperty {
        /// The property.
        property: mqtt_proto::PropertyId,
        /// The field of the builder or of [`Limits`](crate::Limits) to use.
        field: &'static str,
    },
    /// A limit or timeout of zero, with which nothing could ever be sent or received.
    #[error("{field} may not be zero")]
    Zero {
        /// The field.
        field: &'static str,
    },
    /// A time that is too short.
    #[error("{field} may not be below {least:?}")]
    TooShort {
        /// The field.
        field: &'static str,
        /// The shortest time.
        least: core::time::Duration,
    },
    /// There is nothing to fall back to but from 5.0 to 3.1.1.
    #[error("fall_back: goes from 5.0 to 3.1.1, but the version is {version}")]
    FallBack {
        /// The configured version.
        version: Version,
    },
    /// A value is above what the protocol can carry.
    #[error("{field} may be at most {max}")]
    TooLarge {
        /// The field.
        field: &'static str,
        /// The largest value.
        max: u64,
    },
    /// 3.x has no enhanced authentication.
    #[error("authentication_method: {version} has no enhanced authentication")]
    AuthenticationMethod {
        /// The configured version.
        version: Version,
    },
    /// Records are asked for, and this driver has no store to take them to: nothing would ever be told as stored, and with
    /// [`Durability::WriteAhead`](crate::Durability::WriteAhead) nothing sent.
    #[error(
        "durability: this driver has no store for records; leave it off, or use a driver that has one"
    )]
    NoStore,
    /// There can be no such proxy.
    #[error("proxy: {0}")]
    Proxy(ProxyConfigError),
    /// 3.x has no session expiry: a session either ends with its connection or is kept for ever.
    #[error("session_expiry: {version} has none; use clean_start(false) to keep the session")]
    SessionExpiry {
        /// The configured version.
        version: Version,
    },
}
