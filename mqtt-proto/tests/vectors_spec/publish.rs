use std::num::NonZeroU16;

use mqtt_proto::{
    Encoder, Flow, Outbox, Packet, Properties, Publish, PublishView, QoS, Sender, Topic, Version,
};

use crate::common::{SENDERS, VERSIONS, accepts, both_ways, hex, id};

fn publish(topic: &str, payload: &'static [u8]) -> Publish {
    Publish::new(Topic::try_from(topic).unwrap(), payload)
}

/// The bytes are this message with this flow, both ways, whoever sends.
#[track_caller]
fn is(version: Version, bytes: &str, publish: &Publish, flow: Flow) {
    let bytes = hex(bytes);
    for sender in SENDERS {
        let mut out = Outbox::new();
        let encoder = Encoder::new(version, sender);
        assert_eq!(
            encoder.publish(publish, flow, None, &mut out),
            Ok(bytes.len())
        );
        assert_eq!(out.to_vec(), bytes, "encoding");
        let view = view(version, sender, &bytes);
        assert_eq!(view.flow(), flow);
        assert_eq!(view.qos(), flow.qos());
        assert_eq!(view.packet_id(), flow.packet_id());
        assert_eq!(view.dup(), flow.dup());
        assert_eq!(view.retain(), publish.retain());
        assert_eq!(view.topic(), publish.topic());
        assert_eq!(view.properties(), publish.properties());
        assert_eq!(view.payload(), publish.payload());
        assert_eq!(view.payload_bytes(), publish.payload_bytes());
        assert_eq!(view.size(), bytes.len());
        assert_eq!(view.to_publish().as_ref(), Some(publish));
        both_ways(version, sender, &bytes, Packet::Publish(view));
    }
}

#[track_caller]
fn view(version: Version, sender: Sender, bytes: &[u8]) -> PublishView {
    match accepts(version, sender, bytes) {
        Packet::Publish(view) => view,
        other => panic!("{other:?}"),
    }
}

/// The variable header of the example in section 3.3.2.3.9 (3.3.2 in 3.1.1): topic a/b, packet identifier 10.
#[test]
fn the_example_of_the_specification() {
    let flow = Flow::AtLeastOnce {
        id: id(10),
        dup: false,
    };
    is(
        Version::V3_1_1,
        "32 07 0003 612F62 000A",
        &publish("a/b", b""),
        flow,
    );
    is(
        Version::V5,
        "32 08 0003 612F62 000A 00",
        &publish("a/b", b""),
        flow,
    );
}

#[test]
fn qos_0() {
    for version in [Version::V3_1, Version::V3_1_1] {
        is(
            version,
            "30 06 0001 74 010203",
            &publish("t", &[1, 2, 3]),
            Flow::AtMostOnce,
        );
    }
    is(
        Version::V5,
        "30 07 0001 74 00 010203",
        &publish("t", &[1, 2, 3]),
        Flow::AtMostOnce,
    );
}

#[test]
fn retained() {
    let publish = publish("t", &[1]).with_retain(true);
    is(
        Version::V3_1_1,
        "31 04 0001 74 01",
        &publish,
        Flow::AtMostOnce,
    );
    is(
        Version::V3_1_1,
        "33 06 0001 74 FFFF 01",
        &publish,
        Flow::AtLeastOnce {
            id: id(65_535),
            dup: false,
        },
    );
    is(
        Version::V5,
        "3D 07 0001 74 0001 00 01",
        &publish,
        Flow::ExactlyOnce {
            id: id(1),
            dup: true,
        },
    );
}

#[test]
fn qos_1_and_2_again() {
    is(
        Version::V3_1,
        "3A 05 0001 74 0102",
        &publish("t", b""),
        Flow::AtLeastOnce {
            id: id(258),
            dup: true,
        },
    );
    is(
        Version::V3_1_1,
        "34 05 0001 74 0102",
        &publish("t", b""),
        Flow::ExactlyOnce {
            id: id(258),
            dup: false,
        },
    );
    is(
        Version::V3_1_1,
        "3C 05 0001 74 0102",
        &publish("t", b""),
        Flow::ExactlyOnce {
            id: id(258),
            dup: true,
        },
    );
    is(
        Version::V5,
        "34 06 0001 74 0102 00",
        &publish("t", b""),
        Flow::ExactlyOnce {
            id: id(258),
            dup: false,
        },
    );
}

