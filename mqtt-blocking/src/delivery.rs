use std::pin::Pin;
use std::time::Duration;

use mqtt_session::client::{self, DeliveryError};
use mqtt_session::{Outcome, Token};

use crate::wait::{WaitError, wait, wait_pinned};

/// What becomes of an accepted message, whatever happens to the connection meanwhile.
///
/// The outcome is kept until the delivery is dropped, which changes nothing for the message. A delivery keeps no session alive; when
/// the session is closed, its outcome is [`Outcome::Closed`].
#[derive(Debug)]
pub struct Delivery(client::Delivery);

impl Delivery {
    pub(crate) fn new(delivery: client::Delivery) -> Self {
        Self(delivery)
    }

    /// Names the message.
    pub fn token(&self) -> Token {
        self.0.token()
    }

    /// The outcome, if it is known already.
    pub fn outcome(&mut self) -> Option<Outcome> {
        self.0.outcome()
    }

    /// Waits until the outcome is known: unbounded, for without a connection a message waits for the next one.
    ///
    /// # Errors
    ///
    /// The outcome, where it is no success.
    pub fn wait(self) -> Result<Outcome, DeliveryError> {
        wait(self.0)
    }

    /// The same for so long at most. Giving up changes nothing: it may be waited for again.
    ///
    /// # Errors
    ///
    /// The outcome, where it is no success, or that there was none in time.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Outcome, WaitError<DeliveryError>> {
        wait_pinned(Pin::new(&mut self.0), timeout)?.map_err(WaitError::Failed)
    }

    /// The future behind it, for who has an executor.
    pub fn into_future(self) -> client::Delivery {
        self.0
    }
}
