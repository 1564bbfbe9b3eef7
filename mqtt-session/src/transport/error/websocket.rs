use crate::Fault;

/// Why WebSocket failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebSocketError {
    /// The peer took the connection, but did not answer the request to upgrade it in time.
    #[error("no answer to the handshake came in time (timeouts.handshake)")]
    TimedOut,
    /// The peer closed the connection during the handshake.
    #[error("the peer closed the connection during the handshake")]
    Closed,
    /// The stream ended without a Close frame: what came may be cut off.
    #[error("the connection ended without a Close frame; what came may be cut off")]
    Truncated,
}

impl WebSocketError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::TimedOut | Self::Closed => Fault::Peer,
            Self::Truncated => Fault::Network,
        }
    }
}
