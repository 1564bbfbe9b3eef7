//! Reads along on a proxied connection: which messages pass, and which are in flight.
//!
//! A message is in flight in a direction when its PUBLISH has passed and the packet that ends its
//! flow (PUBACK, PUBCOMP) has not passed back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use mqtt_proto::{Decoder, Packet, PacketId, PublishView, QoS, Sender, Version};

use crate::proxy::{Direction, Observer};

/// Called with each PUBLISH that passes.
type OnPublish = Box<dyn Fn(Direction, &PublishView) + Send + Sync>;

/// An [`Observer`] that understands MQTT; clones look at the same connection.
#[derive(Clone)]
pub struct Tap {
    inner: Arc<Inner>,
}

struct Inner {
    version: Version,
    on_publish: OnPublish,
    wire: Mutex<Wire>,
}

/// What is known of the newest connection; an older one has nothing more to say.
struct Wire {
    connection: u64,
    to_broker: Stream,
    to_client: Stream,
}

struct Stream {
    decoder: Decoder,
    input: BytesMut,
    in_flight: BTreeMap<PacketId, QoS>,
}

/// Messages in flight in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    /// At QoS 1.
    pub at_least_once: usize,
    /// At QoS 2.
    pub exactly_once: usize,
}

impl std::iter::Sum for InFlight {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            at_least_once: sum.at_least_once + one.at_least_once,
            exactly_once: sum.exactly_once + one.exactly_once,
        })
    }
}

impl Tap {
    /// A tap for a client of the given version.
    pub fn new(
        version: Version,
        on_publish: impl Fn(Direction, &PublishView) + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                version,
                on_publish: Box::new(on_publish),
                wire: Mutex::new(Wire::new(version, 0)),
            }),
        }
    }

    /// What is in flight in this direction on the newest connection.
    #[must_use]
    pub fn in_flight(&self, direction: Direction) -> InFlight {
        let mut wire = self.inner.lock();
        let count = |stream: &Stream, qos| stream.in_flight.values().filter(|q| **q == qos).count();
        let (stream, _) = wire.both(direction);
        InFlight {
            at_least_once: count(stream, QoS::AtLeastOnce),
            exactly_once: count(stream, QoS::ExactlyOnce),
        }
    }
}

impl Observer for Tap {
    fn observe(&self, connection: u64, direction: Direction, bytes: &[u8]) {
        let mut wire = self.inner.lock();
        if connection > wire.connection {
            *wire = Wire::new(self.inner.version, connection);
        }
        if connection < wire.connection {
            return;
        }
        wire.both(direction).0.input.extend_from_slice(bytes);
        // What can't be decoded is for the two ends to complain about.
        while let Some(packet) = wire.both(direction).0.next() {
            let (stream, back) = wire.both(direction);
            match packet {
                Packet::Publish(publish) => {
                    if let Some(id) = publish.flow().packet_id() {
                        stream.in_flight.insert(id, publish.qos());
                    }
                    (self.inner.on_publish)(direction, &publish);
                }
                Packet::PubAck(ack) | Packet::PubComp(ack) => {
                    back.in_flight.remove(&ack.id);
                }
                // Refused: the flow ends without PUBREL.
                Packet::PubRec(ack) if ack.reason.is_error() => {
                    back.in_flight.remove(&ack.id);
                }
                _ => {}
            }
        }
    }
}

