//! Received messages as a stream.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec::Vec;

use futures_core::Stream;
use mqtt_proto::{Properties, QoS, TopicFilter};

use crate::{Instant, QueueId, QueueOptions, Received, Ticket};

use super::message::{AckMode, Acker, Message};
use super::shared::Shared;
use super::state::{Reader, State};
use super::subscribe::{self, SubscribeFailed};
use super::wake::Wakes;

/// So many bytes of the inbox's bound stand for one stream that holds more than the message it is at: where there are more of these, they
/// take message by message.
const BOUND_FOR_EACH: usize = 512 * 1024;

/// The messages of one subscription, or those that no subscription claims: a stream, which ends when the session is closed and what was received
/// until then is taken.
///
/// It does not keep the session alive. When it is dropped, its messages of QoS 1 and 2 that were not taken go to the stream of
/// [`Client::messages`](super::Client::messages), unacknowledged but for those of [`AckMode::Queued`]; its QoS 0 messages are dropped, and
/// counted in [`Stats::dropped`](crate::Stats::dropped). The server is told nothing: see
/// [`unsubscribe`](Self::unsubscribe) and [`unsubscribe_on_drop`](Self::unsubscribe_on_drop).
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is read"]
pub struct Subscription {
    shared: Arc<Shared>,
    reader: Reader,
    filters: Vec<TopicFilter>,
    mode: AckMode,
    options: QueueOptions,
    unsubscribe_on_drop: bool,
    /// Taken over from the session, not by the application.
    batch: VecDeque<Received>,
    /// It is counted among those that hold more than one message.
    batching: bool,
    /// Of messages that the application has and that need no acknowledgement any more: given back when the session is asked next.
    spent: Vec<Ticket>,
    /// The message that the application is at, to be acknowledged when it comes back. Kept whole: a panic must not lose it.
    current: Option<Received>,
    /// A handler is at that message.
    unfinished: bool,
}

impl Subscription {
    pub(super) fn new(shared: Arc<Shared>, reader: Reader, filters: Vec<TopicFilter>) -> Self {
        Self {
            shared,
            reader,
            filters,
            mode: AckMode::default(),
            options: QueueOptions::default(),
            unsubscribe_on_drop: false,
            batch: VecDeque::new(),
            batching: false,
            spent: Vec::new(),
            current: None,
            unfinished: false,
        }
    }

    /// When its messages are acknowledged ([`AckMode::Taken`]). Applies to those that are taken from now on, and [`AckMode::Queued`] to those that
    /// wait already, too.
    pub fn with_ack_mode(mut self, mode: AckMode) -> Self {
        self.mode = mode;
        self.options.ack_on_arrival = mode == AckMode::Queued;
        self.set_queue();
        self
    }

    /// How many messages of QoS 0 may wait to be taken (no bound but that of the inbox): for one more the oldest is dropped, and counted. Some that
    /// were taken over before they are read do not count.
    pub fn with_max_at_most_once(mut self, max: NonZeroUsize) -> Self {
        self.options.max_at_most_once = Some(max);
        self.set_queue();
        self
    }

    /// How many messages were dropped for [`with_max_at_most_once`](Self::with_max_at_most_once).
    pub fn dropped(&self) -> u64 {
        let state = self.shared.lock();
        state.connection.session().dropped_of(self.reader.queue)
    }

    fn set_queue(&self) {
        // The default queue is shared by all streams on it: it stays as it is.
        if self.reader.queue != QueueId::DEFAULT {
            let now = self.shared.now();
            let (queue, options) = (self.reader.queue, self.options);
            self.shared.run(|state| {
                state
                    .connection
                    .session_mut()
                    .set_queue(now, queue, options)
            });
        }
    }

    /// Whether dropping it unsubscribes (no). Other subscriptions to the same filter share the server's one subscription, and lose it, too.
    pub fn unsubscribe_on_drop(mut self, unsubscribe: bool) -> Self {
        self.unsubscribe_on_drop = unsubscribe;
        self
    }

    /// What it is subscribed to. Empty for [`Client::messages`](super::Client::messages).
    pub fn filters(&self) -> &[TopicFilter] {
        &self.filters
    }

    /// The queue of the session that its messages wait in, as events name it.
    pub fn queue(&self) -> QueueId {
        self.reader.queue
    }

