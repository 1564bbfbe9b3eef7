//! Servers that misbehave, applications that forget, and limits of next to nothing: nothing grows, panics or hangs.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod pair;

use std::time::Duration;

use mqtt_session::proto::{
    Disconnect, Flow, Outbox, Packet, PacketType, Properties, QoS, ReasonCode, Version,
};
use mqtt_session::{
    Action, Cause, Event, InboxFull, Instant, Limits, Outcome, QueueId, Received, Ticket, Timeouts,
    Token,
};
use mqtt_testkit::Rng;
use pair::raw::{Raw, ack, at_least_once, exactly_once};
use pair::{QOS, VERSIONS, config, message};

#[test]
fn memory_is_bounded_where_one_of_two_queues_for_a_message_is_read_and_the_other_is_not() {
    for version in VERSIONS {
        let mut limits = Limits::default();
        limits.inbox_bytes = 100 * (Received::OVERHEAD + 100);
        let narrow = config(version)
            .limits(limits)
            .inbox_full(InboxFull::DropOldest);
        let mut raw = Raw::connected(narrow);
        let (read, unread) = (raw.session.open_queue(), raw.session.open_queue());
        raw.subscribe("a", read);
        raw.subscribe("a", unread);
        for _ in 0..1000 {
            raw.feed_publish("a", Flow::AtMostOnce, &[7; 100]);
            let received = raw.take(read);
            raw.session.ack(raw.now, received.ticket).unwrap();
        }
        let held = std::iter::from_fn(|| raw.session.poll_message(unread)).count();
        assert!(
            (50..=100).contains(&held),
            "{version}: {held} messages of 100 bytes are held"
        );
    }
}

#[test]
fn answers_to_a_server_that_asks_and_does_not_read_are_bounded_and_none_is_left_out() {
    for version in VERSIONS {
        for packet in [PacketType::PubRel, PacketType::PubRec] {
            let mut limits = Limits::default();
            limits.outbox_bytes = 1000;
            let mut raw = Raw::connected(config(version).limits(limits));
            let question = raw.encode(&ack(packet, 7, ReasonCode::SUCCESS));
            raw.input = question.repeat(10_000).as_slice().into();
            let mut answers = 0;
            while !raw.input.is_empty() {
                assert!(raw.session.wants_read());
                raw.session.handle_input(raw.now, &mut raw.input);
                let mut out = Outbox::new();
                assert!(raw.session.poll_transmit(raw.now, &mut out));
                assert!(out.len() < 1010, "{version}: {} bytes wait", out.len());
                answers += out.len();
            }
            // 5.0 has a reason code, since the identifier is unknown.
            let each = if version.is_v5() { 5 } else { 4 };
            assert_eq!(answers, 10_000 * each, "{version} {packet}");
        }
    }
}

#[test]
fn a_server_that_asks_and_does_not_read_is_found_out_by_keep_alive() {
    let mut limits = Limits::default();
    limits.outbox_bytes = 1000;
    let mut raw = Raw::connected(config(Version::V5).limits(limits));
    let pubrel = raw.encode(&ack(PacketType::PubRel, 7, ReasonCode::SUCCESS));
    for _ in 0..300 {
        raw.now = raw.now + Duration::from_secs(1);
        raw.session.handle_timeout(raw.now);
        if raw.session.wants_read() {
            raw.input.extend_from_slice(&pubrel.repeat(100));
            raw.session.handle_input(raw.now, &mut raw.input);
        }
    }
    let mut events = std::iter::from_fn(|| raw.session.poll_event());
    assert!(events.any(|event| matches!(event, Event::Lost { .. })));
}

/// A driver reads on while it hangs up, so that what we said last is not lost to a reset: for what comes then nobody has a use.
#[test]
fn what_a_server_floods_us_with_while_we_leave_is_thrown_away() {
    let mut limits = Limits::default();
    limits.outbox_bytes = 1000;
    let mut raw = Raw::connected(config(Version::V5).limits(limits));
    let flood = raw.encode(&ack(PacketType::PubRel, 7, ReasonCode::SUCCESS));
    let flood = flood.repeat(1000);
    raw.input.extend_from_slice(&flood);
    raw.session.handle_input(raw.now, &mut raw.input);
    assert!(!raw.session.wants_read(), "it waits for the server to read");
    raw.session
        .disconnect(raw.now, Disconnect::default(), Duration::ZERO)
        .unwrap();
    let action = raw.session.poll_action();
    assert!(matches!(action, Some(Action::Hangup { flush: true, .. })));
    for _ in 0..3 {
        assert!(raw.session.wants_read());
        raw.input.extend_from_slice(&flood);
        raw.session.handle_input(raw.now, &mut raw.input);
        assert!(raw.input.is_empty());
    }
}