impl Inner {
    /// A panic in another thread leaves nothing here that is worse than a wrong count.
    fn lock(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire {
    fn new(version: Version, connection: u64) -> Self {
        let stream = |sender| Stream {
            decoder: Decoder::new(version, sender),
            input: BytesMut::new(),
            in_flight: BTreeMap::new(),
        };
        Self {
            connection,
            to_broker: stream(Sender::Client),
            to_client: stream(Sender::Server),
        }
    }

    /// The stream in this direction, and the one back.
    fn both(&mut self, direction: Direction) -> (&mut Stream, &mut Stream) {
        match direction {
            Direction::ToBroker => (&mut self.to_broker, &mut self.to_client),
            Direction::ToClient => (&mut self.to_client, &mut self.to_broker),
        }
    }
}

impl Stream {
    fn next(&mut self) -> Option<Packet> {
        self.decoder.decode(&mut self.input).ok().flatten()
    }
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tap").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use mqtt_proto::{Ack, Encoder, Flow, Outbox, PacketType, Publish, ReasonCode, Topic};

    use super::*;

    const CLIENT: Encoder = Encoder::new(Version::V5, Sender::Client);
    const SERVER: Encoder = Encoder::new(Version::V5, Sender::Server);

    fn id(id: u16) -> PacketId {
        PacketId::new(id).unwrap()
    }

    fn publish(flow: Flow) -> Vec<u8> {
        let (mut out, topic) = (Outbox::new(), Topic::try_from("t").unwrap());
        let publish = Publish::new(topic, "payload");
        CLIENT.publish(&publish, flow, None, &mut out).unwrap();
        out.to_vec()
    }

    fn ack(packet: PacketType, ack: &Ack) -> Vec<u8> {
        let mut out = Outbox::new();
        SERVER.ack(packet, ack, &mut out).unwrap();
        out.to_vec()
    }

    fn in_flight(tap: &Tap) -> (usize, usize) {
        let in_flight = tap.in_flight(Direction::ToBroker);
        (in_flight.at_least_once, in_flight.exactly_once)
    }

    fn with_three_in_flight() -> Tap {
        let tap = Tap::new(Version::V5, |_, _| {});
        for flow in [
            Flow::AtMostOnce,
            Flow::AtLeastOnce {
                id: id(1),
                dup: false,
            },
            Flow::ExactlyOnce {
                id: id(2),
                dup: false,
            },
            Flow::ExactlyOnce {
                id: id(3),
                dup: false,
            },
        ] {
            tap.observe(0, Direction::ToBroker, &publish(flow));
        }
        tap
    }

    #[test]
    fn a_message_is_in_flight_until_its_last_acknowledgement_however_the_bytes_are_split() {
        let tap = with_three_in_flight();
        assert_eq!(in_flight(&tap), (1, 2));
        let acks = [
            ack(PacketType::PubAck, &Ack::new(id(1))),
            ack(PacketType::PubRec, &Ack::new(id(2))),
            ack(PacketType::PubComp, &Ack::new(id(3))),
        ];
        for byte in acks.concat() {
            tap.observe(0, Direction::ToClient, &[byte]);
        }
        assert_eq!(in_flight(&tap), (0, 1));
        assert_eq!(tap.in_flight(Direction::ToClient), InFlight::default());
    }

    #[test]
    fn a_refused_message_of_qos_2_is_not_in_flight() {
        let tap = with_three_in_flight();
        let refusal = Ack::new(id(2)).with_reason(ReasonCode::QUOTA_EXCEEDED);
        tap.observe(0, Direction::ToClient, &ack(PacketType::PubRec, &refusal));
        assert_eq!(in_flight(&tap), (1, 1));
    }

    #[test]
    fn a_new_connection_begins_with_nothing_in_flight_and_the_old_one_is_not_heard_any_more() {
        let tap = with_three_in_flight();
        let flow = Flow::AtLeastOnce {
            id: id(1),
            dup: true,
        };
        tap.observe(1, Direction::ToBroker, &publish(flow));
        assert_eq!(in_flight(&tap), (1, 0));
        let late = ack(PacketType::PubAck, &Ack::new(id(1)));
        tap.observe(0, Direction::ToClient, &late);
        assert_eq!(in_flight(&tap), (1, 0));
    }

    #[test]
    fn each_publish_is_shown_once() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        let tap = Tap::new(Version::V5, move |direction, publish| {
            let note = (direction, publish.dup(), publish.payload().to_vec());
            notes.lock().unwrap().push(note);
        });
        let flow = Flow::ExactlyOnce {
            id: id(1),
            dup: true,
        };
        tap.observe(0, Direction::ToBroker, &publish(flow));
        let expected = (Direction::ToBroker, true, b"payload".to_vec());
        assert_eq!(*seen.lock().unwrap(), [expected]);
    }
}
