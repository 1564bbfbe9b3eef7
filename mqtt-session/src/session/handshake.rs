//! CONNECT and CONNACK.

use core::time::Duration;

use alloc::string::{String, ToString};
use mqtt_proto::{
    ConnAck, Connect, EncodeError, Packet, PacketType, Properties, PropertiesRef, QoS, ReasonCode,
    Text, Version,
};

use super::Session;
use super::alias::Aliases;
use super::home::Home;
use super::link::{Link, Server};
use super::stage::{Farewell, Stage};
use crate::{Cause, ConnectionError, Direction, Event, PacketSummary, Timer, Violation};

/// The size of the smallest acknowledgement.
const ACK_LEN: u32 = 4;

impl Session {
    /// The stream is open: a new connection group.
    pub(super) fn open_link(&mut self) {
        let version = self.round.version(self.config.version());
        self.link = Link::new(version, &self.config);
        self.link.is_unsure = core::mem::replace(&mut self.is_unsure, true);
        self.link.opened_at = self.now;
        self.link.last_written = self.now;
        self.link.last_received = self.now;
        self.link.clean_start = self.clean_start(version);
        self.link.only_clears = self.only_clears(version);
    }

    /// What the configuration and the URL of the server whose turn it is say.
    fn connect_in(&self, version: Version, properties: Properties) -> Connect {
        let mut connect = Connect {
            client_id: self.client_id().clone(),
            properties,
            ..self.config.connect_in(version).clone()
        };
        if let Some(credentials) = self.round.endpoint().credentials() {
            connect.user_name.clone_from(&credentials.user_name);
            connect.password.clone_from(&credentials.password);
        }
        connect
    }

    /// Whether an attempt at the server whose turn it is can come to anything, as far as that is known before.
    pub(super) fn check_server(&self) -> Result<(), ConnectionError> {
        let version = self.round.version(self.config.version());
        let properties = self.config.connect_in(version).properties.clone();
        let connect = self.connect_in(version, properties);
        connect
            .check()
            .map_err(|error| ConnectionError::Connect { error })?;
        let (server, transports) = (self.round.endpoint(), self.config.transports());
        let checked = if self.layered || !transports.has_layers(server) {
            transports.check(server)
        } else {
            let words = "this session is driven without `Connection`, which has the layers";
            Err(Cause::Other(words.to_string()))
        };
        checked.map_err(|cause| ConnectionError::Transport {
            server: server.clone(),
            cause,
        })
    }

    /// CONNECT as the first packet [MQTT-3.1.0-1].
    pub(super) fn send_connect(&mut self, properties: Properties) -> Result<(), EncodeError> {
        let mut connect = Connect {
            clean_start: self.link.clean_start,
            ..self.connect_in(self.link.version, properties)
        };
        if let Some(credentials) = self.round.take_credentials() {
            connect.user_name = credentials.user_name;
            connect.password = credentials.password;
        }
        self.link.quiet = self.wants_no_problem_information();
        let connect = Packet::Connect(connect.into());
        let len = self.link.encoder.encode(&connect, &mut self.link.outbox)?;
        self.events
            .packet(|| PacketSummary::new(Direction::Sent, PacketType::Connect, len));
        self.link.encoded += len as u64;
        Ok(())
    }

    pub(super) fn connack(&mut self, mut connack: ConnAck) {
        // It may be kept for as long as the connection lasts.
        connack.properties.detach();
        let properties = connack.properties.view();
        if connack.reason != ReasonCode::SUCCESS {
            let words = properties.reason_string().map(ToString::to_string);
            self.redirected(connack.reason, properties);
            return self.refused(connack.reason, words);
        }
        self.connack_authenticates(connack);
    }