#[test]
fn who_waits_for_room_is_told_when_a_lost_connection_makes_some() {
    for version in VERSIONS {
        let mut limits = Limits::default();
        limits.outgoing_bytes = 100;
        let mut raw = Raw::connected(config(version).limits(limits));
        let token = raw.publish(QoS::AtMostOnce, &[0; 60]);
        raw.session.poll_transmit(raw.now, &mut Outbox::new());
        raw.session.handle_written(raw.now, 5);
        raw.offer(QoS::AtMostOnce, message("a", &[0; 60]))
            .unwrap_err();
        raw.closed(Cause::Eof);
        assert_eq!(raw.outcome(token), Some(Outcome::ConnectionLost));
        let told = raw.events.iter().any(|event| matches!(event, Event::Room));
        assert!(told, "{version}: {:?}", raw.events);
    }
}

#[test]
fn timeouts_that_never_end_do_not_overflow() {
    let never = Duration::MAX;
    let mut timeouts = Timeouts::default();
    timeouts.dial = never;
    timeouts.connack = never;
    timeouts.pingresp = never;
    timeouts.liveness = never;
    timeouts.hangup = never;
    for version in VERSIONS {
        let mut raw = Raw::connected(config(version).timeouts(timeouts));
        raw.advance(Duration::from_secs(1000));
        assert!(raw.lines().contains(&"PINGREQ".to_owned()));
        raw.feed(&Packet::PingResp);
        raw.publish(QoS::AtLeastOnce, b"x");
        raw.session
            .disconnect(raw.now, Disconnect::default(), never)
            .expect("a good DISCONNECT");
        raw.poll();
        assert!(!raw.session.is_closed());
        raw.feed_ack(PacketType::PubAck, 1);
        raw.hang_up();
        assert!(raw.session.is_closed());
    }
}

#[test]
fn a_ticket_of_another_session_does_not_upset_the_inbox() {
    let mut other = Raw::connected(config(Version::V5));
    other.feed_publish("a", Flow::AtMostOnce, &[0; 500]);
    let foreign = other.take(QueueId::DEFAULT).ticket;
    let mut raw = Raw::connected(config(Version::V5));
    raw.session.ack(raw.now, foreign).unwrap();
    assert!(raw.session.wants_read());
    raw.feed_publish("a", Flow::AtMostOnce, &[0; 500]);
    assert_eq!(raw.take_and_ack().len(), 500);
}

#[test]
fn time_that_runs_backwards_counts_as_the_latest() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.advance(Duration::from_secs(40));
    let (late, deadline) = (raw.now, raw.session.poll_timeout());
    raw.now = Instant::ZERO;
    let token = raw.publish(QoS::AtLeastOnce, b"x");
    raw.poll();
    raw.session.handle_timeout(raw.now);
    raw.feed_ack(PacketType::PubAck, 1);
    assert!(raw.outcome(token).is_some());
    assert_eq!(raw.session.poll_timeout(), deadline);
    raw.closed(Cause::Eof);
    assert!(raw.session.poll_timeout().unwrap() > late);
}

/// Mutated packets of every kind, whole and in pieces, lost connections, and an application that takes, forgets and publishes at will.
#[test]
fn whatever_server_and_application_do_each_message_has_one_outcome_and_nothing_panics() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let mut limits = Limits::default();
        limits.inbox_bytes = number(&mut rng, 300);
        limits.max_queued = number(&mut rng, 3);
        limits.outgoing_bytes = 40 + number(&mut rng, 300);
        limits.outbox_bytes = number(&mut rng, 100);
        limits.max_requests = number(&mut rng, 3);
        limits.receive_maximum = (number(&mut rng, 3) as u16).try_into().unwrap();
        limits.max_in_flight = (number(&mut rng, 3) as u16).try_into().unwrap();
        limits.max_in_flight_v3 = limits.max_in_flight;
        limits.max_packet_size = 200;
        let config = config(*rng.pick(&VERSIONS))
            .clean_start(rng.chance(2))
            .inbox_full(*rng.pick(&[InboxFull::Pause, InboxFull::DropOldest]))
            .limits(limits);
        let mut storm = Storm::new(Raw::new(config), rng);
        (0..200).for_each(|_| storm.step());
        storm.end(seed);
    }
}

/// From 1 to `most`.
fn number(rng: &mut Rng, most: u64) -> usize {
    1 + rng.below(most) as usize
}

struct Storm {
    raw: Raw,
    rng: Rng,
    accepted: Vec<Token>,
    requests: Vec<Token>,
    tickets: Vec<Ticket>,
    queues: Vec<QueueId>,
}

