//! How a connection ends.

use std::time::Duration;

use mqtt_session::proto::QoS;
use mqtt_session::{Cause, Event, Fault, Phase};

use super::*;

fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut frame = vec![0x88, u8::try_from(2 + reason.len()).unwrap()];
    frame.extend_from_slice(&code.to_be_bytes());
    frame.extend_from_slice(reason.as_bytes());
    frame
}

#[test]
fn a_disconnect_is_followed_by_a_close_frame_and_nothing_else() {
    let (mut tower, record) = connected();
    let before = record.with(|seen| seen.messages.len());
    let now = tower.at();
    let session = tower.connection.session_mut();
    session
        .disconnect(now, Default::default(), Duration::from_secs(1))
        .unwrap();
    tower.run();
    assert!(matches!(tower.events.last(), Some(Event::Closed)));
    assert_eq!(record.closes(), [1000]);
    // DISCONNECT.
    assert_eq!(record.with(|seen| seen.messages.split_off(before)), [2]);
    assert!(tower.wire.is_none());
    tower.check();
}

#[test]
fn who_leaves_during_the_handshake_says_nothing_more() {
    let (mut tower, _) = pair();
    tower.make = Box::new(|| Box::new(far::Scripted::new(|_: &str| Vec::new())));
    tower.start();
    let sent = tower.wire().sent.len();
    let now = tower.at();
    let session = tower.connection.session_mut();
    session
        .disconnect(now, Default::default(), Duration::ZERO)
        .unwrap();
    while tower.hangups() == 0 {
        tower.step();
    }
    assert!(
        tower
            .wire
            .as_ref()
            .is_none_or(|wire| wire.sent.len() == sent)
    );
    tower.run();
    assert!(matches!(tower.events.last(), Some(Event::Closed)));
}

#[test]
fn a_close_frame_of_the_server_is_a_clean_end_where_it_gives_no_other_reason() {
    for frame in [vec![0x88, 0], close(1000, ""), close(1000, "bye")] {
        for pieces in [1, usize::MAX] {
            let (mut tower, record) = connected();
            tower.pieces = pieces;
            // What comes behind it means nothing.
            let bytes = [&frame[..], &[0x81, 1, b'x']].concat();
            feed(&mut tower, &bytes);
            assert_eq!(lost(&tower), Cause::Eof);
            assert_eq!(record.closes(), [1000]);
            assert_eq!(tower.hangups(), 1);
            tower.run_for(Duration::from_secs(10));
            assert_connected(&tower);
        }
    }
}

#[test]
fn another_reason_is_told_with_its_code_and_words() {
    for (code, reason, echoed) in [
        (1001, "going down", 1001),
        (1008, "", 1008),
        (1011, "\u{1b}[2J", 1011),
        (4999, "", 4999),
        // These may not be sent.
        (0, "", 1002),
        (999, "", 1002),
        (1005, "", 1002),
        (1006, "", 1002),
        (1015, "", 1002),
        (5000, "", 1002),
    ] {
        let (mut tower, record) = connected();
        feed(&mut tower, &close(code, reason));
        let WebSocketError::ClosedByPeer {
            code: told,
            reason: words,
        } = fault(&tower)
        else {
            panic!("{:?}", tower.losses())
        };
        assert_eq!(told, code);
        assert_eq!(
            &*words,
            reason.escape_default().to_string().replace("u{1b}", "x1b")
        );
        assert_eq!(record.closes(), [echoed]);
        assert_eq!(tower.losses()[0].fault(), Fault::Peer);
    }
    let closed = WebSocketError::ClosedByPeer {
        code: 1001,
        reason: "going down".into(),
    };
    assert_eq!(
        closed.to_string(),
        "the peer closed with code 1001: \"going down\""
    );
}

#[test]
fn a_stream_without_a_close_frame_is_cut_off() {
    for half in [&[][..], &[0x82], &[0x82, 5, 0xD0], &[0x88, 2, 0x03]] {
        let (mut tower, _) = connected();
        feed(&mut tower, half);
        tower.end(Cause::Eof);
        tower.run();
        assert_eq!(fault(&tower), WebSocketError::Truncated);
        assert_eq!(tower.losses()[0].fault(), Fault::Network);
    }
    let (mut tower, _) = connected();
    tower.end(Cause::ConnectionReset);
    tower.run();
    assert_eq!(lost(&tower), Cause::ConnectionReset);
}

#[test]
fn what_came_before_the_end_is_delivered() {
    let (mut tower, _) = connected();
    tower.subscribe();
    let message = mqtt_session::proto::Publish::new("a".try_into().unwrap(), "last words");
    tower.broker.publish(tower.now, &message, QoS::AtMostOnce);
    let (conn, mut packet) = (tower.wire().conn, Vec::new());
    tower.broker.output(conn, &mut packet);
    let bytes = [good::binary(&packet), close(1001, "")].concat();
    feed(&mut tower, &bytes);
    assert_eq!(tower.take_all(), [b"last words"]);
    assert_eq!(tower.connection.session().phase(), Phase::Waiting);
}

#[test]
fn an_error_of_mqtt_closes_in_order() {
    let (mut tower, record) = connected();
    // A second CONNACK.
    feed(&mut tower, &[0x82, 5, 0x20, 3, 0, 0, 0]);
    assert!(matches!(
        tower.losses()[..],
        [ConnectionError::Protocol { .. }]
    ));
    assert_eq!(record.closes(), [1000]);
}
