//! Rounds in which the clients take turns.

use std::time::Duration;

use crate::arguments::Arguments;
use crate::case::{Row, Work};
use crate::clients::Client;
use crate::counted::count;
use crate::parts::What;
use crate::report::Report;
use crate::run::{Outcome, Plan, run as run_once};
use crate::{PATIENCE, Result};

/// Messages of the run that finds out how many a client moves in a second.
const PROBE: u64 = 5_000;
/// No run has more than these: the fastest move them in about a second.
const MOST: u64 = 20_000_000;
const LEAST: u64 = 1_000;

/// What one client has done in one row.
pub(crate) struct Figures {
    pub(crate) client: &'static Client,
    pub(crate) outcomes: Vec<Outcome>,
    /// Why there are none, or fewer.
    pub(crate) void: Option<String>,
}

/// One part.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut report = Report::begin(arguments)?;
    if arguments.what == What::Session {
        session(&mut report)?;
    }
    for &row in &arguments.rows {
        if arguments.what == What::Time {
            report.row(row, &time(arguments, row));
            continue;
        }
        let counts = arguments.clients.iter().map(|&client| {
            let counts = match client.leaves_out(row, arguments.against) {
                Some(why) => Err(why.into()),
                None => count(arguments, row, client),
            };
            (client, counts)
        });
        report.counts(arguments.what, row, counts);
    }
    report.end()
}

#[cfg(feature = "protocol-core")]
fn session(report: &mut Report) -> Result<()> {
    crate::session::table(|line| report.say(line))
}

#[cfg(not(feature = "protocol-core"))]
fn session(_: &mut Report) -> Result<()> {
    Err("not built: it needs the feature protocol-core".into())
}

fn time(arguments: &Arguments, row: Row) -> Vec<Figures> {
    let mut all = Vec::new();
    let mut counts = Vec::new();
    let plan = |client, count, patience| Plan {
        client,
        row,
        count,
        cpu: arguments.cpu,
        against: arguments.against,
        under: &[],
        patience,
    };
    let probe = match row.work {
        Work::Connect => 200,
        _ => row.shares(PROBE),
    };
    for &client in &arguments.clients {
        let mut figures = Figures {
            client,
            outcomes: Vec::new(),
            void: client.leaves_out(row, arguments.against).map(str::to_owned),
        };
        let mut count = 0;
        if let Some(fixed) = row.count() {
            count = fixed;
        } else if figures.void.is_none() {
            match run_once(&plan(client, probe, Duration::from_secs(5))) {
                Ok(outcome) => count = row.shares(enough(&outcome, arguments.time, row)),
                Err(error) => figures.void = Some(format!("void: {error}")),
            }
        }
        all.push(figures);
        counts.push(count);
    }
    let patience = match row.count() {
        Some(_) => PATIENCE,
        None => Duration::from_secs(5) + arguments.time * 20,
    };
    for _ in 0..arguments.runs {
        for (figures, &count) in all.iter_mut().zip(&counts) {
            if count == 0 || figures.void.is_some() {
                continue;
            }
            match run_once(&plan(figures.client, count, patience)) {
                Ok(outcome) => figures.outcomes.push(outcome),
                Err(error) => figures.void = Some(format!("void: {error}")),
            }
        }
    }
    all
}

/// How many messages take about as long.
fn enough(probe: &Outcome, time: Duration, row: Row) -> u64 {
    let count = (probe.rate() * time.as_secs_f64()) as u64;
    match row.work {
        // Below, the last percent is a handful.
        Work::Latency => count.clamp(2 * LEAST, MOST),
        // The system keeps ports of connections for a minute.
        Work::Connect => count.clamp(100, 2 * LEAST),
        _ => count.clamp(LEAST, MOST),
    }
}
