//! Received messages as an iterator.

use std::iter::FusedIterator;
use std::num::NonZeroUsize;
use std::time::Duration;

use mqtt_session::QueueId;
use mqtt_session::client::{self, AckMode, HandlerPanicked, Message, SubscribeFailed};
use mqtt_session::proto::TopicFilter;

use crate::wait::{TimedOut, WaitError, wait, wait_result, wait_timeout};

/// The messages of one subscription, or those that no subscription claims: an iterator that waits for the next one, unbounded, and ends when the
/// session is closed and what was received until then is taken.
///
/// A connection that is lost does not end it: the session comes back. Under [`AckMode::Taken`] a message is acknowledged when the
/// next one is asked for, or when the iterator is dropped outside of a panic.
///
/// It does not keep the session alive. When it is dropped, its messages of QoS 1 and 2 that were not taken go to
/// [`Client::messages`](crate::Client::messages), unacknowledged; its QoS 0 messages are gone. The server is told nothing: see
/// [`unsubscribe`](Self::unsubscribe) and [`unsubscribe_on_drop`](Self::unsubscribe_on_drop).
///
/// ```no_run
/// # use mqtt_blocking::{Client, QoS, Subscription};
/// # fn example(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
/// for message in client.subscribe("alerts/#", QoS::AtLeastOnce)? {
///     println!("{}: {}", message.topic(), message.payload().escape_ascii());
/// }
/// // The session is closed.
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "an iterator does nothing unless it is read"]
pub struct Subscription(client::Subscription);

impl Subscription {
    pub(crate) fn new(subscription: client::Subscription) -> Self {
        Self(subscription)
    }

    /// When its messages are acknowledged ([`AckMode::Taken`]). Applies to those that are taken from now on, and [`AckMode::Queued`] to those that
    /// wait already, too.
    pub fn with_ack_mode(self, mode: AckMode) -> Self {
        Self(self.0.with_ack_mode(mode))
    }

    /// How many messages of QoS 0 may wait to be taken (no bound but that of the inbox): for one more the oldest is dropped, and counted. Some that
    /// were taken over before they are read do not count.
    pub fn with_max_at_most_once(self, max: NonZeroUsize) -> Self {
        Self(self.0.with_max_at_most_once(max))
    }

    /// How many messages were dropped for [`with_max_at_most_once`](Self::with_max_at_most_once).
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }

    /// Whether dropping it unsubscribes (no). Other subscriptions to the same filter share the server's one subscription, and lose it, too.
    pub fn unsubscribe_on_drop(self, unsubscribe: bool) -> Self {
        Self(self.0.unsubscribe_on_drop(unsubscribe))
    }

    /// What it is subscribed to. Empty for [`Client::messages`](crate::Client::messages).
    pub fn filters(&self) -> &[TopicFilter] {
        self.0.filters()
    }

    /// The queue of the session that its messages wait in, as events name it.
    pub fn queue(&self) -> QueueId {
        self.0.queue()
    }

    /// The next message, if there is one; `None` also when the session is closed. Acknowledges as `next` does.
    pub fn try_next(&mut self) -> Option<Message> {
        self.0.try_next()
    }

    /// Waits for the next message for so long at most; `None` when the session is closed. A call that is given up takes no message, but
    /// acknowledges the one before as `next` does.
    ///
    /// # Errors
    ///
    /// None came in time.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Message>, TimedOut> {
        wait_timeout(self.0.next(), timeout)
    }

    /// The messages that are there, without waiting for others.
    pub fn try_iter(&mut self) -> impl Iterator<Item = Message> {
        std::iter::from_fn(|| self.try_next())
    }

    /// Runs a handler for each message on the thread that calls, one after the other, until the session is closed: unbounded.
    ///
    /// Under [`AckMode::Taken`] a message is acknowledged when the handler has returned. Under [`AckMode::Manual`] the handler does it with
    /// [`Message::ack`].
    ///
    /// ```no_run
    /// # use mqtt_blocking::{Client, QoS};
    /// # fn store(_: &str, _: &[u8]) {}
    /// # fn example(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let alerts = client.subscribe("alerts/#", QoS::AtLeastOnce)?;
    /// let handler = std::thread::spawn(move || {
    ///     alerts.handle(|message| store(message.topic().as_str(), message.payload()))
    /// });
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The handler panicked. The message that it was at is not acknowledged: at QoS 1 and 2 it goes, with those behind it, to
    /// [`Client::messages`](crate::Client::messages), or to the next subscription to its topic.
    pub fn handle(self, handler: impl FnMut(Message)) -> Result<(), HandlerPanicked> {
        wait(self.0.for_each(handler))
    }

    /// Asks the server to end the subscription, waits for its answer, and drops the iterator. Unbounded: without a connection it waits for
    /// the next one.
    ///
    /// # Errors
    ///
    /// The server refuses, or the request can't be sent.
    pub fn unsubscribe(self) -> Result<(), SubscribeFailed> {
        wait(self.0.unsubscribe())
    }

    /// The same for so long at most. Giving up drops the iterator all the same, and the request goes its way.
    ///
    /// # Errors
    ///
    /// As there, or there was no answer in time.
    pub fn unsubscribe_timeout(self, timeout: Duration) -> Result<(), WaitError<SubscribeFailed>> {
        wait_result(self.0.unsubscribe(), timeout)
    }

    /// The stream behind it, for who has an executor.
    pub fn into_stream(self) -> client::Subscription {
        self.0
    }
}

impl Iterator for Subscription {
    type Item = Message;

    #[inline]
    fn next(&mut self) -> Option<Message> {
        // Mostly one is at hand.
        match self.0.try_next() {
            None => wait(self.0.next()),
            message => message,
        }
    }
}

impl FusedIterator for Subscription {}
