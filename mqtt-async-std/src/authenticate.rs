//! Enhanced authentication that does not hold the driver up, and SCRAM with the system's randomness.

use mqtt_session::auth::Authenticator;
#[cfg(feature = "scram")]
use mqtt_session::auth::{AuthError, Mechanism, Scram};

use crate::Answers;

/// [`Answers`] with an authenticator whose steps run on the threads for blocking work, so that one that computes for long (SCRAM derives
/// a key in up to some 100 ms) holds up neither the driver nor other tasks.
///
/// The configuration names the method: [`ConfigBuilder::authentication_method`](crate::ConfigBuilder::authentication_method).
///
/// A step that is given up, because its time is over or the connection lost, computes to its end; the next one waits for that.
pub fn authenticator(authenticator: impl Authenticator + Send + 'static) -> Answers {
    Answers::new().authenticator_on(authenticator, blocking::unblock)
}

/// SCRAM with this user name and password, whose nonces are drawn by the operating system.
///
/// ```no_run
/// # #[cfg(feature = "smol")]
/// # mod example {
/// use mqtt_async_std::auth::{Authenticator, Mechanism};
/// use mqtt_async_std::{Config, authenticator, connect_with, scram};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let scram = scram(Mechanism::Sha256, "sensor-7", "pencil")?;
/// let config = Config::builder("sensor-7").authentication_method(scram.method()).build()?;
/// let client = connect_with("mqtt://localhost", config, authenticator(scram)).await?;
/// // Later, to be known anew on the same connection:
/// client.reauthenticate().await?;
/// # Ok(())
/// # }
/// # }
/// ```
///
/// # Errors
///
/// User name or password is empty, or has characters that can't be in one.
#[cfg(feature = "scram")]
pub fn scram(mechanism: Mechanism, user_name: &str, password: &str) -> Result<Scram, AuthError> {
    Scram::new(mechanism, user_name, password, || {
        let mut random = vec![0; 18];
        match getrandom::fill(&mut random) {
            Ok(()) => Ok(random),
            Err(error) => Err(AuthError::Unavailable(error.to_string())),
        }
    })
}
