//! A driver, a server and an application that do what the input says.

mod read;
mod server;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use arbitrary::Unstructured;
use bytes::{Buf, BytesMut};
use mqtt_proto::{
    Disconnect, Outbox, Properties, Publish, QoS, Sender, SubscribeOptions, Topic, TopicFilter,
    Version,
};
use mqtt_session::{
    Action, Attempt, Cause, Config, Endpoint, InboxFull, Instant, Limits, Offline, Phase, QueueId,
    Received, Session, SessionLost,
};

use super::model::{Bounds, Model, Waiting};
use crate::{Codec, Reached};
use read::Network;

const MAX_PACKET: u32 = 2_000;
const SMALL_INBOX: usize = 1_000;
const LARGE_INBOX: usize = 200_000;
const TOPICS: [&str; 4] = ["a", "a/b", "a/b/longer/than/an/alias", "$x"];
const FILTERS: [&str; 5] = ["a", "a/#", "+/b", "#", "$share/g/a/+"];
/// More calls without an end would be a loop.
const REST: usize = 5_000;

#[derive(Debug)]
pub(super) struct World {
    session: Session,
    model: Model,
    version: Version,
    now: Instant,
    /// The stream that is open.
    stream: Option<Attempt>,
    /// Lookups and dials under way.
    opening: VecDeque<Action>,
    network: Network,
    input: BytesMut,
    output: Outbox,
    bounds: Bounds,
    /// What the application has, and what the model says of it.
    held: Vec<(Received, Waiting)>,
    /// The application has asked for the end.
    leaving: bool,
    /// A message was refused because there was no room, and there is none yet.
    awaits_room: bool,
    next: u32,
    /// How many messages the server has made.
    said: u32,
    pub(super) reached: Reached,
}

impl World {
    pub(super) fn new(u: &mut Unstructured<'_>) -> Self {
        let first = byte(u);
        let version = [Version::V5, Version::V3_1_1, Version::V3_1][usize::from(first % 3)];
        // A run of the inbox is longer than what fits into a small one.
        let is_large = first >= 192;
        let (seed, policies, sizes) = (byte(u), byte(u), byte(u));
        let has = |bit: u8| policies & bit != 0;
        let mut limits = Limits::default();
        limits.max_packet_size = MAX_PACKET;
        limits.inbox_bytes = if is_large { LARGE_INBOX } else { SMALL_INBOX };
        let more = u16::from(sizes % 8) * if is_large { 40 } else { 1 };
        limits.receive_maximum = NonZeroU16::MIN.saturating_add(more);
        limits.max_in_flight = NonZeroU16::MIN.saturating_add(u16::from(sizes / 8 % 8));
        limits.max_in_flight_v3 = limits.max_in_flight;
        limits.max_queued = 1 + usize::from(sizes / 64) * 8;
        limits.outgoing_bytes = 4_000;
        limits.outbox_bytes = 1 + usize::from(sizes) * 4;
        limits.max_requests = 6;
        let bounds = Bounds {
            inbox: limits.inbox_bytes,
            receive_maximum: limits.receive_maximum.get().into(),
            answers: limits.outbox_bytes,
            drop_oldest: has(8),
        };
        let config = Config::builder("client")
            .version(version)
            .clean_start(has(1))
            .session_lost(if has(2) {
                SessionLost::Fail
            } else {
                SessionLost::Resend
            })
            .offline(if has(4) {
                Offline::Refuse
            } else {
                Offline::Queue
            })
            .inbox_full(if has(8) {
                InboxFull::DropOldest
            } else {
                InboxFull::Pause
            })
            .keep_alive(Duration::from_secs(if has(16) { 0 } else { 20 }))
            .limits(limits)
            .build()
            .expect("a configuration that can work");
        let host = if has(32) { "server" } else { "192.0.2.1" };
        let mut session = Session::new(config, Endpoint::new(host, 1883), seed.into());
        let now = Instant::from_nanos(1);
        session.keep_observations();
        if has(64) {
            session.start(now);
        } else {
            session.connect(now);
        }
        let mut world = Self {
            session,
            model: Model::new(version, bounds),
            version,
            now,
            stream: None,
            opening: VecDeque::new(),
            network: Network::new(),
            input: BytesMut::new(),
            output: Outbox::new(),
            bounds,
            held: Vec::new(),
            leaving: false,
            awaits_room: false,
            next: 0,
            said: 0,
            reached: Reached::default(),
        };
        world.settle();
        // Most inputs shall get somewhere: the first connection is made for them.
        if has(128) {
            world.advance_opening(true, 1);
            world.advance_opening(true, 1);
            let bytes = world.connack(0, &[]);
            world.feed(&bytes);
        }
        world
    }

