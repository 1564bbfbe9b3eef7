//! The model broker, driven by a client that is nothing but the codec; the link, the clock and the generator.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails where it unwraps; clippy knows only the functions marked as tests"
)]

mod client;
mod clock_and_rng;
mod enhanced_authentication;
mod faults;
mod handshake;
mod link;
mod log;
mod publish_rules;
mod receive_rules;
mod resume_rules;
mod routing;
mod script;
mod sessions;
mod subscribing;
