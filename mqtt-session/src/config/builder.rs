use core::num::NonZeroU32;
use core::time::Duration;

use alloc::string::String;
use bytes::Bytes;
use mqtt_proto::{
    Connect, EncodeError, Properties, QoS, ReasonCode, Text, TextError, TopicError, Version, Will,
};

use super::Usual;
use super::{
    Config, ConfigError, Durability, InboxFull, Offline, PacketIds, Poisonous, Rare, Redirects,
    SessionLost, Timeouts,
};
use crate::{Backoff, Limits, Verdict};

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
    time_to_live: Option<Duration>,
    authentication_method: Option<String>,
    session_lost: SessionLost,
    poisonous: Poisonous,
    offline: Offline,
    inbox_full: InboxFull,
    durability: Durability,
    limits: Limits,
    backoff: Backoff,
    timeouts: Timeouts,
    rare: Rare,
    fall_back: bool,
}

/// Not shown by `Debug`.
#[derive(Clone)]
struct Secret(Bytes);

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("(secret)")
    }
}

impl ConfigBuilder {
    pub(super) fn new(client_id: String) -> Self {
        Self {
            version: Version::V5,
            client_id,
            clean_start: true,
            keep_alive: Duration::from_secs(60),
            session_expiry: None,
            user_name: None,
            password: None,
            will: None,
            properties: Properties::new(),
            time_to_live: None,
            authentication_method: None,
            session_lost: SessionLost::default(),
            poisonous: Poisonous::default(),
            offline: Offline::default(),
            inbox_full: InboxFull::default(),
            durability: Durability::default(),
            limits: Limits::default(),
            backoff: Backoff::default(),
            timeouts: Timeouts::default(),
            rare: Rare::default(),
            fall_back: false,
        }
    }

    /// The protocol version: [`Version::V3_1`], [`Version::V3_1_1`] or [`Version::V5`] (5.0).
    pub fn version(self, version: Version) -> Self {
        Self { version, ..self }
    }

    /// Whether an earlier session of this client identifier is discarded at the first connection (yes).
    ///
    /// In 5.0 this concerns the first connection only: a reconnect goes on with the session as long as `session_expiry` lasts. 3.x
    /// knows Clean Session alone: with `true` every connection has a session of its own, so messages that were in flight when a
    /// connection is lost are published anew and what the server sent meanwhile is missed. Use `false` there to resume.
    ///
    /// Whoever must not lose messages over a restart of the server wants `false` in 5.0, too: mosquitto 2.0, for one, keeps a session over its
    /// own restart only if the session did not begin with Clean Start.
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
    pub fn credentials(self, user_name: impl Into<String>, password: impl AsRef<[u8]>) -> Self {
        self.user_name(user_name).password(password)
    }

    /// The user name (none).
    pub fn user_name(self, user_name: impl Into<String>) -> Self {
        Self {
            user_name: Some(user_name.into()),
            ..self
        }
    }

    /// The password (none), at most 65,535 bytes of any kind: `&str`, `&[u8]`, `Vec<u8>`, `[u8; 8]`. Copied.
    pub fn password(self, password: impl AsRef<[u8]>) -> Self {
        Self {
            password: Some(Secret(Bytes::copy_from_slice(password.as_ref()))),
            ..self
        }
    }

    /// Whether the application is asked for user name and password before each attempt at a server (no), for those that expire:
    /// [`Action::Credentials`](crate::Action::Credentials). They replace those of this configuration. Who uses the handles of an adapter gives
    /// a callback there instead, which sets this.
    ///
    /// A server that refuses them ends the session all the same, unless the configuration says otherwise.
    pub fn ask_for_credentials(mut self, ask_for_credentials: bool) -> Self {
        self.rare.ask_for_credentials = ask_for_credentials;
        self
    }

    /// Whether the driver opens byte streams in a way of its own (no): it gets [`Action::Open`](crate::Action::Open) with each server's URL
    /// instead of lookups and dials. Who uses an adapter gives a dialer there instead, which sets this.
    pub fn own_dialer(mut self, own_dialer: bool) -> Self {
        self.rare.own_dialer = own_dialer;
        self
    }

