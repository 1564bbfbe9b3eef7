//! Messages of QoS 1 and 2 that no subscription claims.

use alloc::string::ToString;

use super::Session;
use crate::Event;

impl Session {
    /// Takes a step after which there may be some that nobody is known to look for, and tells where there were none before.
    pub(super) fn telling_unclaimed<R>(&mut self, step: impl FnOnce(&mut Self) -> R) -> R {
        let known = self.inbox.unclaimed().is_some();
        let result = step(self);
        if !known && let Some(first) = self.inbox.unclaimed() {
            let topic = first.topic().as_str().to_string();
            self.events.push_back(Event::Unclaimed { topic });
        }
        result
    }
}
