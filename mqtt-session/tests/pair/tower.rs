//! A connection with its layers and the model broker behind theirs, on virtual time. Used by tests within the crate, too.

use std::boxed::Box;
use std::net::SocketAddr;
use std::time::Duration;
use std::vec::Vec;

use bytes::{Buf, BytesMut};
use mqtt_session::proto::{Outbox, Properties, Publish, QoS, Topic};
use mqtt_session::{
    Action, Attempt, Cause, Config, Connection, ConnectionError, Event, Instant, Outcome, QueueId,
    Servers, Session, Token,
};
use mqtt_testkit::{Broker, BrokerConfig, ConnId};

/// The server's end of the layers.
pub trait Far {
    /// Bytes from the client.
    fn receive(&mut self, raw: &[u8]);
    /// What they carried, for the broker.
    fn plaintext(&mut self) -> Vec<u8>;
    /// Bytes from the broker.
    fn send(&mut self, plain: &[u8]);
    /// Bytes for the client.
    fn transmit(&mut self) -> Vec<u8>;
    /// The server says that nothing more will come.
    fn end(&mut self) {}
}

pub struct Tower {
    pub connection: Connection,
    pub broker: Broker,
    /// Makes the server's end of each stream.
    pub make: Box<dyn FnMut() -> Box<dyn Far>>,
    pub wire: Option<Wire>,
    pub now: Duration,
    pub events: Vec<Event>,
    /// Every action, in order.
    pub actions: Vec<Action>,
    /// Names are looked up: all are 192.0.2.1. Else that is the test's to answer.
    pub resolves: bool,
    /// So many bytes come at a time.
    pub pieces: usize,
    /// So many more bytes are written.
    pub takes: usize,
    pub output: Outbox,
    pub input: BytesMut,
}

/// One byte stream.
pub struct Wire {
    pub attempt: Attempt,
    pub conn: ConnId,
    pub far: Box<dyn Far>,
    /// Every byte that was written.
    pub sent: Vec<u8>,
    /// On its way to the client.
    pub coming: BytesMut,
    /// The session has hung up.
    pub closing: bool,
    at_broker: BytesMut,
}

impl Tower {
    pub fn new(
        config: Config,
        servers: impl Into<Servers>,
        make: impl FnMut() -> Box<dyn Far> + 'static,
    ) -> Self {
        Self {
            connection: Connection::new(Session::new(config, servers, 7)),
            broker: Broker::new(BrokerConfig::default()),
            make: Box::new(make),
            wire: None,
            now: Duration::ZERO,
            events: Vec::new(),
            actions: Vec::new(),
            resolves: false,
            pieces: usize::MAX,
            takes: usize::MAX,
            output: Outbox::new(),
            input: BytesMut::new(),
        }
    }

    pub fn at(&self) -> Instant {
        Instant::ZERO + self.now
    }

    pub fn start(&mut self) {
        let now = self.at();
        self.connection.session_mut().start(now);
        self.run();
    }

    pub fn wire(&mut self) -> &mut Wire {
        self.wire.as_mut().expect("a stream")
    }

