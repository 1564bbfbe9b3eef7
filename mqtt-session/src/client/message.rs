//! What a subscription gives.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use mqtt_proto::PublishView;

use crate::{Stale, Ticket};

use super::shared::Shared;

/// When the messages of QoS 1 and 2 of a subscription are acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AckMode {
    /// When the application comes back for the next message, or drops the subscription outside of a panic: a crash while a
    /// message is handled does not lose it.
    #[default]
    Taken,
    /// When they arrive, before the application has them: a crash may lose some. For [`Client::messages`](super::Client::messages): when the
    /// stream takes them over.
    Queued,
    /// By [`Message::ack`] or an [`Acker`], in any order. The session sends acknowledgements in the order that the protocol asks for, so
    /// one that is missing holds back those behind it. A message that is dropped unacknowledged keeps its room until the session ends.
    Manual,
}

/// A received message: a [`PublishView`], with its acknowledgement where that is done by hand.
///
/// It keeps the read buffer alive that it came in: copy what is kept for long.
pub struct Message {
    publish: PublishView,
    acker: Option<Acker>,
}

/// Acknowledges one message. See [`Message::take_acker`].
#[must_use = "a message that is never acknowledged holds its room in the inbox"]
pub struct Acker {
    shared: Arc<Shared>,
    ticket: Ticket,
}

impl Message {
    pub(super) fn new(publish: PublishView, acker: Option<Acker>) -> Self {
        Self { publish, acker }
    }

    /// Acknowledges it, under [`AckMode::Manual`]. Otherwise, and at QoS 0, there is nothing to do.
    ///
    /// # Errors
    ///
    /// The session that it came in is gone.
    pub fn ack(self) -> Result<(), Stale> {
        self.acker.map_or(Ok(()), Acker::ack)
    }

    /// Takes the acknowledgement out, to be done later or elsewhere. There is one under [`AckMode::Manual`], except at QoS 0.
    pub fn take_acker(&mut self) -> Option<Acker> {
        self.acker.take()
    }

    /// The message alone. What was to be acknowledged by hand and was not, never will be.
    pub fn into_view(self) -> PublishView {
        self.publish
    }
}

impl Acker {
    pub(super) fn new(shared: &Arc<Shared>, ticket: Ticket) -> Self {
        Self {
            shared: Arc::clone(shared),
            ticket,
        }
    }

    /// Acknowledges the message.
    ///
    /// # Errors
    ///
    /// The session that it came in is gone.
    pub fn ack(self) -> Result<(), Stale> {
        let Self { shared, ticket } = self;
        let now = shared.now_for_many();
        shared.run(|state| state.connection.session_mut().ack(now, ticket))
    }
}

impl Deref for Message {
    type Target = PublishView;

    fn deref(&self) -> &PublishView {
        &self.publish
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.publish.fmt(f)
    }
}

impl fmt::Debug for Acker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ticket.fmt(f)
    }
}
