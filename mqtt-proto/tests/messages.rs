//! What a message to send and a received one tell of themselves, and what can be made of them.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::num::NonZeroU16;

use bytes::{Bytes, BytesMut};
use common::{accepts, hex, id};
use mqtt_proto::{
    Decoder, Encoder, Flow, Packet, Properties, PropertiesRef, PropertyError, PropertyId, Publish,
    PublishView, QoS, ReasonCode, Sender, Text, Topic, Version,
};

fn topic(name: &str) -> Topic {
    Topic::try_from(name).unwrap()
}

fn received(digits: &str) -> PublishView {
    match accepts(Version::V5, Sender::Server, &hex(digits)) {
        Packet::Publish(view) => view,
        other => panic!("{other:?} is no PUBLISH"),
    }
}

/// Topic "t", Message Expiry Interval 60, the user property a=b, payload "xyz".
const WITH_PROPERTIES: &str = "30 13 0001 74 0C 02 0000003C 26 0001 61 0001 62 78797A";
/// Topic alias 5 alone, Message Expiry Interval 60, payload "xyz", QoS 1.
const BY_ALIAS: &str = "32 10 0000 0007 08 23 0005 02 0000003C 78797A";

fn inside(whole: &[u8], part: &[u8]) -> bool {
    let (whole, part) = (whole.as_ptr_range(), part.as_ptr_range());
    whole.start <= part.start && part.end <= whole.end
}

#[test]
fn what_is_left_of_an_expiry_takes_its_place_among_the_properties() {
    let properties = Properties::builder()
        .user_property("a", "b")
        .message_expiry_interval(60_u32)
        .content_type("text")
        .build()
        .unwrap();
    let publish = Publish::new(topic("t"), "xyz")
        .with_properties(properties)
        .with_retain(true);
    let left = publish.expiring_in(0x0102_0304);
    let expected = Properties::builder()
        .user_property("a", "b")
        .message_expiry_interval(0x0102_0304_u32)
        .content_type("text")
        .build()
        .unwrap();
    assert_eq!(left.properties(), expected.view());
    assert_eq!(left.topic(), "t");
    assert_eq!(left.payload(), b"xyz");
    assert!(left.retain());

    let without = Publish::new(topic("t"), "xyz").expiring_in(7);
    assert!(without.properties().is_empty(), "it gets none");
}

#[test]
fn the_size_of_a_message_is_that_of_its_three_parts() {
    let plain = Publish::new(topic("topic"), "xyz");
    assert_eq!(plain.size(), 5 + 3);
    let properties = Properties::builder().user_property("a", "b").build();
    assert_eq!(
        plain.with_properties(properties.unwrap()).size(),
        5 + 3 + 1 + 2 + 1 + 2 + 1
    );
}

#[test]
fn a_received_message_tells_its_flow() {
    let tells = |digits: &str| {
        let view = received(digits);
        assert_eq!(view.flow().qos(), view.qos());
        (view.qos(), view.packet_id(), view.dup())
    };
    assert_eq!(tells("30 04 0001 74 00"), (QoS::AtMostOnce, None, false));
    assert_eq!(
        tells("32 06 0001 74 0007 00"),
        (QoS::AtLeastOnce, Some(id(7)), false)
    );
    assert_eq!(
        tells("3C 06 0001 74 0107 00"),
        (QoS::ExactlyOnce, Some(id(0x107)), true)
    );
    assert_eq!(received("30 04 0001 74 00").size(), 6);
}

#[test]
fn the_parts_of_a_received_message_share_the_buffer_that_it_came_in() {
    let bytes = hex(WITH_PROPERTIES);
    let mut input = BytesMut::from(&bytes[..]);
    let decoder = Decoder::new(Version::V5, Sender::Server);
    let Some(Packet::Publish(mut view)) = decoder.decode(&mut input).unwrap() else {
        panic!("it is a PUBLISH");
    };
    let payload = view.payload_bytes();
    assert_eq!(payload, "xyz");
    assert!(inside(view.payload(), &payload));
    let shared = view.share(view.topic().as_bytes());
    assert!(inside(view.topic().as_bytes(), &shared));
    assert_eq!(shared, "t");
    let foreign = b"elsewhere".to_vec();
    let copied = view.share(&foreign);
    assert_eq!(copied, "elsewhere");
    assert!(!inside(&foreign, &copied));

    let before = view.clone();
    view.detach();
    assert_eq!(view, before, "it is the same message");
    assert!(
        !inside(before.payload(), view.payload()),
        "in memory of its own"
    );
}

