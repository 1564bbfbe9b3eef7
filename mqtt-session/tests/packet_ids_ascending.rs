//! Packet identifiers that ascend: [`PacketIds::Ascending`].

mod pair;

use std::collections::BTreeSet;
use std::time::Duration;

use mqtt_session::proto::{
    Packet, PacketId, PacketType, Properties, QoS, ReasonCode, SubAck, UnsubAck, Version,
};
use mqtt_session::{ConfigBuilder, Event, Limits, PacketIds, Phase, PublishOptions, QueueId};
use mqtt_testkit::Rng;
use pair::raw::{Raw, id};
use pair::{ACKNOWLEDGED, Pair, config};

const NONE: Properties = Properties::new();

fn ascending(version: Version) -> ConfigBuilder {
    let mut limits = Limits::default();
    limits.max_queued = 100_000;
    limits.max_requests = 100_000;
    config(version)
        .limits(limits)
        .packet_ids(PacketIds::Ascending)
}

fn grant(raw: &mut Raw, number: u16) {
    raw.feed(&Packet::SubAck(SubAck {
        id: id(number),
        codes: vec![ReasonCode::GRANTED_QOS_2],
        properties: NONE,
    }));
}

#[test]
fn each_identifier_is_the_next_whatever_it_is_for_and_though_those_before_are_free() {
    let mut raw = Raw::connected(ascending(Version::V5));
    for number in [1, 2] {
        raw.publish(QoS::AtLeastOnce, b"");
        assert_eq!(raw.lines(), [format!("PUBLISH {number}")]);
        raw.feed_ack(PacketType::PubAck, number);
    }
    let queue = raw.session.open_queue();
    raw.subscribe("a", queue);
    assert_eq!(raw.lines(), ["SUBSCRIBE 3 a"]);
    grant(&mut raw, 3);
    raw.session
        .unsubscribe(raw.now, vec!["a".try_into().expect("a filter")], NONE)
        .expect("accepted");
    assert_eq!(raw.lines(), ["UNSUBSCRIBE 4 a"]);
    raw.publish(QoS::AtMostOnce, b"");
    raw.publish(QoS::ExactlyOnce, b"");
    assert_eq!(raw.lines(), ["PUBLISH", "PUBLISH 5"]);
    raw.feed(&Packet::UnsubAck(UnsubAck {
        id: id(4),
        codes: vec![ReasonCode::SUCCESS],
        properties: NONE,
    }));
    let unsubscribed = |event: &Event| matches!(event, Event::Unsubscribed { result: Ok(_), .. });
    assert!(raw.events.iter().any(unsubscribed), "{:?}", raw.events);
}

/// [MQTT-2.2.1-3]
#[test]
fn behind_65535_comes_1_and_what_is_in_use_is_passed_over() {
    let mut raw = Raw::connected(ascending(Version::V5));
    let kept = [1, 2, 4, 65_535];
    for number in 1..=65_535 {
        raw.publish(QoS::AtLeastOnce, b"");
        assert_eq!(raw.lines(), [format!("PUBLISH {number}")]);
        if !kept.contains(&number) {
            raw.feed_ack(PacketType::PubAck, number);
        }
    }
    raw.publish(QoS::AtLeastOnce, b"");
    raw.subscribe("a", QueueId::DEFAULT);
    let mut lines = raw.lines();
    lines.sort();
    assert!(
        lines == ["PUBLISH 3", "SUBSCRIBE 5 a"] || lines == ["PUBLISH 5", "SUBSCRIBE 3 a"],
        "{lines:?}"
    );
}

#[test]
fn all_65535_identifiers_are_used_each_once_and_then_messages_wait() {
    let mut raw = Raw::connected(ascending(Version::V5));
    raw.subscribe("a", QueueId::DEFAULT);
    for _ in 0..65_600 {
        raw.publish(QoS::AtLeastOnce, b"");
    }
    let numbers: BTreeSet<_> = raw.packets().iter().map(number).collect();
    assert_eq!(numbers.len(), 65_535);
    raw.feed_ack(PacketType::PubAck, 40_000);
    assert_eq!(raw.lines(), ["PUBLISH 40000"]);
    raw.feed_ack(PacketType::PubAck, 2);
    assert_eq!(raw.lines(), ["PUBLISH 2"]);
    grant(&mut raw, 1);
    assert_eq!(raw.lines(), ["PUBLISH 1"]);
    assert_eq!(raw.lines(), Vec::<String>::new());
}

fn number(packet: &Packet) -> u16 {
    let id: Option<PacketId> = match packet {
        Packet::Publish(publish) => publish.packet_id(),
        Packet::Subscribe(subscribe) => Some(subscribe.id),
        other => panic!("{other:?}"),
    };
    id.expect("QoS 1 or 2").get()
}

