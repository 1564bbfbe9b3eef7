//! `mqtt-protocol-core` 0.7, as its examples show it: packets that the application builds, events that it carries out, responses by itself.

use mqtt_proto::QoS;
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::Event;
use mqtt_protocol_core::mqtt::packet::v5_0::{Connect, Publish};
use mqtt_protocol_core::mqtt::packet::{GenericPacketTrait as _, Packet, Qos};
use mqtt_protocol_core::mqtt::{Connection, Version, role};
use session_bench::{BATCH, Moves};

use crate::wire::{TOPIC, publish};

const SIZE: usize = 64;
const PAYLOAD: &[u8] = &[b'x'; SIZE];

/// A connection and what passes between it and its server.
pub(super) struct ProtocolCore {
    connection: Connection<role::Client>,
    output: Vec<u8>,
    /// One batch from the server, for each QoS.
    arriving: [Vec<u8>; 3],
    input: Vec<u8>,
    received: usize,
    released: usize,
}

impl ProtocolCore {
    /// Connected.
    pub(super) fn new() -> Self {
        let mut connection = Connection::new(Version::V5_0);
        connection.set_auto_pub_response(true);
        let mut core = Self {
            connection,
            output: Vec::new(),
            arriving: [0, 1, 2].map(batch),
            input: Vec::new(),
            received: 0,
            released: 0,
        };
        let connect = Connect::builder()
            .client_id("bench")
            .expect("an identifier");
        let connect = connect.build().expect("a packet");
        let events = core.connection.checked_send(connect);
        core.carry_out(events);
        core.output.clear();
        core.feed(&[0x20, 3, 0, 0, 0]);
        core
    }

    fn carry_out(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::RequestSendPacket { packet, .. } => {
                    self.output
                        .extend_from_slice(&packet.to_continuous_buffer());
                }
                Event::NotifyPacketReceived(Packet::V5_0Publish(message)) => {
                    self.received += usize::from(message.payload().len() == SIZE);
                }
                Event::NotifyPacketIdReleased(_) => self.released += 1,
                Event::NotifyError(error) => panic!("{error:?}"),
                _ => {}
            }
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let mut input = Cursor::new(bytes);
        while (input.position() as usize) < bytes.len() {
            let events = self.connection.recv(&mut input);
            self.carry_out(events);
        }
    }

    /// Answers each packet of what was sent, all of one size, with one of four bytes and the identifier that stands there.
    fn answer(&mut self, id_at: usize, first: u8) {
        let mut answers = std::mem::take(&mut self.input);
        answers.clear();
        for packet in self.output.chunks_exact(self.output.len() / BATCH) {
            answers.extend_from_slice(&[first, 2, packet[id_at], packet[id_at + 1]]);
        }
        self.output.clear();
        self.feed(&answers);
        self.input = answers;
    }
}

impl Moves for ProtocolCore {
    fn publish(&mut self, qos: QoS) -> usize {
        self.released = 0;
        for _ in 0..BATCH {
            let message = Publish::builder().topic_name(TOPIC).expect("a topic");
            let message = message.payload(PAYLOAD);
            let message = match qos {
                QoS::AtMostOnce => message.qos(Qos::AtMostOnce),
                _ => {
                    let id = self.connection.acquire_packet_id().expect("one is free");
                    let qos = Qos::try_from(qos.as_u8()).expect("a QoS");
                    message.qos(qos).packet_id(id)
                }
            };
            let message = message.build().expect("a packet");
            let events = self.connection.checked_send(message);
            self.carry_out(events);
        }
        let id_at = 2 + 2 + TOPIC.len();
        match qos {
            QoS::AtMostOnce => {
                let sent = self.output.len() / batch(0).len() * BATCH;
                self.output.clear();
                sent
            }
            QoS::AtLeastOnce => {
                self.answer(id_at, 0x40);
                self.released
            }
            QoS::ExactlyOnce => {
                self.answer(id_at, 0x50);
                self.answer(2, 0x70);
                self.output.clear();
                self.released
            }
        }
    }

    fn receive(&mut self, qos: QoS) -> usize {
        self.received = 0;
        let arriving = std::mem::take(&mut self.arriving[usize::from(qos.as_u8())]);
        self.feed(&arriving);
        self.arriving[usize::from(qos.as_u8())] = arriving;
        if qos == QoS::ExactlyOnce {
            self.answer(2, 0x62);
        }
        self.output.clear();
        self.received
    }
}

fn batch(qos: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    for id in 1..=BATCH as u16 {
        let (mut packet, id_at) = publish(5, qos, SIZE);
        if qos > 0 {
            packet[id_at..id_at + 2].copy_from_slice(&id.to_be_bytes());
        }
        bytes.append(&mut packet);
    }
    bytes
}
