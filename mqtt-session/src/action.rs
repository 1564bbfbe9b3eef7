use core::net::SocketAddr;

use alloc::string::String;

use crate::auth::AuthStep;
use crate::transport::{ProxyError, TlsError, WebSocketError};
use crate::{Endpoint, Fault};

/// One attempt to open a byte stream. Numbers are never used again, so what comes late for an old attempt is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt(pub(crate) u64);

/// What a driver shall do for the session, outside of reading and writing.
///
/// An action is carried out without waiting for it in the driver's loop; what comes of it is an input of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Get user name and password for an attempt at this server, then call
    /// [`Session::handle_credentials`](crate::Session::handle_credentials). Only asked of who said so in the configuration
    /// ([`ConfigBuilder::ask_for_credentials`](crate::ConfigBuilder::ask_for_credentials)).
    Credentials {
        /// Which attempt this is for.
        attempt: Attempt,
        /// Whom they will be sent to.
        server: Endpoint,
    },
    /// Look up the addresses of a host, then call [`Session::handle_resolved`](crate::Session::handle_resolved).
    Resolve {
        /// Which attempt this is for.
        attempt: Attempt,
        /// A host name or an address.
        host: String,
        /// The port, which the addresses shall have.
        port: u16,
    },
    /// Open a byte stream to this address, then call [`Session::handle_opened`](crate::Session::handle_opened) or
    /// [`Session::handle_closed`](crate::Session::handle_closed).
    ///
    /// Others may be under way: a name has several addresses, and the next is dialled while the first is silent. The first that opens
    /// wins, and the others get [`Action::Cancel`]. A driver that dials one after the other loses nothing but time.
    Dial {
        /// Which attempt this is.
        attempt: Attempt,
        /// Where to.
        addr: SocketAddr,
    },
    /// Open a byte stream to this server without a lookup, then call [`Session::handle_opened`](crate::Session::handle_opened) or
    /// [`Session::handle_closed`](crate::Session::handle_closed): a Unix socket, or any server where the application has a dialer of its own
    /// ([`ConfigBuilder::own_dialer`](crate::ConfigBuilder::own_dialer)). Behind a proxy it is the proxy that is to be opened.
    Open {
        /// Which attempt this is.
        attempt: Attempt,
        /// Where to. Only where it is to be found matters: what its scheme adds to the byte stream is done above it.
        server: Endpoint,
    },
    /// Give up a request for credentials, a lookup, a dial or a step of authentication that has not ended yet. Nothing needs to be
    /// reported; where the byte stream has been opened meanwhile, close it.
    Cancel {
        /// Which one.
        attempt: Attempt,
    },
    /// Let the configured authentication method take a step, then call [`Session::handle_auth`](crate::Session::handle_auth); see
    /// [`auth`](crate::auth).
    Authenticate {
        /// Which step this is for: each has a number of its own.
        attempt: Attempt,
        /// What to do.
        step: AuthStep,
    },
    /// Close the byte stream, then call [`Session::handle_closed`](crate::Session::handle_closed).
    Hangup {
        /// Which one.
        attempt: Attempt,
        /// Whether to write what [`Session::poll_transmit`](crate::Session::poll_transmit) still has first: last acknowledgements, DISCONNECT.
        flush: bool,
    },
}

impl Action {
    /// Whether this begins the attempt.
    pub(crate) fn begins(&self, number: Attempt) -> bool {
        match self {
            Self::Credentials { attempt, .. }
            | Self::Authenticate { attempt, .. }
            | Self::Resolve { attempt, .. }
            | Self::Dial { attempt, .. }
            | Self::Open { attempt, .. } => *attempt == number,
            Self::Cancel { .. } | Self::Hangup { .. } => false,
        }
    }
}

/// How the network ended a lookup, a dial or a connection, as the driver saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The peer closed the stream in order: end of file.
    Eof,
    /// Nobody listens there.
    ConnectionRefused,
    /// The stream was reset.
    ConnectionReset,
    /// There is no way to the peer.
    Unreachable,
    /// The network gave up waiting.
    TimedOut,
    /// The driver closed it as it was told by [`Action::Hangup`].
    HungUp,
    /// TLS failed.
    Tls(TlsError),
    /// WebSocket failed.
    WebSocket(WebSocketError),
    /// The proxy failed, or refused.
    Proxy(ProxyError),
    /// Anything else, in the words of the system.
    Other(String),
}

impl Cause {
    /// Whether a layer above the stream failed, rather than that the stream ended, with whatever was in it.
    pub(crate) fn is_verdict_of_layer(&self) -> bool {
        match self {
            Self::Tls(error) => *error != TlsError::Truncated,
            Self::WebSocket(error) => *error != WebSocketError::Truncated,
            Self::Proxy(_) => true,
            _ => false,
        }
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Tls(error) => error.fault(),
            Self::WebSocket(error) => error.fault(),
            Self::Proxy(error) => error.fault(),
            _ => Fault::Network,
        }
    }
}

impl core::fmt::Display for Cause {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Tls(error) => return write!(f, "TLS: {error}"),
            Self::WebSocket(error) => return write!(f, "WebSocket: {error}"),
            Self::Proxy(error) => return write!(f, "proxy: {error}"),
            Self::Eof => "the peer closed the connection",
            Self::ConnectionRefused => "connection refused",
            Self::ConnectionReset => "connection reset by the peer",
            Self::Unreachable => "no route to the host",
            Self::TimedOut => "timed out",
            Self::HungUp => "closed by us",
            Self::Other(words) => words,
        })
    }
}

#[cfg(feature = "std")]
impl From<&std::io::Error> for Cause {
    fn from(error: &std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        match error.kind() {
            K::UnexpectedEof => Self::Eof,
            K::ConnectionRefused => Self::ConnectionRefused,
            K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe => Self::ConnectionReset,
            K::HostUnreachable | K::NetworkUnreachable | K::AddrNotAvailable => Self::Unreachable,
            K::TimedOut => Self::TimedOut,
            _ => Self::Other(alloc::string::ToString::to_string(error)),
        }
    }
}
