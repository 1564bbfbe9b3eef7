use crate::Fault;

/// Why a connection through a proxy failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// It took the connection, but did not answer in time.
    #[error("no answer came in time (timeouts.handshake)")]
    TimedOut,
    /// It closed the connection instead of an answer.
    #[error("it closed the connection before it had answered")]
    Closed,
}

impl ProxyError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::TimedOut | Self::Closed => Fault::Peer,
        }
    }
}
