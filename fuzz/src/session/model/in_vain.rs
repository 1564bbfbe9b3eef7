//! What the client encodes in the middle of a read whose end ends the connection: the driver never sees it.

use mqtt_proto::{Ack, Packet, PacketType, QoS};
use mqtt_session::PacketSummary;

use super::{Flight, Model};

impl Model {
    /// The client has encoded this, and threw it away.
    pub(in crate::session) fn sent_in_vain(&mut self, summary: PacketSummary) {
        let Some(id) = summary.id else {
            return;
        };
        let ack = Ack::new(id).with_reason(summary.reason.unwrap_or_default());
        let packet = match summary.packet_type {
            PacketType::PubAck => Packet::PubAck(ack),
            PacketType::PubRec => Packet::PubRec(ack),
            PacketType::PubRel => Packet::PubRel(ack),
            PacketType::PubComp => Packet::PubComp(ack),
            PacketType::Publish => return self.published_in_vain(id.get(), summary),
            // Requests are asked again.
            _ => return,
        };
        self.sent(&packet, 0);
    }

    /// The server may acknowledge it all the same, in the read that it was encoded in.
    fn published_in_vain(&mut self, id: u16, summary: PacketSummary) {
        let qos = summary.qos.unwrap_or(QoS::AtMostOnce);
        let is_same =
            |flight: &&Flight| !flight.here && self.messages[&flight.number].outcome.is_none();
        let again = self.flights.get(&id).filter(is_same);
        let number = again.map(|flight| flight.number).or_else(|| {
            let mut waiting = self.messages.iter().filter(|(number, message)| {
                let flies = |flight: &Flight| flight.number == **number;
                let is_new = message.outcome.is_none() && message.answer.is_none();
                is_new && message.qos != QoS::AtMostOnce && !self.flights.values().any(flies)
            });
            waiting.next().map(|(number, _)| *number)
        });
        let number = number.expect("it was accepted");
        assert_eq!(
            self.messages[&number].qos, qos,
            "messages leave in their order"
        );
        let left = again.is_some_and(|flight| flight.left);
        self.flights.insert(
            id,
            Flight {
                number,
                qos,
                released: false,
                here: true,
                start: self.link.sent,
                in_vain: true,
                left,
            },
        );
    }
}
