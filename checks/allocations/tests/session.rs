//! What a session promises about the heap: in the steady state, a message that is published or received allocates nothing, and gives nothing back,
//! the events of it included.

use assert_no_alloc::{AllocDisabler, assert_no_alloc, reset_violation_count, violation_count};
use bytes::BytesMut;
use mqtt_proto::{
    ConnAck, Encoder, Flow, Outbox, Packet, PacketId, Properties, Publish, QoS, Sender, Topic,
    Version,
};
use mqtt_session::{Action, Config, Endpoint, Event, Instant, Outcome, QueueId, Session};

#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

const NOW: Instant = Instant::from_nanos(1);
const TOPIC: &str = "factory/line7/motor/temp";
const BATCH: usize = 64;
const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// How often `run` allocated or gave back, on this thread.
fn heap_calls<T>(run: impl FnOnce() -> T) -> (T, u32) {
    reset_violation_count();
    let value = assert_no_alloc(run);
    let calls = violation_count();
    reset_violation_count();
    (value, calls)
}

/// A connected session of 5.0 with one subscription, and its server.
struct Pair {
    session: Session,
    output: Outbox,
    input: BytesMut,
    answers: Vec<u8>,
}

impl Pair {
    /// The server takes so many topic aliases.
    fn new(aliases: u16) -> Self {
        let config = Config::builder("allocations").build().unwrap();
        let mut session = Session::new(config, Endpoint::new("127.0.0.1", 1883), 7);
        session.connect(NOW);
        let Some(Action::Dial { attempt, .. }) = session.poll_action() else {
            panic!("no dial")
        };
        session.handle_opened(NOW, attempt);
        let mut pair = Self {
            session,
            output: Outbox::new(),
            input: BytesMut::with_capacity(64 * 1024),
            answers: Vec::with_capacity(4 * BATCH),
        };
        pair.take_output();
        let properties = Properties::builder().topic_alias_maximum(aliases);
        let connack = Packet::ConnAck(ConnAck {
            properties: properties.build().unwrap(),
            ..ConnAck::default()
        });
        pair.feed(&bytes_of(|encoder, out| encoder.encode(&connack, out)));
        let filter = (
            "factory/+/motor/#".try_into().unwrap(),
            QoS::ExactlyOnce.into(),
        );
        pair.session
            .subscribe(NOW, vec![filter], Properties::new(), QueueId::DEFAULT)
            .unwrap();
        pair.take_output();
        while pair.session.poll_event().is_some() {}
        pair
    }

    /// Publishes a batch, with every packet that belongs to it, until all have their outcome. How many bytes the PUBLISHes took.
    fn publish(&mut self, qos: QoS, topic: &Topic) -> usize {
        for _ in 0..BATCH {
            let message = Publish::new(topic.clone(), &[b'x'; 64][..]);
            self.session.publish(NOW, qos, message).unwrap();
        }
        let size = self.take_output();
        match qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.answer(0x40),
            QoS::ExactlyOnce => {
                self.answer(0x50);
                assert_eq!(self.take_output(), 4 * BATCH, "a PUBREL each");
                self.answer(0x70);
            }
        }
        let mut ended = 0;
        while let Some(event) = self.session.poll_event() {
            let Event::Published { outcome, .. } = event else {
                panic!("{event:?}")
            };
            let well = matches!(outcome, Outcome::Written | Outcome::Acknowledged { .. });
            assert!(well, "{outcome:?}");
            ended += 1;
        }
        assert_eq!(ended, BATCH);
        size
    }

    /// Receives a batch with every packet that belongs to it; takes and acknowledges each message.
    fn receive(&mut self, qos: QoS, batch: &[u8]) {
        self.feed(batch);
        let mut taken = 0;
        while let Some(received) = self.session.poll_message(QueueId::DEFAULT) {
            assert_eq!(received.publish.topic(), TOPIC);
            assert_eq!(received.publish.qos(), qos);
            self.session.ack(NOW, received.ticket).unwrap();
            taken += 1;
        }
        assert_eq!(taken, BATCH);
        let acks = self.take_output();
        assert_eq!(acks, if qos == QoS::AtMostOnce { 0 } else { 4 * BATCH });
        if qos == QoS::ExactlyOnce {
            self.answer(0x62);
            assert_eq!(self.take_output(), 4 * BATCH, "a PUBCOMP each");
        }
    }

    /// How many events tell that the queue is readable, of which one is due for a batch.
    fn readable(&mut self) -> usize {
        let mut readable = 0;
        while let Some(event) = self.session.poll_event() {
            assert!(
                matches!(event, Event::Readable(QueueId::DEFAULT)),
                "{event:?}"
            );
            readable += 1;
        }
        readable
    }

    /// Acknowledges the identifiers of a batch: from 1, as nothing else is in flight.
    fn answer(&mut self, first: u8) {
        let mut answers = std::mem::take(&mut self.answers);
        answers.clear();
        for id in 1..=BATCH as u8 {
            answers.extend_from_slice(&[first, 2, 0, id]);
        }
        self.feed(&answers);
        self.answers = answers;
    }

    fn take_output(&mut self) -> usize {
        self.session.poll_transmit(NOW, &mut self.output);
        let size = self.output.len();
        self.output.clear();
        self.session.handle_written(NOW, size);
        size
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.session.handle_input(NOW, &mut self.input);
        assert!(self.input.is_empty());
    }
}

