//! One stream, whole and in pieces.
//!
//! The input: one byte chooses version and sender, two are the maximum packet size (0: none), one tells how many bytes of
//! chunk sizes follow (up to 16, used in turn; 0 is a call without new bytes), the rest is the stream.
//!
//! Oracle: the stream as a whole, cut as the input says, and byte by byte all give the same packets, the same error at the end
//! or the same bytes left over. Under a maximum, what waits for its end never grows above that maximum.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    mqtt_fuzz::chunked::run(data);
});
