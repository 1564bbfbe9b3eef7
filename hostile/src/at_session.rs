//! A row at a session, which has no socket: in one piece, byte by byte, and cut in two at every place.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use mqtt_session::proto::{
    Decoder, Outbox, Packet, PacketId, Properties, Publish, QoS, Sender, SubscribeOptions, Topic,
    TopicFilter, Version,
};
use mqtt_session::{
    Action, Attempt, Backoff, Cause, Config, ConnectionError, Endpoint, Event, Instant, Limits,
    Outcome, Phase, QueueId, Session, Token,
};
use mqtt_testkit::{Broker, BrokerConfig, Time};

use crate::memory::Memory;
use crate::row::{Before, Row, Then};

const HOST: &str = "192.0.2.1";
const PEER: &str = "192.0.2.1:1883";
/// What all that comes of a small input may allocate, in bytes: nothing in proportion to what is announced.
const SMALL: usize = 32 * 1024;
/// What is cut in two at every place: longer ones are not.
const SHORT: usize = 64;
/// Longer ones come in about so many pieces, and no more.
const LONG: usize = 20_000;

/// Runs it.
///
/// # Panics
///
/// When the session does not do what the row says, or the next connection is not clean.
pub fn run(row: &Row) {
    let len = row.bytes.len();
    // Byte by byte, but for what is so long that only its beginning makes a difference.
    for piece in [len.max(1), 1 + len / LONG] {
        run_in(row, |bytes| {
            bytes.chunks(piece).map(<[u8]>::to_vec).collect()
        });
    }
    for cut in (1..len).filter(|_| len <= SHORT) {
        run_in(row, |bytes| {
            vec![bytes[..cut].to_vec(), bytes[cut..].to_vec()]
        });
    }
}

fn run_in(row: &Row, split: impl Fn(&[u8]) -> Vec<Vec<u8>>) {
    let case = row.title();
    let mut held = Held::new(row);
    held.begin(row);
    let bytes = row.bytes.with(held.id);
    let (pieces, bound) = (split(&bytes), SMALL + 16 * bytes.len());
    let memory = Memory::begin();
    for piece in pieces {
        held.feed(&piece);
        // What is there is allocated once, whatever is announced.
        let allocated = memory.allocated();
        assert!(
            allocated <= bound,
            "{case}: {allocated} bytes for {}",
            bytes.len()
        );
    }
    held.take_all();
    let said = std::mem::take(&mut held.said);
    assert_eq!(&said[..], row.answers(held.id), "{case}");
    match &row.then {
        Then::Ends(_) => {
            assert_eq!(held.session.phase(), Phase::Closing, "{case}");
            assert!(
                held.input.is_empty(),
                "{case}: what comes behind the end is left"
            );
            held.close(Cause::HungUp);
        }
        Then::Waits | Then::Stays { .. } => {
            assert!(held.losses.is_empty(), "{case}: {:?}", held.losses);
            if row.before != Before::Connecting && matches!(row.then, Then::Stays { .. }) {
                held.still_works(&case);
            }
            held.close(Cause::Eof);
        }
    }
    assert_eq!(held.losses.len(), 1, "{case}: {:?}", held.losses);
    let (error, retries) = held.losses.remove(0);
    assert!(retries, "{case}: it is not tried again");
    row.check(&error, PEER, held.id);
    held.next_is_clean(&case);
}

/// A session, held by the hand that feeds it.
struct Held {
    session: Session,
    now: Instant,
    version: Version,
    attempt: Option<Attempt>,
    input: BytesMut,
    /// What it wrote.
    said: BytesMut,
    losses: Vec<(ConnectionError, bool)>,
    /// Of what was under way.
    id: Option<PacketId>,
    token: Option<Token>,
    ended: Vec<Token>,
}

impl Held {
    fn new(row: &Row) -> Self {
        let mut limits = Limits::default();
        limits.max_packet_size = row.limit.unwrap_or(limits.max_packet_size);
        let backoff = Backoff {
            jitter_percent: 0,
            ..Backoff::default()
        };
        let config = Config::builder("client")
            .version(row.version)
            .clean_start(false);
        let config = config.limits(limits).backoff(backoff).build().unwrap();
        Self {
            session: Session::new(config, Endpoint::new(HOST, 1883), 7),
            now: Instant::ZERO,
            version: row.version,
            attempt: None,
            input: BytesMut::with_capacity(row.bytes.len() + 64),
            said: BytesMut::new(),
            losses: Vec::new(),
            id: None,
            token: None,
            ended: Vec::new(),
        }
    }

    /// Comes to where the row begins.
    fn begin(&mut self, row: &Row) {
        self.session.start(self.now);
        self.dial();
        assert!(matches!(self.said()[..], [Packet::Connect(_)]));
        if row.before == Before::Connecting {
            return;
        }
        self.feed(if row.version.is_v5() {
            &[0x20, 3, 0, 0, 0]
        } else {
            &[0x20, 2, 0, 0]
        });
        assert_eq!(self.session.phase(), Phase::Connected);
        let filters = ["a", "b/#"].map(|filter| TopicFilter::try_from(filter).unwrap());
        let token = match row.before {
            Before::Connecting | Before::Connected => return,
            Before::Subscribing => {
                let asked = filters.map(|filter| (filter, SubscribeOptions::new(QoS::ExactlyOnce)));
                self.session
                    .subscribe(self.now, asked.into(), Properties::new(), QueueId::DEFAULT)
                    .unwrap()
            }
            Before::Unsubscribing => self
                .session
                .unsubscribe(self.now, filters.into(), Properties::new())
                .unwrap(),
            Before::Publishing(qos) => self.publish("a", qos),
            Before::Released => self.publish("a", QoS::ExactlyOnce),
        };
        self.token = Some(token);
        self.id = match &self.said()[..] {
            [Packet::Subscribe(subscribe)] => Some(subscribe.id),
            [Packet::Unsubscribe(unsubscribe)] => Some(unsubscribe.id),
            [Packet::Publish(publish)] => publish.packet_id(),
            other => panic!("{other:?}"),
        };
        if row.before == Before::Released {
            let id = self.id.unwrap().get().to_be_bytes();
            self.feed(&[&[0x50, 2], &id[..]].concat());
            assert!(matches!(self.said()[..], [Packet::PubRel(_)]));
        }
    }

