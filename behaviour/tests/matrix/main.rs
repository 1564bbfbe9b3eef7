//! Every scenario over every adapter: a trial of each pair, named `adapter::scenario`.

mod async_std;
mod executor;
mod smol;
mod tokio;

use std::io;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use mqtt_behaviour::{Adapter, Scenario, scenarios};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A runtime is made for each trial.
type Make = fn() -> io::Result<Box<dyn Adapter>>;

const ADAPTERS: [(&str, Make); 5] = [
    ("tokio current-thread", tokio::current_thread),
    ("tokio multi-thread", tokio::multi_thread),
    ("smol", smol::global),
    ("async-std", async_std::global),
    ("an executor of one's own", executor::own),
];

fn main() -> ExitCode {
    allow_files();
    let mut trials = Vec::new();
    for (name, make) in ADAPTERS {
        for scenario in scenarios() {
            let title = format!("{name}::{}", scenario.name());
            trials.push(Trial::test(title, move || run(make, &scenario)));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn run(make: Make, scenario: &Scenario) -> Result<(), Failed> {
    Ok(scenario.run(&*make()?)?)
}

/// As many open files as this process may have: a thousand clients and their server need two thousand.
fn allow_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Where that is refused, the scenario that needs them says so.
    let _ = setrlimit(Resource::Nofile, wanted);
}