#[test]
fn every_property_of_a_message() {
    let properties = Properties::builder()
        .payload_format_indicator(true)
        .message_expiry_interval(3600)
        .response_topic("r/1")
        .correlation_data([0xC0, 0xFF])
        .user_property("k", "v")
        .user_property("k", "")
        .content_type("text")
        .build()
        .unwrap();
    let flow = Flow::AtLeastOnce {
        id: id(1),
        dup: false,
    };
    is(
        Version::V5,
        "32 2D 0001 74 0001 26 01 01 02 00000E10 08 0003 722F31 09 0002 C0FF 26 0001 6B 0001 76 26 0001 6B 0000 03 0004 74657874 78",
        &publish("t", b"x").with_properties(properties),
        flow,
    );
}

#[test]
fn what_is_no_flag_of_the_payload_format_is_checked_on_demand() {
    for (payload, format, valid) in [
        ("7A", "01", true),
        ("FF", "01", false),
        ("FF", "00", true),
        ("EDA080", "01", false),
    ] {
        let body = [hex("0001 74 02 01"), hex(format), hex(payload)].concat();
        let bytes = crate::common::frame(0x30, &body);
        assert_eq!(
            view(Version::V5, Sender::Server, &bytes).payload_format_is_valid(),
            valid,
            "{payload} {format}"
        );
    }
}

#[test]
fn an_alias_with_and_without_the_topic() {
    let alias = NonZeroU16::new(5).unwrap();
    let message = publish("t", b"x");
    let encoder = Encoder::new(Version::V5, Sender::Client);
    let mut out = Outbox::new();
    encoder
        .publish(&message, Flow::AtMostOnce, Some(alias), &mut out)
        .unwrap();
    assert_eq!(out.to_vec(), hex("30 08 0001 74 03 23 0005 78"));
    out.clear();
    encoder
        .publish_by_alias(&message, Flow::AtMostOnce, alias, &mut out)
        .unwrap();
    assert_eq!(out.to_vec(), hex("30 07 0000 03 23 0005 78"));
    for (bytes, topic) in [
        ("30 08 0001 74 03 23 0005 78", "t"),
        ("30 07 0000 03 23 0005 78", ""),
    ] {
        let view = view(Version::V5, Sender::Client, &hex(bytes));
        assert_eq!(view.topic_alias(), Some(alias));
        assert_eq!(view.topic(), topic);
        assert_eq!(view.payload(), b"x");
        assert_eq!(view.qos(), QoS::AtMostOnce);
    }
    // The alias stands before the message's own properties.
    let message = message.with_properties(
        Properties::builder()
            .payload_format_indicator(false)
            .build()
            .unwrap(),
    );
    out.clear();
    encoder
        .publish(&message, Flow::AtMostOnce, Some(alias), &mut out)
        .unwrap();
    assert_eq!(out.to_vec(), hex("30 0A 0001 74 05 23 0005 01 00 78"));
}

#[test]
fn parts_of_a_received_message_share_its_memory() {
    let view = view(
        Version::V5,
        Sender::Server,
        &hex("30 0B 0001 74 05 09 0002 C0FF 7879"),
    );
    let data = view.properties().correlation_data().unwrap();
    let shared = view.share(data);
    assert_eq!(shared, hex("C0FF"));
    assert_eq!(shared.as_ptr(), data.as_ptr());
    assert_eq!(view.payload_bytes().as_ptr(), view.payload().as_ptr());
    let foreign = [0xC0, 0xFF];
    assert_ne!(
        view.share(&foreign).as_ptr(),
        foreign.as_ptr(),
        "what is no part of it is copied"
    );
}

#[test]
fn payloads_of_every_interesting_length_come_back() {
    for version in VERSIONS {
        for len in [
            0, 1, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 4_095, 4_096, 4_097, 16_380,
            2_097_152,
        ] {
            let payload: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let message = Publish::new(Topic::try_from("t").unwrap(), payload.clone());
            let mut out = Outbox::new();
            let flow = Flow::AtLeastOnce {
                id: id(9),
                dup: false,
            };
            let len = Encoder::new(version, Sender::Client)
                .publish(&message, flow, None, &mut out)
                .unwrap();
            let bytes = out.to_vec();
            assert_eq!(bytes.len(), len);
            let none = crate::common::packets::none(version);
            let expected =
                crate::common::frame(0x32, &[&hex("0001 74 0009")[..], none, &payload].concat());
            assert_eq!(bytes, expected);
            assert_eq!(view(version, Sender::Client, &bytes).payload(), payload);
        }
    }
}
