//! A client program for the scripts of Eclipse mosquitto's client-library tests: `test/lib/*.py`, which nobody here wrote.
//!
//! A script listens, starts `c/NAME.test PORT`, and compares the bytes that the program sends with those that it wants. Here `NAME` is the first
//! argument of a program, of which there is one for each adapter: `judged-tokio 02-subscribe-qos1 1888`. What the programs do is written once, in
//! `scripts`, over the handles that all adapters share. They do what the programs in C do that come with the scripts, and look at what they
//! receive as closely. `ci/judged` fetches the scripts, and runs each of them with each program; `docs/judged.md` says what it comes to.
//!
//! A program that is content says nothing, and ends with 0.
//!
//! `tests/vectors` has mosquitto's packet vectors judge the session, and each adapter over sockets.

mod run;
mod scripts;

use std::io;
use std::process::ExitCode;

use mqtt_behaviour::{Adapter, block_on};

use run::Run;

pub use run::config;

/// What a program does: `NAME PORT` plays the client of that script, `--list` tells all names.
pub fn main(make: fn() -> io::Result<Box<dyn Adapter>>) -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    if name == "--list" {
        for (name, _) in scripts::SCRIPTS {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    }
    // The scripts tell the port twice.
    let port = arguments.next().and_then(|port| port.parse().ok());
    let script = scripts::SCRIPTS.iter().find(|(known, _)| *known == name);
    let (Some((_, play)), Some(port)) = (script, port) else {
        eprintln!("usage: NAME PORT, or --list");
        return ExitCode::from(2);
    };
    let played = make().map_err(Into::into).and_then(|adapter| {
        let run = Run::new(&*adapter, port);
        block_on(play(&run))
    });
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}
