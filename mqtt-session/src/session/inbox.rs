//! Received messages until the application has dealt with them, and the acknowledgements that wait for it.

mod blocks;
mod fifo;
mod ids;
mod queues;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use bytes::BytesMut;
use mqtt_proto::{PacketId, PublishView, QoS};

use super::slab::Slab;
use crate::{Instant, QueueId, QueueOptions, Received, Stale, Ticket};
use ids::IdSet;
use queues::Queues;
pub(super) use queues::cost;

#[derive(Debug)]
pub(super) struct Inbox {
    queues: Queues,
    /// Counts the sessions: a ticket of an earlier one is stale. Begins at a point drawn from the seed, so that a ticket of another
    /// client is told apart.
    epoch: u32,
    /// How many sessions were before.
    lost: u32,
    arrivals: Slab<Arrival>,
    /// How many there were.
    seen: u32,
    /// Arrivals of this connection whose PUBACK is due, in their order [MQTT-4.6.0-2].
    pubacks: VecDeque<u32>,
    /// The same for PUBREC [MQTT-4.6.0-3].
    pubrecs: VecDeque<u32>,
    /// Unacknowledged arrivals of earlier connections, by packet identifier, until the server sends them again.
    held: BTreeMap<PacketId, u32>,
    /// Identifiers of all arrivals that are not acknowledged: a new one is told from a repeated one by a bit.
    unacknowledged: IdSet,
    /// QoS 2: PUBREC was sent, PUBREL is awaited [MQTT-4.3.3-10].
    recorded: IdSet,
    /// The same in 3.1, from earlier connections: the server may have lost the session, and can't tell.
    doubtful: IdSet,
    /// How many were recorded since the connection began.
    recorded_here: u16,
    /// QoS 0 messages were dropped since there was room.
    pub(super) dropping: bool,
    /// Since when our Receive Maximum is reached.
    pub(super) window_full: Option<Instant>,
    /// QoS 0 messages that no subscription claims go to the default queue.
    pub(super) keep_unclaimed: bool,
}

#[derive(Debug)]
struct Arrival {
    id: PacketId,
    qos: QoS,
    /// Tickets that are not given back yet.
    tickets: u32,
    /// The order of arrival.
    number: u32,
    /// Where it was put; the last of several.
    queue: QueueId,
    /// Its identifier came again for another message: there is nobody to acknowledge it to.
    orphan: bool,
}

impl Arrival {
    /// Of QoS 2, and the application is done with it.
    fn is_taken(&self) -> bool {
        self.qos == QoS::ExactlyOnce && self.tickets == 0
    }
}

/// What a PUBLISH of QoS 1 or 2 is, by its identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// A new message.
    New,
    /// One that waits for the application already.
    Held,
    /// QoS 2: PUBREC was sent before, and is to be sent again.
    Recorded,
}

impl Inbox {
    pub(super) fn new(epoch: u32) -> Self {
        Self {
            queues: Queues::new(epoch),
            epoch,
            lost: 0,
            arrivals: Slab::new(),
            seen: 0,
            pubacks: VecDeque::new(),
            pubrecs: VecDeque::new(),
            held: BTreeMap::new(),
            unacknowledged: IdSet::default(),
            recorded: IdSet::default(),
            doubtful: IdSet::default(),
            recorded_here: 0,
            dropping: false,
            window_full: None,
            keep_unclaimed: true,
        }
    }

    pub(super) const fn bytes(&self) -> usize {
        self.queues.bytes
    }

    /// Messages that wait.
    pub(super) fn len(&self) -> usize {
        self.queues.len()
    }

    /// Messages that were copied out of their read buffers.
    pub(super) const fn copied(&self) -> u64 {
        self.queues.copied
    }

    /// What the server has in flight towards us, as Receive Maximum counts it.
    pub(super) fn in_flight(&self) -> usize {
        self.pubacks.len() + self.pubrecs.len() + usize::from(self.recorded_here)
    }

    pub(super) fn open_queue(&mut self) -> QueueId {
        self.queues.open()
    }