    pub(super) fn step(&mut self, u: &mut Unstructured<'_>) {
        match byte(u) {
            255 => {
                let mut bytes = Vec::new();
                for _ in 0..=byte(u) % 16 {
                    bytes.extend(self.server_packet(u));
                }
                self.feed_in_pieces(u, &bytes);
            }
            254 => {
                let bytes = self.server_messages(u);
                self.feed_in_pieces(u, &bytes);
            }
            253 => self.bring(1 + usize::from(byte(u))),
            252 => self.hold(u),
            251 => {
                // The application deals with many at once.
                for _ in 0..byte(u) {
                    self.take();
                }
                for _ in 0..byte(u) {
                    self.give_back(0);
                }
            }
            command => self.simple_step(command, u),
        }
        self.settle();
        self.check_inbox();
        if self.session.phase() == Phase::Connected {
            self.model.check_answered();
        }
    }

    fn simple_step(&mut self, command: u8, u: &mut Unstructured<'_>) {
        match command % 24 {
            0..=3 => self.publish(u),
            4 => self.subscribe(u),
            5 => self.unsubscribe(u),
            6 | 7 => {
                self.take();
            }
            8 | 9 => self.give_back(usize::from(byte(u))),
            10 => {
                // From a millisecond to some minutes.
                let time = Duration::from_millis(1 << (byte(u) % 19));
                self.now = self.now + time;
                self.session.handle_timeout(self.now);
            }
            11 => self.session.handle_timeout(Instant::ZERO),
            12 | 13 => self.write(usize::from(byte(u))),
            14 => self.hang_up(Cause::ConnectionReset),
            15 | 16 => {
                let (succeeds, count) = (!byte(u).is_multiple_of(4), byte(u));
                self.advance_opening(succeeds, count);
            }
            17 if byte(u).is_multiple_of(8) => {
                let drain = Duration::from_secs(u64::from(byte(u) % 4));
                self.leaving = true;
                self.session
                    .disconnect(self.now, Disconnect::default(), drain)
                    .expect("a good DISCONNECT");
            }
            _ => {
                let mut bytes = Vec::new();
                for _ in 0..=byte(u) % 3 {
                    bytes.extend(self.server_packet(u));
                }
                self.feed(&bytes);
            }
        }
    }

