//! Write-ahead: packets that wait until the records that they depend on are stored.
//!
//! A crash leaves what was stored, and the server has what was sent. So that the server never knows of what the next process does not:
//!
//! - PUBLISH of QoS 1 and 2 waits for the message and its packet identifier: it is sent again under the same one, or else the server
//!   could not tell that it is the same.
//! - PUBREL waits for the PUBREC: after PUBREL the server has forgotten the message, and would take it again.
//! - PUBREC waits for the identifier: after PUBREC the server may not send the message again as a new one, nor must it be delivered twice.
//! - PUBCOMP waits for the release: after PUBCOMP the server gives the identifier to other messages.
//! - What is sent behind a message that has expired in flight waits until that is stored, lest the next process sends that one out of its order.
//! - On a new connection everything but CONNECT waits for what was recorded before: that the server has begun a new session must not be
//!   forgotten once there is something in it.
//!
//! PUBACK waits for nothing: a message of QoS 1 that is not acknowledged comes again. Each waits for all records that there are at that time,
//! which is simple, and costs nothing where records are stored in their order.

use alloc::collections::VecDeque;
use core::num::NonZeroU64;

use mqtt_proto::{PacketId, PacketType, QoS, ReasonCode};

use super::Session;
use super::inflight::{Sent, SentState};
use super::records::Records;
use super::send::Queued;
use crate::{Limits, Outcome, Record, Seq, Token};

/// What one connection withholds. What it still has when the connection ends is sent again on the next one, as everything in flight.
#[derive(Debug, Default)]
pub(super) struct Withheld {
    /// Nothing at all may be sent before this is stored.
    gate: Seq,
    publishes: VecDeque<(Seq, PacketId, Token)>,
    acks: VecDeque<(Seq, PacketType, PacketId, ReasonCode)>,
}

/// The length of an acknowledgement with a reason code.
const ACK_BYTES: usize = 5;

impl Withheld {
    pub(super) fn is_full(&self, limits: &Limits) -> bool {
        self.acks.len() >= (limits.outbox_bytes / ACK_BYTES).max(1)
    }
}

impl Session {
    #[inline]
    fn write_ahead(&self) -> Option<&Records> {
        self.records
            .as_deref()
            .filter(|records| records.write_ahead)
    }

    /// Whether a message may not be encoded where it is accepted.
    #[inline]
    pub(super) fn writes_ahead(&self, qos: QoS) -> bool {
        qos != QoS::AtMostOnce && self.write_ahead().is_some()
    }

    /// Nothing leaves before what was recorded up to now is stored.
    pub(super) fn shut_gate(&mut self) {
        if let Some(records) = self.write_ahead() {
            let last = records.last();
            self.link.gated = !records.covers(last);
            self.link.withheld.get_or_insert_default().gate = last;
        }
    }

    /// Gives a message its packet identifier, under which it is sent when that is stored.
    pub(super) fn send_when_stored(&mut self, queued: Queued) {
        let token = queued.token;
        if let Some(refused) = self.refuses(queued.qos, &queued.publish) {
            return self.finish_with(token, queued.publish, Outcome::Refused(refused));
        }
        let id = self.take_id(queued, Some(NonZeroU64::MAX));
        if let Some(seq) = self.write_ahead().map(Records::last) {
            let withheld = self.link.withheld.get_or_insert_default();
            withheld.publishes.push_back((seq, id, token));
        }
    }

    /// Whether a message waits for nothing any more but to be encoded.
    #[inline]
    pub(super) fn has_stored(&self) -> bool {
        let withheld = self.link.withheld.as_ref();
        let first = withheld.and_then(|withheld| withheld.publishes.front());
        first.is_some_and(|(seq, ..)| {
            self.write_ahead()
                .is_some_and(|records| records.covers(*seq))
        })
    }

    /// The next message that may be encoded for the first time.
    #[inline]
    pub(super) fn next_stored(&mut self) -> Option<(PacketId, Token)> {
        if !self.has_stored() {
            return None;
        }
        let (_, id, token) = self.link.withheld.as_mut()?.publishes.pop_front()?;
        Some((id, token))
    }

    /// Sends a message for the first time, if it is still worth it.
    pub(super) fn send_stored(&mut self, id: PacketId, token: Token) {
        let sent = self.outgoing.inflight.get(id);
        let Some(sent) = sent.filter(|sent| sent.token == token) else {
            return;
        };
        let expired = matches!(
            &sent.state,
            SentState::Unacknowledged { expiry: Some(expiry), .. } if expiry.is_over(self.now)
        );
        if !expired {
            let (before, republished) = (self.link.encoded, sent.republished);
            self.transmit(id);
            let len = (self.link.encoded - before) as usize;
            if republished && len > 0 {
                self.suspect(id, len);
            }
            return;
        }
        // The server has never heard of it, so the identifier is free.
        if let Some(Sent {
            state: SentState::Unacknowledged { qos, publish, .. },
            ..
        }) = self.outgoing.inflight.remove(id)
        {
            self.link.quota = self.link.quota.saturating_add(1).min(self.link.quota_max);
            self.finish_with(token, publish, Outcome::Expired);
            if qos == QoS::ExactlyOnce {
                self.record(|| Record::Freed { id });
            }
        }
        // A process that does not know of it would send it behind what the server has seen by then [MQTT-4.6.0-1].
        self.shut_gate();
    }

    /// Sends a PUBREL again, ahead of anything new: the PUBREC was stored before this connection, or the PUBREL waits for it already.
    pub(super) fn release_again(&mut self, id: PacketId) {
        let packet = PacketType::PubRel;
        let mut acks = self.link.withheld.iter().flat_map(|all| &all.acks);
        if !acks.any(|(_, waiting, of, _)| (*waiting, *of) == (packet, id)) {
            self.put_ack(packet, id, ReasonCode::SUCCESS);
        }
    }

    /// Keeps an acknowledgement back, unless all that it depends on is stored.
    #[inline]
    pub(super) fn withhold(
        &mut self,
        packet: PacketType,
        id: PacketId,
        reason: ReasonCode,
    ) -> bool {
        let Some(records) = self.write_ahead() else {
            return false;
        };
        let last = records.last();
        let waits = packet != PacketType::PubAck
            && !(records.covers(last) && self.next_ack_withheld().is_none());
        if waits {
            let withheld = self.link.withheld.get_or_insert_default();
            withheld.acks.push_back((last, packet, id, reason));
        }
        waits
    }

    fn next_ack_withheld(&self) -> Option<(Seq, PacketType, PacketId, ReasonCode)> {
        self.link.withheld.as_ref()?.acks.front().copied()
    }

    /// More is stored: lets go what waited for it.
    pub(super) fn release_withheld(&mut self) {
        let Some(records) = self.write_ahead() else {
            return;
        };
        let Some(withheld) = &self.link.withheld else {
            return;
        };
        self.link.gated = !records.covers(withheld.gate);
        while let Some((seq, packet, id, reason)) = self.next_ack_withheld()
            && self
                .write_ahead()
                .is_some_and(|records| records.covers(seq))
        {
            if let Some(withheld) = &mut self.link.withheld {
                withheld.acks.pop_front();
            }
            if self.link.connected {
                self.put_ack(packet, id, reason);
            }
        }
        self.pump();
    }
}
