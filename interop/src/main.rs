//! Runs a list of scenarios against a broker and prints a line for each: what worked, what the broker does not offer, what it gets wrong, and what
//! failed. `ci/brokers` starts the brokers; [`kinds`] says what is known of each.
//!
//! Over `mqtt-tokio` alone: that the other adapters behave the same is shown by `behaviour`.

mod kinds;
mod options;
mod outcome;
mod scenarios;
mod site;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use mqtt_tokio::Version;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::sync::Semaphore;

use kinds::Kind;
use options::Options;
use outcome::{Report, Verdict};
use scenarios::{Act, After, CONNECTING, Scenario};
use site::{Result, Site};

const VERSIONS: [Version; 3] = [Version::V3_1, Version::V3_1_1, Version::V5];
const AT_A_TIME: usize = 8;
/// For a scenario as a whole; each wait in it has a bound of its own.
const LONGEST: Duration = Duration::from_secs(120);
/// For the broker to be started anew.
const RESTARTING: Duration = Duration::from_secs(180);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(report) => report.print_summary(),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<Report> {
    let options = Options::take()?;
    let mut report = Report::default();
    let (mut plain, mut to_restart) = (Vec::new(), Vec::new());
    for version in VERSIONS {
        let connecting = Trial::new(&options, CONNECTING, version);
        let seen = connecting.run().await;
        let worked = seen.is_ok();
        connecting.tell(&mut report, seen);
        if !worked {
            // Nothing else can be tried.
            continue;
        }
        for scenario in scenarios::all().filter(|one| one.is_in(version) && options.wants(one.name))
        {
            let trial = Trial::new(&options, scenario, version);
            if let Act::OverRestart(_) = scenario.act {
                to_restart.push(trial);
            } else {
                plain.push(trial);
            }
        }
    }
    side_by_side(plain, &mut report).await?;
    if options.restarts {
        over_restart(to_restart, &mut report).await?;
    }
    Ok(report)
}

/// They share nothing but the broker, and most of their time they wait.
async fn side_by_side(trials: Vec<Trial>, report: &mut Report) -> Result {
    let room = Arc::new(Semaphore::new(AT_A_TIME));
    let begin = |trial: Trial| {
        let room = Arc::clone(&room);
        tokio::spawn(async move {
            let _place = room.acquire_owned().await;
            let seen = trial.run().await;
            (trial, seen)
        })
    };
    let running: Vec<_> = trials.into_iter().map(begin).collect();
    for one in running {
        let (trial, seen) = one.await?;
        trial.tell(report, seen);
    }
    Ok(())
}

/// All that there is to see of one restart: first what comes before it, then what comes behind.
async fn over_restart(trials: Vec<Trial>, report: &mut Report) -> Result {
    let mut waiting = Vec::new();
    for trial in trials {
        match trial.prepare().await {
            Ok(after) => waiting.push((trial, after)),
            Err(error) => {
                let error = trial.site.explain(error).await;
                trial.tell(report, Err(error));
            }
        }
    }
    println!("restart the broker, then press Enter");
    let mut line = String::new();
    let mut input = BufReader::new(stdin());
    let read = tokio::time::timeout(RESTARTING, input.read_line(&mut line)).await;
    if read?? == 0 {
        return Err("standard input ended, so nobody restarts the broker".into());
    }
    let behind = |(trial, after): (Trial, After)| {
        tokio::spawn(async move {
            let seen = trial.explained(bounded(after).await).await;
            (trial, seen)
        })
    };
    let running: Vec<_> = waiting.into_iter().map(behind).collect();
    for one in running {
        let (trial, seen) = one.await?;
        trial.tell(report, seen);
    }
    Ok(())
}

/// A scenario in a version, with what is declared of it.
struct Trial {
    site: Site,
    kind: &'static Kind,
    scenario: Scenario,
}

impl Trial {
    fn new(options: &Options, scenario: Scenario, version: Version) -> Self {
        let kind = options.kind;
        let hopeful = kind.gap(scenario.name, version).is_none();
        Self {
            site: Site::new(options, version, hopeful),
            kind,
            scenario,
        }
    }

    async fn run(&self) -> Result {
        match self.scenario.act {
            Act::Plain(act) => self.explained(bounded(act(self.site.clone())).await).await,
            Act::OverRestart(_) => Err("it needs a restart".into()),
        }
    }

    async fn prepare(&self) -> Result<After> {
        match self.scenario.act {
            Act::OverRestart(act) => bounded(act(self.site.clone())).await,
            Act::Plain(_) => Err("it needs no restart".into()),
        }
    }

    async fn explained(&self, seen: Result) -> Result {
        match seen {
            Ok(()) => Ok(()),
            Err(error) => Err(self.site.explain(error).await),
        }
    }

    /// Adds what was seen to the report.
    fn tell(&self, report: &mut Report, seen: Result) {
        let version = self.site.version();
        let verdict = Verdict::of(seen, self.kind.gap(self.scenario.name, version));
        report.add(version, self.scenario.name, &verdict);
    }
}

/// A panic of the client's is a failure of the scenario, and the others go on.
async fn bounded<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let mut task = tokio::spawn(work);
    match tokio::time::timeout(LONGEST, &mut task).await {
        Ok(joined) => joined?,
        Err(_) => {
            task.abort();
            Err(format!("not done within {LONGEST:?}").into())
        }
    }
}
