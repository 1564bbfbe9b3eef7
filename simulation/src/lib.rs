//! Whole-session simulation: an application, the session, a faulty network and a model broker, on virtual time, driven by one seed.
//!
//! A seed is [drawn](generate()) into a [`Case`]: a setup and a list of steps, among them faults. [`run`] plays it, checks after each
//! step what must hold whatever happens, lets all faults end, and checks that everything settles. The case is text, so that what
//! failed once is kept as a test that means the same for ever. `docs/simulation.md` tells more.

mod app;
mod auth;
mod case;
mod checks;
mod end;
mod engine;
mod faults;
mod generate;
mod network;
mod run;
mod steps;
mod store;
mod tally;
mod trace;
mod watch;
mod world;

pub use case::{BadCase, Case, Setup, Step};
pub use generate::generate;
pub use run::{Outcome, explain, run, run_seeds, shrink, survey};
pub use tally::{Kind, PerSeed, Tally};
pub use world::Failure;
