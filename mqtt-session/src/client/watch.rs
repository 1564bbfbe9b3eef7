//! What becomes of tokens that somebody has a handle to.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::task::{Poll, Waker};

use crate::Token;

use super::wake::{Park, Wakes};

/// One entry for each handle, made when the token is, and gone with the handle. Tokens that nobody watches cost a lookup.
#[derive(Debug)]
pub(super) struct Watches<T> {
    entries: HashMap<u64, Watch<T>, BuildHasherDefault<TokenHasher>>,
}

#[derive(Debug)]
enum Watch<T> {
    Pending(Option<Waker>),
    Done(T),
}

impl<T> Watches<T> {
    pub(super) fn new() -> Self {
        Self {
            entries: HashMap::default(),
        }
    }

    pub(super) fn watch(&mut self, token: Token) {
        self.entries.insert(token.get(), Watch::Pending(None));
    }

    /// Forgets a token. What it held is for dropping outside of the lock.
    pub(super) fn forget(&mut self, token: Token) -> Option<Waker> {
        let waker = match self.entries.remove(&token.get()) {
            Some(Watch::Pending(waker)) => waker,
            Some(Watch::Done(_)) | None => None,
        };
        // Memory goes back when use has become low; amortised, a removal pays for it.
        if self.entries.capacity() > 1024 && self.entries.len() < self.entries.capacity() / 16 {
            self.entries.shrink_to(self.entries.len() * 4);
        }
        waker
    }

    pub(super) fn complete(&mut self, token: Token, value: T, wakes: &mut Wakes) {
        if let Some(watch) = self.entries.get_mut(&token.get())
            && let Watch::Pending(waker) = watch
        {
            wakes.push(waker.take());
            *watch = Watch::Done(value);
        }
    }

    /// Ends whatever is pending.
    pub(super) fn complete_all(&mut self, value: impl Fn() -> T, wakes: &mut Wakes) {
        // In any order: nobody can tell who was told first.
        self.entries.values_mut().for_each(|watch| {
            if let Watch::Pending(waker) = watch {
                wakes.push(waker.take());
                *watch = Watch::Done(value());
            }
        });
    }

    /// Takes the result out, or parks. `None` is for a token that is not watched.
    pub(super) fn poll(&mut self, token: Token, park: Option<&mut Park<'_>>) -> Poll<Option<T>> {
        match self.entries.get_mut(&token.get()) {
            Some(Watch::Pending(slot)) => {
                if let Some(park) = park {
                    park.at(slot);
                }
                Poll::Pending
            }
            Some(Watch::Done(_)) => match self.entries.remove(&token.get()) {
                Some(Watch::Done(value)) => Poll::Ready(Some(value)),
                Some(Watch::Pending(_)) | None => Poll::Ready(None),
            },
            None => Poll::Ready(None),
        }
    }
}

/// Tokens count up, so multiplying spreads them over both ends of the hash. Nobody but us chooses them.
#[derive(Debug, Default)]
pub(super) struct TokenHasher(u64);

impl Hasher for TokenHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, token: u64) {
        self.0 = (self.0 ^ token).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
