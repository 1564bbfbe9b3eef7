//! Which read buffers the messages that wait keep alive, and how much of them nobody counts.
//!
//! A received PUBLISH is a part of the buffer that it was read into, and keeps all of it. While a buffer is full of messages that wait
//! that costs nothing; one small message that is left of a large read costs all of it. Nothing that can be seen from outside depends on
//! what is found out here: only whether a message is copied.

use bytes::BytesMut;
use mqtt_proto::TopicRef;

use crate::session::slab::Slab;

/// No block: the message has memory of its own.
pub(crate) const OWN: u32 = u32::MAX;

/// One allocation of the driver's read buffer that messages wait in.
#[derive(Debug)]
struct Block {
    extent: usize,
    /// What of it are messages that wait, by their packets.
    waiting: usize,
    /// The first and the last message in it.
    first: u64,
    last: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Oldest {
    pub(super) index: u32,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) excess: usize,
}

#[derive(Debug)]
pub(super) struct Blocks {
    blocks: Slab<Block>,
    /// The buffer that is read from now, told from others by where it ends: taking packets from its front leaves that.
    end: usize,
    extent: usize,
    /// Its block, where messages wait in it.
    current: Option<u32>,
}

impl Blocks {
    pub(super) const fn new() -> Self {
        Self {
            blocks: Slab::new(),
            end: 0,
            extent: 0,
            current: None,
        }
    }

    /// Packets are about to be taken from this buffer. Whether messages wait in others, where it is another one than before.
    #[inline]
    pub(super) fn read_from(&mut self, buffer: &BytesMut) -> bool {
        let extent = buffer.capacity();
        // Only compared: a block that messages wait in is alive, so no other can end where it does.
        let end = (buffer.as_ptr() as usize).wrapping_add(extent);
        if end != self.end {
            (self.end, self.extent, self.current) = (end, extent, None);
            return self.blocks.len() > 0;
        }
        if extent > self.extent {
            self.extent = extent;
            if let Some(block) = self.current.and_then(|index| self.blocks.get_mut(index)) {
                block.extent = extent;
            }
        }
        false
    }

    /// Whether this topic is in the present buffer.
    #[cold]
    pub(super) fn has(&self, topic: TopicRef<'_>) -> bool {
        let at = topic.as_bytes().as_ptr() as usize;
        (1..=self.extent).contains(&self.end.wrapping_sub(at))
    }

    /// A message of the present buffer waits. Tells its block.
    #[inline]
    pub(super) fn hold(&mut self, size: usize, number: u64) -> u32 {
        if let Some(index) = self.current
            && let Some(block) = self.blocks.get_mut(index)
        {
            block.waiting += size;
            block.last = number;
            return index;
        }
        let index = self.blocks.insert(Block {
            extent: self.extent,
            waiting: size,
            first: number,
            last: number,
        });
        self.current = Some(index);
        index
    }

    /// A message of this block waits no more. Tells how much it keeps alive.
    #[inline]
    pub(super) fn let_go(&mut self, index: u32, size: usize) -> usize {
        let Some(block) = self.blocks.get_mut(index) else {
            return 0;
        };
        let extent = block.extent;
        block.waiting = block.waiting.saturating_sub(size);
        if block.waiting == 0 {
            self.forget(index);
        }
        extent
    }

    pub(super) fn forget(&mut self, index: u32) {
        self.blocks.remove(index);
        if self.current == Some(index) {
            self.current = None;
        }
    }

    /// What earlier buffers hold beyond what waits in them: the present one is the driver's anyway.
    pub(super) fn excess(&self) -> usize {
        self.blocks
            .iter()
            .filter(|(index, _)| self.current != Some(*index))
            .map(|(_, block)| block.extent.saturating_sub(block.waiting))
            .sum()
    }

    /// The block of the message that has waited longest, the numbers of the first and the last message in it, and what it holds beyond
    /// what waits.
    pub(super) fn oldest(&self, with_current: bool) -> Option<Oldest> {
        self.blocks
            .iter()
            .filter(|(index, _)| with_current || self.current != Some(*index))
            .min_by_key(|(_, block)| block.first)
            .map(|(index, block)| Oldest {
                index,
                first: block.first,
                last: block.last,
                excess: block.extent.saturating_sub(block.waiting),
            })
    }

    pub(super) fn give_memory_back(&mut self) {
        self.blocks.give_memory_back();
    }
}
