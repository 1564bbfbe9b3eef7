//! A crash of the process, with a store that loses its last writes: nothing that was told as stored is lost, and nothing of QoS 2 is
//! doubled. Each test cuts the log at every place that a crash can cut it, or at random ones.

mod pair;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::time::Duration;

use mqtt_session::proto::{QoS, Version};
use mqtt_session::{ConfigBuilder, Durability, Event, Limits, Outcome, Phase, Record, Token};
use mqtt_testkit::{BrokerConfig, Direction, Pieces, Rng};
use pair::store::Store;
use pair::{Network, Pair, VERSIONS, message};

const QOS: [QoS; 2] = [QoS::AtLeastOnce, QoS::ExactlyOnce];

/// An application over several processes, and what it and the server have seen. Messages are numbers that count up.
struct World {
    name: String,
    version: Version,
    limits: Limits,
    pair: Pair,
    store: Store,
    next: u32,
    /// What was accepted by any process and is not known to be lost before it was stored.
    up: BTreeMap<u32, QoS>,
    tokens: BTreeMap<Token, u32>,
    /// Messages that were told as stored.
    stored: BTreeSet<u32>,
    outcomes: BTreeMap<u32, Vec<Outcome>>,
    down: [Vec<u32>; 2],
    /// What the application took, by QoS.
    taken: [Vec<u32>; 2],
    /// Messages of QoS 2 that this process took, with the length of the log before.
    taken_here: Vec<(u32, u16, usize)>,
    /// Those whose identifier the store had when a process died.
    safe: BTreeSet<u32>,
    seen: usize,
}

impl World {
    fn new(name: String, version: Version, limits: Limits, broker: BrokerConfig) -> Self {
        let mut world = Self {
            name,
            version,
            limits,
            pair: Pair::with_broker(config(version, limits), broker),
            store: Store::default(),
            next: 0,
            up: BTreeMap::new(),
            tokens: BTreeMap::new(),
            stored: BTreeSet::new(),
            outcomes: BTreeMap::new(),
            down: Default::default(),
            taken: Default::default(),
            taken_here: Vec::new(),
            safe: BTreeSet::new(),
            seen: 0,
        };
        world.begin();
        world
    }

    /// What the application does when its process begins.
    fn begin(&mut self) {
        let now = self.pair.now();
        self.pair.session.start(now);
        for qos in QOS {
            self.pair.subscribe(&format!("down/{}", qos.as_u8()), qos);
        }
    }

    fn publish(&mut self, qos: QoS) {
        self.next += 1;
        let topic = format!("up/{}", qos.as_u8());
        let publish = message(&topic, &self.next.to_be_bytes());
        if let Ok(token) = self.pair.session.publish(self.pair.now(), qos, publish) {
            self.up.insert(self.next, qos);
            self.tokens.insert(token, self.next);
        }
    }

    /// Nothing where the client has not subscribed yet.
    fn publish_to_client(&mut self, qos: QoS) {
        let session = self.pair.broker.session("client");
        if session.is_none_or(|session| session.subscriptions.len() < QOS.len()) {
            return;
        }
        self.next += 1;
        let publish = message(&format!("down/{}", qos.as_u8()), &self.next.to_be_bytes());
        let now = self.pair.clock.now();
        self.pair.broker.publish(now, &publish, qos);
        self.down[usize::from(qos.as_u8()) - 1].push(self.next);
    }

    /// Takes the next message and is done with it.
    fn take(&mut self) -> bool {
        let Some(received) = self.pair.take() else {
            return false;
        };
        let n = number(received.publish.payload());
        let qos = received.publish.qos();
        if let (QoS::ExactlyOnce, Some(id)) = (qos, received.publish.packet_id()) {
            assert!(
                !self.safe.contains(&n),
                "{n} came again though it was stored\n{}",
                self.report()
            );
            self.store.take(&mut self.pair.session);
            self.taken_here.push((n, id.get(), self.store.len().0));
        }
        self.taken[usize::from(qos.as_u8()) - 1].push(n);
        let _ = self.pair.session.ack(self.pair.now(), received.ticket);
        true
    }

    fn run(&mut self) {
        self.pair.run();
        self.store.take(&mut self.pair.session);
        for event in &self.pair.events[self.seen..] {
            match event {
                Event::Published { token, outcome } => {
                    let n = self.tokens[token];
                    self.outcomes.entry(n).or_default().push(*outcome);
                }
                Event::Stored { token } => {
                    self.stored.insert(self.tokens[token]);
                }
                _ => {}
            }
        }
        self.seen = self.pair.events.len();
    }

    fn sync(&mut self, count: usize) -> bool {
        let any = self.store.sync(&mut self.pair, count);
        self.run();
        any
    }

    fn compact(&mut self) {
        self.run();
        self.note_what_is_safe(self.store.records().len());
        self.store.compact(&mut self.pair);
        self.run();
    }

