//! Entry 17: servers that do not let us in, or not for long.

use std::time::Duration;

use mqtt_session::proto::{ConnAck, Packet, QoS, ReasonCode, Version};
use mqtt_session::{Action, Cause, ConnectionError, Phase};

use crate::pair::raw::Raw;
use crate::pair::{Pair, VERSIONS, config};
use crate::{NONE, assert_next_is_clean, lasting};

fn waits(raw: &mut Raw) -> Vec<Duration> {
    raw.losses()
        .into_iter()
        .filter_map(|(_, wait)| wait)
        .collect()
}

fn assert_patient(raw: &mut Raw, count: usize) {
    let waits = waits(raw);
    assert_eq!(waits.len(), count);
    assert!(waits[0] >= Duration::from_millis(500), "{waits:?}");
    assert!(waits.is_sorted(), "{waits:?}");
    assert!(waits[count - 1] >= waits[0] * 8, "{waits:?}");
}

#[test]
fn a_server_that_accepts_the_stream_and_closes_it_is_asked_with_growing_pauses() {
    for version in VERSIONS {
        let mut raw = Raw::new(lasting(version));
        raw.session.start(raw.now);
        for _ in 0..8 {
            raw.open();
            raw.closed(Cause::Eof);
            assert_eq!(raw.session.phase(), Phase::Waiting);
            raw.wait_for_dial();
        }
        assert_patient(&mut raw, 8);
        assert_next_is_clean_from_dial(&mut raw);
    }
}

#[test]
fn a_server_that_accepts_the_stream_and_stays_silent_is_given_up_in_time_and_asked_again() {
    for version in VERSIONS {
        let mut raw = Raw::new(lasting(version));
        raw.session.start(raw.now);
        for _ in 0..8 {
            raw.open();
            raw.advance(Duration::from_secs(10));
            let error = raw.last_loss();
            assert!(
                matches!(error, ConnectionError::NoConnAck { .. }),
                "{error}"
            );
            assert!(!raw.hang_up());
            raw.wait_for_dial();
        }
        assert_patient(&mut raw, 8);
        assert_next_is_clean_from_dial(&mut raw);
    }
}

#[test]
fn a_server_that_is_busy_or_full_is_asked_again_with_growing_pauses() {
    for code in [0x88, 0x89, 0x97, 0x9F] {
        let mut raw = Raw::new(lasting(Version::V5));
        raw.session.start(raw.now);
        for _ in 0..8 {
            raw.open();
            raw.feed(&Packet::ConnAck(ConnAck {
                session_present: false,
                reason: ReasonCode(code),
                properties: NONE,
            }));
            assert!(!raw.hang_up());
            raw.wait_for_dial();
        }
        assert_patient(&mut raw, 8);
        assert_next_is_clean_from_dial(&mut raw);
    }
}

#[test]
fn two_clients_with_one_identifier_do_not_push_each_other_out_for_ever() {
    let mut pair = Pair::connected(config(Version::V5));
    let endpoint = mqtt_session::Endpoint::new("192.0.2.1", 1883);
    let other = mqtt_session::Session::new(config(Version::V5).build().expect("good"), endpoint, 8);
    let conn = pair.conn();
    // The other one comes, as the broker sees it.
    pair.broker
        .disconnect(pair.clock.now(), conn, ReasonCode::SESSION_TAKEN_OVER);
    pair.run_for(Duration::from_secs(1000));
    assert!(pair.session.is_closed());
    assert_eq!(pair.dialled.len(), 1);
    // It is in, and stays.
    pair.session = other;
    pair.connect();
    pair.run_for(Duration::from_secs(1000));
    assert_eq!(pair.session.phase(), Phase::Connected);
    assert_eq!(pair.dialled.len(), 2);
    pair.check();
}

#[test]
fn a_name_that_can_not_be_looked_up_is_asked_for_again_with_growing_pauses() {
    let mut raw = Raw::at(lasting(Version::V5), "broker.example");
    raw.session.start(raw.now);
    raw.poll();
    for _ in 0..8 {
        let attempt = raw.attempt.expect("an attempt");
        let failed = Err(Cause::Other("no such host".into()));
        raw.session.handle_resolved(raw.now, attempt, failed);
        raw.poll();
        let error = raw.last_loss();
        assert!(matches!(error, ConnectionError::Resolve { .. }), "{error}");
        raw.actions.clear();
        raw.next_timer();
        let asked = raw
            .actions
            .iter()
            .any(|action| matches!(action, Action::Resolve { .. }));
        assert!(asked, "{:?}", raw.actions);
    }
    assert_patient(&mut raw, 8);
}

#[test]
fn a_broker_that_is_killed_at_any_byte_of_the_handshake_leaves_a_session_that_connects_afterwards()
{
    for version in VERSIONS {
        let connack: &[u8] = if version.is_v5() {
            &[0x20, 6, 0, 0, 3, 0x21, 0, 10]
        } else {
            &[0x20, 2, 0, 0]
        };
        for cut in 0..=connack.len() {
            let mut raw = Raw::new(lasting(version));
            raw.session.start(raw.now);
            let token = raw.publish(QoS::ExactlyOnce, b"x");
            raw.open();
            raw.bytes_in(&connack[..cut]);
            raw.closed(Cause::ConnectionReset);
            raw.wait_for_dial();
            raw.open();
            raw.accept(true, NONE);
            assert_eq!(raw.session.phase(), Phase::Connected, "{version} {cut}");
            // It went out over the first connection if that one was accepted.
            let lines = raw.lines();
            let dup = cut == connack.len();
            assert_eq!(lines.len(), 1, "{version} {cut}");
            assert_eq!(lines[0].ends_with("DUP"), dup, "{version} {cut}: {lines:?}");
            assert_eq!(raw.outcome(token), None);
            raw.closed(Cause::Eof);
            assert_next_is_clean(&mut raw, true);
        }
    }
}

/// As [`assert_next_is_clean`], where the dial is out already.
fn assert_next_is_clean_from_dial(raw: &mut Raw) {
    raw.closed(Cause::ConnectionRefused);
    assert_next_is_clean(raw, true);
}
