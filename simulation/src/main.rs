//! Runs seeds, or one case: `--help` says how.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::Range;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mqtt_simulation::{Case, Failure, explain, generate, run, run_seeds, shrink, survey};

/// From so many seeds on everything that can occur must have.
const ENOUGH: usize = 2000;

const USAGE: &str = "\
mqtt-simulation --seeds 0..5000       these seeds; prints what occurred
mqtt-simulation --minutes 10          seeds from a place of their own, for so long
mqtt-simulation --seed 17             one seed, with its trace
mqtt-simulation --case FILE           one case, with its trace
mqtt-simulation --survey 0..5000      these seeds, whether they fail or not; prints how many failed by which check
mqtt-simulation --shrink 17           cuts a seed that fails down, and prints the case
mqtt-simulation --help                prints this";

type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match command() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Result<bool, Error> {
    let mut args = std::env::args().skip(1);
    let (option, value) = match (args.next(), args.next(), args.next()) {
        (Some(option), None, None) if option == "--help" || option == "-h" => {
            println!("{USAGE}");
            return Ok(true);
        }
        (Some(option), Some(value), None) => (option, value),
        _ => return Err(format!("one option and its value:\n{USAGE}").into()),
    };
    match option.as_str() {
        "--seeds" => {
            let Range { start, end } = range(&option, &value)?;
            Ok(many(start, end, None))
        }
        "--survey" => {
            let seeds = range(&option, &value)?;
            std::panic::set_hook(Box::new(|_| {}));
            let of = seeds.end.saturating_sub(seeds.start);
            let found = survey(seeds, threads());
            for (check, seeds) in &found {
                println!("{:>6} seeds: {check}: {}", seeds.len(), some(seeds));
            }
            let failed: usize = found.values().map(BTreeSet::len).sum();
            println!("{failed} of {of} seeds failed");
            Ok(found.is_empty())
        }
        "--minutes" => {
            let minutes: f64 = value.parse().map_err(|e| named(&option, &value, e))?;
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
            // Whoever runs this again runs other seeds.
            let from = now.as_secs() * 1_000_000;
            let time = Duration::try_from_secs_f64(minutes * 60.0)
                .map_err(|e| named(&option, &value, e))?;
            Ok(many(from, u64::MAX, Some(time)))
        }
        "--seed" => Ok(one(&generate(seed(&option, &value)?))),
        "--case" => {
            let text = std::fs::read_to_string(&value).map_err(|e| named(&option, &value, e))?;
            let case: Case = text.parse().map_err(|e| named(&option, &value, e))?;
            Ok(one(&case))
        }
        "--shrink" => {
            let case = generate(seed(&option, &value)?);
            let Err(Failure { check, text, .. }) = run(&case) else {
                return Err("this seed passes".into());
            };
            println!("# {check}: {text}\n{}", shrink(&case, &check));
            Ok(false)
        }
        other => Err(format!("no option '{other}'; there are\n{USAGE}").into()),
    }
}

/// An error with the argument that it is about.
fn named(option: &str, value: &str, error: impl Display) -> Error {
    format!("{option} {value}: {error}").into()
}

fn seed(option: &str, value: &str) -> Result<u64, Error> {
    value
        .parse()
        .map_err(|e| named(option, value, format!("no seed: {e}")))
}

/// At least one seed: a run of none would pass.
fn range(option: &str, value: &str) -> Result<Range<u64>, Error> {
    let (from, to) = value
        .split_once("..")
        .ok_or_else(|| named(option, value, "A..B is meant"))?;
    let number = |text: &str| {
        text.parse::<u64>()
            .map_err(|e| named(option, value, format!("'{text}' is no seed: {e}")))
    };
    let seeds = number(from)?..number(to)?;
    if seeds.is_empty() {
        return Err(named(option, value, "there is no seed in it"));
    }
    Ok(seeds)
}

fn one(case: &Case) -> bool {
    let (trace, result) = explain(case);
    println!("{}\n{trace}", case.setup);
    match result {
        Ok(()) => println!("passed"),
        Err(failure) => println!("FAILED\n{failure}"),
    }
    explain(case).1.is_ok()
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// The first ten.
fn some(seeds: &BTreeSet<u64>) -> String {
    let first: Vec<_> = seeds.iter().take(10).map(u64::to_string).collect();
    let more = if seeds.len() > first.len() {
        ", ..."
    } else {
        ""
    };
    format!("{}{more}", first.join(", "))
}

fn many(from: u64, to: u64, time: Option<Duration>) -> bool {
    // A panic is a failure of its seed, told as such.
    std::panic::set_hook(Box::new(|_| {}));
    let threads = threads();
    let begin = Instant::now();
    let outcome = run_seeds(from..to, threads, || {
        time.is_none_or(|time| begin.elapsed() < time)
    });
    let took = begin.elapsed().as_secs_f64();
    println!("{}", outcome.tally);
    println!(
        "seeds {from}..{}: {} in {took:.1} s on {threads} threads, {:.0} a second",
        from + outcome.seeds,
        outcome.seeds,
        outcome.seeds as f64 / took
    );
    if let Some((seed, failure)) = outcome.failure {
        let (trace, _) = explain(&generate(seed));
        println!(
            "{trace}\nseed {seed} FAILED\n{failure}\n(--seed {seed} runs it again, --shrink {seed} cuts it down)"
        );
        return false;
    }
    let missing = outcome.tally.missing();
    if outcome.tally.seeds() >= ENOUGH && !missing.is_empty() {
        println!("never occurred:");
        missing.iter().for_each(|what| println!("  {what}"));
        return false;
    }
    println!("passed");
    true
}
