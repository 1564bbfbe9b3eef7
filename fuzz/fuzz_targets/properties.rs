//! The input is a block of properties, which is put into every packet that has properties, from every sender, and into a will.
//!
//! Oracle: `reference.rs` is a second, plain reader of properties, with the tables of sections 2.2.2 and 3 written down once
//! more.
//! - the codec accepts the block where, and only where, the reference does;
//! - the iterator gives what the reference read, to the last byte and in the same order;
//! - `get`, `has`, the typed getters, `user_properties` and `subscription_identifiers` agree with the iterator;
//! - the builder, given the same values, builds the same bytes, and so does its `extend`;
//! - the packet is written again with the same block.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    mqtt_fuzz::properties::run(data);
});
