//! Enhanced authentication (section 4.12): what a method has to do, apart from the rules of the protocol.
//!
//! The session knows when AUTH may come and what must be in it; an [`Authenticator`] knows what the data mean. They never call each
//! other: the session asks by [`Action::Authenticate`](crate::Action::Authenticate) and goes on when
//! [`Session::handle_auth`](crate::Session::handle_auth) brings the answer, so a step may take its time, on another thread or over the network.
//!
//! ```
//! use bytes::Bytes;
//! use mqtt_session::auth::{AuthAnswer, AuthError, AuthInput, Authenticator};
//! use mqtt_session::{Action, Config, Endpoint, Instant, Session};
//!
//! /// Shows a token, and that is all.
//! struct Bearer(Bytes);
//!
//! impl Authenticator for Bearer {
//!     fn method(&self) -> &str {
//!         "BEARER"
//!     }
//!     fn begin(&mut self, _again: bool) -> Result<AuthAnswer, AuthError> {
//!         Ok(self.0.clone().into())
//!     }
//!     fn challenge(&mut self, _: AuthInput<'_>) -> Result<AuthAnswer, AuthError> {
//!         Err(AuthError::Unexpected("a challenge"))
//!     }
//!     fn verify(&mut self, _: AuthInput<'_>) -> Result<(), AuthError> {
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut bearer = Bearer("secret".into());
//! let config = Config::builder("sensor-7").authentication_method(bearer.method()).build()?;
//! let mut session = Session::new(config, Endpoint::parse("mqtt://localhost")?, 7);
//! # let now = Instant::ZERO;
//!
//! // In the loop that drives the session:
//! while let Some(action) = session.poll_action() {
//!     match action {
//!         Action::Authenticate { attempt, step } => {
//!             session.handle_auth(now, attempt, bearer.answer(&step));
//!         }
//!         _ => { /* resolve, dial, hang up: see the crate's front page */ }
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod error;
#[cfg(feature = "scram")]
mod scram;

use alloc::string::String;

use bytes::Bytes;
use mqtt_proto::{Properties, PropertiesRef};

pub use error::AuthError;
#[cfg(feature = "scram")]
pub use scram::{Mechanism, Scram};

/// One authentication method, with what it needs to know.
///
/// It may be used for many exchanges, one after the other: at each connection, and at each re-authentication. A new exchange begins with
/// [`begin`](Self::begin), wherever the one before it had come to.
pub trait Authenticator {
    /// The method's name: what [`ConfigBuilder::authentication_method`](crate::ConfigBuilder::authentication_method) is given.
    fn method(&self) -> &str;

    /// The first data, for CONNECT; where `again`, for the AUTH that begins a re-authentication.
    ///
    /// # Errors
    ///
    /// There is nothing to begin with. The connection is given up, or closed.
    fn begin(&mut self, again: bool) -> Result<AuthAnswer, AuthError>;

    /// The answer to an AUTH with Continue Authentication (0x18).
    ///
    /// # Errors
    ///
    /// What the server said can't be answered. The connection is closed.
    fn challenge(&mut self, input: AuthInput<'_>) -> Result<AuthAnswer, AuthError>;

    /// Looks at what came with CONNACK, or with the AUTH that ends a re-authentication: the server says that it is satisfied. Whether we are
    /// with it, too.
    ///
    /// # Errors
    ///
    /// The server is not the one that it should be. The connection is closed, and nothing that came over it was believed.
    fn verify(&mut self, input: AuthInput<'_>) -> Result<(), AuthError>;

    /// Answers any step: calls the method above that it is for.
    ///
    /// # Errors
    ///
    /// As that method.
    fn answer(&mut self, step: &AuthStep) -> Result<AuthAnswer, AuthError> {
        match step {
            AuthStep::Begin { again, .. } => self.begin(*again),
            AuthStep::Challenge { properties } => self.challenge(AuthInput(properties.view())),
            AuthStep::Verify { properties } => self
                .verify(AuthInput(properties.view()))
                .map(|()| AuthAnswer::default()),
        }
    }
}

/// What an authentication method has to do next. `Debug` does not show the data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthStep {
    /// Give the data to begin with.
    Begin {
        /// The configured method.
        method: String,
        /// Whether this begins a re-authentication; else it is for CONNECT.
        again: bool,
    },
    /// Answer the server's AUTH.
    Challenge {
        /// Its properties.
        properties: Properties,
    },
    /// Check what the server sent with its success; the answer's data are not used.
    Verify {
        /// The properties of CONNACK or AUTH.
        properties: Properties,
    },
}

/// What the server sent with a step. `Debug` does not show the data.
#[derive(Clone, Copy, Debug)]
pub struct AuthInput<'a>(PropertiesRef<'a>);

impl<'a> AuthInput<'a> {
    /// Of a packet with these properties.
    pub const fn new(properties: PropertiesRef<'a>) -> Self {
        Self(properties)
    }

    /// The Authentication Data; empty data and none at all are told apart.
    pub fn data(self) -> Option<&'a [u8]> {
        self.0.authentication_data()
    }

    /// All properties: the Reason String and user properties among them.
    pub const fn properties(self) -> PropertiesRef<'a> {
        self.0
    }
}

/// What to answer the server. `Debug` does not show the data.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthAnswer {
    /// The Authentication Data (none).
    pub data: Option<Bytes>,
    /// Further properties (none): user properties, and for AUTH a Reason String.
    pub properties: Properties,
}

impl AuthAnswer {
    /// These data, and no further properties.
    ///
    /// Of any kind, `&str`, `&[u8]`, `Vec<u8>` or `[u8; 8]`, and copied.
    pub fn new(data: impl AsRef<[u8]>) -> Self {
        Self {
            data: Some(Bytes::copy_from_slice(data.as_ref())),
            properties: Properties::new(),
        }
    }

    /// The same with further properties.
    pub fn with_properties(self, properties: Properties) -> Self {
        Self { properties, ..self }
    }
}

impl<T: AsRef<[u8]>> From<T> for AuthAnswer {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}

impl core::fmt::Debug for AuthAnswer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let data = self.data.as_ref().map(|_| "(secret)");
        f.debug_struct("AuthAnswer")
            .field("data", &data)
            .field("properties", &self.properties)
            .finish()
    }
}