    /// Messages of QoS 2 whose identifiers are among the first so many records: not to come again.
    fn note_what_is_safe(&mut self, keep: usize) {
        let records = self.store.records();
        for (n, id, at) in self.taken_here.drain(..) {
            let recorded =
                |record: &Record| matches!(record, Record::Recorded { id: i } if i.get() == id);
            if records.iter().take(keep).skip(at).any(recorded) {
                self.safe.insert(n);
            }
        }
    }

    /// The process dies, and the store has the first `keep` records; another process goes on.
    fn crash(&mut self, keep: usize) {
        self.run();
        self.note_what_is_safe(keep);
        self.store
            .crash(&mut self.pair, config(self.version, self.limits), keep);
        let restored: BTreeSet<_> = self
            .pair
            .session
            .restored()
            .map(|(token, _)| self.tokens[&token])
            .collect();
        // What has no outcome is there, or was never told as stored; then the server has not seen it either.
        let received: BTreeSet<_> = self.received().into_iter().map(|(_, n)| n).collect();
        for n in self.up.keys().copied().collect::<Vec<_>>() {
            if !restored.contains(&n) && !self.outcomes.contains_key(&n) {
                assert!(!self.stored.contains(&n), "{n} is lost\n{}", self.report());
                assert!(!received.contains(&n), "{n} was sent\n{}", self.report());
                self.up.remove(&n);
            }
        }
        self.tokens.retain(|_, n| restored.contains(n));
        self.begin();
        self.run();
    }

    fn received(&self) -> Vec<(QoS, u32)> {
        let received = self.pair.broker.received().iter();
        received
            .map(|received| (received.qos, number(received.message.payload())))
            .collect()
    }

    /// All faults end, and everything that waits is dealt with.
    fn heal(&mut self) {
        self.pair.network = Network::Up;
        if let Some(wire) = &mut self.pair.wire {
            wire.link.cut();
        }
        for _ in 0..400 {
            self.pair.run_for(Duration::from_secs(1));
            while self.sync(usize::MAX) || self.take() {}
            let all = self.up.keys().all(|n| self.outcomes.contains_key(n));
            let down = (0..2).all(|at| self.down[at].iter().all(|n| self.taken[at].contains(n)));
            if self.pair.session.phase() == Phase::Connected && all && down {
                break;
            }
        }
        for _ in 0..5 {
            self.pair.run_for(Duration::from_secs(1));
            while self.sync(usize::MAX) || self.take() {}
        }
    }

    fn report(&self) -> String {
        format!(
            "{}\nrecords {:#?}\nevents {:?}\n{}",
            self.name,
            self.store.records(),
            self.pair.events,
            self.pair.broker.ladder()
        )
    }

    fn check(&self) {
        self.check_outcomes();
        let received = self.received();
        for (qos, at) in [(QoS::AtLeastOnce, 0), (QoS::ExactlyOnce, 1)] {
            let of_qos = received.iter().filter(|(q, _)| *q == qos).map(|(_, n)| *n);
            let of_qos: Vec<_> = of_qos.collect();
            let up: Vec<_> = self
                .up
                .iter()
                .filter(|(_, q)| **q == qos)
                .map(|(n, _)| *n)
                .collect();
            let sent = if qos == QoS::ExactlyOnce {
                of_qos
            } else {
                firsts(&of_qos)
            };
            assert_eq!(sent, up, "{qos} to the server\n{}", self.report());
            assert_eq!(
                firsts(&self.taken[at]),
                self.down[at],
                "{qos} from the server\n{}",
                self.report()
            );
        }
    }

    /// What holds also where the server has forgotten the session.
    fn check_outcomes(&self) {
        let violations = self.pair.broker.violations();
        assert!(violations.is_empty(), "{violations:?}\n{}", self.report());
        let received: BTreeSet<_> = self.received().into_iter().map(|(_, n)| n).collect();
        for n in self.up.keys() {
            let good = self.outcomes.get(n).is_some_and(|outcomes| {
                let acknowledged =
                    |outcome: &Outcome| matches!(outcome, Outcome::Acknowledged { .. });
                outcomes.iter().all(acknowledged)
            });
            assert!(good, "{n}: {:?}\n{}", self.outcomes.get(n), self.report());
            assert!(received.contains(n), "{n}\n{}", self.report());
        }
        assert_eq!(self.pair.session.restored().count(), 0);
    }
}

