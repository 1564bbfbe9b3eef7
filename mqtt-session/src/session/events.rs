//! What is to be told to the application, and to who only watches.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use crate::{Event, Observation, Outcome, PacketSummary, QueueId, Token};

/// Events until they are polled. Those of which there may be millions a second are kept small, and without memory of their own; the others are
/// rare.
#[derive(Debug, Default)]
pub(super) struct Events {
    entries: VecDeque<Entry>,
    observed: Option<Box<Observed>>,
}

#[derive(Debug)]
enum Entry {
    Published(Run),
    Readable(QueueId),
    Room,
    Other(Box<Event>),
}

/// Messages with ascending tokens and the same outcome: mostly many in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) first: Token,
    pub(crate) count: u64,
    pub(crate) outcome: Outcome,
}

/// What there is to tell, with the messages of a run at once.
#[cfg(feature = "client")]
#[derive(Debug)]
pub(crate) enum News {
    Published(Run),
    Other(Event),
}

/// Observations until they are polled, so many at most. What comes when it is full is counted.
#[derive(Debug)]
struct Observed {
    observations: VecDeque<Observation>,
    most: usize,
    missed: u64,
}

/// Of those outcomes that mostly come in a row; compared in place.
#[inline(always)]
fn is_same(one: Outcome, other: Outcome) -> bool {
    match (one, other) {
        (Outcome::Written, Outcome::Written) => true,
        (
            Outcome::Acknowledged {
                reason,
                republished,
                completed,
            },
            Outcome::Acknowledged {
                reason: other_reason,
                republished: other_republished,
                completed: other_completed,
            },
        ) => {
            reason == other_reason
                && republished == other_republished
                && completed == other_completed
        }
        _ => false,
    }
}

impl Events {
    #[inline(always)]
    pub(super) fn published(&mut self, token: Token, outcome: Outcome) {
        if let Some(Entry::Published(run)) = self.entries.back_mut()
            && run.first.get() + run.count == token.get()
            && is_same(run.outcome, outcome)
        {
            run.count += 1;
            return;
        }
        self.entries.push_back(Entry::Published(Run {
            first: token,
            count: 1,
            outcome,
        }));
    }

    pub(super) fn push_back(&mut self, event: Event) {
        if let Some(observed) = &mut self.observed {
            observed.see(&event);
        }
        self.entries.push_back(match event {
            Event::Readable(queue) => Entry::Readable(queue),
            Event::Room => Entry::Room,
            other => Entry::Other(Box::new(other)),
        });
    }

    pub(super) fn give_memory_back(&mut self) {
        if self.entries.len() <= self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<Event> {
        if let Some(Entry::Published(run)) = self.entries.front_mut()
            && run.count > 1
        {
            let (token, outcome) = (run.first, run.outcome);
            run.first = Token(token.get() + 1);
            run.count -= 1;
            return Some(Event::Published { token, outcome });
        }
        self.entries.pop_front().map(|entry| match entry {
            Entry::Published(Run { first, outcome, .. }) => Event::Published {
                token: first,
                outcome,
            },
            Entry::Readable(queue) => Event::Readable(queue),
            Entry::Room => Event::Room,
            Entry::Other(event) => *event,
        })
    }

    #[cfg(feature = "client")]
    #[inline]
    pub(super) fn pop_news(&mut self) -> Option<News> {
        if let Some(Entry::Published(run)) = self.entries.front() {
            let run = *run;
            self.entries.pop_front();
            return Some(News::Published(run));
        }
        self.pop_front().map(News::Other)
    }

    #[cfg(feature = "client")]
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn observe(&mut self, most: usize) {
        self.observed.get_or_insert_with(|| {
            Box::new(Observed {
                observations: VecDeque::new(),
                most,
                missed: 0,
            })
        });
    }

    /// Nobody watches: then this is one comparison.
    #[inline]
    pub(super) fn packet(&mut self, summary: impl FnOnce() -> PacketSummary) {
        if let Some(observed) = &mut self.observed {
            observed.push(Observation::Packet(summary()));
        }
    }

    pub(super) fn pop_observation(&mut self) -> Option<Observation> {
        let observed = self.observed.as_mut()?;
        observed.observations.pop_front().or_else(|| {
            let count = core::mem::take(&mut observed.missed);
            (count > 0).then_some(Observation::Missed { count })
        })
    }
}

impl Observed {
    #[cold]
    fn push(&mut self, observation: Observation) {
        // One place is for what tells how many were missed.
        if self.observations.len() >= self.most.saturating_sub(usize::from(self.missed > 0)) {
            self.missed += 1;
            return;
        }
        if self.missed > 0 {
            let count = core::mem::take(&mut self.missed);
            self.observations.push_back(Observation::Missed { count });
        }
        self.observations.push_back(observation);
    }

    fn see(&mut self, event: &Event) {
        self.push(match event {
            Event::Connected { addr, .. } => Observation::Connected { addr: addr.clone() },
            Event::Lost { error, retry_in } => Observation::Lost {
                error: error.clone(),
                retry_in: *retry_in,
            },
            Event::Closed => Observation::Closed,
            _ => return,
        });
    }
}
