//! One run: an adapter, a broker, the far side, and what is done to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mqtt_behaviour::{Failure, Result};
use mqtt_session::client::Client;
use mqtt_session::client::exports::Version;
use mqtt_testkit::Rng;

use crate::adapters::Make;
use crate::keeper::Keeper;
use crate::link::Link;
use crate::shape::Doom;
use crate::tally::{Tally, pause};
use crate::tape::{Side, Tape};
use crate::verdict::Story;
use crate::{far, near};

/// Without a message that arrives.
const STILL: Duration = Duration::from_secs(60);
/// For bytes to pass, of which a cut wants some.
const QUIET: Duration = Duration::from_secs(3);
/// For what may come when all has arrived: copies.
const AFTER: Duration = Duration::from_millis(400);
/// Blows between two signs of life.
const SIGN: u32 = 20;
/// Stories that are told in full.
const TOLD: usize = 20;

/// How much there is of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// At each QoS in each direction.
    messages: u32,
    cuts: u32,
    restarts: u32,
    kills: u32,
}

impl Size {
    pub(crate) const SMALL: Self = Self {
        messages: 1_000,
        cuts: 10,
        restarts: 1,
        kills: 1,
    };
    pub(crate) const FULL: Self = Self {
        messages: 100_000,
        cuts: 100,
        restarts: 10,
        kills: 10,
    };
}

#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) make: Make,
    pub(crate) version: Version,
    pub(crate) size: Size,
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    Cut,
    Restart,
    Kill,
}

impl Run {
    /// Plays it, and prints what came of it.
    ///
    /// # Errors
    ///
    /// A message was lost, or came twice at QoS 2, and it was not the broker; or something did not go on.
    pub(crate) fn play(&self, name: &str) -> Result {
        let begun = Instant::now();
        let keeper = Arc::new(Keeper::start()?);
        let tape = Arc::new(Tape::new());
        let link = |side, version, seed| Link::start(side, version, &keeper, &tape, seed);
        let bad = link(Side::Near, self.version, Some(self.seed))?;
        let far_publisher = link(Side::FarPublisher, far::VERSION, None)?;
        let far_subscriber = link(Side::FarSubscriber, far::VERSION, None)?;
        let tally = Tally::new(self.size.messages);
        let subscribed = AtomicBool::new(false);
        let adapter = (self.make)()?;
        let client = near::start(&*adapter, self.version, bad.addr())?;

        let mut failures: Vec<Failure> = Vec::new();
        let mut causes = BTreeMap::new();
        let outcome = thread::scope(|scope| {
            let reads = scope.spawn(|| {
                guard(&tally, || {
                    let ready = || subscribed.store(true, Ordering::SeqCst);
                    far::subscribe(far_subscriber.addr(), &tally, ready)
                })
            });
            let watches = scope.spawn(|| near::watch(&client, &tally));
            let outcome = guard(&tally, || {
                let mut messages = near::subscribe(&client, &tally)?;
                while !subscribed.load(Ordering::SeqCst) {
                    pause(begun, STILL, "subscribing")?;
                }
                thread::scope(|scope| {
                    let all = [
                        scope.spawn(|| guard(&tally, || near::publish(&client, &tally))),
                        scope
                            .spawn(|| guard(&tally, || far::publish(far_publisher.addr(), &tally))),
                    ];
                    let reads = scope.spawn(|| guard(&tally, || near::read(&mut messages, &tally)));
                    let blows = guard(&tally, || self.disturb(name, &tally, &keeper, &bad));
                    let ends = all.map(|one| joined(one.join()));
                    let settles = guard(&tally, || settle(&tally, &bad, &client));
                    tally.stop.store(true, Ordering::SeqCst);
                    let reads = joined(reads.join());
                    failures.extend(
                        ends.into_iter()
                            .chain([settles, reads])
                            .filter_map(Result::err),
                    );
                    blows
                })
            });
            tally.stop.store(true, Ordering::SeqCst);
            failures.extend(joined(reads.join()).err());
            causes = watches.join().unwrap_or_default();
            outcome
        });
        failures.extend(
            outcome
                .as_ref()
                .err()
                .map(ToString::to_string)
                .map(Failure::from),
        );
        let connections = client.stats().connections;
        near::disconnect(&client);

        let mut report = tally.lines();
        if let Ok(blows) = &outcome {
            report.push(format!(
                "{} cuts of {} connections, {} restarts, {} kills; {} saves, {} packets on record; {} s",
                bad.cuts(),
                connections,
                blows.restarts,
                blows.kills,
                keeper.saves(),
                tape.with(<[_]>::len),
                begun.elapsed().as_secs(),
            ));
        }
        let causes = causes
            .iter()
            .map(|(cause, count)| format!("{count} {cause}"));
        report.push(format!("ended: {}", causes.collect::<Vec<_>>().join("; ")));
        if keeper.failed() {
            failures.push("the broker does not save when it is asked to".into());
        }
        if tape.undecodable() > 0 {
            failures.push("something passed that is no packet".into());
        }
        self.judge(&tally, &tape, &mut report, &mut failures);
        let text = report.join("\n  ");
        let version = self.version;
        println!("{name} in {version}, seed {}:\n  {text}", self.seed);
        match failures.is_empty() {
            true => Ok(()),
            false => {
                let failures: Vec<_> = failures.iter().map(ToString::to_string).collect();
                Err(failures.join("\n").into())
            }
        }
    }

