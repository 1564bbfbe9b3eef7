//! Looking a name up and opening a byte stream: what can go wrong, and what is tried next.

mod pair;

use std::net::SocketAddr;
use std::time::Duration;

use mqtt_session::proto::{Properties, Version};
use mqtt_session::{Action, Cause, ConnectionError, Fault, Phase};
use pair::config;
use pair::raw::Raw;

const MS: Duration = Duration::from_millis(1);

fn addresses() -> Vec<SocketAddr> {
    ["192.0.2.1:1883", "[2001:db8::1]:1883", "192.0.2.3:1883"]
        .map(|addr| addr.parse().expect("an address"))
        .into()
}

/// Begins to look up a name.
fn resolving() -> Raw {
    let mut raw = Raw::at(config(Version::V5), "broker.example");
    raw.session.start(raw.now);
    raw.poll();
    let [
        Action::Resolve {
            host, port: 1883, ..
        },
    ] = raw.actions.as_slice()
    else {
        panic!("{:?}", raw.actions)
    };
    assert_eq!(host, "broker.example");
    raw
}

#[test]
fn a_name_that_is_unknown_and_one_without_address_are_told_apart() {
    let mut raw = resolving();
    let attempt = raw.attempt.expect("an attempt");
    raw.advance(MS * 20);
    raw.session
        .handle_resolved(raw.now, attempt, Err(Cause::Other("no such host".into())));
    let error = raw.last_loss();
    let text = "the name \"broker.example\" could not be looked up after 20 ms: no such host";
    assert_eq!(error.to_string(), text);
    assert_eq!(error.fault(), Fault::Network);

    let mut raw = resolving();
    let attempt = raw.attempt.expect("an attempt");
    raw.session
        .handle_resolved(raw.now, attempt, Ok(Vec::new()));
    assert_eq!(
        raw.last_loss().to_string(),
        "the name \"broker.example\" has no address (asked for 0 s)"
    );
}

#[test]
fn a_lookup_that_does_not_end_is_cancelled() {
    let mut raw = resolving();
    let attempt = raw.attempt.expect("an attempt");
    raw.advance(Duration::from_secs(10));
    assert!(raw.actions.contains(&Action::Cancel { attempt }));
    assert!(matches!(
        raw.last_loss(),
        ConnectionError::Resolve {
            cause: Cause::TimedOut,
            ..
        }
    ));
    // What comes late for it is of no interest.
    raw.session
        .handle_resolved(raw.now, attempt, Ok(addresses()));
    raw.poll();
    assert!(raw.dials().is_empty() || raw.session.phase() == Phase::Waiting);
}

#[test]
fn addresses_are_tried_in_order_and_the_error_names_the_last() {
    let mut raw = resolving();
    let attempt = raw.attempt.expect("an attempt");
    raw.session
        .handle_resolved(raw.now, attempt, Ok(addresses()));
    raw.poll();
    raw.closed(Cause::ConnectionRefused);
    raw.closed(Cause::Unreachable);
    assert_eq!(raw.dials(), addresses());
    assert!(raw.losses().is_empty(), "the round goes on");
    raw.advance(MS * 5);
    raw.closed(Cause::ConnectionRefused);
    assert_eq!(
        raw.last_loss().to_string(),
        "192.0.2.3:1883 could not be reached after 5 ms: connection refused"
    );
    assert_eq!(raw.session.phase(), Phase::Waiting);
}

#[test]
fn a_dial_that_does_not_end_is_cancelled_and_what_comes_late_means_nothing() {
    let mut raw = Raw::new(config(Version::V5));
    raw.session.start(raw.now);
    raw.poll();
    let attempt = raw.attempt.expect("an attempt");
    raw.advance(Duration::from_secs(10));
    assert!(raw.actions.contains(&Action::Cancel { attempt }));
    let cause = Cause::TimedOut;
    assert!(matches!(raw.last_loss(), ConnectionError::Dial { cause: c, .. } if c == cause));
    raw.session.handle_opened(raw.now, attempt);
    assert_eq!(raw.session.phase(), Phase::Waiting);
}

#[test]
fn every_round_looks_the_name_up_again() {
    let mut raw = resolving();
    for round in 1..4 {
        let attempt = raw.attempt.expect("an attempt");
        raw.session
            .handle_resolved(raw.now, attempt, Ok(Vec::new()));
        raw.poll();
        raw.next_timer();
        let lookups = raw
            .actions
            .iter()
            .filter(|action| matches!(action, Action::Resolve { .. }))
            .count();
        assert_eq!(lookups, round + 1);
    }
}

#[test]
fn what_is_told_of_an_attempt_that_is_over_means_nothing_whatever_the_session_does() {
    let stale = |raw: &mut Raw, attempt| {
        let (now, events) = (raw.now, raw.events.len());
        let before = raw.session.phase();
        raw.session.handle_opened(now, attempt);
        raw.session.handle_closed(now, attempt, Cause::Eof);
        raw.poll();
        assert_eq!(raw.session.phase(), before);
        assert_eq!(raw.events.len(), events, "{:?}", raw.events);
    };
    let mut raw = Raw::new(config(Version::V5));
    raw.session.start(raw.now);
    raw.poll();
    let first = raw.attempt.expect("an attempt");
    raw.closed(Cause::ConnectionRefused);
    stale(&mut raw, first);
    raw.wait_for_dial();
    stale(&mut raw, first);
    // The stream is open, and carries no MQTT yet.
    let second = raw.attempt.expect("an attempt");
    raw.session.handle_dialled(raw.now, second);
    stale(&mut raw, first);
    assert_eq!(raw.session.phase(), Phase::Connecting);
    raw.session.handle_opened(raw.now, second);
    stale(&mut raw, first);
    raw.accept(false, Properties::new());
    stale(&mut raw, first);
    raw.session
        .disconnect(raw.now, Default::default(), Duration::ZERO)
        .expect("a good DISCONNECT");
    raw.poll();
    stale(&mut raw, first);
    assert_eq!(raw.session.phase(), Phase::Closing);
}
