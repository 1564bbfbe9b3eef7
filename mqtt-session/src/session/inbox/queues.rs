//! The queues that received messages wait in, and what they hold.

use alloc::boxed::Box;
#[cfg(feature = "client")]
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem::{self, size_of};
use core::num::{NonZeroU32, NonZeroUsize};

use bytes::BytesMut;
use mqtt_proto::{PublishView, QoS};

use super::blocks::{Blocks, OWN, Oldest};
use super::fifo::{Fifo, Spare};
use crate::{QueueId, QueueOptions, Received, Ticket};

/// A buffer of a usual read. A small message of a larger one is copied when it is taken.
const USUAL_READ: usize = 128 * 1024;

#[derive(Debug)]
pub(super) struct Queues {
    queues: Vec<Queue>,
    /// That of the queue which was opened last. Begins at a point drawn from the seed, so that a queue of another session is told apart.
    generation: u32,
    /// What the messages cost that have a ticket outside, or wait.
    pub(super) bytes: usize,
    /// How many wait at QoS 0.
    droppable: usize,
    /// How many were copied out of their read buffers.
    pub(super) copied: u64,
    /// How many of QoS 0 were dropped for the bounds of their queues.
    pub(super) over_bound: u64,
    /// Numbers the messages.
    next: u64,
    blocks: Blocks,
    spare: Spare,
    /// Where QoS 0 messages were found last.
    cursor: usize,
}

#[derive(Debug, Default)]
struct Queue {
    /// Made with the first message, as an idle session is to be small.
    waiting: Option<Box<Waiting>>,
    open: bool,
    /// As its [`QueueId`] has it.
    generation: u32,
    ack_on_arrival: bool,
    /// How many of QoS 0 may wait. Small, for the same reason.
    max_at_most_once: Option<NonZeroU32>,
    /// Of QoS 0, since it was opened.
    dropped: u64,
}

/// Messages of QoS 0 wait apart, so that the oldest is found at once. Their numbers tell the order of all.
#[derive(Debug, Default)]
struct Waiting {
    droppable: Fifo,
    kept: Fifo,
}

/// Whether a message may be dropped.
#[inline]
fn is_droppable(publish: &PublishView) -> bool {
    publish.qos() == QoS::AtMostOnce
}

/// What a message costs while it waits: its packet of this size, and its place in the queues, which grow by doubling.
pub(in crate::session) const fn cost(size: usize) -> usize {
    size + Received::OVERHEAD
}

impl Received {
    /// What a received message counts beyond its packet's size, in bytes: its place in the queues, however it is laid out.
    pub const OVERHEAD: usize = 2 * (size_of::<Self>() + 32);
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.waiting
            .as_ref()
            .is_none_or(|waiting| waiting.is_empty())
    }

    /// Puts those in that come from elsewhere, each where its number says.
    fn merge(&mut self, messages: Vec<Received>, spare: &mut Spare) {
        if !messages.is_empty() {
            self.waiting.get_or_insert_default().merge(messages, spare);
        }
    }

    /// The oldest message of QoS 0.
    fn pop_droppable(&mut self, spare: &mut Spare) -> Option<Received> {
        self.waiting.as_mut()?.droppable.pop_front(spare)
    }

    /// How many wait at QoS 0.
    fn droppable(&self) -> usize {
        self.waiting
            .as_ref()
            .map_or(0, |waiting| waiting.droppable.len())
    }
}

impl Waiting {
    const fn is_empty(&self) -> bool {
        self.droppable.is_empty() && self.kept.is_empty()
    }

