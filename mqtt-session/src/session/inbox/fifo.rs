//! Messages that wait in their order, in runs that are handed over as a whole: each is moved once on its way in, and once on its way out.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

use super::blocks::{OWN, Oldest};
use crate::Received;

impl Received {
    /// So many messages a run has at most.
    pub(crate) const RUN: usize = 64;
    /// And so many bytes but for the last.
    pub(crate) const RUN_BYTES: usize = 64 * 1024;
}

/// Memory for messages that has become free, for the next run that begins.
pub(super) type Spare = Vec<Vec<Received>>;

#[derive(Debug, Default)]
pub(super) struct Fifo {
    /// Those of the first run that are taken one by one.
    first: VecDeque<Received>,
    /// Each but the last has many messages, or large ones. The only one may be empty, and is kept for its memory.
    others: VecDeque<Run>,
    len: usize,
}

#[derive(Debug)]
struct Run {
    messages: Vec<Received>,
    /// The read buffer that all of them are in, [`OWN`] where all have memory of their own, else [`SEVERAL`].
    block: u32,
    /// Their packets.
    bytes: usize,
}

/// No block either: the messages are not all of one.
const SEVERAL: u32 = OWN - 1;

/// What is told of messages that were taken together.
#[cfg(feature = "client")]
pub(super) struct Taken {
    pub(super) block: u32,
    pub(super) bytes: usize,
}

impl Run {
    const fn new(messages: Vec<Received>, block: u32) -> Self {
        Self {
            messages,
            block,
            bytes: 0,
        }
    }

    #[inline(always)]
    const fn has_room(&self) -> bool {
        self.messages.len() < Received::RUN && self.bytes < Received::RUN_BYTES
    }
}

impl Fifo {
    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(super) fn front(&self) -> Option<&Received> {
        match self.first.front() {
            None => self.others.front()?.messages.first(),
            front => front,
        }
    }

    #[inline(always)]
    pub(super) fn push_back(&mut self, received: Received, spare: &mut Spare) {
        let (block, size) = (received.ticket.block, received.publish.size());
        let run = match self.others.back_mut() {
            Some(run) if run.block == block && run.has_room() => run,
            _ => self.run_for(block, spare),
        };
        run.bytes += size;
        run.messages.push(received);
        self.len += 1;
    }

    /// The first one, to be taken apart from the others of its run.
    #[inline]
    pub(super) fn front_mut(&mut self, spare: &mut Spare) -> Option<&mut Received> {
        if self.first.is_empty() {
            self.open(spare);
        }
        self.first.front_mut()
    }

    #[inline]
    pub(super) fn pop_front(&mut self, spare: &mut Spare) -> Option<Received> {
        if self.first.is_empty() {
            self.open(spare);
        }
        let received = self.first.pop_front();
        self.len -= usize::from(received.is_some());
        received
    }

