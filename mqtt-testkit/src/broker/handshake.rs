//! CONNECT and CONNACK.

use core::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use bytes::Bytes;
use mqtt_proto::{
    ConnAck, Connect, Disconnect, Packet, Properties, QoS, ReasonCode, Version, Will,
};

use super::connection::{Effect, Phase};
use super::message::{Message, built, forwarded};
use super::session::Session;
use super::timers::NEVER;
use super::violation::{Checked, Fault};
use super::{Broker, ConnId};
use crate::Time;

impl Broker {
    /// A valid CONNECT has come, the first of its connection.
    pub(super) fn connect(&mut self, conn: ConnId, connect: Box<Connect>) -> Checked {
        let config = self.config.clone();
        let Some(connection) = self.connections.get_mut(&conn) else {
            return Ok(());
        };
        connection.version = connect.version;
        connection.version_known = true;
        connection.config = config;
        let maximum = connect.properties.view().maximum_packet_size();
        connection.maximum_packet_size = maximum.map(NonZeroU32::get);
        if let Some((reason, properties)) = self.script.refusals.pop_front() {
            self.refuse(conn, reason, properties);
            return Ok(());
        }
        check_client_id(&connect)?;
        if let Some(will) = &connect.will
            && connect.version.is_v5()
        {
            // [MQTT-3.2.2-12], [MQTT-3.2.2-13]: refused, and no violation, for the client could not know.
            if will.qos > self.config.maximum_qos {
                self.refuse(conn, ReasonCode::QOS_NOT_SUPPORTED, Properties::new());
                return Ok(());
            }
            if will.retain && !self.config.retain_available {
                self.refuse(conn, ReasonCode::RETAIN_NOT_SUPPORTED, Properties::new());
                return Ok(());
            }
        }
        if connect.properties.view().authentication_method().is_some() {
            self.begin_authentication(conn, connect);
        } else {
            self.accept(conn, &connect, None);
        }
        Ok(())
    }

    /// CONNACK with a failure, then the end [MQTT-3.2.2-7].
    pub(super) fn refuse(&mut self, conn: ConnId, reason: ReasonCode, properties: Properties) {
        let connack = ConnAck {
            session_present: false,
            reason,
            properties,
        };
        self.send(conn, &Packet::ConnAck(connack), Effect::None);
        self.lose(conn, false);
    }

    pub(super) fn accept(&mut self, conn: ConnId, connect: &Connect, auth_data: Option<Bytes>) {
        let assigned = connect.client_id.is_empty();
        let client_id: Arc<str> = if assigned {
            self.assigned_ids += 1;
            format!("assigned-{}", self.assigned_ids).into()
        } else {
            connect.client_id.as_str().into()
        };
        self.take_over(&client_id);
        let present = self.attach(conn, connect, &client_id);
        let present_claim = self.script.session_present.pop_front();
        let claimed = match connect.version {
            Version::V3_1 => present,
            _ => present_claim.unwrap_or(present),
        };
        self.set_up(conn, connect, present, claimed);
        let mut properties = self.connack_properties(conn, connect);
        if connect.version.is_v5() {
            let mut more = Properties::builder().extend(properties.view());
            if assigned {
                more = more.assigned_client_identifier(&client_id);
            }
            if let Some(method) = connect.properties.view().authentication_method() {
                more = more.authentication_method(method);
            }
            if let Some(data) = &auth_data {
                more = more.authentication_data(data);
            }
            properties = built(more);
        }
        let connack = ConnAck {
            session_present: claimed && connect.version != Version::V3_1,
            reason: ReasonCode::SUCCESS,
            properties,
        };
        self.send(conn, &Packet::ConnAck(connack), Effect::None);
        if let Some((connection, session)) = self.pair(conn) {
            session.outbound.resume(&mut connection.down);
        }
        self.pump(conn);
    }

    /// [MQTT-3.1.4-3]
    fn take_over(&mut self, client_id: &Arc<str>) {
        if let Some(older) = self.sessions.get(client_id).and_then(|s| s.conn) {
            self.note(older, "the session is taken over");
            let reason = ReasonCode::SESSION_TAKEN_OVER;
            self.close(older, Some(Disconnect::new(reason)));
        }
    }