    /// Whether the next message is of QoS 0.
    #[inline]
    fn next_is_droppable(&self) -> bool {
        match (self.droppable.front(), self.kept.front()) {
            (Some(droppable), Some(kept)) => droppable.ticket.number < kept.ticket.number,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    #[inline]
    const fn fifo(&mut self, droppable: bool) -> &mut Fifo {
        if droppable {
            &mut self.droppable
        } else {
            &mut self.kept
        }
    }

    /// Puts those in that come from elsewhere, each where its number says.
    fn merge(&mut self, messages: Vec<Received>, spare: &mut Spare) {
        let (droppable, kept): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .partition(|received| is_droppable(&received.publish));
        for (fifo, others) in [(&mut self.droppable, droppable), (&mut self.kept, kept)] {
            if others.is_empty() {
                continue;
            }
            let mut all = mem::take(fifo).into_vec();
            all.extend(others);
            // Two runs in order: merging them costs no more than going through them.
            all.sort_by_key(|received| received.ticket.number);
            for received in all {
                fifo.push_back(received, spare);
            }
        }
    }
}

/// What is taken of a buffer of this size is copied where it is a small part of a large one.
#[inline]
fn copy_small(Received { publish, ticket }: &mut Received, extent: usize) -> bool {
    let copies = extent > USUAL_READ && extent / 4 > publish.size();
    if copies {
        publish.detach();
        ticket.block = OWN;
    }
    copies
}

#[inline]
fn get_mut(queues: &mut [Queue], id: QueueId) -> Option<&mut Queue> {
    queues
        .get_mut(id.place())
        .filter(|queue| queue.open && queue.generation == id.generation())
}

impl Queues {
    /// The generations of queues begin here.
    pub(super) fn new(generation: u32) -> Self {
        Self {
            queues: alloc::vec![Queue {
                open: true,
                ..Queue::default()
            }],
            generation,
            bytes: 0,
            droppable: 0,
            copied: 0,
            over_bound: 0,
            next: 0,
            blocks: Blocks::new(),
            spare: Spare::new(),
            cursor: 0,
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        let lens = self
            .queues
            .iter()
            .filter_map(|queue| queue.waiting.as_deref())
            .map(|waiting| waiting.droppable.len() + waiting.kept.len());
        lens.sum()
    }

    pub(super) fn open(&mut self) -> QueueId {
        let free = self
            .queues
            .iter()
            .position(|queue| !queue.open && queue.is_empty());
        let index = free.unwrap_or_else(|| {
            self.queues.push(Queue::default());
            self.queues.len() - 1
        });
        self.generation = self.generation.wrapping_add(1);
        self.queues[index] = Queue {
            open: true,
            generation: self.generation,
            ..Queue::default()
        };
        QueueId::new(index as u32, self.generation)
    }

    #[inline]
    fn get(&self, id: QueueId) -> Option<&Queue> {
        let queue = self.queues.get(id.place())?;
        (queue.open && queue.generation == id.generation()).then_some(queue)
    }

    /// Whether there is this queue.
    pub(super) fn is_open(&self, id: QueueId) -> bool {
        self.get(id).is_some()
    }

    /// Closes a queue. QoS 1 and 2 messages go to the default queue, still to be acknowledged; the QoS 0 ones are given back.
    pub(super) fn close(&mut self, id: QueueId) -> Vec<Received> {
        if id == QueueId::DEFAULT {
            return Vec::new();
        }
        let Some(queue) = get_mut(&mut self.queues, id) else {
            return Vec::new();
        };
        let Some(waiting) = mem::take(queue).waiting else {
            return Vec::new();
        };
        let Waiting { droppable, kept } = *waiting;
        self.queues[0].merge(kept.into_vec(), &mut self.spare);
        let dropped = droppable.into_vec();
        for received in &dropped {
            self.leaves(received);
        }
        dropped
    }

    /// Takes messages that were popped back into the default queue. Nobody has counted since what they keep alive, so they are copied.
    #[cfg(feature = "client")]
    pub(super) fn take_back(&mut self, mut unread: Vec<Received>) {
        for Received { publish, ticket } in &mut unread {
            publish.detach();
            ticket.block = OWN;
            self.droppable += usize::from(is_droppable(publish));
        }
        self.queues[0].merge(unread, &mut self.spare);
    }

    pub(super) fn acks_on_arrival(&self, id: QueueId) -> bool {
        self.get(id).is_some_and(|queue| queue.ack_on_arrival)
    }

    pub(super) fn dropped_of(&self, id: QueueId) -> u64 {
        self.get(id).map_or(0, |queue| queue.dropped)
    }

    /// Sets how a queue treats its messages. Gives the tickets of those that need none any more, without the room that they still take.
    pub(super) fn set(&mut self, id: QueueId, options: QueueOptions) -> Vec<Ticket> {
        let Some(queue) = get_mut(&mut self.queues, id) else {
            return Vec::new();
        };
        queue.ack_on_arrival = options.ack_on_arrival;
        // More than fits is no bound.
        queue.max_at_most_once = options
            .max_at_most_once
            .and_then(|max| NonZeroU32::try_from(max).ok());
        let mut acked = Vec::new();
        if options.ack_on_arrival {
            let kept = queue.waiting.iter_mut();
            for Received { ticket, .. } in kept.flat_map(|waiting| waiting.kept.iter_mut()) {
                acked.push(Ticket {
                    bytes: 0,
                    arrival: ticket.arrival.take(),
                    ..*ticket
                });
            }
        }
        let max = options
            .max_at_most_once
            .map_or(usize::MAX, NonZeroUsize::get);
        let beyond = queue.droppable().saturating_sub(max);
        queue.dropped += beyond as u64;
        let oldest = || queue.pop_droppable(&mut self.spare);
        let dropped: Vec<_> = core::iter::from_fn(oldest).take(beyond).collect();
        self.over_bound += beyond as u64;
        for received in &dropped {
            self.free(&received.ticket);
            self.leaves(received);
        }
        acked
    }

    /// The first message of QoS 1 or 2.
    pub(super) fn first_kept(&self, id: QueueId) -> Option<&PublishView> {
        let waiting = self.get(id)?.waiting.as_ref()?;
        waiting.kept.front().map(|received| &received.publish)
    }

    pub(super) fn is_readable(&self, id: QueueId) -> bool {
        self.get(id).is_some_and(|queue| !queue.is_empty())
    }

    #[inline]
    pub(super) fn pop(&mut self, id: QueueId) -> Option<Received> {
        self.pop_of(id, &mut None)
    }

    /// The next message, if it waits in this read buffer (in any, for the first) or has memory of its own.
    #[inline]
    pub(super) fn pop_of(&mut self, id: QueueId, block: &mut Option<u32>) -> Option<Received> {
        let waiting = get_mut(&mut self.queues, id)?.waiting.as_mut()?;
        let droppable = waiting.next_is_droppable();
        let fifo = waiting.fifo(droppable);
        let received = fifo.front_mut(&mut self.spare)?;
        let of = received.ticket.block;
        if of != OWN {
            if *block.get_or_insert(of) != of {
                return None;
            }
            let extent = self.blocks.let_go(of, received.publish.size());
            self.copied += u64::from(copy_small(received, extent));
        }
        self.droppable -= usize::from(droppable);
        fifo.pop_front(&mut self.spare)
    }

    /// Takes the messages of one run into `batch`, which is empty, where all of them come before others of this queue.
    #[cfg(feature = "client")]
    pub(super) fn take_run(&mut self, id: QueueId, batch: &mut VecDeque<Received>) -> bool {
        let queue = get_mut(&mut self.queues, id);
        let Some(waiting) = queue.and_then(|queue| queue.waiting.as_mut()) else {
            return false;
        };
        let droppable = waiting.next_is_droppable();
        let (fifo, other) = match droppable {
            true => (&mut waiting.droppable, &waiting.kept),
            false => (&mut waiting.kept, &waiting.droppable),
        };
        let before = other.front().map(|received| received.ticket.number);
        let Some(taken) = fifo.take_run(batch, before, &mut self.spare) else {
            return false;
        };
        if droppable {
            self.droppable -= batch.len();
        }
        if taken.block != OWN {
            let extent = self.blocks.let_go(taken.block, taken.bytes);
            if extent > USUAL_READ {
                for received in batch {
                    self.copied += u64::from(copy_small(received, extent));
                }
            }
        }
        true
    }

    /// The room of a ticket is free. One of another client may have freed more than it had taken here.
    pub(super) const fn free(&mut self, ticket: &Ticket) {
        self.bytes = self.bytes.saturating_sub(ticket.bytes as usize);
    }

    /// A QoS 0 message is dropped.
    #[inline(never)]
    fn leaves(&mut self, received: &Received) {
        let Received { publish, ticket } = received;
        self.droppable -= 1;
        if ticket.block != OWN {
            self.blocks.let_go(ticket.block, publish.size());
        }
    }

    /// Puts a copy for each queue, all with the same arrival. Tells which queues were empty before.
    #[inline(always)]
    pub(super) fn push(
        &mut self,
        publish: PublishView,
        epoch: u32,
        arrival: Option<u32>,
        queues: &[QueueId],
        mut woken: impl FnMut(QueueId),
    ) {
        let bytes = u32::try_from(cost(publish.size())).unwrap_or(u32::MAX);
        let number = self.next;
        self.next += 1;
        let [others @ .., last] = queues else {
            return;
        };
        for queue in others {
            if self.put_copy(*queue, &publish, epoch, bytes, arrival, number) {
                woken(*queue);
            }
        }
        if self.put(*last, publish, epoch, bytes, arrival, number) {
            woken(*last);
        }
    }

    /// One of several: apart, so that the only one has the short way.
    #[inline(never)]
    fn put_copy(
        &mut self,
        queue: QueueId,
        publish: &PublishView,
        epoch: u32,
        bytes: u32,
        arrival: Option<u32>,
        number: u64,
    ) -> bool {
        self.put(queue, publish.clone(), epoch, bytes, arrival, number)
    }

    /// Whether the queue was empty before.
    #[inline(always)]
    fn put(
        &mut self,
        queue: QueueId,
        publish: PublishView,
        epoch: u32,
        bytes: u32,
        arrival: Option<u32>,
        number: u64,
    ) -> bool {
        let Some(to) = get_mut(&mut self.queues, queue) else {
            return false;
        };
        let droppable = arrival.is_none();
        let arrival = arrival.filter(|_| !to.ack_on_arrival);
        let was_empty = to.is_empty();
        // One of several, and only where it is bounded.
        if droppable
            && let Some(max) = to.max_at_most_once
            && to.droppable() >= max.get() as usize
            && let Some(oldest) = to.pop_droppable(&mut self.spare)
        {
            to.dropped += 1;
            self.over_bound += 1;
            self.free(&oldest.ticket);
            self.leaves(&oldest);
        }
        let Some(to) = get_mut(&mut self.queues, queue) else {
            return false;
        };
        // The memory is shared, but nobody knows which copy will hold it last: each counts in full.
        self.bytes += bytes as usize;
        self.droppable += usize::from(droppable);
        // One comparison for most: only what has an alias may have been copied to where its topic is.
        let block = if publish.topic_alias().is_some() && !self.blocks.has(publish.topic()) {
            OWN
        } else {
            self.blocks.hold(publish.size(), number)
        };
        let ticket = Ticket {
            epoch,
            bytes,
            arrival,
            block,
            number,
        };
        let waiting = to.waiting.get_or_insert_default();
        waiting
            .fifo(droppable)
            .push_back(Received { publish, ticket }, &mut self.spare);
        was_empty
    }

    /// Drops the oldest QoS 0 message of this queue, or of any.
    pub(super) fn drop_oldest(&mut self, id: QueueId) -> bool {
        if self.droppable == 0 {
            return false;
        }
        let mut index = id.place();
        // The search goes on where it ended last: a queue is passed over once for what is dropped from the others.
        for _ in 0..=self.queues.len() {
            if self.drop_oldest_at(index) {
                return true;
            }
            if index == self.cursor {
                self.cursor = (self.cursor + 1) % self.queues.len();
            }
            index = self.cursor;
        }
        false
    }

    /// Drops the oldest QoS 0 message in this place.
    pub(super) fn drop_oldest_at(&mut self, index: usize) -> bool {
        let queue = self.queues.get_mut(index);
        let oldest = queue.and_then(|queue| queue.pop_droppable(&mut self.spare));
        let Some(dropped) = oldest else {
            return false;
        };
        self.free(&dropped.ticket);
        self.leaves(&dropped);
        true
    }

    /// Moves what `claims` from the default queue to another, which is open.
    pub(super) fn claim(
        &mut self,
        to: QueueId,
        claims: impl Fn(&PublishView) -> bool,
        mut moves: impl FnMut(Option<u32>),
    ) {
        let [default, others @ ..] = self.queues.as_mut_slice() else {
            return;
        };
        let index = to.place().checked_sub(1);
        let Some(to) = index.and_then(|index| others.get_mut(index)) else {
            return;
        };
        let Some(waiting) = &mut default.waiting else {
            return;
        };
        for fifo in [&mut waiting.droppable, &mut waiting.kept] {
            let (claimed, left): (Vec<_>, Vec<_>) = mem::take(fifo)
                .into_vec()
                .into_iter()
                .partition(|message| claims(&message.publish));
            for received in left {
                fifo.push_back(received, &mut self.spare);
            }
            claimed
                .iter()
                .for_each(|received| moves(received.ticket.arrival));
            to.merge(claimed, &mut self.spare);
        }
    }

    /// Packets are about to be taken from this buffer. What waits from others has waited past its turn: where it keeps more alive than
    /// this beyond what is counted, it is copied out, the oldest first.
    #[inline]
    pub(super) fn read_from(&mut self, buffer: &BytesMut, excess: usize) {
        if self.blocks.read_from(buffer) {
            self.copy_out(excess);
        }
    }

    fn copy_out(&mut self, most: usize) {
        let mut excess = self.blocks.excess();
        while excess > most
            && let Some(block) = self.blocks.oldest(false)
        {
            excess -= block.excess;
            self.copy_block(&block);
        }
    }

    /// So much time has passed that nothing that waits shall keep a read buffer, nor the queues what a burst has left behind.
    pub(super) fn give_memory_back(&mut self) {
        while let Some(block) = self.blocks.oldest(true) {
            self.copy_block(&block);
        }
        self.blocks.give_memory_back();
        self.spare = Spare::new();
        for queue in &mut self.queues {
            queue.waiting.take_if(|waiting| waiting.is_empty());
            if let Some(waiting) = &mut queue.waiting {
                waiting.droppable.give_memory_back();
                waiting.kept.give_memory_back();
            }
        }
    }

    fn copy_block(&mut self, block: &Oldest) {
        let all = self.queues.iter_mut();
        for waiting in all.filter_map(|queue| queue.waiting.as_mut()) {
            for fifo in [&mut waiting.droppable, &mut waiting.kept] {
                self.copied += fifo.copy_out(block);
            }
        }
        self.blocks.forget(block.index);
    }
}
