//! SCRAM (RFC 5802, RFC 7677): a password is proved by both sides and shown by none.

mod crypto;
mod message;
mod prepare;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::{AuthAnswer, AuthError, AuthInput, Authenticator};
use crypto::Keys;
pub use crypto::Mechanism;
use message::{Reply, ServerFirst};

/// Fewer bytes could be guessed.
const MIN_NONCE: usize = 12;

/// No channel binding, no authorization identity (RFC 5802, section 7), and the same in base64.
const GS2_HEADER: &str = "n,,";
const GS2_HEADER_BASE64: &str = "biws";

/// SCRAM with one of its hashes: an [`Authenticator`] with user name and password.
///
/// The server proves that it knows the password, too: one that can't is left. Nothing is computed before the server's message is checked, its
/// number of iterations first: by default 4,096 to 600,000 are accepted. As many take long: 0.2 s with SHA-256 and 0.6 s with SHA-512 on a
/// server's processor, optimised; several seconds on a small device. That happens within [`challenge`](Authenticator::challenge), and whoever calls
/// it waits: where the loop that drives the session serves others, too, let another thread take the steps. The keys are
/// kept, so another exchange with the same salt and iterations, after a reconnect say, costs next to nothing.
///
/// Messages are protected against listeners only as far as the password resists guessing: use TLS.
pub struct Scram {
    mechanism: Mechanism,
    /// Prepared and escaped.
    user_name: String,
    /// Prepared.
    password: Zeroizing<String>,
    random: Box<dyn FnMut() -> Result<Vec<u8>, AuthError> + Send>,
    iterations: RangeInclusive<u32>,
    /// Of the salt and iterations that the server named last (RFC 5802, section 5.1).
    keys: Option<Keys>,
    state: State,
}

enum State {
    Idle,
    /// The client-first-message is out.
    First {
        nonce: String,
    },
    /// The proof is out; the server's signature must be that of this.
    Final {
        auth_message: String,
    },
}

impl Scram {
    /// With this user name and password, both prepared by SASLprep (RFC 4013).
    ///
    /// `random` gives at least 12, better 18 secret random bytes for each exchange, from the operating system say: the core draws no dice.
    ///
    /// # Errors
    ///
    /// The user name or password is empty, or has characters that can't be in one. Without the feature `saslprep`, all beyond ASCII
    /// are refused.
    pub fn new(
        mechanism: Mechanism,
        user_name: &str,
        password: &str,
        random: impl FnMut() -> Result<Vec<u8>, AuthError> + Send + 'static,
    ) -> Result<Self, AuthError> {
        Ok(Self {
            mechanism,
            user_name: message::escape(&prepare::prepare("user name", user_name)?),
            password: Zeroizing::new(prepare::prepare("password", password)?.into_owned()),
            random: Box::new(random),
            iterations: 4096..=600_000,
            keys: None,
            state: State::Idle,
        })
    }

    /// How many iterations the server may ask for (4,096 to 600,000). Fewer make the password easier to guess for who
    /// poses as the server; more are more work.
    pub fn with_iterations(self, iterations: RangeInclusive<u32>) -> Self {
        Self { iterations, ..self }
    }

    fn client_first_bare(&self, nonce: &str) -> String {
        format!("n={},r={nonce}", self.user_name)
    }

    fn check_iterations(&self, iterations: u64) -> Result<u32, AuthError> {
        match u32::try_from(iterations) {
            Ok(iterations) if self.iterations.contains(&iterations) => Ok(iterations),
            _ => Err(AuthError::Iterations {
                iterations,
                min: *self.iterations.start(),
                max: *self.iterations.end(),
            }),
        }
    }

    fn keys(&mut self, salt: Vec<u8>, iterations: u32) -> &Keys {
        let known = self
            .keys
            .take()
            .filter(|keys| keys.are_of(&salt, iterations));
        self.keys.insert(
            known.unwrap_or_else(|| Keys::derive(self.mechanism, &self.password, salt, iterations)),
        )
    }
}

impl Authenticator for Scram {
    fn method(&self) -> &str {
        self.mechanism.name()
    }

    fn begin(&mut self, _again: bool) -> Result<AuthAnswer, AuthError> {
        let random = (self.random)()?;
        if random.len() < MIN_NONCE {
            return Err(AuthError::Failed(format!(
                "the nonce of {} bytes is too short",
                random.len()
            )));
        }
        let nonce = Base64::encode_string(&random);
        let first = format!("{GS2_HEADER}{}", self.client_first_bare(&nonce));
        self.state = State::First { nonce };
        Ok(first.into())
    }

    fn challenge(&mut self, input: AuthInput<'_>) -> Result<AuthAnswer, AuthError> {
        let State::First { nonce } = core::mem::replace(&mut self.state, State::Idle) else {
            return Err(AuthError::Unexpected("a second challenge"));
        };
        let text = message::text(input.data())?;
        let ServerFirst {
            nonce: both,
            salt,
            iterations,
        } = message::server_first(text)?;
        if both.len() <= nonce.len() || !both.starts_with(&nonce) {
            return Err(AuthError::Nonce);
        }
        let iterations = self.check_iterations(iterations)?;
        let without_proof = format!("c={GS2_HEADER_BASE64},r={both}");
        let auth_message = format!("{},{text},{without_proof}", self.client_first_bare(&nonce));
        let proof = self.keys(salt, iterations).proof(auth_message.as_bytes());
        self.state = State::Final { auth_message };
        Ok(format!("{without_proof},p={}", Base64::encode_string(&proof)).into())
    }

    fn verify(&mut self, input: AuthInput<'_>) -> Result<(), AuthError> {
        let state = core::mem::replace(&mut self.state, State::Idle);
        let (State::Final { auth_message }, Some(keys)) = (state, &self.keys) else {
            return Err(AuthError::Unexpected("its success before our proof"));
        };
        match message::server_final(message::text(input.data())?)? {
            Reply::Signature(signature) if keys.is_signed(auth_message.as_bytes(), &signature) => {
                Ok(())
            }
            Reply::Signature(_) => Err(AuthError::Signature),
            Reply::Error(words) => Err(AuthError::Refused(words.into())),
        }
    }
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scram")
            .field("mechanism", &self.mechanism)
            .field("user_name", &self.user_name)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}
