//! The table, and what is no bytes of MQTT, over sockets at every adapter: a trial of each entry and each scene, named `adapter::entry 4` and
//! `adapter::slow::a TLS handshake that stalls`.

#[path = "../../behaviour/tests/matrix/adapters/mod.rs"]
mod adapters;

use std::alloc::System;
use std::process::ExitCode;
use std::sync::{PoisonError, RwLock};

use libtest_mimic::{Arguments, Trial};
use mqtt_behaviour::Transport;
use mqtt_hostile::{About, each, rows, run_adapter, scenes};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use adapters::{ADAPTERS, Make};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Trials at a time, unless told otherwise: most of their time they wait.
const THREADS: usize = 8;

const BOUNDS: &str = "::bounds";

/// Some scenes count what the whole process has: none runs beside them.
static ALONE: RwLock<()> = RwLock::new(());

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for (name, make, transports) in ADAPTERS {
        // A dialer of one's own makes no difference to what comes over the stream.
        if transports.contains(&Transport::Tcp) {
            add(&mut trials, name, make);
        }
    }
    // Those that run alone come last, or they would hold up all others.
    trials.sort_by_key(|trial| trial.name().contains(BOUNDS));
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn add(trials: &mut Vec<Trial>, name: &str, make: Make) {
    for part in rows().chunk_by(|one, other| one.entry == other.entry) {
        let title = format!("{name}::entry {}", part[0].entry);
        let part = part.to_vec();
        trials.push(Trial::test(title, move || {
            let _beside = ALONE.read().unwrap_or_else(PoisonError::into_inner);
            let adapter = make()?;
            each(&part, |row| {
                run_adapter(&*adapter, row).expect("the peer has nothing to say")
            });
            Ok(())
        }));
    }
    for scene in scenes() {
        let about = match scene.about() {
            About::Entry(entry) => format!("::entry {entry}"),
            About::Slow => "::slow".into(),
            About::Bounds => BOUNDS.into(),
        };
        let title = format!("{name}{about}::{}", scene.name());
        trials.push(Trial::test(title, move || {
            if scene.about() == About::Bounds {
                let _alone = ALONE.write().unwrap_or_else(PoisonError::into_inner);
                Ok(scene.run(&*make()?)?)
            } else {
                let _beside = ALONE.read().unwrap_or_else(PoisonError::into_inner);
                Ok(scene.run(&*make()?)?)
            }
        }));
    }
}
