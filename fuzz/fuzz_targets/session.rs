//! A session that lives through anything: commands, the network, time and a server that may be right, wrong or mad.
//!
//! The input: four bytes choose version, seed, policies and limits; then each step takes one byte and its arguments.
//!
//! Oracle: a model that sees what passes at the wire and at the API and keeps it in plain maps. Every packet of the client must be
//! one that it may send then (order, identifiers, DUP, flow control, the server's limits, acknowledgements only of what the application
//! has dealt with, nothing after DISCONNECT); a packet that the server may not send ends the connection, and no other does; every accepted
//! message and request is told its end exactly once, and it is the true one; the application is given what came at QoS 1 and 2 once, as it
//! was and in its order, and a ticket is stale where nobody waits for it, and nowhere else; the session comes to rest after each step,
//! and when it is left everything is given back.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    mqtt_fuzz::session::run(data);
});
