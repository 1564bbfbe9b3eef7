//! Prints one table: for each packet, every codec's time and its ratio to ours, and whether the figures to reach are reached.
//!
//! The codecs take turns within each round, so that what slows the machine slows all of them; a figure is the median of the
//! rounds, with the spread between the lowest and the highest. On a machine that does other work, differences under 1.4 times
//! mean nothing: instructions do not depend on load, and the benchmark `instructions` counts them.
//!
//! Arguments: the number of rounds (9) and the milliseconds for each sample (10).

use std::time::Duration;

use codec_bench::case::Case;
use codec_bench::contender::{Contender, Role, decoders, encoders};

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|s| s.parse::<u64>().expect("a number"));
    let rounds = arguments.next().unwrap_or(9).max(5);
    let time = Duration::from_millis(arguments.next().unwrap_or(10));
    println!(
        "{rounds} rounds of {} ms a codec; nanoseconds a packet, median (spread)\n",
        time.as_millis()
    );
    let mut verdicts = Vec::new();
    let mut decode_64 = 0.0;
    for case in Case::ALL {
        let results = measure(&decoders(), case, rounds, time);
        print("decode", case, &results);
        let (ours, best) = (ours(&results), best_rival(&results));
        let most = match (case.payload, case.properties) {
            (64, false) => best / 5.0,
            (64, true) => best / 4.0,
            // "Same as 64 B": the noise of the machine on top.
            (_, false) => decode_64 * 1.4,
            (_, true) => best / 4.0,
        };
        if case == Case::ALL[0] {
            decode_64 = ours;
        }
        verdicts.push(verdict("decode", case, ours, most, best));
    }
    for case in Case::ALL {
        let results = measure(&encoders(), case, rounds, time);
        print("encode", case, &results);
        let (ours, best) = (ours(&results), best_rival(&results));
        let most = if case.payload > 1024 {
            best / 2.0
        } else {
            best
        };
        verdicts.push(verdict("encode", case, ours, most, best));
    }
    println!("figures to reach:");
    verdicts.iter().for_each(|verdict| println!("  {verdict}"));
}

struct Outcome {
    contender: Contender,
    median: f64,
    spread: f64,
}

fn measure(contenders: &[Contender], case: Case, rounds: u64, time: Duration) -> Vec<Outcome> {
    let mut samples = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for (contender, samples) in contenders.iter().zip(&mut samples) {
            samples.push(contender.sample(case, time));
        }
    }
    let outcome = |(contender, mut samples): (&Contender, Vec<f64>)| {
        samples.sort_by(f64::total_cmp);
        let median = samples[samples.len() / 2];
        let spread = (samples[samples.len() - 1] - samples[0]) / median;
        Outcome {
            contender: *contender,
            median,
            spread,
        }
    };
    contenders.iter().zip(samples).map(outcome).collect()
}

fn print(what: &str, case: Case, outcomes: &[Outcome]) {
    println!("{what}, {}", case.name());
    let ours = ours(outcomes);
    for Outcome {
        contender,
        median,
        spread,
    } in outcomes
    {
        let ratio = median / ours;
        println!(
            "  {:28} {median:9.1} ns ({:3.0} %)  {ratio:7.2} x ours",
            contender.name,
            spread * 100.0
        );
    }
    println!();
}

fn ours(outcomes: &[Outcome]) -> f64 {
    outcomes
        .iter()
        .find(|o| o.contender.role == Role::Ours)
        .expect("we take part")
        .median
}

fn best_rival(outcomes: &[Outcome]) -> f64 {
    let rivals = outcomes.iter().filter(|o| o.contender.role == Role::Rival);
    rivals.map(|o| o.median).fold(f64::INFINITY, f64::min)
}

fn verdict(what: &str, case: Case, ours: f64, most: f64, best: f64) -> String {
    let word = if ours <= most { "reached" } else { "MISSED " };
    let name = case.name();
    format!(
        "{word} {what} {name:24} {ours:7.1} ns of at most {most:7.1} (best rival {best:7.1}: {:.2} of it)",
        ours / best
    )
}
