//! How a connection ends: in order or cut off, from there or from here.

use std::time::Duration;

use bytes::BytesMut;
use mqtt_proto::{Outbox, QoS};

use super::veil::{DATA, END, Kind, frame};
use super::*;
use crate::transport::{TlsError, WebSocketError};
use crate::{Action, ConnectionError, Event, Outcome, Phase};

fn lost(tower: &Tower) -> Cause {
    match &tower.losses()[..] {
        [ConnectionError::Closed { cause, .. }] => cause.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stream_that_is_cut_off_is_told_from_one_that_ends_in_order() {
    let mut cut = connected(tower());
    cut.end(Cause::Eof);
    cut.run();
    assert_eq!(lost(&cut), Cause::Tls(TlsError::Truncated));

    let mut reset = connected(tower());
    reset.end(Cause::ConnectionReset);
    reset.run();
    assert_eq!(lost(&reset), Cause::ConnectionReset);

    // The higher layer has ended in order: what is below it does not matter.
    let mut high = connected(over_two());
    let end = frame(Kind::Low, DATA, &frame(Kind::High, END, &[]));
    high.wire().coming.extend_from_slice(&end);
    high.run();
    assert_eq!(lost(&high), Cause::Eof);

    // Where the lower one is cut off, that is why the higher one is.
    let mut low = connected(over_two());
    low.end(Cause::Eof);
    low.run();
    assert_eq!(lost(&low), Cause::Tls(TlsError::Truncated));
}

#[test]
fn when_the_peer_says_that_it_is_done_so_do_we_and_hang_up() {
    let mut tower = connected(tower());
    tower.wire().sent.clear();
    // Behind a last message.
    tower.subscribe();
    let message = crate::proto::Publish::new("a".try_into().unwrap(), "last words");
    tower.broker.publish(tower.now, &message, QoS::AtMostOnce);
    let (conn, mut last) = (tower.wire().conn, std::vec::Vec::new());
    tower.broker.output(conn, &mut last);
    let end = [frame(Kind::Low, DATA, &last), frame(Kind::Low, END, &[])].concat();
    tower.wire().coming.extend_from_slice(&end);
    // Nothing of the driver but this: the stream is still open.
    while tower.wire.as_ref().is_some_and(|wire| !wire.closing) {
        tower.step();
    }
    assert_eq!(tower.take_all(), [b"last words"]);
    tower.run();
    assert_eq!(lost(&tower), Cause::Eof);
    assert_eq!(tower.hangups(), 1);
}

#[test]
fn a_disconnect_goes_through_the_layers_which_then_say_good_bye_from_the_highest_down() {
    let mut tower = connected(over_two());
    tower.wire().sent.clear();
    let now = tower.at();
    let session = tower.connection.session_mut();
    session
        .disconnect(now, Default::default(), Duration::from_secs(1))
        .unwrap();
    while tower.hangups() == 0 {
        tower.step();
    }
    let sent = tower.wire.as_ref().map(|wire| wire.sent.clone()).unwrap();
    let disconnect = frame(Kind::High, DATA, &[0xE0, 0x00]);
    let expected = [
        frame(Kind::Low, DATA, &disconnect),
        frame(Kind::Low, DATA, &frame(Kind::High, END, &[])),
        frame(Kind::Low, END, &[]),
    ];
    assert_eq!(sent, expected.concat());
    tower.run();
    assert!(matches!(tower.events.last(), Some(Event::Closed)));
    tower.check();
}

#[test]
fn an_error_of_a_layer_ends_the_connection_after_what_came_before_it() {
    let mut tower = connected(over_two());
    tower.subscribe();
    let message = crate::proto::Publish::new("a".try_into().unwrap(), "before");
    tower.broker.publish(tower.now, &message, QoS::AtMostOnce);
    let (conn, mut before) = (tower.wire().conn, std::vec::Vec::new());
    tower.broker.output(conn, &mut before);
    let good = frame(Kind::High, DATA, &before);
    let bad = frame(Kind::High, 99, &[]);
    let both = frame(Kind::Low, DATA, &[good, bad].concat());
    tower.wire().coming.extend_from_slice(&both);
    tower.step();
    assert_eq!(tower.take_all(), [b"before"]);
    tower.run();
    assert_eq!(lost(&tower), Cause::Other("not our kind".into()));
    assert_eq!(tower.connection.session().phase(), Phase::Waiting);
    // What comes behind it means nothing.
    tower.run_for(Duration::from_secs(10));
    assert_eq!(tower.connection.session().phase(), Phase::Connected);
}

#[test]
fn a_higher_layer_that_is_cut_off_by_the_end_of_a_lower_one_says_so() {
    let mut tower = connected(over_two());
    let end = frame(Kind::Low, END, &[]);
    tower.wire().coming.extend_from_slice(&end);
    tower.run();
    assert_eq!(lost(&tower), Cause::WebSocket(WebSocketError::Truncated));
}

#[test]
fn a_layer_that_can_not_say_what_the_session_says_ends_the_connection() {
    fn mute() -> Vec<Box<dyn Layer>> {
        alloc::vec![Box::new(Veil::mute(Kind::Low))]
    }
    let mut tower = Tower::new(config(mute), server(), || Box::new(Unveiled::one()));
    tower.start();
    let [ConnectionError::Closed { .. } | ConnectionError::Unanswered { .. }] = &tower.losses()[..]
    else {
        panic!("{:?}", tower.losses())
    };
    assert_eq!(tower.hangups(), 1);
    assert_eq!(tower.connection.session().phase(), Phase::Waiting);
}

#[test]
fn what_waits_above_the_layers_is_not_sent_once_the_connection_is_given_up() {
    // Which has no DISCONNECT for it.
    let older = Config::builder("client").version(mqtt_proto::Version::V3_1_1);
    let mut older = older.build().unwrap();
    with_layers(&mut older, one);
    let mut tower = connected(Tower::new(older, server(), || Box::new(Unveiled::one())));
    tower.takes = 0;
    let tokens = [0, 1, 2].map(|number| tower.publish(QoS::AtMostOnce, &[number; 60_000]));
    tower.run();
    let malformed = frame(Kind::Low, DATA, &[0, 0]);
    tower.wire().coming.extend_from_slice(&malformed);
    tower.run();
    assert_eq!(tower.losses().len(), 1);
    tower.takes = usize::MAX;
    tower.run();
    let first = tower.accepted();
    assert_eq!(first.len(), 1, "of the second there is a part");
    tower.run_for(Duration::from_secs(10));
    let outcomes = tokens.map(|token| tower.outcome(token));
    let (written, lost) = (Some(Outcome::Written), Some(Outcome::ConnectionLost));
    assert_eq!(outcomes, [written, lost, written]);
    let numbers = tower.accepted().into_iter().map(|payload| payload[0]);
    assert_eq!(numbers.collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn what_comes_once_the_layers_are_closed_is_not_looked_at() {
    let mut tower = connected(over_two());
    let now = tower.at();
    let session = tower.connection.session_mut();
    session
        .disconnect(now, Default::default(), Duration::from_secs(1))
        .unwrap();
    let hangup = tower.connection.poll_action();
    assert!(matches!(hangup, Some(Action::Hangup { flush: true, .. })));
    // Not even that it can't be read.
    let mut bad = BytesMut::from(&frame(Kind::Low, 99, &[])[..]);
    tower.connection.handle_input(now, &mut bad);
    assert!(bad.is_empty());
    let mut out = Outbox::new();
    assert!(tower.connection.poll_transmit(now, &mut out));
    let disconnect = frame(Kind::High, DATA, &[0xE0, 0x00]);
    let expected = [
        frame(Kind::Low, DATA, &disconnect),
        frame(Kind::Low, DATA, &frame(Kind::High, END, &[])),
        frame(Kind::Low, END, &[]),
    ];
    assert_eq!(out.to_vec(), expected.concat());
}

/// As without layers: who leaves without a word writes nothing more of the session.
#[test]
fn what_the_session_still_has_stays_here_where_it_is_not_to_be_flushed() {
    let older = Config::builder("client").version(mqtt_proto::Version::V3_1_1);
    let mut older = older.build().unwrap();
    with_layers(&mut older, one);
    let mut tower = connected(Tower::new(older, server(), || Box::new(Unveiled::one())));
    let now = tower.at();
    tower.publish(QoS::AtMostOnce, b"x");
    assert!(tower.connection.session().has_transmit());
    let silent = mqtt_proto::Disconnect::new(mqtt_proto::ReasonCode::DISCONNECT_WITH_WILL);
    let session = tower.connection.session_mut();
    session.disconnect(now, silent, Duration::ZERO).unwrap();
    tower.wire().sent.clear();
    while tower.hangups() == 0 {
        tower.step();
    }
    let sent = tower.wire.as_ref().map(|wire| wire.sent.clone()).unwrap();
    assert_eq!(sent, frame(Kind::Low, END, &[]));
    tower.run();
    assert!(tower.accepted().is_empty());
    assert!(matches!(tower.events.last(), Some(Event::Closed)));
}
