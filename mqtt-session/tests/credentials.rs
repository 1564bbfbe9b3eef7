//! Credentials that the application is asked for before each attempt.

mod pair;

use std::time::Duration;

use mqtt_session::proto::{Connect, Packet, Properties, Version};
use mqtt_session::{
    Action, Attempt, Cause, ConfigBuilder, Connection, ConnectionError, Credentials, Endpoint,
    Fault, Instant, Phase, Servers, Session,
};
use pair::raw::Raw;
use pair::{VERSIONS, config};

const NONE: Properties = Properties::new();

fn asking(version: Version) -> ConfigBuilder {
    config(version)
        .credentials("configured", "stale")
        .ask_for_credentials(true)
}

fn two() -> Servers {
    Servers::new(Endpoint::new("192.0.2.1", 1883)).or(Endpoint::new("192.0.2.2", 1883))
}

/// For which attempts, and at which servers, credentials were asked for.
fn asked(raw: &mut Raw) -> Vec<(Attempt, String)> {
    raw.poll();
    let asked = raw.actions.iter().filter_map(|action| match action {
        Action::Credentials { attempt, server } => Some((*attempt, server.to_string())),
        _ => None,
    });
    asked.collect()
}

fn answer(raw: &mut Raw, given: Result<Credentials, Cause>) {
    let attempt = raw.attempt.expect("an attempt");
    raw.session.handle_credentials(raw.now, attempt, given);
    raw.poll();
}

fn token(number: u8) -> Result<Credentials, Cause> {
    Ok(Credentials::new("user", vec![number]).expect("a user name"))
}

fn connect_packet(raw: &mut Raw) -> Connect {
    match raw.open() {
        Packet::Connect(connect) => *connect,
        other => panic!("{other:?}"),
    }
}

#[test]
fn they_are_asked_for_before_each_attempt_and_nothing_is_dialled_before_they_are_there() {
    for version in VERSIONS {
        let mut raw = Raw::of(asking(version), two());
        raw.session.start(raw.now);
        assert_eq!(asked(&mut raw).len(), 1);
        assert_eq!(asked(&mut raw)[0].1, "192.0.2.1:1883");
        assert_eq!(raw.session.phase(), Phase::Connecting);
        assert!(raw.dials().is_empty());
        answer(&mut raw, token(1));
        raw.closed(Cause::ConnectionRefused);
        // The next server of the round.
        assert_eq!(asked(&mut raw)[1].1, "192.0.2.2:1883");
        answer(&mut raw, token(2));
        let connect = connect_packet(&mut raw);
        assert_eq!(connect.user_name.expect("one").as_str(), "user");
        assert_eq!(connect.password.expect("one"), [2].as_slice());
        raw.accept(false, NONE);
        // And after a loss.
        raw.closed(Cause::Eof);
        raw.next_timer();
        assert_eq!(asked(&mut raw)[2].1, "192.0.2.2:1883");
        answer(&mut raw, token(3));
        let connect = connect_packet(&mut raw);
        assert_eq!(connect.password.expect("one"), [3].as_slice());
    }
}

#[test]
fn an_attempt_without_them_has_failed_and_says_why() {
    let mut raw = Raw::of(asking(Version::V5), two());
    raw.session.start(raw.now);
    raw.poll();
    raw.advance(Duration::from_secs(2));
    answer(&mut raw, Err(Cause::Other("the vault is sealed".into())));
    let error = raw.last_loss();
    assert_eq!(
        error.to_string(),
        "there are no credentials for 192.0.2.1:1883 after 2 s: the vault is sealed"
    );
    assert_eq!(error.fault(), Fault::Caller);
    // The other server, and then another round.
    answer(&mut raw, Err(Cause::Other("still".into())));
    assert_eq!(raw.session.phase(), Phase::Waiting);
    raw.next_timer();
    assert_eq!(asked(&mut raw).len(), 3);
    assert!(raw.dials().is_empty());
}

#[test]
fn an_answer_that_does_not_come_is_given_up_and_one_that_comes_late_means_nothing() {
    let mut raw = Raw::of(asking(Version::V5), Endpoint::new("192.0.2.1", 1883));
    raw.session.start(raw.now);
    let (attempt, _) = asked(&mut raw)[0].clone();
    raw.advance(Duration::from_secs(30));
    assert!(raw.actions.contains(&Action::Cancel { attempt }));
    assert!(matches!(
        raw.last_loss(),
        ConnectionError::Credentials {
            cause: Cause::TimedOut,
            ..
        }
    ));
    raw.session.handle_credentials(raw.now, attempt, token(1));
    raw.poll();
    assert!(raw.dials().is_empty());
    assert_eq!(raw.session.phase(), Phase::Waiting);
}