    /// Does everything that can be done without time passing.
    pub fn run(&mut self) {
        for _ in 0..1_000_000 {
            if !self.step() {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    pub fn step(&mut self) -> bool {
        // As by a driver: read, then act, then write.
        let mut any = self.read();
        any |= self.act();
        any |= self.write();
        any |= self.serve();
        while let Some(event) = self.connection.poll_event() {
            any = true;
            self.events.push(event);
        }
        any
    }

    /// Lets time pass, doing what falls due on the way.
    pub fn run_for(&mut self, duration: Duration) {
        let end = Instant::ZERO + self.now + duration;
        self.run();
        while let Some(next) = self.connection.poll_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next - Instant::ZERO);
            self.connection.handle_timeout(self.at());
            self.broker.timeout(self.now);
            self.run();
        }
        self.now = end - Instant::ZERO;
        self.broker.timeout(self.now);
        self.run();
    }

    fn read(&mut self) -> bool {
        let now = self.at();
        let mut any = false;
        if self.connection.wants_read()
            && let Some(wire) = &mut self.wire
            && !wire.coming.is_empty()
        {
            let piece = wire.coming.len().min(self.pieces);
            self.input.extend_from_slice(&wire.coming.split_to(piece));
            any = true;
        }
        let fresh = any && !self.input.is_empty();
        if fresh || self.connection.has_input() {
            self.connection.handle_input(now, &mut self.input);
            any = true;
        }
        any
    }

    fn act(&mut self) -> bool {
        let now = self.at();
        let mut any = false;
        loop {
            let told = self.connection.has_action();
            let Some(action) = self.connection.poll_action() else {
                assert!(!told, "there is no action");
                break;
            };
            assert!(told, "there is an action, and it is not told");
            any = true;
            self.actions.push(action.clone());
            match action {
                Action::Dial { attempt, .. } | Action::Open { attempt, .. } => {
                    self.input.clear();
                    self.output.clear();
                    self.wire = Some(Wire {
                        attempt,
                        conn: self.broker.open(self.now),
                        far: (self.make)(),
                        sent: Vec::new(),
                        coming: BytesMut::new(),
                        closing: false,
                        at_broker: BytesMut::new(),
                    });
                    self.connection.handle_opened(now, attempt);
                }
                Action::Resolve { attempt, port, .. } if self.resolves => {
                    let addr = SocketAddr::from(([192, 0, 2, 1], port));
                    let found = Ok(Vec::from([addr]));
                    self.connection.handle_resolved(now, attempt, found);
                }
                Action::Hangup { attempt, flush } => {
                    if let Some(wire) = self.wire.as_mut().filter(|w| w.attempt == attempt) {
                        wire.closing = true;
                        if !flush {
                            self.end(Cause::HungUp);
                        }
                    }
                }
                _ => {}
            }
        }
        any
    }

    fn write(&mut self) -> bool {
        let now = self.at();
        let mut any = false;
        if self.output.is_empty() {
            let told = self.connection.has_transmit();
            any = self.connection.poll_transmit(now, &mut self.output);
            assert_eq!(any, !self.output.is_empty());
            assert!(
                told || !any,
                "there is something to write, and it is not told"
            );
            let more = self.connection.has_transmit();
            assert!(
                any || !more || self.connection.has_action(),
                "nothing to write"
            );
        }
        let Some(wire) = &mut self.wire else {
            return any;
        };
        while self.takes > 0 && self.output.has_remaining() {
            let chunk = self.output.chunk();
            let taken = chunk.len().min(self.takes);
            wire.sent.extend_from_slice(&chunk[..taken]);
            wire.far.receive(&chunk[..taken]);
            self.output.advance(taken);
            self.takes = if self.takes == usize::MAX {
                usize::MAX
            } else {
                self.takes - taken
            };
            self.connection.handle_written(now, taken);
            any = true;
        }
        if wire.closing && !any && self.output.is_empty() && !self.connection.has_transmit() {
            self.end(Cause::HungUp);
            return true;
        }
        any
    }

    fn serve(&mut self) -> bool {
        let Some(wire) = &mut self.wire else {
            return false;
        };
        let plaintext = wire.far.plaintext();
        if !plaintext.is_empty() {
            wire.at_broker.extend_from_slice(&plaintext);
            self.broker.input(self.now, wire.conn, &mut wire.at_broker);
        }
        let mut bytes = Vec::new();
        self.broker.output(wire.conn, &mut bytes);
        if !bytes.is_empty() {
            wire.far.send(&bytes);
        }
        let raw = wire.far.transmit();
        wire.coming.extend_from_slice(&raw);
        !plaintext.is_empty() || !raw.is_empty()
    }

    /// The stream ends.
    pub fn end(&mut self, cause: Cause) {
        let now = self.at();
        if let Some(wire) = self.wire.take() {
            self.broker.closed(self.now, wire.conn);
            self.output.clear();
            self.input.clear();
            self.connection.handle_closed(now, wire.attempt, cause);
        }
    }

    pub fn publish(&mut self, qos: QoS, payload: &[u8]) -> Token {
        let now = self.at();
        let publish = Publish::new(Topic::try_from("a").expect("a topic"), payload.to_vec());
        let session = self.connection.session_mut();
        session.publish(now, qos, publish).expect("accepted")
    }

    pub fn subscribe(&mut self) {
        let now = self.at();
        let filters = Vec::from([("#".try_into().expect("a filter"), QoS::ExactlyOnce.into())]);
        self.connection
            .session_mut()
            .subscribe(now, filters, Properties::new(), QueueId::DEFAULT)
            .expect("accepted");
        self.run();
    }

    /// Takes and acknowledges what is there.
    pub fn take_all(&mut self) -> Vec<Vec<u8>> {
        let mut payloads = Vec::new();
        loop {
            let now = self.at();
            let Some(received) = self.connection.poll_message(QueueId::DEFAULT) else {
                return payloads;
            };
            payloads.push(received.publish.payload().to_vec());
            let session = self.connection.session_mut();
            session.ack(now, received.ticket).expect("a fresh ticket");
            self.run();
        }
    }

    /// The payloads that the broker accepted, in order.
    pub fn accepted(&self) -> Vec<Vec<u8>> {
        let received = self.broker.received().iter();
        received.map(|one| one.message.payload().to_vec()).collect()
    }

    pub fn outcome(&self, token: Token) -> Option<Outcome> {
        self.events.iter().find_map(|event| match event {
            Event::Published { token: of, outcome } if *of == token => Some(*outcome),
            _ => None,
        })
    }

    pub fn losses(&self) -> Vec<ConnectionError> {
        let losses = self.events.iter().filter_map(|event| match event {
            Event::Lost { error, .. } => Some(error.clone()),
            _ => None,
        });
        losses.collect()
    }

    pub fn hangups(&self) -> usize {
        let hangups = self.actions.iter();
        hangups
            .filter(|action| matches!(action, Action::Hangup { .. }))
            .count()
    }

    pub fn check(&self) {
        assert!(
            self.broker.violations().is_empty(),
            "{:?}\n{}",
            self.broker.violations(),
            self.broker.ladder()
        );
    }
}