    pub(super) fn has_queue(&self, id: QueueId) -> bool {
        self.queues.is_open(id)
    }

    pub(super) fn close_queue(&mut self, id: QueueId) -> Vec<Received> {
        for arrival in self.arrivals.iter_mut() {
            if arrival.queue == id {
                arrival.queue = QueueId::DEFAULT;
            }
        }
        self.queues.close(id)
    }

    #[cfg(feature = "client")]
    pub(super) fn take_back(&mut self, unread: Vec<Received>) {
        self.queues.take_back(unread);
    }

    pub(super) fn set_queue(&mut self, id: QueueId, options: QueueOptions) {
        for ticket in self.queues.set(id, options) {
            // Of a lost session: there is nobody to acknowledge it to.
            let _ = self.give_back(ticket);
        }
    }

    pub(super) fn dropped_of(&self, id: QueueId) -> u64 {
        self.queues.dropped_of(id)
    }

    /// How many of QoS 0 were dropped for the bounds of their queues.
    pub(super) const fn over_bound(&self) -> u64 {
        self.queues.over_bound
    }

    /// The first message of QoS 1 or 2 in the default queue, where nobody is expected to look.
    pub(super) fn unclaimed(&self) -> Option<&PublishView> {
        if self.keep_unclaimed {
            return None;
        }
        self.queues.first_kept(QueueId::DEFAULT)
    }

    pub(super) fn is_readable(&self, id: QueueId) -> bool {
        self.queues.is_readable(id)
    }

    #[cfg(feature = "client")]
    #[inline]
    pub(super) fn pop_of(&mut self, id: QueueId, block: &mut Option<u32>) -> Option<Received> {
        self.queues.pop_of(id, block)
    }

    #[cfg(feature = "client")]
    #[inline]
    pub(super) fn take_run(&mut self, id: QueueId, batch: &mut VecDeque<Received>) -> bool {
        self.queues.take_run(id, batch)
    }

    #[inline]
    pub(super) fn pop(&mut self, id: QueueId) -> Option<Received> {
        self.queues.pop(id)
    }

    /// Puts a message into queues. Whether all of them acknowledge it at once.
    #[inline(always)]
    pub(super) fn push(
        &mut self,
        publish: PublishView,
        arrival: Option<u32>,
        queues: &[QueueId],
        woken: impl FnMut(QueueId),
    ) -> bool {
        let mut acked = false;
        if let Some(arrival) = arrival.and_then(|index| self.arrivals.get_mut(index)) {
            let by_ticket = |queue: &QueueId| !self.queues.acks_on_arrival(*queue);
            arrival.tickets = match queues {
                [one] => u32::from(by_ticket(one)),
                several => several.iter().filter(|queue| by_ticket(queue)).count() as u32,
            };
            arrival.queue = queues.last().copied().unwrap_or_default();
            acked = arrival.tickets == 0;
        }
        self.queues
            .push(publish, self.epoch, arrival, queues, woken);
        acked
    }

    pub(super) fn drop_oldest(&mut self, id: QueueId) -> bool {
        self.queues.drop_oldest(id)
    }

    /// Drops the oldest QoS 0 message of the default queue.
    pub(super) fn drop_unclaimed(&mut self) -> bool {
        self.queues.drop_oldest_at(QueueId::DEFAULT.place())
    }

    pub(super) fn claim(&mut self, to: QueueId, claims: impl Fn(&PublishView) -> bool) {
        let Self {
            queues, arrivals, ..
        } = self;
        queues.claim(to, claims, |moved| {
            if let Some(arrival) = moved.and_then(|index| arrivals.get_mut(index)) {
                arrival.queue = to;
            }
        });
    }

    /// Packets are about to be taken from this buffer: see [`Queues::read_from`].
    #[inline]
    pub(super) fn read_from(&mut self, buffer: &BytesMut, limit: usize) {
        /// What may be kept alive in earlier buffers beyond what is counted, so that who takes messages a turn later has no copies.
        const UNCOUNTED: usize = 128 * 1024;
        self.queues.read_from(buffer, UNCOUNTED.min(limit / 8));
    }

