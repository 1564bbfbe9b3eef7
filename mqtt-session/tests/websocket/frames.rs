//! Frames that no server should send.

use mqtt_session::proto::QoS;
use mqtt_session::{Fault, Phase};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, any, prop_oneof, proptest};

use super::far::{Scripted, upgrade};
use super::*;

/// What comes of these bytes behind the handshake, in pieces of any size, and the code of our Close frame.
fn broken(bytes: &[u8]) -> (WebSocketError, u16) {
    let [whole, single] = [usize::MAX, 1].map(|pieces| {
        let (mut tower, record) = connected();
        tower.pieces = pieces;
        feed(&mut tower, bytes);
        let error = fault(&tower);
        assert_eq!(tower.losses()[0].fault(), Fault::Peer);
        assert_eq!(tower.connection.session().phase(), Phase::Waiting);
        let closes = record.closes();
        assert_eq!(closes.len(), 1, "{closes:?}");
        (error, closes[0])
    });
    assert_eq!(whole, single);
    whole
}

#[test]
fn each_breach_of_the_protocol_is_told_to_both_sides() {
    let large = |len| (WebSocketError::FrameTooLarge { len }, 1009);
    let breach = |what| (WebSocketError::Protocol(what), 1002);
    let unknown = breach("it sent a frame of an unknown kind");
    let reserved = breach("it sent a frame with reserved bits");
    let within = breach("it began a message within another one");
    for (bytes, expected) in [
        (&[0x81, 1, b'x'][..], (WebSocketError::TextFrame, 1003)),
        (&[0x01, 0], (WebSocketError::TextFrame, 1003)),
        (
            &[0x82, 0x81, 1, 2, 3, 4, 5],
            (WebSocketError::MaskedFrame, 1002),
        ),
        (
            &[0x89, 0x80, 1, 2, 3, 4],
            (WebSocketError::MaskedFrame, 1002),
        ),
        (
            &[0x80, 0],
            breach("it went on with a message that has not begun"),
        ),
        (&[0x02, 0, 0x82, 0], within.clone()),
        (&[0x02, 0, 0x81, 0], within),
        (&[0xC2, 0], reserved.clone()),
        (&[0xA2, 0], reserved.clone()),
        (&[0x99, 0], reserved),
        (&[0x83, 0], unknown.clone()),
        (&[0x8B, 0], unknown),
        (&[0x09, 0], breach("it sent a control frame in fragments")),
        (
            &[0x88, 1, 3],
            breach("it sent a Close frame with half a code"),
        ),
        (&[0x89, 126, 0, 126], large(126)),
        (&[0x88, 127, 0, 0, 0, 0, 0, 1, 0, 0], large(65_536)),
        (&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], large(1 << 63)),
        (
            &[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255],
            large(u64::MAX),
        ),
    ] {
        assert_eq!(broken(bytes), expected, "{bytes:x?}");
    }
}

#[test]
fn what_came_before_a_breach_counts_and_what_comes_behind_it_does_not() {
    let (mut tower, _) = connected();
    tower.subscribe();
    let message = |payload| good::binary(&good::message(payload));
    let bytes = [message("before"), vec![0x81, 0], message("behind")].concat();
    feed(&mut tower, &bytes);
    assert_eq!(tower.take_all(), [b"before"]);
    assert_eq!(fault(&tower), WebSocketError::TextFrame);
}

#[test]
fn empty_frames_carry_nothing_and_do_no_harm() {
    let (mut tower, _) = connected();
    feed(
        &mut tower,
        &[0x82, 0, 0x02, 0, 0x00, 0, 0x80, 0].repeat(10_000),
    );
    assert_eq!(tower.losses(), []);
    let token = tower.publish(QoS::AtLeastOnce, b"x");
    tower.run();
    assert!(tower.outcome(token).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes, nothing panics, and every split of it comes to the same.
    #[test]
    fn any_bytes_are_taken_in_any_pieces(
        bytes in vec(prop_oneof![any::<u8>(), Just(0x82), Just(0x02), Just(0x00), Just(0x89), Just(0x80)], 0..60),
        pieces in 1_usize..10,
        shaken in any::<bool>(),
    ) {
        let outcome = |pieces| {
            let bytes = bytes.clone();
            let (mut tower, _) = pair();
            tower.make = Box::new(move || {
                let bytes = bytes.clone();
                Box::new(Scripted::new(move |request: &str| {
                    let answer = if shaken { upgrade(request) } else { String::new() };
                    [answer.into_bytes(), bytes].concat()
                }))
            });
            tower.pieces = pieces;
            tower.start();
            tower.losses()
        };
        assert_eq!(outcome(pieces), outcome(usize::MAX));
    }
}
