//! Received messages until the application has dealt with them, and the acknowledgements that wait for it.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use mqtt_proto::{PacketId, PublishView, QoS};

use super::slab::Slab;
use crate::{QueueId, Received, Stale, Ticket};

#[derive(Debug)]
pub(super) struct Inbox {
    queues: Vec<Queue>,
    /// What the messages hold that have a ticket outside.
    bytes: usize,
    /// Counts the sessions: a ticket of an earlier one is stale.
    epoch: u32,
    arrivals: Slab<Arrival>,
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
    /// QoS 0 messages that no subscription claims go to the default queue.
    pub(super) keep_unclaimed: bool,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Received>,
    open: bool,
}

#[derive(Debug)]
struct Arrival {
    id: PacketId,
    qos: QoS,
    /// Tickets that are not given back yet.
    tickets: u32,
    /// Its identifier came again for another message: there is nobody to acknowledge it to.
    orphan: bool,
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
    pub(super) fn new() -> Self {
        Self {
            queues: alloc::vec![Queue {
                messages: VecDeque::new(),
                open: true
            }],
            bytes: 0,
            epoch: 0,
            arrivals: Slab::new(),
            pubacks: VecDeque::new(),
            pubrecs: VecDeque::new(),
            held: BTreeMap::new(),
            unacknowledged: IdSet::default(),
            recorded: IdSet::default(),
            doubtful: IdSet::default(),
            recorded_here: 0,
            dropping: false,
            keep_unclaimed: true,
        }
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What the server has in flight towards us, as Receive Maximum counts it.
    pub(super) fn in_flight(&self) -> usize {
        self.pubacks.len() + self.pubrecs.len() + usize::from(self.recorded_here)
    }

    pub(super) fn open_queue(&mut self) -> QueueId {
        let free = self
            .queues
            .iter()
            .position(|queue| !queue.open && queue.messages.is_empty());
        let index = free.unwrap_or_else(|| {
            self.queues.push(Queue::default());
            self.queues.len() - 1
        });
        self.queues[index].open = true;
        QueueId(index as u32)
    }

    /// Closes a queue. QoS 1 and 2 messages go to the default queue, still to be acknowledged; the QoS 0 ones are given back.
    pub(super) fn close_queue(&mut self, id: QueueId) -> Vec<Received> {
        if id == QueueId::DEFAULT {
            return Vec::new();
        }
        let Some(queue) = self.queues.get_mut(id.0 as usize) else {
            return Vec::new();
        };
        queue.open = false;
        let messages = core::mem::take(&mut queue.messages);
        let (kept, dropped): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .partition(|message| message.ticket.arrival.is_some());
        self.queues[0].messages.extend(kept);
        dropped
    }

    #[cfg(feature = "client")]
    pub(super) fn take_back(&mut self, unread: Vec<Received>, first: bool) {
        let messages = &mut self.queues[0].messages;
        if first {
            unread
                .into_iter()
                .rev()
                .for_each(|received| messages.push_front(received));
        } else {
            messages.extend(unread);
        }
    }

    /// The first message of QoS 1 or 2 in the default queue, where nobody is expected to look.
    pub(super) fn unclaimed(&self) -> Option<&PublishView> {
        let mut default = self
            .queues
            .first()
            .filter(|_| !self.keep_unclaimed)?
            .messages
            .iter();
        let first = default.find(|message| message.ticket.arrival.is_some());
        first.map(|received| &received.publish)
    }

    pub(super) fn is_readable(&self, id: QueueId) -> bool {
        self.queues
            .get(id.0 as usize)
            .is_some_and(|queue| !queue.messages.is_empty())
    }

    pub(super) fn pop(&mut self, id: QueueId) -> Option<Received> {
        self.queues.get_mut(id.0 as usize)?.messages.pop_front()
    }

    /// Puts a copy for each queue, all with the same arrival. Tells which queues were empty before.
    pub(super) fn push(
        &mut self,
        publish: PublishView,
        arrival: Option<u32>,
        queues: &[QueueId],
        mut woken: impl FnMut(QueueId),
    ) {
        let bytes = u32::try_from(publish.size()).unwrap_or(u32::MAX);
        if let Some(arrival) = arrival.and_then(|index| self.arrivals.get_mut(index)) {
            arrival.tickets = queues.len() as u32;
        }
        let mut put = |queue: &QueueId, publish| {
            // The memory is shared, but nobody knows which copy will hold it last: each counts in full.
            self.bytes += bytes as usize;
            let ticket = Ticket {
                epoch: self.epoch,
                bytes,
                arrival,
            };
            if let Some(to) = self.queues.get_mut(queue.0 as usize) {
                if to.messages.is_empty() {
                    woken(*queue);
                }
                to.messages.push_back(Received { publish, ticket });
            }
        };
        if let [others @ .., last] = queues {
            others.iter().for_each(|queue| put(queue, publish.clone()));
            put(last, publish);
        }
    }

    /// Drops the oldest QoS 0 message of this queue, or of any.
    pub(super) fn drop_oldest(&mut self, id: QueueId) -> bool {
        let first = id.0 as usize;
        let order =
            core::iter::once(first).chain((0..self.queues.len()).filter(|index| *index != first));
        for index in order {
            let Some(queue) = self.queues.get_mut(index) else {
                continue;
            };
            let oldest = queue
                .messages
                .iter()
                .position(|message| message.ticket.arrival.is_none());
            if let Some(dropped) = oldest.and_then(|at| queue.messages.remove(at)) {
                self.bytes -= dropped.ticket.bytes as usize;
                return true;
            }
        }
        false
    }

    /// Moves what `claims` from the default queue to another.
    pub(super) fn claim(&mut self, to: QueueId, claims: impl Fn(&PublishView) -> bool) {
        if to == QueueId::DEFAULT
            || !self
                .queues
                .get(to.0 as usize)
                .is_some_and(|queue| queue.open)
        {
            return;
        }
        let messages = core::mem::take(&mut self.queues[0].messages);
        let (claimed, left): (VecDeque<_>, VecDeque<_>) = messages
            .into_iter()
            .partition(|message| claims(&message.publish));
        self.queues[0].messages = left;
        self.queues[to.0 as usize].messages.extend(claimed);
    }

    /// Takes note of a PUBLISH of QoS 1 or 2.
    pub(super) fn see(&mut self, id: PacketId, qos: QoS, dup: bool) -> (Seen, Option<u32>) {
        if qos == QoS::ExactlyOnce && self.recorded.contains(id) {
            return (Seen::Recorded, None);
        }
        if qos == QoS::ExactlyOnce && self.doubtful.remove(id) && dup {
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
        let index = self.arrivals.insert(Arrival {
            id,
            qos,
            tickets,
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
        // A ticket of another session is a mistake, but must not upset the count.
        self.bytes = self.bytes.saturating_sub(ticket.bytes as usize);
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
    pub(super) fn next_ack(&mut self) -> Option<(PacketId, QoS)> {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let Some(index) = self.due(qos).front().copied() else {
                continue;
            };
            if self
                .arrivals
                .get(index)
                .is_some_and(|arrival| arrival.tickets > 0)
            {
                continue;
            }
            self.due(qos).pop_front();
            if let Some(arrival) = self.arrivals.remove(index) {
                self.unacknowledged.remove(arrival.id);
                if qos == QoS::ExactlyOnce {
                    self.recorded.insert(arrival.id);
                    self.recorded_here = self.recorded_here.saturating_add(1);
                }
                return Some((arrival.id, qos));
            }
        }
        None
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

    /// The identifiers that an earlier process had recorded.
    pub(super) fn restore(&mut self, recorded: impl IntoIterator<Item = PacketId>) {
        recorded.into_iter().for_each(|id| self.recorded.insert(id));
    }

    /// The identifiers of QoS 2 whose message the application has, and whose PUBREL has not come.
    pub(super) fn recorded(&self) -> impl Iterator<Item = PacketId> {
        let taken = self.arrivals.iter().filter_map(|(_, arrival)| {
            let taken = arrival.qos == QoS::ExactlyOnce && arrival.tickets == 0;
            (taken && !arrival.orphan).then_some(arrival.id)
        });
        self.recorded
            .iter()
            .chain(self.doubtful.iter())
            .chain(taken)
    }

    /// The connection is gone: what is unacknowledged waits for the server to send it again.
    pub(super) fn disconnected(&mut self) {
        self.recorded_here = 0;
        for index in self.pubacks.drain(..).chain(self.pubrecs.drain(..)) {
            if let Some(arrival) = self.arrivals.get(index) {
                self.held.insert(arrival.id, index);
            }
        }
    }

    /// The session is gone: tickets of it are stale, identifiers mean nothing any more.
    pub(super) fn new_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
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

/// A set of packet identifiers: a bit for each up to the largest that was ever in it, at most 8 KiB.
#[derive(Debug, Default)]
struct IdSet(Vec<u64>);

impl IdSet {
    fn contains(&self, id: PacketId) -> bool {
        let (word, bit) = Self::place(id);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn insert(&mut self, id: PacketId) {
        let (word, bit) = Self::place(id);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    fn remove(&mut self, id: PacketId) -> bool {
        let (word, bit) = Self::place(id);
        self.0.get_mut(word).is_some_and(|bits| {
            let was = *bits & bit != 0;
            *bits &= !bit;
            was
        })
    }

    fn iter(&self) -> impl Iterator<Item = PacketId> {
        let ids = (1..=u16::MAX).take(self.0.len() * 64);
        ids.filter_map(PacketId::new)
            .filter(|id| self.contains(*id))
    }

    fn take_all(&mut self, other: &mut Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        for (bits, more) in self.0.iter_mut().zip(core::mem::take(&mut other.0)) {
            *bits |= more;
        }
    }

    const fn place(id: PacketId) -> (usize, u64) {
        (id.get() as usize / 64, 1 << (id.get() % 64))
    }
}
