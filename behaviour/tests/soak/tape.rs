//! The packets that passed, in their order.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::BytesMut;
use mqtt_proto::{Decoder, Packet, PacketType, Sender};
use mqtt_session::client::exports::Version;

use crate::tally::Key;

/// Whose link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    /// The adapter's client.
    Near,
    FarPublisher,
    FarSubscriber,
}

/// Where on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// Written to the broker.
    ToBroker,
    /// Read from the broker, when it is stored there. A cut may still keep it from the client.
    Said,
    /// Written to the client.
    ToClient,
}

/// A packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) millis: u32,
    pub(crate) connection: u32,
    pub(crate) side: Side,
    pub(crate) point: Point,
    pub(crate) packet: PacketType,
    pub(crate) id: u16,
    pub(crate) dup: bool,
    /// Of a PUBLISH.
    pub(crate) key: Option<Key>,
    /// Acknowledgements: that it is none.
    pub(crate) refused: bool,
}

pub(crate) struct Tape {
    begun: Instant,
    entries: Mutex<Vec<Entry>>,
    undecodable: AtomicU32,
}

/// Listens at a point of a connection.
pub(crate) struct Head {
    tape: Arc<Tape>,
    side: Side,
    connection: u32,
    point: Point,
    decoder: Decoder,
    input: BytesMut,
}

impl Tape {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            entries: Mutex::default(),
            undecodable: AtomicU32::new(0),
        }
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&[Entry]) -> T) -> T {
        look(&self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// On how many connections something passed that is no packet.
    pub(crate) fn undecodable(&self) -> u32 {
        self.undecodable.load(Ordering::SeqCst)
    }
}

impl Head {
    pub(crate) fn new(
        tape: &Arc<Tape>,
        side: Side,
        connection: u32,
        point: Point,
        version: Version,
    ) -> Self {
        let sender = match point {
            Point::ToBroker => Sender::Client,
            Point::Said | Point::ToClient => Sender::Server,
        };
        Self {
            tape: Arc::clone(tape),
            side,
            connection,
            point,
            decoder: Decoder::new(version, sender),
            input: BytesMut::new(),
        }
    }

    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        loop {
            match self.decoder.decode(&mut self.input) {
                Ok(Some(packet)) => self.note(&packet),
                Ok(None) => return,
                Err(error) => {
                    eprintln!("{:?} {:?}: {error}", self.side, self.point);
                    self.tape.undecodable.fetch_add(1, Ordering::SeqCst);
                    self.input.clear();
                    return;
                }
            }
        }
    }

    fn note(&self, packet: &Packet) {
        let millis = self.tape.begun.elapsed().as_millis();
        let mut entry = Entry {
            millis: u32::try_from(millis).unwrap_or(u32::MAX),
            connection: self.connection,
            side: self.side,
            point: self.point,
            packet: packet.packet_type(),
            id: 0,
            dup: false,
            key: None,
            refused: false,
        };
        match packet {
            Packet::Publish(publish) => {
                entry.id = publish.packet_id().map_or(0, |id| id.get());
                entry.dup = publish.dup();
                entry.key = Key::read(publish.payload());
            }
            Packet::PubAck(ack)
            | Packet::PubRec(ack)
            | Packet::PubRel(ack)
            | Packet::PubComp(ack) => {
                entry.id = ack.id.get();
                entry.refused = ack.reason.is_error();
            }
            _ => {}
        }
        let mut entries = self.tape.entries.lock();
        entries.as_mut().map_or_else(
            |poisoned| poisoned.get_mut().push(entry),
            |all| all.push(entry),
        );
    }
}
