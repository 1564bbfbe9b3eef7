//! PUBLISH from a client, and how messages find their subscribers.

use std::collections::BTreeMap;
use std::sync::Arc;

use mqtt_proto::{
    Ack, Encoder, Flow, PacketType, Publish, PublishView, QoS, ReasonCode, Sender, Topic, Version,
};

use super::connection::Effect;
use super::inbound::{Arrival, Verdict};
use super::message::{Delivery, Message};
use super::session::Subscription;
use super::violation::{Checked, Fault};
use super::{Broker, ConnId, Received};

/// What the message takes on a connection that has no topic alias for it yet, as when it is resent.
fn whole_size(version: Version, publish: &Publish, view: &PublishView) -> usize {
    let encoder = Encoder::new(version, Sender::Client);
    let size = encoder.publish_len(publish, view.flow(), None);
    size.unwrap_or_else(|_| view.size())
}

/// Share name and filter.
pub(super) type SharedKey = (String, String);
type Member = (Arc<str>, Subscription);

impl Broker {
    pub(super) fn take_publish(&mut self, conn: ConnId, view: &PublishView) -> Checked {
        let now = self.now;
        let publish = self.resolve_alias(conn, view)?;
        let Some((connection, session)) = self.pair(conn) else {
            return Ok(());
        };
        if connection.version.is_v5() {
            let config = &connection.config;
            check_limits(view, config.maximum_qos, config.retain_available)?;
        }
        let client_id = session.client_id.clone();
        let verdict = match view.flow() {
            Flow::AtMostOnce => Verdict::New,
            Flow::AtLeastOnce { id, dup } | Flow::ExactlyOnce { id, dup } => {
                let arrival = Arrival {
                    id,
                    qos: view.qos(),
                    dup,
                    size: whole_size(connection.version, &publish, view),
                    retain: view.retain(),
                    expires: view.properties().message_expiry_interval().is_some(),
                };
                let (up, config) = (&mut connection.up, &connection.config);
                session.inbound.publish(up, arrival, config)?
            }
        };
        self.count(&client_id).resent += u64::from(view.dup());
        let answer = if view.qos() > QoS::AtMostOnce && verdict != Verdict::Duplicate {
            self.scripted_answer(&publish)
        } else {
            None
        };
        let refused =
            answer.is_some_and(|reason| reason.is_error() && view.qos() > QoS::AtMostOnce);
        if refused
            && let Some(id) = view.packet_id()
            && let Some((_, session)) = self.pair(conn)
        {
            session.inbound.refuse(id);
        }
        let counts = self.count(&client_id);
        if refused {
            counts.refused += 1;
        } else if verdict == Verdict::Duplicate {
            counts.duplicates += 1;
        } else {
            counts.accepted[usize::from(view.qos().as_u8())] += 1;
            let message = Message::of(&publish, view.qos(), now, Some(client_id.clone()));
            if self.config.keep_received {
                self.received.push(Received {
                    time: now,
                    client_id,
                    qos: view.qos(),
                    dup: view.dup(),
                    message: message.as_published(),
                });
            }
            self.route(message);
        }
        self.answer(conn, view.flow(), answer);
        Ok(())
    }

    /// The message with its topic (section 3.3.2.3.4).
    fn resolve_alias(&mut self, conn: ConnId, view: &PublishView) -> Checked<Publish> {
        let alias = view.topic_alias();
        let Some(connection) = self.connections.get_mut(&conn) else {
            return Err(Fault::protocol("MQTT-4.13.1-1", "no connection"));
        };
        if let Some(alias) = alias {
            let maximum = connection.config.topic_alias_maximum;
            if alias.get() > maximum || !connection.connack_written {
                let text = format!("topic alias {alias} is above the maximum of {maximum}");
                let reason = ReasonCode::TOPIC_ALIAS_INVALID;
                return Err(Fault::new(reason, "MQTT-3.2.2-17", text));
            }
        }
        let known = alias.and_then(|alias| connection.aliases.get(&alias.get()).cloned());
        let topic = match (view.to_publish(), alias) {
            (Some(publish), None) => return Ok(publish),
            (Some(publish), Some(alias)) => {
                let topic = Topic::try_from(publish.topic().as_str());
                let topic = topic.map_err(|e| Fault::protocol("MQTT-4.7.0-1", e.to_string()))?;
                connection.aliases.insert(alias.get(), topic);
                return Ok(publish);
            }
            (None, _) => known.ok_or_else(|| {
                Fault::protocol("3.3.2.3.4", "a topic alias that stands for nothing yet")
            })?,
        };
        let rest = super::message::forwarded(view.properties());
        let mut properties = mqtt_proto::Properties::builder().extend(rest.view());
        if let Some(seconds) = view.properties().message_expiry_interval() {
            properties = properties.message_expiry_interval(seconds);
        }
        Ok(Publish::new(topic, view.payload_bytes())
            .with_retain(view.retain())
            .with_properties(super::message::built(properties)))
    }

    fn scripted_answer(&mut self, publish: &Publish) -> Option<ReasonCode> {
        if let Some(reason) = self.script.publish_answers.pop_front() {
            return Some(reason);
        }
        let rules = &self.script.refused_topics;
        let rule = rules.iter().find(|(f, _)| f.matches(publish.topic()));
        rule.map(|(_, reason)| *reason)
    }

