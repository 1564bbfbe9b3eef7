//! A session that lives through anything: commands, the network, time and a server that may be right, wrong or mad.
//!
//! The input: four bytes choose version, seed, policies and limits; then each step takes one byte and its arguments.
//!
//! What the server says comes packet by packet, or in reads that hold several, begin and end within one, or bring a byte.
//!
//! Oracle: a model that sees what passes at the wire and at the API and keeps it in plain maps. Every packet of the client must be
//! one that it may send then (order, identifiers, DUP, flow control, the server's limits, acknowledgements only of what the application
//! has dealt with, nothing after DISCONNECT), and none that is due stays away; a packet that the server may not send, or that is one too many,
//! ends the connection, no other does, and nothing behind it in its read is acted on; every accepted message and request is told its end exactly
//! once, and it is the true one; the application is given what came once, as it was and in its order, but for what of QoS 0 there is no room for,
//! and a ticket is stale where nobody waits for it, and nowhere else; the inbox counts what waits and what the application has, and
//! no message keeps a read buffer alive beyond the bound; the session comes to rest after each step, and when it is left everything is given back.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    mqtt_fuzz::session::run(data);
});
