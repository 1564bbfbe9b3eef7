//! Everything that leaves, and what is so once it has left.

use mqtt_proto::{Ack, Flow, Outbox, Packet, PacketId, PacketType, Properties, QoS};

use super::connection::{Connection, Effect, Parcel};
use super::log::{LogEntry, LogEvent, Summary};
use super::message::Delivery;
use super::outbound::Next;
use super::traffic::codes;
use super::{Broker, ConnId};
use crate::Direction;

impl Broker {
    /// Sends a packet, now or when it is no longer withheld. One that the version or the client's Maximum Packet Size
    /// does not allow is not sent.
    pub(super) fn send(&mut self, conn: ConnId, packet: &Packet, effect: Effect) -> bool {
        let Some(connection) = self.connections.get(&conn) else {
            return false;
        };
        let mut outbox = Outbox::new();
        if connection.encoder().encode(packet, &mut outbox).is_err() {
            return false;
        }
        let parcel = Parcel {
            bytes: outbox.to_vec(),
            packet_type: packet.packet_type(),
            effect,
            codes: codes(packet).to_vec(),
            summary: self.config.log.then(|| Summary::of(packet)),
        };
        self.post(conn, parcel);
        true
    }

    pub(super) fn acknowledge(
        &mut self,
        conn: ConnId,
        packet_type: PacketType,
        ack: Ack,
        effect: Effect,
    ) {
        let packet = match packet_type {
            PacketType::PubAck => Packet::PubAck(ack),
            PacketType::PubRec => Packet::PubRec(ack),
            PacketType::PubRel => Packet::PubRel(ack),
            _ => Packet::PubComp(ack),
        };
        self.send(conn, &packet, effect);
    }

    /// Sends what waits for the client, as far as its Receive Maximum allows.
    pub(super) fn pump(&mut self, conn: ConnId) {
        let now = self.now;
        while let Some((connection, session)) = self.pair(conn)
            && !connection.is_closing()
            && let Some(next) = session.outbound.next(&mut connection.down, |delivery| {
                delivery.message.has_expired(now)
            })
        {
            match next {
                Next::Publish { id, dup, delivery } => {
                    let flow = match delivery.qos {
                        QoS::ExactlyOnce => Flow::ExactlyOnce { id, dup },
                        _ => Flow::AtLeastOnce { id, dup },
                    };
                    if !self.send_message(conn, &delivery, flow)
                        && let Some((connection, session)) = self.pair(conn)
                    {
                        session.outbound.finish(&mut connection.down, id);
                    }
                }
                Next::Release(id) => self.send_pubrel(conn, id),
            }
        }
    }

    pub(super) fn send_pubrel(&mut self, conn: ConnId, id: PacketId) {
        self.acknowledge(conn, PacketType::PubRel, Ack::new(id), Effect::Released(id));
    }

    /// Sends a PUBLISH. What is too large for the client counts as delivered [MQTT-3.1.2-25].
    pub(super) fn send_message(&mut self, conn: ConnId, delivery: &Delivery, flow: Flow) -> bool {
        let (now, aliases) = (self.now, self.config.send_topic_aliases);
        let Some(connection) = self.connections.get_mut(&conn) else {
            return false;
        };
        let encoder = connection.encoder();
        let publish = delivery.publish(encoder.version().is_v5(), now);
        let mut outbox = Outbox::new();
        let fits = encoder.publish_len(&publish, flow, None).is_ok();
        let alias = if aliases && fits {
            connection.down.alias(&delivery.message.topic)
        } else {
            None
        };
        let encoded = match alias {
            Some((alias, true)) => encoder.publish_by_alias(&publish, flow, alias, &mut outbox),
            Some((alias, false)) => {
                let encoded = encoder.publish(&publish, flow, Some(alias), &mut outbox);
                encoded.or_else(|_| {
                    // The alias takes the packet over the limit that it fits into without.
                    connection.down.forget_alias(&delivery.message.topic);
                    encoder.publish(&publish, flow, None, &mut outbox)
                })
            }
            None => encoder.publish(&publish, flow, None, &mut outbox),
        };
        if encoded.is_err() {
            if let Some(client_id) = connection.client_id.clone() {
                self.count(&client_id).dropped += 1;
            }
            return false;
        }
        let topic = publish.topic();
        let summary = self
            .config
            .log
            .then(|| Summary::publish(flow, publish.retain(), topic.as_str(), publish.payload()));
        let effect = match flow.packet_id() {
            Some(id) => Effect::Published(id, flow.qos()),
            None => Effect::None,
        };
        let parcel = Parcel {
            bytes: outbox.to_vec(),
            packet_type: PacketType::Publish,
            effect,
            codes: Vec::new(),
            summary,
        };
        self.post(conn, parcel);
        true
    }

