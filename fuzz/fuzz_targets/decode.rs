//! Bytes as they come, read as a stream in all versions and from both senders.
//!
//! Oracle:
//! - nothing panics, neither do `Debug` and `Display` of what comes out;
//! - each call takes exactly the frame that the length at its front tells (computed here a second time), or leaves the input
//!   alone because that frame is not whole, or fails with a reason code that tells of an error;
//! - a PUBLISH, and an acknowledgement of four bytes, come out the same by their own ways through the decoder, which leave all else alone;
//! - a packet that was read is read again under a maximum of its own size, and refused under one byte less;
//! - it is written again as the same bytes, apart from the few fields that have more than one form (`is_a_form_of`), and these are
//!   read as an equal packet. The one exception: the decoder leaves a client identifier that 3.x forbids to the server to
//!   refuse, the encoder refuses it;
//! - a PUBLISH that is taken out of its view loses its topic alias and its subscription identifiers and nothing else; without
//!   these it is written as the same bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    mqtt_fuzz::decode::run(data);
});