/// [MQTT-4.4.0-1], [MQTT-4.6.0-1]
#[test]
fn what_is_sent_again_keeps_its_identifier_and_order_and_what_is_asked_for_again_does_not() {
    for version in pair::VERSIONS {
        let mut raw = Raw::connected(ascending(version).clean_start(false));
        for qos in [QoS::ExactlyOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            raw.publish(qos, b"");
        }
        let first = number(&raw.packets()[0]);
        let after = |steps: u32| (u32::from(first) - 1 + steps) % 65_535 + 1;
        raw.feed_ack(PacketType::PubRec, first);
        raw.subscribe("a", QueueId::DEFAULT);
        assert_eq!(
            raw.lines(),
            [
                format!("PUBREL {first}"),
                format!("SUBSCRIBE {} a", after(3))
            ]
        );
        raw.reconnect(true, NONE);
        assert_eq!(
            raw.lines(),
            [
                format!("SUBSCRIBE {} a", after(4)),
                format!("PUBREL {first}"),
                format!("PUBLISH {} DUP", after(1)),
                format!("PUBLISH {} DUP", after(2)),
            ]
        );
    }
}

/// As the messages of [`PacketIds::Reused`] do.
#[test]
fn a_message_of_which_no_byte_had_left_goes_without_dup_after_a_reconnect() {
    let mut raw = Raw::connected(ascending(Version::V5).clean_start(false));
    raw.packets();
    let token = raw.publish(QoS::AtLeastOnce, b"");
    // It is encoded, and nobody has polled it.
    raw.session
        .handle_closed(raw.now, raw.attempt.expect("one"), mqtt_session::Cause::Eof);
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, NONE);
    let lines = raw.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(!lines[0].ends_with("DUP"), "{lines:?}");
    let number = lines[0].rsplit(' ').next().map(str::parse);
    raw.feed_ack(PacketType::PubAck, number.expect("one").expect("a number"));
    assert_eq!(raw.outcome(token), Some(ACKNOWLEDGED));
}

/// The model broker refuses an identifier that is in use.
#[test]
fn messages_pass_at_every_qos_over_reconnects_and_each_has_its_outcome() {
    for version in [Version::V3_1_1, Version::V5] {
        let mut pair = Pair::connected(ascending(version).clean_start(false));
        let mut random = Rng::new(11);
        let mut tokens = Vec::new();
        for round in 0..60u64 {
            for n in 0..random.below(12) {
                let qos = if n % 2 == 0 {
                    QoS::AtLeastOnce
                } else {
                    QoS::ExactlyOnce
                };
                tokens.push(pair.publish("a", qos, &(round << 8 | n).to_be_bytes()));
            }
            pair.subscribe("b", QoS::ExactlyOnce);
            if random.chance(4) && pair.session.phase() == Phase::Connected {
                pair.cut();
            }
            pair.run_for(Duration::from_millis(random.below(200)));
        }
        pair.run_for(Duration::from_secs(60));
        assert!(tokens.len() > 200);
        for token in tokens {
            assert_eq!(pair.outcome(token), Some(ACKNOWLEDGED), "{token:?}");
        }
        pair.check();
    }
}

#[test]
fn they_go_on_ascending_over_a_reconnect_with_nothing_in_flight() {
    let mut raw = Raw::connected(ascending(Version::V5));
    for number in 1..=3 {
        raw.publish(QoS::AtLeastOnce, b"");
        raw.packets();
        raw.feed_ack(PacketType::PubAck, number);
    }
    raw.reconnect(true, NONE);
    raw.publish(QoS::AtLeastOnce, b"");
    assert_eq!(raw.lines(), ["PUBLISH 4"]);
}

#[test]
fn a_message_that_expired_in_flight_and_is_refused_late_is_in_flight_no_more() {
    let mut raw = Raw::connected(ascending(Version::V5));
    let options = PublishOptions::new().with_time_to_live(Duration::from_millis(1));
    let publish = pair::message("a", b"x");
    raw.session
        .publish_with(raw.now, QoS::ExactlyOnce, publish, &options)
        .expect("accepted");
    raw.poll();
    raw.reconnect(true, NONE);
    assert_eq!(raw.session.stats().in_flight, 0);
    raw.feed_ack_with(PacketType::PubRec, 1, ReasonCode::NOT_AUTHORIZED);
    assert_eq!(raw.session.stats().in_flight, 0);
    raw.publish(QoS::ExactlyOnce, b"y");
    assert_eq!(raw.session.stats().in_flight, 1);
}
