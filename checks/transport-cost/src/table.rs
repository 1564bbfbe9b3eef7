//! Rounds in which ours and the rival take turns, and what they say.

use crate::measure::allow_descriptors;
use crate::{Link, Pace, Result, WARM, Who, run};

/// Idle connections are looked at so often: they vary by little.
const IDLE_ROUNDS: usize = 3;
/// An idle connection over TCP shall hold no more.
const MOST: f64 = 4096.0;

/// Everything.
pub(crate) fn print(rounds: usize, messages: usize, clients: usize) -> Result<()> {
    println!(
        "{rounds} rounds in turns. CPU time of the client's process for a message of 1 KiB, user and system, in µs:\n\
         median (lowest to highest). Ratio, ours by this: median of the rounds' own (lowest to highest).\n"
    );
    let mut verdicts = Vec::new();
    for link in Link::ALL {
        for pace in Pace::ALL {
            let ratio = publishing(link, pace, rounds, messages)?;
            if link == Link::Tls {
                verdicts.push((ratio <= 1.0, pace));
            }
        }
    }
    for (reached, pace) in verdicts {
        let (verdict, name) = (verdict(reached), pace.name());
        println!("{verdict} over TLS no more CPU than rumqttc: {name}");
    }
    println!();
    for link in Link::ALL {
        let ours = idling(link, clients)?;
        if link == Link::Tcp {
            println!(
                "{} an idle connection over TCP holds at most 4 KiB",
                verdict(ours <= MOST)
            );
        }
    }
    Ok(())
}

/// The ratio to the rival as its documentation shows it.
fn publishing(link: Link, pace: Pace, rounds: usize, messages: usize) -> Result<f64> {
    let mut costs: [Vec<f64>; 3] = Default::default();
    // The first round warms up what the machine has for all.
    for round in 0..=rounds {
        let mut protocols = Vec::new();
        for (who, costs) in Who::ALL.into_iter().zip(&mut costs) {
            let cost = run::publish(link, who, pace, messages)?;
            if round > 0 {
                costs.push(cost.micros);
            }
            protocols.push(cost.protocol);
        }
        if protocols.iter().any(|protocol| *protocol != protocols[0]) {
            return Err(format!("not over the same: {protocols:?}").into());
        }
        if round == 0 {
            let (name, protocol) = (pace.name(), &protocols[0]);
            println!("{link:?}, {name}; {messages} messages; {protocol}");
        }
    }
    let [ours, ..] = &costs;
    let mut ratio = 1.0;
    for (who, costs) in Who::ALL.iter().zip(&costs) {
        let name = who.name();
        let spread = Spread::of(costs.iter().copied());
        if *who == Who::Ours {
            println!("  {name:20} {spread:.2}");
            continue;
        }
        let ratios = Spread::of(ours.iter().zip(costs).map(|(ours, other)| ours / other));
        println!("  {name:20} {spread:.2}   ratio {ratios:.2}");
        if *who == Who::Rival {
            ratio = ratios.median;
        }
    }
    println!();
    Ok(ratio)
}

fn idling(link: Link, clients: usize) -> Result<f64> {
    // Beside the sockets: standard streams, and what a runtime has.
    allow_descriptors((clients + WARM + 32) as u64)?;
    let (mut ours, mut rival) = (Vec::new(), Vec::new());
    for _ in 0..IDLE_ROUNDS {
        ours.push(run::idle(link, Who::Ours, clients)? as f64);
        rival.push(run::idle(link, Who::Rival, clients)? as f64);
    }
    println!("{link:?}, {clients} idle clients: bytes of resident memory for each");
    let (ours, rival) = (Spread::of(ours), Spread::of(rival));
    let ratio = ours.median / rival.median;
    println!(
        "  ours                 {ours:.0}\n  rumqttc              {rival:.0}   ratio {ratio:.2}\n"
    );
    Ok(ours.median)
}

const fn verdict(reached: bool) -> &'static str {
    if reached { "reached:" } else { "MISSED: " }
}

struct Spread {
    median: f64,
    lowest: f64,
    highest: f64,
}

impl Spread {
    fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        Self {
            median: figures[figures.len() / 2],
            lowest: figures[0],
            highest: figures[figures.len() - 1],
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let precision = f.precision().unwrap_or(2);
        write!(
            f,
            "{:.precision$} ({:.precision$} to {:.precision$})",
            self.median, self.lowest, self.highest
        )
    }
}
