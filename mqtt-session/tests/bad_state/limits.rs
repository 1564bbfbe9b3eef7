//! Entry 18: limits that are narrower after a reconnect, with messages that no longer fit.

use std::num::{NonZeroU16, NonZeroU32};

use mqtt_session::proto::{EncodeError, PacketType, Properties, PropertiesBuilder, QoS, Version};
use mqtt_session::{ConnectionError, Fault, Outcome, PublishRefused};

use crate::pair::message;
use crate::pair::raw::{Raw, exactly_once};
use crate::{assert_all_given_back, assert_next_is_clean, ids, lasting};

fn said(set: impl FnOnce(PropertiesBuilder) -> PropertiesBuilder) -> Properties {
    set(Properties::builder()).build().expect("good properties")
}

/// What may still go is sent, and its acknowledgements end it: the session is not stuck.
fn finish(raw: &mut Raw, count: usize) {
    let sent = ids(&raw.lines());
    assert_eq!(sent.len(), count);
    for id in sent {
        raw.feed_ack(PacketType::PubAck, id);
    }
    assert_all_given_back(raw);
}

#[test]
fn a_lower_receive_maximum_holds_for_what_is_sent_again_and_for_what_waits() {
    let max = |max| said(|b| b.receive_maximum(NonZeroU16::new(max).expect("not 0")));
    let mut raw = Raw::connected_with(lasting(Version::V5), max(100));
    let tokens: Vec<_> = (0..10)
        .map(|_| raw.publish(QoS::AtLeastOnce, b""))
        .collect();
    assert_eq!(raw.packets().len(), 10);
    raw.reconnect(true, max(1));
    for _ in 0..10 {
        let sent = ids(&raw.lines());
        assert_eq!(sent.len(), 1);
        raw.feed_ack(PacketType::PubAck, sent[0]);
    }
    for token in tokens {
        assert!(raw.outcome(token).is_some_and(|o| o.is_success()));
    }
    assert_all_given_back(&raw);
}

#[test]
fn what_is_above_a_lower_maximum_qos_ends_as_refused_and_the_rest_goes_on() {
    let mut raw = Raw::connected(lasting(Version::V5));
    let in_flight = raw.publish(QoS::ExactlyOnce, b"in flight");
    raw.packets();
    raw.closed(mqtt_session::Cause::Eof);
    let queued = raw.publish(QoS::ExactlyOnce, b"queued");
    let fits = raw.publish(QoS::AtLeastOnce, b"fits");
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, said(|b| b.maximum_qos(true)));
    let refused = Outcome::Refused(PublishRefused::QoSNotSupported {
        max: QoS::AtLeastOnce,
    });
    assert_eq!(raw.outcome(in_flight), Some(refused));
    assert_eq!(raw.outcome(queued), Some(refused));
    finish(&mut raw, 1);
    assert!(raw.outcome(fits).is_some_and(|o| o.is_success()));
}

#[test]
fn what_is_to_be_retained_ends_as_refused_where_that_is_not_available_any_more() {
    let mut raw = Raw::connected(lasting(Version::V5));
    let retained = |raw: &mut Raw| {
        raw.offer(QoS::AtLeastOnce, message("a", b"x").with_retain(true))
            .expect("accepted")
    };
    let in_flight = retained(&mut raw);
    raw.packets();
    raw.closed(mqtt_session::Cause::Eof);
    let queued = retained(&mut raw);
    raw.publish(QoS::AtLeastOnce, b"fits");
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, said(|b| b.retain_available(false)));
    let refused = Outcome::Refused(PublishRefused::RetainNotAvailable);
    assert_eq!(raw.outcome(in_flight), Some(refused));
    assert_eq!(raw.outcome(queued), Some(refused));
    finish(&mut raw, 1);
}

#[test]
fn what_is_above_a_lower_maximum_packet_size_ends_as_refused_with_both_sizes_and_does_not_loop() {
    let mut raw = Raw::connected(lasting(Version::V5));
    let in_flight = raw.publish(QoS::AtLeastOnce, &[7; 200]);
    raw.packets();
    raw.closed(mqtt_session::Cause::Eof);
    let queued = raw.publish(QoS::AtMostOnce, &[7; 300]);
    raw.publish(QoS::AtLeastOnce, b"fits");
    raw.wait_for_dial();
    raw.open();
    let small = NonZeroU32::new(100).expect("not 0");
    raw.accept(true, said(|b| b.maximum_packet_size(small)));
    for (token, size) in [(in_flight, 209), (queued, 307)] {
        let error = EncodeError::PacketTooLarge { size, max: 100 };
        let refused = Outcome::Refused(PublishRefused::Encode(error));
        assert_eq!(raw.outcome(token), Some(refused));
    }
    finish(&mut raw, 1);
    raw.reconnect(true, said(|b| b.maximum_packet_size(small)));
    assert_eq!(raw.lines(), Vec::<String>::new());
}

/// [MQTT-3.2.2-15]: no acknowledgement fits, so nothing above QoS 0 could ever end, and the server would not know why.
#[test]
fn a_maximum_packet_size_below_an_acknowledgement_ends_the_connection_and_says_so() {
    for size in 1..4 {
        let mut raw = Raw::new(lasting(Version::V5));
        raw.session.start(raw.now);
        raw.open();
        let max = NonZeroU32::new(size).expect("not 0");
        raw.accept(false, said(|b| b.maximum_packet_size(max)));
        let error = raw.last_loss();
        assert!(matches!(error, ConnectionError::TakesNoAck { max: m, .. } if m == max));
        assert_eq!(error.fault(), Fault::Peer);
        let shown = error.to_string();
        assert!(shown.contains(&format!("of {size} bytes")), "{shown}");
        // Where even that does not fit, the stream is closed without it.
        let expected: &[&str] = if size == 3 { &["DISCONNECT 0x83"] } else { &[] };
        assert_eq!(raw.lines(), expected, "{size}");
        assert_next_is_clean(&mut raw, false);
    }
}

#[test]
fn with_room_for_an_acknowledgement_alone_each_one_is_sent() {
    let mut raw = Raw::new(lasting(Version::V5));
    raw.session.start(raw.now);
    raw.open();
    let max = NonZeroU32::new(4).expect("not 0");
    raw.accept(false, said(|b| b.maximum_packet_size(max)));
    raw.feed_publish("a", exactly_once(1), b"x");
    raw.take_and_ack();
    raw.feed_ack(PacketType::PubRel, 1);
    assert_eq!(raw.lines(), ["PUBREC 1", "PUBCOMP 1"]);
    // Without the reason, which does not fit.
    raw.feed_ack(PacketType::PubRel, 2);
    raw.feed_ack(PacketType::PubRec, 3);
    assert_eq!(raw.lines(), ["PUBCOMP 2", "PUBREL 3"]);
}
