use core::num::NonZeroU32;
use core::time::Duration;

use alloc::string::String;
use bytes::Bytes;
use mqtt_proto::{
    Connect, EncodeError, Properties, PropertyError, QoS, Text, TextError, Topic, TopicError,
    Version, Will,
};

use crate::{Backoff, Limits};

/// How a session connects and behaves. Made with [`Config::builder`], which refuses what can't work before a socket is opened.
#[derive(Clone, Debug)]
pub struct Config {
    /// CONNECT as it is sent first; a later one may differ in Clean Start.
    pub(crate) connect: Connect,
    pub(crate) session_expiry: Duration,
    pub(crate) session_lost: SessionLost,
    pub(crate) offline: Offline,
    pub(crate) inbox_full: InboxFull,
    pub(crate) limits: Limits,
    pub(crate) backoff: Backoff,
    pub(crate) timeouts: Timeouts,
}

/// What becomes of messages in flight when the server has lost the session they belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionLost {
    /// Publish them anew, in their order, ahead of what was not sent yet. The server may get a message twice; its outcome says
    /// `republished`.
    #[default]
    Resend,
    /// End them with [`Outcome::SessionLost`](crate::Outcome::SessionLost).
    Fail,
}

/// What becomes of a QoS 0 message that is published while there is no connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offline {
    /// It waits in the queue, as QoS 1 and 2 always do.
    #[default]
    Queue,
    /// It is refused, and given back.
    Refuse,
}

/// What happens when received QoS 0 messages fill the inbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InboxFull {
    /// Reading stops until the application has taken some, unless the session itself waits for something from the server; then
    /// the oldest are dropped, and counted.
    #[default]
    Pause,
    /// The oldest are dropped, and counted.
    DropOldest,
}

/// How long the session waits for what. None may be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the addresses of a name (10 s).
    pub resolve: Duration,
    /// For a dial to one address (10 s).
    pub dial: Duration,
    /// For CONNACK after the stream is open (10 s).
    pub connack: Duration,
    /// For PINGRESP after PINGREQ was written (10 s). Other bytes that arrive extend it, by one keep-alive interval at most.
    pub pingresp: Duration,
    /// Without a keep-alive: after this time without a byte from the server a PINGREQ asks whether it is there (5 min).
    pub liveness: Duration,
    /// For the driver to write a last DISCONNECT and close (1 s).
    pub hangup: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(10),
            dial: Duration::from_secs(10),
            connack: Duration::from_secs(10),
            pingresp: Duration::from_secs(10),
            liveness: Duration::from_secs(300),
            hangup: Duration::from_secs(1),
        }
    }
}

/// Why a configuration can't work. The fault is the caller's.
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
        /// The field of the builder or of [`Limits`] to use.
        field: &'static str,
    },
    /// The property asks the server for something that the session can't deal with.
    #[error("connect_properties: the session does not support {property}")]
    UnsupportedProperty {
        /// The property.
        property: mqtt_proto::PropertyId,
    },
    /// A limit or timeout of zero, with which nothing could ever be sent or received.
    #[error("{field} may not be zero")]
    Zero {
        /// The field.
        field: &'static str,
    },
    /// A value is above what the protocol can carry.
    #[error("{field} may be at most {max}")]
    TooLarge {
        /// The field.
        field: &'static str,
        /// The largest value.
        max: u64,
    },
    /// 3.x has no session expiry: a session either ends with its connection or is kept for ever.
    #[error("session_expiry: {version} has none; use clean_start(false) to keep the session")]
    SessionExpiry {
        /// The configured version.
        version: Version,
    },
}

/// Builds a [`Config`]. Setters state unit and default.
#[derive(Clone, Debug)]
pub struct ConfigBuilder {
    version: Version,
    client_id: String,
    clean_start: bool,
    keep_alive: Duration,
    session_expiry: Option<Duration>,
    user_name: Option<String>,
    password: Option<Secret>,
    will: Option<Result<Will, TopicError>>,
    properties: Properties,
    session_lost: SessionLost,
    offline: Offline,
    inbox_full: InboxFull,
    limits: Limits,
    backoff: Backoff,
    timeouts: Timeouts,
}

/// Not shown by `Debug`.
#[derive(Clone)]
struct Secret(Bytes);

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("(secret)")
    }
}

