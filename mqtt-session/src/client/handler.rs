//! Handlers: an alternative to reading a stream.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::string::{String, ToString};
use std::task::Poll;
use std::vec::Vec;

use mqtt_proto::TopicFilter;

use super::message::Message;
use super::subscription::Subscription;

/// A handler panicked, which has ended its subscription. The message that it was at is not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the handler of {filters:?} panicked: {message}")]
#[non_exhaustive]
pub struct HandlerPanicked {
    /// What the handler was subscribed to.
    pub filters: Vec<TopicFilter>,
    /// What it panicked with, where that is text.
    pub message: String,
}

impl Subscription {
    /// Runs a handler for each message, one after the other, until the session is closed. The future is for the application to spawn, on whichever
    /// runtime: the driver never runs it, and a handler that takes long holds up nothing but its own subscription.
    ///
    /// Under [`AckMode::Taken`](super::AckMode::Taken) a message is acknowledged when the handler has returned. Under
    /// [`AckMode::Manual`](super::AckMode::Manual) the handler does it with [`Message::ack`].
    ///
    /// Dropping the future drops the subscription.
    ///
    /// # Errors
    ///
    /// The handler panicked. The message that it was at is not acknowledged: at QoS 1 and 2 it goes, with those behind it, to
    /// [`Client::messages`](super::Client::messages), or to the next subscription to its topic.
    pub async fn for_each(
        mut self,
        mut handler: impl FnMut(Message),
    ) -> Result<(), HandlerPanicked> {
        while let Some(message) = self.next().await {
            self.set_unfinished(true);
            match catch_unwind(AssertUnwindSafe(|| handler(message))) {
                Ok(()) => self.set_unfinished(false),
                Err(panic) => return Err(panicked(&self, &*panic)),
            }
        }
        Ok(())
    }

    /// The same with an asynchronous handler, whose future is awaited before the next message is taken.
    ///
    /// Dropping the future while the handler is at a message leaves that one unacknowledged.
    ///
    /// # Errors
    ///
    /// The handler, or its future, panicked: see [`for_each`](Self::for_each).
    pub async fn for_each_async<F: Future<Output = ()>>(
        mut self,
        mut handler: impl FnMut(Message) -> F,
    ) -> Result<(), HandlerPanicked> {
        while let Some(message) = self.next().await {
            self.set_unfinished(true);
            let handled = match catch_unwind(AssertUnwindSafe(|| handler(message))) {
                Ok(future) => {
                    let mut future = pin!(future);
                    poll_fn(|context| {
                        let poll = AssertUnwindSafe(|| future.as_mut().poll(context));
                        match catch_unwind(poll) {
                            Ok(Poll::Pending) => Poll::Pending,
                            Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
                            Err(panic) => Poll::Ready(Err(panic)),
                        }
                    })
                    .await
                }
                Err(panic) => Err(panic),
            };
            match handled {
                Ok(()) => self.set_unfinished(false),
                Err(panic) => return Err(panicked(&self, &*panic)),
            }
        }
        Ok(())
    }
}

fn panicked(subscription: &Subscription, panic: &(dyn Any + Send)) -> HandlerPanicked {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    HandlerPanicked {
        filters: subscription.filters().to_vec(),
        message: text
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default(),
    }
}