    fn publish(&mut self, u: &mut Unstructured<'_>) {
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(byte(u) % 3)];
        let (topic, shape) = (byte(u), byte(u));
        self.next += 1;
        let mut payload = self.next.to_be_bytes().to_vec();
        payload.resize(4 + usize::from(shape), b'x');
        let topic = Topic::from_static(TOPICS[usize::from(topic) % 3]).expect("a topic");
        let message = Publish::new(topic, payload).with_retain(shape % 5 == 0);
        match self.session.publish(self.now, qos, message.clone()) {
            Ok(token) => self.model.accepted(self.next, token, qos),
            Err(refused) => {
                self.awaits_room |= refused.reason.is_full();
                assert_eq!(refused.publish, message, "it is given back");
            }
        }
    }

    fn subscribe(&mut self, u: &mut Unstructured<'_>) {
        let filters = pick_filters(byte(u));
        let filters = filters.map(|filter| (filter, SubscribeOptions::new(QoS::ExactlyOnce)));
        let subscribed = self.session.subscribe(
            self.now,
            filters.collect(),
            Properties::new(),
            QueueId::DEFAULT,
        );
        if let Ok(token) = subscribed {
            self.model.requested(token);
        }
    }

    fn unsubscribe(&mut self, u: &mut Unstructured<'_>) {
        let filters = pick_filters(byte(u)).collect();
        if let Ok(token) = self
            .session
            .unsubscribe(self.now, filters, Properties::new())
        {
            self.model.requested(token);
        }
    }

    fn take(&mut self) -> bool {
        let Some(received) = self.session.poll_message(QueueId::DEFAULT) else {
            self.model.nothing_taken();
            return false;
        };
        let publish = &received.publish;
        assert!(
            !publish.topic().as_str().is_empty(),
            "a message without a topic"
        );
        let waiting = self.model.taken(publish);
        self.check_copied(&received, waiting.buffer);
        self.held.push((received, waiting));
        true
    }

    fn give_back(&mut self, which: usize) {
        if self.held.is_empty() {
            return;
        }
        let (received, waiting) = self.held.remove(which % self.held.len());
        // It may be acknowledged at once: the model is told first.
        let fresh = self.model.ticket(&waiting);
        let taken = self.session.ack(self.now, received.ticket);
        assert_eq!(taken.is_ok(), fresh, "a ticket is stale or it is not");
    }

    /// The system takes some of what is to be written.
    fn write(&mut self, at_most: usize) {
        let n = self.output.remaining().min(1 + at_most * 8);
        if self.stream.is_some() && n > 0 {
            self.output.advance(n);
            self.model.wrote(n);
            self.session.handle_written(self.now, n);
        }
    }

    fn hang_up(&mut self, cause: Cause) {
        if let Some(attempt) = self.stream.take() {
            self.session.handle_closed(self.now, attempt, cause);
            self.collect_events();
            self.input.clear();
            self.network.clear();
            self.output.clear();
            self.model.gone();
        }
    }

    /// A lookup or dial ends.
    fn advance_opening(&mut self, succeeds: bool, count: u8) {
        match self.opening.pop_front() {
            Some(Action::Resolve { attempt, port, .. }) => {
                let v4 = |n: u8| SocketAddr::from(([192, 0, 2, n], port));
                let v6 = |n: u8| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n.into()], port));
                let found = (0..count % 4).flat_map(|n| [v6(n), v4(n)]).collect();
                let found = if succeeds {
                    Ok(found)
                } else {
                    Err(Cause::TimedOut)
                };
                self.session.handle_resolved(self.now, attempt, found);
            }
            Some(Action::Dial { attempt, .. }) if succeeds && self.stream.is_none() => {
                self.stream = Some(attempt);
                self.input.clear();
                self.network.clear();
                self.output.clear();
                self.model.opened();
                self.session.handle_opened(self.now, attempt);
            }
            Some(Action::Dial { attempt, .. }) => {
                self.session
                    .handle_closed(self.now, attempt, Cause::ConnectionRefused);
            }
            _ => {}
        }
        self.settle();
    }

    /// Carries out what the session wants until there is nothing more.
    fn settle(&mut self) {
        for _ in 0..REST {
            if !self.turn() {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn turn(&mut self) -> bool {
        let mut any = self.collect_events();
        any |= self.collect_output();
        while let Some(action) = self.session.poll_action() {
            any = true;
            match action {
                Action::Cancel { attempt } => self.opening.retain(|opening| match opening {
                    Action::Resolve { attempt: other, .. }
                    | Action::Dial { attempt: other, .. } => *other != attempt,
                    _ => true,
                }),
                Action::Hangup { attempt, flush } => {
                    if flush {
                        self.collect_output();
                        while !self.output.is_empty() && self.stream == Some(attempt) {
                            self.write(usize::MAX / 16);
                        }
                    }
                    if self.stream == Some(attempt) {
                        self.hang_up(Cause::HungUp);
                    }
                }
                other => self.opening.push_back(other),
            }
        }
        let is_readable = !self.input.is_empty() || self.network.is_readable();
        if is_readable && self.session.wants_read() && self.stream.is_some() {
            let before = (self.input.len(), self.network.is_readable());
            self.read();
            any |= (self.input.len(), self.network.is_readable()) != before;
        }
        any
    }

    /// The application leaves: everything must come to its end.
    pub(super) fn end(&mut self, disconnect: Disconnect) {
        self.session
            .disconnect(self.now, disconnect, Duration::ZERO)
            .expect("a good DISCONNECT");
        self.settle();
        assert!(self.session.is_closed());
        assert_eq!(self.session.poll_timeout(), None, "nothing to wake up for");
        self.model.check_end();
        while self.take() {}
        while !self.held.is_empty() {
            self.give_back(0);
        }
        self.check_inbox();
        assert_eq!(self.model.inbox(), (0, 0), "everything was given back");
        let capacity = self.session.publish_capacity();
        assert_eq!(capacity.bytes, 4_000, "everything was given back");
    }
}

fn byte(u: &mut Unstructured<'_>) -> u8 {
    u.arbitrary().unwrap_or(0)
}

fn codec(version: Version, sender: Sender) -> Codec {
    *Codec::ALL
        .iter()
        .find(|codec| codec.version == version && codec.sender == sender)
        .expect("every version has both")
}

/// One that is in use, or any.
fn pick_id(u: &mut Unstructured<'_>, used: &[u16]) -> u16 {
    let choice = byte(u);
    if choice < 200 && !used.is_empty() {
        used[usize::from(choice) % used.len()]
    } else {
        u16::from(choice % 16)
    }
}

fn pick_filters(bits: u8) -> impl Iterator<Item = TopicFilter> {
    FILTERS
        .into_iter()
        .enumerate()
        .filter(move |(at, _)| bits & 1 << at != 0)
        .map(|(_, filter)| TopicFilter::try_from(filter).expect("a filter"))
}