    /// Gives back what a burst has left behind.
    pub(super) fn give_memory_back(&mut self) {
        self.queues.give_memory_back();
        self.arrivals.give_memory_back();
        for ids in [
            &mut self.unacknowledged,
            &mut self.recorded,
            &mut self.doubtful,
        ] {
            ids.give_memory_back();
        }
        for due in [&mut self.pubacks, &mut self.pubrecs] {
            if due.len() <= due.capacity() / 4 {
                due.shrink_to(due.len() * 2);
            }
        }
    }

    /// Takes note of a PUBLISH of QoS 1 or 2.
    pub(super) fn see(&mut self, id: PacketId, qos: QoS, dup: bool) -> (Seen, Option<u32>) {
        if qos == QoS::ExactlyOnce && self.recorded.contains(id) {
            return (Seen::Recorded, None);
        }
        // Whatever comes under it settles the doubt: at QoS 1, or without DUP, it is another message.
        if self.doubtful.remove(id) && qos == QoS::ExactlyOnce && dup {
            // The identifier is that message's: what came under it at QoS 1 without its release has none to be acknowledged by.
            if let Some(index) = self.held.remove(&id) {
                self.orphan(index);
            }
            // In its turn: others may wait that came before [MQTT-4.6.0-3].
            let index = self.arrive(id, qos, 0);
            return (Seen::Held, Some(index));
        }
        if self.unacknowledged.contains(id) {
            match self.held.remove(&id) {
                // It came over this connection already.
                None => return (Seen::Held, None),
                Some(index)
                    if dup
                        && self
                            .arrivals
                            .get(index)
                            .is_some_and(|arrival| arrival.qos == qos) =>
                {
                    self.due(qos).push_back(index);
                    return (Seen::Held, Some(index));
                }
                // The server has given the identifier to another message: what we hold can't be acknowledged any more.
                Some(index) => self.orphan(index),
            }
        }
        let index = self.arrive(id, qos, 1);
        (Seen::New, Some(index))
    }

    fn arrive(&mut self, id: PacketId, qos: QoS, tickets: u32) -> u32 {
        self.unacknowledged.insert(id);
        self.seen = self.seen.wrapping_add(1);
        let index = self.arrivals.insert(Arrival {
            id,
            qos,
            tickets,
            number: self.seen,
            queue: QueueId::DEFAULT,
            orphan: false,
        });
        self.due(qos).push_back(index);
        index
    }

    /// Forgets a new message that is not taken after all: the server will send it again.
    pub(super) fn unsee(&mut self, arrival: Option<u32>) {
        if let Some(arrival) = arrival.and_then(|index| self.arrivals.remove(index)) {
            self.unacknowledged.remove(arrival.id);
            self.due(arrival.qos).pop_back();
        }
    }

    fn orphan(&mut self, index: u32) {
        if let Some(arrival) = self.arrivals.get_mut(index) {
            arrival.orphan = true;
            if arrival.tickets == 0 {
                self.arrivals.remove(index);
            }
        }
    }

    const fn due(&mut self, qos: QoS) -> &mut VecDeque<u32> {
        match qos {
            QoS::ExactlyOnce => &mut self.pubrecs,
            _ => &mut self.pubacks,
        }
    }

    /// Takes a ticket back.
    pub(super) fn give_back(&mut self, ticket: Ticket) -> Result<(), Stale> {
        // A ticket of another client is a mistake, but must not upset anything here.
        if self.epoch.wrapping_sub(ticket.epoch) > self.lost {
            return Err(Stale);
        }
        self.queues.free(&ticket);
        let Some(index) = ticket.arrival else {
            return Ok(());
        };
        if ticket.epoch != self.epoch {
            return Err(Stale);
        }
        if let Some(arrival) = self.arrivals.get_mut(index) {
            arrival.tickets = arrival.tickets.saturating_sub(1);
            if arrival.orphan && arrival.tickets == 0 {
                self.arrivals.remove(index);
                return Err(Stale);
            }
        }
        Ok(())
    }