    /// Takes the first run, for memory that is free, where all of it is in one read buffer and came before this one.
    #[cfg(feature = "client")]
    pub(super) fn take_run(
        &mut self,
        batch: &mut VecDeque<Received>,
        before: Option<u64>,
        spare: &mut Spare,
    ) -> Option<Taken> {
        let run = self.others.front()?;
        let last = run.messages.last()?.ticket.number;
        let together = self.first.is_empty() && run.block != SEVERAL;
        if !together || before.is_some_and(|before| before < last) {
            return None;
        }
        let free = Vec::from(mem::take(batch));
        let Run {
            messages,
            block,
            bytes,
        } = self.next(free, spare)?;
        self.len -= messages.len();
        *batch = messages.into();
        Some(Taken { block, bytes })
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Received> {
        let others = self.others.iter_mut().flat_map(|run| &mut run.messages);
        self.first.iter_mut().chain(others)
    }

    /// All of them, in their order.
    pub(super) fn into_vec(self) -> Vec<Received> {
        let others = self.others.into_iter().flat_map(|run| run.messages);
        self.first.into_iter().chain(others).collect()
    }

    /// Copies those of a block out of it. Tells how many.
    pub(super) fn copy_out(&mut self, block: &Oldest) -> u64 {
        let Self { first, others, .. } = self;
        let is_before = |received: &Received| received.ticket.number < block.first;
        let from = first.partition_point(is_before);
        let mut copied = copy_all(first.range_mut(from..), block);
        let from = others.partition_point(|run| run.messages.last().is_none_or(is_before));
        for run in others.range_mut(from..) {
            match run.messages.first() {
                Some(first) if first.ticket.number <= block.last => {}
                _ => break,
            }
            if run.block == block.index {
                run.block = OWN;
            }
            copied += copy_all(run.messages.iter_mut(), block);
        }
        copied
    }

    /// Gives back what a burst has left behind.
    pub(super) fn give_memory_back(&mut self) {
        let Self { first, others, .. } = self;
        if first.len() <= first.capacity() / 4 {
            first.shrink_to(first.len() * 2);
        }
        for Run { messages, .. } in others.iter_mut() {
            if messages.len() <= messages.capacity() / 4 {
                messages.shrink_to(messages.len() * 2);
            }
        }
        if others.len() <= others.capacity() / 4 {
            others.shrink_to(others.len() * 2);
        }
    }

    /// The run that takes a message of this block, which the last one is not made for.
    #[inline(never)]
    fn run_for(&mut self, block: u32, spare: &mut Spare) -> &mut Run {
        // Half of what a run may have, lest many a run of a message or two takes its memory.
        let joins = |run: &Run| run.has_room() && run.messages.len() < Received::RUN / 2;
        if !self.others.back().is_some_and(joins) {
            let messages = spare.pop().unwrap_or_else(|| {
                let is_long = self.len >= Received::RUN;
                Vec::with_capacity(if is_long { Received::RUN } else { 0 })
            });
            self.others.push_back(Run::new(messages, block));
        }
        let last = self.others.len() - 1;
        let run = &mut self.others[last];
        if run.messages.is_empty() {
            run.block = block;
        } else if run.block != block {
            run.block = SEVERAL;
        }
        run
    }

    /// Makes the next run the one that is taken one by one.
    #[inline(never)]
    fn open(&mut self, spare: &mut Spare) {
        if self.len > 0 {
            let free = Vec::from(mem::take(&mut self.first));
            if let Some(run) = self.next(free, spare) {
                self.first = run.messages.into();
            }
        }
    }

    /// The next run, for memory that is free.
    fn next(&mut self, free: Vec<Received>, spare: &mut Spare) -> Option<Run> {
        if self.others.len() == 1 {
            let last = self.others.front_mut()?;
            return Some(mem::replace(last, Run::new(free, OWN)));
        }
        if free.capacity() > 0 {
            spare.push(free);
        }
        self.others.pop_front()
    }
}

/// Copies those of a block, which are all up to its last.
fn copy_all<'a>(messages: impl Iterator<Item = &'a mut Received>, block: &Oldest) -> u64 {
    let mut copied = 0;
    for Received { publish, ticket } in messages {
        if ticket.number > block.last {
            break;
        }
        if ticket.block == block.index {
            publish.detach();
            ticket.block = OWN;
            copied += 1;
        }
    }
    copied
}

#[cfg(all(test, feature = "client"))]
mod tests {
    use std::collections::VecDeque as Model;

    use bytes::{BufMut, BytesMut};
    use mqtt_proto::{Decoder, PublishView, Sender, Version};
    use proptest::prelude::*;

