//! What becomes of tokens that somebody has a handle to.

use std::collections::VecDeque;
use std::task::{Poll, Waker};

use crate::Token;

use super::wake::{Park, Wakes};

/// One entry for each handle, made when the token is, and gone with the handle or, where nobody has waited, with the next message or turn of the
/// driver. Tokens that nobody watches cost a lookup.
///
/// Tokens count up, so the entries are in their order, and mostly each lies where its distance to the first says.
#[derive(Debug)]
pub(super) struct Watches<T> {
    entries: VecDeque<(u64, Watch<T>)>,
    /// Entries between the first and the last that nobody watches any more.
    gone: usize,
}

#[derive(Debug)]
enum Watch<T> {
    Pending(Option<Waker>),
    Done(T),
    Gone,
}

/// So many gone entries are not worth the moving of the others, and so much memory is not worth giving back.
const FEW: usize = 256;

impl<T> Watches<T> {
    pub(super) const fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            gone: 0,
        }
    }

    /// Of a token that is greater than all before.
    #[inline]
    pub(super) fn watch(&mut self, token: Token) {
        self.entries.push_back((token.get(), Watch::Pending(None)));
    }

    /// Forgets a token. What it held is for dropping outside of the lock.
    #[inline]
    pub(super) fn forget(&mut self, token: Token) -> Option<Waker> {
        // The commonest case: a handle that is dropped at once.
        if self.gone == 0
            && let Some((last, Watch::Pending(None))) = self.entries.back()
            && *last == token.get()
        {
            self.entries.pop_back();
            return None;
        }
        let index = self.find(token)?;
        match self.remove(index) {
            Watch::Pending(waker) => waker,
            Watch::Done(_) | Watch::Gone => None,
        }
    }

    #[inline]
    pub(super) fn complete(&mut self, token: Token, value: T, wakes: &mut Wakes) {
        if let Some(index) = self.find(token)
            && let (_, watch @ Watch::Pending(_)) = &mut self.entries[index]
            && let Watch::Pending(Some(waker)) = std::mem::replace(watch, Watch::Done(value))
        {
            wakes.push(Some(waker));
        }
    }

    /// The same for so many tokens, of which those that nobody watches cost next to nothing.
    pub(super) fn complete_run(&mut self, first: Token, count: u64, value: T, wakes: &mut Wakes)
    where
        T: Copy,
    {
        let (first, end) = (first.get(), first.get() + count);
        let from = self.entries.partition_point(|(token, _)| *token < first);
        for (token, watch) in self.entries.range_mut(from..) {
            if *token >= end {
                break;
            }
            if let Watch::Pending(waker) = watch {
                wakes.push(waker.take());
                *watch = Watch::Done(value);
            }
        }
    }

    /// Ends whatever is pending.
    pub(super) fn complete_all(&mut self, value: impl Fn() -> T, wakes: &mut Wakes) {
        for (_, watch) in &mut self.entries {
            if let Watch::Pending(waker) = watch {
                wakes.push(waker.take());
                *watch = Watch::Done(value());
            }
        }
    }

    /// Takes the result out, or parks. `None` is for a token that is not watched.
    pub(super) fn poll(&mut self, token: Token, park: Option<&mut Park<'_>>) -> Poll<Option<T>> {
        let Some(index) = self.find(token) else {
            return Poll::Ready(None);
        };
        if let (_, Watch::Pending(slot)) = &mut self.entries[index] {
            if let Some(park) = park {
                park.at(slot);
            }
            return Poll::Pending;
        }
        Poll::Ready(match self.remove(index) {
            Watch::Done(value) => Some(value),
            Watch::Pending(_) | Watch::Gone => None,
        })
    }

    /// What a burst of messages has left behind.
    pub(super) fn give_memory_back(&mut self) {
        if self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.len() * 2 + FEW);
        }
    }

    /// Gaps only move entries towards the front.
    #[inline]
    fn find(&self, token: Token) -> Option<usize> {
        let token = token.get();
        let (first, _) = self.entries.front()?;
        let at_most = usize::try_from(token.checked_sub(*first)?).ok()?;
        match self.entries.get(at_most) {
            Some((found, _)) if *found == token => Some(at_most),
            _ => self
                .entries
                .binary_search_by_key(&token, |(token, _)| *token)
                .ok(),
        }
    }

    #[inline]
    fn remove(&mut self, index: usize) -> Watch<T> {
        let watch = std::mem::replace(&mut self.entries[index].1, Watch::Gone);
        self.gone += 1;
        self.trim();
        watch
    }

    fn trim(&mut self) {
        while let Some((_, Watch::Gone)) = self.entries.back() {
            self.entries.pop_back();
            self.gone -= 1;
        }
        while let Some((_, Watch::Gone)) = self.entries.front() {
            self.entries.pop_front();
            self.gone -= 1;
        }
        if self.gone > FEW && self.gone > self.entries.len() / 2 {
            self.compact();
        }
    }

    /// A handle that is kept for long must not keep the entries of all that came later. Amortised: as many as stay are gone.
    #[cold]
    fn compact(&mut self) {
        self.entries
            .retain(|(_, watch)| !matches!(watch, Watch::Gone));
        self.entries.shrink_to(self.entries.len() * 2 + FEW);
        self.gone = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(watches: &mut Watches<u64>, token: u64) -> Poll<Option<u64>> {
        watches.poll(Token(token), None)
    }

    #[test]
    fn results_come_to_those_who_watch_in_any_order() {
        let mut watches = Watches::new();
        let mut wakes = Wakes::default();
        (1..=5000)
            .filter(|token| token % 7 != 0)
            .for_each(|token| watches.watch(Token(token)));
        // All but each hundredth are forgotten.
        for token in (1..=5000).rev().filter(|token| token % 100 != 0) {
            watches.forget(Token(token));
        }
        assert!(
            watches.entries.len() < 600,
            "{} entries for 43 handles",
            watches.entries.len()
        );
        for token in 1..=6000 {
            watches.complete(Token(token), token * 2, &mut wakes);
        }
        for token in 1..=5000 {
            let watched = token % 7 != 0 && token % 100 == 0;
            assert_eq!(
                poll(&mut watches, token),
                Poll::Ready(watched.then_some(token * 2)),
                "{token}"
            );
        }
        assert!(watches.entries.is_empty());
    }

    #[test]
    fn what_is_pending_stays_until_the_end() {
        let mut watches = Watches::new();
        watches.watch(Token(3));
        watches.watch(Token(9));
        assert_eq!(poll(&mut watches, 3), Poll::Pending);
        assert_eq!(poll(&mut watches, 4), Poll::Ready(None));
        watches.complete_all(|| 1, &mut Wakes::default());
        assert_eq!(poll(&mut watches, 9), Poll::Ready(Some(1)));
        assert_eq!(poll(&mut watches, 3), Poll::Ready(Some(1)));
        assert_eq!(poll(&mut watches, 3), Poll::Ready(None));
    }
}
