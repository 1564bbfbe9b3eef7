use mqtt_proto::ReasonCode;

use crate::{Cause, ConnectionError};

/// What follows when the server has refused or ended a connection, or an attempt at one has failed.
///
/// Within a round of attempts the next server's turn comes with each verdict but [`GiveUp`](Self::GiveUp); the verdicts differ in where
/// the rounds after it begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Try again; the next round begins with the server that has the session.
    Retry,
    /// Try again; the next round begins with the server after this one.
    NextServer,
    /// Asking again would not change it: the session ends.
    GiveUp,
}

impl Verdict {
    /// What follows on a reason code of CONNACK or DISCONNECT, unless
    /// [`ConfigBuilder::verdict`](crate::ConfigBuilder::verdict) says otherwise. Return codes of 3.x stand as the reason codes that mean the
    /// same.
    ///
    /// | reason | verdict |
    /// |---|---|
    /// | 0x84 Unsupported Protocol Version, 0x85 Client Identifier not valid, 0x86 Bad User Name or Password, 0x87 Not authorized, 0x8A Banned, 0x8C Bad authentication method, 0x8E Session taken over | give up |
    /// | 0x88 Server unavailable, 0x89 Server busy, 0x8B Server shutting down, 0x9C Use another server and 0x9D Server moved (where that is not followed), 0x9F Connection rate exceeded | next server |
    /// | every other | retry |
    pub const fn of(reason: ReasonCode) -> Self {
        match reason {
            ReasonCode::UNSUPPORTED_PROTOCOL_VERSION
            | ReasonCode::CLIENT_IDENTIFIER_NOT_VALID
            | ReasonCode::BAD_USER_NAME_OR_PASSWORD
            | ReasonCode::NOT_AUTHORIZED
            | ReasonCode::BANNED
            | ReasonCode::BAD_AUTHENTICATION_METHOD
            // Fighting for the identifier would only throw the other one out [MQTT-3.1.4-3].
            | ReasonCode::SESSION_TAKEN_OVER => Self::GiveUp,
            ReasonCode::SERVER_UNAVAILABLE
            | ReasonCode::SERVER_BUSY
            | ReasonCode::SERVER_SHUTTING_DOWN
            | ReasonCode::USE_ANOTHER_SERVER
            | ReasonCode::SERVER_MOVED
            | ReasonCode::CONNECTION_RATE_EXCEEDED => Self::NextServer,
            _ => Self::Retry,
        }
    }
}

impl ConnectionError {
    /// The reason code of the server's CONNACK or DISCONNECT, where it gave one.
    pub const fn reason(&self) -> Option<ReasonCode> {
        match self {
            Self::Refused { reason, .. } | Self::Disconnected { reason, .. } => Some(*reason),
            _ => None,
        }
    }

    /// What follows, unless the configuration says otherwise. [`Event::Lost`](crate::Event::Lost) tells what does follow.
    pub const fn verdict(&self) -> Verdict {
        match self {
            Self::Connect { .. } | Self::Transport { .. } | Self::NoLocalState { .. } => {
                Verdict::GiveUp
            }
            Self::Handshake {
                cause: Cause::Proxy(error),
                ..
            } => error.verdict(),
            Self::Authentication { error, .. } if !error.is_transient() => Verdict::GiveUp,
            Self::TakesNoAck { .. } => Verdict::NextServer,
            other => match other.reason() {
                Some(reason) => Verdict::of(reason),
                None => Verdict::Retry,
            },
        }
    }
}
