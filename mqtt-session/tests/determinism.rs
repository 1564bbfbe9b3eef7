//! The session is a function of its inputs: the same ones give the same bytes, extra calls change nothing, and no order of calls
//! makes it panic.

mod pair;

use std::time::Duration;

use bytes::BytesMut;
use mqtt_session::proto::{Disconnect, Outbox, PacketType, Properties, QoS};
use mqtt_session::{
    Action, Attempt, Cause, Endpoint, Event, Instant, QueueId, Received, Session, Token,
};
use mqtt_testkit::Rng;
use pair::raw::{Raw, at_least_once, exactly_once};
use pair::{QOS, VERSIONS, config, message};

const NONE: Properties = Properties::new();

/// Calls that must not matter.
fn pester(raw: &mut Raw, old: &[Attempt]) {
    let now = raw.now;
    let session = &mut raw.session;
    for _ in 0..2 {
        session.handle_timeout(now);
        session.handle_timeout(Instant::ZERO);
        session.handle_written(now, 0);
        session.connect(now);
        session.start(now);
        for attempt in old {
            session.handle_opened(now, *attempt);
            session.handle_closed(now, *attempt, Cause::Eof);
            session.handle_resolved(now, *attempt, Ok(Vec::new()));
        }
        let mut input = std::mem::take(&mut raw.input);
        session.handle_input(now, &mut input);
        raw.input = input;
        let _ = (
            session.poll_timeout(),
            session.next_timer(),
            session.phase(),
            session.stats(),
        );
        let _ = (
            session.has_action(),
            session.has_transmit(),
            session.wants_read(),
        );
    }
    raw.poll();
    raw.poll();
}

/// A life with everything in it; tells all bytes and events.
fn life(seed: u64, pestered: bool) -> (Vec<u8>, String) {
    let mut raw = Raw::new(config(VERSIONS[2]).clean_start(false));
    let configured = mqtt_session::Config::builder("client")
        .clean_start(false)
        .build()
        .expect("good");
    raw.session = Session::new(configured, Endpoint::new("192.0.2.1", 1883), seed);
    let mut old = Vec::new();
    raw.session.start(raw.now);
    for round in 0..4u16 {
        raw.wait_for_dial();
        raw.open();
        let extra = |raw: &mut Raw| {
            if pestered {
                pester(raw, &old);
            }
            raw.poll();
        };
        extra(&mut raw);
        raw.accept(round % 2 == 1, NONE);
        for (n, qos) in QOS.into_iter().enumerate() {
            raw.publish(qos, &[n as u8]);
            extra(&mut raw);
        }
        raw.subscribe("a/#", QueueId::DEFAULT);
        raw.feed_publish("a", at_least_once(round + 1), b"x");
        raw.feed_publish("a", exactly_once(round + 10), b"y");
        extra(&mut raw);
        while let Some(received) = raw.session.poll_message(QueueId::DEFAULT) {
            let _ = raw.session.ack(raw.now, received.ticket);
            extra(&mut raw);
        }
        raw.advance(Duration::from_secs(50));
        extra(&mut raw);
        old.push(raw.attempt.expect("an attempt"));
        raw.closed(Cause::ConnectionReset);
    }
    raw.session
        .disconnect(raw.now, Disconnect::default(), Duration::ZERO)
        .expect("a good DISCONNECT");
    raw.poll();
    (raw.wire, format!("{:?}", raw.events))
}

#[test]
fn the_same_seed_and_inputs_give_the_same_bytes_and_events() {
    for seed in 0..20 {
        assert_eq!(life(seed, false), life(seed, false));
    }
    assert_ne!(
        life(1, false),
        life(2, false),
        "the seed decides identifiers and jitter"
    );
}

#[test]
fn extra_calls_change_nothing() {
    for seed in 0..20 {
        let (wire, events) = life(seed, false);
        let (pestered_wire, pestered_events) = life(seed, true);
        assert_eq!(pestered_wire, wire);
        assert_eq!(pestered_events, events);
    }
}

