//! Everything together on virtual time.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use mqtt_session::client::Report;
use mqtt_session::proto::Version;
use mqtt_session::{
    Action, Backoff, Config, Durability, Endpoint, InboxFull, Limits, Offline, Poisonous, Record,
    Redirects, Servers, SessionLost, WallClock,
};
use mqtt_testkit::{Broker, BrokerConfig, ConnId, Time};

use crate::app::{App, Filter, PASSING, PASSING_V3, STABLE, qos};
use crate::auth::{Authentication, METHOD};
use crate::case::Setup;
use crate::engine::{Direct, Engine, Handles, Io};
use crate::network::{ClientClock, ELSEWHERE, Network, SECOND};
use crate::store::Store;
use crate::tally::Tally;
use crate::trace::Trace;
use crate::watch::Watch;

/// What a case has shown to be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which check it was.
    pub check: String,
    /// With the values that show it.
    pub text: String,
}

impl Failure {
    pub(crate) fn new(check: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            text: text.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.text)
    }
}

impl std::error::Error for Failure {}

pub(crate) type Checked<T = ()> = Result<T, Failure>;

/// Fails with the name of a check where something does not hold.
macro_rules! ensure {
    ($condition:expr, $check:literal, $($text:tt)*) => {
        if !$condition {
            return Err($crate::world::Failure::new($check, format!($($text)*)));
        }
    };
}
pub(crate) use ensure;

/// The client identifier.
pub(crate) const CLIENT: &str = "client";

/// Rounds of work without time passing, after which it will never end. Some links take one byte in each.
const ROUNDS: usize = 1_000_000;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) version: Version,
    pub(crate) time: Time,
    pub(crate) clock: ClientClock,
    pub(crate) broker: Broker,
    pub(crate) net: Network,
    pub(crate) engine: Engine,
    pub(crate) io: Io,
    pub(crate) app: App,
    pub(crate) trace: Trace,
    pub(crate) tally: Tally,
    pub(crate) faults: u64,
    pub(crate) connections: u64,
    /// The broker's sessions that the client was told of when they began. Where a CONNACK was lost that said so, or a crash came before
    /// that was stored, nobody can tell an old packet identifier from a new one.
    pub(crate) told: BTreeSet<u64>,
    pub(crate) violations: usize,
    pub(crate) received: usize,
    /// Connections over which the broker was made to send what it must not: it can't tell what is the client's fault.
    pub(crate) tampered: BTreeSet<ConnId>,
    lives: u64,
    /// Turns of the driver that did something.
    pub(crate) turns: u64,
    pub(crate) watch: Watch,
    pub(crate) auth: Authentication,
    pub(crate) store: Store,
}

impl World {
    pub(crate) fn new(setup: &Setup, trace: Trace) -> Checked<Self> {
        let broker = Broker::new(BrokerConfig {
            log: trace.is_kept(),
            ..broker_config(setup)
        });
        let version = match setup.version {
            3 => Version::V3_1,
            4 => Version::V3_1_1,
            _ => Version::V5,
        };
        let mut world = Self {
            setup: setup.clone(),
            version,
            time: Time::ZERO,
            clock: ClientClock::default(),
            broker,
            net: Network::new(setup),
            engine: engine(setup, version, 0, None)?,
            io: Io::default(),
            app: App::default(),
            trace,
            tally: Tally::default(),
            faults: 0,
            connections: 0,
            told: BTreeSet::new(),
            violations: 0,
            received: 0,
            tampered: BTreeSet::new(),
            lives: 0,
            turns: 0,
            watch: Watch::default(),
            store: Store::default(),
            auth: Authentication::new(setup.auth.saturating_sub(1)),
        };
        let verifier = world.auth.verifier();
        world.broker.set_authenticator(Box::new(verifier));
        world.app.limited =
            setup.broker_max_packet > 0 || setup.broker_max_qos < 2 || setup.broker_retain == 0;
        world.begin()?;
        Ok(world)
    }

    /// The application begins: it subscribes, and connects.
    pub(crate) fn begin(&mut self) -> Checked {
        let clock = self.wall_clock();
        self.engine.set_wall_clock(clock);
        if self.app.filters.is_empty() {
            self.make_filters();
        }
        for filter in 0..STABLE.len() {
            self.subscribe_to(filter, 0)?;
        }
        let now = self.clock.at(self.time);
        self.engine.connect(now);
        self.run()
    }

    fn make_filters(&mut self) {
        let all = match self.version {
            Version::V5 => &PASSING[..],
            _ => &PASSING[..PASSING_V3],
        };
        let stable = STABLE.iter().map(|(name, qos)| (*name, *qos));
        let passing = all.iter().map(|name| (*name, qos(0)));
        self.app.filters = stable
            .chain(passing)
            .enumerate()
            .map(|(index, (name, qos))| Filter {
                name,
                qos,
                queue: index % self.setup.queues.max(1) as usize,
                ..Filter::default()
            })
            .collect();
    }

