//! Keep-alive: PINGREQ in time, whatever else goes on, and a dead peer that is found out.

mod pair;

use std::time::Duration;

use mqtt_session::proto::{Flow, Packet, Properties, QoS, Version};
use mqtt_session::{ConfigBuilder, ConnectionError, Instant, Phase, Timeouts};
use mqtt_testkit::{Direction, LogEvent};
use pair::raw::Raw;
use pair::{Pair, VERSIONS, config};

const NONE: Properties = Properties::new();

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn every(version: Version, keep_alive: u64) -> ConfigBuilder {
    config(version).keep_alive(seconds(keep_alive))
}

fn server_keep_alive(seconds: u16) -> Properties {
    Properties::builder()
        .server_keep_alive(seconds)
        .build()
        .expect("good properties")
}

/// When PINGREQs went, in milliseconds, over so many seconds in which each is answered.
fn pings(raw: &mut Raw, over: u64) -> Vec<u128> {
    let mut pings = Vec::new();
    raw.packets();
    let end = raw.now + seconds(over);
    while let Some(at) = raw.session.poll_timeout().filter(|at| *at <= end) {
        raw.advance(at - raw.now);
        if raw.lines().contains(&"PINGREQ".to_owned()) {
            pings.push((raw.now - Instant::ZERO).as_millis());
            raw.feed(&Packet::PingResp);
        }
    }
    raw.advance(end - raw.now);
    pings
}

/// The times of PINGREQ in the broker's log, in milliseconds.
fn logged_pings(pair: &Pair) -> Vec<u128> {
    let entries = pair.broker.log().iter().filter(|entry| match &entry.event {
        LogEvent::Packet(Direction::ToBroker, summary) => summary.to_string() == "PINGREQ",
        _ => false,
    });
    entries.map(|entry| entry.time.as_millis()).collect()
}

#[test]
fn an_idle_connection_pings_at_three_quarters_of_the_interval() {
    for version in VERSIONS {
        let mut raw = Raw::connected(every(version, 60));
        assert_eq!(pings(&mut raw, 140), [45_000, 90_000, 135_000]);
        assert_eq!(raw.session.stats().pings, 3);
        assert_eq!(raw.session.phase(), Phase::Connected);
    }
}

#[test]
fn publishing_all_the_time_does_not_hide_that_nothing_comes_back() {
    let mut pair = Pair::connected(every(Version::V5, 60));
    for _ in 0..140 {
        pair.publish("a", QoS::AtMostOnce, b"");
        pair.run_for(seconds(1));
    }
    assert_eq!(logged_pings(&pair), [45_000, 90_000, 135_000]);
    pair.check();
}

#[test]
fn receiving_all_the_time_does_not_stop_our_pings() {
    let mut pair = Pair::connected(every(Version::V5, 60));
    pair.subscribe("a", QoS::AtMostOnce);
    pair.run();
    for _ in 0..140 {
        pair.broker
            .publish(pair.clock.now(), &pair::message("a", b""), QoS::AtMostOnce);
        pair.run_for(seconds(1));
        pair.take_all();
    }
    assert_eq!(logged_pings(&pair), [45_000, 90_000, 135_000]);
    pair.check();
}

#[test]
fn a_connection_that_is_busy_both_ways_does_not_ping() {
    let mut pair = Pair::connected(every(Version::V5, 10));
    for _ in 0..100 {
        pair.publish("a", QoS::AtLeastOnce, b"");
        pair.run_for(seconds(1));
    }
    assert_eq!(logged_pings(&pair), Vec::<u128>::new());
    pair.check();
}

#[test]
fn server_keep_alive_replaces_the_interval() {
    let mut raw = Raw::connected_with(every(Version::V5, 60), server_keep_alive(20));
    assert_eq!(pings(&mut raw, 40), [15_000, 30_000]);
    let mut raw = Raw::connected_with(every(Version::V5, 0), server_keep_alive(20));
    assert_eq!(pings(&mut raw, 40), [15_000, 30_000]);
}