#[test]
fn how_the_input_is_cut_and_the_output_taken_does_not_change_the_bytes() {
    let run = |piece: usize| {
        let mut raw = Raw::connected(config(VERSIONS[2]));
        let mut bytes = Vec::new();
        for number in 1..=5 {
            raw.publish(QoS::ExactlyOnce, b"x");
            bytes.extend(raw.encode(&pair::raw::ack(
                PacketType::PubRec,
                number,
                Default::default(),
            )));
        }
        raw.packets();
        for piece in bytes.chunks(piece) {
            raw.bytes_in(piece);
        }
        raw.wire
    };
    let whole = run(1000);
    for piece in 1..10 {
        assert_eq!(run(piece), whole);
    }
}

/// A user and a world without any sense.
struct Chaos {
    rng: Rng,
    session: Session,
    now: Instant,
    attempts: Vec<Attempt>,
    tokens: Vec<Token>,
    taken: Vec<Received>,
    queues: Vec<QueueId>,
    input: BytesMut,
    out: Outbox,
    accepted: u64,
    outcomes: u64,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut limits = mqtt_session::Limits::default();
        limits.inbox_bytes = rng.range(1, 200) as usize;
        limits.outgoing_bytes = rng.range(1, 2000) as usize;
        limits.max_queued = rng.range(1, 5) as usize;
        limits.max_requests = rng.range(1, 3) as usize;
        limits.outbox_bytes = rng.range(1, 100) as usize;
        let config = config(*rng.pick(&VERSIONS))
            .clean_start(rng.chance(2))
            .limits(limits);
        let host = *rng.pick(&["192.0.2.1", "name"]);
        let session = Session::new(
            config.build().expect("good"),
            Endpoint::new(host, 1883),
            seed,
        );
        let queues = vec![QueueId::DEFAULT];
        let (attempts, tokens, taken) = Default::default();
        let (input, out, now) = (BytesMut::new(), Outbox::new(), Instant::ZERO);
        Self {
            rng,
            session,
            now,
            attempts,
            tokens,
            taken,
            queues,
            input,
            out,
            accepted: 0,
            outcomes: 0,
        }
    }

    fn attempt(&mut self) -> Option<Attempt> {
        // The newest is the most interesting.
        if self.rng.chance(4) && !self.attempts.is_empty() {
            return Some(*self.rng.pick(&self.attempts));
        }
        self.attempts.last().copied()
    }

    fn bytes(&mut self) {
        let likely: [&[u8]; 14] = [
            &[0x20, 3, 0, 0, 0],
            &[0x20, 2, 0, 0],
            &[0x20, 3, 1, 0, 0],
            &[0x30, 5, 0, 1, b'a', 0, b'x'],
            &[0x32, 7, 0, 1, b'a', 0, 1, 0, b'x'],
            &[0x34, 7, 0, 1, b'a', 0, 2, 0, b'x'],
            &[0x3C, 7, 0, 1, b'a', 0, 2, 0, b'x'],
            &[0x40, 2, 0, 1],
            &[0x50, 2, 0, 1],
            &[0x62, 2, 0, 2],
            &[0x70, 2, 0, 1],
            &[0x90, 4, 0xFF, 0xFF, 0, 1],
            &[0xB0, 4, 0xFF, 0xFF, 0, 0],
            &[0xD0, 0],
        ];
        if self.rng.chance(8) {
            let junk: Vec<u8> = (0..self.rng.below(6))
                .map(|_| self.rng.next_u64() as u8)
                .collect();
            self.input.extend_from_slice(&junk);
        } else {
            let bytes = *self.rng.pick::<&[u8]>(&likely);
            self.input.extend_from_slice(bytes);
        }
    }

    fn step(&mut self) {
        let now = if self.rng.chance(10) {
            Instant::ZERO
        } else {
            self.now
        };
        match self.rng.below(22) {
            0 if self.rng.chance(20) => self.session.connect(now),
            0 | 1 => self.session.start(now),
            2 => {
                let found = if self.rng.chance(3) {
                    Ok(Vec::new())
                } else {
                    Ok(vec![([192, 0, 2, 1], 1).into(); 2])
                };
                if let Some(attempt) = self.attempt() {
                    self.session.handle_resolved(now, attempt, found);
                }
            }
            3 | 4 => {
                if let Some(attempt) = self.attempt() {
                    self.session.handle_opened(now, attempt);
                }
            }
            5 => {
                if let Some(attempt) = self.attempt() {
                    self.session.handle_closed(now, attempt, Cause::Eof);
                }
            }
            6..=8 => {
                self.bytes();
                self.session.handle_input(now, &mut self.input);
            }
            9 => self
                .session
                .handle_written(now, self.rng.below(40) as usize),
            10 => {
                self.now = self.now + Duration::from_millis(self.rng.below(20_000));
                self.session.handle_timeout(self.now);
            }
            11..=13 => {
                let qos = *self.rng.pick(&QOS);
                let publish = message("a", &vec![0; self.rng.below(100) as usize]);
                self.accepted += u64::from(self.session.publish(now, qos, publish).is_ok());
            }
            14 => {
                let filters = vec![("a".try_into().expect("a filter"), QoS::AtLeastOnce.into())];
                let queue = *self.rng.pick(&self.queues);
                self.tokens
                    .extend(self.session.subscribe(now, filters, NONE, queue));
            }
            15 => {
                let filters = vec!["a".try_into().expect("a filter")];
                self.tokens
                    .extend(self.session.unsubscribe(now, filters, NONE));
            }
            16 if !self.tokens.is_empty() => {
                self.session.withdraw(now, *self.rng.pick(&self.tokens))
            }
            17 => {
                let queue = *self.rng.pick(&self.queues);
                self.taken.extend(self.session.poll_message(queue));
            }
            18 if !self.taken.is_empty() => {
                let at = self.rng.below(self.taken.len() as u64) as usize;
                let _ = self.session.ack(now, self.taken.swap_remove(at).ticket);
            }
            19 => match self.rng.below(3) {
                0 => self.session.close_queue(now, *self.rng.pick(&self.queues)),
                _ => self.queues.push(self.session.open_queue()),
            },
            20 if self.rng.chance(50) => {
                let drain = Duration::from_secs(self.rng.below(3));
                self.session
                    .disconnect(now, Disconnect::default(), drain)
                    .expect("a good DISCONNECT");
            }
            _ => self.poll(),
        }
    }

    fn poll(&mut self) {
        self.session.poll_transmit(self.now, &mut self.out);
        if self.rng.chance(3) {
            self.session.handle_written(self.now, self.out.len());
            self.out.clear();
        }
        while let Some(action) = self.session.poll_action() {
            if let Action::Resolve { attempt, .. } | Action::Dial { attempt, .. } = action {
                self.attempts.push(attempt);
            }
        }
        while let Some(event) = self.session.poll_event() {
            self.outcomes += u64::from(matches!(event, Event::Published { .. }));
        }
    }
}

#[test]
fn no_order_of_calls_with_any_bytes_panics_or_loses_an_outcome() {
    for seed in 0..3000 {
        let mut chaos = Chaos::new(seed);
        for _ in 0..150 {
            chaos.step();
        }
        chaos
            .session
            .disconnect(chaos.now, Disconnect::default(), Duration::ZERO)
            .expect("a good DISCONNECT");
        chaos
            .session
            .handle_timeout(chaos.now + Duration::from_secs(10));
        chaos.poll();
        assert!(chaos.session.is_closed(), "seed {seed}");
        assert_eq!(chaos.outcomes, chaos.accepted, "seed {seed}");
        for received in chaos.taken.drain(..) {
            let _ = chaos.session.ack(chaos.now, received.ticket);
        }
    }
}
