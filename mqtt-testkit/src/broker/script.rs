//! What tests make the broker do.

use std::collections::VecDeque;

use mqtt_proto::{
    Disconnect, Packet, PacketType, Properties, Publish, QoS, ReasonCode, TopicFilter,
};

use super::auth::Authenticator;
use super::connection::Effect;
use super::message::Message;
use super::{Broker, ConnId};
use crate::Time;

#[derive(Debug, Default)]
pub(super) struct Script {
    held: Vec<PacketType>,
    pub(super) refusals: VecDeque<(ReasonCode, Properties)>,
    pub(super) session_present: VecDeque<bool>,
    pub(super) publish_answers: VecDeque<ReasonCode>,
    pub(super) refused_topics: Vec<(TopicFilter, ReasonCode)>,
    pub(super) refused_filters: Vec<(TopicFilter, ReasonCode)>,
    pub(super) authenticator: Option<Box<dyn Authenticator>>,
}

impl Script {
    pub(super) fn holds(&self, packet_type: PacketType) -> bool {
        self.held.contains(&packet_type)
    }
}

impl Broker {
    /// Withholds packets of this type from now on, on all connections. What they stand for has happened all the same; packets of
    /// other types pass them. While CONNACK is withheld, everything is, but for AUTH.
    ///
    /// What is withheld is lost with its connection: so it is as if it had been lost on the way.
    pub fn hold(&mut self, packet_type: PacketType) {
        if !self.script.holds(packet_type) {
            self.script.held.push(packet_type);
        }
    }

    /// Sends what was withheld, in order, and withholds no more.
    pub fn release(&mut self, now: Time, packet_type: PacketType) {
        self.script.held.retain(|held| *held != packet_type);
        self.release_some(now, packet_type, 0);
    }

    /// Sends the `count` oldest packets of a type that were withheld on each connection, and goes on withholding.
    pub fn release_some(&mut self, now: Time, packet_type: PacketType, count: usize) {
        self.advance(now);
        let all: Vec<_> = self.connections().collect();
        for conn in all {
            self.unhold(conn, packet_type, count);
        }
    }

    /// How many packets of this type are withheld.
    pub fn held(&self, packet_type: PacketType) -> usize {
        let held = self.connections.values().flat_map(|c| &c.held);
        held.filter(|parcel| parcel.packet_type == packet_type)
            .count()
    }

    /// Refuses the next CONNECT. Further calls are for those after it. In 3.x the code becomes a return code; where there is none, the
    /// connection is closed without CONNACK.
    pub fn refuse_next(&mut self, reason: ReasonCode) {
        self.refuse_next_with(reason, Properties::new());
    }

    /// The same with properties: a Reason String, a Server Reference.
    pub fn refuse_next_with(&mut self, reason: ReasonCode, properties: Properties) {
        self.script.refusals.push_back((reason, properties));
    }

    /// Session Present in the next CONNACK that accepts is this, whatever the truth. Further calls are for those after it.
    ///
    /// After a false "no" the broker takes the client's messages as those of a new session, as the client must.
    pub fn claim_session_present(&mut self, session_present: bool) {
        self.script.session_present.push_back(session_present);
    }

    /// Takes back what was claimed for the next sessions: they are told as they are.
    pub fn claim_nothing(&mut self) {
        self.script.session_present.clear();
    }

    /// Answers the next PUBLISH of QoS 1 or 2 with this code in PUBACK or PUBREC; a message that is refused goes nowhere. Further calls
    /// are for those after it. 3.x can't carry a code: there the message is acknowledged as usual [MQTT-3.3.5-2 of 3.1.1].
    pub fn answer_next_publish(&mut self, reason: ReasonCode) {
        self.script.publish_answers.push_back(reason);
    }

    /// Answers each PUBLISH of QoS 1 or 2 to a topic that `filter` matches with this code, from now on.
    pub fn answer_publishes(&mut self, filter: TopicFilter, reason: ReasonCode) {
        self.script.refused_topics.push((filter, reason));
    }