    /// The next acknowledgement that may be sent: those of each kind in the order of arrival.
    #[inline]
    pub(super) fn next_ack(&mut self) -> Option<(PacketId, QoS)> {
        if let Some(id) = next_due(&mut self.pubacks, &mut self.arrivals) {
            self.unacknowledged.remove(id);
            return Some((id, QoS::AtLeastOnce));
        }
        let id = next_due(&mut self.pubrecs, &mut self.arrivals)?;
        self.unacknowledged.remove(id);
        self.recorded.insert(id);
        self.recorded_here = self.recorded_here.saturating_add(1);
        Some((id, QoS::ExactlyOnce))
    }

    /// The queue of the oldest message that is not acknowledged: the one whose acknowledgement holds back the others.
    pub(super) fn oldest_unacknowledged(&self) -> Option<QueueId> {
        [self.pubacks.front(), self.pubrecs.front()]
            .into_iter()
            .filter_map(|front| self.arrivals.get(*front?))
            .max_by_key(|arrival| self.seen.wrapping_sub(arrival.number))
            .map(|arrival| arrival.queue)
    }

    /// PUBREL came. Whether there was something to release.
    pub(super) fn release(&mut self, id: PacketId) -> bool {
        let known = self.recorded.remove(id);
        if known {
            self.recorded_here = self.recorded_here.saturating_sub(1);
        }
        self.doubtful.remove(id) || known
    }

    /// Nobody knows whether the server still has the session: a message that comes without DUP is another one than that which was
    /// recorded under its identifier.
    pub(super) fn doubt(&mut self) {
        self.doubtful.take_all(&mut self.recorded);
    }

    pub(super) fn is_doubtful(&self, id: PacketId) -> bool {
        self.doubtful.contains(id)
    }

    /// Whether the application is done with a message of QoS 2 under this identifier that came over an earlier connection, and for which no
    /// PUBREC was sent.
    pub(super) fn is_taken(&self, id: PacketId) -> bool {
        let held = self
            .held
            .get(&id)
            .and_then(|index| self.arrivals.get(*index));
        held.is_some_and(Arrival::is_taken)
    }

    /// The identifiers that an earlier process had recorded.
    pub(super) fn restore(&mut self, recorded: impl IntoIterator<Item = PacketId>) {
        recorded.into_iter().for_each(|id| self.recorded.insert(id));
    }

    /// The identifiers of QoS 2 whose message the application has, and whose PUBREL has not come.
    pub(super) fn recorded(&self) -> impl Iterator<Item = PacketId> {
        let arrivals = self.arrivals.iter();
        let taken = arrivals.filter_map(|(_, arrival)| arrival.is_taken().then_some(arrival.id));
        self.recorded
            .iter()
            .chain(self.doubtful.iter())
            .chain(taken)
    }

    /// The connection is gone: what is unacknowledged waits for the server to send it again.
    pub(super) fn disconnected(&mut self) {
        self.recorded_here = 0;
        self.window_full = None;
        for index in self.pubacks.drain(..).chain(self.pubrecs.drain(..)) {
            if let Some(arrival) = self.arrivals.get(index) {
                self.held.insert(arrival.id, index);
            }
        }
    }

    /// The session is gone: tickets of it are stale, identifiers mean nothing any more.
    pub(super) fn new_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.lost = self.lost.saturating_add(1);
        self.arrivals = Slab::new();
        self.pubacks.clear();
        self.pubrecs.clear();
        self.held.clear();
        self.unacknowledged = IdSet::default();
        self.recorded = IdSet::default();
        self.doubtful = IdSet::default();
        self.recorded_here = 0;
    }
}

/// Takes the first that is due, if the application has dealt with it.
#[inline(always)]
fn next_due(due: &mut VecDeque<u32>, arrivals: &mut Slab<Arrival>) -> Option<PacketId> {
    let index = *due.front()?;
    let waits = |arrival: &Arrival| arrival.tickets > 0;
    if arrivals.get(index).is_some_and(waits) {
        return None;
    }
    due.pop_front();
    arrivals.remove(index).map(|arrival| arrival.id)
}