impl Config {
    /// A configuration for MQTT 5.0 with this client identifier, and the defaults that the setters of the builder state.
    ///
    /// The identifier must be unique at the server: a second client with the same one pushes the first out. A server that says so ends
    /// the first one for good; some just close the connection, and then both go on pushing each other out. An empty identifier
    /// asks the server to assign one, which 3.1 can't.
    pub fn builder(client_id: impl Into<String>) -> ConfigBuilder {
        ConfigBuilder {
            version: Version::V5,
            client_id: client_id.into(),
            clean_start: true,
            keep_alive: Duration::from_secs(60),
            session_expiry: None,
            user_name: None,
            password: None,
            will: None,
            properties: Properties::new(),
            session_lost: SessionLost::default(),
            offline: Offline::default(),
            inbox_full: InboxFull::default(),
            limits: Limits::default(),
            backoff: Backoff::default(),
            timeouts: Timeouts::default(),
        }
    }

    /// The configured protocol version.
    pub fn version(&self) -> Version {
        self.connect.version
    }

    /// The configured limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

impl ConfigBuilder {
    /// The protocol version: [`Version::V3_1`], [`Version::V3_1_1`] or [`Version::V5`] (5.0).
    pub fn version(self, version: Version) -> Self {
        Self { version, ..self }
    }

    /// Whether an earlier session of this client identifier is discarded at the first connection (yes).
    ///
    /// In 5.0 this concerns the first connection only: a reconnect goes on with the session as long as `session_expiry` lasts. 3.x
    /// knows Clean Session alone: with `true` every connection has a session of its own, so messages that were in flight when a
    /// connection is lost are published anew and what the server sent meanwhile is missed. Use `false` there to resume.
    pub fn clean_start(self, clean_start: bool) -> Self {
        Self {
            clean_start,
            ..self
        }
    }

    /// How long the server keeps the session after a connection has ended; rounded up to whole seconds (one hour). 5.0 only.
    /// Zero ends the session with each connection; 2^32 - 1 seconds or more, [`Duration::MAX`] say, keep it for ever.
    pub fn session_expiry(self, session_expiry: Duration) -> Self {
        Self {
            session_expiry: Some(session_expiry),
            ..self
        }
    }

    /// The longest time that passes without a packet to the server; rounded up to whole seconds, at most 65,535 (60 s). Zero turns it off.
    pub fn keep_alive(self, keep_alive: Duration) -> Self {
        Self { keep_alive, ..self }
    }

    /// User name and password (none).
    pub fn credentials(self, user_name: impl Into<String>, password: impl Into<Bytes>) -> Self {
        self.user_name(user_name).password(password)
    }

    /// The user name (none).
    pub fn user_name(self, user_name: impl Into<String>) -> Self {
        Self {
            user_name: Some(user_name.into()),
            ..self
        }
    }

    /// The password (none), at most 65,535 bytes.
    pub fn password(self, password: impl Into<Bytes>) -> Self {
        Self {
            password: Some(Secret(password.into())),
            ..self
        }
    }

    /// What the server publishes for us when the connection is lost (nothing).
    pub fn will(self, will: Will) -> Self {
        Self {
            will: Some(Ok(will)),
            ..self
        }
    }

    /// The same for a will without properties, not retained: where it is published, how, and what.
    pub fn will_message(
        self,
        topic: impl Into<String>,
        qos: QoS,
        payload: impl Into<Bytes>,
    ) -> Self {
        let payload = payload.into();
        let will = Topic::try_from(topic.into()).map(|topic| Will {
            topic,
            payload,
            qos,
            retain: false,
            properties: Properties::new(),
        });
        Self {
            will: Some(will),
            ..self
        }
    }

    /// Further properties of CONNECT (none): user properties, Request Response Information, Request Problem Information.
    pub fn connect_properties(self, properties: Properties) -> Self {
        Self { properties, ..self }
    }

    /// What becomes of messages in flight when the server has lost the session (they are published anew).
    pub fn session_lost(self, session_lost: SessionLost) -> Self {
        Self {
            session_lost,
            ..self
        }
    }

    /// What becomes of QoS 0 messages without a connection (they wait).
    pub fn offline(self, offline: Offline) -> Self {
        Self { offline, ..self }
    }

    /// What happens when received QoS 0 messages fill the inbox (reading pauses).
    pub fn inbox_full(self, inbox_full: InboxFull) -> Self {
        Self { inbox_full, ..self }
    }

