//! What each side lets the other send: Receive Maximum, Maximum Packet Size, Maximum QoS, and the other limits of CONNACK.

mod pair;

use std::num::{NonZeroU16, NonZeroU32};

use mqtt_session::proto::{
    EncodeError, Flow, PacketType, Properties, QoS, ReasonCode, SubscribeOptions, Version,
};
use mqtt_session::{
    Cause, ConnectionError, Event, Limits, Outcome, Phase, PublishRefused, QueueId, SubscribeError,
    Violation,
};
use mqtt_testkit::BrokerConfig;
use pair::raw::{Raw, at_least_once, id};
use pair::{ACKNOWLEDGED, Pair, config, message, numbers};

const NONE: Properties = Properties::new();

fn receive_maximum(max: u16) -> Properties {
    let max = NonZeroU16::new(max).expect("not 0");
    Properties::builder()
        .receive_maximum(max)
        .build()
        .expect("good properties")
}

fn filter(filter: &str) -> Vec<(mqtt_session::proto::TopicFilter, SubscribeOptions)> {
    vec![(
        filter.try_into().expect("a filter"),
        SubscribeOptions::new(QoS::AtLeastOnce),
    )]
}

#[test]
fn no_more_are_in_flight_than_the_server_takes_and_each_end_makes_room_for_one() {
    let mut raw = Raw::connected_with(config(Version::V5), receive_maximum(2));
    for qos in [
        QoS::AtLeastOnce,
        QoS::ExactlyOnce,
        QoS::AtLeastOnce,
        QoS::ExactlyOnce,
        QoS::AtLeastOnce,
    ] {
        raw.publish(qos, b"");
    }
    assert_eq!(raw.lines(), ["PUBLISH 1", "PUBLISH 2"]);
    // PUBREC of success makes no room; PUBCOMP, PUBACK, and a PUBREC that refuses do [MQTT-4.9.0-2].
    raw.feed_ack(PacketType::PubRec, 2);
    assert_eq!(raw.lines(), ["PUBREL 2"]);
    raw.feed_ack(PacketType::PubComp, 2);
    assert_eq!(raw.lines(), ["PUBLISH 2"]);
    raw.feed_ack(PacketType::PubAck, 1);
    assert_eq!(raw.lines(), ["PUBLISH 1"]);
    raw.feed_ack_with(PacketType::PubRec, 1, ReasonCode::QUOTA_EXCEEDED);
    assert_eq!(raw.lines(), ["PUBLISH 1"]);
}

#[test]
fn qos_0_requests_and_acknowledgements_go_on_when_no_more_may_be_in_flight() {
    let mut raw = Raw::connected_with(config(Version::V5), receive_maximum(1));
    raw.publish(QoS::AtLeastOnce, b"");
    raw.packets();
    raw.publish(QoS::AtMostOnce, b"");
    raw.subscribe("a", QueueId::DEFAULT);
    raw.feed_publish("a", at_least_once(1), b"x");
    raw.take_and_ack();
    raw.feed_ack(PacketType::PubRel, 9);
    raw.advance(std::time::Duration::from_secs(46));
    let expected = [
        "PUBLISH",
        "SUBSCRIBE 65535 a",
        "PUBACK 1",
        "PUBCOMP 9 0x92",
        "PINGREQ",
    ];
    assert_eq!(raw.lines(), expected);
}

#[test]
fn a_lower_receive_maximum_after_a_reconnect_holds_for_what_is_sent_again() {
    let mut raw = Raw::connected_with(config(Version::V5), receive_maximum(5));
    numbers(0..6).iter().for_each(|payload| {
        raw.publish(QoS::AtLeastOnce, payload);
    });
    assert_eq!(raw.packets().len(), 5);
    raw.reconnect(true, receive_maximum(2));
    assert_eq!(raw.lines(), ["PUBLISH 1 DUP", "PUBLISH 2 DUP"]);
    for number in 1..=3 {
        raw.feed_ack(PacketType::PubAck, number);
        assert_eq!(raw.lines(), [format!("PUBLISH {} DUP", number + 2)]);
    }
    raw.feed_ack(PacketType::PubAck, 4);
    assert_eq!(raw.packets().len(), 1);
}

