//! What becomes of an accepted message.

use std::boxed::Box;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::error::access_hint;
use crate::{Outcome, Token};

use super::closed::Closed;
use super::explain;
use super::shared::Shared;

/// What becomes of an accepted message: a future, which resolves when that is known, whatever happens to the connection meanwhile.
///
/// Cancel-safe: the outcome is kept until the delivery is dropped. A dropped delivery changes nothing for the message. It keeps no session
/// alive; when the session is closed, it resolves to [`Outcome::Closed`].
#[derive(Debug)]
pub struct Delivery {
    shared: Arc<Shared>,
    token: Token,
    state: State,
}

/// Its tag is as wide as a word, so that it is moved without bytes between words, which costs more than all else.
#[derive(Debug)]
#[repr(u64)]
enum State {
    Unknown,
    /// Somebody may wait for the outcome.
    Parked,
    Known(Outcome),
}

/// A message that did not reach the server, or may not have.
///
/// `{:?}` shows the same text as `{}`, for a `main` that ends with it; `{:#?}` shows the structure.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryError {
    /// What became of it.
    pub outcome: Outcome,
    /// What ended the session, where it is [`Outcome::Closed`].
    pub closed: Option<Box<Closed>>,
}

impl Delivery {
    #[inline]
    pub(super) fn new(shared: &Arc<Shared>, token: Token) -> Self {
        Self {
            shared: Arc::clone(shared),
            token,
            state: State::Unknown,
        }
    }

    /// Names the message.
    pub fn token(&self) -> Token {
        self.token
    }

    /// The outcome, if it is known already.
    pub fn outcome(&mut self) -> Option<Outcome> {
        if let State::Known(outcome) = self.state {
            return Some(outcome);
        }
        let polled = self
            .shared
            .run(|state| state.deliveries.poll(self.token, None));
        match polled {
            Poll::Ready(outcome) => Some(self.know(outcome)),
            Poll::Pending => None,
        }
    }

    /// There is an entry for as long as there is a delivery without an outcome.
    fn know(&mut self, outcome: Option<Outcome>) -> Outcome {
        let outcome = outcome.unwrap_or(Outcome::Closed);
        self.state = State::Known(outcome);
        outcome
    }
}

impl Future for Delivery {
    /// The outcome, as an error where it is no success. It may be polled again.
    type Output = Result<Outcome, DeliveryError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let outcome = match this.state {
            State::Known(outcome) => outcome,
            State::Unknown | State::Parked => {
                this.state = State::Parked;
                let polled = this.shared.poll(context, |state, park| {
                    state.deliveries.poll(this.token, Some(park))
                });
                match polled {
                    Poll::Ready(outcome) => this.know(outcome),
                    Poll::Pending => return Poll::Pending,
                }
            }
        };
        Poll::Ready(if outcome.is_success() {
            Ok(outcome)
        } else {
            Err(DeliveryError::of(&this.shared, outcome))
        })
    }
}

impl Drop for Delivery {
    #[inline]
    fn drop(&mut self) {
        match self.state {
            State::Unknown => self.shared.forget(self.token),
            State::Parked => self.shared.forget_now(self.token),
            State::Known(_) => {}
        }
    }
}

impl DeliveryError {
    #[cold]
    fn of(shared: &Shared, outcome: Outcome) -> Self {
        let closed = match outcome {
            Outcome::Closed => shared.lock().closed.clone().map(Box::new),
            _ => None,
        };
        Self { outcome, closed }
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome {
            Outcome::Rejected(reason) => write!(
                f,
                "the server rejected the message: {reason}{}",
                access_hint(reason)
            ),
            Outcome::Refused(reason) => {
                write!(f, "the message could not be sent to this server: {reason}")
            }
            Outcome::Expired => f.write_str(
                "the message expired before it was sent or acknowledged; if it had been sent, the server may have it",
            ),
            Outcome::Poisonous { connections } => write!(
                f,
                "{connections} connections in a row ended before the message was acknowledged"
            ),
            Outcome::SessionLost => {
                f.write_str("the server lost the session that the message was in flight in")
            }
            Outcome::ConnectionLost => {
                f.write_str("the connection was lost while the message was being written")
            }
            Outcome::Closed => {
                f.write_str("the session was closed before the message was acknowledged")?;
                match self.closed.as_deref() {
                    Some(Closed { error: Some(error), .. }) => write!(f, ": {error}"),
                    _ => Ok(()),
                }
            }
            Outcome::Written | Outcome::Acknowledged { .. } => {
                f.write_str("the message was delivered")
            }
        }
    }
}

impl fmt::Debug for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return explain(self, f);
        }
        f.debug_struct("DeliveryError")
            .field("outcome", &self.outcome)
            .field("closed", &self.closed)
            .finish()
    }
}

impl std::error::Error for DeliveryError {}
