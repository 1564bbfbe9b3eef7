//! A connected [`Session`] of 5.0 and the bytes of its server, so that what a message costs can be measured without a socket.

pub mod client;
pub mod growth;
pub mod routing;

use bytes::BytesMut;
use mqtt_proto::{
    ConnAck, Encoder, Flow, Outbox, Packet, PacketId, Publish, QoS, Sender, Topic, Version,
};
use mqtt_session::{Action, Config, Endpoint, Instant, QueueId, Session};

/// What moves messages in batches of [`BATCH`].
pub trait Moves {
    /// Publishes a batch and brings every message to its outcome. How many got one.
    fn publish(&mut self, qos: QoS) -> usize;

    /// Receives a batch, takes each message and acknowledges it. How many came.
    fn receive(&mut self, qos: QoS) -> usize;
}

/// Messages that a driver's turn moves.
pub const BATCH: usize = 64;

const TOPIC: &str = "factory/line7/motor/temp";
const PAYLOAD: &[u8] = &[b'x'; 64];
/// Where the packet identifier stands in a PUBLISH of ours: behind the fixed header and the topic.
const ID_AT: usize = 2 + 2 + TOPIC.len();
const NOW: Instant = Instant::from_nanos(1);

/// A session, and what passes between it and its server.
#[derive(Debug)]
pub struct Bench {
    session: Session,
    topic: Topic,
    output: Outbox,
    input: BytesMut,
    /// One batch from the server, for each QoS.
    arriving: [Vec<u8>; 3],
    answers: Vec<u8>,
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

impl Bench {
    /// A session that is connected and has a subscription.
    ///
    /// # Panics
    ///
    /// If it can't be brought so far.
    pub fn new() -> Self {
        let mut bench = Self {
            session: opened(),
            topic: Topic::from_static(TOPIC).expect("a topic"),
            output: Outbox::new(),
            input: BytesMut::with_capacity(64 * 1024),
            arriving: [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce].map(batch),
            answers: Vec::new(),
        };
        bench.flush();
        bench.feed(&server_bytes(&Packet::ConnAck(ConnAck::default())));
        let filter = (
            "factory/+/motor/#".try_into().expect("a filter"),
            QoS::ExactlyOnce.into(),
        );
        bench
            .session
            .subscribe(NOW, vec![filter], Default::default(), QueueId::DEFAULT)
            .expect("accepted");
        bench.flush();
        while bench.session.poll_event().is_some() {}
        bench
    }

    /// Publishes a batch; brings every message to its outcome. How many got one.
    ///
    /// # Panics
    ///
    /// If the session refuses one.
    pub fn publish(&mut self, qos: QoS) -> usize {
        for _ in 0..BATCH {
            let message = Publish::new(self.topic.clone(), PAYLOAD);
            self.session.publish(NOW, qos, message).expect("accepted");
        }
        match qos {
            QoS::AtMostOnce => self.flush(),
            QoS::AtLeastOnce => self.answer(ID_AT, 0x40),
            QoS::ExactlyOnce => {
                self.answer(ID_AT, 0x50);
                self.answer(2, 0x70);
            }
        }
        let mut outcomes = 0;
        while self.session.poll_event().is_some() {
            outcomes += 1;
        }
        outcomes
    }

    /// Receives a batch, takes each message and acknowledges it. How many came.
    ///
    /// # Panics
    ///
    /// If a ticket is stale.
    pub fn receive(&mut self, qos: QoS) -> usize {
        let arriving = std::mem::take(&mut self.arriving[usize::from(qos.as_u8())]);
        self.feed(&arriving);
        self.arriving[usize::from(qos.as_u8())] = arriving;
        let mut taken = 0;
        while let Some(received) = self.session.poll_message(QueueId::DEFAULT) {
            taken += usize::from(received.publish.payload().len() == PAYLOAD.len());
            self.session.ack(NOW, received.ticket).expect("fresh");
        }
        match qos {
            QoS::ExactlyOnce => {
                self.answer(2, 0x62);
                self.flush();
            }
            _ => self.flush(),
        }
        while self.session.poll_event().is_some() {}
        taken
    }

    /// Answers each packet that the session sends, all of one size, with one of four bytes and the identifier that stands at `id_at`.
    fn answer(&mut self, id_at: usize, first: u8) {
        self.session.poll_transmit(NOW, &mut self.output);
        let bytes = self.output.to_vec();
        self.wrote(bytes.len());
        let mut answers = std::mem::take(&mut self.answers);
        answers.clear();
        for packet in bytes.chunks_exact(bytes.len() / BATCH) {
            answers.extend_from_slice(&[first, 2, packet[id_at], packet[id_at + 1]]);
        }
        self.feed(&answers);
        self.answers = answers;
    }

    fn flush(&mut self) {
        self.session.poll_transmit(NOW, &mut self.output);
        self.wrote(self.output.len());
    }

    fn wrote(&mut self, n: usize) {
        self.output.clear();
        self.session.handle_written(NOW, n);
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.session.handle_input(NOW, &mut self.input);
        assert!(self.input.is_empty(), "{:?}", self.session.poll_event());
    }
}

impl Moves for Bench {
    fn publish(&mut self, qos: QoS) -> usize {
        Self::publish(self, qos)
    }

    fn receive(&mut self, qos: QoS) -> usize {
        Self::receive(self, qos)
    }
}

/// One whose stream is open, and whose CONNECT waits to be written.
fn opened() -> Session {
    let config = Config::builder("bench").build().expect("a configuration");
    let mut session = Session::new(config, Endpoint::new("127.0.0.1", 1883), 7);
    session.connect(NOW);
    let Some(Action::Dial { attempt, .. }) = session.poll_action() else {
        panic!("no dial")
    };
    session.handle_opened(NOW, attempt);
    session
}

/// One that the server has accepted.
fn connected() -> Session {
    let mut session = opened();
    let mut output = Outbox::new();
    session.poll_transmit(NOW, &mut output);
    session.handle_written(NOW, output.len());
    let connack = server_bytes(&Packet::ConnAck(ConnAck::default()));
    session.handle_input(NOW, &mut BytesMut::from(&connack[..]));
    session
}

fn batch(qos: QoS) -> Vec<u8> {
    let message = Publish::new(Topic::from_static(TOPIC).expect("a topic"), PAYLOAD);
    let mut outbox = Outbox::new();
    for n in 1..=BATCH as u16 {
        let id = PacketId::new(n).expect("not 0");
        let flow = match qos {
            QoS::AtMostOnce => Flow::AtMostOnce,
            QoS::AtLeastOnce => Flow::AtLeastOnce { id, dup: false },
            QoS::ExactlyOnce => Flow::ExactlyOnce { id, dup: false },
        };
        Encoder::new(Version::V5, Sender::Server)
            .publish(&message, flow, None, &mut outbox)
            .expect("encodes");
    }
    outbox.to_vec()
}

fn server_bytes(packet: &Packet) -> Vec<u8> {
    let mut outbox = Outbox::new();
    Encoder::new(Version::V5, Sender::Server)
        .encode(packet, &mut outbox)
        .expect("encodes");
    outbox.to_vec()
}

/// At QoS 0.
fn server_publish(publish: &Publish) -> Vec<u8> {
    let mut outbox = Outbox::new();
    Encoder::new(Version::V5, Sender::Server)
        .publish(publish, Flow::AtMostOnce, None, &mut outbox)
        .expect("encodes");
    outbox.to_vec()
}