#[test]
fn a_pubcomp_for_a_message_of_an_earlier_connection_makes_no_room_beyond_receive_maximum() {
    let mut raw = Raw::connected_with(config(Version::V5), receive_maximum(2));
    for _ in 0..6 {
        raw.publish(QoS::ExactlyOnce, b"");
    }
    assert_eq!(raw.lines(), ["PUBLISH 1", "PUBLISH 2"]);
    raw.feed_ack(PacketType::PubRec, 1);
    raw.feed_ack(PacketType::PubRec, 2);
    raw.packets();
    raw.reconnect(true, receive_maximum(2));
    assert_eq!(
        raw.lines(),
        ["PUBREL 1", "PUBREL 2", "PUBLISH 3", "PUBLISH 4"]
    );
    raw.feed_ack(PacketType::PubComp, 1);
    raw.feed_ack(PacketType::PubComp, 2);
    // Two are in flight on this connection [MQTT-3.3.4-7].
    assert_eq!(raw.lines(), Vec::<String>::new());
    raw.feed_ack(PacketType::PubRec, 3);
    raw.feed_ack(PacketType::PubComp, 3);
    assert_eq!(raw.packets().len(), 2, "PUBREL and the next PUBLISH");
}

#[test]
fn a_server_that_sends_more_than_our_receive_maximum_is_disconnected() {
    let mut limits = Limits::default();
    limits.receive_maximum = NonZeroU16::new(3).expect("not 0");
    let mut raw = Raw::connected(config(Version::V5).limits(limits));
    for number in 1..=3 {
        raw.feed_publish("a", at_least_once(number), b"");
    }
    assert_eq!(raw.session.phase(), Phase::Connected);
    raw.feed_publish("a", at_least_once(4), b"");
    assert_eq!(raw.lines(), ["DISCONNECT 0x93"]);
    let error = raw.last_loss();
    assert!(matches!(
        error,
        ConnectionError::Protocol {
            violation: Violation::ReceiveMaximum { max: 3 },
            ..
        }
    ));
}

#[test]
fn the_servers_qos_2_messages_count_against_our_receive_maximum_until_pubrel() {
    let mut limits = Limits::default();
    limits.receive_maximum = NonZeroU16::new(2).expect("not 0");
    let mut raw = Raw::connected(config(Version::V5).limits(limits));
    for number in 1..=2 {
        raw.feed_publish(
            "a",
            Flow::ExactlyOnce {
                id: id(number),
                dup: false,
            },
            b"",
        );
        raw.take_and_ack();
    }
    raw.feed_ack(PacketType::PubRel, 1);
    raw.feed_publish(
        "a",
        Flow::ExactlyOnce {
            id: id(3),
            dup: false,
        },
        b"",
    );
    assert_eq!(raw.session.phase(), Phase::Connected);
    raw.feed_publish(
        "a",
        Flow::ExactlyOnce {
            id: id(4),
            dup: false,
        },
        b"",
    );
    assert_eq!(raw.session.phase(), Phase::Closing);
}

#[test]
fn a_message_above_the_servers_maximum_packet_size_is_given_back_with_both_sizes() {
    let max = NonZeroU32::new(100).expect("not 0");
    let limits = Properties::builder()
        .maximum_packet_size(max)
        .build()
        .expect("good properties");
    let mut raw = Raw::connected_with(config(Version::V5), limits);
    let publish = message("a", &[7; 200]);
    let error = raw
        .offer(QoS::AtLeastOnce, publish.clone())
        .expect_err("too large");
    assert_eq!(error.publish, publish);
    let PublishRefused::Encode(EncodeError::PacketTooLarge { size, max }) = error.reason else {
        panic!("{error:?}");
    };
    assert_eq!((size, max), (209, 100));
    assert_eq!(raw.lines(), Vec::<String>::new());
}

#[test]
fn a_packet_above_our_maximum_is_refused_from_its_header_alone() {
    for version in pair::VERSIONS {
        let mut limits = Limits::default();
        limits.max_packet_size = 1000;
        let mut raw = Raw::connected(config(version).limits(limits));
        raw.bytes_in(&[0x30, 0xE9, 0x07]);
        let expected: &[&str] = if version == Version::V5 {
            &["DISCONNECT 0x95"]
        } else {
            &[]
        };
        assert_eq!(raw.lines(), expected);
        assert!(
            matches!(raw.last_loss(), ConnectionError::Decode { .. }),
            "{:?}",
            raw.last_loss()
        );
        assert!(raw.input.capacity() < 4096);
    }
}

