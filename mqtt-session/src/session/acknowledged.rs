//! What the server answers to messages of QoS 1 and 2: PUBACK, PUBREC and PUBCOMP.

use mqtt_proto::{PacketId, PacketType, QoS, ReasonCode};

use super::Session;
use super::inflight::SentState;
use crate::{Outcome, Record};

impl Session {
    /// PUBACK, or the end of a QoS 2 exchange.
    pub(super) fn acknowledged(&mut self, packet: PacketType, id: PacketId, reason: ReasonCode) {
        use PacketType::{PubAck, PubComp, PubRec};
        let Some(sent) = self.outgoing.inflight.get_mut(id) else {
            self.stats.unexpected += 1;
            if packet == PubRec {
                // Nobody waits for it, but the server must not wait for ever.
                self.acknowledge(
                    PacketType::PubRel,
                    id,
                    ReasonCode::PACKET_IDENTIFIER_NOT_FOUND,
                );
            }
            return;
        };
        match (&sent.state, packet) {
            (
                SentState::Unacknowledged {
                    qos: QoS::AtLeastOnce,
                    ..
                },
                PubAck,
            ) => self.conclude(id, reason),
            // [MQTT-4.4.0-2], [MQTT-4.3.3-9]
            (
                SentState::Unacknowledged {
                    qos: QoS::ExactlyOnce,
                    ..
                },
                PubRec,
            ) if reason.is_error() => {
                self.conclude(id, reason);
            }
            (
                SentState::Unacknowledged {
                    qos: QoS::ExactlyOnce,
                    publish,
                    ..
                },
                PubRec,
            ) => {
                let (token, size) = (sent.token, publish.size());
                let order = self.outgoing.pubrecs;
                let released = &mut self.outgoing.released;
                sent.release(
                    released.as_deref_mut(),
                    SentState::Released { reason, order },
                );
                self.outgoing.pubrecs += 1;
                self.outgoing.bytes -= size;
                self.stats.acknowledged += 1;
                self.record(|| Record::PubRec { token, reason });
                // [MQTT-4.3.3-4]
                self.acknowledge(PacketType::PubRel, id, ReasonCode::SUCCESS);
            }
            // The identifier is free with it [MQTT-4.3.3-9], though the message was taken before.
            (SentState::Released { reason: taken, .. }, PubRec) if reason.is_error() => {
                let taken = *taken;
                self.conclude(id, taken);
            }
            (SentState::GivenUp { .. }, PubRec) if reason.is_error() => self.free(id),
            // Nobody waits for it any more, but PUBCOMP frees the identifier.
            (SentState::GivenUp { order: None }, PubRec) => {
                let order = Some(self.outgoing.pubrecs);
                sent.state = SentState::GivenUp { order };
                self.outgoing.pubrecs += 1;
                self.acknowledge(PacketType::PubRel, id, ReasonCode::SUCCESS);
            }
            // The PUBREC came again: so goes the PUBREL.
            (SentState::Released { .. } | SentState::GivenUp { .. }, PubRec) => {
                self.acknowledge(PacketType::PubRel, id, ReasonCode::SUCCESS)
            }
            (SentState::Released { reason, .. }, PubComp) => {
                let reason = *reason;
                self.conclude(id, reason);
            }
            (SentState::GivenUp { .. }, PubComp) => self.free(id),
            _ => return self.violated(crate::Violation::WrongAck { packet, id }),
        }
        self.pump();
        self.leave_if_drained();
    }

    /// The exchange of a message is over that was given up before.
    fn free(&mut self, id: PacketId) {
        self.outgoing.inflight.remove(id);
        self.record(|| Record::Freed { id });
    }

    /// The exchange is over: its identifier is free.
    fn conclude(&mut self, id: PacketId, reason: ReasonCode) {
        let released = self.outgoing.released.as_deref_mut();
        let ended = self.outgoing.inflight.end(id, |sent| {
            let size = match &sent.state {
                SentState::Unacknowledged { publish, .. } => Some(publish.size()),
                SentState::Released { .. } | SentState::GivenUp { .. } => None,
            };
            sent.release(released, SentState::GIVEN_UP);
            (sent.token, sent.counted, sent.republished, size)
        });
        let Some((token, counted, republished, size)) = ended else {
            return;
        };
        // [MQTT-3.3.4-7]: one whose PUBLISH went out on an earlier connection was not counted on this one.
        if counted {
            self.link.quota = self.link.quota.saturating_add(1).min(self.link.quota_max);
        }
        let outcome = if reason.is_error() {
            Outcome::Rejected(reason)
        } else {
            Outcome::Acknowledged {
                reason,
                republished,
                completed: true,
            }
        };
        if let Some(size) = size {
            self.stats.acknowledged += 1;
            self.outgoing.bytes -= size;
        }
        self.finish(token, outcome);
    }
}
