//! Tells when a message that the application does not acknowledge keeps the server from sending.

use super::Session;
use crate::{Event, Timer};

impl Session {
    /// Our Receive Maximum is reached: the server may send no more of QoS 1 and 2 [MQTT-3.3.4-9].
    #[cold]
    pub(super) fn window_is_full(&mut self) {
        if self.inbox.window_full.is_none() {
            self.inbox.window_full = Some(self.now);
            self.timers
                .set(Timer::Blocked, self.now + self.config.timeouts.blocked);
        }
    }

    /// An acknowledgement was sent: the oldest is another one.
    #[inline]
    pub(super) fn window_moves(&mut self) {
        if self.inbox.window_full.take().is_some() {
            self.timers.stop(Timer::Blocked);
            if self.inbox.in_flight() >= usize::from(self.config.limits.receive_maximum.get()) {
                // QoS 2 before its PUBREL: the next one is at the front, and still nothing may come.
                self.window_is_full();
            }
        }
    }

    pub(super) fn window_blocked(&mut self) {
        if let Some(since) = self.inbox.window_full
            && let Some(queue) = self.inbox.oldest_unacknowledged()
        {
            self.events.push_back(Event::Blocked {
                queue,
                since: self.now - since,
            });
        }
    }
}
