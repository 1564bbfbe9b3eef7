//! What the application is asked for, as functions that may block.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mqtt_session::auth::{AuthAnswer, AuthError, AuthStep, Authenticator};
#[cfg(feature = "scram")]
use mqtt_session::auth::{Mechanism, Scram};
use mqtt_session::client;
use mqtt_session::{Credentials, Endpoint};

use crate::driver::Ways;
use crate::errand::Errand;
use crate::lookup;
use crate::socket::Socket;

/// Functions of the application that answer what the session asks for.
///
/// They may block: each is called on a thread that exists for as long as the call, never by the driver and never under a lock. Of each there is at
/// most one such thread a client. An answer that comes after its time ([`Timeouts`](crate::Timeouts)) is not used; the next call
/// waits until the function has returned. A panic counts as a failed answer.
///
/// ```no_run
/// use mqtt_blocking::{Answers, Config, Credentials};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let answers = Answers::new().credentials(|_server| {
///     let token = std::fs::read_to_string("/run/secrets/token")?.trim_end().to_owned(); // without the line's end
///     Ok::<_, Box<dyn std::error::Error>>(Credentials::new("sensor-7", token)?)
/// });
/// let servers = "mqtt://a.example, mqtt://b.example";
/// let client = mqtt_blocking::connect_with(servers, Config::builder("sensor-7").build()?, answers)?;
/// # Ok(())
/// # }
/// ```
#[must_use = "it is to be given to `connect_with`, `start_with` or `build_with`"]
pub struct Answers {
    inner: client::Answers,
    ways: Ways,
}

impl Answers {
    /// Nothing is asked, and names are looked up by the system.
    pub fn new() -> Self {
        Self {
            inner: client::Answers::new(),
            ways: Ways {
                look: Arc::new(lookup::by_the_system),
                dialer: None,
            },
        }
    }

    /// Gives user name and password before each attempt at a server, which is named. An error fails the attempt, and the next one
    /// follows as after any failure.
    pub fn credentials<F, E>(mut self, mut ask: F) -> Self
    where
        F: FnMut(Endpoint) -> Result<Credentials, E> + Send + 'static,
        E: ToString,
    {
        let errand = Errand::new(move |server| ask(server).map_err(|error| error.to_string()));
        self.inner = self.inner.credentials(move |server| {
            let answer = errand.call(server);
            async move { answer.await.unwrap_or_else(|error| Err(no_thread(&error))) }
        });
        self
    }

    /// Takes the steps of the method that [`ConfigBuilder::authentication_method`](crate::ConfigBuilder::authentication_method) names; nothing is
    /// asked where that names none. An error ends the connection; see [`AuthError`] for which of them are tried again.
    ///
    /// Steps come one after the other, each when the one before it is answered or given up.
    pub fn authentication<F>(mut self, step: F) -> Self
    where
        F: FnMut(AuthStep) -> Result<AuthAnswer, AuthError> + Send + 'static,
    {
        let errand = Errand::new(step);
        self.inner = self.inner.authentication(move |step| {
            let answer = errand.call(step);
            async move {
                answer
                    .await
                    .unwrap_or_else(|error| Err(AuthError::Failed(no_thread(&error))))
            }
        });
        self
    }

    /// The same by an [`Authenticator`].
    pub fn authenticator(self, mut authenticator: impl Authenticator + Send + 'static) -> Self {
        self.authentication(move |step| authenticator.answer(&step))
    }

    /// Looks names up, in place of the system: gives the addresses of a host at a port. An address in the place of the name is not
    /// asked for.
    ///
    /// It runs on the threads for lookups, [`LOOKUP_THREADS`](crate::LOOKUP_THREADS) at most in a process.
    pub fn lookup<F>(mut self, look: F) -> Self
    where
        F: Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    {
        self.ways.look = Arc::new(look);
        self
    }

    /// Opens the byte streams to all servers, in place of lookups and dials: through a tunnel, say. What the scheme of the server's URL adds
    /// to the byte stream is added all the same.
    ///
    /// It may block for as long as [`Timeouts::dial`](crate::Timeouts::dial), and runs on the threads for dialers,
    /// [`DIALER_THREADS`](crate::DIALER_THREADS) at most in a process.
    ///
    /// ```no_run
    /// use std::net::TcpStream;
    /// use mqtt_blocking::{Answers, Config};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let answers = Answers::new().dialer(|_server| TcpStream::connect("127.0.0.1:2883")?.try_into());
    /// let config = Config::builder("sensor-7").build()?;
    /// let client = mqtt_blocking::connect_with("mqtt://broker.example", config, answers)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn dialer<F>(mut self, dial: F) -> Self
    where
        F: Fn(&Endpoint) -> io::Result<Socket> + Send + Sync + 'static,
    {
        self.ways.dialer = Some(Arc::new(dial));
        self
    }

    /// The questions alone, for a driver of your own.
    pub fn into_async(self) -> client::Answers {
        self.inner
    }

    pub(crate) fn has_dialer(&self) -> bool {
        self.ways.dialer.is_some()
    }

    pub(crate) fn into_parts(self) -> (client::Answers, Ways) {
        (self.inner, self.ways)
    }
}

/// Answers that are futures. The driver polls them, so they must not block.
impl From<client::Answers> for Answers {
    fn from(inner: client::Answers) -> Self {
        Self {
            inner,
            ..Self::new()
        }
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self::new()
    }
}

fn no_thread(error: &io::Error) -> String {
    format!("there is no thread to ask on: {error}")
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// SCRAM with this user name and password, whose nonces are drawn by the operating system.
///
/// ```no_run
/// use mqtt_blocking::auth::{Authenticator, Mechanism};
/// use mqtt_blocking::{Answers, Config, connect_with, scram};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let scram = scram(Mechanism::Sha256, "sensor-7", "pencil")?;
/// let config = Config::builder("sensor-7").authentication_method(scram.method()).build()?;
/// let client = connect_with("mqtt://localhost", config, Answers::new().authenticator(scram))?;
/// // Later, to be known anew on the same connection:
/// client.reauthenticate()?;
/// # Ok(())
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
