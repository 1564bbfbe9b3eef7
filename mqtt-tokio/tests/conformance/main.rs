//! One trial or more for each normative statement about what a driver does with its socket, named by the statement's identifier.
//!
//! The tables in `docs/conformance` list the statements. The server is the trial itself, on a socket of its own.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

#[path = "../../../mqtt-proto/tests/conformance/runner/mod.rs"]
mod runner;

mod authentication;
mod closing;
mod peer;
mod stream;

fn main() {
    let mut cases = runner::Cases::default();
    stream::add(&mut cases);
    closing::add(&mut cases);
    authentication::add(&mut cases);
    runner::run(&["adapter"], cases);
}