#[test]
fn without_keep_alive_a_peer_that_is_silent_is_asked_after_the_liveness_timeout() {
    for (mut raw, case) in [
        (Raw::connected(every(Version::V5, 0)), "our own 0"),
        (
            Raw::connected_with(every(Version::V5, 60), server_keep_alive(0)),
            "the server's 0",
        ),
    ] {
        assert_eq!(pings(&mut raw, 650), [300_000, 600_000], "{case}");
    }
    // What we write does not count: it proves nothing.
    let mut raw = Raw::connected(every(Version::V5, 0));
    for _ in 0..29 {
        raw.advance(seconds(10));
        raw.publish(QoS::AtMostOnce, b"");
    }
    assert!(!raw.lines().contains(&"PINGREQ".to_owned()));
    raw.advance(seconds(10));
    assert_eq!(raw.lines(), ["PINGREQ"]);
}

#[test]
fn a_ping_that_is_not_answered_ends_the_connection_after_the_timeout() {
    for version in VERSIONS {
        let mut raw = Raw::connected(every(version, 60));
        raw.advance(Duration::from_millis(54_999));
        assert_eq!(raw.session.phase(), Phase::Connected);
        raw.advance(Duration::from_millis(1));
        assert!(
            matches!(raw.last_loss(), ConnectionError::NoPingResp { after, .. } if after == seconds(10))
        );
        assert_eq!(raw.lines(), ["PINGREQ"], "and no DISCONNECT to nobody");
        assert!(!raw.hang_up());
    }
}

#[test]
fn other_bytes_extend_the_wait_for_pingresp_by_one_interval_at_most() {
    let mut raw = Raw::connected(every(Version::V5, 60));
    raw.advance(seconds(45));
    assert_eq!(raw.lines(), ["PINGREQ"]);
    for _ in 0..54 {
        raw.advance(seconds(1));
        raw.feed_publish("a", Flow::AtMostOnce, b"");
        assert_eq!(raw.session.phase(), Phase::Connected);
    }
    raw.advance(seconds(1));
    assert!(
        matches!(raw.last_loss(), ConnectionError::NoPingResp { after, .. } if after == seconds(55))
    );
}

#[test]
fn the_clock_of_pingresp_starts_when_the_ping_was_written() {
    let mut raw = Raw::connected(every(Version::V5, 60));
    let mut out = mqtt_session::proto::Outbox::new();
    raw.now = raw.now + seconds(45);
    raw.session.handle_timeout(raw.now);
    assert!(raw.session.poll_transmit(raw.now, &mut out));
    // It takes the system 20 seconds to take two bytes.
    raw.now = raw.now + seconds(20);
    raw.session.handle_timeout(raw.now);
    raw.session.handle_written(raw.now, out.len());
    raw.advance(Duration::from_millis(9_999));
    assert_eq!(raw.session.phase(), Phase::Connected);
    raw.advance(Duration::from_millis(1));
    assert!(
        matches!(raw.last_loss(), ConnectionError::NoPingResp { after, .. } if after == seconds(10))
    );
}

#[test]
fn a_ping_that_was_out_when_the_connection_was_lost_means_nothing_to_the_next_one() {
    let mut raw = Raw::connected(every(Version::V5, 60));
    raw.advance(seconds(50));
    assert_eq!(raw.lines(), ["PINGREQ"]);
    raw.reconnect(true, NONE);
    let connected_at = raw.now;
    raw.packets();
    let pings = pings(&mut raw, 100);
    let first = (connected_at - Instant::ZERO + seconds(45)).as_millis();
    assert_eq!(pings, [first, first + 45_000]);
}

