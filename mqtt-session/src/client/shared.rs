//! The state that handles and driver share, behind one lock.

use std::boxed::Box;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};
use std::vec::Vec;

use mqtt_proto::{ConnAck, ReasonCode};

use crate::{
    Action, Cause, Connection, ConnectionError, Event, Instant, Outcome, PublishRefused, QueueId,
    Received, Session, SubscribeError, Ticket,
};

use super::closed::Closed;
use super::events::{ClientEvent, Ring};
use super::port::Sleeper;
use super::wake::{Park, Waiters, Wakes};
use super::watch::Watches;

pub(super) struct Shared {
    state: Mutex<State>,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
    /// A copy of what the state says, as it was when last unlocked.
    driver_sleeps: AtomicBool,
    /// Messages since the driver had its turn, roughly.
    published: AtomicU32,
}

/// Messages that may be published before the driver has its turn.
const IN_A_ROW: u32 = 1024;

/// Some microseconds.
const TRIES: usize = 200;

/// Nothing in here calls out: wakers and payloads leave it, to be woken and dropped after unlocking.
pub(super) struct State {
    pub(super) connection: Connection,
    pub(super) driver: Sleeper,
    pub(super) deliveries: Watches<Outcome>,
    pub(super) requests: Watches<Result<Vec<ReasonCode>, SubscribeError>>,
    /// Publishers that wait for room.
    pub(super) room: Waiters,
    /// Who waits for the session to be connected or closed.
    pub(super) phase: Waiters,
    /// One entry for each stream of messages.
    pub(super) readers: BTreeMap<Reader, Option<Waker>>,
    next_reader: u64,
    /// What was taken over by a stream that is gone, but not by the application: for the default stream.
    pub(super) returned: VecDeque<Received>,
    pub(super) ring: Ring,
    pub(super) connections: u64,
    pub(super) connack: ConnAck,
    pub(super) closed: Option<Closed>,
    last_error: Option<ConnectionError>,
}

/// A stream of messages: several may share a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reader {
    pub(super) queue: QueueId,
    number: u64,
}

impl Shared {
    pub(super) fn new(
        session: Session,
        clock: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Self {
        let mut connection = Connection::new(session);
        // Until somebody reads them.
        connection.session_mut().keep_unclaimed(false);
        let state = State {
            connection,
            driver: Sleeper::default(),
            deliveries: Watches::new(),
            requests: Watches::new(),
            room: Waiters::default(),
            phase: Waiters::default(),
            readers: BTreeMap::new(),
            next_reader: 0,
            returned: VecDeque::new(),
            ring: Ring::default(),
            connections: 0,
            connack: ConnAck::default(),
            closed: None,
            last_error: None,
        };
        Self {
            state: Mutex::new(state),
            clock: Box::new(clock),
            driver_sleeps: AtomicBool::new(true),
            published: AtomicU32::new(0),
        }
    }

    pub(super) fn now(&self) -> Instant {
        (self.clock)()
    }

    /// For what happens to many messages in a row. While the driver is at work the session knows the time well enough from its turns,
    /// and an earlier time than it knows changes nothing: so a clock need not be read for each message.
    #[inline]
    pub(super) fn now_for_many(&self) -> Instant {
        if self.driver_sleeps.load(Ordering::Relaxed) {
            self.now()
        } else {
            Instant::ZERO
        }
    }

    /// The driver's way to lock. A publisher in a loop holds the lock for most of the time, for a moment each: whoever asked the system to
    /// wait for it would be woken by a call to the system at each of those moments, and come too late.
    pub(super) fn lock_between_others(&self) -> MutexGuard<'_, State> {
        for _ in 0..TRIES {
            match self.state.try_lock() {
                Ok(state) => return state,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
            }
        }
        self.lock()
    }

    /// Counts a message. Whether there were so many that the driver shall have its turn first: a task that publishes in a loop, and always
    /// finds room, would not let others run, and what it publishes would leave the processor's caches before it is written.
    #[inline]
    pub(super) fn count_message(&self) -> bool {
        let published = self.published.load(Ordering::Relaxed);
        let enough = published >= IN_A_ROW;
        self.published
            .store(if enough { 0 } else { published + 1 }, Ordering::Relaxed);
        enough
    }

