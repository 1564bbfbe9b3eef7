//! Messages of every QoS and size, in reads that are cut anywhere, for streams that come and go, against a model of who shall get what.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use mqtt_session::InboxFull;
use mqtt_session::client::{AckMode, Acker, Hooks, Interceptor, Message, Refusal, Subscription};
use mqtt_session::proto::{Flow, Packet, PublishView, QoS, Topic, TopicFilter, Version};
use mqtt_testkit::Rng;

use crate::limits;
use crate::pair::hand::{Hand, poll};
use crate::pair::raw::{at_least_once, exactly_once};
use crate::pair::{QOS, config};

const SEEDS: u64 = 12;

const FILTERS: [&str; 3] = ["a/#", "+/x", "b"];
/// The first one is for two of them, the last for none.
const TOPICS: [&str; 5] = ["a/x", "a/y", "c/x", "b", "c"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Everything has room, and streams come and go.
    Roomy,
    /// The same with interceptors.
    Intercepted,
    /// Messages of QoS 0 are dropped for several bounds.
    Lossy,
    /// What has no room is not read.
    Pausing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    number: u32,
    topic: &'static str,
    qos: QoS,
}

struct Reader {
    filter: TopicFilter,
    stream: Subscription,
    /// In the order of arrival.
    expected: VecDeque<Sent>,
}

struct Model {
    hand: Hand,
    rng: Rng,
    seed: u64,
    kind: Kind,
    bound: usize,
    readers: [Option<Reader>; 3],
    /// For who reads what nobody claims, in the order of arrival.
    left: Vec<Sent>,
    /// The server is about to send the rest of what it has begun.
    comes_more: bool,
    next: u32,
    id: u16,
    /// Packet identifiers of QoS 1 and 2 as they came, and as they were acknowledged.
    came: [Vec<u16>; 2],
    acknowledged: [Vec<u16>; 2],
    ackers: Vec<Acker>,
    /// Of QoS 0: how many were to reach streams, and how many the application has.
    at_most_once: u64,
    given: u64,
}

/// Refuses every fifth, and says a word more in the others.
struct Fifths;

fn is_refused(number: u32) -> bool {
    number.is_multiple_of(5)
}

fn matches(filter: &TopicFilter, sent: &Sent) -> bool {
    let topic: Topic = sent.topic.try_into().unwrap();
    filter.matches(topic.view())
}

fn number(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().unwrap())
}

impl Interceptor for Fifths {
    fn incoming(&self, message: &mut PublishView) -> Result<(), Refusal> {
        if is_refused(number(message.payload())) {
            return Err("a fifth".into());
        }
        let payload = [message.payload(), b"more"].concat();
        message.set_payload(&payload);
        Ok(())
    }
}

impl Model {
    fn new(seed: u64, kind: Kind) -> Self {
        let mut rng = Rng::new(seed);
        let bound = match kind {
            Kind::Roomy | Kind::Intercepted => 64 << 20,
            // Streams that take message by message, and some that take several.
            Kind::Lossy | Kind::Pausing => *rng.pick(&[300_000, 1_200_000]),
        };
        let full = match kind {
            Kind::Lossy => InboxFull::DropOldest,
            _ => InboxFull::Pause,
        };
        let limits = limits(|limits| {
            limits.inbox_bytes = bound;
            limits.receive_maximum = std::num::NonZeroU16::MAX;
        });
        let mut hand = Hand::new(config(Version::V5).limits(limits).inbox_full(full));
        if kind == Kind::Intercepted {
            let hooks = Hooks::new().interceptor(Fifths);
            hand.client.set_hooks(hooks).unwrap();
        }
        hand.connect();
        Self {
            hand,
            rng,
            seed,
            kind,
            bound,
            readers: [None, None, None],
            left: Vec::new(),
            comes_more: false,
            next: 0,
            id: 0,
            came: Default::default(),
            acknowledged: Default::default(),
            ackers: Vec::new(),
            at_most_once: 0,
            given: 0,
        }
    }

    /// Everything has been read that was sent. Not so where a packet is there in part.
    fn is_read(&self) -> bool {
        !self.comes_more && self.hand.input.is_empty()
    }

    /// What the client says is noted, and answered.
    fn settle(&mut self) {
        loop {
            let packets = self.hand.packets();
            if packets.is_empty() {
                break;
            }
            for packet in packets {
                match packet {
                    Packet::PubAck(ack) => self.acknowledged[0].push(ack.id.get()),
                    Packet::PubRec(ack) => self.acknowledged[1].push(ack.id.get()),
                    Packet::PingReq => self.hand.bring(&Packet::PingResp),
                    other => panic!("{other:?}"),
                }
            }
        }
        for (acknowledged, came) in self.acknowledged.iter().zip(&self.came) {
            let case = (self.kind, self.seed);
            assert!(
                came.starts_with(acknowledged),
                "{case:?}: {acknowledged:?}, {came:?}"
            );
        }
    }

