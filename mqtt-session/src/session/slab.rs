use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Entries at stable indices: inserting and removing cost the same however many there are. Grown as needed, its memory reused.
#[derive(Debug)]
pub(super) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Option<u32>,
    len: usize,
}

#[derive(Debug)]
enum Slot<T> {
    Used(T),
    Free {
        next: Option<u32>,
    },
    /// Not free, and there is no value: whoever has borrowed the index brings it back.
    Lent,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: None,
            len: 0,
        }
    }

    /// With these entries at these indices. What lies between is free, the lowest first.
    pub(super) fn restore(entries: BTreeMap<u32, T>) -> Self {
        let mut slab = Self::new();
        let mut gaps = Vec::new();
        for (index, value) in entries {
            while slab.next_index() < index {
                gaps.push(slab.next_index());
                slab.slots.push(Slot::Free { next: None });
            }
            slab.len += 1;
            slab.slots.push(Slot::Used(value));
        }
        for gap in gaps.into_iter().rev() {
            if let Some(slot) = slab.slots.get_mut(gap as usize) {
                *slot = Slot::Free { next: slab.free };
                slab.free = Some(gap);
            }
        }
        slab
    }

    /// Those that are lent count, too.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// How many indices were ever in use at the same time: all that are in use are below.
    pub(super) fn span(&self) -> usize {
        self.slots.len()
    }

    /// Whether the next insert reuses an index.
    pub(super) const fn has_gap(&self) -> bool {
        self.free.is_some()
    }

    /// The index that [`insert`](Self::insert) will give next.
    pub(super) fn next_index(&self) -> u32 {
        self.free.unwrap_or(self.slots.len() as u32)
    }

    pub(super) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        let slot = Slot::Used(value);
        if let Some(index) = self.free
            && let Some(gap) = self.slots.get_mut(index as usize)
            && let Slot::Free { next } = *gap
        {
            self.free = next;
            *gap = slot;
            return index;
        }
        self.slots.push(slot);
        (self.slots.len() - 1) as u32
    }

    /// Lends a free index below those that are in use, if there is one: the one that [`insert`](Self::insert) would have given.
    pub(super) fn lend(&mut self) -> Option<u32> {
        let index = self.free?;
        let slot = self.slots.get_mut(index as usize)?;
        let Slot::Free { next } = *slot else {
            return None;
        };
        *slot = Slot::Lent;
        self.free = next;
        self.len += 1;
        Some(index)
    }

    /// A lent index is free again. One that is not lent stays what it is.
    pub(super) fn bring_back(&mut self, index: u32) {
        if let Some(slot @ Slot::Lent) = self.slots.get_mut(index as usize) {
            *slot = Slot::Free { next: self.free };
            self.is_free(index);
        }
    }

    /// A slot has become free, which points to the one that was free before.
    #[inline]
    fn is_free(&mut self, index: u32) {
        self.free = Some(index);
        self.len -= 1;
        if self.len == 0 {
            // So that the indices begin from below again.
            self.slots.clear();
            self.free = None;
        }
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        match self.slots.get(index as usize) {
            Some(Slot::Used(value)) => Some(value),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        match self.slots.get_mut(index as usize) {
            Some(Slot::Used(value)) => Some(value),
            _ => None,
        }
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        let slot = self.slots.get_mut(index as usize)?;
        if !matches!(slot, Slot::Used(_)) {
            return None;
        }
        let Slot::Used(value) = core::mem::replace(slot, Slot::Free { next: self.free }) else {
            return None;
        };
        self.is_free(index);
        Some(value)
    }

    /// Removes a value where it stands, after the closure has seen it.
    #[inline]
    pub(super) fn remove_with<R>(
        &mut self,
        index: u32,
        take: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        let slot = self.slots.get_mut(index as usize)?;
        let Slot::Used(value) = slot else {
            return None;
        };
        let taken = take(value);
        *slot = Slot::Free { next: self.free };
        self.is_free(index);
        Some(taken)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(index, slot)| match slot {
                Slot::Used(value) => Some((index as u32, value)),
                Slot::Free { .. } | Slot::Lent => None,
            })
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|slot| match slot {
            Slot::Used(value) => Some(value),
            Slot::Free { .. } | Slot::Lent => None,
        })
    }

    /// Gives back what a burst has left behind. Indices that are in use stay.
    pub(super) fn give_memory_back(&mut self) {
        if self.len == 0 {
            *self = Self::new();
        }
    }

    /// Takes everything out, in the order of the indices.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.free = None;
        self.len = 0;
        core::mem::take(&mut self.slots)
            .into_iter()
            .filter_map(|slot| match slot {
                Slot::Used(value) => Some(value),
                Slot::Free { .. } | Slot::Lent => None,
            })
    }
}
