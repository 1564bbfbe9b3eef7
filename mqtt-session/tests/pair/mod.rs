//! A session and a model broker, joined by a faulty link, on virtual time.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test file uses a part of it"
)]

pub mod exchange;
#[cfg(feature = "client")]
pub mod hand;
pub mod raw;
pub mod store;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use mqtt_session::auth::Authenticator;
use mqtt_session::proto::{Outbox, Properties, Publish, QoS, ReasonCode, Topic, Version};
use mqtt_session::{
    Action, Attempt, Backoff, Cause, Config, ConfigBuilder, Endpoint, Event, Instant, Outcome,
    QueueId, Received, Session, Token,
};
use mqtt_testkit::{Broker, BrokerConfig, Clock, ConnId, Direction, Link};

/// How the network answers a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    Up,
    Refuses,
    /// A dial never ends.
    Swallows,
}

pub struct Pair {
    pub session: Session,
    pub broker: Broker,
    pub clock: Clock,
    pub network: Network,
    pub wire: Option<Wire>,
    /// Runs on each new link: faults that begin with the connection.
    pub on_open: fn(&mut Link),
    pub events: Vec<Event>,
    pub dialled: Vec<SocketAddr>,
    /// Calls of `step` that did something.
    pub steps: u64,
    /// Takes the steps of authentication.
    pub authenticator: Option<Box<dyn Authenticator>>,
    output: Outbox,
    input: BytesMut,
}

/// One byte stream.
pub struct Wire {
    pub attempt: Attempt,
    pub conn: ConnId,
    pub link: Link,
    at_broker: BytesMut,
}

pub fn config(version: Version) -> ConfigBuilder {
    Config::builder("client").version(version).backoff(Backoff {
        jitter_percent: 0,
        ..Backoff::default()
    })
}

impl Pair {
    pub fn new(config: ConfigBuilder) -> Self {
        Self::with_broker(config, BrokerConfig::default())
    }

    pub fn with_broker(config: ConfigBuilder, broker: BrokerConfig) -> Self {
        let config = config.build().expect("the test's configuration is good");
        Self {
            session: Session::new(config, Endpoint::new("192.0.2.1", 1883), 7),
            broker: Broker::new(broker),
            clock: Clock::new(),
            network: Network::Up,
            wire: None,
            on_open: |_| {},
            events: Vec::new(),
            dialled: Vec::new(),
            steps: 0,
            authenticator: None,
            output: Outbox::new(),
            input: BytesMut::new(),
        }
    }

    /// The process dies, and another one has this session. The server learns that the connection is gone.
    pub fn replace_session(&mut self, session: Session) {
        if let Some(wire) = self.wire.take() {
            self.broker.closed(self.clock.now(), wire.conn);
        }
        self.output.clear();
        self.input.clear();
        self.session = session;
    }

    /// A pair whose session is connected.
    pub fn connected(config: ConfigBuilder) -> Self {
        let mut pair = Self::new(config);
        pair.connect();
        pair
    }

    pub fn connect(&mut self) {
        self.session.connect(self.now());
        self.run();
        assert_eq!(
            self.session.phase(),
            mqtt_session::Phase::Connected,
            "{:?}\n{}",
            self.events,
            self.broker.ladder()
        );
    }

    pub fn now(&self) -> Instant {
        Instant::from_nanos(self.clock.now().as_nanos() as u64)
    }

    /// Does everything that can be done without time passing.
    pub fn run(&mut self) {
        for _ in 0..1_000_000 {
            if !self.step() {
                return;
            }
            self.steps += 1;
        }
        panic!("it never comes to rest\n{}", self.broker.ladder());
    }

