//! The handshake: nothing of ours before it, an end to it, and every way in which it fails.

use std::string::ToString;
use std::time::Duration;
use std::vec::Vec;

use super::tower::Far;
use super::veil::{HELLO, Kind, SORRY, Silent, WELCOME, frame};
use super::*;
use crate::transport::{ProxyError, TlsError, WebSocketError};
use crate::{Action, Backoff, ConnectionError, Event, Fault, Phase, Session, Timeouts};

fn silent(layers: MakeLayers) -> Tower {
    let mut config = Config::builder("client").build().unwrap();
    with_layers(&mut config, layers);
    Tower::new(config, server(), || Box::new(Silent))
}

/// The cause of the only loss, which must be one of the handshake.
fn failed(tower: &Tower) -> (Cause, Duration) {
    match &tower.losses()[..] {
        [ConnectionError::Handshake { cause, after, addr }] => {
            assert_eq!(addr.to_string(), "192.0.2.1:1883");
            (cause.clone(), *after)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_of_the_session_is_sent_before_the_layers_are_ready() {
    let mut tower = silent(two);
    tower.start();
    assert_eq!(tower.wire().sent, HELLO);
    assert_eq!(tower.connection.session().phase(), Phase::Connecting);
    assert!(tower.connection.wants_read());
    // The lower one is ready, and the higher one greets through it.
    tower.wire().sent.clear();
    tower.wire().coming.extend_from_slice(&WELCOME);
    tower.run();
    assert_eq!(tower.wire().sent, frame(Kind::Low, veil::DATA, &HELLO));
    assert_eq!(tower.connection.session().phase(), Phase::Connecting);
    let welcome = frame(Kind::Low, veil::DATA, &WELCOME);
    tower.wire().coming.extend_from_slice(&welcome);
    tower.run();
    assert_eq!(tower.connection.session().phase(), Phase::Handshaking);
}

#[test]
fn a_peer_that_is_silent_is_given_up_in_time_and_the_layer_that_waited_is_named() {
    let welcomed = |mut tower: Tower, welcome: &[u8]| {
        tower.start();
        tower.wire().coming.extend_from_slice(welcome);
        tower.run_for(Duration::from_millis(9_999));
        assert!(tower.losses().is_empty());
        tower.run_for(Duration::from_millis(1));
        let (cause, after) = failed(&tower);
        assert_eq!(after, Duration::from_secs(10));
        assert_eq!(cause.fault(), Fault::Peer);
        assert_eq!(tower.hangups(), 1);
        assert!(tower.wire.is_none());
        cause
    };
    let low = welcomed(silent(two), b"");
    assert_eq!(low, Cause::Tls(TlsError::TimedOut));
    let high = welcomed(silent(two), &WELCOME);
    assert_eq!(high, Cause::WebSocket(WebSocketError::TimedOut));
    let gate = welcomed(silent(all), b"");
    assert_eq!(gate, Cause::Proxy(ProxyError::TimedOut));
    let behind = welcomed(silent(all), b"!");
    assert_eq!(behind, Cause::Tls(TlsError::TimedOut));
}

#[test]
fn how_long_a_handshake_may_take_is_configured() {
    let timeouts = Timeouts {
        handshake: Duration::from_millis(300),
        ..Timeouts::default()
    };
    let mut config = Config::builder("client")
        .timeouts(timeouts)
        .build()
        .unwrap();
    with_layers(&mut config, one);
    let mut tower = Tower::new(config, server(), || Box::new(Silent));
    tower.start();
    tower.run_for(Duration::from_millis(300));
    assert_eq!(failed(&tower).1, Duration::from_millis(300));
    assert_eq!(
        tower.losses()[0].to_string(),
        "192.0.2.1:1883 took the connection, but it was of no use after 300 ms: \
         TLS: the handshake was not done in time (timeouts.handshake)"
    );
}

#[test]
fn a_handshake_that_is_done_has_no_deadline_any_more() {
    let mut tower = connected(over_two());
    tower.run_for(Duration::from_secs(60));
    assert!(tower.losses().is_empty(), "{:?}", tower.losses());
}

#[test]
fn a_peer_of_another_kind_is_told_so_and_the_next_attempt_begins_anew() {
    let first = Backoff::default().first;
    let mut strangers = 1;
    let mut tower = Tower::new(config(one), server(), move || {
        strangers -= 1;
        if strangers == 0 {
            Box::new(Stranger::default())
        } else {
            Box::new(Unveiled::one())
        }
    });
    tower.start();
    let (cause, _) = failed(&tower);
    assert_eq!(cause, Cause::Other("not our kind".into()));
    // What the layer says of it had its chance to leave.
    let hangup = tower.actions.iter().find_map(|action| match action {
        Action::Hangup { flush, .. } => Some(*flush),
        _ => None,
    });
    assert_eq!(hangup, Some(true));
    assert_eq!(tower.connection.session().phase(), Phase::Waiting);
    tower.run_for(first * 2);
    assert_eq!(tower.connection.session().phase(), Phase::Connected);
    tower.check();
}

/// Answers with something else.
#[derive(Default)]
struct Stranger {
    heard: Vec<u8>,
    answered: bool,
}

impl Far for Stranger {
    fn receive(&mut self, raw: &[u8]) {
        self.heard.extend_from_slice(raw);
    }

    fn plaintext(&mut self) -> Vec<u8> {
        let sorry = [&HELLO[..], &frame(Kind::Low, SORRY, &[])].concat();
        assert!(sorry.starts_with(&self.heard), "{:?}", self.heard);
        Vec::new()
    }

    fn send(&mut self, _: &[u8]) {}

    fn transmit(&mut self) -> Vec<u8> {
        if core::mem::replace(&mut self.answered, true) {
            return Vec::new();
        }
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let sorry = frame(Kind::Low, SORRY, &[]);
        assert!(self.heard.ends_with(&sorry), "{:?}", self.heard);
    }
}

#[test]
fn a_peer_that_hangs_up_during_the_handshake_is_told_by_the_layer() {
    for (layers, welcome, expected) in [
        (two as MakeLayers, &b""[..], Cause::Tls(TlsError::Closed)),
        (two, &WELCOME, Cause::WebSocket(WebSocketError::Closed)),
        (all, b"", Cause::Proxy(ProxyError::Closed)),
    ] {
        let mut tower = silent(layers);
        tower.start();
        tower.wire().coming.extend_from_slice(welcome);
        tower.run();
        tower.end(Cause::Eof);
        tower.run();
        assert_eq!(failed(&tower).0, expected);
        assert_eq!(tower.hangups(), 0, "there is nothing to hang up");
    }
}

#[test]
fn who_leaves_during_the_handshake_is_let_go() {
    let mut tower = silent(two);
    tower.start();
    let now = tower.at();
    let session = tower.connection.session_mut();
    session
        .disconnect(now, Default::default(), Duration::ZERO)
        .unwrap();
    tower.run();
    assert!(matches!(tower.events.last(), Some(Event::Closed)));
    assert!(tower.wire.is_none());
    assert_eq!(tower.connection.poll_timeout(), None);
}

#[test]
fn a_stream_that_has_lost_the_race_has_no_layers() {
    let mut tower = silent(one);
    tower.start();
    let late = crate::Attempt(77);
    let now = tower.at();
    tower.connection.handle_opened(now, late);
    tower.connection.handle_closed(now, late, Cause::Eof);
    assert!(tower.losses().is_empty());
    assert!(!tower.connection.is_plain());
    assert_eq!(tower.wire().sent, HELLO);
}

#[test]
fn a_session_without_its_connection_does_not_speak_where_layers_are_asked_for() {
    let mut session = Session::new(config(one), server(), 7);
    session.connect(tower().at());
    assert_eq!(session.poll_action(), None);
    let Some(Event::Lost { error, .. }) = session.poll_event() else {
        panic!("nothing told")
    };
    assert!(
        matches!(error, ConnectionError::Transport { .. }),
        "{error:?}"
    );
    assert_eq!(error.fault(), Fault::Caller);
    assert!(session.is_closed());
}
