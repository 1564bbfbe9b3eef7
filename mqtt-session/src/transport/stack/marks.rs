//! What was written of the session's bytes, told by what was written of the bytes that became of them.

use alloc::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Bytes for the network that the driver was given.
    given: u64,
    /// How many of these are written.
    written: u64,
    /// Bytes that were taken from the session.
    taken: u64,
    /// How many of these the session knows to be written.
    told: u64,
    /// Up to which byte for the network `told` reaches.
    told_at: u64,
    /// Where everything that was taken is in what was given: so many bytes of the network for so many of the session.
    marks: VecDeque<(u64, u64)>,
}

impl Marks {
    /// How many bytes the driver has and has not written.
    pub(super) const fn ahead(&self) -> usize {
        (self.given - self.written) as usize
    }

    pub(super) fn is_settled(&self) -> bool {
        self.given == self.written && self.marks.is_empty()
    }

    pub(super) const fn give(&mut self, count: usize) {
        self.given += count as u64;
    }

    pub(super) const fn take(&mut self, count: usize) {
        self.taken += count as u64;
    }

    /// Everything that was taken is in what was given.
    pub(super) fn mark(&mut self) {
        let marked = self.marks.back().map_or(self.told, |(_, taken)| *taken);
        if self.taken > marked {
            self.marks.push_back((self.given, self.taken));
        }
    }

    /// So many more are written. How many of the session's are written with them as a whole, and how many more perhaps in part.
    pub(super) fn written(&mut self, count: usize) -> (usize, usize) {
        self.written = (self.written + count as u64).min(self.given);
        let before = self.told;
        while let Some((given, taken)) = self.marks.front().copied()
            && given <= self.written
        {
            self.marks.pop_front();
            (self.told_at, self.told) = (given, taken);
        }
        let touched = if self.written > self.told_at {
            let next = self.marks.front().map_or(self.taken, |(_, taken)| *taken);
            next - self.told
        } else {
            0
        };
        ((self.told - before) as usize, touched as usize)
    }

    /// When all is quiet.
    pub(super) fn give_memory_back(&mut self) {
        if self.marks.is_empty() {
            self.marks.shrink_to_fit();
        }
    }
}