    /// The server accepts us, and the authenticator, if there is one, accepts the server.
    pub(super) fn accepted(&mut self, connack: ConnAck) {
        let Stage::Open { attempt, ref addr } = self.stage else {
            return;
        };
        let addr = addr.clone();
        let properties = connack.properties.view();
        // [MQTT-3.2.2-2]
        if connack.session_present && self.link.clean_start {
            return self.violated(Violation::SessionPresent);
        }
        if self.is_response_information_unasked(&connack) {
            return self.violated(Violation::ResponseInformation);
        }
        // [MQTT-3.2.2-4]
        if connack.session_present && self.home.is_none() && self.config.requires_local_state() {
            let error = ConnectionError::NoLocalState { addr };
            return self.lose(error, Farewell::Reason(ReasonCode::SUCCESS));
        }
        if let Some(max) = properties.maximum_packet_size() {
            // [MQTT-3.2.2-15]: also what we say to that.
            self.link.encoder = self.link.encoder.with_max_packet_size(max.get());
            if max.get() < ACK_LEN {
                let farewell = Farewell::Reason(ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR);
                return self.lose(ConnectionError::TakesNoAck { addr, max }, farewell);
            }
        }
        if let Some(id) = properties.assigned_client_identifier() {
            // It names the session from now on [MQTT-3.1.3-7].
            self.round.assign(Text::try_from(id).unwrap_or_default());
        } else if self.client_id().is_empty() && self.link.version.is_v5() {
            return self.violated(Violation::NoAssignedClientId);
        }
        let expected = self.expects_session();
        self.home = Some(Home {
            group: self.round.server().group,
            lasts: properties
                .session_expiry_interval()
                .unwrap_or(self.config.expiry_seconds())
                > 0,
            cleared: self.link.only_clears,
        });
        self.version = self.link.version;
        self.is_unsure = false;
        self.round.accepted();
        if self.link.only_clears {
            self.inbox.new_epoch();
            self.lose_session();
            self.record_session_began();
            return self.come_again(attempt);
        }
        self.timers.stop(Timer::ConnAck);
        self.adopt_limits(properties);
        self.link.connected = true;
        self.stats.connections += 1;
        self.connected_before = true;
        self.events.push_back(Event::Connected {
            addr,
            connack: connack.clone(),
        });
        self.resume(connack.session_present, expected);
        self.refuse_what_no_longer_fits();
        self.arm_keep_alive();
        self.shut_gate();
        self.pump();
        self.leave_if_drained();
    }

    fn refused(&mut self, reason: ReasonCode, words: Option<String>) {
        let Some(addr) = self.peer() else { return };
        // No session was begun.
        self.is_unsure = self.link.is_unsure;
        let after = self.now - self.link.opened_at;
        let error = ConnectionError::Refused {
            addr,
            after,
            reason,
            words,
        };
        // [MQTT-3.2.2-7]: the server closes, too.
        self.lose(error, Farewell::Silent);
    }

    /// A server that does not know 5.0 may answer in the words of 3.x, where CONNACK has no properties and 1 says that it is the
    /// version.
    pub(super) fn detect_old_server(&mut self, input: &[u8]) {
        const UNACCEPTABLE: [u8; 4] = [0x20, 2, 0, 1];
        if !self.link.connected && self.link.version.is_v5() && input.starts_with(&UNACCEPTABLE) {
            self.refused(ReasonCode::UNSUPPORTED_PROTOCOL_VERSION, None);
        }
    }

    /// Whether the error may come of the version, where the configuration has another to try, and the server was not known to speak
    /// this one.
    pub(super) fn falls_back(&mut self, error: &ConnectionError) -> bool {
        let of_version = match error {
            ConnectionError::Refused { reason, .. } => {
                *reason == ReasonCode::UNSUPPORTED_PROTOCOL_VERSION
            }
            ConnectionError::Unanswered { .. } => true,
            _ => false,
        };
        of_version && self.config.fallback().is_some() && self.round.fall_back()
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
        let response_information = said.response_information();
        self.round
            .inform(response_information.and_then(|text| Text::try_from(text).ok()));
        // [MQTT-4.9.0-1]
        let ours = match self.link.version {
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
        // [MQTT-3.1.2-21], [MQTT-3.2.2-21]
        let seconds = said
            .server_keep_alive()
            .unwrap_or(self.config.connect.keep_alive);
        self.link.keep_alive = Duration::from_secs(seconds.into());
    }

    /// Goes on with the session that the server has, or begins anew where it has none, which is told where it was `expected`.
    fn resume(&mut self, session_present: bool, expected: bool) {
        // 3.1 can't tell: a session that was to be kept counts as there, and what must not be missing is sent again. So it is where a
        // CONNACK never came, which may have told that the session was lost: the session that it began is there now.
        let untold = !self.link.clean_start
            && (self.link.version == Version::V3_1 || (session_present && self.link.is_unsure));
        if untold {
            self.inbox.doubt();
        }
        if session_present || untold {
            self.link.resend = self.outgoing.inflight.begin_resend().into();
            self.record_session_resumed();
        } else {
            if expected {
                self.events.push_back(Event::SessionLost);
            }
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
        let Some(addr) = self.peer() else { return };
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
