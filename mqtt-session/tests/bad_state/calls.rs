//! Calls that can't work: an error at the call, and nothing is sent.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use mqtt_session::proto::{
    Disconnect, EncodeError, Properties, PropertiesBuilder, QoS, SubscribeOptions, Topic,
    TopicFilter, Version,
};
use mqtt_session::{Limits, PublishRefused, QueueId, SubscribeError};

use crate::pair::raw::Raw;
use crate::pair::{VERSIONS, config, message};
use crate::{NONE, assert_all_given_back};

fn said(set: impl FnOnce(PropertiesBuilder) -> PropertiesBuilder) -> Properties {
    set(Properties::builder()).build().expect("good properties")
}

fn filter(name: &str) -> TopicFilter {
    name.try_into().expect("a filter")
}

fn assert_untouched(raw: &mut Raw) {
    assert_eq!(raw.lines(), Vec::<String>::new());
    assert_all_given_back(raw);
    assert!(raw.losses().is_empty());
}

#[test]
fn an_empty_list_of_filters_is_refused() {
    for version in VERSIONS {
        let mut raw = Raw::connected(config(version));
        let none = raw
            .session
            .subscribe(raw.now, Vec::new(), NONE, QueueId::DEFAULT);
        assert_eq!(none, Err(SubscribeError::NoFilters));
        let none = raw.session.unsubscribe(raw.now, Vec::new(), NONE);
        assert_eq!(none, Err(SubscribeError::NoFilters));
        assert_untouched(&mut raw);
    }
}

#[test]
fn bad_topics_and_filters_can_not_be_held() {
    for topic in ["", "a/+", "#", "a\0b"] {
        Topic::try_from(topic).expect_err(topic);
    }
    for filter in [
        "",
        "a#",
        "a/#/b",
        "a+",
        "+a/b",
        "a\0",
        "$share//a",
        "$share/g+/a",
        "$share/g",
    ] {
        TopicFilter::try_from(filter).expect_err(filter);
    }
    Topic::try_from("x".repeat(65_536)).expect_err("too long");
    TopicFilter::try_from("x".repeat(65_536)).expect_err("too long");
}

#[test]
fn no_local_on_a_shared_subscription_is_refused() {
    let mut raw = Raw::connected(config(Version::V5));
    let options = SubscribeOptions {
        no_local: true,
        ..SubscribeOptions::new(QoS::AtLeastOnce)
    };
    let shared = vec![(filter("$share/g/a"), options)];
    let error = raw
        .session
        .subscribe(raw.now, shared, NONE, QueueId::DEFAULT);
    assert_eq!(
        error,
        Err(SubscribeError::Encode(EncodeError::NoLocalOnShared))
    );
    assert_untouched(&mut raw);
}

#[test]
fn what_3_x_can_not_carry_is_refused_and_given_back() {
    for version in [Version::V3_1, Version::V3_1_1] {
        let mut raw = Raw::connected(config(version));
        let publish = message("a", b"x").with_properties(said(|b| b.content_type("text/plain")));
        let error = raw
            .offer(QoS::AtLeastOnce, publish.clone())
            .expect_err("properties");
        assert_eq!(error.publish, publish);
        assert!(matches!(error.reason, PublishRefused::Encode(_)), "{error}");
        let options = SubscribeOptions {
            no_local: true,
            ..SubscribeOptions::new(QoS::AtLeastOnce)
        };
        raw.session
            .subscribe(
                raw.now,
                vec![(filter("a"), options)],
                NONE,
                QueueId::DEFAULT,
            )
            .expect_err("no local");
        let named = said(|b| b.user_property("a", "b"));
        raw.session
            .unsubscribe(raw.now, vec![filter("a")], named)
            .expect_err("properties");
        assert_untouched(&mut raw);
    }
}

#[test]
fn a_payload_above_any_limit_is_refused_with_both_sizes() {
    // The queue's.
    let mut limits = Limits::default();
    limits.outgoing_bytes = 1000;
    let mut raw = Raw::connected(config(Version::V5).limits(limits));
    let publish = message("a", &[7; 2000]);
    let size = publish.size();
    let error = raw.offer(QoS::AtLeastOnce, publish).expect_err("too large");
    assert_eq!(error.reason, PublishRefused::AboveLimit { size, max: 1000 });
    assert_eq!(raw.lines(), Vec::<String>::new());
    // The server's.
    let max = NonZeroU32::new(1000).expect("not 0");
    let small = said(|b| b.maximum_packet_size(max));
    let mut raw = Raw::connected_with(config(Version::V5), small);
    let error = raw
        .offer(QoS::AtMostOnce, message("a", &[7; 2000]))
        .expect_err("too large");
    let too_large = EncodeError::PacketTooLarge {
        size: 2007,
        max: 1000,
    };
    assert_eq!(error.reason, PublishRefused::Encode(too_large));
    assert_untouched(&mut raw);
}