#[test]
fn a_message_whose_alias_is_known_gets_its_topic_once() {
    let mut view = received(BY_ALIAS);
    assert!(view.topic().is_empty());
    assert_eq!(view.topic_alias(), NonZeroU16::new(5));
    assert_eq!(view.to_publish(), None, "nobody knows where it goes");
    let properties: Vec<_> = view.properties().as_bytes().to_vec();

    view.name(topic("sensors/7").view());
    assert_eq!(view.topic(), "sensors/7");
    assert_eq!(view.properties().as_bytes(), properties);
    assert_eq!(view.payload(), b"xyz");
    assert_eq!(view.packet_id(), Some(id(7)));
    assert_eq!(view.topic_alias(), NonZeroU16::new(5));

    view.name(topic("another").view());
    assert_eq!(view.topic(), "sensors/7", "it has one already");

    let publish = view.to_publish().unwrap();
    assert_eq!(publish.topic(), "sensors/7");
    assert_eq!(publish.payload(), b"xyz");
    assert_eq!(publish.properties().topic_alias(), None);
    assert_eq!(publish.properties().message_expiry_interval(), Some(60));
}

#[test]
fn a_message_is_published_again_without_what_belongs_to_its_connection() {
    // Subscription Identifiers 1 and 200 around the user property a=b; retained.
    let view = received("31 11 0001 74 0C 0B 01 26 0001 61 0001 62 0B C801 78");
    let publish = view.to_publish().unwrap();
    assert!(publish.retain());
    assert_eq!(publish.payload(), b"x");
    let expected = Properties::builder().user_property("a", "b").build();
    assert_eq!(publish.properties(), expected.unwrap().view());

    let plain = received(WITH_PROPERTIES);
    let publish = plain.to_publish().unwrap();
    assert!(!publish.retain());
    assert_eq!(publish.properties(), plain.properties());
}

#[test]
fn a_payload_is_replaced_behind_the_same_topic_and_properties() {
    let mut view = received(WITH_PROPERTIES);
    let before = view.clone();
    view.set_payload(b"another one");
    assert_eq!(view.payload(), b"another one");
    assert_eq!(view.topic(), "t");
    assert_eq!(view.properties(), before.properties());
    assert_eq!(before.payload(), b"xyz", "what was cloned has its own");
}

#[test]
fn received_messages_are_equal_where_all_that_they_say_is() {
    let first = received(WITH_PROPERTIES);
    assert_eq!(first, received(WITH_PROPERTIES));
    for (what, other) in [
        (
            "QoS",
            "32 15 0001 74 0007 0C 02 0000003C 26 0001 61 0001 62 78797A",
        ),
        (
            "RETAIN",
            "31 13 0001 74 0C 02 0000003C 26 0001 61 0001 62 78797A",
        ),
        (
            "topic",
            "30 13 0001 75 0C 02 0000003C 26 0001 61 0001 62 78797A",
        ),
        (
            "properties",
            "30 13 0001 74 0C 02 0000003D 26 0001 61 0001 62 78797A",
        ),
        (
            "payload",
            "30 13 0001 74 0C 02 0000003C 26 0001 61 0001 62 78797B",
        ),
    ] {
        assert_ne!(first, received(other), "another {what}");
    }
}

#[test]
fn whether_a_payload_is_the_text_that_it_is_said_to_be() {
    // Payload Format Indicator 1, 0 and none; "é", and a byte that is no UTF-8.
    for (properties, payload, valid) in [
        ("02 01 01", "C3A9", true),
        ("02 01 01", "FFFE", false),
        ("02 01 00", "FFFE", true),
        ("02 01 00", "C3A9", true),
    ] {
        let view = received(&format!("30 08 0001 74 {properties} {payload}"));
        assert_eq!(
            view.payload_format_is_valid(),
            valid,
            "{properties} {payload}"
        );
    }
    assert!(received("30 06 0001 74 00 FFFE").payload_format_is_valid());
}

