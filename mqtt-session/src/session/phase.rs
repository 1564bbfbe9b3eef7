//! Every transition between the stages of connecting, being connected and being done.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use mqtt_proto::{Disconnect, Packet, ReasonCode};

use super::Session;
use super::link::Link;
use crate::{Action, Attempt, Cause, ConnectionError, Event, Instant, ReauthenticateError, Timer};

/// Where the session stands, with what is known only there.
#[derive(Debug)]
pub(super) enum Stage {
    Idle,
    Resolving {
        attempt: Attempt,
        since: Instant,
    },
    Dialing {
        attempt: Attempt,
        addr: SocketAddr,
        since: Instant,
        rest: VecDeque<SocketAddr>,
    },
    /// The stream is open; `link.connected` tells whether CONNACK has come.
    Open {
        attempt: Attempt,
        addr: SocketAddr,
    },
    /// The driver has been told to hang up.
    Closing {
        attempt: Attempt,
        next: Next,
    },
    Waiting,
    Closed,
}

/// What follows when the stream is closed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    Retry { at: Instant },
    Close,
}

/// Whether to tell the driver to hang up, and how.
#[derive(Clone, Debug)]
pub(super) enum Farewell {
    /// The stream is gone already.
    Gone,
    /// Close it without a word.
    Silent,
    /// Write this DISCONNECT first, in 5.0; 3.x closes without one, so that the will is published (semantics of 3.14.4).
    Reason(ReasonCode),
    /// The same behind everything that is encoded: the server did nothing wrong, and what it is told now it need not send again.
    AfterAll(ReasonCode),
}

impl Session {
    pub(super) fn begin(&mut self, persistent: bool) {
        if matches!(self.stage, Stage::Idle) {
            self.persistent = persistent;
            self.round();
        }
    }

    /// Begins a round of attempts: all addresses of the server.
    fn round(&mut self) {
        let attempt = self.next_attempt();
        let since = self.now;
        if let Ok(ip) = self.endpoint.host().parse::<IpAddr>() {
            let addr = SocketAddr::new(ip, self.endpoint.port());
            self.dial(VecDeque::from([addr]));
            return;
        }
        self.stage = Stage::Resolving { attempt, since };
        self.timers
            .set(Timer::Resolve, since + self.config.timeouts.resolve);
        let (host, port) = (self.endpoint.host().to_string(), self.endpoint.port());
        self.actions.push_back(Action::Resolve {
            attempt,
            host,
            port,
        });
    }

    pub(super) fn resolved(&mut self, attempt: Attempt, found: Result<Vec<SocketAddr>, Cause>) {
        let Stage::Resolving {
            attempt: current,
            since,
        } = self.stage
        else {
            return;
        };
        if attempt != current {
            return;
        }
        self.timers.stop(Timer::Resolve);
        let (host, after) = (self.endpoint.host().to_string(), self.now - since);
        match found {
            Ok(addrs) if addrs.is_empty() => {
                self.lose(ConnectionError::NoAddress { host, after }, Farewell::Gone)
            }
            Ok(addrs) => self.dial(addrs.into()),
            Err(cause) => self.lose(
                ConnectionError::Resolve { host, after, cause },
                Farewell::Gone,
            ),
        }
    }

    /// Dials the first of these addresses, of which there is at least one.
    fn dial(&mut self, mut rest: VecDeque<SocketAddr>) {
        let Some(addr) = rest.pop_front() else { return };
        let attempt = self.next_attempt();
        self.stage = Stage::Dialing {
            attempt,
            addr,
            since: self.now,
            rest,
        };
        self.timers
            .set(Timer::Dial, self.now + self.config.timeouts.dial);
        self.actions.push_back(Action::Dial { attempt, addr });
    }

