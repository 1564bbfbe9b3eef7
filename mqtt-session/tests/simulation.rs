//! Random work in both directions over a link with random faults: what must hold whatever happens. A seed that fails is printed
//! with the ladder of all packets; the same seed fails again in the same way.

mod pair;

use std::num::NonZeroU16;
use std::time::Duration;

use mqtt_session::proto::{QoS, Version};
use mqtt_session::{Event, InboxFull, Limits, Outcome, Phase, Received, Token};
use mqtt_testkit::{BrokerConfig, Direction, Pieces, Rng};
use pair::{Network, Pair, QOS, VERSIONS, message};

/// What was sent in one direction, by QoS, as numbers that count up.
type Sent = [Vec<u32>; 3];

struct Simulation {
    seed: u64,
    version: Version,
    rng: Rng,
    pair: Pair,
    next: u32,
    up: Sent,
    down: Sent,
    tokens: Vec<(Token, QoS, u32)>,
    /// What the application has received, by QoS.
    taken: Sent,
    unacknowledged: Vec<Received>,
    /// The broker has lost the session at some time.
    forgot: bool,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let version = VERSIONS[rng.below(3) as usize];
        let mut limits = Limits::default();
        limits.receive_maximum = NonZeroU16::new(rng.range(1, 20) as u16).expect("not 0");
        limits.max_in_flight = NonZeroU16::new(rng.range(1, 30) as u16).expect("not 0");
        limits.max_in_flight_v3 = limits.max_in_flight;
        limits.outbox_bytes = rng.range(1, 400) as usize;
        if rng.chance(3) {
            limits.inbox_bytes = rng.range(60, 300) as usize;
        }
        let inbox_full = *rng.pick(&[InboxFull::Pause, InboxFull::DropOldest]);
        let broker = BrokerConfig {
            receive_maximum: rng.range(1, 20) as u16,
            ..BrokerConfig::default()
        };
        let config = pair::config(version)
            .clean_start(false)
            .keep_alive(Duration::from_secs(20))
            .limits(limits)
            .inbox_full(inbox_full);
        let mut pair = Pair::with_broker(config, broker);
        pair.connect();
        for qos in QOS {
            pair.subscribe(&format!("down/{}", qos.as_u8()), qos);
        }
        pair.run();
        let (up, down, taken) = Default::default();
        let (tokens, unacknowledged) = (Vec::new(), Vec::new());
        Self {
            seed,
            version,
            rng,
            pair,
            next: 0,
            up,
            down,
            tokens,
            taken,
            unacknowledged,
            forgot: false,
        }
    }

    fn publish(&mut self) {
        let qos = *self.rng.pick(&QOS);
        let n = self.number();
        let token = self
            .pair
            .publish(&format!("up/{}", qos.as_u8()), qos, &n.to_be_bytes());
        self.tokens.push((token, qos, n));
        self.up[usize::from(qos.as_u8())].push(n);
    }

    fn publish_to_client(&mut self) {
        let qos = *self.rng.pick(&QOS);
        let n = self.number();
        let publish = message(&format!("down/{}", qos.as_u8()), &n.to_be_bytes());
        self.pair
            .broker
            .publish(self.pair.clock.now(), &publish, qos);
        self.down[usize::from(qos.as_u8())].push(n);
    }

    const fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn take(&mut self) {
        if let Some(received) = self.pair.take() {
            let n = number(received.publish.payload());
            self.taken[usize::from(received.publish.qos().as_u8())].push(n);
            self.unacknowledged.push(received);
        }
    }

    fn ack(&mut self) {
        if !self.unacknowledged.is_empty() {
            let which = self.rng.below(self.unacknowledged.len() as u64) as usize;
            let received = self.unacknowledged.swap_remove(which);
            let result = self.pair.session.ack(self.pair.now(), received.ticket);
            assert!(
                result.is_ok() || self.forgot,
                "a ticket is stale\n{}",
                self.report()
            );
        }
    }

    fn step(&mut self, forgets: bool) {
        match self.rng.below(if forgets { 21 } else { 20 }) {
            0..=4 => self.publish(),
            5..=8 => self.publish_to_client(),
            9..=10 => self.take(),
            11..=12 => self.ack(),
            13..=15 => {
                let time = Duration::from_millis(self.rng.below(300));
                self.pair.run_for(time);
            }
            16..=18 => self.trouble(),
            19 => {
                self.pair.network = if self.rng.chance(4) {
                    Network::Refuses
                } else {
                    Network::Up
                };
            }
            _ => {
                self.forgot = true;
                self.pair.broker.restart(self.pair.clock.now(), false);
            }
        }
        if self.rng.chance(2) {
            self.pair.run();
        }
    }

    /// Something happens to the link.
    fn trouble(&mut self) {
        let rng = &mut self.rng;
        let direction = *rng.pick(&Direction::BOTH);
        let Some(wire) = &mut self.pair.wire else {
            return;
        };
        match rng.below(7) {
            0 => wire.link.cut(),
            1 | 2 => wire.link.cut_after(direction, rng.below(60)),
            3 => wire.link.stall(direction, rng.chance(2)),
            4 => wire
                .link
                .set_delay(direction, Duration::from_millis(rng.below(200))),
            5 => wire
                .link
                .set_pieces(direction, Pieces::Random(rng.range(1, 20) as usize)),
            _ => wire
                .link
                .set_capacity(Direction::ToBroker, rng.range(1, 100) as usize),
        }
    }

    /// All faults end, and everything that waits is dealt with.
    fn heal(&mut self) {
        self.pair.network = Network::Up;
        if let Some(wire) = &mut self.pair.wire {
            for direction in Direction::BOTH {
                wire.link.stall(direction, false);
            }
            wire.link.set_capacity(Direction::ToBroker, usize::MAX);
        }
        // A narrow inbox takes a few messages at a time, with the longest delays between connections.
        let mut quiet = 0;
        for _ in 0..4000 {
            if quiet > 200 {
                break;
            }
            self.pair.run_for(Duration::from_secs(1));
            while !self.unacknowledged.is_empty() {
                self.ack();
            }
            for _ in 0..30 {
                self.take();
            }
            let open = self.pair.session.phase() == Phase::Connected;
            quiet = if self.unacknowledged.is_empty() && open {
                quiet + 1
            } else {
                0
            };
        }
        self.pair.run();
    }

    fn report(&self) -> String {
        format!(
            "seed {} {}\nevents {:?}\nstats {:?}\n{}",
            self.seed,
            self.version,
            self.pair.events,
            self.pair.session.stats(),
            self.pair.broker.ladder()
        )
    }

    /// What holds also where the server has forgotten the session.
    fn check(&self) {
        assert!(
            self.pair.broker.violations().is_empty(),
            "{:?}\n{}",
            self.pair.broker.violations(),
            self.report()
        );
        for (token, qos, n) in &self.tokens {
            let outcome = self.pair.outcome(*token);
            let good = match (qos, outcome) {
                (QoS::AtMostOnce, Some(Outcome::Written | Outcome::ConnectionLost)) => true,
                (
                    QoS::AtLeastOnce | QoS::ExactlyOnce,
                    Some(Outcome::Acknowledged {
                        republished,
                        completed,
                        ..
                    }),
                ) => self.forgot || (!republished && completed),
                _ => false,
            };
            assert!(good, "{qos} {n} {token:?}: {outcome:?}\n{}", self.report());
        }
        let outcomes = self
            .pair
            .events
            .iter()
            .filter(|event| matches!(event, Event::Published { .. }))
            .count();
        assert_eq!(outcomes, self.tokens.len(), "{}", self.report());
        assert_eq!(
            self.pair.session.publish_capacity().bytes,
            Limits::default().outgoing_bytes,
            "{}",
            self.report()
        );
    }

    /// What holds as long as the session does.
    fn check_session(&self) {
        let mut accepted: Sent = Default::default();
        for received in self.pair.broker.received() {
            accepted[usize::from(received.qos.as_u8())].push(number(received.message.payload()));
        }
        for (what, sent, got) in [
            ("up", &self.up, &accepted),
            ("down", &self.down, &self.taken),
        ] {
            assert!(
                is_subsequence(&got[0], &sent[0]),
                "{what} QoS 0: {:?} of {:?}\n{}",
                got[0],
                sent[0],
                self.report()
            );
            assert_eq!(firsts(&got[1]), sent[1], "{what} QoS 1\n{}", self.report());
            assert_eq!(got[2], sent[2], "{what} QoS 2\n{}", self.report());
        }
    }
}

