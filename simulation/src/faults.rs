//! What goes wrong, step by step.

use std::time::Duration;

use bytes::BytesMut;
use mqtt_session::proto::{
    Ack, ConnAck, Connect, Disconnect, Encoder, Flow, Outbox, Packet, PacketId, PacketType,
    Properties, QoS, ReasonCode, Sender, SubAck, Text, TopicFilter, UnsubAck,
};
use mqtt_testkit::Direction;

use crate::app::{REFUSABLE_FILTER, STABLE, qos};
use crate::case::Step;
use crate::network::{ELSEWHERE, pieces};
use crate::tally::Kind;
use crate::world::{CLIENT, Checked, World};

/// Identifiers so far from those in use are free.
const FAR: u16 = 30_000;

impl World {
    /// Makes something go wrong. One that finds nothing to strike is not counted.
    pub(crate) fn fault(&mut self, step: Step) -> Checked {
        if let Step::Crash {} = step {
            if self.setup.durability < 2 || self.setup.handles > 0 {
                return Ok(());
            }
            self.faults += 1;
            self.tally.add(Kind::Fault, step.name());
            return self.crash();
        }
        let struck = self.strike(step);
        if struck && step.is_fault() {
            self.faults += 1;
            self.tally.add(Kind::Fault, step.name());
        }
        Ok(())
    }

    fn strike(&mut self, step: Step) -> bool {
        let (now, time) = (self.time, self.time);
        match step {
            Step::Restart { keep } => {
                self.broker.restart(now, keep > 0);
                self.watch.may_lose |= keep == 0;
                self.app.lost_untold |= keep == 0 && self.setup.version == 3;
                self.net.wires.iter_mut().for_each(|wire| wire.link.cut());
                true
            }
            Step::Refuse { reason } => {
                self.broker.refuse_next(ReasonCode(reason as u8));
                // There must be a CONNECT to refuse.
                self.net.wires.iter_mut().for_each(|wire| wire.link.cut());
                true
            }
            Step::Deny {} => {
                self.app.denied = true;
                self.broker.claim_session_present(false);
                self.net.wires.iter_mut().for_each(|wire| wire.link.cut());
                true
            }
            Step::Answer { reason } => {
                self.broker.answer_next_publish(ReasonCode(reason as u8));
                true
            }
            Step::Reject { reason } => {
                self.app.scripted = true;
                self.broker.refuse_nothing();
                if reason > 0 {
                    let filter = TopicFilter::try_from(REFUSABLE_FILTER).expect("a filter");
                    self.broker
                        .answer_publishes(filter, ReasonCode(reason as u8));
                }
                true
            }
            Step::RejectFilter { filter, reason } => {
                self.broker.refuse_nothing();
                let index =
                    STABLE.len() + filter as usize % (self.app.filters.len() - STABLE.len());
                if reason > 0 {
                    let name = self.app.filters[index].name;
                    let filter = TopicFilter::try_from(name).expect("a filter");
                    self.broker
                        .refuse_subscription(filter, ReasonCode(reason as u8));
                }
                true
            }
            Step::Hold { packet } => {
                let held = PacketType::from_u8(packet as u8).filter(|held| HELD.contains(held));
                held.map(|packet_type| self.broker.hold(packet_type))
                    .is_some()
            }
            Step::Release {} => {
                self.release_all();
                true
            }
            Step::Network { dial } => {
                self.net.dial = dial;
                true
            }
            Step::Resolver { answer } => {
                self.net.resolver = answer;
                self.setup.named > 0
            }
            Step::Limits { .. } => {
                self.limit(step);
                true
            }
            Step::Clock { ms, back } => {
                let nanos = Duration::from_millis(ms).as_nanos() as i64;
                self.clock.skew += if back > 0 { -nanos } else { nanos };
                if back > 0 {
                    self.watch.back += Duration::from_millis(ms);
                }
                let clock = self.wall_clock();
                self.engine.set_wall_clock(clock);
                true
            }
            Step::Unreachable { which, slowly } => {
                self.net.unreachable = (which, slowly);
                true
            }
            Step::NoCredentials { slowly } => {
                self.net.no_credentials = 1 + slowly;
                self.net.wires.iter_mut().for_each(|wire| wire.link.cut());
                self.setup.credentials > 0
            }
            Step::Redirect { later, permanent } => {
                let reason = if permanent > 0 {
                    ReasonCode::SERVER_MOVED
                } else {
                    ReasonCode::USE_ANOTHER_SERVER
                };
                let properties = Properties::builder().server_reference(ELSEWHERE);
                let properties = properties.build().expect("good properties");
                if later == 0 {
                    self.broker.refuse_next_with(reason, properties);
                    self.net.wires.iter_mut().for_each(|wire| wire.link.cut());
                } else if let Some(conn) = self.broker.connection_of(CLIENT) {
                    let disconnect = Disconnect { reason, properties };
                    self.broker.disconnect_with(time, conn, disconnect);
                }
                self.version.is_v5()
            }
            Step::AuthFault { how } => {
                self.auth.fail(how);
                self.setup.auth > 0
            }
            Step::TakeOver {} => self.take_over(),
            Step::UnknownId { packet } => self.unknown_id(packet),
            Step::Nonsense { which } => self.nonsense(which),
            Step::Disconnect { reason } => {
                let conn = self.broker.connection_of(CLIENT);
                if let Some(conn) = conn {
                    self.broker.disconnect(time, conn, ReasonCode(reason as u8));
                }
                conn.is_some()
            }
            Step::Deaf { on } => {
                let conn = self.broker.connection_of(CLIENT);
                if let Some(conn) = conn {
                    self.net.impaired.insert(conn);
                    self.broker.set_reading(now, conn, on == 0);
                }
                conn.is_some()
            }
            link => self.strike_link(link),
        }
    }

