//! A client whose driver and server are the test itself.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use mqtt_session::client::{Client, Next, Port, Report, Subscription, Turn, build};
use mqtt_session::proto::{
    ConnAck, Decoder, Encoder, Flow, Outbox, Packet, Properties, QoS, ReasonCode, Sender, SubAck,
    Version,
};
use mqtt_session::{Action, Attempt, Cause, Config, ConfigBuilder, Endpoint, Instant};

pub struct Hand {
    pub client: Client,
    pub port: Port,
    pub version: Version,
    now: Arc<AtomicU64>,
    pub input: BytesMut,
    output: Outbox,
    written: usize,
    unread: BytesMut,
    reports: Vec<Report>,
    pub attempt: Option<Attempt>,
}

/// One poll with a waker that does nothing.
pub fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What must be there at once.
pub fn ready<F: Future>(future: F) -> F::Output {
    match poll(pin!(future)) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it is not ready"),
    }
}

impl Hand {
    pub fn new(config: ConfigBuilder) -> Self {
        Self::with(config, |config, server, seed, clock| {
            build(config, server, seed, clock).expect("nothing is recorded")
        })
    }

    /// The same, and this makes the client.
    pub fn with(
        config: ConfigBuilder,
        build: impl FnOnce(Config, Endpoint, u64, Clock) -> (Client, Port),
    ) -> Self {
        let config = config.build().expect("the test's configuration is good");
        let version = config.version();
        let now = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&now);
        let (client, port) = build(
            config,
            Endpoint::new("192.0.2.1", 1883),
            7,
            Box::new(move || Instant::from_nanos(clock.load(Ordering::Relaxed))),
        );
        Self {
            client,
            port,
            version,
            now,
            input: BytesMut::new(),
            output: Outbox::new(),
            written: 0,
            unread: BytesMut::new(),
            reports: Vec::new(),
            attempt: None,
        }
    }

    pub fn connected(config: ConfigBuilder) -> Self {
        let mut hand = Self::new(config);
        hand.connect();
        hand
    }

    pub fn connect(&mut self) {
        self.client.start();
        self.accept();
    }

    /// Answers the dial, and swallows CONNECT.
    pub fn open(&mut self) {
        self.turn();
        let attempt = self.attempt.expect("a dial");
        self.reports.push(Report::Opened(attempt));
        self.unread.clear();
        assert_eq!(self.packets().len(), 1);
    }

    /// Answers the dial and CONNECT.
    pub fn accept(&mut self) {
        self.open();
        self.feed(&Packet::ConnAck(ConnAck::default()));
    }

    pub fn lose(&mut self) {
        let attempt = self.attempt.expect("a connection");
        self.input.clear();
        self.output.clear();
        self.written = 0;
        self.reports.push(Report::Closed(attempt, Cause::Eof));
        self.turn();
    }

    pub fn advance(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).expect("a short time");
        self.now.fetch_add(nanos, Ordering::Relaxed);
        self.turn();
    }

    /// Turns until there is nothing to do. Tells whether the session wants to read.
    pub fn turn(&mut self) -> bool {
        loop {
            let (mut actions, before) = (Vec::new(), self.input.len());
            let next = self.port.turn(Turn {
                now: self.port.now(),
                input: &mut self.input,
                written: std::mem::take(&mut self.written),
                reports: &mut self.reports,
                output: &mut self.output,
                actions: &mut actions,
                idle: None,
            });
            for action in &actions {
                match action {
                    Action::Dial { attempt, .. } => self.attempt = Some(*attempt),
                    Action::Hangup { attempt, .. } => {
                        self.input.clear();
                        self.reports.push(Report::Closed(*attempt, Cause::HungUp));
                    }
                    _ => {}
                }
            }
            let wrote = self.output.len();
            self.unread.extend_from_slice(&self.output.to_vec());
            self.output.advance(wrote);
            self.written = wrote;
            if wrote == 0
                && actions.is_empty()
                && self.reports.is_empty()
                && self.input.len() == before
            {
                return next.wants_read;
            }
        }
    }

    /// Turns until there is nothing to do, and then once with a waker to sleep.
    pub fn sleep(&mut self, waker: &Waker) -> Next {
        self.turn();
        let mut actions = Vec::new();
        let next = self.port.turn(Turn {
            now: self.port.now(),
            input: &mut self.input,
            written: 0,
            reports: &mut self.reports,
            output: &mut self.output,
            actions: &mut actions,
            idle: Some(waker),
        });
        assert!(self.output.is_empty() && actions.is_empty());
        next
    }

    pub fn packets(&mut self) -> Vec<Packet> {
        self.turn();
        let decoder = Decoder::new(self.version, Sender::Client);
        std::iter::from_fn(|| decoder.decode(&mut self.unread).expect("whole packets")).collect()
    }

    /// Tells whether the session wants to read more.
    pub fn bytes_in(&mut self, bytes: &[u8]) -> bool {
        self.input.extend_from_slice(bytes);
        self.turn()
    }

    pub fn feed(&mut self, packet: &Packet) {
        self.bring(packet);
        self.turn();
    }

    /// Bytes that the next turn reads.
    pub fn bring(&mut self, packet: &Packet) {
        let mut out = Outbox::new();
        Encoder::new(self.version, Sender::Server)
            .encode(packet, &mut out)
            .expect("the test's packet is good");
        self.input.extend_from_slice(&out.to_vec());
    }

    pub fn encode_publish(&self, topic: &str, flow: Flow, payload: &[u8]) -> Vec<u8> {
        let mut out = Outbox::new();
        Encoder::new(self.version, Sender::Server)
            .publish(&super::message(topic, payload), flow, None, &mut out)
            .expect("a good message");
        out.to_vec()
    }

    pub fn feed_publish(&mut self, topic: &str, flow: Flow, payload: &[u8]) {
        let bytes = self.encode_publish(topic, flow, payload);
        self.bytes_in(&bytes);
    }

    /// Subscribes, and the server grants it.
    pub fn subscribe(&mut self, filter: &str, qos: QoS) -> Subscription {
        let client = self.client.clone();
        let mut subscribing = pin!(client.subscribe(filter, qos));
        assert!(poll(subscribing.as_mut()).is_pending());
        let packets = self.packets();
        let Some(Packet::Subscribe(subscribe)) = packets.last() else {
            panic!("{packets:?}")
        };
        self.feed(&Packet::SubAck(SubAck {
            id: subscribe.id,
            codes: vec![ReasonCode(qos as u8)],
            properties: Properties::new(),
        }));
        ready(subscribing).expect("granted")
    }
}

/// A clock of virtual time.
pub type Clock = Box<dyn Fn() -> Instant + Send + Sync>;
