use std::iter::FusedIterator;
use std::time::Duration;

use mqtt_session::client::{self, ClientEvent};

use crate::wait::{TimedOut, wait, wait_timeout};

/// The connection's changes from the time that this was made on, and with [`Client::watch`](crate::Client::watch) how things stood then: an
/// iterator that waits for the next one, unbounded, and ends when the session is closed.
///
/// A call that is given up takes nothing: what is there stays for the next one.
#[derive(Debug)]
#[must_use = "an iterator does nothing unless it is read"]
pub struct Events(client::Events);

impl Events {
    pub(crate) fn new(events: client::Events) -> Self {
        Self(events)
    }

    /// The next event, if there is one; `None` also after the last.
    pub fn try_next(&mut self) -> Option<ClientEvent> {
        self.next_timeout(Duration::ZERO).ok().flatten()
    }

    /// Waits for the next event for so long at most; `None` after the last.
    ///
    /// # Errors
    ///
    /// None came in time.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<ClientEvent>, TimedOut> {
        wait_timeout(self.0.next(), timeout)
    }
}

impl Iterator for Events {
    type Item = ClientEvent;

    fn next(&mut self) -> Option<ClientEvent> {
        wait(self.0.next())
    }
}

impl FusedIterator for Events {}