    fn strike_link(&mut self, step: Step) -> bool {
        let time = self.time;
        // These hold for later links as well.
        match step {
            Step::Delay { up, ms } => self.net.delay[at(up) as usize] = Duration::from_millis(ms),
            Step::Pieces { up, bytes } => self.net.pieces[at(up) as usize] = pieces(bytes),
            _ => {}
        }
        let delay = self.net.delay;
        let Some(wire) = self.net.open_wire() else {
            return false;
        };
        wire.half_open |= matches!(step, Step::HalfOpen { .. });
        let (conn, link) = (wire.conn, &mut wire.link);
        match step {
            Step::Cut {} => link.cut(),
            Step::CutAfter { up, bytes } => link.cut_after(at(up), bytes),
            Step::Stall { up, on } => {
                link.stall(at(up), on > 0);
                self.net.impaired.insert(conn);
            }
            Step::HalfOpen { up } => {
                if up != 1 {
                    link.half_open(Direction::ToClient);
                }
                if up > 0 {
                    link.half_open(Direction::ToBroker);
                }
                self.net.impaired.insert(conn);
            }
            Step::Delay { up, .. } => link.set_delay(at(up), delay[at(up) as usize]),
            Step::Pieces { up, bytes } => link.set_pieces(at(up), pieces(bytes)),
            Step::Capacity { bytes } => {
                let bytes = if bytes == 0 {
                    usize::MAX
                } else {
                    bytes as usize
                };
                link.set_capacity(Direction::ToBroker, bytes);
                self.net.impaired.insert(conn);
            }
            other => unreachable!("{other} at {time:?} is no fault of a link"),
        }
        true
    }

    pub(crate) fn release_all(&mut self) {
        for packet_type in HELD {
            self.broker.release(self.time, packet_type);
        }
    }

    fn limit(&mut self, step: Step) {
        let Step::Limits {
            receive_maximum,
            max_packet,
            max_qos,
            retain,
            aliases,
            keep_alive,
        } = step
        else {
            return;
        };
        self.app.limited |= max_packet > 0 || max_qos < 2 || retain == 0;
        let config = self.broker.config_mut();
        config.receive_maximum = receive_maximum.clamp(1, u16::MAX.into()) as u16;
        config.maximum_packet_size = (max_packet > 0).then_some(max_packet as u32);
        config.maximum_qos = qos(max_qos);
        config.retain_available = retain > 0;
        config.topic_alias_maximum = aliases as u16;
        config.server_keep_alive = (keep_alive > 0).then_some(keep_alive as u16);
    }

    /// Another client with the same identifier: its CONNECT, and its end.
    fn take_over(&mut self) -> bool {
        // Of a session that the other one begins the client would never hear.
        if self
            .broker
            .session(CLIENT)
            .is_none_or(|session| !session.lasts)
        {
            return false;
        }
        let connect = Connect {
            version: self.version,
            client_id: Text::try_from(CLIENT).unwrap_or_default(),
            clean_start: false,
            keep_alive: 0,
            will: None,
            user_name: None,
            password: None,
            properties: Properties::new(),
        };
        let mut outbox = Outbox::new();
        let encoder = Encoder::new(self.version, Sender::Client);
        if encoder
            .encode(&Packet::Connect(connect.into()), &mut outbox)
            .is_err()
        {
            return false;
        }
        self.watch.may_lose = true;
        let conn = self.broker.open(self.time);
        let mut input = BytesMut::from(&outbox.to_vec()[..]);
        self.broker.input(self.time, conn, &mut input);
        self.broker.closed(self.time, conn);
        true
    }

