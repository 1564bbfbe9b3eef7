//! Every scenario over every adapter and transport: a trial of each, named `adapter::transport::scenario`.

mod adapters;
mod aedes;
mod foreign;
mod mosquitto;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use mqtt_behaviour::{Bench, Scenario, Transport, scenarios};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use adapters::{ADAPTERS, Make};

/// Trials at a time, unless told otherwise: most of their time they wait.
const THREADS: usize = 8;

fn main() -> ExitCode {
    allow_files();
    let mut trials = Vec::new();
    for (name, make, transports) in ADAPTERS {
        for transport in transports {
            for scenario in scenarios() {
                if scenario.is_for(*transport) {
                    let title = format!("{name}::{transport}::{}", scenario.name());
                    let run = move || run(make, *transport, &scenario);
                    trials.push(Trial::test(title, run));
                }
            }
        }
    }
    let brokers = foreign::add(&mut trials, &[mosquitto::KIND, aedes::KIND]);
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(brokers);
    conclusion.exit_code()
}

fn run(make: Make, transport: Transport, scenario: &Scenario) -> Result<(), Failed> {
    Ok(scenario.run(&Bench::new(&*make()?, transport))?)
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