    /// Gives the connection its session, and tells whether there was one.
    fn attach(&mut self, conn: ConnId, connect: &Connect, client_id: &Arc<str>) -> bool {
        // [MQTT-3.1.2-4]
        if connect.clean_start && self.sessions.contains_key(client_id) {
            self.end_session(client_id);
        }
        let present = self.sessions.contains_key(client_id);
        let next = self.last_session + 1;
        let session = self
            .sessions
            .entry(client_id.clone())
            .or_insert_with(|| Session::new(next, client_id.clone()));
        self.last_session = self.last_session.max(session.number);
        session.conn = Some(conn);
        session.expires = None;
        // [MQTT-3.1.3-9]
        session.will = None;
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.client_id = Some(client_id.clone());
            connection.phase = Phase::Open;
        }
        present
    }

    fn set_up(&mut self, conn: ConnId, connect: &Connect, present: bool, claimed: bool) {
        let Some((connection, session)) = self.pair(conn) else {
            return;
        };
        let properties = connect.properties.view();
        let v5 = connect.version.is_v5();
        let config = &connection.config;
        connection.session_expiry = match (v5, connect.clean_start) {
            (true, _) => properties
                .session_expiry_interval()
                .unwrap_or(0)
                .min(config.maximum_session_expiry.unwrap_or(NEVER)),
            (false, true) => 0,
            (false, false) => NEVER,
        };
        // [MQTT-3.2.2-21]
        let seconds = match config.server_keep_alive {
            Some(seconds) if v5 => seconds,
            _ => connect.keep_alive,
        };
        connection.keep_alive = (seconds > 0).then(|| Time::from_secs(seconds.into()));
        connection.problem_information = properties.request_problem_information().unwrap_or(true);
        connection.authentication_method = properties.authentication_method().map(str::to_owned);
        connection.will = connect.will.as_ref().map(|will| {
            let delay = will.properties.view().will_delay_interval().unwrap_or(0);
            (delay, will_message(will, session.client_id.clone()))
        });

        let keeps_state = !v5 && !connect.clean_start;
        if !claimed {
            // What the client must forget now [MQTT-3.2.2-5].
            session.inbound = super::inbound::Inbound::default();
            session.is_known = false;
        }
        let up = &mut connection.up;
        // 3.1 has no session present flag, and 3.1.1 asks for resending whatever it says [MQTT-4.4.0-1 of 3.1.1].
        up.may_resend = claimed || keeps_state;
        // A session that was begun for a client which never heard of it is new to the client, too.
        session.is_foreign |= present && !session.is_known;
        let untold = session.is_foreign || connect.version == Version::V3_1;
        up.forgetful = up.may_resend && (!present || untold);
        up.receive_maximum = v5.then(|| config.receive_maximum.max(1));
        session.inbound.begin(up, config);
        let down = &mut connection.down;
        down.receive_maximum = properties
            .receive_maximum()
            .map_or(usize::from(u16::MAX), |max| usize::from(max.get()));
        down.alias_maximum = properties.topic_alias_maximum().unwrap_or(0);
    }

    /// The limits, as far as they are not the defaults (section 3.2.2.3).
    fn connack_properties(&self, conn: ConnId, connect: &Connect) -> Properties {
        let Some(connection) = self.connections.get(&conn) else {
            return Properties::new();
        };
        if !connection.version.is_v5() {
            return Properties::new();
        }
        let config = &connection.config;
        let asked = connect.properties.view().session_expiry_interval();
        let mut p = Properties::builder();
        if asked.unwrap_or(0) != connection.session_expiry {
            p = p.session_expiry_interval(connection.session_expiry);
        }
        if let Some(max) = NonZeroU16::new(config.receive_maximum.max(1))
            && max != NonZeroU16::MAX
        {
            p = p.receive_maximum(max);
        }
        if config.maximum_qos < QoS::ExactlyOnce {
            p = p.maximum_qos(config.maximum_qos == QoS::AtLeastOnce);
        }
        if !config.retain_available {
            p = p.retain_available(false);
        }
        if let Some(max) = config.maximum_packet_size.and_then(NonZeroU32::new) {
            p = p.maximum_packet_size(max);
        }
        if config.topic_alias_maximum > 0 {
            p = p.topic_alias_maximum(config.topic_alias_maximum);
        }
        if !config.wildcards_available {
            p = p.wildcard_subscription_available(false);
        }
        if !config.subscription_identifiers_available {
            p = p.subscription_identifier_available(false);
        }
        if !config.shared_subscriptions_available {
            p = p.shared_subscription_available(false);
        }
        if let Some(seconds) = config.server_keep_alive {
            p = p.server_keep_alive(seconds);
        }
        built(p)
    }
}

/// A client identifier that no client of this version may send.
fn check_client_id(connect: &Connect) -> Checked {
    let length = connect.client_id.as_str().chars().count();
    let (rule, text) = match connect.version {
        // Section 3.1 of 3.1.
        Version::V3_1 if !(1..=23).contains(&length) => (
            "3.1",
            format!("3.1 wants a client identifier of 1 to 23 characters, not {length}"),
        ),
        Version::V3_1_1 if length == 0 && !connect.clean_start => (
            "MQTT-3.1.3-7",
            "an empty client identifier with a session to be kept".to_owned(),
        ),
        _ => return Ok(()),
    };
    let reason = ReasonCode::CLIENT_IDENTIFIER_NOT_VALID;
    Err(Fault::new(reason, rule, text))
}

/// Until it is published, its expiry is how long it will live.
fn will_message(will: &Will, publisher: Arc<str>) -> Message {
    let properties = will.properties.view();
    Message {
        topic: will.topic.clone(),
        payload: Bytes::copy_from_slice(&will.payload),
        qos: will.qos,
        retain: will.retain,
        properties: forwarded(properties),
        expires: properties
            .message_expiry_interval()
            .map(|seconds| Time::from_secs(seconds.into())),
        publisher: Some(publisher),
    }
}
