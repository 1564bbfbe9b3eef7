//! What the example programs share.
//!
//! The programs themselves are in `src/bin`: `demo` is the one to run first, `publish` and
//! `subscribe` are the smallest, `chat` shows a program that people use. The modules here are
//! the parts of them that have nothing to do with an MQTT client: a broker to talk to, a network
//! that breaks on command, and honest counting.

pub mod cli;
pub mod embedded_broker;
pub mod progress;
pub mod proxy;
pub mod report;
pub mod table;
pub mod tally;
pub mod tap;

/// The README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
