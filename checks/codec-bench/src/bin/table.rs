//! Prints one table: for each packet, every codec's time and its ratio to ours, and whether the figures to reach are reached.
//!
//! The codecs take turns within each round, so that what slows the machine slows all of them; a figure is the median of the
//! rounds, with the spread of the middle half, and the lowest, which other work on the machine disturbs least.
//! Differences under 1.4 times mean nothing where the spread is wide: instructions do not depend on load, and the benchmark
//! `instructions` counts them.
//!
//! Arguments: the number of rounds (51) and the milliseconds for each sample (1).

use std::time::Duration;

use codec_bench::case::Case;
use codec_bench::contender::{Contender, Role, decoders, encoders};

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|s| s.parse::<u64>().expect("a number"));
    let rounds = arguments.next().unwrap_or(51).max(5);
    let time = Duration::from_millis(arguments.next().unwrap_or(1));
    println!(
        "{rounds} rounds of {} ms a codec; nanoseconds a packet: median (spread), lowest\n",
        time.as_millis()
    );
    let mut verdicts = Vec::new();
    let mut decode_64 = 0.0;
    for case in Case::ALL {
        let outcomes = measure(&decoders(), case, rounds, time);
        print("decode", case, &outcomes);
        let most = match (case.payload, case.properties) {
            (64, false) => best_rival(&outcomes, MEDIAN) / 5.0,
            // "The same as 64 B", with what the noise of the machine makes of it.
            (_, false) => decode_64 * 1.4,
            (_, true) => best_rival(&outcomes, MEDIAN) / 4.0,
        };
        if case == Case::ALL[0] {
            decode_64 = ours(&outcomes, MEDIAN);
        }
        verdicts.push(verdict("decode", case, &outcomes, most));
    }
    for case in Case::ALL {
        let outcomes = measure(&encoders(), case, rounds, time);
        print("encode", case, &outcomes);
        let share = if case.payload > 1024 { 0.5 } else { 1.0 };
        let most = best_rival(&outcomes, MEDIAN) * share;
        verdicts.push(verdict("encode", case, &outcomes, most));
    }
    println!("figures to reach, and our share of the best rival's time:");
    verdicts.iter().for_each(|verdict| println!("  {verdict}"));
}

struct Outcome {
    contender: Contender,
    median: f64,
    spread: f64,
    lowest: f64,
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
        let spread = (samples[samples.len() * 3 / 4] - samples[samples.len() / 4]) / median;
        Outcome {
            contender: *contender,
            median,
            spread,
            lowest: samples[0],
        }
    };
    contenders.iter().zip(samples).map(outcome).collect()
}

fn print(what: &str, case: Case, outcomes: &[Outcome]) {
    println!("{what}, {}", case.name());
    let ours = ours(outcomes, MEDIAN);
    for outcome in outcomes {
        println!(
            "  {:28} {:9.1} ns ({:3.0} %) {:9.1} ns {:7.2} x ours",
            outcome.contender.name,
            outcome.median,
            outcome.spread * 100.0,
            outcome.lowest,
            outcome.median / ours
        );
    }
    println!();
}

type Figure = fn(&Outcome) -> f64;
const MEDIAN: Figure = |outcome| outcome.median;
const LOWEST: Figure = |outcome| outcome.lowest;

fn ours(outcomes: &[Outcome], figure: Figure) -> f64 {
    let ours = outcomes.iter().find(|o| o.contender.role == Role::Ours);
    figure(ours.expect("we take part"))
}

fn best_rival(outcomes: &[Outcome], figure: Figure) -> f64 {
    let rivals = outcomes.iter().filter(|o| o.contender.role == Role::Rival);
    rivals.map(figure).fold(f64::INFINITY, f64::min)
}

fn verdict(what: &str, case: Case, outcomes: &[Outcome], most: f64) -> String {
    let share = |figure| ours(outcomes, figure) / best_rival(outcomes, figure);
    let ours = ours(outcomes, MEDIAN);
    format!(
        "{} {what} {:22} {ours:6.1} ns of at most {most:6.1}; share {:.2} by medians, {:.2} by the lowest",
        if ours <= most { "reached" } else { "MISSED " },
        case.name(),
        share(MEDIAN),
        share(LOWEST)
    )
}