    fn answer(&mut self, conn: ConnId, flow: Flow, answer: Option<ReasonCode>) {
        let Some(id) = flow.packet_id() else {
            return;
        };
        let v5 = self
            .connections
            .get(&conn)
            .is_some_and(|c| c.version.is_v5());
        let refused = answer.is_some_and(ReasonCode::is_error);
        let reason = answer.filter(|_| v5).unwrap_or(ReasonCode::SUCCESS);
        let mut ack = Ack::new(id).with_reason(reason);
        if refused {
            ack.properties = self.explained(conn, Some("refused by the test"));
        }
        // 3.x knows no refusal: the exchange goes on as usual.
        let refused = refused && v5;
        match flow.qos() {
            QoS::ExactlyOnce => {
                let effect = if refused {
                    Effect::Done { id, refused }
                } else {
                    Effect::Recorded(id)
                };
                self.acknowledge(conn, PacketType::PubRec, ack, effect);
            }
            _ => {
                let effect = Effect::Done { id, refused };
                self.acknowledge(conn, PacketType::PubAck, ack, effect);
            }
        }
    }

    /// Keeps the message if it is to be retained, and gives it to all who subscribe.
    pub(super) fn route(&mut self, message: Message) {
        if message.retain {
            if message.payload.is_empty() {
                // [MQTT-3.3.1-6], [MQTT-3.3.1-7]
                self.retained.remove(&message.topic);
            } else {
                self.retained.insert(message.topic.clone(), message.clone());
            }
        }
        let copies = self.config.copy_per_subscription;
        let mut deliveries = Vec::new();
        let mut shared: BTreeMap<SharedKey, Vec<Member>> = BTreeMap::new();
        for session in self.sessions.values() {
            let publishes = message.publisher.as_ref() == Some(&session.client_id);
            let matching = session.subscriptions.iter().filter(|s| {
                s.filter.matches(message.topic.view()) && !(s.options.no_local && publishes)
            });
            let mut own = Vec::new();
            for subscription in matching {
                match subscription.filter.share_name() {
                    Some(name) => {
                        let key = (name.to_owned(), subscription.filter.pattern().to_owned());
                        let member = (session.client_id.clone(), subscription.clone());
                        shared.entry(key).or_default().push(member);
                    }
                    None => own.push(subscription),
                }
            }
            let client_id = &session.client_id;
            if copies {
                let each = own
                    .iter()
                    .map(|s| (client_id.clone(), delivery(&message, &[s])));
                deliveries.extend(each);
            } else if !own.is_empty() {
                deliveries.push((client_id.clone(), delivery(&message, &own)));
            }
        }
        for (key, members) in shared {
            let (client_id, subscription) = self.whose_turn(key, members);
            deliveries.push((client_id, delivery(&message, &[&subscription])));
        }
        for (client_id, delivery) in deliveries {
            self.deliver(&client_id, delivery);
        }
    }

    /// The next member after the last one, online ones first.
    fn whose_turn(&mut self, key: SharedKey, mut members: Vec<Member>) -> Member {
        let is_online = |id: &Arc<str>| self.sessions.get(id).is_some_and(|s| s.conn.is_some());
        if members.iter().any(|(id, _)| is_online(id)) {
            members.retain(|(id, _)| is_online(id));
        }
        let last = self.turns.get(&key);
        let next = members
            .iter()
            .position(|(id, _)| last.is_some_and(|last| id > last));
        let member = members.swap_remove(next.unwrap_or(0));
        self.turns.insert(key, member.0.clone());
        member
    }

    /// Sends a message to a client, or queues it. QoS 0 goes only to those who are there.
    pub(super) fn deliver(&mut self, client_id: &Arc<str>, delivery: Delivery) {
        let maximum = self.config.maximum_queued;
        let Some(session) = self.sessions.get_mut(client_id) else {
            return;
        };
        let conn = session.conn;
        if delivery.qos == QoS::AtMostOnce {
            if let Some(conn) = conn {
                self.send_message(conn, &delivery, Flow::AtMostOnce);
            }
            return;
        }
        if session.outbound.queue.len() >= maximum {
            self.count(client_id).dropped += 1;
            return;
        }
        session.outbound.queue.push_back(delivery);
        if let Some(conn) = conn {
            self.pump(conn);
        }
    }
}

/// For a message that matches these subscriptions [MQTT-3.3.4-2], [MQTT-3.3.4-4], [MQTT-3.8.4-8].
fn delivery(message: &Message, subscriptions: &[&Subscription]) -> Delivery {
    let granted = subscriptions.iter().map(|s| s.options.qos).max();
    let as_published = subscriptions.iter().any(|s| s.options.retain_as_published);
    Delivery {
        message: message.clone(),
        qos: message.qos.min(granted.unwrap_or_default()),
        // [MQTT-3.3.1-12], [MQTT-3.3.1-13]
        retain: message.retain && as_published,
        ids: subscriptions.iter().filter_map(|s| s.identifier).collect(),
    }
}

fn check_limits(view: &PublishView, maximum_qos: QoS, retain_available: bool) -> Checked {
    if view.qos() > maximum_qos {
        let text = format!("{}, but Maximum QoS is {}", view.qos(), maximum_qos.as_u8());
        let reason = ReasonCode::QOS_NOT_SUPPORTED;
        return Err(Fault::new(reason, "MQTT-3.2.2-11", text));
    }
    if view.retain() && !retain_available {
        let text = "RETAIN is set, but Retain Available is 0";
        let reason = ReasonCode::RETAIN_NOT_SUPPORTED;
        return Err(Fault::new(reason, "MQTT-3.2.2-14", text));
    }
    Ok(())
}
