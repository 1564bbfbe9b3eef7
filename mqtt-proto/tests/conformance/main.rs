//! One trial or more for each normative statement that a decoder or an encoder can check, named by the statement's identifier.
//!
//! The tables in `docs/conformance` list the statements. The trials `the table of ... is covered` fail when a statement of the
//! area decoder or encoder has no trial here, or a trial names a statement that does not exist.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[path = "../common/mod.rs"]
mod common;

mod acks;
mod cases;
mod connack;
mod connect;
mod disconnect;
mod header;
mod publish;
mod strings;
mod subscribe;
mod table;
mod topics;

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let mut cases = cases::Cases::default();
    strings::add(&mut cases);
    header::add(&mut cases);
    connect::add(&mut cases);
    connack::add(&mut cases);
    publish::add(&mut cases);
    acks::add(&mut cases);
    subscribe::add(&mut cases);
    disconnect::add(&mut cases);
    topics::add(&mut cases);
    let trials = table::with_coverage(cases.into_inner());
    libtest_mimic::run(&arguments, trials).exit();
}