fn number(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload.try_into().expect("a number"))
}

/// Without those that came before.
fn firsts(numbers: &[u32]) -> Vec<u32> {
    let mut firsts = Vec::new();
    for n in numbers {
        if !firsts.contains(n) {
            firsts.push(*n);
        }
    }
    firsts
}

fn is_subsequence(part: &[u32], whole: &[u32]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|n| whole.any(|w| w == n))
}

#[test]
fn nothing_is_lost_doubled_or_reordered_while_the_session_lasts_whatever_the_link_does() {
    for seed in 0..600 {
        let mut simulation = Simulation::new(seed);
        for _ in 0..150 {
            simulation.step(false);
        }
        simulation.heal();
        simulation.check();
        simulation.check_session();
    }
}

#[test]
fn every_message_has_one_outcome_and_subscriptions_come_back_when_the_server_forgets_the_session() {
    for seed in 0..600 {
        let mut simulation = Simulation::new(seed);
        for _ in 0..150 {
            simulation.step(true);
        }
        simulation.heal();
        simulation.check();
        // A link without faults that are still to come.
        simulation.pair.cut();
        simulation.pair.run_for(Duration::from_secs(130));
        let before = simulation.taken.iter().map(Vec::len).sum::<usize>();
        for qos in QOS {
            let publish = message(&format!("down/{}", qos.as_u8()), &1u32.to_be_bytes());
            simulation
                .pair
                .broker
                .publish(simulation.pair.clock.now(), &publish, qos);
            simulation.pair.run_for(Duration::from_secs(2));
            simulation.take();
            simulation.ack();
        }
        let after = simulation.taken.iter().map(Vec::len).sum::<usize>();
        assert_eq!(after - before, 3, "{}", simulation.report());
    }
}
