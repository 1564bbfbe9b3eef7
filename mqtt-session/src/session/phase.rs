//! Every transition between the stages of connecting, being connected and being done.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use mqtt_proto::{Disconnect, Packet, ReasonCode};

use super::Session;
use super::link::Link;
use super::race::Race;
use super::stage::{Farewell, Next, Stage};
use crate::{
    Action, Attempt, Cause, ConnectionError, Credentials, Endpoint, Event, Fault, Peer,
    ReauthenticateError, Scheme, Timer, Verdict,
};

impl Session {
    pub(super) fn begin(&mut self, persistent: bool) {
        if matches!(self.stage, Stage::Idle) {
            self.persistent = persistent;
            self.round();
        }
    }

    /// Begins a round of attempts: each server once.
    fn round(&mut self) {
        self.round.begin();
        self.attempt();
    }

    /// Begins with the server whose turn it is.
    fn attempt(&mut self) {
        if let Err(error) = self.check_server() {
            return self.lose(error, Farewell::Gone);
        }
        if !self.config.asks_for_credentials() {
            return self.look_up();
        }
        let (attempt, since) = (self.next_attempt(), self.now);
        self.stage = Stage::Authorizing { attempt, since };
        self.timers
            .set(Timer::Auth, since + self.config.timeouts.credentials);
        let server = self.round.endpoint().clone();
        self.actions
            .push_back(Action::Credentials { attempt, server });
    }

    pub(super) fn authorized(&mut self, attempt: Attempt, given: Result<Credentials, Cause>) {
        let Stage::Authorizing {
            attempt: current,
            since,
        } = self.stage
        else {
            return;
        };
        if attempt != current {
            return;
        }
        self.timers.stop(Timer::Auth);
        match given {
            Ok(credentials) => {
                self.round.give_credentials(credentials);
                self.look_up();
            }
            Err(cause) => {
                let (server, after) = (self.round.endpoint().clone(), self.now - since);
                let error = ConnectionError::Credentials {
                    server,
                    after,
                    cause,
                };
                self.lose(error, Farewell::Gone);
            }
        }
    }

    /// Asks for the addresses of the server, unless it is named by one, or has none.
    fn look_up(&mut self) {
        let server = self.round.endpoint();
        let (host, port) = self.config.transports().first_hop(server);
        if server.scheme() == Scheme::Unix || self.config.has_dialer() {
            let hop = if (host, port) == (server.host(), server.port()) {
                server.clone()
            } else {
                Endpoint::new(host, port)
            };
            return self.race(Race::single(Peer::Server(hop.into())));
        }
        let host = host.to_string();
        if let Ok(ip) = host.parse::<IpAddr>() {
            let addr = SocketAddr::new(ip, port);
            return self.race(Race::single(Peer::Addr(addr)));
        }
        let (attempt, since) = (self.next_attempt(), self.now);
        self.stage = Stage::Resolving { attempt, since };
        self.timers
            .set(Timer::Resolve, since + self.config.timeouts.resolve);
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
        let (host, _) = self.config.transports().first_hop(self.round.endpoint());
        let (host, after) = (host.to_string(), self.now - since);
        match found {
            Ok(addrs) if addrs.is_empty() => {
                self.lose(ConnectionError::NoAddress { host, after }, Farewell::Gone)
            }
            Ok(addrs) => self.race(Race::new(addrs)),
            Err(cause) => self.lose(
                ConnectionError::Resolve { host, after, cause },
                Farewell::Gone,
            ),
        }
    }

    /// Begins to dial, to at least one address.
    fn race(&mut self, race: Race) {
        self.stage = Stage::Dialing(race.into());
        self.dial_next();
    }

    /// Dials the next address beside those that are dialled already, as far as the bound allows. If none of them opens or fails
    /// before, the one after it follows when the stagger time is over.
    fn dial_next(&mut self) {
        let attempt = self.next_attempt();
        let (timeouts, max) = (&self.config.timeouts, self.config.limits.max_dials);
        let Stage::Dialing(race) = &mut self.stage else {
            return;
        };
        if race.can_launch(max)
            && let Some(addr) = race.launch(attempt, self.now)
        {
            self.actions.push_back(match addr {
                Peer::Addr(addr) => Action::Dial { attempt, addr },
                Peer::Server(server) => Action::Open {
                    attempt,
                    server: *server,
                },
            });
        }
        let stagger = self.now + timeouts.dial_stagger;
        let stagger = race.can_launch(max).then_some(stagger);
        if let Some(at) = race
            .deadline(timeouts.dial)
            .into_iter()
            .chain(stagger)
            .min()
        {
            self.timers.set(Timer::Dial, at);
        }
    }

    /// The address did not answer: the next one, or the server has failed.
    fn dial_failed(&mut self, addr: Peer, after: Duration, cause: Cause) {
        match &self.stage {
            Stage::Dialing(race) if race.is_over() => {
                self.lose(ConnectionError::Dial { addr, after, cause }, Farewell::Gone);
            }
            _ => self.dial_next(),
        }
    }

