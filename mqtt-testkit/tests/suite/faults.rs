//! A client that keeps to every rule, over a link that is cut again and again: the broker must find nothing to complain of, and
//! nothing may be lost. So the strictness of the broker is just.

use core::num::NonZeroU16;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use bytes::BytesMut;
use mqtt_proto::{
    Ack, Connect, Decoder, Encoder, Flow, Outbox, Packet, PacketId, PacketType, Publish, QoS,
    Sender, Subscribe, Version,
};
use mqtt_testkit::{Broker, BrokerConfig, Clock, ConnId, Direction, Link, Pieces, Rng};

use crate::client::{ALL_VERSIONS, id, props, resuming, topic};

const COUNT: usize = 12;
const WINDOW: u16 = 4;

/// The plainest right client: one list of what is in flight, in order.
struct RightClient {
    version: Version,
    /// Messages that were never sent.
    unsent: Vec<(QoS, String)>,
    in_flight: Vec<Outgoing>,
    received: Vec<String>,
    /// QoS 2 messages that were taken and not released.
    taken: BTreeSet<PacketId>,
    connected: bool,
    input: BytesMut,
    out: Outbox,
}

struct Outgoing {
    id: PacketId,
    qos: QoS,
    payload: String,
    released: bool,
}

impl RightClient {
    fn write(&mut self, packet: &Packet) {
        let encoder = Encoder::new(self.version, Sender::Client);
        encoder.encode(packet, &mut self.out).unwrap();
    }

    fn connect(&mut self) {
        self.connected = false;
        self.input.clear();
        self.out.clear();
        let mut connect: Connect = resuming(self.version, "right");
        if self.version.is_v5() {
            let window = NonZeroU16::new(WINDOW).unwrap();
            connect.properties = props(|p| p.session_expiry_interval(1000).receive_maximum(window));
        }
        self.write(&Packet::Connect(connect.into()));
    }

    fn write_publish(&mut self, at: usize, dup: bool) {
        let Outgoing {
            id, qos, payload, ..
        } = &self.in_flight[at];
        let flow = match *qos {
            QoS::ExactlyOnce => Flow::ExactlyOnce { id: *id, dup },
            _ => Flow::AtLeastOnce { id: *id, dup },
        };
        let message = Publish::new(topic("up"), payload.clone());
        Encoder::new(self.version, Sender::Client)
            .publish(&message, flow, None, &mut self.out)
            .unwrap();
    }

    fn write_ack(&mut self, packet_type: PacketType, id: PacketId) {
        Encoder::new(self.version, Sender::Client)
            .ack(packet_type, &Ack::new(id), &mut self.out)
            .unwrap();
    }

    fn take(&mut self, packet: Packet) {
        match packet {
            Packet::ConnAck(_) => {
                self.connected = true;
                for at in 0..self.in_flight.len() {
                    if self.in_flight[at].released {
                        self.write_ack(PacketType::PubRel, self.in_flight[at].id);
                    } else {
                        self.write_publish(at, true);
                    }
                }
                let subscribe = Subscribe {
                    id: id(60_000),
                    filters: vec![("down".parse().unwrap(), QoS::ExactlyOnce.into())],
                    properties: Default::default(),
                };
                self.write(&Packet::Subscribe(subscribe));
            }
            Packet::Publish(view) => {
                let payload = String::from_utf8(view.payload().to_vec()).unwrap();
                match view.flow() {
                    Flow::AtMostOnce => self.received.push(payload),
                    Flow::AtLeastOnce { id, .. } => {
                        self.received.push(payload);
                        self.write_ack(PacketType::PubAck, id);
                    }
                    Flow::ExactlyOnce { id, .. } => {
                        if self.taken.insert(id) {
                            self.received.push(payload);
                        }
                        self.write_ack(PacketType::PubRec, id);
                    }
                }
            }
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                self.in_flight.retain(|message| message.id != ack.id);
            }
            Packet::PubRec(ack) => {
                let mut messages = self.in_flight.iter_mut();
                let message = messages.find(|message| message.id == ack.id);
                message.expect("PUBREC of something in flight").released = true;
                self.write_ack(PacketType::PubRel, ack.id);
            }
            Packet::PubRel(ack) => {
                self.taken.remove(&ack.id);
                self.write_ack(PacketType::PubComp, ack.id);
            }
            Packet::SubAck(_) => {}
            other => panic!("{other:?}"),
        }
        while self.connected
            && self.in_flight.len() < usize::from(WINDOW)
            && !self.unsent.is_empty()
        {
            let (qos, payload) = self.unsent.remove(0);
            let in_use = |id: &PacketId| self.in_flight.iter().any(|m| m.id == *id);
            let id = (1..).map(id).find(|id| !in_use(id)).unwrap();
            self.in_flight.push(Outgoing {
                id,
                qos,
                payload,
                released: false,
            });
            self.write_publish(self.in_flight.len() - 1, false);
        }
    }

    fn is_done(&self) -> bool {
        self.connected && self.unsent.is_empty() && self.in_flight.is_empty()
    }
}

struct Simulation {
    broker: Broker,
    client: RightClient,
    clock: Clock,
    rng: Rng,
    link: Link,
    conn: ConnId,
    at_broker: BytesMut,
    cuts_left: usize,
}

