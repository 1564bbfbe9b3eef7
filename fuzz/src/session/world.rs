//! A driver, a server and an application that do what the input says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use arbitrary::Unstructured;
use bytes::{Buf, BytesMut};
use mqtt_proto::{
    Decoder, Disconnect, Outbox, Packet, Properties, Publish, QoS, Sender, SubscribeOptions, Topic,
    TopicFilter, Version,
};
use mqtt_session::{
    Action, Attempt, Cause, Config, ConnectionError, Endpoint, Event, InboxFull, Instant, Limits,
    Offline, Phase, QueueId, Received, Session, SessionLost,
};

use super::model::{Model, Verdict};
use crate::wire::{block, frame, text};
use crate::{Codec, Reached};

/// CONNACK of 3.x, with which a server refuses a version that it does not know.
const UNACCEPTABLE: &[u8] = &[0x20, 2, 0, 1];
const MAX_PACKET: u32 = 2_000;
const INBOX: usize = 1_000;
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
    input: BytesMut,
    output: Outbox,
    /// What the application has, with the number that the model gives it.
    held: Vec<(Received, u32)>,
    /// The application has asked for the end.
    leaving: bool,
    next: u32,
    pub(super) reached: Reached,
}

impl World {
    pub(super) fn new(u: &mut Unstructured<'_>) -> Self {
        let version = [Version::V5, Version::V3_1_1, Version::V3_1][usize::from(byte(u) % 3)];
        let (seed, policies, sizes) = (byte(u), byte(u), byte(u));
        let has = |bit: u8| policies & bit != 0;
        let mut limits = Limits::default();
        limits.max_packet_size = MAX_PACKET;
        limits.inbox_bytes = INBOX;
        limits.receive_maximum = NonZeroU16::MIN.saturating_add(u16::from(sizes % 8));
        limits.max_in_flight = NonZeroU16::MIN.saturating_add(u16::from(sizes / 8 % 8));
        limits.max_in_flight_v3 = limits.max_in_flight;
        limits.max_queued = 1 + usize::from(sizes / 64) * 8;
        limits.outgoing_bytes = 4_000;
        limits.outbox_bytes = 1 + usize::from(sizes) * 4;
        limits.max_requests = 6;
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
        if has(64) {
            session.start(now);
        } else {
            session.connect(now);
        }
        let mut world = Self {
            session,
            model: Model::new(version),
            version,
            now,
            stream: None,
            opening: VecDeque::new(),
            input: BytesMut::new(),
            output: Outbox::new(),
            held: Vec::new(),
            leaving: false,
            next: 0,
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
        match byte(u) % 24 {
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
        self.settle();
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
            Err(refused) => assert_eq!(refused.publish, message, "it is given back"),
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
            return false;
        };
        let publish = &received.publish;
        assert!(
            !publish.topic().as_str().is_empty(),
            "a message without a topic"
        );
        let number = match publish.packet_id() {
            Some(_) => self.model.taken(publish),
            None => 0,
        };
        self.held.push((received, number));
        true
    }

    fn give_back(&mut self, which: usize) {
        if self.held.is_empty() {
            return;
        }
        let (received, number) = self.held.remove(which % self.held.len());
        // It may be acknowledged at once: the model is told first.
        let id = received.publish.packet_id();
        let fresh = id.is_none_or(|id| self.model.ticket(id.get(), number));
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

    fn connack(&self, code: u8, properties: &[u8]) -> Vec<u8> {
        let properties = if self.version.is_v5() {
            block(properties)
        } else {
            Vec::new()
        };
        frame(0x20, &[&[0, code], &properties])
    }

    /// One packet of the server, right or wrong.
    fn server_packet(&self, u: &mut Unstructured<'_>) -> Vec<u8> {
        let v5 = self.version.is_v5();
        let none: &[u8] = if v5 { &[0] } else { &[] };
        let ours = self.model.ids();
        let id = pick_id(u, &ours);
        match byte(u) % 24 {
            kind @ 0..=3 => {
                // PUBACK, PUBREC, PUBREL, PUBCOMP.
                let first = [0x40, 0x50, 0x62, 0x70][usize::from(kind)];
                let id = if kind == 2 {
                    pick_id(u, &self.model.their_ids())
                } else {
                    id
                };
                let reason = [0x00, 0x00, 0x10, 0x80, 0x92, 0x97][usize::from(byte(u) % 6)];
                let reason: &[u8] = if v5 { &[reason] } else { &[] };
                frame(first, &[&id.to_be_bytes(), reason])
            }
            4..=8 | 16..=23 => {
                let (flags, shape) = (byte(u), byte(u));
                // Mostly those that mean something.
                let flags = match flags {
                    0..=239 => [0x0, 0x1, 0x2, 0x3, 0x4, 0x5, 0xA, 0xC][usize::from(flags % 8)],
                    wild => wild % 16,
                };
                let topic = TOPICS[usize::from(shape % 4)];
                let id = pick_id(u, &self.model.their_ids()).to_be_bytes();
                let id = if flags & 6 == 0 { &id[..0] } else { &id[..] };
                let alias = [0x23, 0, shape / 32];
                let (topic, properties) = match shape % 16 {
                    0 if v5 => (text(""), block(&alias)),
                    1 if v5 => (text(topic), block(&alias)),
                    2 if v5 => (text(topic), block(&[0x0B, 1 + shape / 64])),
                    _ => (text(topic), none.to_vec()),
                };
                let payload = vec![b'y'; usize::from(shape)];
                frame(0x30 | flags, &[&topic, id, &properties, &payload])
            }
            kind @ 9..=10 => {
                let first = if kind == 9 { 0x90 } else { 0xB0 };
                let count = usize::from(byte(u) % 4);
                let codes = [[0, 1, 2], [0, 0x80, 0x87], [0x11, 0, 0]][usize::from(byte(u) % 3)];
                let codes = if first == 0xB0 && !v5 {
                    &[]
                } else {
                    &codes[..count.min(3)]
                };
                frame(first, &[&id.to_be_bytes(), none, codes])
            }
            11 => frame(0xD0, &[]),
            12 => self.any_connack(u),
            13 => frame(
                0xE0,
                &[&[0x8B][..usize::from(v5 && byte(u).is_multiple_of(2))]],
            ),
            14 => {
                let len = usize::from(byte(u) % 32);
                u.bytes(len.min(u.len())).unwrap_or_default().to_vec()
            }
            _ => {
                let body = [&[0x19], none].concat();
                frame(0xF0, &[&body])
            }
        }
    }

    fn any_connack(&self, u: &mut Unstructured<'_>) -> Vec<u8> {
        let (said, value) = (byte(u), byte(u));
        if !self.version.is_v5() {
            return frame(0x20, &[&[value & 1, if said % 8 == 0 { 3 } else { 0 }]]);
        }
        let mut properties = Vec::new();
        let mut add = |bit: u8, bytes: &[u8]| {
            if said & bit != 0 {
                properties.extend_from_slice(bytes);
            }
        };
        add(1, &[0x21, 0, 1 + value % 4]);
        add(2, &[0x24, value % 2]);
        add(4, &[0x25, 0]);
        add(8, &[0x27, 0, 0, value % 2, 60 + value % 128]);
        add(16, &[0x22, 0, value % 4]);
        add(32, &[0x28, 0]);
        add(64, &[0x13, 0, value % 32]);
        let code = if said & 128 != 0 && value > 200 {
            0x88
        } else {
            0
        };
        let body = [&[value & 1, code][..], &block(&properties)].concat();
        frame(0x20, &[&body])
    }

    fn feed(&mut self, bytes: &[u8]) {
        if self.stream.is_some() {
            self.input.extend_from_slice(bytes);
            self.read();
        }
        self.settle();
    }

    /// Hands the input to the session packet by packet, and what it took to the model.
    fn read(&mut self) {
        let decoder = Decoder::new(self.version, Sender::Server).with_max_packet_size(MAX_PACKET);
        while self.stream.is_some() && !self.input.is_empty() {
            if !self.is_open() {
                self.session.handle_input(self.now, &mut self.input);
                assert!(
                    self.input.is_empty(),
                    "what comes behind the end is thrown away"
                );
                return;
            }
            let mut rest = self.input.clone();
            let packet = decoder.decode(&mut rest);
            let is_refusal = self.version.is_v5() && self.input.starts_with(UNACCEPTABLE);
            let len = self.input.len() - rest.len();
            // An error, or a part of a packet: the session shall find that out by itself.
            let len = if len == 0 { self.input.len() } else { len };
            let rest = self.input.split_off(len);
            self.session.handle_input(self.now, &mut self.input);
            let taken = self.input.is_empty();
            self.input.unsplit(rest);
            match packet {
                Err(_) if taken => {
                    if is_refusal {
                        self.model.refused();
                    }
                    self.check(Verdict::Ends);
                }
                Ok(Some(packet)) if taken => {
                    let codec = codec(self.version, Sender::Server);
                    self.reached.add(codec, packet.packet_type());
                    let verdict = self.model.came(&packet);
                    self.check(verdict);
                    if let Packet::Publish(publish) = &packet
                        && verdict == Verdict::Either
                        && !self.is_open()
                    {
                        self.model.refuses(publish);
                    }
                }
                _ => return,
            }
            self.collect_events();
            self.collect_output();
        }
    }

    fn check(&self, verdict: Verdict) {
        let goes = self.is_open();
        match verdict {
            // It may also be over because the application wanted to leave, and this was what it waited for.
            Verdict::Goes => assert!(goes || self.leaving, "the connection ended for no reason"),
            Verdict::Ends => assert!(!goes, "the connection goes on"),
            Verdict::Either => {}
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.session.phase(), Phase::Handshaking | Phase::Connected)
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
        if !self.input.is_empty() && self.session.wants_read() && self.stream.is_some() {
            let before = self.input.len();
            self.read();
            any |= self.input.len() != before;
        }
        any
    }

    fn collect_events(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.session.poll_event() {
            any = true;
            self.model.event(&event);
            if let Event::Lost {
                error: ConnectionError::InboxFull { bytes },
                ..
            } = event
            {
                assert!(bytes >= INBOX, "an inbox with {bytes} bytes is not full");
            }
        }
        any
    }

    /// Takes what is encoded, and shows it to the model packet by packet.
    fn collect_output(&mut self) -> bool {
        let mut fresh = Outbox::new();
        if !self.session.poll_transmit(self.now, &mut fresh) {
            return false;
        }
        assert!(self.stream.is_some(), "output without a stream");
        let decoder = Decoder::new(self.version, Sender::Client);
        let mut bytes = BytesMut::from(&fresh.to_vec()[..]);
        self.output.append(&mut fresh);
        while !bytes.is_empty() {
            let before = bytes.len();
            let packet = decoder.decode(&mut bytes).expect("valid packets");
            let packet = packet.expect("whole packets");
            self.reached
                .add(codec(self.version, Sender::Client), packet.packet_type());
            self.model.sent(&packet, before - bytes.len());
        }
        true
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
        self.model.check_taken();
        while !self.held.is_empty() {
            self.give_back(0);
        }
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