    /// A session of what an earlier process has stored.
    pub(crate) fn restore_engine(&mut self, records: Vec<Record>) -> Checked {
        self.lives += 1;
        self.watch_crash();
        let clock = self.wall_clock();
        let made = engine(
            &self.setup,
            self.version,
            self.lives,
            Some((clock, records)),
        )?;
        self.engine = made;
        Ok(())
    }

    /// The session has ended: the application makes another one, and the server knows nothing of the one before.
    pub(crate) fn begin_again(&mut self) -> Checked {
        self.note(|| "the application makes a new session".into());
        self.tally.add(
            crate::tally::Kind::Other,
            "new sessions after the end of one",
        );
        self.lives += 1;
        self.watch_new_session();
        self.broker.restart(self.time, false);
        for wire in &mut self.net.wires {
            wire.link.cut();
        }
        self.io = Io::default();
        self.store = Store::default();
        self.engine = engine(&self.setup, self.version, self.lives, None)?;
        let old = std::mem::take(&mut self.app);
        self.app = App {
            messages: old.messages,
            backlog: old.backlog,
            arrived: old.arrived,
            taken: old.taken,
            denied: old.denied,
            limited: old.limited,
            lost_untold: old.lost_untold,
            scripted: old.scripted,
            nonsense: old.nonsense,
            count: old.count,
            ..App::default()
        };
        self.begin()
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        self.trace.add(self.time, &self.broker, line);
    }

    /// Does everything that can be done without time passing.
    pub(crate) fn run(&mut self) -> Checked {
        for _ in 0..ROUNDS {
            let mut any = self.net.settle(self.time, &mut self.broker, &mut self.io);
            let opened = |report: &&Report| matches!(report, Report::Opened(_));
            self.watch.unanswered += self.io.reports.iter().filter(opened).count() as u64;
            any |= self.net.at_client(self.time, &mut self.io);
            let now = self.clock.at(self.time);
            if self.engine.turn(now, &mut self.io) {
                self.turns += 1;
                any = true;
            }
            if self
                .io
                .actions
                .iter()
                .any(|action| matches!(action, Action::Resolve { .. } | Action::Dial { .. }))
            {
                self.watch_attempt()?;
            }
            any |= self.authenticate();
            any |= self.net.carry_out(self.time, &mut self.io);
            any |= self.net.at_broker(self.time, &mut self.broker);
            any |= self.keep_records()?;
            any |= self.hear()?;
            if !any && !self.engine.has_work() {
                return self.check_step();
            }
        }
        let text = format!("it never comes to rest at {:?}", self.time);
        Err(Failure::new("no wake storm", text))
    }

    /// Steps of an authentication, which happen beside the driver's loop.
    fn authenticate(&mut self) -> bool {
        let before = self.io.actions.len();
        let (time, auth) = (self.time, &mut self.auth);
        self.io.actions.retain(|action| match action {
            Action::Authenticate { attempt, step } => {
                auth.begin(time, *attempt, step);
                false
            }
            _ => true,
        });
        let mut any = self.io.actions.len() != before;
        let now = self.clock.at(self.time);
        while let Some((attempt, answer)) = self.auth.ended(self.time) {
            self.engine.handle_auth(now, attempt, answer);
            any = true;
        }
        any
    }

    /// Lets time pass, doing what falls due on the way.
    pub(crate) fn run_for(&mut self, duration: Duration) -> Checked {
        let end = self.time + duration;
        self.run()?;
        while let Some(next) = self.next_time().filter(|next| *next <= end) {
            self.pass(next)?;
        }
        self.pass(end)
    }

    fn pass(&mut self, to: Time) -> Checked {
        self.time = self.time.max(to);
        if self.broker.next_timeout().is_some_and(|at| at <= self.time) {
            self.broker.timeout(self.time);
        }
        self.run()
    }

    /// When something happens by itself.
    fn next_time(&self) -> Option<Time> {
        let deadline = self.io.deadline.map(|at| self.clock.time_of(at));
        let network = self.net.next_time(&self.broker, self.io.wants_read);
        let broker = self.broker.next_timeout();
        let auth = self.auth.next_time();
        let store = self.store.next_time();
        let times = [deadline, network, broker, auth, store]
            .into_iter()
            .flatten();
        times.min().map(|at| at.max(self.time))
    }
}

