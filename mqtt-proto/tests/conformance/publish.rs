//! PUBLISH (section 3.3).

use bytes::Bytes;
use mqtt_proto::{
    DecodeError, EncodeError, Encoder, Flow, Outbox, Packet, PacketType, Properties, PropertyError,
    PropertyId, Publish, QoS, ReasonCode, Sender, Topic, TopicError, Version,
};

use crate::common::packets::{self, Place};
use crate::common::{SENDERS, accepts, hex, id, refuses, string};
use crate::runner::Cases;

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &["MQTT-3.3.1-2"],
        &["MQTT-3.3.1-2"],
        "a publish of QoS 0 with DUP is malformed; DUP exists at QoS 1 and 2 alone",
        |version| {
            for sender in SENDERS {
                for first in [0x38, 0x39] {
                    let error =
                        refuses(version, sender, &packets::publish(version, first, "a", b""));
                    assert_eq!(error, DecodeError::DupAtQoS0);
                    assert_eq!(error.reason(), ReasonCode::MALFORMED_PACKET);
                }
            }
            assert!(!Flow::AtMostOnce.dup());
            for (flow, first) in [
                (Flow::AtMostOnce, 0x30),
                (
                    Flow::AtLeastOnce {
                        id: id(7),
                        dup: false,
                    },
                    0x32,
                ),
                (
                    Flow::AtLeastOnce {
                        id: id(7),
                        dup: true,
                    },
                    0x3A,
                ),
                (
                    Flow::ExactlyOnce {
                        id: id(7),
                        dup: false,
                    },
                    0x34,
                ),
                (
                    Flow::ExactlyOnce {
                        id: id(7),
                        dup: true,
                    },
                    0x3C,
                ),
            ] {
                let expected = packets::publish(version, first, "a", b"p");
                assert_eq!(written(version, flow, "a", "p"), expected);
                let Packet::Publish(publish) = accepts(version, Sender::Server, &expected) else {
                    panic!("no PUBLISH")
                };
                assert_eq!(publish.flow(), flow);
            }
        },
    );
    cases.both(
        &["MQTT-3.3.1-4"],
        &["MQTT-3.3.1-4"],
        "a publish with both QoS bits set is malformed, and there is no such QoS",
        |version| {
            for sender in SENDERS {
                for first in [0x36, 0x37, 0x3E, 0x3F] {
                    let error =
                        refuses(version, sender, &packets::publish(version, first, "a", b""));
                    assert_eq!(error, DecodeError::BadQoS);
                    assert_eq!(error.reason(), ReasonCode::MALFORMED_PACKET);
                }
            }
            assert_eq!(QoS::from_u8(3), None);
        },
    );
    cases.both(
        &["MQTT-3.3.2-1"],
        &["MQTT-3.3.2-1"],
        "the topic name is the first field behind the fixed header",
        |version| {
            let flow = Flow::ExactlyOnce {
                id: id(7),
                dup: false,
            };
            let bytes = written(version, flow, "t/\u{e9}", "p");
            assert_eq!(bytes[2..8], hex("0004 742FC3A9"));
            let Packet::Publish(publish) = accepts(version, Sender::Server, &bytes) else {
                panic!("no PUBLISH")
            };
            assert_eq!(publish.topic(), "t/\u{e9}");
        },
    );
    cases.both(
        &["MQTT-3.3.2-2", "MQTT-4.7.0-1"],
        &["MQTT-3.3.2-2", "MQTT-4.7.1-1"],
        "a topic name with a wildcard is answered with topic name invalid, and can't be held",
        |version| {
            for (topic, wildcard, at) in [
                ("#", '#', 0),
                ("+", '+', 0),
                ("a/#", '#', 2),
                ("a/+/b", '+', 2),
                ("12345678+", '+', 8),
                ("\u{e9}#", '#', 2),
            ] {
                let wrong = TopicError::Wildcard { wildcard, at };
                for sender in SENDERS {
                    let error = refuses(
                        version,
                        sender,
                        &packets::publish(version, 0x30, topic, b""),
                    );
                    assert_eq!(
                        error,
                        DecodeError::BadTopic {
                            field: "topic name",
                            error: wrong
                        }
                    );
                    assert_eq!(error.reason(), ReasonCode::TOPIC_NAME_INVALID);
                }
                assert_eq!(Topic::try_from(topic), Err(wrong));
                let fields = [
                    &string("c")[..],
                    packets::none(version),
                    &string(topic),
                    &string("m"),
                ]
                .concat();
                let error = refuses(
                    version,
                    Sender::Client,
                    &packets::connect(version, 0b110, &fields),
                );
                assert_eq!(
                    error,
                    DecodeError::BadTopic {
                        field: "will topic",
                        error: wrong
                    }
                );
            }
        },
    );
    cases.v5(
        &["MQTT-3.3.2-8"],
        "topic alias 0 is answered with topic alias invalid, and can't be written",
        || {
            for sender in SENDERS {
                let error = refuses(
                    Version::V5,
                    sender,
                    &Place::Packet(3).packet(sender, &hex("23 0000")),
                );
                assert_eq!(
                    error,
                    DecodeError::BadPropertyValue {
                        property: PropertyId::TOPIC_ALIAS,
                        value: 0
                    }
                );
                assert_eq!(error.reason(), ReasonCode::TOPIC_ALIAS_INVALID);
            }
            // The encoder and the builder take a `NonZeroU16`.
            let alias = std::num::NonZeroU16::MIN;
            let publish = Publish::new(Topic::try_from("a").unwrap(), "p");
            let mut out = Outbox::new();
            Encoder::new(Version::V5, Sender::Client)
                .publish(&publish, Flow::AtMostOnce, Some(alias), &mut out)
                .unwrap();
            assert_eq!(out.to_vec(), hex("30 08 0001 61 03 23 0001 70"));
        },
    );
    cases.v5(
        &["MQTT-3.3.2-14", "MQTT-3.3.2-13"],
        "a response topic is a topic name without wildcards",
        || {
            let field = "Response Topic";
            for (topic, wildcard, at) in [("+", '+', 0), ("a/#", '#', 2)] {
                let error = TopicError::Wildcard { wildcard, at };
                let bytes = [&[0x08], &string(topic)[..]].concat();
                for (place, sender) in [
                    (Place::Packet(3), Sender::Server),
                    (Place::Packet(3), Sender::Client),
                    (Place::Will, Sender::Client),
                ] {
                    let refused = refuses(Version::V5, sender, &place.packet(sender, &bytes));
                    assert_eq!(refused, DecodeError::BadTopic { field, error });
                    assert_eq!(refused.reason(), ReasonCode::TOPIC_NAME_INVALID);
                }
                let built = Properties::builder().response_topic(topic).build();
                assert_eq!(
                    built,
                    Err(PropertyError::Topic {
                        property: PropertyId::RESPONSE_TOPIC,
                        error
                    })
                );
            }
            let refused = refuses(
                Version::V5,
                Sender::Server,
                &Place::Packet(3).packet(Sender::Server, &hex("08 0000")),
            );
            assert_eq!(
                refused,
                DecodeError::BadTopic {
                    field,
                    error: TopicError::Empty
                }
            );
        },
    );
    cases.v5(
        &["MQTT-3.3.2-19", "MQTT-3.3.2-13"],
        "content type and response topic are written as they are",
        || {
            let properties = Properties::builder()
                .content_type("\u{e9}")
                .response_topic("r/\u{e9}")
                .build()
                .unwrap();
            assert_eq!(
                properties.view().as_bytes(),
                hex("03 0002 C3A9 08 0004 722FC3A9")
            );
            let bytes = Place::Packet(3).packet(Sender::Server, properties.view().as_bytes());
            let Packet::Publish(publish) = accepts(Version::V5, Sender::Server, &bytes) else {
                panic!("no PUBLISH")
            };
            assert_eq!(publish.properties().content_type(), Some("\u{e9}"));
            assert_eq!(publish.properties().response_topic(), Some("r/\u{e9}"));
        },
    );
    cases.v5(&["MQTT-3.3.2-18"], "user properties keep their order, also between other properties and with equal names", || {
        let encoded = hex("26 0001 62 0001 31  01 00  26 0001 61 0001 32  26 0001 62 0001 33  26 0001 62 0001 31");
        let bytes = Place::Packet(3).packet(Sender::Server, &encoded);
        let Packet::Publish(publish) = accepts(Version::V5, Sender::Server, &bytes) else { panic!("no PUBLISH") };
        let pairs: Vec<_> = publish.properties().user_properties().collect();
        assert_eq!(pairs, [("b", "1"), ("a", "2"), ("b", "3"), ("b", "1")]);
        let built = Properties::builder().user_property("b", "1").user_property("a", "2").user_property("b", "3").build().unwrap();
        assert_eq!(built.view().as_bytes(), hex("26 0001 62 0001 31 26 0001 61 0001 32 26 0001 62 0001 33"));
    });
    cases.v5(
        &["MQTT-3.3.4-4"],
        "a publish from the server may carry several subscription identifiers",
        || {
            let bytes = Place::Packet(3)
                .packet(Sender::Server, &hex("0B 01 0B 80 01 0B FF FF FF 7F 0B 01"));
            let Packet::Publish(publish) = accepts(Version::V5, Sender::Server, &bytes) else {
                panic!("no PUBLISH")
            };
            let ids: Vec<_> = publish.properties().subscription_identifiers().collect();
            assert_eq!(ids, [1, 128, 268_435_455, 1]);
        },
    );
    cases.v5(
        &["MQTT-3.3.4-6"],
        "a publish from a client with a subscription identifier is refused both ways",
        || {
            let (property, packet, sender) = (
                PropertyId::SUBSCRIPTION_IDENTIFIER,
                PacketType::Publish,
                Sender::Client,
            );
            let error = refuses(
                Version::V5,
                sender,
                &Place::Packet(3).packet(sender, &hex("0B 01")),
            );
            assert_eq!(
                error,
                DecodeError::PropertyNotAllowed {
                    property,
                    packet,
                    sender
                }
            );
            assert_eq!(error.reason(), ReasonCode::MALFORMED_PACKET);
            let properties = Properties::builder()
                .subscription_identifier(1)
                .build()
                .unwrap();
            let publish =
                Publish::new(Topic::try_from("a").unwrap(), "").with_properties(properties);
            let mut out = Outbox::new();
            let error = Encoder::new(Version::V5, sender).publish(
                &publish,
                Flow::AtMostOnce,
                None,
                &mut out,
            );
            assert_eq!(
                error,
                Err(EncodeError::PropertyNotAllowed {
                    property,
                    packet,
                    sender
                })
            );
            assert!(out.is_empty());
        },
    );
}

fn written(version: Version, flow: Flow, topic: &str, payload: &'static str) -> Vec<u8> {
    let publish = Publish::new(
        Topic::try_from(topic).unwrap(),
        Bytes::from_static(payload.as_bytes()),
    );
    let mut out = Outbox::new();
    Encoder::new(version, Sender::Client)
        .publish(&publish, flow, None, &mut out)
        .unwrap();
    out.to_vec()
}
