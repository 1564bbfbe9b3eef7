//! Topics and strings. The conformance tests try each fault in every string of every packet.

use super::*;
use crate::common::{accepts, frame, packets, string};
use mqtt_proto::{Packet, TextError, TopicError};

#[test]
fn an_empty_topic_without_an_alias() {
    is_refused("30 03 0000 00", DecodeError::NoTopic, PROTOCOL);
    for version in [Version::V3_1, Version::V3_1_1] {
        let error = DecodeError::BadTopic {
            field: "topic name",
            error: TopicError::Empty,
        };
        is_refused_in(version, "30 02 0000", error, MALFORMED);
    }
}

#[test]
fn wildcards_in_a_topic_name() {
    for version in VERSIONS {
        for (topic, wildcard, at) in [
            ("a/+", '+', 2),
            ("#", '#', 0),
            ("long/topic/name/#", '#', 16),
        ] {
            let error = refuses(
                version,
                Sender::Server,
                &packets::publish(version, 0x30, topic, b""),
            );
            let expected = DecodeError::BadTopic {
                field: "topic name",
                error: TopicError::Wildcard { wildcard, at },
            };
            assert_eq!(
                (error, error.reason()),
                (expected, ReasonCode::TOPIC_NAME_INVALID)
            );
        }
    }
}

#[test]
fn strings_that_are_no_strings() {
    for (text, error) in [
        (&b"a\0"[..], TextError::Null { at: 1 }),
        (b"\xED\xA0\x80", TextError::NotUtf8 { at: 0 }),
        (b"\xED\xBF\xBF", TextError::NotUtf8 { at: 0 }),
        (b"\xC0\xAF", TextError::NotUtf8 { at: 0 }),
        (b"\xC0\x80", TextError::NotUtf8 { at: 0 }),
        (b"\xF8\x88\x80\x80\x80", TextError::NotUtf8 { at: 0 }),
        (b"a\xE2\x82", TextError::NotUtf8 { at: 1 }),
    ] {
        for version in VERSIONS {
            let refused = refuses(
                version,
                Sender::Server,
                &packets::publish(version, 0x30, text, b""),
            );
            assert_eq!(
                (refused, refused.reason()),
                (
                    DecodeError::BadText {
                        field: "topic name",
                        error
                    },
                    MALFORMED
                )
            );
        }
        let refused = refuses(
            Version::V5,
            Sender::Server,
            &packets::Place::Packet(2)
                .packet(Sender::Server, &[&[0x1F], &string(text)[..]].concat()),
        );
        assert_eq!(
            (refused, refused.reason()),
            (
                DecodeError::BadText {
                    field: "Reason String",
                    error
                },
                MALFORMED
            )
        );
    }
}

#[test]
fn a_byte_order_mark_and_noncharacters_are_text() {
    for text in [
        "\u{FEFF}a",
        "\u{FFFE}",
        "\u{FFFF}",
        "\u{1FFFE}",
        "\u{1}",
        "\u{7F}",
        "\u{9F}",
    ] {
        for version in VERSIONS {
            let bytes = packets::publish(version, 0x30, text, b"");
            let Packet::Publish(publish) = accepts(version, Sender::Server, &bytes) else {
                panic!("no PUBLISH")
            };
            assert_eq!(publish.topic(), *text);
        }
    }
}

#[test]
fn a_will_is_held_to_the_rules_of_a_publish() {
    for version in VERSIONS {
        let none = packets::none(version);
        let will = |topic: &[u8]| {
            packets::connect(
                version,
                6,
                &[&hex("0001 63")[..], none, &string(topic), &hex("0001 6D")].concat(),
            )
        };
        accepts(version, Sender::Client, &will(b"w"));
        let field = "will topic";
        for (topic, expected) in [
            (
                &b""[..],
                DecodeError::BadTopic {
                    field,
                    error: TopicError::Empty,
                },
            ),
            (
                b"a/#",
                DecodeError::BadTopic {
                    field,
                    error: TopicError::Wildcard {
                        wildcard: '#',
                        at: 2,
                    },
                },
            ),
            (
                b"a\0",
                DecodeError::BadText {
                    field,
                    error: TextError::Null { at: 1 },
                },
            ),
        ] {
            assert_eq!(refuses(version, Sender::Client, &will(topic)), expected);
        }
    }
}

#[test]
fn a_payload_that_is_not_the_text_it_is_said_to_be_is_left_to_the_receiver() {
    // Section 3.3.2.3.2: the receiver may check it, and may answer with 0x99. So it is told on demand.
    let bytes = frame(0x30, &hex("0001 61 02 01 01 FF"));
    let Packet::Publish(publish) = accepts(Version::V5, Sender::Server, &bytes) else {
        panic!("no PUBLISH")
    };
    assert!(!publish.payload_format_is_valid());
}