pub(crate) fn broker_config(setup: &Setup) -> BrokerConfig {
    BrokerConfig {
        receive_maximum: setup.broker_receive_maximum as u16,
        maximum_packet_size: (setup.broker_max_packet > 0)
            .then_some(setup.broker_max_packet as u32),
        maximum_qos: qos(setup.broker_max_qos),
        retain_available: setup.broker_retain > 0,
        topic_alias_maximum: setup.broker_aliases as u16,
        wildcards_available: setup.broker_wildcards > 0,
        shared_subscriptions_available: setup.broker_shared > 0,
        subscription_identifiers_available: setup.broker_identifiers > 0,
        server_keep_alive: u16::try_from(setup.broker_keep_alive).ok(),
        may_give_up: setup.poisonous > 0 || setup.time_to_live > 0,
        send_topic_aliases: setup.broker_sends_aliases > 0,
        copy_per_subscription: setup.broker_copies > 0,
        ..BrokerConfig::default()
    }
}

fn engine(
    setup: &Setup,
    version: Version,
    life: u64,
    records: Option<(WallClock, Vec<Record>)>,
) -> Checked<Engine> {
    let mut limits = Limits::default();
    let small = |value: u64| {
        let value = u16::try_from(value).unwrap_or(u16::MAX).max(1);
        core::num::NonZeroU16::new(value).unwrap_or(core::num::NonZeroU16::MIN)
    };
    limits.receive_maximum = small(setup.receive_maximum);
    limits.max_packet_size = setup.max_packet_size as u32;
    limits.topic_alias_maximum = setup.topic_alias_maximum as u16;
    limits.topic_aliases = setup.topic_aliases as u16;
    limits.inbox_bytes = setup.inbox_bytes as usize;
    limits.max_in_flight = small(setup.max_in_flight);
    limits.max_in_flight_v3 = small(setup.max_in_flight);
    limits.max_queued = setup.max_queued as usize;
    limits.outgoing_bytes = setup.outgoing_bytes as usize;
    limits.outbox_bytes = setup.outbox_bytes as usize;
    limits.max_requests = setup.max_requests as usize;
    let backoff = Backoff {
        first: Duration::from_millis(setup.backoff_first),
        longest: Duration::from_millis(setup.backoff_longest),
        stable_after: Duration::from_millis(setup.stable_after),
        ..Backoff::default()
    };
    let mut config = Config::builder(CLIENT)
        .version(version)
        .clean_start(setup.clean_start > 0)
        .keep_alive(Duration::from_secs(setup.keep_alive))
        .limits(limits)
        .backoff(backoff)
        .session_lost(match setup.session_lost {
            0 => SessionLost::Resend,
            _ => SessionLost::Fail,
        })
        .poisonous(match setup.poisonous {
            0 => Poisonous::Keep,
            _ => Poisonous::Fail,
        })
        .redirects(match setup.redirects {
            0 => Redirects::refuse(),
            1 => Redirects::to([ELSEWHERE]).sharing_sessions(),
            _ => Redirects::to([ELSEWHERE]),
        })
        .ask_for_credentials(setup.credentials > 0 && setup.handles == 0)
        .durability(match setup.durability {
            1 if setup.handles == 0 => Durability::Behind,
            2 if setup.handles == 0 => Durability::WriteAhead,
            _ => Durability::Off,
        })
        .offline(match setup.offline {
            0 => Offline::Queue,
            _ => Offline::Refuse,
        })
        .inbox_full(match setup.inbox_full {
            0 => InboxFull::Pause,
            _ => InboxFull::DropOldest,
        });
    if setup.time_to_live > 0 {
        config = config.time_to_live(Duration::from_millis(setup.time_to_live));
    }
    if setup.auth > 0 && setup.handles == 0 && version.is_v5() {
        config = config.authentication_method(METHOD);
    }
    if version.is_v5() {
        config = config.session_expiry(Duration::from_secs(setup.session_expiry));
    }
    let config = config
        .build()
        .map_err(|error| Failure::new("configuration", error.to_string()))?;
    let host = if setup.named > 0 {
        "broker.example"
    } else {
        "192.0.2.1"
    };
    let first = Servers::new(Endpoint::new(host, 1883));
    let second = Endpoint::new(format!("192.0.2.{SECOND}"), 1883);
    let endpoint = match setup.servers {
        2 => first.or_sharing(second),
        3 => first.or(second),
        _ => first,
    };
    let seed = setup.seed.wrapping_add(life.wrapping_mul(0x9E37_79B9));
    Ok(if setup.handles > 0 {
        Engine::Handles(Box::new(Handles::new(config, endpoint, seed, setup.acks)))
    } else {
        let queues = setup.queues.max(1);
        let direct = match records {
            None => Direct::new(config, endpoint, seed, queues),
            Some((clock, records)) => {
                Direct::restore(config, endpoint, seed, queues, clock, records)
                    .map_err(|error| Failure::new("records are restored", error.to_string()))?
            }
        };
        Engine::Direct(Box::new(direct))
    })
}