#[test]
fn properties_are_added_to_others_but_those_that_stand_once() {
    let added = |properties: PropertiesRef<'_>| {
        Properties::builder()
            .content_type("text")
            .user_property("a", "b")
            .subscription_identifier(1)
            .extend(properties)
            .build()
    };
    let several = Properties::builder()
        .user_property("a", "c")
        .subscription_identifier(2)
        .message_expiry_interval(9_u32)
        .build()
        .unwrap();
    let all = added(several.view()).unwrap();
    assert_eq!(all.view().user_properties().count(), 2);
    assert_eq!(
        all.view().subscription_identifiers().collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(all.view().message_expiry_interval(), Some(9));
    let twice = Properties::builder().content_type("json").build().unwrap();
    assert_eq!(
        added(twice.view()),
        Err(PropertyError::Duplicate {
            property: PropertyId::CONTENT_TYPE
        })
    );
}

#[test]
fn properties_share_their_memory_until_they_are_detached() {
    let mut properties = Properties::builder()
        .correlation_data(&b"request 7"[..])
        .build()
        .unwrap();
    assert!(!properties.is_empty());
    assert!(Properties::new().is_empty());
    let data = properties.view().correlation_data().unwrap();
    let shared = properties.share(data);
    assert_eq!(shared, "request 7");
    assert!(inside(properties.view().as_bytes(), &shared));
    assert_eq!(properties.share(b"elsewhere"), "elsewhere");

    let before = properties.clone();
    properties.detach();
    assert_eq!(properties.view(), before.view());
    assert!(!inside(
        before.view().as_bytes(),
        properties.view().as_bytes()
    ));
}

#[test]
fn a_topic_and_a_string_compare_and_show_as_what_they_say() {
    let topic = topic("a/\u{e9}");
    assert_eq!(topic.as_str(), "a/\u{e9}");
    assert!(topic.view() == *"a/\u{e9}" && topic.view() != *"a/e");
    assert!(topic.view() == "a/\u{e9}" && topic.view() != "a/e");
    assert_eq!(topic.view().to_string(), "a/\u{e9}");
    assert_eq!(format!("{:?}", topic.view()), "\"a/\u{e9}\"");
    assert_eq!(topic.view().to_topic(), Some(topic));

    let text = Text::try_from("caf\u{e9}").unwrap();
    assert!(text == *"caf\u{e9}" && text != *"cafe");
    assert!(text == "caf\u{e9}" && text != "cafe");
    assert_eq!(text.to_string(), "caf\u{e9}");
    assert_eq!(format!("{text:?}"), "\"caf\u{e9}\"");
    assert_eq!((text.len(), text.is_empty()), (5, false));
    assert!(Text::try_from("").unwrap().is_empty());
}

#[test]
fn qualities_and_identifiers_show_as_what_they_say() {
    assert_eq!(QoS::ExactlyOnce.to_string(), "QoS 2");
    assert_eq!(id(1883).to_string(), "1883");
    assert_eq!(Version::V3_1.to_string(), "MQTT 3.1");
    assert_eq!(Version::V3_1_1.to_string(), "MQTT 3.1.1");
    assert_eq!(Version::V5.to_string(), "MQTT 5.0");
    let reason = ReasonCode::NOT_AUTHORIZED;
    assert!(reason.to_string().starts_with("0x87 "), "{reason}");
    assert_eq!(format!("{reason:?}"), reason.to_string());
    assert_eq!(PropertyId::CONTENT_TYPE.to_string(), "Content Type");
    let debug = format!("{:?}", PropertyId::CONTENT_TYPE);
    assert!(debug.contains("Content Type"), "{debug}");
}

#[test]
fn a_message_shows_everything_but_its_payload() {
    let properties = Properties::builder().user_property("name", "value").build();
    let publish = Publish::new(topic("shown"), Bytes::from_static(b"hidden"))
        .with_properties(properties.unwrap());
    let debug = format!("{publish:?}");
    for part in ["shown", "name", "value", "payload_len: 6"] {
        assert!(debug.contains(part), "{debug} lacks {part}");
    }
    assert!(!debug.contains("hidden"));
}

#[test]
fn an_encoder_tells_its_limit_and_version() {
    let encoder = Encoder::new(Version::V5, Sender::Client);
    assert_eq!(encoder.max_packet_size(), 268_435_460);
    assert_eq!(encoder.with_max_packet_size(77).max_packet_size(), 77);
    assert_eq!(encoder.version(), Version::V5);
    assert_eq!(
        Flow::ExactlyOnce {
            id: id(3),
            dup: false
        }
        .packet_id(),
        Some(id(3))
    );
}
