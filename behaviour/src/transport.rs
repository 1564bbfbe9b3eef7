//! What lies between a client and its server.

use std::fmt;
use std::net::SocketAddr;

/// What the bytes go over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// Sockets that the adapter opens.
    Tcp,
    /// Unix sockets that it opens.
    #[cfg(unix)]
    Unix,
    /// TLS over sockets that it opens.
    Tls,
    /// The same, where the server asks for a certificate of the client's.
    MutualTls,
    /// WebSocket over sockets that it opens.
    WebSocket,
    /// WebSocket over TLS.
    SecureWebSocket,
    /// Sockets that the adapter is given by a dialer of the application's.
    Own,
}

impl Transport {
    /// All over sockets that the adapter opens.
    #[cfg(unix)]
    pub const SOCKETS: &[Self] = &[
        Self::Tcp,
        Self::Tls,
        Self::MutualTls,
        Self::WebSocket,
        Self::SecureWebSocket,
        Self::Unix,
    ];
    /// All over sockets that the adapter opens.
    #[cfg(not(unix))]
    pub const SOCKETS: &[Self] = &[
        Self::Tcp,
        Self::Tls,
        Self::MutualTls,
        Self::WebSocket,
        Self::SecureWebSocket,
    ];

    /// The URL of a server that listens for this on TCP.
    pub fn url(self, addr: SocketAddr) -> String {
        let (scheme, path) = match self {
            Self::Tls | Self::MutualTls => ("mqtts", ""),
            Self::WebSocket => ("ws", "/mqtt"),
            Self::SecureWebSocket => ("wss", "/mqtt"),
            _ => ("mqtt", ""),
        };
        format!("{scheme}://{addr}{path}")
    }

    /// Whether TLS is on the way.
    pub(crate) fn has_tls(self) -> bool {
        matches!(self, Self::Tls | Self::MutualTls | Self::SecureWebSocket)
    }

    /// Whether WebSocket is on the way.
    pub(crate) fn has_websocket(self) -> bool {
        matches!(self, Self::WebSocket | Self::SecureWebSocket)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            #[cfg(unix)]
            Self::Unix => "Unix sockets",
            Self::Tls => "TLS",
            Self::MutualTls => "mutual TLS",
            Self::WebSocket => "WebSocket",
            Self::SecureWebSocket => "secure WebSocket",
            Self::Own => "a dialer of one's own",
        })
    }
}