    /// The next message; `None` when the session is closed. Under [`AckMode::Taken`] this acknowledges the message before.
    ///
    /// Cancel-safe: a message is taken only when this resolves.
    #[expect(
        clippy::should_implement_trait,
        reason = "of futures' streams, not of iterators"
    )]
    #[inline]
    pub fn next(&mut self) -> NextMessage<'_> {
        NextMessage(self)
    }

    /// The next message, if there is one. Acknowledges as [`next`](Self::next) does.
    #[inline]
    pub fn try_next(&mut self) -> Option<Message> {
        match self.poll(None) {
            Poll::Ready(message) => message,
            Poll::Pending => None,
        }
    }

    /// Asks the server to end the subscription, waits for its answer, and drops the stream.
    ///
    /// Dropping the future after it was polled drops the stream at once; the request goes its way.
    ///
    /// # Errors
    ///
    /// The server refuses, or the request can't be sent.
    pub async fn unsubscribe(mut self) -> Result<(), SubscribeFailed> {
        self.unsubscribe_on_drop = false;
        let filters = self.filters.clone();
        subscribe::unsubscribe(&self.shared, filters, Properties::new()).await
    }

    /// Whether the message that was handed out is to stay unacknowledged if this is dropped.
    pub(super) const fn set_unfinished(&mut self, unfinished: bool) {
        self.unfinished = unfinished;
    }

    /// Mostly one is at hand. It is handed out in one place, as what several ways lead to is made in memory, and waited for there.
    #[inline(always)]
    fn poll(&mut self, context: Option<&Context<'_>>) -> Poll<Option<Message>> {
        if self.batch.is_empty() || self.shared.hooked.intercepts() {
            match self.fetch(context) {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        } else if self.current.is_some() {
            self.acknowledge();
        }
        let received = self.batch.pop_front();
        Poll::Ready(received.map(|received| self.hand_out(received)))
    }

    /// The application is done with the message that it was at.
    fn acknowledge(&mut self) {
        let now = self.shared.now_for_many();
        if let Some(Received { publish, ticket }) = self.current.take() {
            self.shared.run(|state| state.give_back(now, ticket));
            // Without the lock.
            drop(publish);
        }
    }

    /// Sees to it that a message is at hand that interceptors let pass. `false` where there will be none any more.
    #[inline(never)]
    fn fetch(&mut self, context: Option<&Context<'_>>) -> Poll<bool> {
        while self.poll_session(context).is_ready() {
            if !self.shared.hooked.intercepts() {
                return Poll::Ready(!self.batch.is_empty());
            }
            let Some(received) = self.batch.pop_front() else {
                return Poll::Ready(false);
            };
            if let Some(received) = self.intercept(received) {
                self.batch.push_front(received);
                return Poll::Ready(true);
            }
        }
        Poll::Pending
    }

    /// What the interceptors leave of it.
    #[cold]
    fn intercept(&mut self, received: Received) -> Option<Received> {
        let mut publish = received.publish.clone();
        // If one of them panics, this is what the application was at.
        self.current = Some(received);
        let keep = self.shared.hooked.incoming(&mut publish);
        if !keep {
            // Acknowledged when the next one is asked for, which is now.
            return None;
        }
        let Received { ticket, .. } = self.current.take()?;
        Some(Received { publish, ticket })
    }

    /// Acknowledges the message that the application was at, and takes more over from the session where none is at hand. Ready where there is one,
    /// or will be none any more.
    fn poll_session(&mut self, context: Option<&Context<'_>>) -> Poll<()> {
        if self.current.is_none() && !self.batch.is_empty() {
            return Poll::Ready(());
        }
        let now = self.shared.now_for_many();
        // The payload is dropped after unlocking.
        let (_payload, mut taken) = match self.current.take() {
            Some(Received { publish, ticket }) => (Some(publish), Some(ticket)),
            None => (None, None),
        };
        let Self {
            shared,
            reader,
            mode,
            batch,
            batching,
            spent,
            ..
        } = self;
        let mut exchange = |state: &mut State| {
            for ticket in spent.drain(..).chain(taken.take()) {
                state.give_back(now, ticket);
            }
            if batch.is_empty() {
                state.batches -= usize::from(std::mem::take(batching));
                state.fill(now, *mode, reader.queue, batch);
                *batching = batch.len() > 1;
                state.batches += usize::from(*batching);
            }
            !batch.is_empty() || state.closed.is_some()
        };
        match context {
            None => shared.run(|state| {
                if exchange(state) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }),
            Some(context) => shared.poll(context, |state, park| {
                if exchange(state) {
                    return Poll::Ready(());
                }
                if let Some(slot) = state.readers.get_mut(reader) {
                    park.at(slot);
                }
                Poll::Pending
            }),
        }
    }

    #[inline]
    fn hand_out(&mut self, received: Received) -> Message {
        let Received { publish, ticket } = received;
        let mut acker = None;
        if ticket.arrival.is_none() {
            self.spend(ticket);
        } else if self.mode == AckMode::Manual {
            acker = Some(Acker::new(&self.shared, ticket));
        } else {
            let publish = publish.clone();
            self.current = Some(Received { publish, ticket });
        }
        Message::new(publish, acker)
    }

    #[inline]
    fn spend(&mut self, ticket: Ticket) {
        let joined = match self.spent.last_mut() {
            Some(last) => last.join(ticket),
            None => Err(ticket),
        };
        if let Err(ticket) = joined {
            self.spent.push(ticket);
        }
    }
}