    /// The proxy that opens byte streams to the servers (none): to all but Unix sockets, and also to those that a server sends us to.
    #[cfg(feature = "proxy")]
    pub fn proxy(mut self, proxy: crate::transport::Proxy) -> Self {
        self.rare.transports.proxy = Some(proxy);
        self
    }

    /// How TLS is done for `mqtts://` and `wss://` (with the authorities that a feature brings; see [`Tls`](crate::transport::Tls)).
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: crate::transport::Tls) -> Self {
        self.rare.transports.tls = Some(tls);
        self
    }

    /// How WebSocket is done for `ws://` and `wss://` (as the URL says, with no headers of one's own).
    #[cfg(feature = "websocket")]
    pub fn websocket(mut self, websocket: crate::transport::WebSocket) -> Self {
        self.rare.transports.websocket = Some(websocket);
        self
    }

    /// To which servers a server may send us (none). 5.0 only.
    pub fn redirects(mut self, redirects: Redirects) -> Self {
        self.rare.redirects = redirects;
        self
    }

    /// What follows on this reason code of CONNACK or DISCONNECT, instead of what [`Verdict::of`] has. For 3.x, the reason code that means
    /// the same as the return code.
    pub fn verdict(mut self, reason: ReasonCode, verdict: Verdict) -> Self {
        self.rare.verdicts.retain(|(of, _)| *of != reason);
        self.rare.verdicts.push((reason, verdict));
        self
    }

    /// Whether a session that the server has is refused where there is no state of it here (no): [MQTT-3.2.2-4] to the letter. The
    /// session then ends with [`ConnectionError::NoLocalState`](crate::ConnectionError::NoLocalState).
    ///
    /// By default a session that is to be resumed counts as known, perhaps with nothing in it: a subscriber that begins anew as a process goes
    /// on with what the server has kept for it.
    pub fn require_local_state(mut self, require_local_state: bool) -> Self {
        self.rare.require_local_state = require_local_state;
        self
    }

    /// Whether 3.1.1 is tried where a server refuses 5.0, or closes before CONNACK (no). Only with a server (or group) that has never accepted
    /// 5.0 from this session; one that accepts 3.1.1 is spoken to in 3.1.1 from then on.
    ///
    /// What 3.1.1 can't carry, a message with properties say, then ends as refused. The configuration must do for both versions: a will
    /// without properties, and no other properties of CONNECT. In 3.1.1 `clean_start` means Clean Session, and there is no session expiry.
    pub fn fall_back(self, fall_back: bool) -> Self {
        Self { fall_back, ..self }
    }

    /// What the server publishes for us when the connection is lost (nothing): a [`Will::new`].
    pub fn will(self, will: Will) -> Self {
        Self {
            will: Some(Ok(will)),
            ..self
        }
    }

    /// The same for a will without properties, not retained: where it is published, how, and what. Whether the topic is one is told by
    /// [`build`](Self::build).
    pub fn will_message(
        self,
        topic: impl Into<String>,
        qos: QoS,
        payload: impl Into<Bytes>,
    ) -> Self {
        let will = Will::new(topic.into(), payload).map(|will| will.with_qos(qos));
        Self {
            will: Some(will),
            ..self
        }
    }

    /// Further properties of CONNECT (none): user properties, Request Response Information, Request Problem Information.
    pub fn connect_properties(self, properties: Properties) -> Self {
        Self { properties, ..self }
    }

    /// How long a message waits to be sent, and to be sent again after a reconnect, where it does not say otherwise (for ever). In all
    /// versions; the server is not told, as it is of a Message Expiry Interval. See [`PublishOptions`](crate::PublishOptions::time_to_live).
    pub fn time_to_live(self, time_to_live: Duration) -> Self {
        Self {
            time_to_live: Some(time_to_live),
            ..self
        }
    }

    /// The method of enhanced authentication (none), which 5.0 has: [`Authenticator::method`](crate::auth::Authenticator::method). Its steps
    /// leave as [`Action::Authenticate`](crate::Action::Authenticate). User name and password are sent beside it, where they are set.
    pub fn authentication_method(self, method: impl Into<String>) -> Self {
        Self {
            authentication_method: Some(method.into()),
            ..self
        }
    }

    /// What becomes of messages in flight when the server has lost the session (they are published anew).
    pub fn session_lost(self, session_lost: SessionLost) -> Self {
        Self {
            session_lost,
            ..self
        }
    }

    /// What becomes of a message that three connections in a row have ended at (it is sent again).
    pub fn poisonous(self, poisonous: Poisonous) -> Self {
        Self { poisonous, ..self }
    }

    /// What becomes of QoS 0 messages without a connection (they wait).
    pub fn offline(self, offline: Offline) -> Self {
        Self { offline, ..self }
    }

    /// Which packet identifiers are used ([`PacketIds::Reused`]).
    pub fn packet_ids(mut self, packet_ids: PacketIds) -> Self {
        self.rare.packet_ids = packet_ids;
        self
    }

    /// Whether each SUBSCRIBE of 5.0 has a Subscription Identifier (yes, where the server takes them). Without, a message goes to every
    /// subscription whose filter matches, so those that overlap get each of its copies: for servers that handle them badly.
    pub fn subscription_identifiers(mut self, subscription_identifiers: bool) -> Self {
        self.rare.no_identifiers = !subscription_identifiers;
        self
    }

    /// What happens when received QoS 0 messages fill the inbox (reading pauses).
    pub fn inbox_full(self, inbox_full: InboxFull) -> Self {
        Self { inbox_full, ..self }
    }

    /// Whether what must survive a crash comes out as records (it does not). For who drives the session with a store: where nobody takes the
    /// records, publishing stops when [`Limits::unstored_records`] wait.
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
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
        let (user_name, password) =
            login(self.user_name, self.password).map_err(ConfigError::UserName)?;
        let connect = Connect {
            version,
            client_id,
            clean_start: self.clean_start,
            keep_alive,
            will: self.will.transpose().map_err(ConfigError::WillTopic)?,
            user_name,
            password,
            properties: connect_properties(
                version,
                &self.properties,
                self.authentication_method.as_deref(),
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
        let mut rare = self.rare;
        #[cfg(feature = "proxy")]
        if let Some(proxy) = &rare.transports.proxy {
            proxy.check().map_err(ConfigError::Proxy)?;
        }
        if self.fall_back && self.authentication_method.is_some() {
            let version = Version::V3_1_1;
            return Err(ConfigError::AuthenticationMethod { version });
        }
        if self.fall_back {
            rare.fallback = Some(older(&connect, &self.properties)?);
        }
        let is_rare = rare.ask_for_credentials
            || rare.require_local_state
            || rare.fallback.is_some()
            || !rare.verdicts.is_empty()
            || rare.redirects != Redirects::refuse()
            || rare.own_dialer
            || rare.packet_ids != PacketIds::default()
            || rare.no_identifiers
            || !rare.transports.is_usual();
        Ok(Config {
            connect,
            time_to_live: self.time_to_live,
            session_lost: self.session_lost,
            poisonous: self.poisonous,
            offline: self.offline,
            inbox_full: self.inbox_full,
            durability: self.durability,
            limits: Usual::new(self.limits),
            backoff: Usual::new(self.backoff),
            timeouts: Usual::new(self.timeouts),
            rare: is_rare.then(|| rare.into()),
        })
    }

    fn check_zeros(&self) -> Result<(), ConfigError> {
        let Limits {
            max_packet_size,
            inbox_bytes,
            max_queued,
            outgoing_bytes,
            outbox_bytes,
            observations,
            max_requests,
            max_auth_challenges,
            max_dials,
            unstored_bytes,
            unstored_records,
            ..
        } = self.limits;
        let Timeouts {
            credentials,
            resolve,
            dial,
            dial_stagger,
            handshake,
            connack,
            auth,
            pingresp,
            liveness,
            blocked,
            hangup,
        } = self.timeouts;
        let zeros = [
            (max_packet_size == 0, "limits.max_packet_size"),
            (inbox_bytes == 0, "limits.inbox_bytes"),
            (max_queued == 0, "limits.max_queued"),
            (outgoing_bytes == 0, "limits.outgoing_bytes"),
            (outbox_bytes == 0, "limits.outbox_bytes"),
            (observations == 0, "limits.observations"),
            (max_requests == 0, "limits.max_requests"),
            (max_auth_challenges == 0, "limits.max_auth_challenges"),
            (unstored_records == 0, "limits.unstored_records"),
            (unstored_bytes == 0, "limits.unstored_bytes"),
            (max_dials == 0, "limits.max_dials"),
            (credentials.is_zero(), "timeouts.credentials"),
            (resolve.is_zero(), "timeouts.resolve"),
            (dial.is_zero(), "timeouts.dial"),
            (handshake.is_zero(), "timeouts.handshake"),
            (connack.is_zero(), "timeouts.connack"),
            (auth.is_zero(), "timeouts.auth"),
            (pingresp.is_zero(), "timeouts.pingresp"),
            (liveness.is_zero(), "timeouts.liveness"),
            (blocked.is_zero(), "timeouts.blocked"),
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
            // Section 5 of RFC 8305.
            None if dial_stagger < SHORTEST_STAGGER => Err(ConfigError::TooShort {
                field: "timeouts.dial_stagger",
                least: SHORTEST_STAGGER,
            }),
            None => Ok(()),
        }
    }
}

