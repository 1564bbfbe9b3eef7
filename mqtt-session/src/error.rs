//! Errors of commands, and why a connection ended.

mod words;

use core::num::{NonZeroU16, NonZeroU32};
use core::time::Duration;

use alloc::string::String;
use mqtt_proto::{
    DecodeError, EncodeError, PacketId, PacketType, Publish, QoS, ReasonCode, TopicFilter, Version,
};

use alloc::boxed::Box;

use crate::auth::AuthError;
use crate::{Cause, Endpoint, EndpointError, Peer};
#[cfg(feature = "client")]
pub(crate) use words::access_hint;
pub(crate) use words::shown;
use words::{Rounded, because, connack_hint};

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The application misused the API, or asked for what can't be.
    Caller,
    /// The server broke the protocol, or refused.
    Peer,
    /// The network, or what lies between.
    Network,
}

/// A message that was not accepted, and why. The message is given back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message was not accepted: {reason}")]
pub struct PublishError {
    /// The message, as it was given.
    pub publish: Publish,
    /// The QoS that was asked for.
    pub qos: QoS,
    /// Why it was not accepted.
    pub reason: PublishRefused,
}

/// Why a message was not accepted, or could not be sent when its turn came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishRefused {
    /// The queue is full by count or by bytes, or too much waits to be stored. There will be room when messages have left.
    #[error("the queue is full: {limit} is {max}")]
    Full {
        /// Which of the [`Limits`](crate::Limits) it is.
        limit: &'static str,
        /// Its value.
        max: usize,
    },
    /// The message alone is larger than the queue may be.
    #[error(
        "a message of {size} bytes is above the limit of {max} for all that waits (limits.outgoing_bytes)"
    )]
    AboveLimit {
        /// Its size in bytes.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// There is no connection, and QoS 0 does not wait for one as configured.
    #[error("there is no connection")]
    Offline,
    /// The session is closed or draining.
    #[error("the session is closed (`Client::closed` tells why)")]
    Closed,
    /// Above the server's Maximum QoS [MQTT-3.2.2-11].
    #[error("the server's Maximum QoS is {max}")]
    QoSNotSupported {
        /// The server's Maximum QoS.
        max: QoS,
    },
    /// The server keeps no retained messages [MQTT-3.2.2-14].
    #[error("the server keeps no retained messages")]
    RetainNotAvailable,
    /// The tag of the message is longer than it may be.
    #[error("a tag of {len} bytes is above the limit of {max}")]
    TagTooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The packet would be larger than the server takes [MQTT-3.2.2-15], or has what the version can't carry.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl PublishRefused {
    /// Whether waiting helps: the queue is full.
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

/// Why SUBSCRIBE or UNSUBSCRIBE was not accepted, or could not be sent when its turn came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// There is no filter in it [MQTT-3.8.3-2], [MQTT-3.10.3-2].
    #[error("there is no topic filter")]
    NoFilters,
    /// Too many requests wait for their answer.
    #[error("{max} requests wait for their answer already (limits.max_requests)")]
    Full {
        /// The limit.
        max: usize,
    },
    /// The session is closed or draining.
    #[error("the session is closed (`Client::closed` tells why)")]
    Closed,
    /// There is a subscription to this filter with other options, which the server would replace [MQTT-3.8.4-3].
    #[error("{filter} is subscribed to with other options (`replace_subscription` changes them)")]
    Conflict {
        /// The filter.
        filter: TopicFilter,
    },
    /// The queue was closed, or is of another session: nobody would take the messages.
    #[error("there is no such queue: it was closed, or is of another session")]
    NoQueue,
    /// A Subscription Identifier was given: the session assigns them by itself.
    #[error("subscription identifiers are assigned by the session")]
    IdentifierGiven,
    /// The server has no wildcard subscriptions.
    #[error("the server has no wildcard subscriptions, which {filter} needs")]
    WildcardNotAvailable {
        /// The filter.
        filter: TopicFilter,
    },
    /// The server has no shared subscriptions.
    #[error("the server has no shared subscriptions, which {filter} needs")]
    SharedNotAvailable {
        /// The filter.
        filter: TopicFilter,
    },
    /// The packet would be larger than the server takes, or has what the version can't carry.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Why a re-authentication did not begin, or did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReauthenticateError {
    /// No authentication method is configured [MQTT-4.12.0-7].
    #[error("no authentication method is configured")]
    NoMethod,
    /// There is no connection. The next one begins with an authentication anyway.
    #[error("there is no connection")]
    NotConnected,
    /// One is under way.
    #[error("a re-authentication is under way")]
    InProgress,
    /// The connection was lost before it had succeeded; if it failed, because of that [MQTT-4.12.1-2].
    #[error("the connection was lost: {0}")]
    Lost(Box<ConnectionError>),
    /// The session is closed or draining.
    #[error("the session is closed (`Client::closed` tells why)")]
    Closed,
}

