//! Wakers: parked under the lock, cloned, woken and dropped outside of it, for all three are code of the user's runtime.

use std::collections::VecDeque;
use std::task::Waker;
use std::vec::Vec;

use crate::Released;

/// Who is to be woken, and what is to be dropped, after unlocking.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    /// Mostly it is one, which takes no memory.
    first: Option<Waker>,
    others: Vec<Waker>,
    /// Messages that are done: dropping a payload may run code of its owner.
    pub(super) released: Released,
}

/// So many others keep their memory.
const FEW: usize = 64;

impl Wakes {
    #[inline]
    pub(super) fn push(&mut self, waker: Option<Waker>) {
        if self.first.is_none() {
            self.first = waker;
        } else if let Some(waker) = waker {
            self.others.push(waker);
        }
    }

    /// To be called without the lock. Gives the memory back, to be used again.
    #[inline]
    pub(super) fn wake(mut self) -> Self {
        if self.first.is_some() || !self.released.is_empty() {
            self.wake_all();
        }
        self
    }

    #[cold]
    fn wake_all(&mut self) {
        let others = self.others.drain(..);
        self.first
            .take()
            .into_iter()
            .chain(others)
            .for_each(Waker::wake);
        self.others.shrink_to(FEW);
        self.released.clear();
    }
}

/// One task that may have to wait. A clone of its waker is made only when it is needed, and not under the lock: where there is none
/// yet, the caller unlocks, makes one, and tries again.
pub(super) struct Park<'w> {
    pub(super) waker: &'w Waker,
    pub(super) clone: Option<Waker>,
    pub(super) replaced: Option<Waker>,
    pub(super) lacks_clone: bool,
}

impl<'w> Park<'w> {
    pub(super) fn new(waker: &'w Waker) -> Self {
        Self {
            waker,
            clone: None,
            replaced: None,
            lacks_clone: false,
        }
    }

    /// Leaves the waker in a slot. Once in each try.
    pub(super) fn at(&mut self, slot: &mut Option<Waker>) {
        if slot
            .as_ref()
            .is_some_and(|parked| parked.will_wake(self.waker))
        {
            return;
        }
        match self.clone.take() {
            Some(clone) => self.replaced = slot.replace(clone),
            None => self.lacks_clone = true,
        }
    }
}

/// Tasks that wait for the same thing, or for so much of it. Who was woken and finds that it must wait comes again, and keeps its turn.
#[derive(Debug, Default)]
pub(super) struct Waiters<T = ()> {
    /// In the order of their places, which count up. Who gives up is mostly who came first, by a timeout, or last.
    parked: VecDeque<Parked<T>>,
    next: u64,
}

#[derive(Debug)]
struct Parked<T> {
    place: u64,
    wanted: T,
    waker: Option<Waker>,
}

/// A place among [`Waiters`], kept by the waiting future for [`Waiters::leave`].
pub(super) type Place = Option<u64>;

/// So many places keep their memory while nobody waits.
const KEPT: usize = 4;

impl<T> Waiters<T> {
    pub(super) fn park(&mut self, place: &mut Place, wanted: T, park: &mut Park<'_>) {
        let place = *place.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        let index = self.find(place).unwrap_or_else(|index| {
            let parked = Parked {
                place,
                wanted,
                waker: None,
            };
            self.parked.insert(index, parked);
            index
        });
        park.at(&mut self.parked[index].waker);
    }

    /// Gives up a place; the waker is for dropping outside of the lock.
    pub(super) fn leave(&mut self, place: &mut Place) -> Option<Waker> {
        let index = self.find(place.take()?).ok()?;
        self.parked.remove(index)?.waker
    }

    /// What the one who has waited longest wants.
    pub(super) fn first(&self) -> Option<&T> {
        self.parked.front().map(|parked| &parked.wanted)
    }

    /// Wakes who has waited longest.
    pub(super) fn wake_first(&mut self, wakes: &mut Wakes) {
        if let Some(Parked { waker, .. }) = self.parked.pop_front() {
            wakes.push(waker);
        }
        if self.parked.is_empty() && self.parked.capacity() > KEPT {
            self.parked = VecDeque::new();
        }
    }

    pub(super) fn wake_all(&mut self, wakes: &mut Wakes) {
        for Parked { waker, .. } in self.parked.drain(..) {
            wakes.push(waker);
        }
        if self.parked.capacity() > KEPT {
            self.parked = VecDeque::new();
        }
    }

    /// Where it is, or would be.
    fn find(&self, place: u64) -> Result<usize, usize> {
        self.parked
            .binary_search_by_key(&place, |parked| parked.place)
    }
}
