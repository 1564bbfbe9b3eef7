use alloc::boxed::Box;

use crate::Fault;

/// Why WebSocket failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebSocketError {
    /// The peer took the connection, but did not answer the request to upgrade it in time.
    #[error("no answer to the handshake came in time (timeouts.handshake)")]
    TimedOut,
    /// The peer closed the connection during the handshake.
    #[error(
        "the peer closed the connection during the handshake; it may not speak WebSocket on this port"
    )]
    Closed,
    /// The stream ended without a Close frame: what came may be cut off.
    #[error("the connection ended without a Close frame; what came may be cut off")]
    Truncated,
    /// The first answer was no HTTP.
    #[error("what answered does not speak HTTP; this may be a port for another protocol")]
    NotHttp,
    /// The answer to the request is no HTTP that can be read.
    #[error("the answer to the handshake can't be read: {0}")]
    BadAnswer(Box<str>),
    /// The server answered the request to upgrade the connection with another status.
    #[error("the server refused with the HTTP status {status}{}{}", meaning(*.status), leads(.location.as_deref()))]
    Refused {
        /// The status: 404 where there is nothing under the path of the URL, say.
        status: u16,
        /// Where else to ask, as the server says: without query. It is not followed.
        location: Option<Box<str>>,
    },
    /// The server said that it upgrades the connection, but its answer is not one of WebSocket.
    #[error("the server answered, but not as WebSocket does: the header {0} is missing or wrong")]
    NotUpgraded(&'static str),
    /// The server did not choose the subprotocol `mqtt` [MQTT-6.0.0-4]. It may speak WebSocket for something else under this path.
    #[error("the server speaks WebSocket, but did not choose the subprotocol mqtt")]
    NoSubprotocol,
    /// The server chose a subprotocol that was not asked for [MQTT-6.0.0-4].
    #[error("the server chose the subprotocol \"{0}\", but was asked for mqtt")]
    OtherSubprotocol(Box<str>),
    /// The server uses an extension that was not asked for.
    #[error("the server uses an extension that was not asked for: {0}")]
    Extension(Box<str>),
    /// The peer sent text, where MQTT is binary [MQTT-6.0.0-1].
    #[error("the peer sent a text frame, where MQTT has binary ones")]
    TextFrame,
    /// The server masked a frame, as only clients do.
    #[error("the server sent a masked frame, as only clients do")]
    MaskedFrame,
    /// The peer announced a frame that is longer than its kind may be. Binary frames may have any length below 2^63: they pass as they
    /// come.
    #[error("the peer announced a frame of {len} bytes, more than its kind may have")]
    FrameTooLarge {
        /// How long.
        len: u64,
    },
    /// The peer broke the protocol in another way.
    #[error("the peer broke the protocol: {0}")]
    Protocol(&'static str),
    /// The peer closed the connection with a Close frame that gives a reason other than that all is done.
    #[error("the peer closed with code {code}{}", because(.reason))]
    ClosedByPeer {
        /// Its code: 1001 where it goes away, say.
        code: u16,
        /// Its words. Empty where it has none.
        reason: Box<str>,
    },
}

impl WebSocketError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Truncated => Fault::Network,
            _ => Fault::Peer,
        }
    }
}

const fn meaning(status: u16) -> &'static str {
    match status {
        301 | 302 | 303 | 307 | 308 => " (it redirects, which is not followed)",
        400 => " (bad request)",
        401 => " (it wants to know who asks)",
        403 => " (forbidden)",
        404 => " (there is nothing under the path of the URL)",
        426 => " (it wants another version)",
        429 => " (too many requests)",
        502..=504 => " (what is behind it does not answer)",
        _ => "",
    }
}

fn leads(location: Option<&str>) -> alloc::string::String {
    location.map_or_else(Default::default, |to| alloc::format!(": {to}"))
}

fn because(reason: &str) -> alloc::string::String {
    if reason.is_empty() {
        Default::default()
    } else {
        alloc::format!(": \"{reason}\"")
    }
}

/// Why a header can't be sent with the handshake of WebSocket. Its value is not told: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The name is no token of HTTP.
    #[error("{name:?} is no name of a header")]
    Name {
        /// The name.
        name: Box<str>,
    },
    /// The handshake has it already, or needs it not to be there.
    #[error("the header {name} is the handshake's own")]
    Own {
        /// The name.
        name: Box<str>,
    },
    /// The value has other characters than visible ASCII and spaces within.
    #[error("the value of the header {name} has more than visible ASCII and spaces within")]
    Value {
        /// The name of the header.
        name: Box<str>,
    },
    /// There are too many headers, or their values are too long.
    #[error("with the header {name} there are more than 16 KiB of headers")]
    TooLong {
        /// The name of the header.
        name: Box<str>,
    },
}
