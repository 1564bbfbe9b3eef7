//! Properties that hold for all packets, all splits and all bytes.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[path = "../common/mod.rs"]
mod common;

mod any_bytes;
mod arbitrary;
mod message;
mod outbox;
mod round_trip;
