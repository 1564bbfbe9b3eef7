//! What CONNECT asked the server not to say (sections 3.1.2.11.6 and 3.1.2.11.7).

use mqtt_proto::{ConnAck, Packet, PropertyId};

use super::Session;

impl Session {
    /// Reasons and user properties are to stay out of packets other than PUBLISH, CONNACK and DISCONNECT [MQTT-3.1.2-29].
    pub(super) fn wants_no_problem_information(&self) -> bool {
        let asked = self.config.connect.properties.view();
        asked.request_problem_information() == Some(false)
    }

    /// Response Information came, and CONNECT did not ask for it [MQTT-3.1.2-28].
    pub(super) fn is_response_information_unasked(&self, connack: &ConnAck) -> bool {
        let asked = self.config.connect.properties.view();
        connack.properties.view().response_information().is_some()
            && asked.request_response_information() != Some(true)
    }
}

/// Whether the packet explains itself where that may be unwanted.
pub(super) fn has_problem_information(packet: &Packet) -> bool {
    let properties = match packet {
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            &ack.properties
        }
        Packet::SubAck(suback) => &suback.properties,
        Packet::UnsubAck(unsuback) => &unsuback.properties,
        Packet::Auth(auth) => &auth.properties,
        _ => return false,
    };
    let properties = properties.view();
    properties.has(PropertyId::REASON_STRING) || properties.has(PropertyId::USER_PROPERTY)
}
