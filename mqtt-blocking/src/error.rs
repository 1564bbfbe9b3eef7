use std::{fmt, io};

use mqtt_session::client::{Closed, explain};
use mqtt_session::{Cause, ConfigError, ConnectionError, EndpointError};

use crate::wait::{TimedOut, WaitError};

/// Why there is no client, before anything is opened.
///
/// `{:?}` shows the same text as `{}`, for a `main` that ends with it; `{:#?}` shows the structure.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A URL names no server.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The configuration asks for what the driver has not: a store for records.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system has no thread, or nothing to wait with.
    #[error("the driver can't run: {0}")]
    Driver(Cause),
}

/// Why [`connect`](crate::connect) has no client to give.
///
/// `{:?}` shows the same text as `{}`, for a `main` that ends with it; `{:#?}` shows the structure.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nothing was tried.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// No server accepted: the last error, with the address and the time it took.
    #[error(transparent)]
    Connection(Box<ConnectionError>),
    /// There was no answer in the time that [`connect_timeout`](crate::connect_timeout) was given.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// The session was closed meanwhile.
    #[error("the session was closed before the server answered")]
    Closed,
}

impl BuildError {
    pub(crate) fn driver(error: &io::Error) -> Self {
        Self::Driver(Cause::from(error))
    }
}

impl From<Closed> for ConnectError {
    /// What became of [`Client::connect`](crate::Client::connect).
    fn from(closed: Closed) -> Self {
        closed.error.map_or(Self::Closed, Self::Connection)
    }
}

impl From<WaitError<Closed>> for ConnectError {
    /// What became of [`Client::connect_timeout`](crate::Client::connect_timeout).
    fn from(error: WaitError<Closed>) -> Self {
        match error {
            WaitError::TimedOut(error) => error.into(),
            WaitError::Failed(closed) => closed.into(),
        }
    }
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return explain(self, f);
        }
        match self {
            Self::Endpoint(error) => f.debug_tuple("Endpoint").field(error).finish(),
            Self::Config(error) => f.debug_tuple("Config").field(error).finish(),
            Self::Driver(cause) => f.debug_tuple("Driver").field(cause).finish(),
        }
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return explain(self, f);
        }
        match self {
            Self::Build(error) => f.debug_tuple("Build").field(error).finish(),
            Self::Connection(error) => f.debug_tuple("Connection").field(error).finish(),
            Self::TimedOut(error) => f.debug_tuple("TimedOut").field(error).finish(),
            Self::Closed => f.write_str("Closed"),
        }
    }
}
