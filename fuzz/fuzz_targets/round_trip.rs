//! Packets that are built from the input through the public constructors, in all versions and from both senders.
//!
//! Oracle:
//! - a packet that keeps the rules (`generate.rs` builds these unless the input asks for wild ones) can be written; a wild one
//!   may be refused, and then nothing is written;
//! - `encoded_len`, `publish_len`, the length that is returned and the bytes that are there agree; what waited in the outbox
//!   before stays; the outbox gives the same bytes when it is drained in steps;
//! - the bytes are read as an equal packet; the parts of a PUBLISH are equal, and its topic alias is the one that was asked for;
//! - under a maximum packet size the result is what is written for the first of these that fits: the packet, the packet without
//!   user properties, the packet also without its Reason String (the last two for acknowledgements, DISCONNECT and AUTH only);
//!   if none fits, the error is `PacketTooLarge`. A packet that can't be written at all can't be written under a maximum.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    mqtt_fuzz::round_trip::run(data);
});
