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

    /// Whether somebody may look for those of QoS 0. What waits when nobody does any more must not keep the socket from being read: nothing would ever
    /// make room.
    pub(super) fn set_keep_unclaimed(&mut self, keep: bool) {
        self.telling_unclaimed(|session| session.inbox.keep_unclaimed = keep);
        let most = self.config.limits.inbox_bytes / 2;
        while !keep && self.inbox.bytes() > most && self.inbox.drop_unclaimed() {
            self.stats.dropped += 1;
            self.stats.dropped_unclaimed += 1;
        }
        if self.inbox_was_full {
            self.retry();
        }
    }
}
