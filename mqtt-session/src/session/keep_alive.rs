//! Keep-alive (section 3.1.2.10): PINGREQ in time, and a deadline for its answer.

use core::time::Duration;

use mqtt_proto::Packet;

use super::Session;
use super::link::Ping;
use super::stage::Farewell;
use crate::{ConnectionError, Instant, Peer, Timer};

impl Session {
    /// After how long without a byte a PINGREQ goes out. The timer is not moved at each byte: when it fires, it looks when the
    /// last one was.
    fn ping_interval(&self) -> Duration {
        match self.link.keep_alive {
            // Without a keep-alive a dead peer is still found out, by the liveness timeout.
            Duration::ZERO => self.config.timeouts.liveness,
            // The packet must have left before the interval is over [MQTT-3.1.2-20].
            interval => interval * 3 / 4,
        }
    }

    pub(super) fn arm_keep_alive(&mut self) {
        let link = &self.link;
        // Bytes in one direction must not hide silence in the other.
        let quiet_since = match link.keep_alive {
            Duration::ZERO => link.last_received,
            _ => link.last_written.min(link.last_received),
        };
        self.timers
            .set(Timer::KeepAlive, quiet_since + self.ping_interval());
    }

    pub(super) fn keep_alive_due(&mut self) {
        // It fires now and then whatever goes on: often enough to look after what a burst has left behind.
        self.give_memory_back();
        self.arm_keep_alive();
        if self
            .timers
            .get(Timer::KeepAlive)
            .is_some_and(|at| at > self.now)
        {
            return;
        }
        // One is out: its own deadline runs.
        self.timers
            .set(Timer::KeepAlive, self.now + self.ping_interval());
        if self.link.ping.is_none() && self.put(&Packet::PingReq) {
            self.stats.pings += 1;
            self.link.ping = Some(Ping {
                end: self.link.encoded,
                sent_at: self.now,
                written_at: None,
            });
            // A peer that does not even read: the PINGREQ never leaves.
            let patience = self
                .ping_interval()
                .saturating_add(self.config.timeouts.pingresp);
            self.timers.set(Timer::PingResp, self.now + patience);
        }
    }

    /// The clock of PINGRESP starts when the PINGREQ was written.
    pub(super) fn ping_written(&mut self) {
        if let Some(ping) = &mut self.link.ping
            && ping.written_at.is_none()
            && ping.end <= self.link.written
        {
            ping.written_at = Some(self.now);
            self.timers
                .set(Timer::PingResp, self.now + self.config.timeouts.pingresp);
        }
    }

    /// Any byte that was received extends the wait, by one interval at most.
    pub(super) fn ping_due(&mut self, addr: Peer) {
        let Some(ping) = self.link.ping else { return };
        let timeout = self.config.timeouts.pingresp;
        if let Some(written_at) = ping.written_at {
            let heard = (self.link.last_received + timeout)
                .min(written_at + timeout + self.ping_interval());
            if heard > self.now {
                self.timers.set(Timer::PingResp, heard);
                return;
            }
        }
        let since: Instant = ping.written_at.unwrap_or(ping.sent_at);
        self.lose(
            ConnectionError::NoPingResp {
                addr,
                after: self.now - since,
            },
            Farewell::Silent,
        );
    }

    pub(super) fn ping_answered(&mut self) {
        self.link.ping = None;
        self.timers.stop(Timer::PingResp);
        self.arm_keep_alive();
    }
}
