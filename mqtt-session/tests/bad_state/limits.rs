//! Entry 18: limits that are narrower after a reconnect, with messages that no longer fit.

use std::num::{NonZeroU16, NonZeroU32};

use mqtt_session::proto::{EncodeError, PacketType, Properties, PropertiesBuilder, QoS, Version};
use mqtt_session::{Outcome, PublishRefused};

use crate::pair::message;
use crate::pair::raw::Raw;
use crate::{assert_all_given_back, ids, lasting};

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
