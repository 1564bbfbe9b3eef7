//! CONNECT and CONNACK.

use core::time::Duration;

use alloc::string::ToString;
use mqtt_proto::{
    ConnAck, Connect, EncodeError, Packet, PacketType, Properties, PropertiesRef, QoS, ReasonCode,
    Text, Version,
};

use super::Session;
use super::alias::Aliases;
use super::link::{Link, Server};
use super::phase::{Farewell, Stage};
use crate::{ConnectionError, Direction, Event, PacketSummary, Timer, Violation};

impl Session {
    /// The stream is open: a new connection group.
    pub(super) fn open_link(&mut self) {
        self.link = Link::new(self.config.version(), &self.config);
        self.link.is_unsure = core::mem::replace(&mut self.is_unsure, true);
        self.link.opened_at = self.now;
        self.link.last_written = self.now;
        self.link.last_received = self.now;
    }

    /// CONNECT as the first packet [MQTT-3.1.0-1].
    pub(super) fn send_connect(&mut self, properties: Properties) -> Result<(), EncodeError> {
        let connect = Connect {
            clean_start: self.clean_start(),
            properties,
            ..self.config.connect.clone()
        };
        self.link.clean_start = connect.clean_start;
        self.link.quiet = self.wants_no_problem_information();
        let connect = Packet::Connect(connect.into());
        let len = self.link.encoder.encode(&connect, &mut self.link.outbox)?;
        self.events
            .packet(|| PacketSummary::new(Direction::Sent, PacketType::Connect, len));
        self.link.encoded += len as u64;
        Ok(())
    }

    /// Clean Start asks for an end to what was before the session. In 5.0 the session then lasts over connections; in 3.x
    /// Clean Session also ends it with each of them.
    fn clean_start(&self) -> bool {
        let begins = self.config.connect.clean_start;
        match self.config.version() {
            Version::V5 => begins && (!self.continues() || self.config.session_expiry.is_zero()),
            Version::V3_1 | Version::V3_1_1 => begins,
        }
    }

    /// Whether the server had a session of this one, or of the process whose records it is made of.
    fn continues(&self) -> bool {
        self.connected_before || self.records.as_ref().is_some_and(|records| records.begun)
    }

    pub(super) fn connack(&mut self, mut connack: ConnAck) {
        // It may be kept for as long as the connection lasts.
        connack.properties.detach();
        let Stage::Open { addr, .. } = self.stage else {
            return;
        };
        let properties = connack.properties.view();
        if connack.reason != ReasonCode::SUCCESS {
            // No session was begun.
            self.is_unsure = self.link.is_unsure;
            let words = properties.reason_string().map(ToString::to_string);
            let (reason, after) = (connack.reason, self.now - self.link.opened_at);
            // [MQTT-3.2.2-7]: the server closes, too.
            self.lose(
                ConnectionError::Refused {
                    addr,
                    after,
                    reason,
                    words,
                },
                Farewell::Silent,
            );
            return;
        }
        self.connack_authenticates(connack);
    }

    /// The server accepts us, and the authenticator, if there is one, accepts the server.
    pub(super) fn accepted(&mut self, connack: ConnAck) {
        let Stage::Open { addr, .. } = self.stage else {
            return;
        };
        let properties = connack.properties.view();
        // [MQTT-3.2.2-2]
        if connack.session_present && self.link.clean_start {
            return self.violated(Violation::SessionPresent);
        }
        if self.is_response_information_unasked(&connack) {
            return self.violated(Violation::ResponseInformation);
        }
        if let Some(id) = properties.assigned_client_identifier() {
            // It names the session from now on [MQTT-3.1.3-7].
            self.config.connect.client_id = Text::try_from(id).unwrap_or_default();
        } else if self.config.connect.client_id.is_empty() && self.config.version().is_v5() {
            return self.violated(Violation::NoAssignedClientId);
        }
        self.is_unsure = false;
        self.timers.stop(Timer::ConnAck);
        self.adopt_limits(properties);
        self.link.connected = true;
        self.stats.connections += 1;
        self.connected_before = true;
        self.events.push_back(Event::Connected {
            addr,
            connack: connack.clone(),
        });
        self.resume(connack.session_present);
        self.refuse_what_no_longer_fits();
        self.arm_keep_alive();
        self.shut_gate();
        self.pump();
        self.leave_if_drained();
    }

    /// What the server said of itself.
    fn adopt_limits(&mut self, said: PropertiesRef<'_>) {
        self.link.server = Server {
            maximum_qos: match said.maximum_qos() {
                None => QoS::ExactlyOnce,
                Some(true) => QoS::AtLeastOnce,
                Some(false) => QoS::AtMostOnce,
            },
            retain_available: said.retain_available() != Some(false),
            wildcard_available: said.wildcard_subscription_available() != Some(false),
            shared_available: said.shared_subscription_available() != Some(false),
            identifiers_available: said.subscription_identifier_available() != Some(false),
        };
        // [MQTT-4.9.0-1]
        let ours = match self.config.version() {
            Version::V5 => self.config.limits.max_in_flight,
            Version::V3_1 | Version::V3_1_1 => self.config.limits.max_in_flight_v3,
        };
        self.link.quota_max = said
            .receive_maximum()
            .map_or(ours, |theirs| theirs.min(ours))
            .get();
        self.link.quota = self.link.quota_max;
        // [MQTT-3.2.2-17], [MQTT-3.2.2-18], [MQTT-3.3.2-9]
        let most = said.topic_alias_maximum().unwrap_or(0);
        self.link.aliases = Aliases::new(most.min(self.config.limits.topic_aliases));
        // [MQTT-3.2.2-15]
        if let Some(max) = said.maximum_packet_size() {
            self.link.encoder = self.link.encoder.with_max_packet_size(max.get());
        }
        // [MQTT-3.1.2-21], [MQTT-3.2.2-21]
        let seconds = said
            .server_keep_alive()
            .unwrap_or(self.config.connect.keep_alive);
        self.link.keep_alive = Duration::from_secs(seconds.into());
    }

    /// Goes on with the session that the server has, or begins anew where it has none.
    fn resume(&mut self, session_present: bool) {
        // 3.1 can't tell: a session that was to be kept counts as there, and what must not be missing is sent again. So it is where a
        // CONNACK never came, which may have told that the session was lost: the session that it began is there now.
        let untold = !self.link.clean_start
            && (self.config.version() == Version::V3_1 || (session_present && self.link.is_unsure));
        if untold {
            self.inbox.doubt();
        }
        if session_present || untold {
            self.link.resend = self.outgoing.inflight.begin_resend().into();
        } else {
            // [MQTT-3.2.2-5]
            self.inbox.new_epoch();
            self.lose_session();
            self.record_session_began();
        }
        if !session_present || untold {
            self.subscriptions.resubscribe(self.identifies(), !untold);
        }
    }

    pub(super) fn violated(&mut self, violation: Violation) {
        let Stage::Open { addr, .. } = self.stage else {
            return;
        };
        let reason = violation.reason();
        self.lose(
            ConnectionError::Protocol { addr, violation },
            Farewell::Reason(reason),
        );
    }

    /// Encodes a packet that is no message. Whether it could be.
    pub(super) fn put(&mut self, packet: &Packet) -> bool {
        match self.link.encoder.encode(packet, &mut self.link.outbox) {
            Ok(len) => {
                self.events
                    .packet(|| PacketSummary::of(Direction::Sent, packet, len));
                self.link.encoded += len as u64;
                true
            }
            Err(_) => false,
        }
    }
}