    /// The address did not answer: the next one, or the round has failed.
    fn dial_failed(&mut self, cause: Cause) {
        let Stage::Dialing {
            addr, since, rest, ..
        } = &mut self.stage
        else {
            return;
        };
        let (addr, after, rest) = (*addr, self.now - *since, core::mem::take(rest));
        self.timers.stop(Timer::Dial);
        if rest.is_empty() {
            self.lose(ConnectionError::Dial { addr, after, cause }, Farewell::Gone);
        } else {
            self.dial(rest);
        }
    }

    pub(super) fn opened(&mut self, attempt: Attempt) {
        let Stage::Dialing {
            attempt: current,
            addr,
            ..
        } = self.stage
        else {
            return;
        };
        if attempt != current {
            return;
        }
        self.timers.stop(Timer::Dial);
        self.stage = Stage::Open { attempt, addr };
        self.open_link();
        if self.authenticates_first() {
            return;
        }
        self.timers
            .set(Timer::ConnAck, self.now + self.config.timeouts.connack);
        if let Err(error) = self.send_connect(self.config.connect.properties.clone()) {
            self.lose(ConnectionError::Connect { error }, Farewell::Silent);
        }
    }

    pub(super) fn closed(&mut self, attempt: Attempt, cause: Cause) {
        match self.stage {
            Stage::Dialing {
                attempt: current, ..
            } if current == attempt => self.dial_failed(cause),
            Stage::Open {
                attempt: current,
                addr,
            } if current == attempt => {
                let after = self.now - self.link.opened_at;
                self.lose(
                    ConnectionError::Closed { addr, after, cause },
                    Farewell::Gone,
                );
            }
            Stage::Closing {
                attempt: current,
                next,
            } if current == attempt => self.settle(next),
            _ => {}
        }
    }

    pub(super) fn timeout(&mut self, timer: Timer) {
        match (timer, &self.stage) {
            (Timer::Resolve, Stage::Resolving { attempt, since }) => {
                let (attempt, after) = (*attempt, self.now - *since);
                self.actions.push_back(Action::Cancel { attempt });
                let host = self.endpoint.host().to_string();
                self.lose(
                    ConnectionError::Resolve {
                        host,
                        after,
                        cause: Cause::TimedOut,
                    },
                    Farewell::Gone,
                );
            }
            (Timer::Dial, Stage::Dialing { attempt, .. }) => {
                self.actions.push_back(Action::Cancel { attempt: *attempt });
                self.dial_failed(Cause::TimedOut);
            }
            (Timer::ConnAck, Stage::Open { addr, .. }) => {
                let (addr, after) = (*addr, self.now - self.link.opened_at);
                self.lose(ConnectionError::NoConnAck { addr, after }, Farewell::Silent);
            }
            (Timer::Auth, Stage::Open { .. }) => self.auth_due(),
            (Timer::KeepAlive, Stage::Open { .. }) => self.keep_alive_due(),
            (Timer::PingResp, Stage::Open { addr, .. }) => {
                let addr = *addr;
                self.ping_due(addr);
            }
            (Timer::Expiry, _) => self.expire_queued(),
            (Timer::Drain, _) => self.say_goodbye(),
            (Timer::Hangup, Stage::Closing { next, .. }) => {
                let next = *next;
                self.settle(next);
            }
            (Timer::Reconnect, Stage::Waiting) => self.retry(),
            (Timer::Blocked, Stage::Open { .. }) => self.window_blocked(),
            _ => {}
        }
    }

    /// The next round, unless the inbox must empty first.
    pub(super) fn retry(&mut self) {
        let full = self.inbox_was_full && self.inbox.bytes() > self.config.limits.inbox_bytes / 2;
        if matches!(self.stage, Stage::Waiting)
            && self.timers.get(Timer::Reconnect).is_none()
            && !full
        {
            self.inbox_was_full = false;
            self.round();
        }
    }