    use super::*;
    use crate::Ticket;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// So many messages of so many bytes come in this read buffer.
        Push(usize, usize, u32),
        Pop(usize),
        TakeRun(Option<u64>),
        CopyOut(usize),
        GiveMemoryBack,
        IntoVec,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1..200_usize, prop_oneof![8..20_usize, 2_000..9_000_usize], 0..3_u32)
                .prop_map(|(count, size, block)| Step::Push(count, size, block)),
            2 => (0..100_usize).prop_map(Step::Pop),
            4 => proptest::option::of(0..400_u64).prop_map(Step::TakeRun),
            1 => (0..300_usize).prop_map(Step::CopyOut),
            1 => Just(Step::GiveMemoryBack),
            1 => Just(Step::IntoVec),
        ]
    }

    fn publish(size: usize) -> PublishView {
        let mut frame = BytesMut::new();
        frame.put_u8(0x30);
        let mut rest = size;
        while rest > 127 {
            frame.put_u8(rest as u8 | 0x80);
            rest >>= 7;
        }
        frame.put_u8(rest as u8);
        frame.put_slice(&[0, 1, b't']);
        frame.put_bytes(b'x', size - 3);
        let decoder = Decoder::new(Version::V3_1_1, Sender::Server);
        let publish = decoder.decode_publish(&mut frame);
        publish.expect("it is one").expect("it is whole")
    }

    fn received(number: u64, size: usize, block: u32) -> Received {
        Received {
            publish: publish(size),
            ticket: Ticket {
                epoch: 0,
                bytes: 0,
                arrival: None,
                block,
                number,
            },
        }
    }

    proptest! {
        /// Whatever is done to it, it is a queue.
        #[test]
        fn it_gives_what_it_was_given_in_the_order_of_coming(
            steps in proptest::collection::vec(step(), 1..40)
        ) {
            let mut fifo = Fifo::default();
            let mut spare = Spare::new();
            // Numbers, blocks and sizes.
            let mut model: Model<(u64, u32, usize)> = Model::new();
            let mut next = 0;
            let mut batch = VecDeque::new();
            for step in steps {
                match step {
                    Step::Push(count, size, block) => for _ in 0..count {
                        fifo.push_back(received(next, size, block), &mut spare);
                        model.push_back((next, block, publish(size).size()));
                        next += 1;
                    },
                    Step::Pop(count) => for _ in 0..count {
                        let popped = fifo.pop_front(&mut spare);
                        let popped = popped.map(|one| (one.ticket.number, one.ticket.block, one.publish.size()));
                        prop_assert_eq!(popped, model.pop_front());
                    },
                    Step::TakeRun(ahead) => {
                        let before = ahead.map(|ahead| model.front().map_or(0, |one| one.0) + ahead);
                        if let Some(taken) = fifo.take_run(&mut batch, before, &mut spare) {
                            prop_assert!((1..=Received::RUN).contains(&batch.len()));
                            let mut bytes = 0;
                            for one in batch.drain(..) {
                                prop_assert!(before.is_none_or(|before| one.ticket.number <= before));
                                prop_assert!(bytes < Received::RUN_BYTES);
                                bytes += one.publish.size();
                                prop_assert_eq!(one.ticket.block, taken.block);
                                let one = (one.ticket.number, one.ticket.block, one.publish.size());
                                prop_assert_eq!(Some(one), model.pop_front());
                            }
                            prop_assert_eq!(bytes, taken.bytes);
                        }
                    }
                    Step::CopyOut(at) => {
                        let Some(&(_, index, _)) = model.get(at) else { continue };
                        let mut of_block = model.iter_mut().filter(|one| one.1 == index).peekable();
                        let first = of_block.peek().map_or(0, |one| one.0);
                        let (mut last, mut count) = (0, 0);
                        for one in of_block {
                            (last, one.1) = (one.0, OWN);
                            count += 1;
                        }
                        let copied = fifo.copy_out(&Oldest { index, first, last, excess: 0 });
                        prop_assert_eq!(copied, count);
                    }
                    Step::GiveMemoryBack => {
                        fifo.give_memory_back();
                        spare = Spare::new();
                    }
                    Step::IntoVec => for one in mem::take(&mut fifo).into_vec() {
                        prop_assert_eq!(model.get(fifo.len()).map(|one| one.0), Some(one.ticket.number));
                        fifo.push_back(one, &mut spare);
                    },
                }
                prop_assert_eq!(fifo.len(), model.len());
                prop_assert_eq!(fifo.is_empty(), model.is_empty());
                prop_assert_eq!(fifo.front().map(|one| one.ticket.number), model.front().map(|one| one.0));
                let all = fifo.iter_mut().map(|one| one.ticket.number);
                prop_assert!(all.eq(model.iter().map(|one| one.0)));
            }
        }
    }
}
