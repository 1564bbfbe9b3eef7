//! Properties: cut, in the wrong packet, twice, unknown, too many. `vectors_spec` tries each in every packet.

use super::*;
use crate::common::packets::Place;
use mqtt_proto::{Packet, PropertyId};

fn publish(properties: &[u8]) -> Vec<u8> {
    Place::Packet(3).packet(Sender::Server, properties)
}

#[track_caller]
fn publish_refused(properties: &str, error: DecodeError, reason: ReasonCode) {
    let refused = refuses(Version::V5, Sender::Server, &publish(&hex(properties)));
    assert_eq!((refused, refused.reason()), (error, reason), "{properties}");
}

#[test]
fn a_property_that_ends_inside_its_value_or_past_the_end() {
    publish_refused("02 000000", truncated("Message Expiry Interval"), MALFORMED);
    publish_refused("01", truncated("Payload Format Indicator"), MALFORMED);
    publish_refused("03 00", truncated("Content Type"), MALFORMED);
    publish_refused("03 0005 61", truncated("Content Type"), MALFORMED);
    publish_refused("03 FFFF 61", truncated("Content Type"), MALFORMED);
    publish_refused("09 0002 61", truncated("Correlation Data"), MALFORMED);
    publish_refused("26 0001 61", truncated("User Property"), MALFORMED);
    publish_refused("26 0001 61 0005 62", truncated("User Property"), MALFORMED);
    publish_refused("0B 80", truncated("Subscription Identifier"), MALFORMED);
    publish_refused("80", truncated("property identifier"), MALFORMED);
    publish_refused("01 01 80", truncated("property identifier"), MALFORMED);
}

#[test]
fn a_property_may_not_reach_into_the_payload() {
    // The string says five bytes, of which one is within the property length; four more follow as payload.
    is_refused(
        "30 0C 0001 74 04 03 0005 61 62636465",
        truncated("Content Type"),
        MALFORMED,
    );
}

#[test]
fn a_property_in_the_wrong_packet() {
    let sender = Sender::Server;
    for (properties, property) in [
        ("21 0001", PropertyId::RECEIVE_MAXIMUM),
        ("11 00000001", PropertyId::SESSION_EXPIRY_INTERVAL),
        ("1F 0001 61", PropertyId::REASON_STRING),
        ("18 00000001", PropertyId::WILL_DELAY_INTERVAL),
    ] {
        let packet = PacketType::Publish;
        publish_refused(
            properties,
            DecodeError::PropertyNotAllowed {
                property,
                packet,
                sender,
            },
            MALFORMED,
        );
    }
    let (property, packet) = (PropertyId::TOPIC_ALIAS, PacketType::ConnAck);
    is_refused(
        "20 06 00 00 03 23 0001",
        DecodeError::PropertyNotAllowed {
            property,
            packet,
            sender,
        },
        MALFORMED,
    );
}

#[test]
fn a_property_twice() {
    for (properties, property) in [
        (
            "02 00000001 02 00000001",
            PropertyId::MESSAGE_EXPIRY_INTERVAL,
        ),
        ("23 0001 26 0000 0000 23 0001", PropertyId::TOPIC_ALIAS),
        ("08 0001 61 08 0001 61", PropertyId::RESPONSE_TOPIC),
    ] {
        publish_refused(
            properties,
            DecodeError::DuplicateProperty { property },
            PROTOCOL,
        );
    }
}

#[test]
fn identifiers_0_4_127_and_of_several_bytes() {
    for (properties, id) in [
        ("00 01", 0),
        ("04 01", 4),
        ("7F 01", 127),
        ("80 01 01", 128),
        ("A6 01 00", 166),
        ("FF FF FF 7F", 268_435_455),
    ] {
        publish_refused(properties, DecodeError::UnknownProperty { id }, MALFORMED);
    }
    for properties in [
        "80 00 01",
        "81 00 01",
        "A6 00 0001 61 0001 62",
        "FF FF FF FF 7F",
        "80 80 80 80 01",
    ] {
        publish_refused(properties, DecodeError::BadVarInt, MALFORMED);
    }
}

#[test]
fn a_hundred_thousand_user_properties() {
    let encoded = hex("26 0001 61 0001 62").repeat(100_000);
    let Packet::Publish(view) =
        crate::common::accepts(Version::V5, Sender::Server, &publish(&encoded))
    else {
        panic!("no PUBLISH")
    };
    assert_eq!(view.properties().user_properties().count(), 100_000);
    assert!(
        view.properties()
            .user_properties()
            .all(|pair| pair == ("a", "b"))
    );
    assert_eq!(view.properties().topic_alias(), None);
    // What was received is one handle on the read buffer, however many there are.
    assert!(size_of_val(&view) <= 128, "{}", size_of_val(&view));
    let properties = view.to_publish().unwrap();
    assert_eq!(
        properties.properties().as_bytes().as_ptr(),
        view.properties().as_bytes().as_ptr(),
        "shared"
    );
    for place in [
        Place::Packet(2),
        Place::Packet(4),
        Place::Packet(9),
        Place::Packet(14),
    ] {
        crate::common::accepts(
            Version::V5,
            Sender::Server,
            &place.packet(Sender::Server, &encoded),
        );
    }
}

#[test]
fn topic_alias_0_and_what_an_alias_may_not_stand_for() {
    let property = PropertyId::TOPIC_ALIAS;
    let zero = DecodeError::BadPropertyValue { property, value: 0 };
    publish_refused("23 0000", zero, ReasonCode::TOPIC_ALIAS_INVALID);
    is_refused(
        "30 06 0000 03 23 0000",
        zero,
        ReasonCode::TOPIC_ALIAS_INVALID,
    );
    publish_refused("23 00", truncated("Topic Alias"), MALFORMED);
    is_refused("30 03 0000 00", DecodeError::NoTopic, PROTOCOL);
    is_refused("30 05 0000 02 01 00", DecodeError::NoTopic, PROTOCOL);
}

#[test]
fn values_that_a_property_must_not_have() {
    for (bytes, property, value) in [
        ("20 06 00 00 03 21 0000", PropertyId::RECEIVE_MAXIMUM, 0),
        (
            "20 08 00 00 05 27 00000000",
            PropertyId::MAXIMUM_PACKET_SIZE,
            0,
        ),
        ("20 05 00 00 02 24 02", PropertyId::MAXIMUM_QOS, 2),
        ("20 05 00 00 02 25 FF", PropertyId::RETAIN_AVAILABLE, 255),
        (
            "30 06 0001 61 02 01 02",
            PropertyId::PAYLOAD_FORMAT_INDICATOR,
            2,
        ),
        (
            "30 06 0001 61 02 0B 00",
            PropertyId::SUBSCRIPTION_IDENTIFIER,
            0,
        ),
    ] {
        is_refused(
            bytes,
            DecodeError::BadPropertyValue { property, value },
            PROTOCOL,
        );
    }
}