    /// Writes a parcel, unless its type is withheld or CONNACK, which must come first, is.
    fn post(&mut self, conn: ConnId, parcel: Parcel) {
        let held = self.script.holds(parcel.packet_type);
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        if held || waits_for_connack(connection, parcel.packet_type) {
            connection.held.push_back(parcel);
        } else {
            self.write(conn, parcel);
        }
    }

    /// Writes what is no longer withheld, and up to `more` parcels of a type that still is.
    pub(super) fn unhold(&mut self, conn: ConnId, packet_type: PacketType, mut more: usize) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        for parcel in core::mem::take(&mut connection.held) {
            let mut held = self.script.holds(parcel.packet_type);
            if held && parcel.packet_type == packet_type && more > 0 {
                more -= 1;
                held = false;
            }
            let Some(connection) = self.connections.get_mut(&conn) else {
                return;
            };
            if held || waits_for_connack(connection, parcel.packet_type) {
                connection.held.push_back(parcel);
            } else {
                self.write(conn, parcel);
            }
        }
        self.pump(conn);
    }

    fn write(&mut self, conn: ConnId, parcel: Parcel) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        connection.out.extend_from_slice(&parcel.bytes);
        let to_client = Direction::ToClient;
        self.traffic
            .count(to_client, parcel.packet_type, &parcel.codes);
        if let Some(summary) = parcel.summary {
            let event = LogEvent::Packet(Direction::ToClient, summary);
            let time = self.now;
            self.log.push(LogEntry { time, conn, event });
        }
        if parcel.packet_type == PacketType::ConnAck {
            connection.connack_written = true;
        }
        self.take_effect(conn, parcel.effect, parcel.packet_type);
    }

    fn take_effect(&mut self, conn: ConnId, effect: Effect, packet_type: PacketType) {
        let Some((connection, session)) = self.pair(conn) else {
            return;
        };
        let client_id = session.client_id.clone();
        let up = &mut connection.up;
        match effect {
            Effect::None if packet_type == PacketType::Publish => {
                let counts = self.count(&client_id);
                counts.sent[0] += 1;
                counts.delivered[0] += 1;
            }
            Effect::None => {}
            Effect::Published(id, qos) => {
                connection.down.published(id, qos);
                if let Some(flight) = session.outbound.flights.get_mut(&id) {
                    flight.sent = true;
                }
                self.count(&client_id).sent[usize::from(qos.as_u8())] += 1;
            }
            Effect::Released(id) => connection.down.released(id),
            Effect::Recorded(id) => session.inbound.recorded(id),
            Effect::Done { id, refused } => session.inbound.done(up, id, refused),
            Effect::Answered(id) => {
                up.requests.remove(&id);
            }
        }
    }

    /// Puts bytes behind everything that was written.
    pub(super) fn write_raw(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        connection.out.extend_from_slice(bytes);
        if self.config.log {
            let (time, event) = (self.now, LogEvent::Injected(bytes.len()));
            self.log.push(LogEntry { time, conn, event });
        }
    }
}

fn waits_for_connack(connection: &Connection, packet_type: PacketType) -> bool {
    !connection.connack_written && !matches!(packet_type, PacketType::ConnAck | PacketType::Auth)
}

impl Broker {
    /// An acknowledgement that explains itself, where the client wants explanations [MQTT-3.1.2-29].
    pub(super) fn explained(&self, conn: ConnId, text: Option<&str>) -> Properties {
        match (self.connections.get(&conn), text) {
            (Some(c), Some(text)) if c.version.is_v5() && c.problem_information => {
                super::message::built(Properties::builder().reason_string(text))
            }
            _ => Properties::new(),
        }
    }
}
