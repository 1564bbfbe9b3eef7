use crate::Fault;

/// Why TLS failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The peer took the connection, but the handshake was not done in time.
    #[error("the handshake was not done in time (timeouts.handshake)")]
    TimedOut,
    /// The peer closed the connection during the handshake.
    #[error("the peer closed the connection during the handshake")]
    Closed,
    /// The stream ended without close_notify: somebody between may have cut it off.
    #[error("the connection ended without close_notify; what came may be cut off")]
    Truncated,
}

impl TlsError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::TimedOut | Self::Closed => Fault::Peer,
            Self::Truncated => Fault::Network,
        }
    }
}