fn bytes_of<T, E: std::fmt::Debug>(
    encode: impl FnOnce(&Encoder, &mut Outbox) -> Result<T, E>,
) -> Vec<u8> {
    let mut outbox = Outbox::new();
    encode(&Encoder::new(Version::V5, Sender::Server), &mut outbox).unwrap();
    outbox.to_vec()
}

/// A batch from the server.
fn batch(qos: QoS) -> Vec<u8> {
    let message = Publish::new(Topic::from_static(TOPIC).unwrap(), &[b'x'; 64][..]);
    let packets = (1..=BATCH as u16).map(|n| {
        let id = PacketId::new(n).unwrap();
        let flow = match qos {
            QoS::AtMostOnce => Flow::AtMostOnce,
            QoS::AtLeastOnce => Flow::AtLeastOnce { id, dup: false },
            QoS::ExactlyOnce => Flow::ExactlyOnce { id, dup: false },
        };
        bytes_of(|encoder, out| encoder.publish(&message, flow, None, out))
    });
    packets.flatten().collect()
}

#[test]
fn publishing_allocates_nothing_with_topic_aliases_and_without() {
    let topic = Topic::from_static(TOPIC).unwrap();
    for aliases in [0, 16] {
        let mut pair = Pair::new(aliases);
        let mut sizes = Vec::new();
        for qos in QOS {
            for _ in 0..3 {
                pair.publish(qos, &topic);
            }
            let (size, calls) = heap_calls(|| pair.publish(qos, &topic));
            assert_eq!(calls, 0, "{BATCH} messages at {qos}, {aliases} aliases");
            sizes.push(size);
        }
        // Two bytes of header, two of the topic's length, one of that of the properties.
        let (named, id) = (2 + 2 + 1 + 64, 2);
        let each = if aliases == 0 {
            named + TOPIC.len()
        } else {
            named + 3
        };
        let wanted = [each, each + id, each + id].map(|size| size * BATCH);
        assert_eq!(sizes, wanted, "{aliases} aliases");
    }
}

#[test]
fn topics_that_take_turns_allocate_nothing_once_they_have_their_aliases() {
    let topics = ["factory/line1/motor/temp", "factory/line2/motor/temp"];
    let topics = topics.map(|topic| Topic::from_static(topic).unwrap());
    let mut pair = Pair::new(16);
    for topic in topics.iter().cycle().take(6) {
        pair.publish(QoS::AtLeastOnce, topic);
    }
    for topic in &topics {
        let (_, calls) = heap_calls(|| pair.publish(QoS::AtLeastOnce, topic));
        assert_eq!(calls, 0, "{topic}");
    }
}

#[test]
fn receiving_allocates_nothing_for_a_message() {
    for qos in QOS {
        let mut pair = Pair::new(0);
        let batch = batch(qos);
        let mut turn = || {
            pair.receive(qos, &batch);
            pair.readable()
        };
        for _ in 0..3 {
            turn();
        }
        let (readable, calls) = heap_calls(turn);
        assert_eq!(calls, 0, "{BATCH} messages at {qos}");
        assert_eq!(readable, 1);
    }
}