#[test]
fn disconnecting_while_they_are_awaited_withdraws_the_question() {
    let mut raw = Raw::of(asking(Version::V5), two());
    raw.session.start(raw.now);
    let (attempt, _) = asked(&mut raw)[0].clone();
    raw.session
        .disconnect(raw.now, Default::default(), Duration::ZERO)
        .expect("a good DISCONNECT");
    raw.poll();
    assert!(raw.actions.contains(&Action::Cancel { attempt }));
    assert!(raw.session.is_closed());
}

#[test]
fn none_may_be_given_and_who_did_not_ask_is_not_asked() {
    let mut raw = Raw::of(asking(Version::V5), two());
    raw.session.start(raw.now);
    raw.poll();
    answer(&mut raw, Ok(Credentials::none()));
    let connect = connect_packet(&mut raw);
    assert_eq!((connect.user_name, connect.password), (None, None));

    let mut raw = Raw::of(config(Version::V5).credentials("user", "pass"), two());
    raw.session.start(raw.now);
    assert!(asked(&mut raw).is_empty());
    assert_eq!(raw.dials().len(), 1);
}

#[test]
fn what_the_version_can_not_carry_ends_the_session_with_a_clear_error() {
    let mut raw = Raw::of(asking(Version::V3_1_1), two());
    raw.session.start(raw.now);
    raw.poll();
    answer(&mut raw, Ok(Credentials::password("only")));
    let attempt = raw.attempt.expect("an attempt");
    raw.session.handle_opened(raw.now, attempt);
    let error = raw.last_loss();
    assert!(matches!(error, ConnectionError::Connect { .. }), "{error}");
    assert_eq!(error.fault(), Fault::Caller);
}

#[test]
fn debug_does_not_show_the_password() {
    let shown = format!("{:?}", Credentials::new("user", "hunter2").expect("good"));
    assert!(
        shown.contains("user") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn debug_of_a_session_does_not_show_the_password_in_connect() {
    let mut raw = Raw::new(config(Version::V5).credentials("user", "hunter2"));
    raw.session.start(raw.now);
    raw.poll();
    let attempt = raw.attempt.expect("an attempt");
    raw.session.handle_opened(raw.now, attempt);
    assert!(raw.session.has_transmit());
    let shown = format!("{:?}", raw.session);
    let as_list = format!("{:?}", b"hunter2");
    for secret in ["hunter2", as_list.trim_matches(['[', ']'])] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[cfg(feature = "client")]
#[test]
fn a_turn_shows_no_bytes() {
    use bytes::BytesMut;
    use mqtt_session::Instant;
    use mqtt_session::client::Turn;
    use mqtt_session::proto::{Encoder, Flow, Outbox, Sender};

    let mut out = Outbox::new();
    let publish = pair::message("a", b"hunter2");
    Encoder::new(Version::V5, Sender::Server)
        .publish(&publish, Flow::AtMostOnce, None, &mut out)
        .expect("a good message");
    let mut input = BytesMut::from(&out.to_vec()[..]);
    let shown = format!(
        "{:?}",
        Turn {
            now: Instant::ZERO,
            input: &mut input,
            written: 0,
            reports: &mut Vec::new(),
            output: &mut out,
            actions: &mut Vec::new(),
            idle: None,
        }
    );
    let as_list = format!("{:?}", b"hunter2");
    for secret in ["hunter2", as_list.trim_matches(['[', ']'])] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("input_len: 13"), "{shown}");
}

#[test]
fn a_connection_takes_them_for_its_session() {
    let config = asking(Version::V5).build().expect("a good configuration");
    let mut connection = Connection::new(Session::new(config, two(), 7));
    let now = Instant::ZERO;
    connection.session_mut().connect(now);
    let Some(Action::Credentials { attempt, .. }) = connection.poll_action() else {
        panic!("it does not ask");
    };
    connection.handle_credentials(now, attempt, token(1));
    let next = connection.poll_action();
    assert!(matches!(next, Some(Action::Dial { .. })), "{next:?}");
}