impl Simulation {
    fn new(seed: u64, version: Version) -> Self {
        let mut rng = Rng::new(seed);
        let mut broker = Broker::new(BrokerConfig {
            receive_maximum: WINDOW,
            ..BrokerConfig::default()
        });
        let qos = |n: usize| [QoS::AtLeastOnce, QoS::ExactlyOnce][n % 2];
        let client = RightClient {
            version,
            unsent: (0..COUNT).map(|n| (qos(n), format!("up {n}"))).collect(),
            in_flight: Vec::new(),
            received: Vec::new(),
            taken: BTreeSet::new(),
            connected: false,
            input: BytesMut::new(),
            out: Outbox::new(),
        };
        let clock = Clock::new();
        let conn = broker.open(clock.now());
        Self {
            broker,
            client,
            clock,
            conn,
            link: Link::new(rng.next_u64()),
            rng,
            at_broker: BytesMut::new(),
            cuts_left: 8,
        }
    }

    fn dial(&mut self) {
        self.broker.closed(self.clock.now(), self.conn);
        self.conn = self.broker.open(self.clock.now());
        self.at_broker.clear();
        self.link = Link::new(self.rng.next_u64());
        for direction in Direction::BOTH {
            let delay = Duration::from_micros(self.rng.below(3000));
            self.link.set_delay(direction, delay);
            let pieces = Pieces::Random(self.rng.range(1, 60) as usize);
            self.link.set_pieces(direction, pieces);
        }
        if self.cuts_left > 0 {
            self.cuts_left -= 1;
            let direction = *self.rng.pick(&Direction::BOTH);
            let bytes = self.rng.below(200);
            self.link.cut_after(direction, bytes);
        }
        self.client.connect();
    }

    /// Moves everything that can be moved now; whether anything was.
    fn turn(&mut self) -> bool {
        let now = self.clock.now();
        let out = self.client.out.to_vec();
        self.client.out.clear();
        self.link.send(now, Direction::ToBroker, &out);
        let mut answer = Vec::new();
        self.broker.output(self.conn, &mut answer);
        self.link.send(now, Direction::ToClient, &answer);
        let mut moved = !out.is_empty() || !answer.is_empty();
        if self
            .link
            .receive(now, Direction::ToBroker, &mut self.at_broker)
            > 0
        {
            self.broker.input(now, self.conn, &mut self.at_broker);
            moved = true;
        }
        let input = &mut self.client.input;
        if self.link.receive(now, Direction::ToClient, input) > 0 {
            let decoder = Decoder::new(self.client.version, Sender::Server);
            while let Some(packet) = decoder.decode(&mut self.client.input).unwrap() {
                self.client.take(packet);
            }
            moved = true;
        }
        moved
    }

    fn run(&mut self) {
        self.dial();
        let mut published = 0;
        for _ in 0..10_000 {
            if self.link.is_cut() {
                self.clock.advance(Duration::from_millis(50));
                self.dial();
            }
            let subscribed = |s: mqtt_testkit::SessionInfo| !s.subscriptions.is_empty();
            if published < COUNT
                && self.broker.session("right").is_some_and(subscribed)
                && self.rng.chance(3)
            {
                let message = Publish::new(topic("down"), format!("down {published}"));
                let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][published % 2];
                self.broker.publish(self.clock.now(), &message, qos);
                published += 1;
            }
            if !self.turn() {
                match self.link.next_time() {
                    Some(next) => self.clock.advance_to(next),
                    None if published == COUNT && self.client.is_done() => return,
                    None => self.clock.advance(Duration::from_micros(1)),
                };
            }
        }
        panic!("no end\n{}", self.broker.ladder());
    }
}

fn check(what: &str, payloads: impl Iterator<Item = String>, ladder: &str) {
    let mut counts = BTreeMap::<String, usize>::new();
    for payload in payloads {
        *counts.entry(payload).or_default() += 1;
    }
    for n in 0..COUNT {
        let count = counts.get(&format!("{what} {n}")).copied().unwrap_or(0);
        assert!(count > 0, "{what} {n} was lost\n{ladder}");
        assert!(
            count == 1 || n % 2 == 0,
            "{what} {n} came {count} times\n{ladder}"
        );
    }
}

#[test]
fn a_right_client_is_never_accused_and_loses_nothing_however_often_the_link_is_cut() {
    for seed in 0..300 {
        for version in ALL_VERSIONS {
            let mut simulation = Simulation::new(seed, version);
            simulation.run();
            let ladder = format!("seed {seed}\n{}", simulation.broker.ladder());
            assert!(simulation.broker.violations().is_empty(), "{ladder}");
            let up = simulation.broker.received().iter();
            let up = up.map(|r| String::from_utf8(r.message.payload().to_vec()).unwrap());
            check("up", up, &ladder);
            check("down", simulation.client.received.into_iter(), &ladder);
            let session = simulation.broker.session("right").unwrap();
            assert!(session.receiving.is_empty() && session.sending.is_empty());
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_ladder() {
    let ladder = |seed| {
        let mut simulation = Simulation::new(seed, Version::V5);
        simulation.run();
        simulation.broker.ladder().to_string()
    };
    assert_eq!(ladder(5), ladder(5));
    assert_ne!(ladder(5), ladder(6));
}
