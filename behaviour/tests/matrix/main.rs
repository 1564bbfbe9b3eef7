//! Every scenario over every adapter and transport: a trial of each, named `adapter::transport::scenario`.

mod async_std;
mod blocking;
mod executor;
mod mosquitto;
mod smol;
mod tokio;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use mqtt_behaviour::{Adapter, Bench, Scenario, Transport, scenarios};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A runtime is made for each trial.
type Make = fn() -> io::Result<Box<dyn Adapter>>;

const SOCKETS: &[Transport] = Transport::SOCKETS;

const ADAPTERS: [(&str, Make, &[Transport]); 9] = [
    ("tokio current-thread", tokio::current_thread, SOCKETS),
    ("tokio multi-thread", tokio::multi_thread, SOCKETS),
    ("tokio multi-thread", tokio::own_dialer, &[Transport::Own]),
    ("smol", smol::global, SOCKETS),
    ("async-std", async_std::global, SOCKETS),
    ("own executor", executor::own, SOCKETS),
    ("own executor", executor::own_dialer, &[Transport::Own]),
    ("threads", blocking::threads, SOCKETS),
    ("threads", blocking::own_dialer, &[Transport::Own]),
];

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
    let mosquitto = Arc::<mosquitto::Shared>::default();
    for (name, make, transports) in ADAPTERS {
        for transport in transports {
            mosquitto::add(&mut trials, &mosquitto, name, make, *transport);
        }
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let conclusion = libtest_mimic::run(&arguments, trials);
    mosquitto.stop();
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