/// Why the session can't end with this DISCONNECT.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DisconnectError {
    /// CONNECT had a Session Expiry Interval of 0, and then DISCONNECT may have no other (section 3.14.2.2.2).
    #[error(
        "the session ends with its connection as configured (session_expiry), and can't be made to last by DISCONNECT"
    )]
    SessionExpiry,
    /// The reason code or a property is not for a client, or the version has none.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// A ticket of a session that is gone: the message was not acknowledged, and can't be any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session that this message belonged to is gone")]
pub struct Stale;

/// Why a connection, or an attempt at one, ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The application gave no credentials for the attempt.
    #[error("there are no credentials for {server} after {}: {cause}", Rounded(*.after))]
    Credentials {
        /// The server that they were for.
        server: Endpoint,
        /// How long was waited.
        after: Duration,
        /// Why there are none.
        cause: Cause,
    },
    /// The host's addresses could not be looked up.
    #[error("the name {host:?} could not be looked up after {}: {cause}", Rounded(*.after))]
    Resolve {
        /// The host.
        host: String,
        /// How long it took.
        after: Duration,
        /// What the resolver said.
        cause: Cause,
    },
    /// The host has no address.
    #[error("the name {host:?} has no address (asked for {})", Rounded(*.after))]
    NoAddress {
        /// The host.
        host: String,
        /// How long it took.
        after: Duration,
    },
    /// No byte stream could be opened to the last address tried.
    #[error("{addr} could not be reached after {}: {cause}", Rounded(*.after))]
    Dial {
        /// The address.
        addr: Peer,
        /// How long it took.
        after: Duration,
        /// What the system said.
        cause: Cause,
    },
    /// The server can't be reached with this configuration; nothing was opened.
    #[error("there is no way to {server}: {cause}")]
    Transport {
        /// The server.
        server: Endpoint,
        /// What is wrong.
        cause: Cause,
    },
    /// The stream was open, but a layer above it failed before the server had accepted us: proxy, TLS or WebSocket.
    #[error("{addr} took the connection, but it was of no use after {}: {cause}", Rounded(*.after))]
    Handshake {
        /// The address.
        addr: Peer,
        /// How long the stream was open.
        after: Duration,
        /// Which layer failed, and how.
        cause: Cause,
    },
    /// The stream was open, but CONNACK did not come in time.
    #[error("{addr} took the connection but sent no CONNACK within {}", Rounded(*.after))]
    NoConnAck {
        /// The address.
        addr: Peer,
        /// How long it took.
        after: Duration,
    },
    /// The server refused in CONNACK.
    #[error("{addr} refused the connection after {}: {reason}{}{}", Rounded(*.after), connack_hint(*.reason), because(.words))]
    Refused {
        /// The address.
        addr: Peer,
        /// How long it took.
        after: Duration,
        /// Its reason.
        reason: ReasonCode,
        /// Its Reason String.
        words: Option<String>,
    },
    /// The server ended the connection with DISCONNECT.
    #[error("{addr} disconnected: {reason}{}", because(.words))]
    Disconnected {
        /// The address.
        addr: Peer,
        /// Its reason.
        reason: ReasonCode,
        /// Its Reason String.
        words: Option<String>,
    },
    /// The stream ended before CONNACK came.
    #[error(
        "the connection to {addr} ended after {}, before CONNECT was answered: {cause}; perhaps the port is that of another protocol, or of TLS where the URL is not (or the other way round), or the server does not speak {version}",
        Rounded(*.after)
    )]
    Unanswered {
        /// The address.
        addr: Peer,
        /// How long the stream was open.
        after: Duration,
        /// The version that was spoken.
        version: Version,
        /// How it ended.
        cause: Cause,
    },
    /// The stream of a connection that was accepted ended without a word.
    #[error("the connection to {addr} was lost after {}: {cause}", Rounded(*.after))]
    Closed {
        /// The address.
        addr: Peer,
        /// How long the stream was open.
        after: Duration,
        /// How it ended.
        cause: Cause,
    },
    /// PINGREQ was sent, and nothing came.
    #[error("{addr} did not answer a PINGREQ within {}", Rounded(*.after))]
    NoPingResp {
        /// The address.
        addr: Peer,
        /// How long since the PINGREQ.
        after: Duration,
    },
    /// What came is no packet.
    #[error("{addr} sent what is no valid packet: {error}")]
    Decode {
        /// The address.
        addr: Peer,
        /// What is wrong.
        error: DecodeError,
    },
    /// What came is of another protocol, which the first bytes tell.
    #[error(
        "{addr} speaks {protocol}, not what is asked of it: check the port, and the scheme of the URL"
    )]
    OtherProtocol {
        /// The address.
        addr: Peer,
        /// Which one: `HTTP`, say.
        protocol: &'static str,
    },
    /// What came is a packet, but not one that may come here.
    #[error("{addr} broke the protocol: {violation}")]
    Protocol {
        /// The address.
        addr: Peer,
        /// How.
        violation: Violation,
    },
    /// More came than the inbox holds, and the application did not take it.
    #[error("the inbox is full: {bytes} bytes wait to be taken (limits.inbox_bytes)")]
    InboxFull {
        /// What waits, in bytes.
        bytes: usize,
    },
    /// The authenticator was not satisfied with the server, or could not go on.
    #[error("the authentication with {addr} failed: {error}")]
    Authentication {
        /// The address.
        addr: Peer,
        /// Why.
        error: AuthError,
    },
    /// The authenticator took too long for a step.
    #[error("the authenticator gave no answer within {} (timeouts.auth)", Rounded(*.after))]
    AuthenticatorTimedOut {
        /// The address of the server.
        addr: Peer,
        /// How long it was waited for.
        after: Duration,
    },
    /// The server left a step of a re-authentication unanswered.
    #[error("{addr} did not answer the re-authentication within {}", Rounded(*.after))]
    NoAuth {
        /// The address.
        addr: Peer,
        /// How long since our AUTH.
        after: Duration,
    },
    /// The server has a session of ours, and there is no state of it here, which the configuration asks for.
    #[error(
        "{addr} has a session of this client identifier, of which nothing is known here (require_local_state)"
    )]
    NoLocalState {
        /// The address.
        addr: Peer,
    },
    /// The server's Maximum Packet Size is below the four bytes of an acknowledgement, so nothing above QoS 0 could ever be ended
    /// [MQTT-3.2.2-15].
    #[error(
        "{addr} takes packets of {max} bytes at most, which is too few for any acknowledgement"
    )]
    TakesNoAck {
        /// The address.
        addr: Peer,
        /// The server's Maximum Packet Size.
        max: NonZeroU32,
    },
    /// CONNECT could not be encoded for this server.
    #[error("CONNECT can't be sent: {error}")]
    Connect {
        /// Why not.
        error: EncodeError,
    },
}