    /// Answers a subscription to exactly this filter with this failure, from now on. In 3.x every failure is 0x80.
    pub fn refuse_subscription(&mut self, filter: TopicFilter, reason: ReasonCode) {
        self.script.refused_filters.push((filter, reason));
    }

    /// Takes everything back that was scripted for topics and filters.
    pub fn refuse_nothing(&mut self) {
        self.script.refused_topics.clear();
        self.script.refused_filters.clear();
        self.script.publish_answers.clear();
        self.script.refusals.clear();
    }

    /// Who answers authentication methods. Without one they are all refused with 0x8C.
    pub fn set_authenticator(&mut self, authenticator: Box<dyn Authenticator>) {
        self.script.authenticator = Some(authenticator);
    }

    /// Sends these bytes, whatever they are, at once and ahead of what is withheld.
    pub fn inject(&mut self, now: Time, conn: ConnId, bytes: &[u8]) {
        self.advance(now);
        self.write_raw(conn, bytes);
    }

    /// Sends this packet at once, whatever state the broker is in, and keeps no record of it. Returns whether it could be encoded.
    pub fn inject_packet(&mut self, now: Time, conn: ConnId, packet: &Packet) -> bool {
        self.advance(now);
        let Some(connection) = self.connections.get(&conn) else {
            return false;
        };
        let encoder = mqtt_proto::Encoder::new(connection.version, mqtt_proto::Sender::Server);
        let mut outbox = mqtt_proto::Outbox::new();
        let encoded = encoder.encode(packet, &mut outbox).is_ok();
        self.write_raw(conn, &outbox.to_vec());
        encoded
    }

    /// Publishes a message to all who subscribe, as if another client had.
    pub fn publish(&mut self, now: Time, message: &Publish, qos: QoS) {
        self.advance(now);
        let message = Message::of(message, qos, self.now, None);
        self.route(message);
    }

    /// Ends a connection with DISCONNECT, in 3.x without.
    pub fn disconnect(&mut self, now: Time, conn: ConnId, reason: ReasonCode) {
        self.disconnect_with(now, conn, Disconnect::new(reason));
    }

    /// The same with properties: a Reason String, a Server Reference.
    pub fn disconnect_with(&mut self, now: Time, conn: ConnId, disconnect: Disconnect) {
        self.advance(now);
        self.close(conn, Some(disconnect));
    }

    /// Ends a connection without DISCONNECT. What was written before can still be taken.
    pub fn drop_connection(&mut self, now: Time, conn: ConnId) {
        self.advance(now);
        self.close(conn, None);
    }

    /// Stops reading from a connection, or goes on with it: call [`input`](Self::input) again then.
    pub fn set_reading(&mut self, now: Time, conn: ConnId, reads: bool) {
        self.advance(now);
        let now = self.now;
        if let Some(connection) = self.connections.get_mut(&conn)
            && connection.reads != reads
        {
            connection.reads = reads;
            connection.last_heard = now;
        }
    }

    /// The broker crashes and starts again: all connections are gone without a word, and no will is published. Sessions and retained
    /// messages live on if `keep_state`.
    pub fn restart(&mut self, now: Time, keep_state: bool) {
        self.advance(now);
        let all: Vec<_> = self.connections().collect();
        for conn in all {
            if let Some(connection) = self.connections.get_mut(&conn) {
                connection.out.clear();
                connection.held.clear();
            }
            self.lose(conn, false);
            self.note(conn, "the broker restarts");
        }
        if !keep_state {
            self.sessions.clear();
            self.retained.clear();
            self.turns.clear();
        }
    }

    /// Sends a packet through the ordinary way: withheld with its type.
    pub(super) fn say(&mut self, conn: ConnId, packet: &Packet) {
        self.send(conn, packet, Effect::None);
    }
}