    /// Lets time pass, doing what falls due on the way.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.clock.now() + duration;
        self.run();
        while let Some(next) = self.next_time().filter(|next| *next <= end) {
            self.clock.advance_to(next);
            self.session.handle_timeout(self.now());
            self.broker.timeout(self.clock.now());
            self.run();
        }
        self.clock.advance_to(end);
        self.session.handle_timeout(self.now());
        self.broker.timeout(self.clock.now());
        self.run();
    }

    fn next_time(&self) -> Option<Duration> {
        let session = self
            .session
            .poll_timeout()
            .map(|at| Duration::from_nanos(at.as_nanos()));
        let link = self.wire.as_ref().and_then(|wire| wire.link.next_time());
        // What the session does not read yet waits on the link; what goes the other way is looked for now and then.
        let now = self.clock.now();
        let link = link.map(|at| {
            if at <= now && !self.session.wants_read() {
                now + Duration::from_millis(10)
            } else {
                at
            }
        });
        let next = [session, link, self.broker.next_timeout()]
            .into_iter()
            .flatten()
            .min()?;
        Some(next.max(self.clock.now()))
    }

    /// The link, which must be there.
    pub fn link(&mut self) -> &mut Link {
        &mut self.wire.as_mut().expect("a connection").link
    }

    pub fn conn(&self) -> ConnId {
        self.wire.as_ref().expect("a connection").conn
    }

    /// Cuts the connection; both sides learn of it.
    pub fn cut(&mut self) {
        self.link().cut();
        self.run();
    }

    fn step(&mut self) -> bool {
        let mut any = self.carry_out_actions();
        any |= self.send();
        any |= self.exchange();
        while let Some(event) = self.session.poll_event() {
            any = true;
            self.events.push(event);
        }
        any
    }

    fn carry_out_actions(&mut self) -> bool {
        let mut any = false;
        while let Some(action) = self.session.poll_action() {
            any = true;
            let now = self.now();
            match action {
                Action::Dial { attempt, addr } => {
                    self.dialled.push(addr);
                    match self.network {
                        Network::Refuses => {
                            self.session
                                .handle_closed(now, attempt, Cause::ConnectionRefused)
                        }
                        Network::Swallows => {}
                        Network::Up => {
                            let mut link = Link::new(attempt_seed(self.dialled.len()));
                            (self.on_open)(&mut link);
                            let conn = self.broker.open(self.clock.now());
                            self.wire = Some(Wire {
                                attempt,
                                conn,
                                link,
                                at_broker: BytesMut::new(),
                            });
                            self.output.clear();
                            self.input.clear();
                            self.session.handle_opened(now, attempt);
                        }
                    }
                }
                Action::Hangup { attempt, flush } => {
                    if flush {
                        self.send();
                    }
                    if let Some(wire) = self.wire.as_mut().filter(|wire| wire.attempt == attempt) {
                        wire.link.finish(self.clock.now(), Direction::ToBroker);
                        self.exchange();
                    }
                    self.hang_up(attempt, Cause::HungUp);
                }
                Action::Authenticate { attempt, step } => {
                    if let Some(authenticator) = &mut self.authenticator {
                        let answer = authenticator.answer(&step);
                        self.session.handle_auth(now, attempt, answer);
                    }
                }
                Action::Resolve {
                    attempt,
                    host,
                    port,
                } => {
                    let found = match host.as_str() {
                        "unknown" => Err(Cause::Other("no such host".into())),
                        "empty" => Ok(Vec::new()),
                        _ => Ok(vec![
                            SocketAddr::from(([192, 0, 2, 1], port)),
                            SocketAddr::from(([192, 0, 2, 2], port)),
                        ]),
                    };
                    self.session.handle_resolved(now, attempt, found);
                }
                _ => {}
            }
        }
        any
    }

    fn hang_up(&mut self, attempt: Attempt, cause: Cause) {
        if let Some(wire) = self.wire.take() {
            self.broker.closed(self.clock.now(), wire.conn);
            self.output.clear();
            self.session.handle_closed(self.now(), attempt, cause);
        }
    }

    /// From the session into the link.
    fn send(&mut self) -> bool {
        let now = self.now();
        let mut any = false;
        if self.output.is_empty() {
            any = raw::polls_as_told(&mut self.session, now, &mut self.output);
        }
        let Some(wire) = &mut self.wire else {
            return any;
        };
        while self.output.has_remaining() {
            let taken = wire
                .link
                .send(self.clock.now(), Direction::ToBroker, self.output.chunk());
            if taken == 0 {
                break;
            }
            self.output.advance(taken);
            self.session.handle_written(now, taken);
            any = true;
        }
        any
    }

    /// From the link into the broker, and back.
    fn exchange(&mut self) -> bool {
        let now = self.clock.now();
        let mut any = false;
        let Some(wire) = &mut self.wire else {
            return false;
        };
        while wire
            .link
            .receive(now, Direction::ToBroker, &mut wire.at_broker)
            > 0
        {
            any = true;
            self.broker.input(now, wire.conn, &mut wire.at_broker);
        }
        if self.broker.has_output(wire.conn) {
            let mut bytes = Vec::new();
            self.broker.output(wire.conn, &mut bytes);
            any = true;
            wire.link.send(now, Direction::ToClient, &bytes);
        }
        if self.broker.wants_close(wire.conn) {
            wire.link.finish(now, Direction::ToClient);
        }
        let at = self.now();
        let Some(wire) = &mut self.wire else {
            return any;
        };
        while self.session.wants_read()
            && wire.link.receive(now, Direction::ToClient, &mut self.input) > 0
        {
            any = true;
            self.session.handle_input(at, &mut self.input);
        }
        if !self.input.is_empty() && self.session.wants_read() {
            let before = self.input.len();
            self.session.handle_input(at, &mut self.input);
            any |= self.input.len() != before;
        }
        let (attempt, cut) = (wire.attempt, wire.link.is_cut());
        if cut {
            self.hang_up(attempt, Cause::ConnectionReset);
        } else if wire.link.is_finished(now, Direction::ToClient) {
            self.hang_up(attempt, Cause::Eof);
        } else {
            return any;
        }
        true
    }

    pub fn publish(&mut self, topic: &str, qos: QoS, payload: &[u8]) -> Token {
        self.session
            .publish(self.now(), qos, message(topic, payload))
            .expect("accepted")
    }

    pub fn subscribe(&mut self, filter: &str, qos: QoS) -> Token {
        let filters = vec![(filter.try_into().expect("a filter"), qos.into())];
        self.session
            .subscribe(self.now(), filters, Properties::new(), QueueId::DEFAULT)
            .expect("accepted")
    }

    pub fn take(&mut self) -> Option<Received> {
        self.session.poll_message(QueueId::DEFAULT)
    }

    /// Takes and acknowledges everything in the default queue; tells the payloads.
    pub fn take_all(&mut self) -> Vec<Vec<u8>> {
        let mut payloads = Vec::new();
        loop {
            while let Some(received) = self.take() {
                payloads.push(received.publish.payload().to_vec());
                let _ = self.session.ack(self.now(), received.ticket);
            }
            self.run();
            if self.events.is_empty() || !self.session_has_messages() {
                return payloads;
            }
        }
    }

    fn session_has_messages(&mut self) -> bool {
        let readable = self
            .events
            .iter()
            .any(|event| matches!(event, Event::Readable(_)));
        self.events
            .retain(|event| !matches!(event, Event::Readable(_)));
        readable
    }

    /// The outcome of a publish, which must have exactly one.
    pub fn outcome(&self, token: Token) -> Option<Outcome> {
        let mut outcomes = self.events.iter().filter_map(|event| match event {
            Event::Published { token: t, outcome } if *t == token => Some(*outcome),
            _ => None,
        });
        let outcome = outcomes.next();
        assert!(outcomes.next().is_none(), "{token:?} has two outcomes");
        outcome
    }

    /// The payloads that the broker accepted from the client, in order.
    pub fn accepted(&self) -> Vec<Vec<u8>> {
        self.broker
            .received()
            .iter()
            .map(|received| received.message.payload().to_vec())
            .collect()
    }

    /// Fails where the session broke the protocol.
    pub fn check(&self) {
        assert!(
            self.broker.violations().is_empty(),
            "{:?}\n{}",
            self.broker.violations(),
            self.broker.ladder()
        );
    }
}

const fn attempt_seed(attempt: usize) -> u64 {
    attempt as u64
}

pub fn message(topic: &str, payload: &[u8]) -> Publish {
    Publish::new(Topic::try_from(topic).expect("a topic"), payload.to_vec())
}

pub const ACKNOWLEDGED: Outcome = Outcome::Acknowledged {
    reason: ReasonCode::SUCCESS,
    republished: false,
    completed: true,
};

/// All versions.
pub const VERSIONS: [Version; 3] = [Version::V3_1, Version::V3_1_1, Version::V5];

/// All QoS.
pub const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Numbers, to be told apart as payloads.
pub fn numbers(range: std::ops::Range<u32>) -> VecDeque<Vec<u8>> {
    range.map(|n| n.to_be_bytes().to_vec()).collect()
}