impl ConnectionError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Refused { .. }
            | Self::Disconnected { .. }
            | Self::Decode { .. }
            | Self::Protocol { .. }
            | Self::NoConnAck { .. }
            | Self::OtherProtocol { .. }
            | Self::TakesNoAck { .. }
            | Self::NoAuth { .. } => Fault::Peer,
            Self::Handshake { cause, .. }
            | Self::Unanswered { cause, .. }
            | Self::Closed { cause, .. } => cause.fault(),
            Self::Authentication { error, .. } => error.fault(),
            Self::AuthenticatorTimedOut { .. }
            | Self::InboxFull { .. }
            | Self::Connect { .. }
            | Self::Transport { .. }
            | Self::Credentials { .. }
            | Self::NoLocalState { .. } => Fault::Caller,
            _ => Fault::Network,
        }
    }
}

/// Why a server's wish that we use another one was not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectRefused {
    /// It named no other.
    #[error("the server named no other (no Server Reference)")]
    NoReference,
    /// What it named is no server that can be reached.
    #[error("the server reference is none: {0}")]
    Reference(#[from] EndpointError),
    /// The configuration does not list it.
    #[error(
        "{target} is not among the hosts to which the configuration lets us be sent (redirects)"
    )]
    NotAllowed {
        /// What the server named last.
        target: Endpoint,
    },
    /// It would have us give up TLS.
    #[error("{target} would be reached without the protection that the server is reached with")]
    Weaker {
        /// What the server named last.
        target: Endpoint,
    },
    /// Servers send us on and on.
    #[error("servers have sent us on {max} times in a row")]
    TooMany {
        /// How often that is followed.
        max: u8,
    },
}