    pub(super) fn driver_has_its_turn(&self) {
        self.published.store(0, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn unlock(&self, state: MutexGuard<'_, State>) {
        let sleeps = state.driver.sleeps();
        self.driver_sleeps.store(sleeps, Ordering::Relaxed);
    }

    /// A panic under the lock is our bug; the others get on as well as they can, the driver's end not least.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs under the lock; hands out what came of it, and wakes whom it concerns after unlocking.
    #[inline]
    pub(super) fn run<R>(&self, step: impl FnOnce(&mut State) -> R) -> R {
        let mut wakes = Wakes::default();
        let mut state = self.lock();
        let result = step(&mut state);
        state.settle(&mut wakes);
        self.unlock(state);
        wakes.wake();
        result
    }

    /// The same for a future: `step` may park, and is run again where that took a clone of the waker.
    pub(super) fn poll<R>(
        &self,
        context: &Context<'_>,
        mut step: impl FnMut(&mut State, &mut Park<'_>) -> Poll<R>,
    ) -> Poll<R> {
        let mut park = Park::new(context.waker());
        loop {
            let polled = self.run(|state| step(state, &mut park));
            if !std::mem::take(&mut park.lacks_clone) {
                return polled;
            }
            park.clone = Some(context.waker().clone());
        }
    }
}

impl fmt::Debug for Shared {
    /// What handles show of it: nothing, for it may be locked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl State {
    /// After each change: tells what happened, and finds out whether the driver must know.
    #[inline]
    pub(super) fn settle(&mut self, wakes: &mut Wakes) {
        self.dispatch_all(wakes);
        wakes.push(self.driver.rouse(&self.connection));
    }

    #[inline]
    fn dispatch_all(&mut self, wakes: &mut Wakes) {
        while let Some(event) = self.connection.poll_event() {
            self.dispatch(event, wakes);
        }
    }

    #[inline]
    fn dispatch(&mut self, event: Event, wakes: &mut Wakes) {
        match event {
            Event::Published { token, outcome } => {
                self.deliveries.complete(token, outcome, wakes);
            }
            Event::Readable(queue) => self.wake_readers(queue, wakes),
            Event::Room => self.room.wake_all(wakes),
            Event::Subscribed { token, result } | Event::Unsubscribed { token, result } => {
                self.requests.complete(token, result, wakes);
            }
            Event::Connected { addr, connack } => {
                self.connections += 1;
                self.connack = connack.clone();
                self.last_error = None;
                self.phase.wake_all(wakes);
                self.ring
                    .push(ClientEvent::Connected { addr, connack }, wakes);
            }
            Event::Lost { error, retry_in } => {
                self.last_error = retry_in.is_none().then(|| error.clone());
                self.ring.push(ClientEvent::Lost { error, retry_in }, wakes);
            }
            Event::SubscriptionLost { filter, reason } => {
                self.ring
                    .push(ClientEvent::SubscriptionLost { filter, reason }, wakes);
            }
            Event::Dropping => self.ring.push(ClientEvent::Dropping, wakes),
            Event::Closed => self.close(wakes),
        }
    }

    /// The end: nobody is left waiting.
    pub(super) fn close(&mut self, wakes: &mut Wakes) {
        if self.closed.is_some() {
            return;
        }
        self.closed = Some(Closed {
            error: self.last_error.take().map(Box::new),
        });
        self.driver.finished = true;
        self.deliveries.complete_all(|| Outcome::Closed, wakes);
        self.requests
            .complete_all(|| Err(SubscribeError::Closed), wakes);
        self.room.wake_all(wakes);
        self.phase.wake_all(wakes);
        self.readers
            .values_mut()
            .for_each(|parked| wakes.push(parked.take()));
        self.ring.push(ClientEvent::Closed, wakes);
    }

    /// The driver is gone: there is no network any more, so the session is closed without it.
    pub(super) fn abandon(&mut self, now: Instant, wakes: &mut Wakes) {
        if self.closed.is_none() {
            let session = self.connection.session_mut();
            session.disconnect(
                now,
                mqtt_proto::Disconnect::default(),
                core::time::Duration::ZERO,
            );
            while let Some(action) = self.connection.poll_action() {
                if let Action::Hangup { attempt, .. } = action {
                    self.connection.handle_closed(now, attempt, Cause::HungUp);
                }
            }
        }
        self.settle(wakes);
        self.close(wakes);
    }

    pub(super) fn open_reader(&mut self, queue: QueueId) -> Reader {
        self.next_reader += 1;
        let reader = Reader {
            queue,
            number: self.next_reader,
        };
        self.readers.insert(reader, None);
        if queue == QueueId::DEFAULT {
            self.connection.session_mut().keep_unclaimed(true);
        }
        reader
    }

    /// The waker is for dropping outside of the lock.
    pub(super) fn close_reader(&mut self, reader: Reader) -> Option<Waker> {
        let parked = self.readers.remove(&reader).flatten();
        if reader.queue == QueueId::DEFAULT && self.readers_of(QueueId::DEFAULT).next().is_none() {
            self.connection.session_mut().keep_unclaimed(false);
        }
        parked
    }

    pub(super) fn wake_readers(&mut self, queue: QueueId, wakes: &mut Wakes) {
        self.readers_of(queue)
            .for_each(|parked| wakes.push(parked.take()));
    }

    fn readers_of(&mut self, queue: QueueId) -> impl Iterator<Item = &mut Option<Waker>> {
        let of_queue = Reader { queue, number: 0 }..=Reader {
            queue,
            number: u64::MAX,
        };
        self.readers.range_mut(of_queue).map(|(_, parked)| parked)
    }

    pub(super) fn next_message(&mut self, queue: QueueId) -> Option<Received> {
        if queue == QueueId::DEFAULT
            && let Some(returned) = self.returned.pop_front()
        {
            return Some(returned);
        }
        self.connection.poll_message(queue)
    }

    /// Gives a place in the inbox back. A ticket of a lost session has none: that concerns only who acknowledges by hand.
    pub(super) fn give_back(&mut self, now: Instant, ticket: Ticket) {
        let _ = self.connection.session_mut().ack(now, ticket);
    }

    /// The session refuses by itself once it is closed; this is for one that its driver has left.
    pub(super) fn refuses(&self) -> Option<PublishRefused> {
        self.closed.is_some().then_some(PublishRefused::Closed)
    }
}
