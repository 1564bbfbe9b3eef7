//! Publishing: waiting for room, and for what becomes of a message.

use std::boxed::Box;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mqtt_proto::{Publish, QoS, TopicError};

use crate::{Outcome, PublishError, PublishRefused, Token};

use super::shared::{Shared, State};
use super::wake::Place;

/// Why a message was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The topic is no topic name.
    #[error("topic: {0}")]
    Topic(#[from] TopicError),
    /// The session refused. The message is given back.
    #[error(transparent)]
    Refused(Box<PublishError>),
}

impl SendError {
    /// Why the session refused.
    pub fn refused(&self) -> Option<&PublishRefused> {
        match self {
            Self::Topic(_) => None,
            Self::Refused(error) => Some(&error.reason),
        }
    }

    /// The message.
    pub fn into_publish(self) -> Option<Publish> {
        match self {
            Self::Topic(_) => None,
            Self::Refused(error) => Some(error.publish),
        }
    }
}

impl From<PublishError> for SendError {
    fn from(error: PublishError) -> Self {
        Self::Refused(Box::new(error))
    }
}

/// A [`Topic`](mqtt_proto::Topic) is one already.
impl From<std::convert::Infallible> for SendError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// The future of [`Client::publish`](super::Client::publish): resolves when the message is accepted.
///
/// Cancel-safe: a message whose future is dropped before it resolves was not accepted, and one that waits for room takes nobody's turn away.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Publishing<'a> {
    shared: &'a Arc<Shared>,
    place: Place,
    qos: QoS,
    message: Option<Result<Publish, SendError>>,
}

impl<'a> Publishing<'a> {
    #[inline]
    pub(super) const fn new(shared: &'a Arc<Shared>, qos: QoS, publish: Publish) -> Self {
        Self {
            shared,
            place: None,
            qos,
            message: Some(Ok(publish)),
        }
    }

    /// One that fails when it is polled.
    #[cold]
    pub(super) const fn refused(shared: &'a Arc<Shared>, error: SendError) -> Self {
        Self {
            shared,
            place: None,
            qos: QoS::AtMostOnce,
            message: Some(Err(error)),
        }
    }
}

impl Future for Publishing<'_> {
    type Output = Result<Delivery, SendError>;

    /// # Panics
    ///
    /// If it is polled after it has resolved.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.shared.count_message() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let publish = match this.message.take() {
            Some(Ok(publish)) => publish,
            Some(Err(error)) => return Poll::Ready(Err(error)),
            None => panic!("polled after it has resolved"),
        };
        match publish_now(this.shared, this.qos, publish) {
            Ok(token) => Poll::Ready(Ok(Delivery::new(this.shared, token))),
            Err(error) if error.reason.is_full() => this.wait(error.publish, context),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }
}

impl Publishing<'_> {
    /// Tries again and parks where there is still no room, under one lock: nothing comes between.
    #[cold]
    fn wait(
        &mut self,
        publish: Publish,
        context: &Context<'_>,
    ) -> Poll<Result<Delivery, SendError>> {
        let Self {
            shared, place, qos, ..
        } = self;
        let now = shared.now();
        let mut message = Some(publish);
        let polled = shared.poll(context, |state, park| {
            let Some(publish) = message.take() else {
                panic!("polled after it has resolved")
            };
            match state.publish(now, *qos, publish) {
                Err(error) if error.reason.is_full() => {
                    message = Some(error.publish);
                    state.room.park(place, park);
                    Poll::Pending
                }
                result => Poll::Ready(result),
            }
        });
        self.message = message.map(Ok);
        polled.map(|result| Ok(Delivery::new(self.shared, result?)))
    }
}

impl Drop for Publishing<'_> {
    fn drop(&mut self) {
        if self.place.is_some() {
            let parked = self.shared.run(|state| state.room.leave(&mut self.place));
            drop(parked);
        }
    }
}

/// Publishes if there is room.
pub(super) fn try_publish(
    shared: &Arc<Shared>,
    qos: QoS,
    publish: Publish,
) -> Result<Delivery, SendError> {
    let token = publish_now(shared, qos, publish)?;
    Ok(Delivery::new(shared, token))
}

#[inline]
fn publish_now(shared: &Shared, qos: QoS, publish: Publish) -> Result<Token, PublishError> {
    let now = shared.now_for_many();
    shared.run(|state| state.publish(now, qos, publish))
}

impl State {
    #[inline]
    fn publish(
        &mut self,
        now: crate::Instant,
        qos: QoS,
        publish: Publish,
    ) -> Result<Token, PublishError> {
        if let Some(reason) = self.refuses() {
            return Err(PublishError {
                publish,
                qos,
                reason,
            });
        }
        let token = self.connection.session_mut().publish(now, qos, publish)?;
        self.deliveries.watch(token);
        Ok(token)
    }
}

/// What becomes of an accepted message: a future, which resolves when that is known, whatever happens to the connection meanwhile.
///
/// Cancel-safe: the outcome is kept until the delivery is dropped. A dropped delivery changes nothing for the message. It keeps no session
/// alive; when the session is closed, it resolves to [`Outcome::Closed`].
#[derive(Debug)]
pub struct Delivery {
    shared: Arc<Shared>,
    token: Token,
    outcome: Option<Outcome>,
}

/// A message that did not reach the server, or may not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryError {
    /// What became of it.
    pub outcome: Outcome,
}

impl Delivery {
    #[inline]
    fn new(shared: &Arc<Shared>, token: Token) -> Self {
        Self {
            shared: Arc::clone(shared),
            token,
            outcome: None,
        }
    }

    /// Names the message.
    pub fn token(&self) -> Token {
        self.token
    }

    /// The outcome, if it is known already.
    pub fn outcome(&mut self) -> Option<Outcome> {
        if self.outcome.is_none()
            && let Poll::Ready(outcome) = self
                .shared
                .run(|state| state.deliveries.poll(self.token, None))
        {
            self.outcome = outcome;
        }
        self.outcome
    }
}

impl Future for Delivery {
    /// The outcome, as an error where it is no success. It may be polled again.
    type Output = Result<Outcome, DeliveryError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self {
            shared,
            token,
            outcome,
        } = self.get_mut();
        if outcome.is_none() {
            match shared.poll(context, |state, park| {
                state.deliveries.poll(*token, Some(park))
            }) {
                Poll::Ready(known) => *outcome = known,
                Poll::Pending => return Poll::Pending,
            }
        }
        // There is an entry for as long as there is a delivery without an outcome.
        let outcome = outcome.unwrap_or(Outcome::Closed);
        Poll::Ready(if outcome.is_success() {
            Ok(outcome)
        } else {
            Err(DeliveryError { outcome })
        })
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if self.outcome.is_none() {
            let parked = self.shared.lock().deliveries.forget(self.token);
            drop(parked);
        }
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome {
            Outcome::Rejected(reason) => write!(f, "the server rejected the message: {reason}"),
            Outcome::Refused(reason) => {
                write!(f, "the message could not be sent to this server: {reason}")
            }
            Outcome::Expired => f.write_str("the message expired before it could be sent"),
            Outcome::SessionLost => {
                f.write_str("the server lost the session that the message was in flight in")
            }
            Outcome::ConnectionLost => {
                f.write_str("the connection was lost while the message was being written")
            }
            Outcome::Closed => {
                f.write_str("the session was closed before the message was acknowledged")
            }
            Outcome::Written | Outcome::Acknowledged { .. } => {
                f.write_str("the message was delivered")
            }
        }
    }
}

impl std::error::Error for DeliveryError {}
