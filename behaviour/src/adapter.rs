//! What a scenario needs of an adapter.

use std::pin::Pin;

use mqtt_session::Config;
use mqtt_session::client::exports::BuildError;
use mqtt_session::client::{Answers, Client, ConnectError};

use crate::Visitor;

/// A client on its way: polled by the scenario, on the scenario's thread.
pub type Connecting = Pin<Box<dyn Future<Output = Result<Client, ConnectError>> + Send>>;

/// A crate on a runtime. Its functions are called outside of the runtime, and put what they begin on it.
///
/// Dropping it ends the runtime, where the runtime can be ended.
pub trait Adapter {
    /// The crate's `connect`.
    fn connect(&self, servers: &str, config: Config) -> Connecting;

    /// The crate's `connect_with`.
    fn connect_with(&self, servers: &str, config: Config, answers: Answers) -> Connecting;

    /// The crate's `start`.
    ///
    /// # Errors
    ///
    /// As the crate's.
    fn start(&self, servers: &str, config: Config) -> Result<Client, BuildError>;

    /// The crate's `build`, with the driver spawned.
    ///
    /// # Errors
    ///
    /// As the crate's.
    fn build(&self, servers: &str, config: Config) -> Result<(Client, Running), BuildError>;

    /// The crate's `authenticator`.
    fn authenticator(&self, visitor: Visitor) -> Answers;

    /// How many tasks the runtime has, where it tells.
    fn tasks(&self) -> Option<usize> {
        None
    }
}

/// A driver that runs.
#[must_use = "dropping it drops the driver"]
pub struct Running {
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Drops the driver when it is dropped.
    _task: Box<dyn Send>,
}

impl Running {
    /// A driver's task: `ended` resolves when the driver has, and dropping `task` drops the driver.
    pub fn new(
        ended: impl Future<Output = ()> + Send + 'static,
        task: impl Send + 'static,
    ) -> Self {
        Self {
            ended: Box::pin(ended),
            _task: Box::new(task),
        }
    }

    /// Resolves when the driver has.
    pub async fn ended(mut self) {
        self.ended.as_mut().await;
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}
