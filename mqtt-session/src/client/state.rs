//! What handles and driver share.

use std::boxed::Box;
use std::collections::BTreeMap;
use std::task::Waker;
use std::vec::Vec;

use bytes::Bytes;
use mqtt_proto::{ConnAck, ReasonCode};

use crate::session::{News, Run};
use crate::{
    Action, Cause, Connection, ConnectionError, Event, Instant, Offline, Outcome, PublishRefused,
    QueueId, ReauthenticateError, Session, SubscribeError, Ticket, Token,
};

use super::closed::Closed;
use super::events::{ClientEvent, Ring};
use super::port::Sleeper;
use super::wake::{Park, Place, Waiters, Wakes};
use super::watch::Watches;

/// Nothing in here calls out: wakers and payloads leave it, to be woken and dropped after unlocking.
pub(super) struct State {
    pub(super) connection: Connection,
    pub(super) driver: Sleeper,
    pub(super) deliveries: Watches<Outcome>,
    /// Messages of an earlier process, until the application asks for them.
    pub(super) restored: Vec<(Token, Option<Bytes>)>,
    pub(super) requests: Watches<Result<Vec<ReasonCode>, SubscribeError>>,
    /// Made with the first one, as an idle client is to be small.
    pub(super) reauthentications: Option<Box<Watches<Result<(), ReauthenticateError>>>>,
    /// Publishers that wait for room for a message of this size.
    pub(super) room: Waiters<usize>,
    /// Who waits for the session to be connected or closed.
    pub(super) phase: Waiters,
    /// One entry for each stream of messages.
    pub(super) readers: BTreeMap<Reader, Option<Waker>>,
    next_reader: u64,
    /// Streams that have taken more messages over than the one they are at.
    pub(super) batches: usize,
    pub(super) ring: Ring,
    /// There is an observer.
    pub(super) observed: bool,
    pub(super) connections: u64,
    pub(super) connack: ConnAck,
    pub(super) closed: Option<Closed>,
    last_error: Option<Box<ConnectionError>>,
    /// What the attempts before ended with, since a server accepted last; the latest ones.
    failed: Vec<ConnectionError>,
}

/// So many failed attempts are remembered.
const ATTEMPTS: usize = 16;

/// A stream of messages: several may share a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reader {
    pub(super) queue: QueueId,
    number: u64,
}

impl State {
    pub(super) fn new(session: Session) -> Self {
        let mut connection = Connection::new(session);
        // Until somebody reads them.
        connection.session_mut().keep_unclaimed(false);
        connection.session_mut().keep_released();
        let restored = connection.session().restored();
        let restored: Vec<_> = restored.map(|(token, tag)| (token, tag.cloned())).collect();
        let mut deliveries = Watches::new();
        restored
            .iter()
            .for_each(|(token, _)| deliveries.watch(*token));
        Self {
            connection,
            driver: Sleeper::default(),
            deliveries,
            restored,
            requests: Watches::new(),
            reauthentications: None,
            room: Waiters::default(),
            phase: Waiters::default(),
            readers: BTreeMap::new(),
            next_reader: 0,
            batches: 0,
            ring: Ring::default(),
            observed: false,
            connections: 0,
            connack: ConnAck::default(),
            closed: None,
            last_error: None,
            failed: Vec::new(),
        }
    }

    /// Whether [`settle`](Self::settle) would find nothing to do.
    #[inline]
    pub(super) fn is_settled(&self) -> bool {
        !self.connection.session().has_news() && !self.driver.is_needed(&self.connection)
    }

    /// After each change: tells what happened, and finds out whether the driver must know.
    #[inline]
    pub(super) fn settle(&mut self, wakes: &mut Wakes) {
        self.dispatch_all(wakes);
        self.connection
            .session_mut()
            .poll_released(&mut wakes.released);
        wakes.push(self.driver.rouse(&self.connection));
    }

    #[inline]
    fn dispatch_all(&mut self, wakes: &mut Wakes) {
        while let Some(news) = self.connection.session_mut().poll_news() {
            match news {
                News::Published(Run {
                    first,
                    count,
                    outcome,
                }) => self.deliveries.complete_run(first, count, outcome, wakes),
                News::Other(event) => self.dispatch(event, wakes),
            }
        }
    }

