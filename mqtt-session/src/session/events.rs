use alloc::boxed::Box;
use alloc::collections::VecDeque;

use crate::{Event, Outcome, Token};

/// Events until they are polled. Outcomes, of which there may be millions a second, are kept small; the others are rare.
#[derive(Debug, Default)]
pub(super) struct Events(VecDeque<Entry>);

#[derive(Debug)]
enum Entry {
    Published { token: Token, outcome: Outcome },
    Other(Box<Event>),
}

impl Events {
    #[inline]
    pub(super) fn published(&mut self, token: Token, outcome: Outcome) {
        self.0.push_back(Entry::Published { token, outcome });
    }

    pub(super) fn push_back(&mut self, event: Event) {
        self.0.push_back(Entry::Other(Box::new(event)));
    }

    pub(super) fn give_memory_back(&mut self) {
        if self.0.len() <= self.0.capacity() / 4 {
            self.0.shrink_to(self.0.len() * 2);
        }
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<Event> {
        self.0.pop_front().map(|entry| match entry {
            Entry::Published { token, outcome } => Event::Published { token, outcome },
            Entry::Other(event) => *event,
        })
    }
}
