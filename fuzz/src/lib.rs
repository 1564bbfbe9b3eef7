//! The bodies of the fuzz targets, as plain functions: the targets in `fuzz_targets` call them, and `tests/corpus.rs` replays
//! the committed inputs through them with a stable compiler.
//!
//! What each target holds to be true is stated at the top of its file in `fuzz_targets`.
#![forbid(unsafe_code)]

pub mod chunked;
mod codec;
pub mod decode;
mod generate;
mod outcome;
pub mod properties;
mod reference;
pub mod round_trip;
pub mod seeds;
pub mod session;
mod set;
pub mod topic_match;
mod wire;

pub use codec::Codec;
pub use outcome::{Reached, ReadOutcome, TopicOutcome};