/// The future of [`Subscription::next`].
///
/// Cancel-safe: a message is taken only when this resolves.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct NextMessage<'a>(&'a mut Subscription);

impl Future for NextMessage<'_> {
    type Output = Option<Message>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        self.get_mut().0.poll(Some(context))
    }
}

impl State {
    /// Takes messages over from the session, as many under one lock as a run has at most. They are of one read buffer, which they keep alive.
    fn fill(
        &mut self,
        now: Instant,
        mode: AckMode,
        queue: QueueId,
        batch: &mut VecDeque<Received>,
    ) {
        let bound = self.connection.session().config().limits().inbox_bytes;
        let most = if self.batches < bound / BOUND_FOR_EACH {
            Received::RUN
        } else {
            1
        };
        if most == Received::RUN
            && mode != AckMode::Queued
            && self.connection.session_mut().poll_run_of(queue, batch)
        {
            return;
        }
        let (mut bytes, mut block) = (0, None);
        while batch.len() < most
            && bytes < Received::RUN_BYTES
            && let Some(Received { publish, ticket }) = self
                .connection
                .session_mut()
                .poll_message_of(queue, &mut block)
        {
            bytes += publish.size();
            let ticket = match mode {
                // Its room is still taken.
                AckMode::Queued => self.connection.session_mut().ack_early(now, ticket),
                AckMode::Taken | AckMode::Manual => ticket,
            };
            batch.push_back(Received { publish, ticket });
        }
    }

    /// Takes back what a stream had taken over, in its order.
    fn take_back(&mut self, unread: Vec<Received>, wakes: &mut Wakes) {
        self.connection.session_mut().take_back(unread);
        // Whether or not there is something: a stream that finds nothing waits again.
        self.wake_readers(QueueId::DEFAULT, wakes);
    }
}

impl Stream for Subscription {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        self.poll(Some(context))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let now = self.shared.now();
        let current = self.current.take();
        // What the application was at when it panicked, or its handler when that was dropped, is not dealt with.
        let (unread, done) = if self.unfinished || std::thread::panicking() {
            (current, None)
        } else {
            (None, current)
        };
        let queue = self.reader.queue;
        // Also what is acknowledged already ([`AckMode::Queued`]): the server will not send it again.
        let keeps = |received: &Received| {
            queue == QueueId::DEFAULT || received.publish.qos() != QoS::AtMostOnce
        };
        let (kept, gone): (Vec<_>, Vec<_>) = unread
            .into_iter()
            .chain(self.batch.drain(..))
            .partition(keeps);
        let dropped = gone.len();
        let (gone, tickets): (Vec<_>, Vec<_>) = gone
            .into_iter()
            .chain(done)
            .map(|received| (received.publish, received.ticket))
            .unzip();

        let mut wakes = Wakes::default();
        let mut state = self.shared.lock();
        for ticket in tickets.into_iter().chain(self.spent.drain(..)) {
            state.give_back(now, ticket);
        }
        state.batches -= usize::from(self.batching);
        state.take_back(kept, &mut wakes);
        state.connection.session_mut().count_dropped(dropped);
        let parked = state.close_reader(self.reader);
        if self.unsubscribe_on_drop && !self.filters.is_empty() {
            let filters = std::mem::take(&mut self.filters);
            state
                .connection
                .session_mut()
                .unsubscribe_dropped(now, filters);
        }
        if queue != QueueId::DEFAULT {
            state.connection.session_mut().close_queue(now, queue);
        }
        state.settle(&mut wakes);
        drop(state);
        wakes.wake();
        drop((parked, gone));
    }
}
