//! A new connection whose limits are narrower than those that messages were accepted under.

mod pair;

use std::num::{NonZeroU16, NonZeroU32};

use mqtt_session::proto::{EncodeError, PacketType, Properties, PropertiesBuilder, QoS, Version};
use mqtt_session::{Cause, Outcome, PublishRefused, Token};
use pair::raw::Raw;
use pair::{ACKNOWLEDGED, config, message};

fn saying(properties: PropertiesBuilder) -> Properties {
    properties.build().expect("good properties")
}

/// In flight and in the queue, one of each QoS that can be; the last two are told again after they were refused.
fn in_flight_and_queued(payload: &[u8], retain: bool) -> (Raw, Vec<(QoS, Token)>) {
    let mut raw = Raw::connected(config(Version::V5));
    let mut tokens = Vec::new();
    let mut put = |raw: &mut Raw, qos| {
        let publish = message("a", payload).with_retain(retain);
        tokens.push((qos, raw.offer(qos, publish).expect("accepted")));
    };
    put(&mut raw, QoS::AtLeastOnce);
    put(&mut raw, QoS::ExactlyOnce);
    raw.poll();
    raw.closed(Cause::Eof);
    for qos in pair::QOS {
        put(&mut raw, qos);
    }
    raw.wait_for_dial();
    raw.open();
    (raw, tokens)
}

fn outcomes(raw: &mut Raw, tokens: &[(QoS, Token)]) -> Vec<Option<Outcome>> {
    tokens
        .iter()
        .map(|(_, token)| raw.outcome(*token))
        .collect()
}

/// [MQTT-3.2.2-11]
#[test]
fn what_is_above_the_new_maximum_qos_is_refused() {
    for (level, max) in [(false, QoS::AtMostOnce), (true, QoS::AtLeastOnce)] {
        let (mut raw, tokens) = in_flight_and_queued(b"x", false);
        raw.accept(true, saying(Properties::builder().maximum_qos(level)));
        raw.poll();
        for (qos, token) in tokens {
            let refused = Outcome::Refused(PublishRefused::QoSNotSupported { max });
            let expected = match qos {
                QoS::AtMostOnce => Some(Outcome::Written),
                qos if qos as u8 > max as u8 => Some(refused),
                _ => None,
            };
            assert_eq!(raw.outcome(token), expected, "{qos}");
        }
    }
}

/// [MQTT-3.2.2-14]
#[test]
fn retained_messages_are_refused_where_retain_is_not_available_any_more() {
    let (mut raw, tokens) = in_flight_and_queued(b"x", true);
    raw.accept(true, saying(Properties::builder().retain_available(false)));
    let refused = Some(Outcome::Refused(PublishRefused::RetainNotAvailable));
    assert_eq!(outcomes(&mut raw, &tokens), [refused; 5]);
    assert_eq!(raw.lines(), [""; 0]);
    let (mut raw, tokens) = in_flight_and_queued(b"x", false);
    raw.accept(true, saying(Properties::builder().retain_available(false)));
    assert!(!outcomes(&mut raw, &tokens).contains(&refused));
}

/// [MQTT-3.2.2-15]
#[test]
fn what_is_larger_than_the_new_maximum_packet_size_is_refused() {
    let (mut raw, tokens) = in_flight_and_queued(&[0; 100], false);
    let size = NonZeroU32::new(100).expect("not 0");
    raw.accept(
        true,
        saying(Properties::builder().maximum_packet_size(size)),
    );
    for (qos, token) in tokens {
        let size = if qos == QoS::AtMostOnce { 106 } else { 108 };
        let reason = EncodeError::PacketTooLarge { size, max: 100 };
        let expected = Some(Outcome::Refused(PublishRefused::Encode(reason)));
        assert_eq!(raw.outcome(token), expected, "{qos}");
    }
    assert_eq!(raw.lines(), [""; 0]);
}

/// One dimension wider, the other narrower: it is looked at all the same.
#[test]
fn limits_that_are_narrower_in_one_thing_alone_are_seen() {
    let qos_1 = || Properties::builder().maximum_qos(true);
    let mut raw = Raw::connected_with(config(Version::V5), saying(qos_1()));
    let retained = message("a", b"x").with_retain(true);
    let token = raw.offer(QoS::AtLeastOnce, retained).expect("accepted");
    let plain = raw.publish(QoS::AtLeastOnce, b"x");
    raw.poll();
    raw.reconnect(true, saying(Properties::builder().retain_available(false)));
    let refused = Outcome::Refused(PublishRefused::RetainNotAvailable);
    assert_eq!(raw.outcome(token), Some(refused));
    assert_eq!(raw.outcome(plain), None);
}

#[test]
fn what_was_accepted_under_wider_limits_in_between_is_looked_at() {
    let narrow = || saying(Properties::builder().maximum_qos(true));
    let mut raw = Raw::connected_with(config(Version::V5), narrow());
    raw.reconnect(true, Properties::new());
    let token = raw.publish(QoS::ExactlyOnce, b"x");
    raw.poll();
    raw.reconnect(true, narrow());
    let max = QoS::AtLeastOnce;
    let refused = Outcome::Refused(PublishRefused::QoSNotSupported { max });
    assert_eq!(raw.outcome(token), Some(refused));
}

#[test]
fn what_was_accepted_while_the_handshake_ran_is_looked_at() {
    let narrow = || saying(Properties::builder().maximum_qos(true));
    let mut raw = Raw::connected_with(config(Version::V5), narrow());
    raw.closed(Cause::Eof);
    raw.wait_for_dial();
    raw.open();
    let token = raw.publish(QoS::ExactlyOnce, b"x");
    raw.accept(true, narrow());
    assert!(matches!(raw.outcome(token), Some(Outcome::Refused(_))));
}

/// [MQTT-4.9.0-1], [MQTT-4.9.0-2]
#[test]
fn a_smaller_receive_maximum_holds_back_what_is_sent_again() {
    let mut raw = Raw::connected(config(Version::V5));
    let tokens: Vec<_> = (0..5)
        .map(|_| raw.publish(QoS::AtLeastOnce, b"x"))
        .collect();
    raw.poll();
    let two = NonZeroU16::new(2).expect("not 0");
    raw.closed(Cause::Eof);
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, saying(Properties::builder().receive_maximum(two)));
    assert_eq!(raw.lines(), ["PUBLISH 1 DUP", "PUBLISH 2 DUP"]);
    for id in 1..=5 {
        raw.feed_ack(PacketType::PubAck, id);
        let next = (id + 2 <= 5).then(|| format!("PUBLISH {} DUP", id + 2));
        assert_eq!(raw.lines(), next.into_iter().collect::<Vec<_>>());
    }
    assert!(
        tokens
            .iter()
            .all(|token| raw.outcome(*token) == Some(ACKNOWLEDGED))
    );
}

/// The server may hold the QoS 2 message under it [MQTT-4.3.3-10].
#[test]
fn a_refused_message_frees_its_identifier_at_qos_1_alone() {
    for (qos, expected) in [
        (QoS::AtLeastOnce, "PUBLISH 1"),
        (QoS::ExactlyOnce, "PUBLISH 2"),
    ] {
        let mut raw = Raw::connected(config(Version::V5));
        let retained = message("a", b"x").with_retain(true);
        raw.offer(qos, retained).expect("accepted");
        raw.poll();
        raw.reconnect(true, saying(Properties::builder().retain_available(false)));
        raw.packets();
        raw.publish(qos, b"next");
        assert_eq!(raw.lines(), [expected]);
    }
}