    fn subscribe(&mut self, place: usize) {
        let filter: TopicFilter = FILTERS[place].try_into().unwrap();
        let mode = *self
            .rng
            .pick(&[AckMode::Taken, AckMode::Queued, AckMode::Manual]);
        let stream = self.hand.subscribe(FILTERS[place], QoS::ExactlyOnce);
        let mut stream = stream.with_ack_mode(mode);
        if self.kind == Kind::Lossy && self.rng.chance(2) {
            let max = 1 + self.rng.below(100) as usize;
            stream = stream.with_max_at_most_once(NonZeroUsize::new(max).unwrap());
        }
        let claims = |sent: &Sent| matches(&filter, sent);
        let (claimed, left) = self.left.iter().partition(|sent| claims(sent));
        self.left = left;
        self.readers[place] = Some(Reader {
            filter,
            stream,
            expected: VecDeque::from(claimed),
        });
    }

    fn unsubscribe(&mut self, place: usize) {
        let Some(reader) = self.readers[place].take() else {
            return;
        };
        drop(reader.stream);
        let kept = reader.expected.into_iter();
        self.left
            .extend(kept.filter(|sent| sent.qos != QoS::AtMostOnce));
        self.left.sort_by_key(|sent| sent.number);
    }

    fn size(&mut self) -> usize {
        let size = match self.rng.below(40) {
            0 => 10_000 + self.rng.below(80_000),
            1..=4 => self.rng.below(5_000),
            _ => self.rng.below(100),
        };
        if self.rng.chance(200) && self.kind == Kind::Roomy {
            return 300_000;
        }
        4 + size as usize
    }

    /// Some messages one after the other, and who shall get them.
    fn send(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A topic after the other, or all at once.
        let only = self.rng.chance(2).then(|| *self.rng.pick(&TOPICS));
        let only_qos = self.rng.chance(2).then(|| *self.rng.pick(&QOS));
        for _ in 0..1 + self.rng.below(200) {
            if bytes.len() > self.bound / 4 {
                break;
            }
            let mut qos = only_qos.unwrap_or(*self.rng.pick(&QOS));
            let mut topic = only.unwrap_or(*self.rng.pick(&TOPICS));
            if self.kind == Kind::Lossy {
                // Else the connection would end for them.
                let waits = self.hand.client.stats().inbox_bytes + 2 * bytes.len();
                if waits > self.bound / 4 || self.rng.chance(2) {
                    qos = QoS::AtMostOnce;
                }
                // What is dropped for two is counted once.
                topic = if topic == "a/x" { "a/y" } else { topic };
            }
            if self.kind == Kind::Pausing && topic == "c" {
                // Nobody would make room.
                topic = "b";
            }
            self.next += 1;
            let sent = Sent {
                number: self.next,
                topic,
                qos,
            };
            let mut payload = vec![qos as u8; self.size()];
            payload[..4].copy_from_slice(&sent.number.to_be_bytes());
            let flow = self.arrives(sent);
            bytes.extend(self.hand.encode_publish(topic, flow, &payload));
        }
        bytes
    }

    fn arrives(&mut self, sent: Sent) -> Flow {
        let readers = self.readers.iter_mut().flatten();
        let mut copies = 0;
        for reader in readers.filter(|reader| matches(&reader.filter, &sent)) {
            reader.expected.push_back(sent);
            copies += 1;
        }
        if sent.qos == QoS::AtMostOnce {
            self.at_most_once += copies.max(1);
            return Flow::AtMostOnce;
        }
        if copies == 0 {
            self.left.push(sent);
        }
        self.id += 1;
        if sent.qos == QoS::AtLeastOnce {
            self.came[0].push(self.id);
            at_least_once(self.id)
        } else {
            self.came[1].push(self.id);
            exactly_once(self.id)
        }
    }