    /// The connection, or the round of attempts, has failed.
    pub(super) fn lose(&mut self, error: ConnectionError, farewell: Farewell) {
        let stable = self.link.connected
            && self.now - self.link.opened_at >= self.config.backoff.stable_after;
        self.failures = if stable {
            1
        } else {
            self.failures.saturating_add(1)
        };
        self.inbox_was_full |= matches!(error, ConnectionError::InboxFull { .. });
        let retry = self.wants_connection()
            && (self.persistent || self.connected_before)
            && verdict(&error) == Verdict::Retry;
        let delay = self.config.backoff.delay(self.failures, self.dice.roll());
        let next = if retry {
            Next::Retry {
                at: self.now + delay,
            }
        } else {
            Next::Close
        };
        self.end_exchange(|| ReauthenticateError::Lost(Box::new(error.clone())));
        self.events.push_back(Event::Lost {
            error,
            retry_in: retry.then_some(delay),
        });
        self.hang_up(next, farewell);
    }

    fn hang_up(&mut self, next: Next, farewell: Farewell) {
        self.stop_link_timers();
        let attempt = match (&self.stage, &farewell) {
            (_, Farewell::Gone) => return self.settle(next),
            (Stage::Open { attempt, .. }, _) => *attempt,
            _ => return self.settle(next),
        };
        self.link.connected = false;
        if !matches!(farewell, Farewell::AfterAll(_)) {
            self.discard();
        }
        let mut flush = !self.link.outbox.is_empty();
        // Not ahead of a CONNECT that the driver has not taken [MQTT-3.1.0-1].
        if let Farewell::Reason(reason) | Farewell::AfterAll(reason) = farewell
            && self.config.version().is_v5()
            && self.link.encoded > 0
        {
            flush |= self.put(&Packet::Disconnect(Disconnect::new(reason)));
        }
        self.close_stream(attempt, flush, next);
    }

    fn close_stream(&mut self, attempt: Attempt, flush: bool, next: Next) {
        self.stage = Stage::Closing { attempt, next };
        self.actions.push_back(Action::Hangup { attempt, flush });
        self.timers
            .set(Timer::Hangup, self.now + self.config.timeouts.hangup);
    }

    /// The stream is closed, and everything that belonged to it goes.
    fn settle(&mut self, next: Next) {
        self.stop_link_timers();
        self.timers.stop(Timer::Hangup);
        if matches!(next, Next::Retry { .. }) {
            self.blame();
        }
        self.outgoing.inflight.disconnected(self.link.written);
        self.end_exchange(|| ReauthenticateError::Closed);
        self.requeue_unwritten();
        let requests = self.outgoing.inflight.drain_requests();
        self.subscriptions.requeue(requests);
        self.inbox.disconnected();
        self.give_memory_back();
        self.link = Link::new(self.config.version(), &self.config);
        match next {
            Next::Retry { at } if self.wants_connection() => {
                self.stage = Stage::Waiting;
                self.timers.set(Timer::Reconnect, at);
            }
            _ => self.end(),
        }
    }

    fn stop_link_timers(&mut self) {
        for timer in [
            Timer::Resolve,
            Timer::Dial,
            Timer::ConnAck,
            Timer::Auth,
            Timer::KeepAlive,
            Timer::PingResp,
            Timer::Blocked,
        ] {
            self.timers.stop(timer);
        }
    }

    /// The end: everything that was accepted gets its outcome.
    fn end(&mut self) {
        self.stage = Stage::Closed;
        self.timers = Default::default();
        self.end_records();
        self.end_all();
        self.end_requests();
        self.inbox.new_epoch();
        self.events.push_back(Event::Closed);
    }

    pub(super) fn leave(&mut self, disconnect: Disconnect, drain: Duration) {
        match self.stage {
            Stage::Closed => return,
            // A connection that is closing leads to the end instead of to a retry.
            _ if self.leaving.is_some() => {}
            _ => self.leaving = Some(disconnect.into()),
        }
        let at = self.now + drain;
        if self
            .timers
            .get(Timer::Drain)
            .is_none_or(|earlier| at < earlier)
        {
            self.timers.set(Timer::Drain, at);
        }
        if drain.is_zero() || matches!(self.stage, Stage::Idle) {
            self.say_goodbye();
        } else {
            self.leave_if_drained();
        }
    }

