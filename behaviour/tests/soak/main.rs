//! Faults on a real network: every adapter exchanges numbered messages with code that shares nothing with the session, through a mosquitto
//! that is restarted and killed, over connections that are cut, held up and half closed. Nothing may be lost at QoS 1 and 2, and nothing may come
//! twice at QoS 2.
//!
//! ```text
//!   an adapter ── link that breaks ── keeper ── mosquitto ── keeper ── link ── far side
//! ```
//!
//! The keeper holds back what mosquitto says until it has stored what it knows, so that it may be killed at any time. The tape has every packet that
//! passed, and says whose loss a loss was.
//!
//! Without more, each adapter has a small run. `SOAK=full` makes it the run of `docs/evidence.md`. `SOAK_SEED`, a number, has other faults drawn.

#[path = "../matrix/adapters/mod.rs"]
#[allow(dead_code, reason = "the matrix uses more of it")]
mod adapters;
mod far;
mod judging;
mod keeper;
mod link;
mod near;
#[path = "../../../mqtt-tokio/tests/mosquitto/broker.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod process;
mod run;
mod shape;
mod tally;
mod tape;
mod verdict;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use mqtt_behaviour::Transport;
use mqtt_session::client::exports::Version;

use adapters::ADAPTERS;
use run::{Run, Size};

/// The version that each is run in: the figure is for 5.0, and 3.1.1 has rules of its own on resuming.
const VERSIONS: [Version; 2] = [Version::V5, Version::V3_1_1];

/// Runs at a time, unless told otherwise: much of their time they wait for connections to come back.
const THREADS: usize = 4;

fn main() -> ExitCode {
    let full = std::env::var("SOAK").is_ok_and(|size| size == "full");
    let size = if full { Size::FULL } else { Size::SMALL };
    let seed = std::env::var("SOAK_SEED").map_or(Ok(0), |seed| seed.parse());
    let Ok(seed): Result<u64, _> = seed else {
        eprintln!("error: SOAK_SEED is no number");
        return ExitCode::FAILURE;
    };
    let ignored = process::program().is_none() && std::env::var_os("MQTT_REQUIRE_ALL").is_none();
    if ignored {
        println!("not run: mosquitto is not installed (Debian's package `mosquitto`)");
    }
    let mut trials = Vec::new();
    judging::add(&mut trials);
    for (name, make, transports) in ADAPTERS {
        if !transports.contains(&Transport::Tcp) {
            continue;
        }
        for version in VERSIONS {
            let run = Run {
                make,
                version,
                size,
                // Other faults for each.
                seed: seed + trials.len() as u64,
            };
            let title = format!("{name} loses and doubles nothing in {version}");
            let play = move || Ok(run.play(name)?);
            trials.push(Trial::test(title, play).with_ignored_flag(ignored));
        }
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    libtest_mimic::run(&arguments, trials).exit_code()
}