    fn receive(&mut self) {
        let bytes = self.send();
        if self.is_read() && self.rng.chance(2) {
            self.hand.input = BytesMut::with_capacity(bytes.len());
        } else if self.rng.chance(2) {
            self.hand.input.reserve(64 * 1024);
        }
        // What the interceptors see of a part is not modelled.
        let whole = self.kind == Kind::Intercepted || self.rng.chance(2);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let len = if whole {
                rest.len()
            } else {
                (1 + self.rng.below(40_000) as usize).min(rest.len())
            };
            self.hand.bytes_in(&rest[..len]);
            rest = &rest[len..];
            self.comes_more = !rest.is_empty();
            if self.comes_more && self.rng.chance(2) {
                self.take();
            }
        }
        self.settle();
    }

    /// Takes some from one of the streams.
    fn take(&mut self) {
        let place = self.rng.below(3) as usize;
        let most = 1 + self.rng.below(150);
        for _ in 0..most {
            if !self.take_from(place) {
                return;
            }
        }
    }

    fn take_from(&mut self, place: usize) -> bool {
        let Some(reader) = &mut self.readers[place] else {
            return false;
        };
        let message = if self.rng.chance(2) {
            reader.stream.try_next()
        } else {
            match poll(pin!(reader.stream.next())) {
                Poll::Ready(message) => Some(message.expect("it is not closed")),
                Poll::Pending => None,
            }
        };
        self.look_at(place, message)
    }

    fn look_at(&mut self, place: usize, message: Option<Message>) -> bool {
        let (kind, is_read) = (self.kind, self.is_read());
        let case = (kind, self.seed);
        let Some(reader) = &mut self.readers[place] else {
            return false;
        };
        let may_lack = |sent: &Sent| match kind {
            Kind::Roomy | Kind::Pausing => false,
            Kind::Intercepted => is_refused(sent.number),
            Kind::Lossy => sent.qos == QoS::AtMostOnce,
        };
        let Some(mut message) = message else {
            if is_read {
                let lacks: Vec<_> = reader.expected.drain(..).collect();
                assert!(lacks.iter().all(may_lack), "{case:?}: {lacks:?}");
            }
            return false;
        };
        let number = number(message.payload());
        let mut expected = reader.expected.iter();
        let Some(at) = expected.position(|sent| sent.number == number) else {
            panic!("{case:?}: {number} is not due")
        };
        let lacks: Vec<_> = reader.expected.drain(..at).collect();
        assert!(lacks.iter().all(may_lack), "{case:?}: {number}, {lacks:?}");
        let sent = reader.expected.pop_front().unwrap();
        let topic = message.topic().as_str();
        assert_eq!((topic, message.qos()), (sent.topic, sent.qos));
        self.given += u64::from(message.qos() == QoS::AtMostOnce);
        if let Some(acker) = message.take_acker() {
            self.ackers.push(acker);
        }
        true
    }

    fn acknowledge(&mut self, most: usize) {
        for _ in 0..most.min(self.ackers.len()) {
            let at = self.rng.below(self.ackers.len() as u64) as usize;
            self.ackers.swap_remove(at).ack().unwrap();
        }
        self.settle();
    }

    /// Until everything that was sent has been read, and taken where there is a stream for it.
    fn drain(&mut self) {
        for _ in 0..10_000 {
            let mut any = false;
            for place in 0..3 {
                while self.take_from(place) {
                    any = true;
                }
            }
            let waiting = self.ackers.len();
            self.acknowledge(waiting);
            if !any && waiting == 0 && self.is_read() {
                return;
            }
        }
        panic!("it does not end: {:?}", self.hand.client.stats());
    }

    fn step(&mut self) {
        let comes_and_goes = self.kind != Kind::Pausing && self.is_read();
        match self.rng.below(20) {
            0..=6 => self.receive(),
            7..=13 => self.take(),
            14..=15 => {
                let most = self.rng.below(100) as usize;
                self.acknowledge(most);
            }
            16 | 17 if comes_and_goes => {
                let place = self.rng.below(3) as usize;
                match self.readers[place] {
                    Some(_) => self.unsubscribe(place),
                    None => self.subscribe(place),
                }
            }
            18 if self.is_read() => {
                let seconds = 5 + self.rng.below(60);
                self.hand.advance(Duration::from_secs(seconds));
            }
            _ if !self.is_read() => self.drain(),
            _ => {}
        }
        self.settle();
    }

    /// Everything is taken, and nothing is left of it.
    fn end(mut self) {
        let case = (self.kind, self.seed);
        if !self.is_read() || self.rng.chance(2) {
            self.drain();
        }
        (0..3).for_each(|place| self.unsubscribe(place));
        let mut rest = self.hand.client.messages();
        for sent in &self.left {
            if self.kind == Kind::Intercepted && is_refused(sent.number) {
                continue;
            }
            let message = rest.try_next().expect("it was left for this one");
            assert_eq!(number(message.payload()), sent.number, "{case:?}");
        }
        assert!(rest.try_next().is_none(), "{case:?}");
        drop(rest);
        self.acknowledge(usize::MAX);
        assert_eq!(self.acknowledged, self.came, "{case:?}");
        let stats = self.hand.client.stats();
        assert_eq!(
            (stats.inbox_bytes, stats.inbox_messages),
            (0, 0),
            "{case:?}"
        );
        if self.kind != Kind::Intercepted {
            let lacks = self.at_most_once - self.given;
            assert_eq!(stats.dropped, lacks, "{case:?}");
        }
    }
}

#[test]
fn every_stream_gets_what_is_its_own_in_the_order_of_arrival_and_nothing_is_left_behind() {
    for kind in [Kind::Roomy, Kind::Intercepted, Kind::Lossy, Kind::Pausing] {
        for seed in 0..SEEDS {
            let mut model = Model::new(seed, kind);
            (0..3).for_each(|place| model.subscribe(place));
            for _ in 0..80 {
                model.step();
            }
            model.end();
        }
    }
}
