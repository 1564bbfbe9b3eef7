//! Several addresses of one name, dialled as RFC 8305 says.

mod pair;

use std::net::SocketAddr;
use std::time::Duration;

use mqtt_session::proto::{Properties, Version};
use mqtt_session::{
    Action, Cause, ConfigBuilder, ConfigError, ConnectionError, Event, Limits, Phase, Timeouts,
};
use pair::config;
use pair::raw::Raw;

const NONE: Properties = Properties::new();
const STAGGER: Duration = Duration::from_millis(250);
const MS: Duration = Duration::from_millis(1);

fn addrs(texts: &[&str]) -> Vec<SocketAddr> {
    let parse = |text: &&str| text.parse().expect("an address");
    texts.iter().map(parse).collect()
}

/// Two of each family, the first of version 6.
fn four() -> Vec<SocketAddr> {
    addrs(&[
        "[2001:db8::1]:1883",
        "[2001:db8::2]:1883",
        "192.0.2.1:1883",
        "192.0.2.2:1883",
    ])
}

/// The same in the order in which they are to be dialled.
fn interleaved() -> Vec<SocketAddr> {
    let four = four();
    vec![four[0], four[2], four[1], four[3]]
}

/// A session that was told these addresses.
fn resolved(config: ConfigBuilder, found: Vec<SocketAddr>) -> Raw {
    let mut raw = Raw::at(config, "broker.example");
    raw.session.start(raw.now);
    raw.poll();
    let attempt = raw.attempt.expect("an attempt");
    raw.session.handle_resolved(raw.now, attempt, Ok(found));
    raw.poll();
    raw
}

fn cancelled(raw: &Raw) -> usize {
    let cancels = raw.actions.iter();
    cancels
        .filter(|action| matches!(action, Action::Cancel { .. }))
        .count()
}

#[test]
fn families_take_turns_beginning_with_that_of_the_first_address() {
    let mut raw = resolved(config(Version::V5), four());
    raw.advance(STAGGER * 3);
    assert_eq!(raw.dials(), interleaved());

    let v4_first = addrs(&["192.0.2.1:1883", "192.0.2.2:1883", "[2001:db8::1]:1883"]);
    let mut raw = resolved(config(Version::V5), v4_first.clone());
    raw.advance(STAGGER * 3);
    assert_eq!(raw.dials(), [v4_first[0], v4_first[2], v4_first[1]]);
}

#[test]
fn an_address_that_is_told_twice_is_dialled_once() {
    let twice = addrs(&["192.0.2.1:1883", "192.0.2.1:1883", "192.0.2.2:1883"]);
    let mut raw = resolved(config(Version::V5), twice.clone());
    raw.advance(STAGGER * 3);
    assert_eq!(raw.dials(), twice[1..]);
}

#[test]
fn the_next_address_is_dialled_beside_a_silent_one_after_a_quarter_of_a_second() {
    let mut raw = resolved(config(Version::V5), four());
    raw.advance(STAGGER - MS);
    assert_eq!(raw.dials(), interleaved()[..1]);
    raw.advance(MS);
    assert_eq!(raw.dials(), interleaved()[..2]);
    assert_eq!(cancelled(&raw), 0, "the first may still win");
    raw.advance(STAGGER);
    assert_eq!(raw.dials(), interleaved()[..3]);
}

#[test]
fn the_first_stream_that_opens_wins_and_the_other_dials_are_cancelled() {
    for winner in 0..3 {
        let mut raw = resolved(config(Version::V5), four());
        raw.advance(STAGGER * 2);
        let attempts: Vec<_> = raw.dials().iter().map(|addr| raw.dial_to(*addr)).collect();
        assert_eq!(attempts.len(), 3);
        raw.session.handle_opened(raw.now, attempts[winner]);
        raw.poll();
        for (at, attempt) in attempts.iter().enumerate() {
            let cancel = Action::Cancel { attempt: *attempt };
            assert_eq!(raw.actions.contains(&cancel), at != winner);
        }
        raw.accept(false, NONE);
        let addr = interleaved()[winner];
        assert!(
            matches!(raw.events.last(), Some(Event::Connected { addr: a, .. }) if *a == addr),
            "{:?}",
            raw.events
        );
        // The losers open or fail all the same, later: nothing comes of it.
        for attempt in attempts
            .iter()
            .filter(|attempt| **attempt != attempts[winner])
        {
            raw.session.handle_opened(raw.now, *attempt);
            raw.session
                .handle_closed(raw.now, *attempt, Cause::ConnectionReset);
        }
        assert_eq!(raw.session.phase(), Phase::Connected);
        raw.advance(STAGGER * 10);
        assert_eq!(raw.dials().len(), 3, "nobody else is dialled");
    }
}

