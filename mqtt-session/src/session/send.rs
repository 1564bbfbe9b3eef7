//! What the application publishes, until its outcome.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::num::{NonZeroU64, NonZeroUsize};

use mqtt_proto::{EncodeError, Flow, PacketId, PacketType, PropertyId, Publish, QoS, Sender};

use super::Session;
use super::expiry::Expiry;
use super::inflight::{InFlight, Sent, SentState};
use super::link::{Fits, Unwritten};
use super::outcomes::Released;
use super::poison::Suspect;
use super::stage::Stage;
use crate::{
    Direction, Instant, Offline, Outcome, PacketIds, PacketSummary, PublishError, PublishOptions,
    PublishRefused, Record, Timer, Token,
};

/// The session's outgoing half.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Accepted and not sent, in the order of the tokens.
    pub(super) queue: VecDeque<Queued>,
    pub(super) inflight: InFlight,
    /// What the messages hold that have no outcome yet.
    pub(super) bytes: usize,
    next_token: u64,
    /// Counts PUBRECs, whose order the PUBRELs keep.
    pub(super) pubrecs: u64,
    /// Messages were refused because the queue is full: tell when there is room.
    pub(super) wants_room: bool,
    /// For one of this size, the smallest of them.
    pub(super) room_for: usize,
    /// Messages that have their outcome, where somebody wants to drop them elsewhere.
    pub(super) released: Option<Box<Released>>,
    /// What everything in here is known to fit, unless something was accepted without a server's limits.
    pub(super) fits: Option<Fits>,
    /// What connections may have ended at.
    pub(super) suspect: Option<Suspect>,
}

#[derive(Debug)]
pub(super) struct Queued {
    pub(super) token: Token,
    pub(super) qos: QoS,
    pub(super) publish: Publish,
    pub(super) republished: bool,
    pub(super) expiry: Option<Expiry>,
}

/// What is known of a message that is accepted and not taken in yet.
#[must_use = "an accepted message is to be taken in"]
pub(crate) struct Accepted {
    qos: QoS,
    size: usize,
    expiry: Option<Expiry>,
    /// Its length where it is encoded already.
    encoded: Option<NonZeroUsize>,
}

impl Outgoing {
    pub(super) fn give_memory_back(&mut self) {
        if self.queue.len() <= self.queue.capacity() / 4 {
            self.queue.shrink_to(self.queue.len() * 2);
        }
        self.inflight.give_memory_back();
    }

    pub(super) fn new(base: u16, ids: PacketIds) -> Self {
        Self {
            queue: VecDeque::new(),
            inflight: InFlight::new(base, ids),
            bytes: 0,
            next_token: 1,
            pubrecs: 0,
            wants_room: false,
            room_for: 0,
            released: None,
            fits: None,
            suspect: None,
        }
    }

    /// The token that [`next_token`](Self::next_token) will give next.
    pub(super) const fn upcoming_token(&self) -> Token {
        Token(self.next_token)
    }

    pub(super) fn restore_counters(&mut self, next_token: u64, pubrecs: u64) {
        self.next_token = next_token.max(1);
        self.pubrecs = pubrecs;
    }

    pub(super) const fn next_token(&mut self) -> Token {
        let token = Token(self.next_token);
        self.next_token += 1;
        token
    }
}