/// How the server broke the protocol with well-formed packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// Something else than CONNACK (or AUTH) came first [MQTT-3.2.0-1].
    #[error("{packet} came before CONNACK")]
    BeforeConnAck {
        /// What came.
        packet: PacketType,
    },
    /// A second CONNACK [MQTT-3.2.0-2].
    #[error("a second CONNACK came")]
    SecondConnAck,
    /// A packet that nothing here calls for.
    #[error("{packet} came unasked")]
    Unexpected {
        /// What came.
        packet: PacketType,
    },
    /// Session Present, though a clean start was asked for [MQTT-3.2.2-2].
    #[error("CONNACK says that a session is present although a clean start was asked for")]
    SessionPresent,
    /// An acknowledgement that does not fit the QoS or the state of the message with this identifier.
    #[error("{packet} came for the packet identifier {id}, which waits for another packet")]
    WrongAck {
        /// What came.
        packet: PacketType,
        /// The packet identifier.
        id: PacketId,
    },
    /// SUBACK or UNSUBACK with another number of reason codes than there were filters [MQTT-3.8.4-6].
    #[error("{packet} has {got} reason codes for {wanted} topic filters")]
    CodeCount {
        /// SUBACK or UNSUBACK.
        packet: PacketType,
        /// How many came.
        got: usize,
        /// How many were asked for.
        wanted: usize,
    },
    /// More publications in flight than our Receive Maximum [MQTT-3.3.4-9].
    #[error("more than {max} publications are unacknowledged (our Receive Maximum)")]
    ReceiveMaximum {
        /// Our Receive Maximum.
        max: u16,
    },
    /// A topic alias above our Topic Alias Maximum [MQTT-3.1.2-26], [MQTT-3.1.2-27].
    #[error("the topic alias {alias} came, above our maximum of {max}")]
    TopicAlias {
        /// The alias.
        alias: u16,
        /// Our Topic Alias Maximum.
        max: u16,
    },
    /// Response Information, which CONNECT did not ask for [MQTT-3.1.2-28].
    #[error("CONNACK has Response Information, which was not asked for")]
    ResponseInformation,
    /// A Reason String or user property outside of PUBLISH, CONNACK and DISCONNECT, though Request Problem Information was 0
    /// [MQTT-3.1.2-29].
    #[error("{packet} has a Reason String or a user property, which was not to be sent")]
    ProblemInformation {
        /// What came.
        packet: PacketType,
    },
    /// A topic alias without a topic, before it was said what it stands for (section 3.3.2.3.4).
    #[error("the topic alias {alias} came before the topic that it stands for")]
    UnknownTopicAlias {
        /// The alias.
        alias: NonZeroU16,
    },
    /// An authentication method that is not the one of CONNECT, or one where CONNECT had none [MQTT-4.12.0-5], [MQTT-4.12.0-6].
    #[error("the authentication method of {packet} is not the one of CONNECT")]
    AuthenticationMethod {
        /// CONNACK or AUTH.
        packet: PacketType,
    },
    /// AUTH with a reason code that it may not have here [MQTT-4.12.0-2].
    #[error("AUTH came with the reason {reason}, which it may not have here")]
    AuthReason {
        /// The reason code.
        reason: ReasonCode,
    },
    /// The server goes on asking.
    #[error("more than {max} challenges came in one authentication (limits.max_auth_challenges)")]
    AuthChallenges {
        /// The limit.
        max: u16,
    },
    /// No Assigned Client Identifier for an empty one [MQTT-3.2.2-16].
    #[error("the client identifier was empty, and CONNACK assigned none")]
    NoAssignedClientId,
}

impl Violation {
    /// The reason code to disconnect with.
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::ReceiveMaximum { .. } => ReasonCode::RECEIVE_MAXIMUM_EXCEEDED,
            Self::TopicAlias { .. } => ReasonCode::TOPIC_ALIAS_INVALID,
            _ => ReasonCode::PROTOCOL_ERROR,
        }
    }
}