/// User name and password, in one piece of memory where there are both: each of its own would hold more, once it is cloned for a CONNECT.
fn login(
    user_name: Option<String>,
    password: Option<Secret>,
) -> Result<(Option<Text>, Option<Bytes>), TextError> {
    let password = password.map(|Secret(password)| password);
    let (Some(user_name), Some(password)) = (&user_name, &password) else {
        return Ok((user_name.map(Text::try_from).transpose()?, password));
    };
    let mut both = Bytes::from([user_name.as_bytes(), password].concat());
    let user_name = Text::from_bytes(both.split_to(user_name.len()))?;
    Ok((Some(user_name), Some(both)))
}

/// The same CONNECT in 3.1.1. It has no properties: those that the application gave are refused, and the session's own are left out.
fn older(connect: &Connect, given: &Properties) -> Result<Connect, ConfigError> {
    if !connect.version.is_v5() {
        let version = connect.version;
        return Err(ConfigError::FallBack { version });
    }
    let older = Connect {
        version: Version::V3_1_1,
        properties: given.clone(),
        ..connect.clone()
    };
    older.check().map_err(ConfigError::Connect)?;
    Ok(older)
}

const SHORTEST_STAGGER: Duration = Duration::from_millis(10);

/// Whole seconds, rounded up: a keep-alive of half a second is not turned off.
fn whole_seconds(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_add(u64::from(duration.subsec_nanos() > 0))
}

