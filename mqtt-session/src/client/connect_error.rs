use std::boxed::Box;

use crate::{ConfigError, ConnectionError, EndpointError};

use super::Closed;

/// Why an adapter's `connect` has no client to give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A URL names no server.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The configuration asks for what the adapter has not.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No server accepted: the last error, with the address and the time it took.
    #[error(transparent)]
    Connection(Box<ConnectionError>),
    /// The session was closed meanwhile: the runtime is shutting down.
    #[error("the session was closed before the server answered")]
    Closed,
}

impl From<Closed> for ConnectError {
    /// What became of [`Client::connect`](super::Client::connect).
    fn from(closed: Closed) -> Self {
        closed.error.map_or(Self::Closed, Self::Connection)
    }
}

/// Why an adapter has no client to give, before anything is opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A URL names no server.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The configuration asks for what the adapter has not: a store for records.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl From<BuildError> for ConnectError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Endpoint(error) => Self::Endpoint(error),
            BuildError::Config(error) => Self::Config(error),
        }
    }
}
