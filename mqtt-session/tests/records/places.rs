//! Processes after each other whose servers move, stand in for each other, and are listed differently: which of them is asked for the session.

use std::collections::BTreeSet;

use super::*;

const SERVERS: u8 = 7;
const CLUSTERS: u8 = 3;

fn endpoint(number: u8) -> Endpoint {
    Endpoint::new(format!("192.0.2.{number}"), 1883)
}

fn number(endpoint: &Endpoint) -> u8 {
    let number = endpoint.host().rsplit('.').next();
    let number = number.and_then(|number| number.parse().ok());
    number.expect("an address")
}

/// The cluster of which this server is a node: those of one share their sessions.
fn cluster(server: u8) -> u8 {
    server % CLUSTERS
}

struct World {
    rng: Rng,
    /// The servers of the configuration, and whether each is said to share sessions with the one before.
    list: Vec<(u8, bool)>,
    sharing: bool,
    allowed: Vec<u8>,
    clean_start: bool,
    /// Which clusters have a session of ours.
    kept: [bool; CLUSTERS as usize],
    log: Vec<Record>,
    /// Where the session is that the first so many records tell of.
    homes: Vec<(usize, u8)>,
    /// Where this process was last.
    connected: Option<u8>,
    /// The list is not what it was.
    changed: bool,
    trace: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let (clean_start, sharing) = (rng.chance(2), rng.chance(2));
        let mut world = Self {
            rng,
            list: Vec::new(),
            sharing,
            allowed: (1..=SERVERS).collect(),
            clean_start,
            kept: [false; CLUSTERS as usize],
            log: Vec::new(),
            homes: Vec::new(),
            connected: None,
            changed: false,
            trace: vec![format!("seed {seed}")],
        };
        world.configure();
        world
    }

    /// Any list, which says of no two servers that they share sessions unless they do.
    fn configure(&mut self) {
        let len = self.rng.below(4) + 1;
        self.list.clear();
        for _ in 0..len {
            let mut server = self.rng.below(u64::from(SERVERS)) as u8 + 1;
            while self.list.iter().any(|(other, _)| *other == server) {
                server = server % SERVERS + 1;
            }
            self.push(server);
        }
    }

    fn push(&mut self, server: u8) {
        let shares = self
            .list
            .last()
            .is_some_and(|(last, _)| cluster(*last) == cluster(server));
        let shares = shares && self.rng.below(4) > 0;
        self.list.push((server, shares));
    }

    /// What an administrator does between two processes.
    fn reconfigure(&mut self) -> bool {
        match self.rng.below(8) {
            0 => {
                let mut order: Vec<_> = self.list.iter().map(|(server, _)| *server).collect();
                let by = self.rng.below(order.len() as u64) as usize;
                order.rotate_left(by);
                if self.rng.chance(2) {
                    order.pop();
                }
                if order.is_empty() || self.rng.chance(3) {
                    let more = self.rng.below(u64::from(SERVERS)) as u8 + 1;
                    if !order.contains(&more) {
                        order.push(more);
                    }
                }
                self.list.clear();
                order.into_iter().for_each(|server| self.push(server));
            }
            1 => self.configure(),
            // To say later that they share what they did not would be wrong of redirects that were followed.
            2 => self.sharing = false,
            3 => self.allowed = (1..=SERVERS).filter(|_| self.rng.below(4) > 0).collect(),
            _ => return false,
        }
        true
    }

    fn servers(&self) -> Servers {
        let [(first, _), others @ ..] = &self.list[..] else {
            panic!("an empty list")
        };
        others
            .iter()
            .fold(Servers::new(endpoint(*first)), |servers, (next, shares)| {
                if *shares {
                    servers.or_sharing(endpoint(*next))
                } else {
                    servers.or(endpoint(*next))
                }
            })
    }

    fn config(&self) -> ConfigBuilder {
        let hosts = self
            .allowed
            .iter()
            .map(|number| format!("192.0.2.{number}"));
        let mut redirects = Redirects::to(hosts);
        if self.sharing {
            redirects = redirects.sharing_sessions();
        }
        ahead()
            .clean_start(self.clean_start)
            .session_expiry(Duration::from_secs(3600))
            .redirects(redirects)
    }

    /// Where the log has the session.
    fn home(&self) -> Option<u8> {
        let mut homes = self.homes.iter().rev();
        let told = homes.find(|(len, _)| *len <= self.log.len());
        told.map(|(_, server)| *server)
    }

    /// Whether all servers by which the session is known are in the list, and those to which they moved only where the list is what it was.
    fn lists_all(&self) -> bool {
        let identities = self.log.iter().filter_map(|record| match record {
            Record::Identity(identity) => Some(identity),
            _ => None,
        });
        let identity = identities.last().expect("the first record is one");
        let lists = |name: &str| {
            let mut list = self.list.iter();
            list.any(|(server, _)| name == endpoint(*server).to_string())
        };
        let mut moved = identity.moved.iter();
        lists(&identity.group)
            && moved.all(|moved| lists(&moved.from) && !(self.changed && lists(&moved.to)))
    }

    /// The next process, unless the configuration is taken for that of another session.
    fn start(&mut self) -> Option<Raw> {
        self.connected = None;
        self.trace.push(format!(
            "process {:?} sharing {} allowed {:?} home {:?}",
            self.list,
            self.sharing,
            self.allowed,
            self.home()
        ));
        let mut raw = Raw::of(self.config(), self.servers());
        if !self.log.is_empty() {
            let built = self.config().build().expect("a good configuration");
            raw.session = match Session::restore(built, self.servers(), 7, CLOCK, self.log.clone())
            {
                Ok(session) => session,
                Err(RestoreError::Mismatch {
                    field: "server group",
                    ..
                }) => return None,
                Err(error) => panic!("{error}\n{:#?}", self.trace),
            };
        }
        raw.session.start(raw.now);
        raw.poll();
        Some(raw)
    }

    fn dial(raw: &mut Raw) -> u8 {
        if raw.dials().is_empty() {
            raw.wait_for_dial();
        }
        raw.actions.clear();
        number(raw.session.server())
    }

    /// Whether it is asked for a clean start.
    fn connect(&self, raw: &mut Raw, server: u8) -> bool {
        let Packet::Connect(connect) = raw.open() else {
            panic!("no CONNECT")
        };
        if let Some(home) = self.home() {
            let shares = cluster(home) == cluster(server);
            let trace = &self.trace;
            assert!(shares || connect.clean_start, "at {server}: {trace:#?}");
            let was_there = self.connected == Some(server);
            assert!(
                !was_there || !connect.clean_start,
                "at {server}: {trace:#?}"
            );
        }
        connect.clean_start
    }

    /// One server or two, which share sessions with this one where they are said to.
    fn reference(&mut self, from: u8) -> Properties {
        let mut names = Vec::new();
        while names.len() < 2 {
            let to = self.rng.below(u64::from(SERVERS)) as u8 + 1;
            if !self.sharing || cluster(to) == cluster(from) {
                names.push(endpoint(to).to_string());
                if self.rng.below(3) > 0 {
                    break;
                }
            }
        }
        let names = names.join(" ");
        self.trace.push(format!("  {from} names {names}"));
        Properties::builder()
            .server_reference(&names)
            .build()
            .expect("good properties")
    }

    fn away(&mut self) -> ReasonCode {
        let reason = *self
            .rng
            .pick(&[ReasonCode::SERVER_MOVED, ReasonCode::USE_ANOTHER_SERVER]);
        self.trace.push(format!("  {reason}"));
        reason
    }

    fn turn(&mut self, raw: &mut Raw) {
        let server = Self::dial(raw);
        let what = self.rng.below(10);
        if what == 0 {
            self.trace.push(format!("  {server} is down"));
            raw.closed(Cause::ConnectionRefused);
            return;
        }
        let clean = self.connect(raw, server);
        match what {
            1 => {
                self.trace.push(format!("  {server} is busy"));
                raw.closed(Cause::Eof);
            }
            2..=5 => {
                let (reason, properties) = (self.away(), self.reference(server));
                let session_present = false;
                raw.feed(&Packet::ConnAck(ConnAck {
                    session_present,
                    reason,
                    properties,
                }));
                raw.hang_up();
            }
            _ => {
                self.accept(raw, server, clean);
                if self.rng.chance(3) {
                    raw.actions.clear();
                    let (reason, properties) = (self.away(), self.reference(server));
                    raw.feed(&Packet::Disconnect(Disconnect { reason, properties }));
                    raw.hang_up();
                } else {
                    raw.closed(Cause::Eof);
                }
            }
        }
    }

    fn accept(&mut self, raw: &mut Raw, server: u8, clean: bool) {
        let kept = &mut self.kept[usize::from(cluster(server))];
        let present = core::mem::replace(kept, true) && !clean;
        raw.accept(present, NONE);
        let records = store(raw);
        let told = format!("  {server} accepts, {clean} {present}: {records:?}");
        self.trace.push(told);
        let group = |record: &Record| match record {
            Record::Identity(identity) => Some(identity.group.clone()),
            _ => None,
        };
        // From the first record on that tells of it.
        let mut known = self.log.iter().rev().find_map(group);
        let tells = |record: &Record| {
            let was = known.clone();
            known = group(record).or(known.take());
            matches!(record, Record::SessionBegan) || was.is_some() && was != known
        };
        let first = records.iter().position(tells);
        let first = first.map_or(records.len(), |index| index + 1);
        self.homes.push((self.log.len() + first, server));
        self.connected = Some(server);
        self.log.extend(records);
    }

    fn take_snapshot(&mut self, raw: &Raw) {
        let home = self.home();
        let snapshot = raw.session.snapshot().expect("it is recorded");
        self.log = snapshot.records;
        self.homes = home.into_iter().map(|at| (self.log.len(), at)).collect();
        self.trace.push(format!("snapshot {:?}", self.log));
    }

    /// A crash takes what was not stored.
    fn lose_the_end(&mut self) {
        let lost = self.rng.below(3) as usize;
        let len = self.log.len().saturating_sub(lost).max(1);
        self.log.truncate(len);
        self.homes.retain(|(from, _)| *from <= len);
        self.trace.push(format!("{lost} records are lost"));
    }

    /// A process that is restored asks those for the session that this one would ask.
    fn go_on_and_restore(&mut self, raw: &mut Raw) {
        let goes_on = self.round(raw);
        let Some(mut next) = self.start() else {
            panic!("refused: {:#?}", self.trace)
        };
        let restored = self.round(&mut next);
        // Where one has moved that is not in the list, it is asked where it was.
        assert!(
            !self.lists_all() || goes_on.is_subset(&restored),
            "{goes_on:?} {restored:?}: {:#?}",
            self.trace
        );
    }

    /// Which servers are asked for the session, none of which answers.
    fn round(&self, raw: &mut Raw) -> BTreeSet<u8> {
        let mut resuming = BTreeSet::new();
        // What is left of the present round, and a whole one.
        for turn in 0..3 * self.list.len() + 8 {
            let server = Self::dial(raw);
            if !self.connect(raw, server) && turn >= self.list.len() + 4 {
                resuming.insert(server);
            }
            raw.closed(Cause::Eof);
        }
        resuming
    }
}

#[test]
fn whoever_shares_the_session_is_asked_for_it_and_nobody_else() {
    for seed in 0..2_000 {
        let mut world = World::new(seed);
        for _ in 0..4 {
            let Some(mut raw) = world.start() else {
                // Refused rather than wrong.
                break;
            };
            for _ in 0..world.rng.below(12) {
                world.turn(&mut raw);
            }
            let changed = world.reconfigure();
            world.changed |= changed;
            if world.log.is_empty() {
                continue;
            }
            if world.rng.chance(3) {
                world.take_snapshot(&raw);
            } else if world.rng.chance(2) {
                world.lose_the_end();
                continue;
            }
            if !changed && !world.homes.is_empty() {
                world.go_on_and_restore(&mut raw);
            }
        }
    }
}