    /// The first byte stream that is open wins. Whether this is the one.
    pub(super) fn dialled(&mut self, attempt: Attempt) -> bool {
        let Stage::Dialing(race) = &mut self.stage else {
            return false;
        };
        let Some(won) = race.land(attempt) else {
            return false;
        };
        self.cancel_all();
        self.stage = Stage::Shaking {
            attempt,
            addr: won.addr,
            since: self.now,
        };
        true
    }

    /// The stream carries our bytes to the server.
    pub(super) fn opened(&mut self, attempt: Attempt) {
        self.dialled(attempt);
        let addr = match &self.stage {
            Stage::Shaking {
                attempt: current,
                addr,
                ..
            } if *current == attempt => addr.clone(),
            _ => return,
        };
        self.stage = Stage::Open { attempt, addr };
        self.open_link();
        if self.authenticates_first() {
            return;
        }
        self.timers
            .set(Timer::ConnAck, self.now + self.config.timeouts.connack);
        if let Err(error) =
            self.send_connect(self.config.connect_in(self.link.version).properties.clone())
        {
            self.lose(ConnectionError::Connect { error }, Farewell::Silent);
        }
    }

    /// Gives up whatever is asked, looked up or dialled.
    fn cancel_all(&mut self) {
        self.stop_link_timers();
        let attempts: Vec<Attempt> = match &self.stage {
            Stage::Authorizing { attempt, .. } | Stage::Resolving { attempt, .. } => {
                alloc::vec![*attempt]
            }
            Stage::Dialing(race) => race.attempts().collect(),
            _ => return,
        };
        attempts
            .into_iter()
            .for_each(|attempt| self.cancel(attempt));
    }

    /// Tells the driver to give it up, unless it has not been told of it yet.
    fn cancel(&mut self, attempt: Attempt) {
        let untold = self
            .actions
            .iter()
            .position(|action| action.begins(attempt));
        match untold {
            Some(at) => drop(self.actions.remove(at)),
            None => self.actions.push_back(Action::Cancel { attempt }),
        }
    }

    pub(super) fn closed(&mut self, attempt: Attempt, cause: Cause) {
        match &mut self.stage {
            Stage::Dialing(race) => {
                if let Some(dial) = race.land(attempt) {
                    self.dial_failed(dial.addr, self.now - dial.since, cause);
                }
            }
            Stage::Shaking { .. } | Stage::Open { .. } => {
                self.broken(attempt, cause, Farewell::Gone);
            }
            Stage::Closing {
                attempt: current,
                next,
            } if *current == attempt => {
                let next = *next;
                self.settle(next);
            }
            _ => {}
        }
    }

    /// The stream, or a layer above it, is of no use any more.
    pub(super) fn broken(&mut self, attempt: Attempt, cause: Cause, farewell: Farewell) {
        let error = match &self.stage {
            Stage::Shaking {
                attempt: current,
                addr,
                since,
            } if *current == attempt => ConnectionError::Handshake {
                addr: addr.clone(),
                after: self.now - *since,
                cause,
            },
            Stage::Open {
                attempt: current,
                addr,
            } if *current == attempt => {
                let (addr, after) = (addr.clone(), self.now - self.link.opened_at);
                if self.link.connected {
                    ConnectionError::Closed { addr, after, cause }
                } else if cause.is_verdict_of_layer() {
                    // In TLS 1.3 a client's handshake is done before the server has looked at its certificate.
                    ConnectionError::Handshake { addr, after, cause }
                } else {
                    ConnectionError::Unanswered {
                        addr,
                        after,
                        version: self.link.version,
                        cause,
                    }
                }
            }
            _ => return,
        };
        self.lose(error, farewell);
    }

