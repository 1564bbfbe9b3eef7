//! How long the session waits between attempts.

mod pair;

use std::time::Duration;

use mqtt_session::proto::{Properties, Version};
use mqtt_session::{Backoff, Cause, Config, Endpoint, Event, Instant, Session};
use pair::config;
use pair::raw::Raw;

const NONE: Properties = Properties::new();

fn delays(raw: &mut Raw) -> Vec<Duration> {
    raw.losses()
        .into_iter()
        .map(|(_, retry_in)| retry_in.expect("a retry"))
        .collect()
}

#[test]
fn the_delay_doubles_from_one_second_to_two_minutes() {
    let mut raw = Raw::new(config(Version::V5));
    raw.session.start(raw.now);
    raw.poll();
    for _ in 0..10 {
        let before = raw.now;
        raw.closed(Cause::ConnectionRefused);
        raw.wait_for_dial();
        let told = delays(&mut raw).pop().expect("a delay");
        assert_eq!(
            raw.now - before,
            told,
            "it dials when it said that it would"
        );
    }
    let expected = [1, 2, 4, 8, 16, 32, 64, 120, 120, 120].map(Duration::from_secs);
    assert_eq!(delays(&mut raw), expected);
}

#[test]
fn delays_are_off_by_a_quarter_at_most_and_differ_between_seeds() {
    let mut firsts = Vec::new();
    for seed in 0..50 {
        let config = Config::builder("client")
            .build()
            .expect("a good configuration");
        let mut session = Session::new(config, Endpoint::new("unknown", 1883), seed);
        let mut now = Instant::ZERO;
        session.start(now);
        let mut got = Vec::new();
        while got.len() < 9 {
            while let Some(action) = session.poll_action() {
                if let mqtt_session::Action::Resolve { attempt, .. } = action {
                    session.handle_resolved(now, attempt, Ok(Vec::new()));
                }
            }
            while let Some(event) = session.poll_event() {
                let Event::Lost {
                    retry_in: Some(delay),
                    ..
                } = event
                else {
                    panic!("{event:?}")
                };
                got.push(delay.as_millis());
            }
            now = session.poll_timeout().expect("a deadline");
            session.handle_timeout(now);
        }
        for (delay, plain) in got.iter().zip([1, 2, 4, 8, 16, 32, 64, 120, 120]) {
            assert!(
                (plain * 750..=plain * 1250).contains(delay),
                "seed {seed}: {delay} ms"
            );
        }
        firsts.push(got[0]);
    }
    firsts.sort_unstable();
    firsts.dedup();
    assert!(firsts.len() > 25, "{firsts:?}");
}

#[test]
fn a_stable_connection_begins_the_delays_anew_and_a_short_one_does_not() {
    for (lasted, expected) in [(5_000, 1), (4_999, 8)] {
        let mut raw = Raw::new(config(Version::V5));
        raw.session.start(raw.now);
        raw.poll();
        for _ in 0..3 {
            raw.closed(Cause::ConnectionRefused);
            raw.wait_for_dial();
        }
        raw.open();
        raw.accept(false, NONE);
        raw.advance(Duration::from_millis(lasted));
        raw.closed(Cause::Eof);
        assert_eq!(delays(&mut raw).pop(), Some(Duration::from_secs(expected)));
    }
}

#[test]
fn a_server_that_accepts_and_closes_at_once_is_not_asked_in_a_tight_loop() {
    for says_connack in [false, true] {
        let mut raw = Raw::connected(config(Version::V5));
        let begin = raw.now;
        let mut attempts = 0;
        while raw.now - begin < Duration::from_secs(600) {
            raw.closed(Cause::Eof);
            raw.wait_for_dial();
            raw.open();
            if says_connack {
                raw.accept(true, NONE);
            }
            attempts += 1;
        }
        assert!(attempts <= 12, "{attempts}");
    }
}

#[test]
fn the_schedule_is_as_configured() {
    let backoff = Backoff {
        first: Duration::from_millis(100),
        longest: Duration::from_millis(300),
        jitter_percent: 0,
        ..Backoff::default()
    };
    let mut raw = Raw::new(config(Version::V5).backoff(backoff));
    raw.session.start(raw.now);
    raw.poll();
    for _ in 0..4 {
        raw.closed(Cause::ConnectionRefused);
        raw.wait_for_dial();
    }
    assert_eq!(
        delays(&mut raw),
        [100, 200, 300, 300].map(Duration::from_millis)
    );
}