    fn publish(&mut self, topic: &str, qos: QoS) -> Token {
        let publish = Publish::new(Topic::try_from(topic).unwrap(), "out");
        self.session.publish(self.now, qos, publish).unwrap()
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.session.handle_input(self.now, &mut self.input);
        self.poll();
    }

    fn poll(&mut self) {
        let mut out = Outbox::new();
        while self.session.poll_transmit(self.now, &mut out) {
            let len = out.len();
            while out.has_remaining() {
                let chunk = out.chunk();
                self.said.extend_from_slice(chunk);
                let len = chunk.len();
                out.advance(len);
            }
            self.session.handle_written(self.now, len);
        }
        while let Some(action) = self.session.poll_action() {
            if let Action::Dial { attempt, .. } | Action::Resolve { attempt, .. } = action {
                self.attempt = Some(attempt);
            }
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Lost { error, retry_in } => self.losses.push((error, retry_in.is_some())),
                Event::Published { token, outcome } => {
                    assert!(outcome.is_success() || matches!(outcome, Outcome::Rejected(_)));
                    self.ended.push(token);
                }
                Event::Subscribed { token, result } | Event::Unsubscribed { token, result } => {
                    result.unwrap();
                    self.ended.push(token);
                }
                _ => {}
            }
        }
    }

    /// The packets that it wrote.
    fn said(&mut self) -> Vec<Packet> {
        self.poll();
        let decoder = Decoder::new(self.version, Sender::Client);
        std::iter::from_fn(|| decoder.decode(&mut self.said).unwrap()).collect()
    }

    fn take_all(&mut self) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        while let Some(received) = self.session.poll_message(QueueId::DEFAULT) {
            taken.push(received.publish.payload().to_vec());
            self.session.ack(self.now, received.ticket).unwrap();
        }
        self.poll();
        taken
    }

    /// A message of QoS 1 comes in and is acknowledged.
    fn still_works(&mut self, case: &str) {
        self.feed(&alive(self.version));
        assert_eq!(self.take_all(), [b"in"], "{case}");
        assert_eq!(&self.said[..], ALIVE_ACK, "{case}");
        assert!(self.session.wants_read(), "{case}");
        self.said.clear();
    }

    fn close(&mut self, cause: Cause) {
        self.input.clear();
        let attempt = self.attempt.unwrap();
        self.session.handle_closed(self.now, attempt, cause);
        self.poll();
    }

    /// Lets time pass until it dials, and opens the stream.
    fn dial(&mut self) {
        let before = self.attempt;
        self.poll();
        for _ in 0..10 {
            if self.attempt != before {
                break;
            }
            let due = self.session.poll_timeout().expect("a deadline");
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now);
            self.poll();
        }
        assert_ne!(self.attempt, before, "it does not dial again");
        self.said.clear();
        self.session.handle_opened(self.now, self.attempt.unwrap());
        self.poll();
    }

    /// The broker is a strict one: it accuses a client of what is left of the last connection.
    fn next_is_clean(&mut self, case: &str) {
        self.dial();
        let mut broker = Broker::new(BrokerConfig::default());
        let conn = broker.open(Time::ZERO);
        let filters = vec![(
            TopicFilter::try_from("in").unwrap(),
            QoS::AtLeastOnce.into(),
        )];
        let subscribed = self
            .session
            .subscribe(self.now, filters, Properties::new(), QueueId::DEFAULT)
            .unwrap();
        let published = self.publish("in", QoS::AtLeastOnce);
        let mut taken = Vec::new();
        for _ in 0..20 {
            broker.input(Time::ZERO, conn, &mut self.said);
            let mut answer = Vec::new();
            broker.output(conn, &mut answer);
            self.feed(&answer);
            taken.extend(self.take_all());
        }
        assert_eq!(
            self.session.phase(),
            Phase::Connected,
            "{case}: {:?}",
            self.losses
        );
        assert_eq!(broker.violations(), [], "{case}\n{}", broker.ladder());
        for token in [subscribed, published].iter().chain(&self.token) {
            let count = self.ended.iter().filter(|ended| *ended == token).count();
            assert_eq!(count, 1, "{case}: ended so often\n{}", broker.ladder());
        }
        assert!(taken.contains(&b"out".to_vec()), "{case}: {taken:?}");
        let quiet = self
            .session
            .poll_timeout()
            .is_some_and(|at| at > self.now + Duration::from_secs(1));
        assert!(quiet, "{case}: it is still at work");
    }
}

/// A PUBLISH of QoS 1, by which is seen that the connection is still of use.
pub(crate) fn alive(version: Version) -> Vec<u8> {
    let head = [0x32, 10, 0, 4, b'n', b'e', b'x', b't', 0xFD, 0xE8];
    let mut bytes = head.to_vec();
    if version.is_v5() {
        bytes[1] += 1;
        bytes.push(0);
    }
    bytes.extend(b"in");
    bytes
}

/// What answers it.
pub(crate) const ALIVE_ACK: &[u8] = &[0x40, 2, 0xFD, 0xE8];