    pub(super) fn timeout(&mut self, timer: Timer) {
        match (timer, &mut self.stage) {
            (Timer::Auth, Stage::Authorizing { attempt, .. }) => {
                let attempt = *attempt;
                self.cancel(attempt);
                self.authorized(attempt, Err(Cause::TimedOut));
            }
            (Timer::Resolve, Stage::Resolving { attempt, .. }) => {
                let attempt = *attempt;
                self.cancel(attempt);
                self.resolved(attempt, Err(Cause::TimedOut));
            }
            (Timer::Dial, Stage::Dialing(race)) => {
                match race.overdue(self.now, self.config.timeouts.dial) {
                    Some(dial) => {
                        self.cancel(dial.attempt);
                        self.dial_failed(dial.addr, self.now - dial.since, Cause::TimedOut);
                    }
                    None => self.dial_next(),
                }
            }
            (Timer::ConnAck, Stage::Open { addr, .. }) => {
                let (addr, after) = (addr.clone(), self.now - self.link.opened_at);
                self.lose(ConnectionError::NoConnAck { addr, after }, Farewell::Silent);
            }
            (Timer::Auth, Stage::Open { .. }) => self.auth_due(),
            (Timer::KeepAlive, Stage::Open { .. }) => self.keep_alive_due(),
            (Timer::PingResp, Stage::Open { addr, .. }) => {
                let addr = addr.clone();
                self.ping_due(addr);
            }
            (Timer::Expiry, _) => self.expire_queued(),
            (Timer::Drain, _) => self.say_goodbye(),
            (Timer::Hangup, Stage::Closing { next, .. }) => {
                let next = *next;
                // What the driver took it may have written, and did not come to say so.
                self.link.written = self.link.encoded - self.link.outbox.len() as u64;
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

    /// The connection, or the attempt at one, has failed.
    pub(super) fn lose(&mut self, error: ConnectionError, farewell: Farewell) {
        self.inbox_was_full |= matches!(error, ConnectionError::InboxFull { .. });
        self.link.ended_here = error.fault() == Fault::Caller;
        let next = self.after(&error);
        let retry_in = match next {
            Next::Now => Some(Duration::ZERO),
            Next::Retry { at } => Some(at - self.now),
            Next::Close => None,
        };
        self.end_exchange(|| ReauthenticateError::Lost(Box::new(error.clone())));
        self.events.push_back(Event::Lost { error, retry_in });
        self.hang_up(next, farewell);
    }

    pub(super) fn was_stable(&self) -> bool {
        let stable_after = self.config.backoff.stable_after;
        self.link.connected && self.now - self.link.opened_at >= stable_after
    }

    /// What is to be tried after this: the next server of the round, another round, or nothing.
    fn after(&mut self, error: &ConnectionError) -> Next {
        if !self.wants_connection() {
            return Next::Close;
        }
        if self.round.was_redirected() || self.falls_back(error) {
            return Next::Now;
        }
        match self.config.verdict(error) {
            Verdict::GiveUp => return Next::Close,
            Verdict::NextServer => self.round.pass_over(),
            Verdict::Retry => {}
        }
        // A connection that was there is no part of a round any more.
        if !self.link.connected && self.round.next() {
            return Next::Now;
        }
        self.failures = if self.was_stable() {
            1
        } else {
            self.failures.saturating_add(1)
        };
        let backoff = &self.config.backoff;
        let enough = backoff
            .attempts
            .is_some_and(|max| self.failures >= max.get());
        if enough || !(self.persistent || self.connected_before) {
            return Next::Close;
        }
        Next::Retry {
            at: self.now + backoff.delay(self.failures, self.dice.roll()),
        }
    }

    /// The server is there for nothing but to forget what it had of ours: the next connection is the one to use.
    pub(super) fn come_again(&mut self, attempt: Attempt) {
        let flush = self.put(&Packet::Disconnect(Disconnect::default()));
        self.stop_link_timers();
        self.close_stream(attempt, flush, Next::Now);
    }

    fn hang_up(&mut self, next: Next, farewell: Farewell) {
        self.stop_link_timers();
        let attempt = match (&self.stage, &farewell) {
            (_, Farewell::Gone) => return self.settle(next),
            (Stage::Shaking { attempt, .. } | Stage::Open { attempt, .. }, _) => *attempt,
            _ => return self.settle(next),
        };
        self.link.connected = false;
        if !matches!(farewell, Farewell::AfterAll(_)) {
            self.discard();
        }
        let mut flush = !self.link.outbox.is_empty() || matches!(farewell, Farewell::Layers);
        // Not ahead of a CONNECT that the driver has not taken [MQTT-3.1.0-1].
        if let Farewell::Reason(reason) | Farewell::AfterAll(reason) = farewell
            && self.link.version.is_v5()
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
        // What has left in part is not sent anew as if nothing of it had.
        self.link.written = self.link.written.max(self.link.touched);
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
        self.link = Link::new(self.version, &self.config);
        match next {
            Next::Now if self.wants_connection() => self.attempt(),
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
    pub(super) fn wants_connection(&self) -> bool {
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
                let v5 = self.link.version.is_v5();
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
            Stage::Authorizing { .. } | Stage::Resolving { .. } | Stage::Dialing(_) => {
                self.cancel_all();
                self.end();
            }
            Stage::Shaking { attempt, .. } => self.close_stream(attempt, false, Next::Close),
            Stage::Closing { .. } | Stage::Closed => {}
            Stage::Idle | Stage::Waiting => self.end(),
        }
    }

    /// Writes DISCONNECT as the application wants it, or its reason alone where the server can't take more
    /// [MQTT-3.14.2-3], [MQTT-3.14.2-4].
    fn put_disconnect(&mut self, disconnect: Disconnect) -> bool {
        let reason = disconnect.reason;
        self.put(&Packet::Disconnect(disconnect))
            || self.put(&Packet::Disconnect(Disconnect::new(reason)))
    }

    pub(super) fn next_attempt(&mut self) -> Attempt {
        self.attempts += 1;
        Attempt(self.attempts)
    }
}
