//! Packet identifiers: all of them, none twice, and never 0.

mod pair;

use mqtt_session::proto::{Packet, PacketType, Properties, QoS, ReasonCode, SubAck, Version};
use mqtt_session::{Event, Limits, QueueId};
use pair::config;
use pair::raw::{Raw, id};

const NONE: Properties = Properties::new();

/// Room for more messages than there are packet identifiers.
fn wide() -> Limits {
    let mut limits = Limits::default();
    limits.max_queued = 100_000;
    limits
}

#[test]
fn all_65535_identifiers_are_used_each_once_and_never_0_and_then_messages_wait() {
    let mut raw = Raw::connected(config(Version::V5).limits(wide()));
    for _ in 0..65_600 {
        raw.publish(QoS::AtLeastOnce, b"");
    }
    let mut ids: Vec<_> = raw
        .packets()
        .iter()
        .map(|packet| match packet {
            Packet::Publish(publish) => publish.packet_id().expect("QoS 1").get(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids.len(), 65_535);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), ids[0], ids[65_534]), (65_535, 1, 65_535));
    raw.feed_ack(PacketType::PubAck, 40_000);
    assert_eq!(raw.lines(), ["PUBLISH 40000"]);
    assert_eq!(raw.lines(), Vec::<String>::new());
}

#[test]
fn a_subscribe_waits_for_an_identifier_and_gets_the_next_that_is_free() {
    let mut raw = Raw::connected(config(Version::V5).limits(wide()));
    for _ in 0..65_535 {
        raw.publish(QoS::AtLeastOnce, b"");
    }
    raw.packets();
    let token = raw.subscribe("a", QueueId::DEFAULT);
    assert_eq!(raw.lines(), Vec::<String>::new());
    for number in 1..=65_535 {
        raw.feed_ack(PacketType::PubAck, number);
        // Publishing goes on all the time.
        raw.publish(QoS::AtLeastOnce, b"");
    }
    let lines = raw.lines();
    let at = lines
        .iter()
        .position(|line| line.starts_with("SUBSCRIBE"))
        .expect("a SUBSCRIBE");
    assert_eq!(at, 0, "messages that were published later wait");
    let number: u16 = lines[at]
        .split(' ')
        .nth(1)
        .and_then(|number| number.parse().ok())
        .expect("an identifier");
    assert!(
        !lines[at..].contains(&format!("PUBLISH {number}")),
        "the identifier is in use"
    );
    let stats = raw.session.stats();
    assert_eq!((stats.in_flight, stats.requests), (65_534, 1));
    raw.feed(&Packet::SubAck(SubAck {
        id: id(number),
        codes: vec![ReasonCode::GRANTED_QOS_1],
        properties: NONE,
    }));
    assert!(
        raw.events
            .iter()
            .any(|event| matches!(event, Event::Subscribed { token: t, .. } if *t == token))
    );
    // The message that has waited for it.
    assert_eq!(raw.lines(), [format!("PUBLISH {number}")]);
    assert_eq!(raw.session.stats().in_flight, 65_535);
}

#[test]
fn a_subscribe_never_has_the_identifier_of_a_message_in_flight() {
    let mut limits = wide();
    limits.max_requests = 2000;
    let mut raw = Raw::connected(config(Version::V5).limits(limits));
    for round in 0..33_000u32 {
        raw.publish(QoS::AtLeastOnce, b"");
        raw.publish(QoS::ExactlyOnce, b"");
        if round % 20 == 0 {
            raw.subscribe("a", QueueId::DEFAULT);
        }
    }
    let mut ids: Vec<_> = raw
        .packets()
        .iter()
        .map(|packet| match packet {
            Packet::Publish(publish) => publish.packet_id().expect("QoS 1 or 2"),
            Packet::Subscribe(subscribe) => subscribe.id,
            other => panic!("{other:?}"),
        })
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), all), (65_535, 65_535));
}

/// It is the last one, so that nothing else is in use at the top.
#[test]
fn one_message_that_is_never_acknowledged_keeps_nothing_else_from_being_sent() {
    let mut raw = Raw::connected(config(Version::V5).limits(wide()));
    for _ in 0..65_535 {
        raw.publish(QoS::AtLeastOnce, b"");
    }
    raw.packets();
    for number in 1..=65_534 {
        raw.feed_ack(PacketType::PubAck, number);
    }
    let token = raw.subscribe("a", QueueId::DEFAULT);
    raw.publish(QoS::AtLeastOnce, b"");
    let lines = raw.lines();
    let [subscribe, publish] = &*lines else {
        panic!("{lines:?}")
    };
    let numbers = [subscribe, publish].map(|line| {
        let number = line.split(' ').nth(1).and_then(|n| n.parse::<u16>().ok());
        number.expect("an identifier")
    });
    assert!(numbers[0] != numbers[1], "{lines:?}");
    assert!(!numbers.contains(&65_535), "{lines:?}");
    raw.feed_ack(PacketType::PubAck, numbers[1]);
    // An acknowledgement of a message means nothing to a SUBSCRIBE.
    raw.feed_ack(PacketType::PubAck, numbers[0]);
    raw.feed(&Packet::SubAck(SubAck {
        id: id(numbers[0]),
        codes: vec![ReasonCode::GRANTED_QOS_1],
        properties: NONE,
    }));
    let answered =
        |event: &Event| matches!(event, Event::Subscribed { token: t, .. } if *t == token);
    assert!(raw.events.iter().any(answered), "{:?}", raw.events);
    // The identifier is free again, and an unanswered one is so on the next connection.
    raw.subscribe("b", QueueId::DEFAULT);
    raw.reconnect(true, NONE);
    let lines = raw.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("SUBSCRIBE "), "{lines:?}");
    assert_eq!(lines[1], "PUBLISH 65535 DUP");
    raw.feed_ack(PacketType::PubAck, 65_535);
    raw.publish(QoS::AtLeastOnce, b"");
    assert_eq!(raw.lines().len(), 1);
}

#[test]
fn a_server_that_answers_no_subscribe_does_not_keep_us_from_publishing() {
    let mut limits = wide();
    limits.max_requests = usize::MAX;
    let mut raw = Raw::connected(config(Version::V5).limits(limits));
    for _ in 0..66_000 {
        raw.subscribe("a", QueueId::DEFAULT);
    }
    raw.publish(QoS::ExactlyOnce, b"");
    let lines = raw.lines();
    assert_eq!(lines.last().map(|line| &**line), Some("PUBLISH 1"));
    raw.feed(&Packet::SubAck(SubAck {
        id: id(65_535),
        codes: vec![ReasonCode::GRANTED_QOS_1],
        properties: NONE,
    }));
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
}
