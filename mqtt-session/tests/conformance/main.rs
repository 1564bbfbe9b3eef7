//! One trial or more for each normative statement that a session keeps or can see broken, named by the statement's identifier.
//!
//! The tables in `docs/conformance` list the statements. Where a statement binds the server, the trial is about what the session does
//! with a server that keeps it, or breaks it: the DISCONNECT in 5.0, a plain close in 3.x, and an error that says what it was. The
//! model broker is strict, so what the session sends to it is checked as well.

#[path = "../websocket/far.rs"]
#[allow(clippy::unwrap_used, reason = "that is how a test fails")]
mod far;
#[path = "../pair/mod.rs"]
mod pair;
#[path = "../../../mqtt-proto/tests/conformance/runner/mod.rs"]
mod runner;

mod aliases;
mod authentication;
mod connack;
mod connect;
mod disconnect;
mod flow_control;
mod identifiers;
mod keep_alive;
mod ordering;
mod receiving;
mod sending;
mod sessions;
mod subscribe;
mod support;
mod topics;
#[path = "../pair/tower.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::vec_init_then_push,
    reason = "shared with other tests"
)]
mod tower;
mod websocket;

fn main() {
    let mut cases = runner::Cases::default();
    connect::add(&mut cases);
    connack::add(&mut cases);
    authentication::add(&mut cases);
    sessions::add(&mut cases);
    identifiers::add(&mut cases);
    sending::add(&mut cases);
    receiving::add(&mut cases);
    ordering::add(&mut cases);
    flow_control::add(&mut cases);
    subscribe::add(&mut cases);
    topics::add(&mut cases);
    aliases::add(&mut cases);
    keep_alive::add(&mut cases);
    disconnect::add(&mut cases);
    websocket::add(&mut cases);
    runner::run(&["session"], cases);
}
