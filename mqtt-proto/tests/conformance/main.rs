//! One trial or more for each normative statement that a decoder or an encoder can check, named by the statement's identifier.
//!
//! The tables in `docs/conformance` list the statements.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[path = "../common/mod.rs"]
mod common;

mod acks;
mod connack;
mod connect;
mod disconnect;
mod header;
mod publish;
mod runner;
mod strings;
mod subscribe;
mod topics;

fn main() {
    let mut cases = runner::Cases::default();
    strings::add(&mut cases);
    header::add(&mut cases);
    connect::add(&mut cases);
    connack::add(&mut cases);
    publish::add(&mut cases);
    acks::add(&mut cases);
    subscribe::add(&mut cases);
    disconnect::add(&mut cases);
    topics::add(&mut cases);
    runner::run(&["decoder", "encoder"], cases);
}