    fn judge(
        &self,
        tally: &Tally,
        tape: &Tape,
        report: &mut Vec<String>,
        failures: &mut Vec<Failure>,
    ) {
        type Charge = fn(&Story) -> bool;
        let all: [(&str, _, Charge); 2] = [
            ("lost", tally.lost(), Story::lost_by_broker),
            ("came twice", tally.doubled(), Story::doubled_by_broker),
        ];
        for (what, keys, charge) in all {
            let (mut by_broker, mut others) = (0, 0);
            for story in tape.with(|entries| Story::all(&keys, entries)) {
                let brokers = charge(&story);
                let count = if brokers { &mut by_broker } else { &mut others };
                *count += 1;
                if *count <= TOLD {
                    let whose = if brokers {
                        "the broker's"
                    } else {
                        "not the broker's"
                    };
                    report.push(format!("{what}, {whose}: {story}"));
                }
            }
            report.push(format!(
                "{what}: {others}, and {by_broker} that are the broker's"
            ));
            if others > 0 {
                failures.push(format!("{others} messages {what}").into());
            }
        }
    }

    fn disturb(&self, name: &str, tally: &Tally, keeper: &Keeper, bad: &Link) -> Result<Blows> {
        let mut rng = Rng::new(self.seed).fork();
        let blows = self.draw(&mut rng);
        let gap = tally.total() / (blows.len() as u32 + 1);
        let mut done = Blows::default();
        for (number, blow) in (1u32..).zip(blows) {
            let jitter = rng.below(u64::from(gap) / 2 + 1) as u32;
            progress(tally, number * gap - jitter)?;
            if number % SIGN == 0 {
                let (arrived, total) = (tally.progress(), tally.total());
                println!("{name} in {}: {arrived} of {total} arrived", self.version);
            }
            match blow {
                Blow::Cut => {
                    cut(bad, Doom::draw(&mut rng), rng.chance(3))?;
                }
                Blow::Restart => {
                    keeper.restart()?;
                    done.restarts += 1;
                }
                Blow::Kill => {
                    keeper.kill()?;
                    done.kills += 1;
                }
            }
        }
        progress(tally, tally.total())?;
        Ok(done)
    }

    /// All blows, shuffled.
    fn draw(&self, rng: &mut Rng) -> Vec<Blow> {
        let mut blows = Vec::new();
        for (blow, count) in [
            (Blow::Cut, self.size.cuts),
            (Blow::Restart, self.size.restarts),
            (Blow::Kill, self.size.kills),
        ] {
            blows.extend((0..count).map(|_| blow));
        }
        for at in (1..blows.len()).rev() {
            blows.swap(at, rng.below(at as u64 + 1) as usize);
        }
        blows
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Blows {
    restarts: u32,
    kills: u32,
}

/// Has a connection cut, and waits until it is.
fn cut(bad: &Link, doom: Doom, early: bool) -> Result {
    let (wanted, begun) = (bad.cuts() + 1, Instant::now());
    while bad.cuts() < wanted {
        if begun.elapsed() < QUIET {
            // Refused where there is no connection, or it has its doom already.
            bad.doom(doom, early);
        } else {
            // So little passes any more that it would not be met.
            bad.reset();
        }
        pause(begun, STILL, "a connection that can be cut")?;
    }
    Ok(())
}

/// Waits until so many have arrived.
fn progress(tally: &Tally, wanted: u32) -> Result {
    let (mut last, mut since) = (tally.progress(), Instant::now());
    loop {
        let now = tally.progress();
        if now >= wanted {
            return Ok(());
        }
        if tally.stopped() {
            return Err("somebody else has failed".into());
        }
        if now != last {
            (last, since) = (now, Instant::now());
        }
        pause(since, STILL, "another message")?;
    }
}

/// Once more everybody comes back and sends again what is not acknowledged: what would come twice comes now.
fn settle(tally: &Tally, bad: &Link, client: &Client) -> Result {
    if tally.stopped() {
        return Ok(());
    }
    let (before, begun) = (client.stats().connections, Instant::now());
    while !bad.reset() {
        pause(begun, STILL, "a connection")?;
    }
    while client.stats().connections == before {
        pause(begun, STILL, "the client comes back")?;
    }
    thread::sleep(AFTER);
    Ok(())
}

/// Who fails stops the others.
fn guard<T>(tally: &Tally, act: impl FnOnce() -> Result<T>) -> Result<T> {
    struct Stop<'a>(&'a Tally, bool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            if !self.1 {
                self.0.stop.store(true, Ordering::SeqCst);
            }
        }
    }
    let mut stop = Stop(tally, false);
    let result = act();
    stop.1 = result.is_ok();
    result
}

fn joined<T>(result: thread::Result<Result<T>>) -> Result<T> {
    result.unwrap_or_else(|_| Err("a thread of the run has panicked".into()))
}
