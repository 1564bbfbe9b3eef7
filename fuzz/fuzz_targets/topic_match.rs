//! The input is a topic filter and a topic, split at the first byte 0xFF (which no UTF-8 text has).
//!
//! Oracle:
//! - `TopicFilter` and `Topic` accept what a second check, character by character, accepts;
//! - `TopicFilter::matches` agrees with a plain recursive matcher over the levels;
//! - the share name and the pattern of a filter are its parts, and a shared filter matches what its pattern matches;
//! - a topic that is taken as a filter matches itself, and `#` matches every topic that does not begin with `$`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    mqtt_fuzz::topic_match::run(data);
});