    /// An acknowledgement that nothing waits for.
    fn unknown_id(&mut self, packet: u64) -> bool {
        let Some(session) = self.broker.session(CLIENT) else {
            return false;
        };
        let (Some(conn), Some(last)) = (session.conn, session.last_received) else {
            return false;
        };
        let Some(id) = PacketId::new(last.get().wrapping_add(FAR)) else {
            return false;
        };
        let codes = vec![ReasonCode::SUCCESS];
        let properties = Properties::new();
        let packet = match packet % 6 {
            0 => Packet::PubAck(Ack::new(id)),
            1 => Packet::PubRec(Ack::new(id)),
            2 => Packet::PubComp(Ack::new(id)),
            3 => Packet::PubRel(Ack::new(id)),
            4 => Packet::SubAck(SubAck {
                id,
                codes,
                properties,
            }),
            _ => Packet::UnsubAck(UnsubAck {
                id,
                codes: if self.version.is_v5() {
                    codes
                } else {
                    Vec::new()
                },
                properties,
            }),
        };
        // The broker takes the answer for the client's own mistake.
        self.tampered.insert(conn);
        self.broker.inject_packet(self.time, conn, &packet)
    }

    /// Something that must end the connection.
    fn nonsense(&mut self, which: u64) -> bool {
        let Some(conn) = self.broker.connection_of(CLIENT) else {
            return false;
        };
        self.tampered.insert(conn);
        self.app.nonsense = true;
        let now = self.time;
        let bytes: &[u8] = match which % 8 {
            // A second CONNACK.
            0 => {
                let connack = ConnAck {
                    session_present: false,
                    reason: ReasonCode::SUCCESS,
                    properties: Properties::new(),
                };
                return self
                    .broker
                    .inject_packet(now, conn, &Packet::ConnAck(connack));
            }
            // PINGREQ, which only a client sends.
            1 => &[0xC0, 0x00],
            // Type 0.
            2 => &[0x00, 0x00],
            // A length of five bytes.
            3 => &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
            // QoS 3.
            4 => &[0x36, 0x06, 0x00, 0x01, b'a', 0x00, 0x01, b'b'],
            // Packet identifier 0.
            5 => &[0x40, 0x02, 0x00, 0x00],
            // A topic that is longer than the packet.
            6 => &[0x30, 0x04, 0x00, 0xFF, b'a', b'b'],
            // PUBREL with the wrong flags.
            _ => &[0x60, 0x02, 0x00, 0x01],
        };
        self.broker.inject(now, conn, bytes);
        true
    }

    /// All faults end.
    pub(crate) fn heal(&mut self) {
        self.note(|| "all faults end".into());
        self.release_all();
        self.broker.refuse_nothing();
        self.broker.claim_nothing();
        self.net.dial = 0;
        self.net.resolver = 0;
        self.net.unreachable = (0, 0);
        self.net.no_credentials = 0;
        let all: Vec<_> = self.broker.connections().collect();
        for conn in all {
            self.broker.set_reading(self.time, conn, true);
        }
        for wire in &mut self.net.wires {
            for direction in Direction::BOTH {
                wire.link.stall(direction, false);
                wire.link.cut_after(direction, u64::MAX / 2);
            }
            wire.link.set_capacity(Direction::ToBroker, usize::MAX);
        }
        self.net.capacity = usize::MAX;
    }
}

/// What can be withheld without the broker accusing the client of the consequences.
pub(crate) const HELD: [PacketType; 8] = [
    PacketType::ConnAck,
    PacketType::PubAck,
    PacketType::PubRec,
    PacketType::PubRel,
    PacketType::PubComp,
    PacketType::SubAck,
    PacketType::UnsubAck,
    PacketType::PingResp,
];

const fn at(up: u64) -> Direction {
    if up > 0 {
        Direction::ToBroker
    } else {
        Direction::ToClient
    }
}

/// A message that somebody else has published is as long as this on the wire, at most.
pub(crate) fn downward_size(
    version: mqtt_session::proto::Version,
    publish: &mqtt_session::proto::Publish,
    qos: QoS,
) -> usize {
    let encoder = Encoder::new(version, Sender::Server);
    let flow = match qos {
        QoS::AtMostOnce => Flow::AtMostOnce,
        QoS::AtLeastOnce => Flow::AtLeastOnce {
            id: PacketId::MIN,
            dup: false,
        },
        QoS::ExactlyOnce => Flow::ExactlyOnce {
            id: PacketId::MIN,
            dup: false,
        },
    };
    encoder
        .publish_len(publish, flow, None)
        .unwrap_or(usize::MAX)
}
