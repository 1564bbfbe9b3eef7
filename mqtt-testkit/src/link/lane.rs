use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::Pieces;
use crate::{Rng, Time};

/// One direction of a link.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) delay: Time,
    pub(super) pieces: Pieces,
    pub(super) capacity: usize,
    pub(super) swallow: bool,
    pub(super) stalled: bool,
    pub(super) received: u64,
    /// The count of received bytes at which the link is cut.
    pub(super) cut_after: Option<u64>,
    pub(super) finished_at: Option<Time>,
    /// Whether the receiver has met the end of the stream.
    end_seen: bool,
    /// What is under way, with its arrival, in order.
    queue: VecDeque<(Time, Bytes)>,
    waiting: usize,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            delay: Time::ZERO,
            pieces: Pieces::default(),
            capacity: usize::MAX,
            swallow: false,
            stalled: false,
            received: 0,
            cut_after: None,
            finished_at: None,
            end_seen: false,
            queue: VecDeque::new(),
            waiting: 0,
        }
    }
}

impl Lane {
    pub(super) fn send(&mut self, now: Time, bytes: &[u8]) -> usize {
        if self.swallow || self.finished_at.is_some() {
            return bytes.len();
        }
        let taken = bytes.len().min(self.capacity.saturating_sub(self.waiting));
        if taken > 0 {
            let arrival = self.arrival(now);
            self.queue
                .push_back((arrival, Bytes::copy_from_slice(&bytes[..taken])));
            self.waiting += taken;
        }
        taken
    }

    /// When something that is sent now arrives: never before what was sent earlier.
    pub(super) fn arrival(&self, now: Time) -> Time {
        let earlier = self.queue.back().map_or(Time::ZERO, |(at, _)| *at);
        now.saturating_add(self.delay).max(earlier)
    }

    pub(super) fn receive(&mut self, now: Time, rng: &mut Rng, into: &mut BytesMut) -> usize {
        if self.stalled {
            return 0;
        }
        let due = self.queue.iter().take_while(|(at, _)| *at <= now);
        let size = match self.pieces {
            Pieces::Joined | Pieces::Fixed(_) | Pieces::Random(_) => {
                due.map(|(_, bytes)| bytes.len()).sum()
            }
            Pieces::AsSent => due.take(1).map(|(_, bytes)| bytes.len()).sum::<usize>(),
        };
        if size == 0 {
            self.end_seen |= self.ends_by(now);
            return 0;
        }
        let most = match self.pieces {
            Pieces::Joined | Pieces::AsSent => size,
            Pieces::Fixed(most) => most.max(1),
            Pieces::Random(most) => rng.range(1, most.max(1) as u64) as usize,
        };
        let until_cut = self.cut_after.map_or(u64::MAX, |at| at - self.received);
        let size = size
            .min(most)
            .min(usize::try_from(until_cut).unwrap_or(usize::MAX));
        self.take(size, into);
        size
    }

    fn take(&mut self, mut size: usize, into: &mut BytesMut) {
        self.received += size as u64;
        self.waiting -= size;
        while size > 0
            && let Some((_, bytes)) = self.queue.front_mut()
        {
            let step = size.min(bytes.len());
            into.extend_from_slice(&bytes[..step]);
            bytes.advance(step);
            size -= step;
            if bytes.is_empty() {
                self.queue.pop_front();
            }
        }
    }

    pub(super) fn next_time(&self) -> Option<Time> {
        if self.stalled {
            return None;
        }
        self.queue
            .front()
            .map(|(at, _)| *at)
            .or(self.finished_at.filter(|_| !self.swallow && !self.end_seen))
    }

    /// Whether the end of the stream is all that is left.
    pub(super) fn ends_by(&self, now: Time) -> bool {
        !self.stalled
            && !self.swallow
            && self.queue.is_empty()
            && self.finished_at.is_some_and(|at| at <= now)
    }

    pub(super) fn lose(&mut self) {
        self.queue.clear();
        self.waiting = 0;
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }
}
