//! Dials to the addresses of one name, several at a time, as RFC 8305 says.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use crate::{Attempt, Instant, Peer};

/// The addresses of one server: those that wait for their turn, and those that are dialled.
#[derive(Debug)]
pub(super) struct Race {
    waiting: VecDeque<Peer>,
    flying: Vec<Dial>,
}

#[derive(Clone, Debug)]
pub(super) struct Dial {
    pub(super) attempt: Attempt,
    pub(super) addr: Peer,
    pub(super) since: Instant,
}

impl Race {
    /// Both address families take turns, beginning with that of the first address (section 4 of RFC 8305); within each the order stays
    /// as the resolver gave it. An address that was given twice is dialled once.
    pub(super) fn new(addrs: Vec<SocketAddr>) -> Self {
        let mut waiting = VecDeque::with_capacity(addrs.len());
        let first_is_v6 = addrs.first().is_some_and(SocketAddr::is_ipv6);
        let (mut own, mut other): (VecDeque<_>, VecDeque<_>) = addrs
            .into_iter()
            .partition(|addr| addr.is_ipv6() == first_is_v6);
        while !own.is_empty() || !other.is_empty() {
            for family in [&mut own, &mut other] {
                if let Some(addr) = family.pop_front().map(Peer::Addr)
                    && !waiting.contains(&addr)
                {
                    waiting.push_back(addr);
                }
            }
        }
        Self {
            waiting,
            flying: Vec::new(),
        }
    }

    /// What has no address has nothing to race against.
    pub(super) fn single(peer: Peer) -> Self {
        Self {
            waiting: VecDeque::from([peer]),
            flying: Vec::new(),
        }
    }

    /// Whether the next address may be dialled while so many at most are.
    pub(super) fn can_launch(&self, max: usize) -> bool {
        !self.waiting.is_empty() && self.flying.len() < max
    }

    /// The next address is dialled from now on.
    pub(super) fn launch(&mut self, attempt: Attempt, since: Instant) -> Option<Peer> {
        let addr = self.waiting.pop_front()?;
        self.flying.push(Dial {
            attempt,
            addr: addr.clone(),
            since,
        });
        Some(addr)
    }

    /// Takes out a dial that has ended.
    pub(super) fn land(&mut self, attempt: Attempt) -> Option<Dial> {
        let at = self
            .flying
            .iter()
            .position(|dial| dial.attempt == attempt)?;
        Some(self.flying.remove(at))
    }

    /// Takes out a dial that has taken longer than `patience`.
    pub(super) fn overdue(&mut self, now: Instant, patience: Duration) -> Option<Dial> {
        // The first was begun first.
        let first = self.flying.first()?;
        (first.since + patience <= now).then(|| self.flying.remove(0))
    }

    /// When the dial that was begun first is overdue.
    pub(super) fn deadline(&self, patience: Duration) -> Option<Instant> {
        self.flying.first().map(|first| first.since + patience)
    }

    /// Nothing is dialled, and nothing is left to dial.
    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.flying.is_empty()
    }

    /// The dials under way.
    pub(super) fn attempts(&self) -> impl Iterator<Item = Attempt> + '_ {
        self.flying.iter().map(|dial| dial.attempt)
    }
}