    /// Bounds of all queues.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// How long to wait between attempts to connect.
    pub fn backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// How long the session waits for what.
    pub fn timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// The configuration, or the first field that can't work and why.
    pub fn build(self) -> Result<Config, ConfigError> {
        self.check_zeros()?;
        let version = self.version;
        let session_expiry = match self.session_expiry {
            Some(_) if !version.is_v5() => return Err(ConfigError::SessionExpiry { version }),
            Some(expiry) => expiry,
            None => Duration::from_secs(3600),
        };
        let keep_alive = whole_seconds(self.keep_alive);
        let keep_alive = u16::try_from(keep_alive).map_err(|_| ConfigError::TooLarge {
            field: "keep_alive",
            max: u16::MAX.into(),
        })?;
        let client_id = Text::try_from(self.client_id).map_err(ConfigError::ClientId)?;
        let user_name = self
            .user_name
            .map(Text::try_from)
            .transpose()
            .map_err(ConfigError::UserName)?;
        let connect = Connect {
            version,
            client_id,
            clean_start: self.clean_start,
            keep_alive,
            will: self.will.transpose().map_err(ConfigError::WillTopic)?,
            user_name,
            password: self.password.map(|Secret(password)| password),
            properties: connect_properties(
                version,
                &self.properties,
                session_expiry,
                &self.limits,
            )?,
        };
        connect.check().map_err(|error| match error {
            EncodeError::PasswordWithoutUserName { version } => {
                ConfigError::PasswordWithoutUserName { version }
            }
            EncodeError::BadClientId { version, len } => ConfigError::ClientIdForVersion {
                version,
                len,
                clean_start: connect.clean_start,
            },
            error => ConfigError::Connect(error),
        })?;
        Ok(Config {
            connect,
            session_expiry,
            session_lost: self.session_lost,
            offline: self.offline,
            inbox_full: self.inbox_full,
            limits: self.limits,
            backoff: self.backoff,
            timeouts: self.timeouts,
        })
    }

    fn check_zeros(&self) -> Result<(), ConfigError> {
        let Limits {
            max_packet_size,
            inbox_bytes,
            max_queued,
            outgoing_bytes,
            outbox_bytes,
            max_requests,
            ..
        } = self.limits;
        let Timeouts {
            resolve,
            dial,
            connack,
            pingresp,
            liveness,
            hangup,
        } = self.timeouts;
        let zeros = [
            (max_packet_size == 0, "limits.max_packet_size"),
            (inbox_bytes == 0, "limits.inbox_bytes"),
            (max_queued == 0, "limits.max_queued"),
            (outgoing_bytes == 0, "limits.outgoing_bytes"),
            (outbox_bytes == 0, "limits.outbox_bytes"),
            (max_requests == 0, "limits.max_requests"),
            (resolve.is_zero(), "timeouts.resolve"),
            (dial.is_zero(), "timeouts.dial"),
            (connack.is_zero(), "timeouts.connack"),
            (pingresp.is_zero(), "timeouts.pingresp"),
            (liveness.is_zero(), "timeouts.liveness"),
            (hangup.is_zero(), "timeouts.hangup"),
            (self.backoff.first.is_zero(), "backoff.first"),
            (self.backoff.longest.is_zero(), "backoff.longest"),
        ];
        match zeros.into_iter().find(|(zero, _)| *zero) {
            Some((_, field)) => Err(ConfigError::Zero { field }),
            None if self.backoff.jitter_percent > 100 => Err(ConfigError::TooLarge {
                field: "backoff.jitter_percent",
                max: 100,
            }),
            None => Ok(()),
        }
    }
}

/// Whole seconds, rounded up: a keep-alive of half a second is not turned off.
fn whole_seconds(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_add(u64::from(duration.subsec_nanos() > 0))
}

fn connect_properties(
    version: Version,
    given: &Properties,
    session_expiry: Duration,
    limits: &Limits,
) -> Result<Properties, ConfigError> {
    use mqtt_proto::PropertyId as Id;
    let own = [
        (Id::SESSION_EXPIRY_INTERVAL, "session_expiry"),
        (Id::RECEIVE_MAXIMUM, "limits.receive_maximum"),
        (Id::MAXIMUM_PACKET_SIZE, "limits.max_packet_size"),
    ];
    for (property, field) in own {
        if given.view().has(property) {
            return Err(ConfigError::OwnProperty { property, field });
        }
    }
    let unsupported = [
        Id::TOPIC_ALIAS_MAXIMUM,
        Id::AUTHENTICATION_METHOD,
        Id::AUTHENTICATION_DATA,
    ];
    if let Some(property) = unsupported
        .into_iter()
        .find(|property| given.view().has(*property))
    {
        return Err(ConfigError::UnsupportedProperty { property });
    }
    if !version.is_v5() {
        return Ok(given.clone());
    }
    let mut properties = Properties::builder().receive_maximum(limits.receive_maximum);
    if let Some(size) = NonZeroU32::new(limits.max_packet_size) {
        properties = properties.maximum_packet_size(size);
    }
    let expiry = u32::try_from(whole_seconds(session_expiry)).unwrap_or(u32::MAX);
    if expiry > 0 {
        properties = properties.session_expiry_interval(expiry);
    }
    properties
        .extend(given.view())
        .build()
        .map_err(ConfigError::Properties)
}
