//! Re-authentication on a live connection (section 4.12.1).

mod pair;

use std::time::Duration;

use mqtt_session::auth::{AuthError, AuthStep};
use mqtt_session::proto::{Disconnect, Outbox, Packet, PacketType, QoS, ReasonCode};
use mqtt_session::{Cause, ConnectionError, Fault, Outcome, Phase, ReauthenticateError, Timeouts};
use pair::exchange::*;
use pair::raw::{Raw, at_least_once};
use pair::{VERSIONS, config};

#[test]
fn a_re_authentication_begins_with_the_method_of_connect_and_messages_flow_meanwhile() {
    let mut raw = authenticated();
    let token = raw.session.reauthenticate(raw.now).unwrap();
    let (id, begin) = step(&mut raw);
    let method = METHOD.to_owned();
    let again = true;
    assert_eq!(begin, AuthStep::Begin { method, again });
    let published = raw.publish(QoS::AtLeastOnce, b"one");
    assert_eq!(raw.lines(), ["PUBLISH 1"]);
    raw.session.handle_auth(raw.now, id, Ok("me again".into()));
    let reason = ReasonCode::RE_AUTHENTICATE;
    assert_eq!(raw.packets(), [auth(reason, with_data("me again"))]);
    raw.feed_ack(PacketType::PubAck, 1);
    assert!(raw.outcome(published).is_some());
    raw.feed(&challenge("who?"));
    raw.feed_publish("a", at_least_once(9), b"flows");
    assert_eq!(raw.take_and_ack(), b"flows");
    assert_eq!(raw.lines(), ["PUBACK 9"]);
    let (id, _) = step_of(&raw);
    raw.session.handle_auth(raw.now, id, Ok("me".into()));
    assert_eq!(raw.packets(), [auth(CONTINUE, with_data("me"))]);
    raw.feed(&success("welcome"));
    assert_eq!(outcome(&raw, token), None);
    answer(&mut raw, "");
    assert_eq!(outcome(&raw, token), Some(Ok(())));
    assert!(raw.losses().is_empty());
    // And once more.
    raw.session.reauthenticate(raw.now).unwrap();
}

#[test]
fn a_re_authentication_needs_a_method_and_a_connection_and_is_alone() {
    let error = |raw: &mut Raw| raw.session.reauthenticate(raw.now).unwrap_err();
    for version in VERSIONS {
        let mut raw = Raw::connected(config(version));
        // [MQTT-4.12.0-7]
        assert_eq!(error(&mut raw), ReauthenticateError::NoMethod);
    }
    let mut raw = Raw::new(authenticating());
    assert_eq!(error(&mut raw), ReauthenticateError::NotConnected);
    let mut raw = begun();
    assert_eq!(error(&mut raw), ReauthenticateError::NotConnected);
    let (mut raw, _) = again();
    assert_eq!(error(&mut raw), ReauthenticateError::InProgress);
    raw.session
        .disconnect(raw.now, Default::default(), Duration::ZERO)
        .expect("a good DISCONNECT");
    assert_eq!(error(&mut raw), ReauthenticateError::Closed);
}

#[test]
fn a_refused_re_authentication_ends_the_connection_and_the_caller_is_told_why() {
    let (mut raw, token) = again();
    raw.feed(&Packet::Disconnect(Disconnect::new(
        ReasonCode::NOT_AUTHORIZED,
    )));
    let loss = raw.last_loss();
    assert!(
        matches!(&loss, ConnectionError::Disconnected { reason, .. } if *reason == ReasonCode::NOT_AUTHORIZED)
    );
    let lost = ReauthenticateError::Lost(Box::new(loss));
    assert_eq!(outcome(&raw, token), Some(Err(lost)));
    raw.hang_up();
    assert!(raw.session.is_closed());
}

#[test]
fn a_re_authentication_that_does_not_satisfy_us_ends_the_connection() {
    let (mut raw, token) = again();
    raw.feed(&success("forged"));
    let (id, _) = step(&mut raw);
    let error = AuthError::Signature;
    raw.session.handle_auth(raw.now, id, Err(error.clone()));
    raw.poll();
    let addr = server();
    let wanted = ConnectionError::Authentication { addr, error };
    let lost = ReauthenticateError::Lost(Box::new(wanted.clone()));
    assert_eq!(outcome(&raw, token), Some(Err(lost)));
    ends(raw, &wanted, "DISCONNECT 0x80");
}