impl Storm {
    fn new(mut raw: Raw, rng: Rng) -> Self {
        raw.session.start(raw.now);
        raw.poll();
        Self {
            raw,
            rng,
            accepted: Vec::new(),
            requests: Vec::new(),
            tickets: Vec::new(),
            queues: vec![QueueId::DEFAULT],
        }
    }

    fn step(&mut self) {
        let Self { raw, rng, .. } = self;
        match rng.below(20) {
            0 => {
                let attempt = raw.attempt.expect("it has dialled");
                raw.input.clear();
                raw.session.handle_opened(raw.now, attempt);
                raw.accept(rng.chance(2), Properties::new());
            }
            1 if rng.chance(3) => raw.closed(Cause::Eof),
            2 if raw.session.poll_timeout().is_some() => raw.next_timer(),
            3..=6 => {
                let offered = message("a", &vec![1; number(rng, 60)]);
                self.accepted.extend(raw.offer(*rng.pick(&QOS), offered));
            }
            7 | 8 => {
                let received = raw.session.poll_message(*rng.pick(&self.queues));
                self.tickets
                    .extend(received.map(|received| received.ticket));
            }
            9 if !self.tickets.is_empty() => {
                let at = rng.below(self.tickets.len() as u64) as usize;
                let _ = raw.session.ack(raw.now, self.tickets.swap_remove(at));
            }
            10 => {
                let queue = raw.session.open_queue();
                self.queues.push(queue);
                let filters = vec![("a".try_into().unwrap(), QoS::ExactlyOnce.into())];
                let none = Properties::new();
                self.requests
                    .extend(raw.session.subscribe(raw.now, filters, none, queue));
            }
            11 if self.queues.len() > 1 => {
                let at = number(rng, self.queues.len() as u64 - 1);
                raw.session
                    .close_queue(raw.now, self.queues.swap_remove(at));
            }
            12 => match self.requests.pop() {
                Some(token) => raw.session.withdraw(raw.now, token),
                None => {
                    let filters = vec!["a".try_into().unwrap()];
                    let none = Properties::new();
                    self.requests
                        .extend(raw.session.unsubscribe(raw.now, filters, none));
                }
            },
            13 => {
                let mut out = Outbox::new();
                raw.session.poll_transmit(raw.now, &mut out);
                let n = rng.below(out.len() as u64 + 1) as usize;
                raw.session.handle_written(raw.now, n);
            }
            _ => self.server_speaks(),
        }
        if self.rng.chance(2) {
            self.raw.poll();
        }
    }

    fn server_speaks(&mut self) {
        let Self { raw, rng, .. } = self;
        let id = number(rng, 4) as u16;
        let payload = vec![0; number(rng, 100)];
        let mut bytes = match rng.below(12) {
            0 | 1 => raw.encode_publish("a", Flow::AtMostOnce, &payload),
            2 | 3 => raw.encode_publish("a", at_least_once(id), &payload),
            4 | 5 => raw.encode_publish("a", exactly_once(id), &payload),
            6 => raw.encode(&ack(PacketType::PubAck, id, ReasonCode::SUCCESS)),
            7 => raw.encode(&ack(PacketType::PubRec, id, ReasonCode::SUCCESS)),
            8 => raw.encode(&ack(PacketType::PubRel, id, ReasonCode::SUCCESS)),
            9 => raw.encode(&ack(PacketType::PubComp, id, ReasonCode::SUCCESS)),
            10 if raw.version.is_v5() => vec![0x90, 4, 0xFF, id as u8, 0, 1],
            10 => vec![0x90, 3, 0xFF, id as u8, 1],
            _ => raw.encode(&Packet::PingResp),
        };
        if rng.chance(12) {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] = rng.below(256) as u8;
        }
        let piece = if rng.chance(4) { 1 } else { bytes.len() };
        for piece in bytes.chunks(piece) {
            raw.input.extend_from_slice(piece);
            raw.session.handle_input(raw.now, &mut raw.input);
        }
    }

    fn end(self, seed: u64) {
        let Self { mut raw, .. } = self;
        raw.session
            .disconnect(raw.now, Disconnect::default(), Duration::ZERO)
            .expect("a good DISCONNECT");
        raw.advance(Duration::from_secs(100));
        assert!(raw.session.is_closed(), "seed {seed}");
        for ticket in self.tickets {
            let _ = raw.session.ack(raw.now, ticket);
        }
        for queue in self.queues {
            while let Some(received) = raw.session.poll_message(queue) {
                let _ = raw.session.ack(raw.now, received.ticket);
            }
        }
        for token in self.accepted {
            assert!(raw.outcome(token).is_some(), "seed {seed}: {token:?}");
        }
    }
}
