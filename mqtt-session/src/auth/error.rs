use alloc::string::String;

use mqtt_proto::{EncodeError, PropertyError, ReasonCode};

use crate::Fault;
use crate::error::shown;

/// Why an authentication method did not go on. None of these shows a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// User name or password can't be used with the method.
    #[error("the {what} can't be used: {why}")]
    Credentials {
        /// Which of them.
        what: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// What the server sent is not what the method prescribes.
    #[error("the server's authentication data: {0}")]
    Malformed(&'static str),
    /// The server sent something where the method has nothing to say.
    #[error("the server sent {0} where the authentication method has none")]
    Unexpected(&'static str),
    /// The server's nonce does not extend ours: an answer to something that we did not ask.
    #[error("the server's nonce does not extend ours")]
    Nonce,
    /// The server asks for more work than is allowed, or for so little that a password could be guessed from it. Nothing was computed.
    #[error("the server asks for {iterations} iterations, where {min} to {max} are allowed")]
    Iterations {
        /// What the server asks for.
        iterations: u64,
        /// The fewest that are allowed.
        min: u32,
        /// The most that are allowed.
        max: u32,
    },
    /// The server could not show that it knows the password, too.
    #[error("the server's signature is wrong: it does not know the password")]
    Signature,
    /// The server says by the method's own means that it failed.
    #[error("the server refused the authentication: {}", shown(.0))]
    Refused(String),
    /// What the authenticator needs is not there now; it may be later. Retried as a lost connection is.
    #[error("the authenticator has no answer now: {0}")]
    Unavailable(String),
    /// Anything else, in the authenticator's words. Not retried.
    #[error("the authenticator failed: {0}")]
    Failed(String),
    /// The answer has properties that can't be.
    #[error("the answer can't be sent: {0}")]
    Properties(#[from] PropertyError),
    /// The answer is too large for the server.
    #[error("the answer can't be sent: {0}")]
    Encode(#[from] EncodeError),
}

impl AuthError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Malformed(_)
            | Self::Unexpected(_)
            | Self::Nonce
            | Self::Iterations { .. }
            | Self::Signature
            | Self::Refused(_) => Fault::Peer,
            _ => Fault::Caller,
        }
    }

    /// The reason code to disconnect with. A client has no code that says "not authorized" (section 3.14.2.1).
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::Malformed(_) | Self::Unexpected(_) | Self::Nonce => ReasonCode::PROTOCOL_ERROR,
            Self::Iterations { .. } => ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR,
            _ => ReasonCode::UNSPECIFIED_ERROR,
        }
    }

    /// How long the server's own words are, in bytes.
    #[cfg(feature = "client")]
    pub(crate) const fn said(&self) -> usize {
        match self {
            Self::Refused(words) => words.len(),
            _ => 0,
        }
    }

    /// Whether the next attempt may go better.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