#[test]
fn a_connection_that_is_lost_or_closed_during_a_re_authentication_ends_it() {
    let (mut raw, token) = again();
    raw.closed(Cause::ConnectionReset);
    let lost = ReauthenticateError::Lost(Box::new(raw.last_loss()));
    assert_eq!(outcome(&raw, token), Some(Err(lost)));

    let (mut raw, token) = again();
    raw.session
        .disconnect(raw.now, Default::default(), Duration::ZERO)
        .expect("a good DISCONNECT");
    raw.hang_up();
    let closed = ReauthenticateError::Closed;
    assert_eq!(outcome(&raw, token), Some(Err(closed)));
}

#[test]
fn a_server_that_leaves_a_re_authentication_unanswered_is_left() {
    let (mut raw, token) = again();
    raw.advance(Duration::from_secs(30));
    let addr = server();
    let after = Duration::from_secs(30);
    let wanted = ConnectionError::NoAuth { addr, after };
    assert_eq!(wanted.fault(), Fault::Peer);
    let lost = ReauthenticateError::Lost(Box::new(wanted.clone()));
    assert_eq!(outcome(&raw, token), Some(Err(lost)));
    ends(raw, &wanted, "DISCONNECT 0x80");
}

#[test]
fn an_authenticator_may_take_its_time_while_messages_flow_and_pings_go_out() {
    let mut timeouts = Timeouts::default();
    timeouts.auth = Duration::from_secs(120);
    let config = authenticating()
        .keep_alive(Duration::from_secs(10))
        .timeouts(timeouts);
    let mut raw = opened(config);
    answer(&mut raw, "me");
    raw.feed(&connack(with_data("welcome")));
    answer(&mut raw, "");
    raw.session.reauthenticate(raw.now).expect("it begins");
    answer(&mut raw, "me again");
    raw.feed(&challenge("who?"));
    for _ in 0..12 {
        raw.advance(Duration::from_secs(5));
        raw.feed(&Packet::PingResp);
    }
    raw.packets();
    let (attempt, _) = step_of(&raw);
    let answered = Ok("still me".as_bytes().into());
    raw.session.handle_auth(raw.now, attempt, answered);
    assert_eq!(raw.lines(), ["AUTH"]);
    assert_eq!(raw.session.phase(), Phase::Connected);
}

/// What lies before a message counts, or else it would be taken for written too early, or too late.
#[test]
fn a_message_behind_auth_is_sent_over_the_next_connection_where_nothing_of_it_has_left() {
    let publish = b"\x30\x05\x00\x01a\x00x";
    for (left, outcome) in [(0, None), (1, Some(Outcome::ConnectionLost))] {
        let mut raw = authenticated();
        raw.session.reauthenticate(raw.now).expect("it begins");
        let (id, _) = step(&mut raw);
        raw.session.handle_auth(raw.now, id, Ok("me again".into()));
        let token = raw.publish(QoS::AtMostOnce, b"x");
        let mut out = Outbox::new();
        assert!(raw.session.poll_transmit(raw.now, &mut out));
        let bytes = out.to_vec();
        assert!(bytes.ends_with(publish), "{bytes:?}");
        let auth = bytes.len() - publish.len();
        raw.session.handle_written(raw.now, auth + left);
        raw.closed(Cause::ConnectionReset);
        assert_eq!(raw.outcome(token), outcome);
        raw.wait_for_dial();
        let attempt = raw.attempt.expect("an attempt");
        raw.input.clear();
        raw.session.handle_opened(raw.now, attempt);
        answer(&mut raw, "me");
        raw.packets();
        raw.feed(&connack(with_data("welcome")));
        answer(&mut raw, "");
        let again = if left == 0 { vec!["PUBLISH"] } else { vec![] };
        assert_eq!(raw.lines(), again, "{left} bytes of it have left");
    }
}
