//! Publishing, and waiting for room to do so.

use std::boxed::Box;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mqtt_proto::{Publish, QoS, TopicError};

use crate::{Instant, PublishError, PublishOptions, PublishRefused, Token};

use super::closed::{Closed, TooLate};
use super::delivery::Delivery;
use super::explain;
use super::hooks::Intercepted;
use super::shared::Shared;
use super::state::State;
use super::wake::Place;

/// Why a message was not accepted.
///
/// `{:?}` shows the same text as `{}`, for a `main` that ends with it; `{:#?}` shows the structure.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The topic is no topic name.
    #[error("topic: {0}")]
    Topic(#[from] TopicError),
    /// The session refused. The message is given back.
    #[error(transparent)]
    Refused(Box<PublishError>),
    /// An [`Interceptor`](super::Interceptor) refused. The message is given back.
    #[error(transparent)]
    Intercepted(Box<Intercepted>),
    /// The session is closed. The message is given back.
    #[error(transparent)]
    Closed(Box<PublishClosed>),
}

/// A message that came too late: the session is closed, and why. The message is given back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message was not accepted: {}", TooLate(.closed))]
#[non_exhaustive]
pub struct PublishClosed {
    /// The message, as it was given.
    pub publish: Publish,
    /// The QoS that was asked for.
    pub qos: QoS,
    /// What ended the session.
    pub closed: Closed,
}

impl SendError {
    /// Why the session refused.
    pub fn refused(&self) -> Option<&PublishRefused> {
        match self {
            Self::Topic(_) | Self::Intercepted(_) => None,
            Self::Refused(error) => Some(&error.reason),
            Self::Closed(_) => Some(&PublishRefused::Closed),
        }
    }

    /// The message.
    pub fn into_publish(self) -> Option<Publish> {
        match self {
            Self::Topic(_) => None,
            Self::Refused(error) => Some(error.publish),
            Self::Intercepted(error) => Some(error.publish),
            Self::Closed(error) => Some(error.publish),
        }
    }

    /// Of a session that refuses a message, with what ended it where it is closed.
    #[cold]
    fn of(shared: &Shared, publish: Publish, qos: QoS, reason: PublishRefused) -> Self {
        let closed = match reason {
            PublishRefused::Closed => shared.lock().closed.clone(),
            _ => None,
        };
        match closed {
            Some(closed) => Self::Closed(Box::new(PublishClosed {
                publish,
                qos,
                closed,
            })),
            None => Self::Refused(Box::new(PublishError {
                publish,
                qos,
                reason,
            })),
        }
    }
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return explain(self, f);
        }
        match self {
            Self::Topic(error) => f.debug_tuple("Topic").field(error).finish(),
            Self::Refused(error) => f.debug_tuple("Refused").field(error).finish(),
            Self::Intercepted(error) => f.debug_tuple("Intercepted").field(error).finish(),
            Self::Closed(error) => f.debug_tuple("Closed").field(error).finish(),
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

/// The future of [`Client::publish`](super::Client::publish): resolves when the message is accepted. Where there is room that is at once, but
/// for giving way now and then, so that a loop does not keep the driver and other tasks from running.
/// Who waits is let in in the order of coming, a small message behind a large one; one that is published meanwhile, and fits, is accepted at once.
///
/// Cancel-safe: a message whose future is dropped before it resolves was not accepted, and one that waits for room takes nobody's turn away.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Publishing<'a> {
    shared: &'a Arc<Shared>,
    place: Place,
    qos: QoS,
    /// The interceptors have seen it.
    intercepted: bool,
    options: PublishOptions,
    /// Until it is accepted: it is moved once, from here to where it waits.
    publish: Option<Publish>,
    /// What it resolves to where there is none.
    refused: Option<Box<SendError>>,
}

/// What a look at a message comes to. It fits into registers: in memory it would be waited for.
enum Look {
    Accepted(Token),
    Waits,
    Fails(Box<SendError>),
}

impl<'a> Publishing<'a> {
    #[inline]
    pub(super) const fn new(
        shared: &'a Arc<Shared>,
        qos: QoS,
        publish: Publish,
        options: PublishOptions,
    ) -> Self {
        Self {
            shared,
            place: None,
            qos,
            intercepted: false,
            options,
            publish: Some(publish),
            refused: None,
        }
    }

    #[cold]
    fn intercept(&mut self) {
        self.intercepted = true;
        if let Some(publish) = self.publish.take() {
            match self.shared.hooked.outgoing(&mut self.qos, publish) {
                Ok(publish) => self.publish = Some(publish),
                Err(error) => self.refused = Some(Box::new(error)),
            }
        }
    }

    /// Ends the waiting where that takes too long: the message is accepted if there is room now, and is in the error where there is none.
    ///
    /// # Errors
    ///
    /// As for [`Client::try_publish`](super::Client::try_publish).
    ///
    /// # Panics
    ///
    /// If it has resolved.
    pub fn give_up(mut self) -> Result<Delivery, SendError> {
        self.let_intercept();
        if self.publish.is_none() {
            return Err(*self.refusal());
        }
        match publish_now(self.shared, self.qos, &mut self.publish, &self.options) {
            Ok(token) => Ok(Delivery::new(self.shared, token)),
            Err(reason) => Err(self.turned_away(reason)),
        }
    }