    /// Whether a lost connection is to be replaced: also while there is still something to drain.
    fn wants_connection(&self) -> bool {
        self.leaving.is_none() || (self.timers.get(Timer::Drain).is_some() && !self.is_drained())
    }

    /// Everything that was accepted has its outcome: nothing to wait for.
    pub(super) fn leave_if_drained(&mut self) {
        if self.leaving.is_some() && self.is_drained() {
            self.say_goodbye();
        }
    }

    /// Sends DISCONNECT and closes, or gives up what has not come that far.
    fn say_goodbye(&mut self) {
        self.timers.stop(Timer::Drain);
        let Some(disconnect) = self.leaving.as_deref().cloned() else {
            return;
        };
        match self.stage {
            Stage::Open { attempt, .. } => {
                // In 3.x the will is published unless DISCONNECT comes (section 3.14.4).
                let v5 = self.config.version().is_v5();
                let silent = !v5 && disconnect.reason == ReasonCode::DISCONNECT_WITH_WILL;
                let packet = if v5 {
                    disconnect
                } else {
                    Disconnect::default()
                };
                let flush = self.link.connected && !silent && self.put_disconnect(packet);
                self.stop_link_timers();
                self.link.connected = false;
                self.close_stream(attempt, flush, Next::Close);
            }
            Stage::Resolving { attempt, .. } | Stage::Dialing { attempt, .. } => {
                self.actions.push_back(Action::Cancel { attempt });
                self.end();
            }
            Stage::Closing { .. } | Stage::Closed => {}
            Stage::Idle | Stage::Waiting => self.end(),
        }
    }

    /// Writes DISCONNECT as the application wants it, with its reason alone where the server can't take the rest, or a plain one.
    fn put_disconnect(&mut self, disconnect: Disconnect) -> bool {
        let reason = disconnect.reason;
        // A session that was to end with its connection can't be kept after all (section 3.14.2.2.2).
        let expiry = disconnect.properties.view().session_expiry_interval();
        let kept = expiry.is_some_and(|expiry| expiry > 0) && self.config.session_expiry.is_zero();
        (!kept && self.put(&Packet::Disconnect(disconnect)))
            || self.put(&Packet::Disconnect(Disconnect::new(reason)))
            || self.put(&Packet::Disconnect(Disconnect::default()))
    }

    pub(super) fn next_attempt(&mut self) -> Attempt {
        self.attempts += 1;
        Attempt(self.attempts)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Retry,
    GiveUp,
}

/// Whether asking again could help. The one table for every reason of CONNACK and DISCONNECT.
const fn verdict(error: &ConnectionError) -> Verdict {
    let reason = match error {
        ConnectionError::Refused { reason, .. } | ConnectionError::Disconnected { reason, .. } => {
            *reason
        }
        ConnectionError::Connect { .. } => return Verdict::GiveUp,
        ConnectionError::Authentication { error, .. } if !error.is_transient() => {
            return Verdict::GiveUp;
        }
        _ => return Verdict::Retry,
    };
    match reason {
        ReasonCode::UNSUPPORTED_PROTOCOL_VERSION
        | ReasonCode::CLIENT_IDENTIFIER_NOT_VALID
        | ReasonCode::BAD_USER_NAME_OR_PASSWORD
        | ReasonCode::NOT_AUTHORIZED
        | ReasonCode::BANNED
        | ReasonCode::BAD_AUTHENTICATION_METHOD
        // Fighting for the identifier would only throw the other one out [MQTT-3.1.4-3].
        | ReasonCode::SESSION_TAKEN_OVER => Verdict::GiveUp,
        _ => Verdict::Retry,
    }
}
