//! Decode and encode of one packet, a PUBLISH of 5.0 at QoS 1, by our codec, by others, and by a floor that does the least that
//! could be done.
//!
//! - `cargo bench -p codec-bench --bench criterion`: nanoseconds, with Criterion's statistics.
//! - `cargo bench -p codec-bench --bench instructions`: instructions, under Valgrind, where they have a limit.
//! - `cargo run --release -p codec-bench --bin table`: one table of ratios, next to the figures to reach.
//!
//! What is measured, the same way for all: many packets one behind the other in one buffer, decoded one by one and dropped; and a
//! packet that is there encoded many times into an output that has served before. Where a codec takes the packet by value, the
//! copies are made outside of the measurement.

pub mod case;
pub mod contender;
pub mod decode;
pub mod encode;
pub mod rivals;
