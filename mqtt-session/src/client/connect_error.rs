use std::boxed::Box;
use std::fmt;
use std::string::{String, ToString};
use std::vec::Vec;

use crate::{ConfigError, ConnectionError, EndpointError};

use super::{Closed, explain};

/// Why an adapter's `connect` has no client to give.
///
/// `{:?}` shows the same text as `{}`, for a `main` that ends with it; `{:#?}` shows the structure.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A URL names no server.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The configuration asks for what the adapter has not.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server did not accept: why not, with the address and the time it took.
    #[error(transparent)]
    Connection(Box<ConnectionError>),
    /// No server accepted, and there was more than one attempt: what each of them ended with, in their order.
    #[error("no server accepted: {}", list(.0))]
    Attempts(Vec<ConnectionError>),
    /// The session was closed meanwhile: the runtime is shutting down.
    #[error("the session was closed before the server answered")]
    Closed,
}

impl From<Closed> for ConnectError {
    /// What became of [`Client::connect`](super::Client::connect).
    fn from(closed: Closed) -> Self {
        let Closed { error, before } = closed;
        match error {
            None => Self::Closed,
            Some(error) if before.is_empty() => Self::Connection(error),
            Some(error) => Self::Attempts(before.into_iter().chain([*error]).collect()),
        }
    }
}

impl ConnectError {
    /// What each attempt ended with, in their order; the last one is the one that decided. None where none was made.
    pub fn attempts(&self) -> &[ConnectionError] {
        match self {
            Self::Connection(error) => std::slice::from_ref(error),
            Self::Attempts(errors) => errors,
            _ => &[],
        }
    }
}

fn list(errors: &[ConnectionError]) -> String {
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    errors.join("; ")
}

/// Why an adapter has no client to give, before anything is opened.
///
/// `{:?}` shows the same text as `{}`, for a `main` that ends with it; `{:#?}` shows the structure.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
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

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return explain(self, f);
        }
        match self {
            Self::Endpoint(error) => f.debug_tuple("Endpoint").field(error).finish(),
            Self::Config(error) => f.debug_tuple("Config").field(error).finish(),
            Self::Connection(error) => f.debug_tuple("Connection").field(error).finish(),
            Self::Attempts(errors) => f.debug_tuple("Attempts").field(errors).finish(),
            Self::Closed => f.write_str("Closed"),
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
        }
    }
}
