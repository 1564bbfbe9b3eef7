//! Runs cases, and seeds in numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::case::Case;
use crate::generate::generate;
use crate::tally::{Kind, PerSeed, Tally};
use crate::trace::Trace;
use crate::world::{Checked, Failure, World};

/// Runs a case to its end, and counts what occurred.
///
/// # Errors
///
/// The first check that found something. A panic counts as one.
pub fn run(case: &Case) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    guarded(|| {
        let mut world = World::new(&case.setup, Trace::default())?;
        play(&mut world, case)?;
        tally = finish(world);
        Ok(())
    })?;
    Ok(tally)
}

/// Runs a case once more and keeps a trace: a ladder of packets, with the steps of the application and the faults in between.
pub fn explain(case: &Case) -> (String, Result<(), Failure>) {
    let mut trace = String::new();
    let result = guarded(|| {
        let mut world = World::new(&case.setup, Trace::kept())?;
        let played = catch_unwind(AssertUnwindSafe(|| play(&mut world, case)));
        world.note(|| match &played {
            Ok(Ok(())) => "the end".into(),
            Ok(Err(failure)) => format!("FAILED: {failure}"),
            Err(_) => "PANICKED".into(),
        });
        trace = world.trace.to_string();
        played.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    (trace, result)
}

fn play(world: &mut World, case: &Case) -> Checked {
    for step in &case.steps {
        world.step(*step)?;
    }
    world.end()
}

fn finish(mut world: World) -> Tally {
    let traffic = world.broker.traffic().clone();
    world.tally.add_traffic(&traffic);
    let version = format!("version {}", world.version);
    world.tally.add(Kind::Setup, version);
    world.tally.end_seed(PerSeed {
        messages: world.app.count,
        connections: world.connections,
        faults: world.faults,
        seconds: world.time.as_secs(),
    });
    world.tally
}

fn guarded(work: impl FnOnce() -> Checked) -> Checked {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Failure::new("no panic", text.unwrap_or("a panic")))
    })
}

/// What came of many seeds.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Outcome {
    /// How many seeds were run.
    pub seeds: u64,
    /// What occurred in those that passed.
    pub tally: Tally,
    /// The first seed that failed.
    pub failure: Option<(u64, Failure)>,
}

/// Runs seeds on several threads, until one fails or `go_on` says no. Of several that fail the first is told, so that the same range
/// always gives the same answer.
pub fn run_seeds(seeds: Range<u64>, threads: usize, go_on: impl Fn() -> bool + Sync) -> Outcome {
    let (next, failed) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let outcome = Mutex::new(Outcome::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mut mine = Outcome::default();
                while !failed.load(Ordering::Relaxed) && go_on() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    mine.seeds += 1;
                    match run(&generate(seed)) {
                        Ok(tally) => mine.tally.merge(tally),
                        Err(failure) => {
                            failed.store(true, Ordering::Relaxed);
                            mine.failure = Some((seed, failure));
                        }
                    }
                }
                outcome.lock().map(|mut all| all.merge(mine)).ok();
            });
        }
    });
    outcome.into_inner().unwrap_or_default()
}

impl Outcome {
    fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.tally.merge(other.tally);
        let all = [self.failure.take(), other.failure];
        self.failure = all.into_iter().flatten().min_by_key(|(seed, _)| *seed);
    }
}

/// Runs all of these seeds on several threads, and tells for each check which failed by it, in their order.
pub fn survey(seeds: Range<u64>, threads: usize) -> BTreeMap<String, BTreeSet<u64>> {
    let next = AtomicU64::new(seeds.start);
    let found = Mutex::new(BTreeMap::<String, BTreeSet<u64>>::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    if let Err(failure) = run(&generate(seed))
                        && let Ok(mut found) = found.lock()
                    {
                        found.entry(failure.check).or_default().insert(seed);
                    }
                }
            });
        }
    });
    found.into_inner().unwrap_or_default()
}

/// Cuts a case that fails down to what is needed to fail by the same check.
pub fn shrink(case: &Case, check: &str) -> Case {
    let fails = |case: &Case| run(case).is_err_and(|failure| failure.check == check);
    let mut small = case.clone();
    let mut size = small.steps.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        let before = small.steps.len();
        while at < small.steps.len() {
            let mut fewer = small.clone();
            let end = (at + size).min(fewer.steps.len());
            fewer.steps.drain(at..end);
            if fails(&fewer) {
                small = fewer;
            } else {
                at += size;
            }
        }
        if size == 1 && small.steps.len() == before {
            break;
        }
        size = if size == 1 { 1 } else { size / 2 };
    }
    small
}
