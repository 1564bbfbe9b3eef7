use std::boxed::Box;
use std::fmt;
use std::vec::Vec;

use crate::ConnectionError;

use super::explain;

/// The session is closed, and why.
///
/// `{:?}` shows the same text as `{}`, for a `main` that ends with it; `{:#?}` shows the structure.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// What ended it; `None` where it was [`disconnect`](super::Client::disconnect), the drop of the last handle, or the end of the driver.
    pub error: Option<Box<ConnectionError>>,
    /// What the attempts before that one ended with, since a server had accepted last: one for each server that was tried, in their order. At most
    /// 16, the latest ones.
    pub before: Vec<ConnectionError>,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => error.fmt(f),
            None => f.write_str("the session was closed"),
        }
    }
}

impl fmt::Debug for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return explain(self, f);
        }
        f.debug_struct("Closed")
            .field("error", &self.error)
            .field("before", &self.before)
            .finish()
    }
}

/// What an error says to whoever comes too late.
pub(super) struct TooLate<'a>(pub(super) &'a Closed);

impl fmt::Display for TooLate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.error {
            Some(error) => write!(f, "the session is closed: {error}"),
            None => {
                f.write_str("the session is closed: it was disconnected, or its driver is gone")
            }
        }
    }
}

impl std::error::Error for Closed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.as_deref().map(|error| error as _)
    }
}
