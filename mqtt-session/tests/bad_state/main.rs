//! States in which other clients got stuck, lost messages, grew or died (the entries 12 to 19 on states of a list that was gathered from
//! their issue threads), and calls that can't work. Each test says what is answered, what is told, that memory stays within its bound,
//! and that the next connection is clean.

#[path = "../pair/mod.rs"]
mod pair;

mod aliases;
mod calls;
mod flood;
mod identifiers;
mod limits;
mod packets;
mod qos2;
mod reconnect;
mod silence;

use mqtt_session::proto::{Properties, QoS, Version};
use mqtt_session::{Capacity, ConfigBuilder, Limits, Outcome, Phase};
use pair::raw::{Raw, at_least_once};

const NONE: Properties = Properties::new();

/// A session that outlives its connection in each version.
fn lasting(version: Version) -> ConfigBuilder {
    pair::config(version).clean_start(false)
}

/// The session has hung up or lost its stream; the next connection works in both directions as if nothing had been.
fn assert_next_is_clean(raw: &mut Raw, session_present: bool) {
    if raw.session.phase() == Phase::Closing {
        raw.hang_up();
    }
    raw.wait_for_dial();
    raw.open();
    raw.accept(session_present, NONE);
    assert_eq!(raw.session.phase(), Phase::Connected);
    raw.packets();
    let token = raw.publish(QoS::AtMostOnce, b"out");
    raw.poll();
    assert_eq!(raw.outcome(token), Some(Outcome::Written));
    raw.feed_publish("next", at_least_once(65_000), b"in");
    assert_eq!(raw.take_and_ack(), b"in");
    assert!(raw.lines().contains(&"PUBACK 65000".to_owned()));
    assert!(raw.session.wants_read());
}

/// Nothing that was accepted is held any more.
fn assert_all_given_back(raw: &Raw) {
    let limits = Limits::default();
    let Capacity {
        messages, bytes, ..
    } = raw.session.publish_capacity();
    assert_eq!(
        (messages, bytes),
        (limits.max_queued, limits.outgoing_bytes)
    );
}

/// The packet identifiers in lines such as `PUBLISH 7 DUP`.
fn ids(lines: &[String]) -> Vec<u16> {
    lines
        .iter()
        .map(|line| {
            let word = line.split(' ').nth(1).expect("an identifier");
            word.parse().expect("a number")
        })
        .collect()
}