#[test]
fn maximum_qos_and_retain_available_are_minded_before_a_message_is_accepted() {
    let limits = Properties::builder()
        .maximum_qos(false)
        .retain_available(false)
        .build()
        .expect("good properties");
    let mut raw = Raw::connected_with(config(Version::V5), limits);
    let error = raw
        .offer(QoS::AtLeastOnce, message("a", b""))
        .expect_err("QoS 1");
    assert_eq!(
        error.reason,
        PublishRefused::QoSNotSupported {
            max: QoS::AtMostOnce
        }
    );
    let error = raw
        .offer(QoS::AtMostOnce, message("a", b"").with_retain(true))
        .expect_err("RETAIN");
    assert_eq!(error.reason, PublishRefused::RetainNotAvailable);
    raw.publish(QoS::AtMostOnce, b"");
    assert_eq!(raw.lines(), ["PUBLISH"]);
}

#[test]
fn filters_that_the_server_can_not_serve_are_refused_at_once_and_when_accepted_before_at_their_turn()
 {
    let limits = Properties::builder()
        .wildcard_subscription_available(false)
        .shared_subscription_available(false)
        .build()
        .expect("good properties");
    let mut raw = Raw::new(config(Version::V5));
    let early = raw.subscribe("a/#", QueueId::DEFAULT);
    raw.session.connect(raw.now);
    raw.open();
    raw.accept(false, limits);
    assert_eq!(raw.lines(), Vec::<String>::new());
    let told = raw.events.iter().any(|event| {
        matches!(event, Event::Subscribed { token, result: Err(SubscribeError::WildcardNotAvailable { .. }) }
            if *token == early)
    });
    assert!(told, "{:?}", raw.events);
    let mut subscribe = |text| {
        raw.session
            .subscribe(raw.now, filter(text), NONE, QueueId::DEFAULT)
    };
    assert!(matches!(
        subscribe("a/+"),
        Err(SubscribeError::WildcardNotAvailable { .. })
    ));
    assert!(matches!(
        subscribe("$share/g/a"),
        Err(SubscribeError::SharedNotAvailable { .. })
    ));
    assert!(subscribe("a").is_ok());
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
}

#[test]
fn what_is_in_flight_is_counted_anew_on_each_connection() {
    let broker = BrokerConfig {
        receive_maximum: 3,
        ..BrokerConfig::default()
    };
    let mut pair = Pair::with_broker(config(Version::V5).clean_start(false), broker);
    pair.connect();
    for _ in 0..4 {
        pair.broker.hold(PacketType::PubAck);
        let tokens: Vec<_> = (0..5)
            .map(|_| pair.publish("a", QoS::AtLeastOnce, b""))
            .collect();
        pair.run();
        pair.cut();
        pair.broker.release(pair.clock.now(), PacketType::PubAck);
        pair.run_for(std::time::Duration::from_secs(200));
        for token in tokens {
            assert!(
                matches!(pair.outcome(token), Some(Outcome::Acknowledged { .. })),
                "{}",
                pair.broker.ladder()
            );
        }
    }
    pair.check();
}

#[test]
fn our_own_bound_of_messages_in_flight_holds_in_every_version() {
    for version in pair::VERSIONS {
        let mut limits = Limits::default();
        limits.max_in_flight = NonZeroU16::new(2).expect("not 0");
        limits.max_in_flight_v3 = limits.max_in_flight;
        let mut raw = Raw::connected(config(version).limits(limits));
        let tokens: Vec<_> = (0..3).map(|_| raw.publish(QoS::AtLeastOnce, b"")).collect();
        assert_eq!(raw.packets().len(), 2);
        raw.feed_ack(PacketType::PubAck, 1);
        assert_eq!(raw.packets().len(), 1);
        assert_eq!(raw.outcome(tokens[0]), Some(ACKNOWLEDGED));
    }
}

#[test]
fn room_is_told_once_there_is_room_for_what_was_refused() {
    let mut limits = Limits::default();
    limits.outgoing_bytes = 1000;
    let mut raw = Raw::connected(config(Version::V5).limits(limits));
    let size = message("a", &[0; 600]).size();
    raw.publish(QoS::AtLeastOnce, &[0; 600]);
    raw.packets();
    for _ in 0..3 {
        let error = raw
            .offer(QoS::AtLeastOnce, message("a", &[0; 600]))
            .expect_err("full");
        let full = PublishRefused::Full {
            limit: "limits.outgoing_bytes",
            max: 1000,
        };
        assert_eq!(error.reason, full);
        raw.poll();
        assert!(raw.session.publish_capacity().bytes < size);
        let told = raw.events.iter().any(|event| matches!(event, Event::Room));
        assert!(!told, "who comes back now is refused again, and again");
    }
    raw.feed_ack(PacketType::PubAck, 1);
    assert!(raw.events.iter().any(|event| matches!(event, Event::Room)));
    raw.publish(QoS::AtLeastOnce, &[0; 600]);
    raw.closed(Cause::Eof);
}