#[test]
fn a_half_open_connection_is_found_out_in_either_direction() {
    for version in VERSIONS {
        for direction in Direction::BOTH {
            let mut pair = Pair::connected(every(version, 10).clean_start(false));
            pair.link().half_open(direction);
            let token = pair.publish("a", QoS::AtLeastOnce, b"x");
            // 7.5 s of silence, 10 s for the answer, 1 s until the next attempt.
            pair.run_for(seconds(19));
            assert!(
                pair.outcome(token)
                    .is_some_and(|outcome| outcome.is_success()),
                "{version} {direction:?}"
            );
            assert_eq!(pair.session.stats().connections, 2);
        }
    }
}

#[test]
fn a_peer_that_stops_reading_is_found_out_although_the_ping_never_leaves() {
    for version in VERSIONS {
        let mut raw = Raw::connected(every(version, 10));
        let mut out = mqtt_session::proto::Outbox::new();
        raw.publish(QoS::AtMostOnce, &[0; 100]);
        while raw.session.phase() == Phase::Connected {
            raw.session.poll_transmit(raw.now, &mut out);
            raw.now = raw.session.poll_timeout().expect("a deadline");
            raw.session.handle_timeout(raw.now);
        }
        // 7.5 s of silence, another interval for the ping to leave, and 10 s for its answer.
        assert_eq!(raw.now, Instant::ZERO + seconds(25));
        assert!(matches!(
            raw.last_loss(),
            ConnectionError::NoPingResp { .. }
        ));
    }
}

#[test]
fn pings_go_on_while_the_application_takes_no_messages() {
    let mut limits = mqtt_session::Limits::default();
    limits.inbox_bytes = 100;
    let mut pair = Pair::connected(every(Version::V5, 10).limits(limits));
    pair.subscribe("a", QoS::AtMostOnce);
    pair.run();
    for _ in 0..60 {
        pair.broker.publish(
            pair.clock.now(),
            &pair::message("a", &[0; 90]),
            QoS::AtMostOnce,
        );
        pair.run_for(seconds(1));
    }
    assert_eq!(pair.session.phase(), Phase::Connected, "{:?}", pair.events);
    assert!(logged_pings(&pair).len() >= 5, "{}", pair.broker.ladder());
    pair.check();
}

#[test]
fn the_timeout_is_as_configured() {
    let mut timeouts = Timeouts::default();
    timeouts.pingresp = seconds(2);
    timeouts.liveness = seconds(30);
    let mut raw = Raw::connected(every(Version::V5, 0).timeouts(timeouts));
    raw.advance(seconds(32));
    assert!(
        matches!(raw.last_loss(), ConnectionError::NoPingResp { after, .. } if after == seconds(2))
    );
}

#[test]
fn a_call_without_new_bytes_is_no_sign_of_life() {
    let mut raw = Raw::connected(every(Version::V5, 60));
    // A part of a packet, which is there again each time.
    raw.bytes_in(&[0xD0]);
    for _ in 1..45 {
        raw.advance(seconds(1));
        raw.publish(QoS::AtMostOnce, b"");
        raw.bytes_in(&[]);
        assert!(!raw.lines().contains(&"PINGREQ".to_owned()));
    }
    raw.advance(seconds(1));
    assert_eq!(raw.lines(), ["PINGREQ"]);
}

#[test]
fn where_nothing_was_written_a_ping_is_due_however_often_that_is_told() {
    let mut raw = Raw::connected(every(Version::V5, 60));
    for _ in 1..45 {
        raw.advance(seconds(1));
        raw.feed_publish("a", Flow::AtMostOnce, b"");
        raw.session.handle_written(raw.now, 0);
        assert!(raw.packets().is_empty());
    }
    raw.advance(seconds(1));
    assert_eq!(raw.lines(), ["PINGREQ"]);
}

#[test]
fn without_keep_alive_a_peer_that_sends_something_is_not_asked_whether_it_is_there() {
    let mut raw = Raw::connected(every(Version::V5, 0));
    raw.packets();
    for _ in 0..20 {
        raw.advance(seconds(100));
        raw.feed_publish("a", Flow::AtMostOnce, b"");
        assert_eq!(raw.lines(), Vec::<String>::new());
    }
}
