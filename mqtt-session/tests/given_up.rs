//! Messages in flight that the server of the next connection can't be sent again.

mod pair;

use std::num::NonZeroU16;
use std::time::Duration;

use mqtt_session::proto::{EncodeError, PacketType, QoS, Version};
use mqtt_session::{Limits, Outcome, PublishRefused};
use pair::{Pair, config};

/// A pair whose connection was cut with one large message in flight, to a server that then takes packets of 100 bytes only.
fn refused(qos: QoS) -> (Pair, Outcome) {
    let mut pair = Pair::connected(config(Version::V5).clean_start(false));
    pair.broker.hold(PacketType::PubAck);
    pair.broker.hold(PacketType::PubRec);
    let large = pair.publish("a", qos, &[7; 500]);
    pair.run();
    pair.broker.config_mut().maximum_packet_size = Some(100);
    pair.cut();
    pair.broker.release(pair.clock.now(), PacketType::PubAck);
    pair.broker.release(pair.clock.now(), PacketType::PubRec);
    pair.run_for(Duration::from_secs(5));
    let outcome = pair.outcome(large).expect("an outcome");
    (pair, outcome)
}

#[test]
fn a_message_that_a_later_server_can_not_take_ends_as_refused_and_names_both_sizes() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let (pair, outcome) = refused(qos);
        let Outcome::Refused(PublishRefused::Encode(EncodeError::PacketTooLarge { size, max })) =
            outcome
        else {
            panic!("{outcome:?}");
        };
        assert!(size > 500 && max == 100);
        pair.check();
    }
}

#[test]
fn the_identifier_of_a_qos_2_message_that_was_given_up_is_not_used_again_in_the_session() {
    // The server holds the message under its identifier: another one there would be swallowed as a duplicate.
    let (mut pair, _) = refused(QoS::ExactlyOnce);
    let before = pair.accepted().len();
    let sent: Vec<_> = pair::numbers(0..100).into();
    let tokens: Vec<_> = sent
        .iter()
        .map(|payload| pair.publish("a", QoS::ExactlyOnce, payload))
        .collect();
    pair.run();
    assert_eq!(pair.accepted()[before..], sent);
    assert!(tokens.iter().all(|token| {
        pair.outcome(*token)
            .is_some_and(|outcome| outcome.is_success())
    }));
    pair.check();
}

#[test]
fn a_message_that_was_given_up_does_not_hold_up_disconnecting() {
    let (mut pair, _) = refused(QoS::ExactlyOnce);
    pair.session
        .disconnect(pair.now(), Default::default(), Duration::from_secs(60))
        .expect("a good DISCONNECT");
    pair.run();
    assert!(pair.session.is_closed());
    pair.check();
}

#[test]
fn every_other_identifier_can_be_used_after_one_was_given_up() {
    let (mut pair, _) = refused(QoS::ExactlyOnce);
    pair.broker.hold(PacketType::PubRec);
    let limits = Limits::default();
    for n in 0..u32::from(NonZeroU16::MAX.get()) {
        pair.publish("a", QoS::ExactlyOnce, &n.to_be_bytes());
        if n % 1000 == 0 {
            pair.run();
        }
    }
    pair.run();
    // One of 65,535 is taken: the last message waits in the queue.
    assert_eq!(
        pair.session.publish_capacity().messages,
        limits.max_queued - 1
    );
    pair.check();
}