#[test]
fn a_dial_that_fails_makes_room_for_the_next_at_once_and_the_stagger_begins_anew() {
    let mut raw = resolved(config(Version::V5), four());
    raw.advance(STAGGER / 2);
    raw.closed(Cause::ConnectionRefused);
    assert_eq!(raw.dials(), interleaved()[..2]);
    raw.advance(STAGGER - MS);
    assert_eq!(raw.dials(), interleaved()[..2]);
    raw.advance(MS);
    assert_eq!(raw.dials(), interleaved()[..3]);
    assert!(raw.losses().is_empty());
}

#[test]
fn no_more_addresses_are_dialled_at_the_same_time_than_the_limit_allows() {
    let mut limits = Limits::default();
    limits.max_dials = 2;
    let mut raw = resolved(config(Version::V5).limits(limits), four());
    raw.advance(STAGGER * 8);
    assert_eq!(raw.dials(), interleaved()[..2]);
    let first = raw.dial_to(interleaved()[0]);
    raw.session
        .handle_closed(raw.now, first, Cause::Unreachable);
    raw.poll();
    assert_eq!(raw.dials(), interleaved()[..3]);
    // Each dial has its own time.
    raw.advance(Duration::from_secs(10));
    assert_eq!(raw.dials(), interleaved());
    assert_eq!(cancelled(&raw), 2);
}

#[test]
fn when_every_address_has_failed_the_error_names_the_last_one_that_did() {
    let mut raw = resolved(config(Version::V5), four());
    raw.advance(STAGGER * 3);
    for addr in four().into_iter().rev() {
        assert!(raw.losses().is_empty());
        let attempt = raw.dial_to(addr);
        raw.session
            .handle_closed(raw.now, attempt, Cause::ConnectionRefused);
    }
    let ConnectionError::Dial { addr, after, .. } = raw.last_loss() else {
        panic!("{:?}", raw.losses())
    };
    assert_eq!((addr, after), (four()[0].into(), STAGGER * 3));
    assert_eq!(raw.session.phase(), Phase::Waiting);
}

#[test]
fn a_dial_that_the_driver_has_not_begun_is_taken_back_without_a_word() {
    let mut raw = resolved(config(Version::V5), four());
    let first = raw.attempt.expect("an attempt");
    raw.now = raw.now + STAGGER;
    raw.session.handle_timeout(raw.now);
    // The second dial waits to be polled when the first one opens.
    assert!(raw.session.has_action());
    raw.session.handle_opened(raw.now, first);
    assert!(!raw.session.has_action());
}

#[test]
fn disconnecting_cancels_all_dials() {
    let mut raw = resolved(config(Version::V5), four());
    raw.advance(STAGGER * 2);
    raw.session
        .disconnect(raw.now, Default::default(), Duration::ZERO)
        .expect("a good DISCONNECT");
    raw.poll();
    assert_eq!(cancelled(&raw), 3);
    assert!(raw.session.is_closed());
}

#[test]
fn the_stagger_is_as_configured_and_not_below_ten_milliseconds() {
    let with = |dial_stagger| {
        let mut timeouts = Timeouts::default();
        timeouts.dial_stagger = dial_stagger;
        config(Version::V5).timeouts(timeouts)
    };
    let mut raw = resolved(with(MS * 100), four());
    raw.advance(MS * 199);
    assert_eq!(raw.dials().len(), 2);
    let error = with(MS * 9).build().expect_err("too short");
    assert!(matches!(error, ConfigError::TooShort { .. }));
    assert_eq!(
        error.to_string(),
        "timeouts.dial_stagger may not be below 10ms"
    );
}
