//! What comes in: decoded, logged, handed to who it concerns.

use bytes::BytesMut;
use mqtt_proto::{DecodeError, Disconnect, Packet, PacketType, Properties, ReasonCode};

use super::connection::Phase;
use super::log::{LogEntry, LogEvent, Summary};
use super::traffic::codes;
use super::violation::{Checked, Fault};
use super::{Broker, ConnId, Violation};
use crate::Direction;

impl Broker {
    pub(super) fn read(&mut self, conn: ConnId, input: &mut BytesMut) {
        loop {
            let Some(connection) = self.connections.get_mut(&conn) else {
                input.clear();
                return;
            };
            if !connection.reads {
                return;
            }
            if let Phase::Closing { by_client } = connection.phase {
                if by_client && !input.is_empty() {
                    connection.phase = Phase::Closing { by_client: false };
                    let packet = PacketType::from_u8(input[0] >> 4);
                    let text = format!("{} bytes come after DISCONNECT", input.len());
                    self.violation(conn, packet, Fault::protocol("MQTT-3.14.4-1", text));
                }
                input.clear();
                return;
            }
            let packet_type = input.first().and_then(|b| PacketType::from_u8(b >> 4));
            let is_fresh = matches!(connection.phase, Phase::Fresh);
            if is_fresh && !input.is_empty() && packet_type != Some(PacketType::Connect) {
                let text = "the first packet is not CONNECT";
                self.violation(conn, packet_type, Fault::protocol("MQTT-3.1.0-1", text));
                continue;
            }
            match connection.decoder().decode(input) {
                Ok(None) => return,
                Ok(Some(packet)) => self.packet(conn, packet),
                Err(DecodeError::UnknownProtocol { level }) if is_fresh => {
                    self.refuse_protocol(conn, level);
                }
                // A client of 3.x can't know the limit.
                Err(error @ DecodeError::PacketTooLarge { .. }) if !connection.version.is_v5() => {
                    self.note(conn, error.to_string());
                    self.close(conn, None);
                }
                Err(error) => self.violation(conn, packet_type, error.into()),
            }
        }
    }

    fn packet(&mut self, conn: ConnId, packet: Packet) {
        let packet_type = packet.packet_type();
        let to_broker = Direction::ToBroker;
        self.traffic.count(to_broker, packet_type, codes(&packet));
        if self.config.log {
            let event = LogEvent::Packet(Direction::ToBroker, Summary::of(&packet));
            let time = self.now;
            self.log.push(LogEntry { time, conn, event });
        }
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.last_heard = self.now;
        }
        // A client may also send these without having seen, believed or stored what the CONNACK says.
        let tells_nothing = matches!(
            packet_type,
            PacketType::Connect | PacketType::Auth | PacketType::PingReq | PacketType::Disconnect
        );
        if !tells_nothing && let Some((connection, session)) = self.pair(conn) {
            session.is_known |= connection.connack_written;
        }
        if let Err(fault) = self.handle(conn, packet) {
            self.violation(conn, Some(packet_type), fault);
        }
    }

    fn handle(&mut self, conn: ConnId, packet: Packet) -> Checked {
        let Some(connection) = self.connections.get(&conn) else {
            return Ok(());
        };
        let may_come = matches!(packet, Packet::Auth(_) | Packet::Disconnect(_));
        match (&connection.phase, packet) {
            (Phase::Fresh, Packet::Connect(connect)) => self.connect(conn, connect),
            (_, Packet::Connect(_)) => Err(Fault::protocol("MQTT-3.1.0-2", "a second CONNECT")),
            (Phase::Authenticating(_), _) if !may_come => {
                let text = "neither AUTH nor DISCONNECT comes before CONNACK";
                Err(Fault::protocol("MQTT-3.1.2-30", text))
            }
            (_, Packet::Publish(publish)) => self.take_publish(conn, &publish),
            (_, Packet::PubAck(ack)) => self.puback(conn, &ack),
            (_, Packet::PubRec(ack)) => self.pubrec(conn, &ack),
            (_, Packet::PubRel(ack)) => self.pubrel(conn, &ack),
            (_, Packet::PubComp(ack)) => self.pubcomp(conn, &ack),
            (_, Packet::Subscribe(subscribe)) => self.subscribe(conn, &subscribe),
            (_, Packet::Unsubscribe(unsubscribe)) => self.unsubscribe(conn, &unsubscribe),
            (_, Packet::PingReq) => {
                self.say(conn, &Packet::PingResp);
                Ok(())
            }
            (_, Packet::Disconnect(disconnect)) => self.leave(conn, &disconnect),
            (_, Packet::Auth(auth)) => self.authenticate(conn, &auth),
            // The decoder lets nothing else through from a client.
            (_, other) => {
                let text = format!("{} from a client", other.packet_type());
                Err(Fault::protocol("MQTT-4.13.1-1", text))
            }
        }
    }

    /// DISCONNECT: nothing comes after it.
    fn leave(&mut self, conn: ConnId, disconnect: &Disconnect) -> Checked {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return Ok(());
        };
        if let Some(seconds) = disconnect.properties.view().session_expiry_interval() {
            if connection.session_expiry == 0 && seconds > 0 {
                let text = format!("session expiry was 0 in CONNECT, and is {seconds} s now");
                return Err(Fault::protocol("3.14.2.2.2", text));
            }
            connection.session_expiry = seconds;
        }
        // [MQTT-3.14.4-3]
        let will = disconnect.reason != ReasonCode::SUCCESS;
        self.lose(conn, will);
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.phase = Phase::Closing { by_client: true };
        }
        Ok(())
    }

    /// [MQTT-3.1.2-2]: in the form that the client may understand. No violation: a newer version may exist.
    fn refuse_protocol(&mut self, conn: ConnId, level: u8) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.version = if level >= 5 {
                mqtt_proto::Version::V5
            } else {
                mqtt_proto::Version::V3_1_1
            };
        }
        let reason = ReasonCode::UNSUPPORTED_PROTOCOL_VERSION;
        self.refuse(conn, reason, Properties::new());
    }

    /// Records what the client did wrong and ends the connection.
    pub(super) fn violation(&mut self, conn: ConnId, packet: Option<PacketType>, fault: Fault) {
        let connection = self.connections.get(&conn);
        let client_id = connection.and_then(|c| c.client_id.as_deref());
        let client_id = client_id.map(str::to_owned);
        let connecting =
            connection.is_some_and(|c| c.version_known && matches!(c.phase, Phase::Fresh));
        let Fault { rule, reason, text } = fault;
        self.note(conn, format!("VIOLATION: {text} [{rule}]"));
        self.violations.push(Violation {
            time: self.now,
            conn,
            client_id,
            packet,
            rule,
            reason,
            text,
        });
        if connecting {
            self.refuse(conn, reason, Properties::new());
        } else {
            self.close(conn, Some(Disconnect::new(reason)));
        }
    }
}