    fn dispatch(&mut self, event: Event, wakes: &mut Wakes) {
        match event {
            Event::Published { token, outcome } => {
                self.deliveries.complete_run(token, 1, outcome, wakes);
            }
            Event::Stored { .. } => {}
            Event::Readable(queue) => self.wake_readers(queue, wakes),
            Event::Unclaimed { topic } => {
                self.ring.push(ClientEvent::Unclaimed { topic }, wakes);
            }
            Event::Room => self.admit_next(wakes),
            Event::Subscribed { token, result } | Event::Unsubscribed { token, result } => {
                self.requests.complete(token, result, wakes);
            }
            Event::Reauthenticated { token, result } => {
                if let Some(watches) = &mut self.reauthentications {
                    watches.complete(token, result, wakes);
                }
            }
            Event::Connected { addr, connack } => {
                self.connections += 1;
                self.connack = connack.clone();
                self.last_error = None;
                self.failed = Vec::new();
                self.phase.wake_all(wakes);
                // This server may refuse what waits for room.
                self.admit_next(wakes);
                self.ring
                    .push(ClientEvent::Connected { addr, connack }, wakes);
            }
            Event::SessionLost => self.ring.push(ClientEvent::SessionLost, wakes),
            Event::Lost { error, retry_in } => {
                if matches!(error, ConnectionError::InboxFull { .. }) {
                    self.connection.session_mut().answer_early();
                }
                // What waits for room is refused while there is no connection.
                if self.failed.is_empty()
                    && self.connection.session().config().offline == Offline::Refuse
                {
                    self.room.wake_all(wakes);
                }
                if retry_in.is_none() {
                    self.last_error = Some(Box::new(error.clone()));
                } else {
                    if self.failed.len() == ATTEMPTS {
                        self.failed.remove(0);
                    }
                    self.failed.push(error.clone());
                }
                self.ring.push(ClientEvent::Lost { error, retry_in }, wakes);
            }
            Event::Redirected {
                from,
                reference,
                permanent,
                followed,
            } => {
                let redirected = ClientEvent::Redirected {
                    from,
                    reference,
                    permanent,
                    followed,
                };
                self.ring.push(redirected, wakes);
            }
            Event::SubscriptionLost { filter, reason } => {
                self.ring
                    .push(ClientEvent::SubscriptionLost { filter, reason }, wakes);
            }
            Event::Poisonous { token, connections } => {
                self.ring
                    .push(ClientEvent::Poisonous { token, connections }, wakes);
            }
            Event::Blocked { queue, since } => {
                self.ring.push(ClientEvent::Blocked { queue, since }, wakes);
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
        let failed = std::mem::take(&mut self.failed);
        let error = self.last_error.take();
        self.closed = Some(Closed {
            before: if error.is_some() { failed } else { Vec::new() },
            error,
        });
        self.driver.finished = true;
        self.deliveries.complete_all(|| Outcome::Closed, wakes);
        self.requests
            .complete_all(|| Err(SubscribeError::Closed), wakes);
        if let Some(watches) = &mut self.reauthentications {
            watches.complete_all(|| Err(ReauthenticateError::Closed), wakes);
        }
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
            // The default is never refused.
            let _ = session.disconnect(
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

    /// Of those who wait for room one comes after the other, in their order, and who gets in or gives up makes way for the next: of a crowd,
    /// the others would come for nothing. Should the one who is woken not come, the next is woken when there is room for its message, too.
    fn admit_next(&mut self, wakes: &mut Wakes) {
        self.room.wake_first(wakes);
        self.ask_for_room();
    }

    pub(super) fn wait_for_room(&mut self, place: &mut Place, size: usize, park: &mut Park<'_>) {
        self.room.park(place, size, park);
        self.ask_for_room();
    }

    /// Makes way for the next. The waker is for dropping outside of the lock.
    pub(super) fn leave_room(&mut self, place: &mut Place) -> Option<Waker> {
        let parked = self.room.leave(place);
        self.ask_for_room();
        self.connection.session_mut().tell_room();
        parked
    }

    /// For the one who has waited longest.
    fn ask_for_room(&mut self) {
        if let Some(&size) = self.room.first() {
            self.connection.session_mut().want_room(size);
        }
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

    /// Gives a place in the inbox back. A ticket of a lost session has none: that concerns only who acknowledges by hand.
    pub(super) fn give_back(&mut self, now: Instant, ticket: Ticket) {
        let _ = self.connection.session_mut().ack(now, ticket);
    }

    /// The session refuses by itself once it is closed; this is for one that its driver has left.
    pub(super) fn refuses(&self) -> Option<PublishRefused> {
        self.closed.is_some().then_some(PublishRefused::Closed)
    }
}
