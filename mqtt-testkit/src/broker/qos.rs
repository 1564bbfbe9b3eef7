//! PUBACK, PUBREC, PUBREL and PUBCOMP from a client.

use mqtt_proto::{Ack, PacketType, QoS, ReasonCode};

use super::connection::Effect;
use super::inbound::Release;
use super::violation::Checked;
use super::{Broker, ConnId};

impl Broker {
    pub(super) fn puback(&mut self, conn: ConnId, ack: &Ack) -> Checked {
        let Some((connection, session)) = self.pair(conn) else {
            return Ok(());
        };
        session.outbound.puback(&mut connection.down, ack.id)?;
        self.completed(conn, QoS::AtLeastOnce);
        Ok(())
    }

    pub(super) fn pubrec(&mut self, conn: ConnId, ack: &Ack) -> Checked {
        let Some((connection, session)) = self.pair(conn) else {
            return Ok(());
        };
        let down = &mut connection.down;
        if session.outbound.pubrec(down, ack.id, ack.reason)? {
            self.send_pubrel(conn, ack.id);
        } else {
            self.completed(conn, QoS::ExactlyOnce);
        }
        Ok(())
    }

    pub(super) fn pubcomp(&mut self, conn: ConnId, ack: &Ack) -> Checked {
        let Some((connection, session)) = self.pair(conn) else {
            return Ok(());
        };
        let down = &mut connection.down;
        session.outbound.pubcomp(down, ack.id, ack.reason)?;
        self.completed(conn, QoS::ExactlyOnce);
        Ok(())
    }

    pub(super) fn pubrel(&mut self, conn: ConnId, ack: &Ack) -> Checked {
        let id = ack.id;
        let Some((connection, session)) = self.pair(conn) else {
            return Ok(());
        };
        let v5 = connection.version.is_v5();
        let reason = match session.inbound.release(&mut connection.up, id)? {
            // No error while a session is resumed (section 3.7.2.1).
            Release::Unknown if v5 => ReasonCode::PACKET_IDENTIFIER_NOT_FOUND,
            _ => ReasonCode::SUCCESS,
        };
        let answer = Ack::new(id).with_reason(reason);
        let refused = false;
        let effect = Effect::Done { id, refused };
        self.acknowledge(conn, PacketType::PubComp, answer, effect);
        Ok(())
    }

    /// The client has acknowledged a message to the end: there is room for the next.
    fn completed(&mut self, conn: ConnId, qos: QoS) {
        if let Some((_, session)) = self.pair(conn) {
            let client_id = session.client_id.clone();
            self.count(&client_id).delivered[usize::from(qos.as_u8())] += 1;
        }
        self.pump(conn);
    }
}