fn config(version: Version, limits: Limits) -> ConfigBuilder {
    pair::config(version)
        .clean_start(version.is_v5())
        .durability(Durability::WriteAhead)
        .limits(limits)
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

/// Work in both directions, during which the store keeps one record after the other. Ends after so many of them; `None` where there are not
/// so many.
fn script(name: String, version: Version, records: usize) -> Option<World> {
    let mut world = World::new(name, version, Limits::default(), BrokerConfig::default());
    let mut kept = 0;
    let mut keep = |world: &mut World, ahead: usize| {
        world.run();
        // Records come out one by one, as packets come that wait for them.
        while world.store.len().0 - world.store.len().1 > ahead {
            if kept == records {
                return false;
            }
            kept += 1;
            world.sync(1);
        }
        true
    };
    for round in 0..3 {
        for qos in [QoS::ExactlyOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            world.publish(qos);
            world.publish_to_client(qos);
        }
        // At times the store is behind by a few records.
        let ahead = if round == 1 { 3 } else { 0 };
        for _ in 0..8 {
            if !keep(&mut world, ahead) {
                return Some(world);
            }
            world.take();
            if !keep(&mut world, ahead) {
                return Some(world);
            }
        }
    }
    None
}

#[test]
fn a_crash_at_every_record_and_a_log_cut_at_every_place_lose_and_double_nothing() {
    for version in VERSIONS {
        let mut crashes = 0;
        for records in 0.. {
            let Some(world) = script(String::new(), version, records) else {
                break;
            };
            let (all, safe) = world.store.len();
            for keep in safe..=all {
                let name = format!("{version}: {records} records stored, {keep} of {all} kept");
                let mut world = script(name, version, records).expect("as before");
                world.crash(keep);
                world.heal();
                world.check();
                crashes += 1;
            }
        }
        assert!(crashes > 100, "{version}: {crashes} crashes");
    }
}

/// A random life. The same seed gives the same.
struct Life {
    rng: Rng,
    world: World,
}

impl Life {
    fn new(seed: u64, versions: &[Version]) -> Self {
        let mut rng = Rng::new(seed);
        let version = *rng.pick(versions);
        let mut limits = Limits::default();
        limits.receive_maximum = NonZeroU16::new(rng.range(1, 20) as u16).expect("not 0");
        limits.max_in_flight = NonZeroU16::new(rng.range(1, 30) as u16).expect("not 0");
        limits.max_in_flight_v3 = limits.max_in_flight;
        limits.outbox_bytes = rng.range(1, 400) as usize;
        if rng.chance(3) {
            limits.unstored_records = rng.range(1, 20) as usize;
        }
        if rng.chance(4) {
            limits.unstored_bytes = rng.range(1, 60) as usize;
        }
        let broker = BrokerConfig {
            receive_maximum: rng.range(1, 20) as u16,
            ..BrokerConfig::default()
        };
        let world = World::new(format!("seed {seed}"), version, limits, broker);
        Self { rng, world }
    }

    fn step(&mut self, forgets: bool) {
        let (rng, world) = (&mut self.rng, &mut self.world);
        match rng.below(if forgets { 25 } else { 24 }) {
            0..=4 => world.publish(*rng.pick(&QOS)),
            5..=8 => world.publish_to_client(*rng.pick(&QOS)),
            9..=11 => {
                world.take();
            }
            12..=16 => {
                let count = rng.range(1, 6) as usize;
                world.sync(count);
            }
            17..=18 => {
                let time = Duration::from_millis(rng.below(300));
                world.pair.run_for(time);
                world.run();
            }
            19..=20 => self.trouble(),
            21..=22 => {
                world.run();
                let (all, mut safe) = world.store.len();
                if forgets {
                    // A server that has begun a session, of which the client has not heard or does not know any more, says that there is
                    // one, and PUBREL for a message of the one before is a breach to this broker.
                    let began = |record: &Record| matches!(record, Record::SessionBegan);
                    let began = world.store.records().iter().rposition(began);
                    safe = safe.max(began.map_or(0, |at| at + 1));
                }
                let keep = rng.range(safe as u64, all as u64) as usize;
                world.crash(keep);
            }
            23 => world.compact(),
            _ => {
                let now = world.pair.clock.now();
                world.pair.broker.restart(now, false);
            }
        }
        if self.rng.chance(2) {
            self.world.run();
        }
    }

    /// Something happens to the link.
    fn trouble(&mut self) {
        let rng = &mut self.rng;
        let direction = *rng.pick(&Direction::BOTH);
        let Some(wire) = &mut self.world.pair.wire else {
            return;
        };
        match rng.below(5) {
            0 => wire.link.cut(),
            1 => wire.link.cut_after(direction, rng.below(60)),
            2 => wire.link.stall(direction, rng.chance(2)),
            3 => wire
                .link
                .set_delay(direction, Duration::from_millis(rng.below(200))),
            _ => wire
                .link
                .set_pieces(direction, Pieces::Random(rng.range(1, 20) as usize)),
        }
    }
}

#[test]
fn random_lives_with_many_crashes_and_faults_of_the_link_lose_and_double_nothing() {
    for seed in 0..150 {
        let mut life = Life::new(seed, &VERSIONS);
        for _ in 0..150 {
            life.step(false);
        }
        life.world.heal();
        life.world.check();
    }
}

#[test]
fn every_stored_message_reaches_the_server_though_it_forgets_its_session_now_and_then() {
    for seed in 0..150 {
        // A server of 3.1 can't tell that it has forgotten.
        let mut life = Life::new(seed, &[Version::V3_1_1, Version::V5]);
        for _ in 0..150 {
            life.step(true);
        }
        life.world.heal();
        life.world.check_outcomes();
    }
}
