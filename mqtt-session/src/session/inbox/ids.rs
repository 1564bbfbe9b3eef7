use alloc::vec::Vec;

use mqtt_proto::PacketId;

/// A set of packet identifiers: a bit for each up to the largest that was ever in it, at most 8 KiB.
#[derive(Debug, Default)]
pub(super) struct IdSet(Vec<u64>);

impl IdSet {
    pub(super) fn contains(&self, id: PacketId) -> bool {
        let (word, bit) = Self::place(id);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }

    pub(super) fn insert(&mut self, id: PacketId) {
        let (word, bit) = Self::place(id);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    pub(super) fn remove(&mut self, id: PacketId) -> bool {
        let (word, bit) = Self::place(id);
        self.0.get_mut(word).is_some_and(|bits| {
            let was = *bits & bit != 0;
            *bits &= !bit;
            was
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = PacketId> {
        let ids = (1..=u16::MAX).take(self.0.len() * 64);
        ids.filter_map(PacketId::new)
            .filter(|id| self.contains(*id))
    }

    pub(super) fn take_all(&mut self, other: &mut Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        for (bits, more) in self.0.iter_mut().zip(core::mem::take(&mut other.0)) {
            *bits |= more;
        }
    }

    /// Gives back what lies above the largest that is in it.
    pub(super) fn give_memory_back(&mut self) {
        let used = self.0.iter().rposition(|bits| *bits != 0);
        self.0.truncate(used.map_or(0, |last| last + 1));
        self.0.shrink_to_fit();
    }

    const fn place(id: PacketId) -> (usize, u64) {
        (id.get() as usize / 64, 1 << (id.get() % 64))
    }
}