fn connect_properties(
    version: Version,
    given: &Properties,
    authentication_method: Option<&str>,
    session_expiry: Duration,
    limits: &Limits,
) -> Result<Properties, ConfigError> {
    use mqtt_proto::PropertyId as Id;
    let own = [
        (Id::SESSION_EXPIRY_INTERVAL, "session_expiry"),
        (Id::RECEIVE_MAXIMUM, "limits.receive_maximum"),
        (Id::MAXIMUM_PACKET_SIZE, "limits.max_packet_size"),
        (Id::TOPIC_ALIAS_MAXIMUM, "limits.topic_alias_maximum"),
        (Id::AUTHENTICATION_METHOD, "authentication_method"),
        (Id::AUTHENTICATION_DATA, "authentication_method"),
    ];
    for (property, field) in own {
        if given.view().has(property) {
            return Err(ConfigError::OwnProperty { property, field });
        }
    }
    if !version.is_v5() {
        if authentication_method.is_some() {
            return Err(ConfigError::AuthenticationMethod { version });
        }
        return Ok(given.clone());
    }
    let mut properties = Properties::builder().receive_maximum(limits.receive_maximum);
    if limits.topic_alias_maximum > 0 {
        properties = properties.topic_alias_maximum(limits.topic_alias_maximum);
    }
    // Where it is absent, there is no limit beyond that of the protocol (section 3.1.2.11.4).
    if limits.max_packet_size < Limits::LARGEST_PACKET
        && let Some(size) = NonZeroU32::new(limits.max_packet_size)
    {
        properties = properties.maximum_packet_size(size);
    }
    let expiry = u32::try_from(whole_seconds(session_expiry)).unwrap_or(u32::MAX);
    if expiry > 0 {
        properties = properties.session_expiry_interval(expiry);
    }
    if let Some(method) = authentication_method {
        properties = properties.authentication_method(method);
    }
    properties
        .extend(given.view())
        .build()
        .map_err(ConfigError::Properties)
}
