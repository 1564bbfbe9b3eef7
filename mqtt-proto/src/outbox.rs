//! Encoded packets on their way out.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
#[cfg(feature = "std")]
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Payloads from this length on are chained as their own chunk and not copied.
///
/// A page: chosen, and not yet measured together with the vectored write that a chunk of its own costs a slice of.
pub(crate) const CHAIN_FROM: usize = 4096;

/// A queue of encoded packets, which are written by as few system calls as the socket allows.
///
/// Small payloads are copied behind their header, large ones are chained as they are. It is a [`Buf`]: after a write of `n`
/// bytes, full or partial, `advance(n)`. Its memory is kept for the next packets.
///
/// `Debug` shows how much waits, and not what: passwords and payloads are among it.
#[derive(Default)]
pub struct Outbox {
    /// Copied bytes, in the order of sending.
    copied: Vec<u8>,
    /// How much of `copied` was taken.
    taken: usize,
    /// Chained payloads: each follows `copied[..at]`.
    chained: VecDeque<(usize, Bytes)>,
    /// The sum of the lengths in `chained`.
    chained_len: usize,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Outbox {
    /// An empty queue, without memory of its own yet.
    pub const fn new() -> Self {
        Self {
            copied: Vec::new(),
            taken: 0,
            chained: VecDeque::new(),
            chained_len: 0,
        }
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.copied.len() - self.taken + self.chained_len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Throws away what waits; keeps the memory.
    pub fn clear(&mut self) {
        self.copied.clear();
        self.taken = 0;
        self.chained.clear();
        self.chained_len = 0;
    }

    /// Gives memory back beyond `capacity` bytes, as far as it is not in use.
    pub fn shrink_to(&mut self, capacity: usize) {
        self.copied.shrink_to(capacity);
        self.chained
            .shrink_to(capacity / size_of::<(usize, Bytes)>());
    }

    /// Moves everything from `other` behind what waits here. Where nothing waits here, the two are exchanged: no byte is copied.
    pub fn append(&mut self, other: &mut Self) {
        if self.is_empty() {
            core::mem::swap(self, other);
            return;
        }
        let shift = self.copied.len();
        self.chained.extend(
            other
                .chained
                .drain(..)
                .map(|(at, bytes)| (at - other.taken + shift, bytes)),
        );
        self.chained_len += core::mem::take(&mut other.chained_len);
        self.copied.extend_from_slice(&other.copied[other.taken..]);
        other.clear();
    }

    /// Puts bytes that are encoded already behind what waits, such as what packets have become in a transport. Few are copied, many are chained.
    pub fn push(&mut self, bytes: Bytes) {
        if bytes.len() < CHAIN_FROM {
            self.copied.extend_from_slice(&bytes);
        } else {
            self.chain(bytes);
        }
    }

    /// Everything that waits, copied into one piece.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len());
        let mut from = self.taken;
        for (at, bytes) in &self.chained {
            all.extend_from_slice(&self.copied[from..*at]);
            all.extend_from_slice(bytes);
            from = *at;
        }
        all.extend_from_slice(&self.copied[from..]);
        all
    }

    /// Where to append `additional` bytes.
    #[inline]
    pub(crate) fn buffer(&mut self, additional: usize) -> &mut Vec<u8> {
        self.copied.reserve(additional);
        &mut self.copied
    }

    /// Appends a payload without a copy.
    pub(crate) fn chain(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.chained_len += bytes.len();
            self.chained.push_back((self.copied.len(), bytes));
        }
    }

    /// Where nothing drains fully for long, the part that was taken would only grow: it is cut off when it outweighs the rest.
    fn compact(&mut self) {
        if self.taken == self.copied.len() && self.chained.is_empty() {
            self.clear();
        } else if self.taken >= 64 * 1024 && self.taken > self.copied.len() / 2 {
            self.copied.drain(..self.taken);
            for (at, _) in &mut self.chained {
                *at -= self.taken;
            }
            self.taken = 0;
        }
    }
}

impl Buf for Outbox {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        match self.chained.front() {
            Some((at, bytes)) if *at == self.taken => bytes,
            Some((at, _)) => &self.copied[self.taken..*at],
            None => &self.copied[self.taken..],
        }
    }

    #[cfg(feature = "std")]
    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        let mut put = |bytes: &'a [u8]| {
            if let Some(slot) = slices.get_mut(filled)
                && !bytes.is_empty()
            {
                *slot = IoSlice::new(bytes);
                filled += 1;
            }
        };
        let mut from = self.taken;
        for (at, bytes) in &self.chained {
            put(&self.copied[from..*at]);
            put(bytes);
            from = *at;
        }
        put(&self.copied[from..]);
        filled
    }

    /// # Panics
    ///
    /// If `count` is more than what waits, as `Buf` asks.
    fn advance(&mut self, mut count: usize) {
        assert!(
            count <= self.len(),
            "cannot advance by {count} of {} bytes",
            self.len()
        );
        while count > 0 {
            match self.chained.front_mut() {
                Some((at, bytes)) if *at == self.taken => {
                    let step = count.min(bytes.len());
                    bytes.advance(step);
                    self.chained_len -= step;
                    count -= step;
                    if bytes.is_empty() {
                        self.chained.pop_front();
                    }
                }
                front => {
                    let end = front.map_or(self.copied.len(), |(at, _)| *at);
                    let step = count.min(end - self.taken);
                    self.taken += step;
                    count -= step;
                }
            }
        }
        self.compact();
    }
}