#[test]
fn what_the_server_can_not_do_is_refused_and_given_back() {
    let little = said(|b| {
        b.maximum_qos(false)
            .retain_available(false)
            .wildcard_subscription_available(false)
            .shared_subscription_available(false)
    });
    let mut raw = Raw::connected_with(config(Version::V5), little);
    let error = raw
        .offer(QoS::AtLeastOnce, message("a", b"x"))
        .expect_err("QoS 1");
    let max = QoS::AtMostOnce;
    assert_eq!(error.reason, PublishRefused::QoSNotSupported { max });
    assert_eq!(error.publish, message("a", b"x"));
    let error = raw
        .offer(QoS::AtMostOnce, message("a", b"x").with_retain(true))
        .expect_err("RETAIN");
    assert_eq!(error.reason, PublishRefused::RetainNotAvailable);
    let mut ask = |name| {
        let filters = vec![
            (filter("fine"), QoS::AtMostOnce.into()),
            (filter(name), QoS::AtMostOnce.into()),
        ];
        raw.session
            .subscribe(raw.now, filters, NONE, QueueId::DEFAULT)
            .expect_err("refused")
    };
    let error = ask("a/#");
    assert_eq!(
        error,
        SubscribeError::WildcardNotAvailable {
            filter: filter("a/#")
        }
    );
    let error = ask("$share/g/a");
    assert_eq!(
        error,
        SubscribeError::SharedNotAvailable {
            filter: filter("$share/g/a")
        }
    );
    assert_untouched(&mut raw);
}

#[test]
fn a_closed_session_takes_nothing_and_does_not_wake() {
    for version in VERSIONS {
        let mut raw = Raw::connected(config(version));
        raw.session
            .disconnect(raw.now, Disconnect::default(), Duration::ZERO)
            .expect("a good DISCONNECT");
        raw.packets();
        raw.hang_up();
        let error = raw
            .offer(QoS::AtMostOnce, message("a", b""))
            .expect_err("closed");
        assert_eq!(error.reason, PublishRefused::Closed);
        let filters = vec![(filter("a"), QoS::AtMostOnce.into())];
        let error = raw
            .session
            .subscribe(raw.now, filters, NONE, QueueId::DEFAULT);
        assert_eq!(error, Err(SubscribeError::Closed));
        let error = raw.session.unsubscribe(raw.now, vec![filter("a")], NONE);
        assert_eq!(error, Err(SubscribeError::Closed));
        raw.session.connect(raw.now);
        raw.session.start(raw.now);
        raw.session
            .disconnect(raw.now, Disconnect::default(), Duration::ZERO)
            .expect("a good DISCONNECT");
        raw.bytes_in(&[0xD0, 0]);
        assert!(!raw.session.has_transmit() && !raw.session.has_action());
        assert_eq!(raw.session.poll_timeout(), None);
        assert_eq!(raw.lines(), Vec::<String>::new());
    }
}

#[test]
fn properties_that_a_publish_of_a_client_may_not_have_are_refused_and_given_back() {
    let mut raw = Raw::connected(config(Version::V5));
    for properties in [
        said(|b| b.subscription_identifier(5)),
        said(|b| b.topic_alias(NonZeroU16::MIN)),
        said(|b| b.session_expiry_interval(5)),
        said(|b| b.reason_string("no")),
    ] {
        let publish = message("a", b"x").with_properties(properties);
        let error = raw
            .offer(QoS::AtLeastOnce, publish.clone())
            .expect_err("not in PUBLISH");
        assert_eq!(error.publish, publish);
        let refused = matches!(
            error.reason,
            PublishRefused::Encode(EncodeError::PropertyNotAllowed { .. })
        );
        assert!(refused, "{error}");
    }
    assert_untouched(&mut raw);
}

#[test]
fn a_response_topic_with_a_wildcard_can_not_be_held_nor_come_in() {
    for topic in ["answers/+", "#", "", "a\0"] {
        Properties::builder()
            .response_topic(topic)
            .build()
            .expect_err(topic);
    }
    // PUBLISH to `a` with the Response Topic `+`.
    let mut raw = Raw::connected(config(Version::V5));
    raw.bytes_in(&[0x30, 8, 0, 1, b'a', 4, 0x08, 0, 1, b'+']);
    assert_eq!(raw.lines(), ["DISCONNECT 0x90"]);
    assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
    let good = said(|b| b.response_topic("answers/7").correlation_data(b"9"));
    let mut raw = Raw::connected(config(Version::V5));
    raw.offer(
        QoS::AtMostOnce,
        message("a", b"x").with_properties(good.clone()),
    )
    .expect("accepted");
    let packets = raw.packets();
    let [mqtt_session::proto::Packet::Publish(publish)] = &packets[..] else {
        panic!("{packets:?}")
    };
    assert_eq!(publish.properties(), good.view());
}
