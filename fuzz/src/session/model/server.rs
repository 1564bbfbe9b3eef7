//! What the server sends, and what must follow.

use mqtt_proto::{ConnAck, Packet, PublishView, QoS, ReasonCode, Version};

use super::{Model, Server, Verdict};

impl Model {
    /// The server sends this packet of so many bytes.
    pub(in crate::session) fn came(&mut self, packet: &Packet, size: usize) -> Verdict {
        use Verdict::{Either, Ends, Goes};
        if !self.link.connected {
            return match packet {
                Packet::ConnAck(connack) => self.connack(connack),
                _ => Ends,
            };
        }
        match packet {
            Packet::Publish(publish) => self.publish_came(publish, size),
            Packet::PubAck(ack) => match self.flights.get(&ack.id.get()) {
                None => Goes,
                Some(flight) if flight.qos == QoS::AtLeastOnce => {
                    self.answered(ack.id.get(), ack.reason);
                    Goes
                }
                Some(_) => Ends,
            },
            Packet::PubRec(ack) => self.pubrec(ack.id.get(), ack.reason),
            Packet::PubComp(ack) => {
                let id = ack.id.get();
                let Some(flight) = self.flights.get(&id) else {
                    return Goes;
                };
                let ended = self.messages[&flight.number].outcome.is_some();
                let released = flight.released;
                if !released && !ended {
                    return Ends;
                }
                self.flights.remove(&id);
                self.link.counted.remove(&id);
                if released { Goes } else { Either }
            }
            Packet::PubRel(ack) => {
                if self.recorded.remove(&ack.id.get()) {
                    // It may be of an earlier connection: the server counts no more than it may send.
                    self.link.recorded_here = self.link.recorded_here.saturating_sub(1);
                }
                self.doubtful.remove(&ack.id.get());
                self.link.pubcomps.push(ack.id.get());
                Goes
            }
            Packet::SubAck(suback) => self.told(suback.id.get(), true, suback.codes.len()),
            Packet::UnsubAck(unsuback) => self.told(unsuback.id.get(), false, unsuback.codes.len()),
            Packet::PingResp => {
                self.link.pinging = false;
                Goes
            }
            _ => Ends,
        }
    }

    fn connack(&mut self, connack: &ConnAck) -> Verdict {
        let Some(connect) = &self.link.connect else {
            // Before the driver has even taken CONNECT.
            return Verdict::Either;
        };
        let clean_start = connect.clean_start;
        if connack.reason != ReasonCode::SUCCESS {
            self.refused();
            return Verdict::Ends;
        }
        if connack.session_present && clean_start {
            return Verdict::Ends;
        }
        let said = connack.properties.view();
        // It was not asked for [MQTT-3.1.2-28].
        if said.response_information().is_some() {
            return Verdict::Ends;
        }
        self.link.server = Server {
            receive_maximum: said.receive_maximum().map_or(u16::MAX, |max| max.get()),
            maximum_qos: said.maximum_qos().map_or(2, u8::from),
            retain_available: said.retain_available() != Some(false),
            maximum_packet_size: said.maximum_packet_size().map_or(u32::MAX, |max| max.get()),
            topic_alias_maximum: said.topic_alias_maximum().unwrap_or(0),
        };
        self.link.connected = true;
        self.unheard = false;
        // 3.1 can't tell whether there is a session, and who has not heard a CONNACK does not know which one there is.
        let unknown =
            self.version == Version::V3_1 || (connack.session_present && self.link.unheard_before);
        if unknown && !clean_start {
            self.doubtful.append(&mut self.recorded);
        } else if !connack.session_present {
            self.flights.clear();
            self.recorded.clear();
            self.doubtful.clear();
            self.unacknowledged.clear();
        }
        Verdict::Goes
    }

    /// The server begins no session, and says so.
    pub(in crate::session) fn refused(&mut self) {
        if !self.link.connected {
            self.unheard = self.link.unheard_before;
        }
    }

    fn publish_came(&mut self, publish: &PublishView, mut size: usize) -> Verdict {
        let mut topic = publish.topic().as_str().to_owned();
        if let Some(alias) = publish.topic_alias() {
            let max = self
                .link
                .connect
                .as_ref()
                .map_or(0, |connect| connect.topic_alias_maximum);
            if alias.get() > max {
                return Verdict::Ends;
            }
            let known = &mut self.link.their_aliases;
            if !topic.is_empty() {
                known.insert(alias.get(), topic.clone());
            } else if let Some(known) = known.get(&alias.get()) {
                topic.clone_from(known);
                size += topic.len();
            } else {
                return Verdict::Ends;
            }
        }
        let Some(id) = publish.packet_id().map(|id| id.get()) else {
            self.droppable_came(publish, &topic, size);
            return Verdict::Goes;
        };
        let (qos, dup) = (publish.qos(), publish.dup());
        let doubtful = self.doubtful.remove(&id);
        let had = doubtful && qos == QoS::ExactlyOnce && dup;
        if qos == QoS::ExactlyOnce && self.recorded.contains(&id) {
            self.link.pubrecs_again.push(id);
            return Verdict::Goes;
        }
        if self.link.pubacks.contains(&id) || self.link.pubrecs.contains(&id) {
            return Verdict::Goes;
        }
        match qos {
            QoS::ExactlyOnce => self.link.pubrecs.push_back(id),
            _ => self.link.pubacks.push_back(id),
        }
        let held = self.unacknowledged.get(&id);
        if dup && !had && held.is_some_and(|held| held.qos == qos) {
            return Verdict::Goes;
        }
        // Where the application has it, PUBREC has its turn.
        self.arrives(id, qos, had);
        if had {
            return Verdict::Goes;
        }
        self.kept_came(publish, &topic, size)
    }

    fn pubrec(&mut self, id: u16, reason: ReasonCode) -> Verdict {
        let Some(flight) = self.flights.get_mut(&id) else {
            self.link.pubrels.push(id);
            return Verdict::Goes;
        };
        if flight.qos != QoS::ExactlyOnce {
            // Unless it was given up, and its identifier is free.
            let ended = self.messages[&flight.number].outcome.is_some();
            if ended {
                self.link.pubrels.push(id);
            }
            return if ended {
                Verdict::Either
            } else {
                Verdict::Ends
            };
        }
        if reason.is_error() {
            if flight.released {
                self.flights.remove(&id);
                self.link.counted.remove(&id);
            } else {
                self.answered(id, reason);
            }
            return Verdict::Goes;
        }
        if !flight.released {
            flight.released = true;
            self.messages
                .get_mut(&flight.number)
                .expect("it is known")
                .answer = Some(reason);
        }
        self.link.pubrels.push(id);
        Verdict::Goes
    }

    fn answered(&mut self, id: u16, reason: ReasonCode) {
        self.link.counted.remove(&id);
        if let Some(flight) = self.flights.remove(&id)
            && let Some(message) = self.messages.get_mut(&flight.number)
        {
            message.answer = Some(reason);
        }
    }

    fn told(&mut self, id: u16, subscribe: bool, codes: usize) -> Verdict {
        let Some(asked) = self.link.asked.get(&id) else {
            return Verdict::Goes;
        };
        let counted = subscribe || self.version == Version::V5;
        if asked.subscribe != subscribe || (counted && asked.filters != codes) {
            return Verdict::Ends;
        }
        self.link.asked.remove(&id);
        Verdict::Goes
    }
}
