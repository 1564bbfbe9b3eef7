//! Messages in flight that the server of the next connection can't be sent again.

mod pair;

use std::num::NonZeroU16;
use std::time::Duration;

use mqtt_session::proto::{EncodeError, PacketType, Properties, QoS, ReasonCode, Version};
use mqtt_session::{Cause, Event, Limits, Outcome, PublishOptions, PublishRefused};
use pair::raw::Raw;
use pair::{Pair, VERSIONS, config};

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

/// A session that has given up a QoS 2 message, which it had sent under the identifier that is returned.
fn expired(version: Version) -> (Raw, u16) {
    let builder = config(version).keep_alive(Duration::ZERO);
    let builder = if version.is_v5() {
        builder
    } else {
        builder.clean_start(false)
    };
    let mut raw = Raw::connected(builder);
    let second = Duration::from_secs(1);
    let mut options = PublishOptions::new();
    options.time_to_live = Some(second);
    let publish = pair::message("a", b"x");
    let token = raw
        .session
        .publish_with(raw.now, QoS::ExactlyOnce, publish, &options)
        .expect("accepted");
    let id = number(&raw.lines());
    raw.advance(2 * second);
    raw.reconnect(true, Properties::new());
    assert_eq!(raw.lines(), [""; 0]);
    assert_eq!(raw.outcome(token), Some(Outcome::Expired));
    (raw, id)
}

/// The packet identifier of the only packet.
fn number(lines: &[String]) -> u16 {
    assert_eq!(lines.len(), 1, "{lines:?}");
    let number = lines[0].split(' ').nth(1).expect("an identifier");
    number.parse().expect("a number")
}

/// Whether the next message goes under this identifier.
fn is_free(raw: &mut Raw, id: u16) -> bool {
    raw.publish(QoS::ExactlyOnce, b"next");
    number(&raw.lines()) == id
}

#[test]
fn a_late_pubrec_completes_the_exchange_and_pubcomp_frees_the_identifier() {
    for version in VERSIONS {
        let (mut raw, id) = expired(version);
        raw.feed_ack(PacketType::PubRec, id);
        assert_eq!(raw.lines(), [format!("PUBREL {id}")]);
        assert!(!is_free(&mut raw, id), "{version}: not before PUBCOMP");
        raw.feed_ack(PacketType::PubComp, id);
        assert!(is_free(&mut raw, id), "{version}");
    }
}

/// [MQTT-4.4.0-1]
#[test]
fn the_pubrel_of_a_message_that_was_given_up_is_sent_again_until_pubcomp() {
    for version in VERSIONS {
        let (mut raw, id) = expired(version);
        raw.feed_ack(PacketType::PubRec, id);
        raw.poll();
        for _ in 0..2 {
            raw.packets();
            raw.reconnect(true, Properties::new());
            assert_eq!(raw.lines(), [format!("PUBREL {id}")], "{version}");
        }
        raw.feed_ack(PacketType::PubComp, id);
        assert!(is_free(&mut raw, id), "{version}");
        raw.reconnect(true, Properties::new());
        assert_eq!(raw.lines().len(), 1, "{version}: only the last message");
        assert_eq!(raw.outcomes().len(), 1, "{version}: told once");
    }
}

/// [MQTT-4.6.0-4]
#[test]
fn its_pubrel_keeps_the_order_of_the_pubrecs() {
    for version in VERSIONS {
        let (mut raw, id) = expired(version);
        raw.publish(QoS::ExactlyOnce, b"1");
        let before = number(&raw.lines());
        raw.publish(QoS::ExactlyOnce, b"2");
        let after = number(&raw.lines());
        for id in [before, id, after] {
            raw.feed_ack(PacketType::PubRec, id);
        }
        raw.packets();
        raw.reconnect(true, Properties::new());
        let expected = [before, id, after].map(|id| format!("PUBREL {id}"));
        assert_eq!(raw.lines(), expected, "{version}");
    }
}

/// [MQTT-4.6.0-4]
#[test]
fn a_pubrel_comes_behind_that_of_a_message_that_was_given_up_where_its_pubrec_did() {
    for version in VERSIONS {
        let mut raw = Raw::connected(config(version).clean_start(false));
        raw.publish(QoS::ExactlyOnce, b"kept");
        let kept = number(&raw.lines());
        let options = PublishOptions::new().with_time_to_live(Duration::from_secs(1));
        let publish = pair::message("a", b"expires");
        raw.session
            .publish_with(raw.now, QoS::ExactlyOnce, publish, &options)
            .expect("accepted");
        let given_up = number(&raw.lines());
        raw.advance(Duration::from_secs(2));
        raw.reconnect(true, Properties::new());
        assert_eq!(raw.lines(), [format!("PUBLISH {kept} DUP")], "{version}");
        let order = [given_up, kept];
        for id in order {
            raw.feed_ack(PacketType::PubRec, id);
        }
        raw.packets();
        raw.reconnect(true, Properties::new());
        let expected = order.map(|id| format!("PUBREL {id}"));
        assert_eq!(raw.lines(), expected, "{version}");
    }
}

#[test]
fn a_pubrec_that_refuses_frees_the_identifier() {
    let (mut raw, id) = expired(Version::V5);
    raw.feed_ack_with(PacketType::PubRec, id, ReasonCode::QUOTA_EXCEEDED);
    assert!(is_free(&mut raw, id));
}

/// Nobody waits for the identifier, so no server is upset for it for ever.
#[test]
fn a_pubrel_for_an_identifier_alone_that_connections_end_at_is_given_up_without_a_word() {
    for version in VERSIONS {
        let (mut raw, id) = expired(version);
        raw.feed_ack(PacketType::PubRec, id);
        raw.packets();
        for _ in 0..3 {
            raw.reconnect(true, Properties::new());
            assert_eq!(raw.lines(), [format!("PUBREL {id}")], "{version}");
        }
        raw.closed(Cause::Eof);
        raw.wait_for_dial();
        raw.open();
        raw.accept(true, Properties::new());
        assert_eq!(raw.lines(), [""; 0], "{version}");
        assert!(!is_free(&mut raw, id), "{version}");
        let poisonous = |event: &Event| matches!(event, Event::Poisonous { .. });
        assert!(!raw.events.iter().any(poisonous), "{version}");
    }
}

#[test]
fn a_message_that_was_given_up_is_no_longer_in_flight() {
    let (mut pair, _) = refused(QoS::ExactlyOnce);
    assert_eq!(pair.session.stats().in_flight, 0);
    pair.broker.hold(PacketType::PubRec);
    pair.publish("a", QoS::ExactlyOnce, b"x");
    pair.run();
    assert_eq!(pair.session.stats().in_flight, 1);
}