impl Session {
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        qos: QoS,
        publish: Publish,
        options: &PublishOptions,
    ) -> Result<Token, PublishError> {
        match self.offer(now, qos, &publish, options) {
            Ok(accepted) => Ok(self.take_in(accepted, publish, options)),
            Err(reason) => Err(PublishError {
                publish,
                qos,
                reason,
            }),
        }
    }

    /// Decides about a message, and encodes it where nothing is ahead of it. It stays where it is: once it is accepted it is given to
    /// [`take_in`](Self::take_in), before anything else happens.
    #[inline]
    pub(crate) fn offer(
        &mut self,
        now: Instant,
        qos: QoS,
        publish: &Publish,
        options: &PublishOptions,
    ) -> Result<Accepted, PublishRefused> {
        self.tick(now);
        let size = publish.size();
        let expiry = self.expiry(publish, options);
        let recorded = self.records.is_some() && qos != QoS::AtMostOnce;
        match self.encode_or_queue(qos, publish, size, expiry, recorded.then_some(options)) {
            Ok(encoded) => Ok(Accepted {
                qos,
                size,
                expiry,
                encoded,
            }),
            Err(reason) => Err(self.turned_away(qos, publish, size, reason)),
        }
    }

    /// How long it is encoded, or nothing where it is to wait.
    #[inline(always)]
    fn encode_or_queue(
        &mut self,
        qos: QoS,
        publish: &Publish,
        size: usize,
        expiry: Option<Expiry>,
        recorded: Option<&PublishOptions>,
    ) -> Result<Option<NonZeroUsize>, PublishRefused> {
        self.admit(qos, publish, size)?;
        if let Some(options) = recorded {
            self.admit_record(qos, publish, options)?;
        }
        // Straight into the outbox where nothing is ahead of it.
        else if self.outgoing.queue.is_empty() && self.can_send_now(qos) {
            let id = self.outgoing.inflight.next_id();
            return self.encode(qos, publish, expiry, id).map(NonZeroUsize::new);
        }
        match self.unencodable(qos, publish) {
            Some(refused) => Err(refused),
            None if self.outgoing.queue.len() >= self.config.limits.max_queued => {
                Err(PublishRefused::Full {
                    limit: "limits.max_queued",
                    max: self.config.limits.max_queued,
                })
            }
            None => Ok(None),
        }
    }

    /// Takes a message in that was accepted.
    #[inline]
    pub(crate) fn take_in(
        &mut self,
        accepted: Accepted,
        publish: Publish,
        options: &PublishOptions,
    ) -> Token {
        let Accepted {
            qos,
            size,
            expiry,
            encoded,
        } = accepted;
        let token = self.outgoing.next_token();
        self.outgoing.bytes += size;
        self.stats.accepted += 1;
        match encoded {
            Some(len) if qos == QoS::AtMostOnce => {
                self.keep_unwritten(token, publish, expiry, len.get());
            }
            encoded => {
                let queued = Queued {
                    token,
                    qos,
                    publish,
                    republished: false,
                    expiry,
                };
                match encoded {
                    Some(len) => self.keep(queued, len.get()),
                    None => self.enqueue(queued, options),
                }
            }
        }
        token
    }

    #[inline(never)]
    fn enqueue(&mut self, queued: Queued, options: &PublishOptions) {
        let (token, qos, expiry) = (queued.token, queued.qos, queued.expiry);
        let recorded = self.records.is_some() && qos != QoS::AtMostOnce;
        if !self.link.connected {
            self.outgoing.fits = None;
        }
        if recorded {
            self.record_accepted(token, qos, &queued.publish, options, expiry);
        }
        self.watch_expiry(expiry);
        self.outgoing.queue.push_back(queued);
        if recorded {
            self.pump();
        }
    }

    fn admit(&self, qos: QoS, publish: &Publish, size: usize) -> Result<(), PublishRefused> {
        let limit = self.config.limits.outgoing_bytes;
        if self.leaving.is_some() || matches!(self.stage, Stage::Closed) {
            return Err(PublishRefused::Closed);
        }
        if !self.link.connected && qos == QoS::AtMostOnce && self.config.offline == Offline::Refuse
        {
            return Err(PublishRefused::Offline);
        }
        // Aliases belong to a connection: the session's business.
        if publish.properties().has(PropertyId::TOPIC_ALIAS) {
            let (property, packet, sender) =
                (PropertyId::TOPIC_ALIAS, PacketType::Publish, Sender::Client);
            return Err(EncodeError::PropertyNotAllowed {
                property,
                packet,
                sender,
            }
            .into());
        }
        if let Some(refused) = self.link.server.refuses(qos, publish.retain()) {
            return Err(refused);
        }
        if size > limit {
            return Err(PublishRefused::AboveLimit { size, max: limit });
        }
        if self.outgoing.bytes + size > limit {
            Err(PublishRefused::Full {
                limit: "limits.outgoing_bytes",
                max: limit,
            })
        } else {
            Ok(())
        }
    }

    /// Why this server, or this version where there is no connection, can't be sent the message.
    pub(super) fn refuses(&self, qos: QoS, publish: &Publish) -> Option<PublishRefused> {
        self.link
            .server
            .refuses(qos, publish.retain())
            .or_else(|| self.unencodable(qos, publish))
    }

    pub(super) fn unencodable(&self, qos: QoS, publish: &Publish) -> Option<PublishRefused> {
        // Any identifier is as long as another.
        self.link
            .encoder
            .publish_len(publish, flow(qos, PacketId::MIN, false), None)
            .err()
            .map(Into::into)
    }

    /// Whether a message may be encoded now: there is a connection, nothing must go first, and the bounds allow it.
    fn can_send_now(&self, qos: QoS) -> bool {
        self.can_encode()
            && self.link.resend.is_empty()
            // [MQTT-4.9.0-2]
            && (qos == QoS::AtMostOnce
                || (self.link.quota > 0 && self.outgoing.inflight.can_publish()))
    }

    fn can_encode(&self) -> bool {
        self.link.connected
            && !self.link.gated
            && self.link.outbox.len() < self.config.limits.outbox_bytes
    }

    /// Encodes a message from the queue, which [`can_send_now`](Self::can_send_now).
    fn send(&mut self, queued: Queued) {
        if let Some(expiry) = queued.expiry {
            if self.outgoing.queue.is_empty() {
                self.timers.stop(Timer::Expiry);
            }
            if expiry.is_over(self.now) {
                return self.finish_with(queued.token, queued.publish, Outcome::Expired);
            }
        }
        if self.writes_ahead(queued.qos) {
            return self.send_when_stored(queued);
        }
        let (republished, id) = (queued.republished, self.outgoing.inflight.next_id());
        match self.encode(queued.qos, &queued.publish, queued.expiry, id) {
            Ok(len) => {
                self.keep(queued, len);
                if republished {
                    self.suspect(id, len);
                }
            }
            Err(refused) => {
                self.finish_with(queued.token, queued.publish, Outcome::Refused(refused));
            }
        }
    }

    #[inline]
    fn encode(
        &mut self,
        qos: QoS,
        publish: &Publish,
        expiry: Option<Expiry>,
        id: PacketId,
    ) -> Result<usize, PublishRefused> {
        let flow = flow(qos, id, false);
        let len = match expiry {
            None => self.link.publish(publish, flow),
            Some(expiry) => self.link.publish_expiring(publish, expiry, self.now, flow),
        }?;
        self.events
            .packet(|| PacketSummary::publish(Direction::Sent, flow, len));
        self.link.encoded += len as u64;
        self.stats.sent += 1;
        Ok(len)
    }

    /// Keeps a message that was encoded, as the next in flight: QoS 0 until it is written, the others until they are acknowledged.
    #[inline]
    fn keep(&mut self, queued: Queued, len: usize) {
        if queued.qos == QoS::AtMostOnce {
            self.keep_unwritten(queued.token, queued.publish, queued.expiry, len);
        } else {
            self.take_id(queued, NonZeroU64::new(self.link.encoded - len as u64));
        }
    }

    #[inline(always)]
    fn keep_unwritten(
        &mut self,
        token: Token,
        publish: Publish,
        expiry: Option<Expiry>,
        len: usize,
    ) {
        self.link.unwritten.push_back(Unwritten {
            end: self.link.encoded,
            len: len as u64,
            token,
            publish,
            expiry,
        });
    }

    /// Gives a message the next packet identifier. It is in flight from now on, and `unsent` as [`Sent`] has it.
    #[inline]
    pub(super) fn take_id(&mut self, queued: Queued, unsent: Option<NonZeroU64>) -> PacketId {
        let Queued {
            token,
            qos,
            publish,
            republished,
            expiry,
        } = queued;
        self.link.quota = self.link.quota.saturating_sub(1);
        let state = SentState::Unacknowledged {
            qos,
            publish,
            expiry,
        };
        let id = self.outgoing.inflight.insert(Sent {
            token,
            republished,
            counted: true,
            unsent,
            state,
        });
        self.record(|| Record::Sent { token, id });
        id
    }

    /// Encodes a message in flight: once more, or at last for the first time.
    pub(super) fn transmit(&mut self, id: PacketId) {
        let Some(sent) = self.outgoing.inflight.get_mut(id) else {
            return;
        };
        let SentState::Unacknowledged {
            qos,
            publish,
            expiry,
        } = &sent.state
        else {
            return;
        };
        // [MQTT-3.3.1-1]
        let dup = sent.unsent.is_none();
        let flow = flow(*qos, id, dup);
        let shortened = expiry.and_then(|expiry| expiry.shortened(publish, self.now));
        let publish = shortened.as_ref().unwrap_or(publish);
        let link = &mut self.link;
        // Without an alias, unless it is counted already as one that was withheld: what is sent again always says its topic.
        let encoded = if sent.counted {
            link.publish(publish, flow)
        } else {
            link.publish_plain(publish, flow, None)
        };
        match encoded {
            Ok(len) => {
                if !dup {
                    sent.unsent = NonZeroU64::new(self.link.encoded);
                }
                self.events
                    .packet(|| PacketSummary::publish(Direction::Sent, flow, len));
                self.link.encoded += len as u64;
                self.stats.sent += 1;
                if !sent.counted {
                    sent.counted = true;
                    self.link.quota = self.link.quota.saturating_sub(1);
                }
                self.stats.resent += u64::from(dup);
            }
            Err(error) => self.give_up(id, Outcome::Refused(error.into())),
        }
    }

    /// Encodes what waits, as far as the bounds allow: requests, then what is sent again, then what is new.
    #[inline]
    pub(super) fn pump(&mut self) {
        // Mostly nothing does.
        if !self.outgoing.queue.is_empty()
            || !self.subscriptions.pending.is_empty()
            || !self.link.resend.is_empty()
            || self.link.withheld.is_some()
        {
            self.pump_all();
        }
        self.tell_room();
    }

    #[inline(never)]
    fn pump_all(&mut self) {
        while self.can_encode() && self.send_request() {}
        while self.can_encode()
            && let Some(id) = self.link.resend.front().copied()
        {
            if !self.resend(id) {
                break;
            }
            self.link.resend.pop_front();
        }
        while self.has_stored()
            && self.can_encode()
            && let Some((id, token)) = self.next_stored()
        {
            self.send_stored(id, token);
        }
        while let Some(next) = self.outgoing.queue.front()
            && self.can_send_now(next.qos)
            && let Some(next) = self.outgoing.queue.pop_front()
        {
            self.send(next);
        }
    }

    /// Whether [`pump`](Self::pump) would encode something.
    pub(super) fn can_pump(&self) -> bool {
        if !self.can_encode() {
            return false;
        }
        self.can_send_request()
            || self.has_stored()
            || match (self.link.resend.front(), self.outgoing.queue.front()) {
                // PUBRELs stand first, and nothing of the quota is used then.
                (Some(_), _) => self.link.quota > 0,
                (None, Some(next)) => self.can_send_now(next.qos),
                (None, None) => false,
            }
    }

    /// Sends one message or PUBREL again [MQTT-4.4.0-1]. `false` where the quota does not allow it yet.
    fn resend(&mut self, id: PacketId) -> bool {
        let before = self.link.encoded;
        // Else it was acknowledged meanwhile.
        if let Some(sent) = self.outgoing.inflight.get(id) {
            match sent.state {
                SentState::Released { .. } | SentState::GivenUp { order: Some(_) } => {
                    self.release_again(id);
                }
                SentState::Unacknowledged {
                    qos,
                    ref publish,
                    expiry: Some(expiry),
                } if expiry.ends_resending(qos, publish, sent.unsent.is_none(), self.now) => {
                    self.give_up_expired();
                }
                SentState::Unacknowledged {
                    qos,
                    ref publish,
                    expiry,
                } if self.link.quota == 0 => {
                    let was_sent = sent.unsent.is_none();
                    // It may expire before there is quota, and is in the way of the others until then.
                    let expiry = expiry.filter(|expiry| {
                        expiry.ends_resending(qos, publish, was_sent, expiry.over())
                    });
                    self.watch_expiry(expiry);
                    return false;
                }
                SentState::Unacknowledged { .. } => self.transmit(id),
                SentState::GivenUp { order: None } => {}
            }
        }
        let len = self.link.encoded - before;
        if len > 0 {
            self.suspect(id, len as usize);
        }
        true
    }

    /// Gives up all that is not sent again because it has expired. Those behind it wait until that is stored: a process that does not know of it
    /// would send it again, behind what the server has seen by then [MQTT-4.6.0-1].
    #[cold]
    fn give_up_expired(&mut self) {
        let (resend, now) = (&self.link.resend, self.now);
        let over = |id: &PacketId| {
            self.outgoing.inflight.get(*id).is_some_and(|sent| {
                let was_sent = sent.unsent.is_none();
                matches!(
                    sent.state,
                    SentState::Unacknowledged { qos, ref publish, expiry: Some(expiry) }
                        if expiry.ends_resending(qos, publish, was_sent, now)
                )
            })
        };
        let expired: Vec<_> = resend.iter().copied().filter(over).collect();
        for id in expired {
            self.give_up(id, Outcome::Expired);
        }
        self.shut_gate();
    }

    /// The operating system took bytes: QoS 0 messages that ended among them are done.
    pub(super) fn written(&mut self, n: usize) {
        // No more than the driver has taken.
        let taken = self.link.encoded - self.link.outbox.len() as u64;
        let n = (n as u64).min(taken.saturating_sub(self.link.written));
        if n == 0 {
            return;
        }
        self.link.written += n;
        self.link.last_written = self.now;
        self.stats.bytes_written += n;
        self.finish_written();
        self.ping_written();
        self.tell_room();
        self.leave_if_drained();
    }
}

const fn flow(qos: QoS, id: PacketId, dup: bool) -> Flow {
    match qos {
        QoS::AtMostOnce => Flow::AtMostOnce,
        QoS::AtLeastOnce => Flow::AtLeastOnce { id, dup },
        QoS::ExactlyOnce => Flow::ExactlyOnce { id, dup },
    }
}