    #[inline]
    fn let_intercept(&mut self) {
        if !self.intercepted && self.shared.hooked.intercepts() {
            self.intercept();
        }
    }

    /// One that fails when it is polled.
    #[cold]
    pub(super) fn refused(shared: &'a Arc<Shared>, error: SendError) -> Self {
        Self {
            shared,
            place: None,
            qos: QoS::AtMostOnce,
            intercepted: true,
            options: PublishOptions::new(),
            publish: None,
            refused: Some(Box::new(error)),
        }
    }

    /// Why there is no message, for a future that has not resolved.
    #[cold]
    fn refusal(&mut self) -> Box<SendError> {
        self.refused.take().unwrap_or_else(|| has_resolved())
    }

    /// The error that gives the message back.
    #[cold]
    fn turned_away(&mut self, reason: PublishRefused) -> SendError {
        let publish = self.publish.take().unwrap_or_else(|| has_resolved());
        SendError::of(self.shared, publish, self.qos, reason)
    }
}

#[cold]
fn has_resolved() -> ! {
    panic!("used after it has resolved")
}

impl Future for Publishing<'_> {
    type Output = Result<Delivery, SendError>;

    /// # Panics
    ///
    /// If it is polled after it has resolved.
    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match this.look(context) {
            Look::Accepted(token) => Poll::Ready(Ok(Delivery::new(this.shared, token))),
            Look::Waits => Poll::Pending,
            Look::Fails(error) => Poll::Ready(Err(*error)),
        }
    }
}

impl Publishing<'_> {
    #[inline(never)]
    fn look(&mut self, context: &Context<'_>) -> Look {
        if self.shared.count_message() {
            context.waker().wake_by_ref();
            return Look::Waits;
        }
        self.let_intercept();
        if self.publish.is_none() {
            return Look::Fails(self.refusal());
        }
        match publish_now(self.shared, self.qos, &mut self.publish, &self.options) {
            Ok(token) => Look::Accepted(token),
            Err(reason) if reason.is_full() => self.wait(context),
            Err(reason) => Look::Fails(Box::new(self.turned_away(reason))),
        }
    }

    /// Tries again and parks where there is still no room, under one lock: nothing comes between.
    #[cold]
    fn wait(&mut self, context: &Context<'_>) -> Look {
        let Self {
            shared,
            place,
            qos,
            options,
            publish,
            ..
        } = self;
        let now = shared.now();
        let mut parked = None;
        let polled = shared.poll(context, |state, park| {
            match state.publish(now, *qos, publish, options) {
                Err(reason) if reason.is_full() => {
                    let size = publish.as_ref().map_or(0, Publish::size);
                    state.wait_for_room(place, size, park);
                    Poll::Pending
                }
                result => {
                    parked = state.leave_room(place);
                    Poll::Ready(result)
                }
            }
        });
        drop(parked);
        match polled {
            Poll::Pending => Look::Waits,
            Poll::Ready(Ok(token)) => Look::Accepted(token),
            Poll::Ready(Err(reason)) => Look::Fails(Box::new(self.turned_away(reason))),
        }
    }

    #[cold]
    fn leave(&mut self) {
        let parked = self.shared.run(|state| state.leave_room(&mut self.place));
        drop(parked);
    }
}

impl Drop for Publishing<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.place.is_some() {
            self.leave();
        }
    }
}

/// Publishes if there is room.
pub(super) fn try_publish(
    shared: &Arc<Shared>,
    mut qos: QoS,
    publish: Publish,
    options: &PublishOptions,
) -> Result<Delivery, SendError> {
    let mut publish = Some(shared.hooked.outgoing(&mut qos, publish)?);
    match publish_now(shared, qos, &mut publish, options) {
        Ok(token) => Ok(Delivery::new(shared, token)),
        Err(reason) => {
            let publish = publish.take().unwrap_or_else(|| has_resolved());
            Err(SendError::of(shared, publish, qos, reason))
        }
    }
}

/// Takes the message out where it is accepted.
#[inline]
fn publish_now(
    shared: &Shared,
    qos: QoS,
    publish: &mut Option<Publish>,
    options: &PublishOptions,
) -> Result<Token, PublishRefused> {
    let message = publish.as_ref();
    let now = message.map_or(Instant::ZERO, |publish| shared.now_for(publish, options));
    shared.run(|state| {
        shared.forget_noted(state);
        state.publish(now, qos, publish, options)
    })
}

impl State {
    #[inline]
    fn publish(
        &mut self,
        now: Instant,
        qos: QoS,
        publish: &mut Option<Publish>,
        options: &PublishOptions,
    ) -> Result<Token, PublishRefused> {
        if let Some(reason) = self.refuses() {
            return Err(reason);
        }
        let session = self.connection.session_mut();
        let offered = publish.as_ref().unwrap_or_else(|| has_resolved());
        let accepted = session.offer(now, qos, offered, options)?;
        let publish = publish.take().unwrap_or_else(|| has_resolved());
        let token = session.take_in(accepted, publish, options);
        self.deliveries.watch(token);
        Ok(token)
    }
}
