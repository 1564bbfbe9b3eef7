//! Data representation (section 1.5).

use bytes::Bytes;
use mqtt_proto::{
    DecodeError, Packet, Properties, ReasonCode, Sender, Text, TextError, Topic, TopicError,
    TopicFilter, Version,
};

use crate::common::packets::{self, every_string};
use crate::common::{accepts, frame, hex, refuses, string, varint};
use crate::runner::Cases;

/// Ill-formed UTF-8, each with the offset of the fault.
const ILL_FORMED: [(&[u8], usize); 12] = [
    (b"a\xED\xA0\x80", 1),            // U+D800
    (b"\xED\xBF\xBF", 0),             // U+DFFF
    (b"\xED\xA0\xBD\xED\xB8\x80", 0), // a pair of surrogates, as CESU-8 has it
    (b"\xC0\x80", 0),                 // an over-long U+0000
    (b"ab\xC1\xBF", 2),               // an over-long U+007F
    (b"\xE0\x9F\xBF", 0),             // an over-long U+07FF
    (b"\xF0\x8F\xBF\xBF", 0),         // an over-long U+FFFF
    (b"\xF4\x90\x80\x80", 0),         // U+110000
    (b"12345678\x80", 8),             // a continuation without a start
    (b"1234567890\xE2\x82", 10),      // a character that ends too early
    (b"\xFF", 0),
    (b"abc\xFEd", 3),
];

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &[
            "MQTT-1.5.4-1",
            "MQTT-3.1.3-4",
            "MQTT-3.1.3-11",
            "MQTT-3.1.3-12",
            "MQTT-3.3.2-1",
            "MQTT-3.3.2-13",
            "MQTT-3.3.2-19",
            "MQTT-3.8.3-1",
            "MQTT-3.10.3-1",
        ],
        &[
            "MQTT-1.5.3-1",
            "MQTT-3.1.3-4",
            "MQTT-3.1.3-10",
            "MQTT-3.1.3-11",
            "MQTT-3.3.2-1",
            "MQTT-3.8.3-1",
            "MQTT-3.10.3-1",
        ],
        "ill-formed UTF-8 is malformed in every string of every packet",
        |version| {
            for (text, fault) in ILL_FORMED {
                for (field, sender, bytes) in every_string(version, text) {
                    let error = refuses(version, sender, &bytes);
                    let expected = DecodeError::BadText {
                        field,
                        error: TextError::NotUtf8 { at: fault },
                    };
                    assert_eq!(error, expected, "{text:02X?} as {field}");
                    assert_eq!(error.reason(), ReasonCode::MALFORMED_PACKET);
                }
            }
        },
    );
    cases.both(
        &[
            "MQTT-1.5.4-1",
            "MQTT-3.1.3-4",
            "MQTT-3.1.3-11",
            "MQTT-3.1.3-12",
            "MQTT-3.3.2-1",
            "MQTT-3.8.3-1",
            "MQTT-3.10.3-1",
        ],
        &[
            "MQTT-1.5.3-1",
            "MQTT-3.1.3-4",
            "MQTT-3.1.3-10",
            "MQTT-3.1.3-11",
            "MQTT-3.3.2-1",
            "MQTT-3.8.3-1",
            "MQTT-3.10.3-1",
        ],
        "ill-formed UTF-8 can't be held by what is to be sent",
        |_| {
            for (text, at) in ILL_FORMED {
                let error = TextError::NotUtf8 { at };
                let bytes = Bytes::from_static(text);
                assert_eq!(Text::from_bytes(bytes.clone()), Err(error));
                assert_eq!(
                    Topic::from_bytes(bytes.clone()),
                    Err(TopicError::Text(error))
                );
                assert_eq!(TopicFilter::from_bytes(bytes), Err(TopicError::Text(error)));
            }
        },
    );
    cases.both(
        &["MQTT-1.5.4-2", "MQTT-4.7.3-2"],
        &["MQTT-1.5.3-2", "MQTT-4.7.3-2"],
        "U+0000 is malformed in every string of every packet",
        |version| {
            for (text, at) in [
                (&b"\0"[..], 0),
                (b"a\0b", 1),
                (b"12345678\0", 8),
                ("\u{e9}\0".as_bytes(), 2),
            ] {
                for (field, sender, bytes) in every_string(version, text) {
                    let error = refuses(version, sender, &bytes);
                    let expected = DecodeError::BadText {
                        field,
                        error: TextError::Null { at },
                    };
                    assert_eq!(error, expected, "{text:02X?} as {field}");
                    assert_eq!(error.reason(), ReasonCode::MALFORMED_PACKET);
                }
            }
        },
    );
    cases.both(
        &["MQTT-1.5.4-2", "MQTT-4.7.3-2"],
        &["MQTT-1.5.3-2", "MQTT-4.7.3-2"],
        "U+0000 can't be held by what is to be sent",
        |_| {
            let null = TextError::Null { at: 1 };
            assert_eq!(Text::try_from("a\0"), Err(null));
            assert_eq!(Topic::try_from("a\0"), Err(TopicError::Text(null)));
            assert_eq!(TopicFilter::try_from("a\0"), Err(TopicError::Text(null)));
            assert!(Properties::builder().content_type("a\0").build().is_err());
            assert!(
                Properties::builder()
                    .user_property("a\0", "v")
                    .build()
                    .is_err()
            );
            assert!(
                Properties::builder()
                    .user_property("n", "a\0")
                    .build()
                    .is_err()
            );
            assert!(Properties::builder().response_topic("a\0").build().is_err());
        },
    );
    cases.both(
        &["MQTT-1.5.4-3"],
        &["MQTT-1.5.3-3"],
        "EF BB BF is kept at the start and within",
        |version| {
            let text = b"\xEF\xBB\xBFa\xEF\xBB\xBF";
            for (_, sender, bytes) in every_string(version, text) {
                accepts(version, sender, &bytes);
            }
            let bytes = packets::connect(version, 2, &string(text));
            let Packet::Connect(connect) = accepts(version, Sender::Client, &bytes) else {
                panic!("no CONNECT")
            };
            assert_eq!(connect.client_id, "\u{feff}a\u{feff}");
            let bytes = packets::publish(version, 0x30, text, b"");
            let Packet::Publish(publish) = accepts(version, Sender::Server, &bytes) else {
                panic!("no PUBLISH")
            };
            assert_eq!(publish.topic().as_bytes(), text);
        },
    );
    cases.v5(
        &["MQTT-1.5.5-1"],
        "an integer that is longer than it need be is malformed",
        over_long_integers,
    );
    cases.v5(
        &["MQTT-1.5.5-1"],
        "lengths and subscription identifiers are written in the shortest form",
        shortest_integers,
    );
    cases.v5(
        &["MQTT-1.5.7-1"],
        "both halves of a string pair are checked",
        || {
            for bad in [&b"\0"[..], b"\xED\xA0\x80", b"\xC0\x80"] {
                for (name, value) in [(bad, &b"v"[..]), (b"n", bad)] {
                    let pair = [&[0x26], &string(name)[..], &string(value)].concat();
                    for place in packets::PLACES {
                        for sender in place.senders() {
                            let method: &[u8] = if place == packets::Place::Packet(15) {
                                b"\x15\x00\x01m"
                            } else {
                                b""
                            };
                            let error = refuses(
                                Version::V5,
                                *sender,
                                &place.packet(*sender, &[method, &pair].concat()),
                            );
                            assert!(
                                matches!(
                                    error,
                                    DecodeError::BadText {
                                        field: "User Property",
                                        ..
                                    }
                                ),
                                "{error:?}"
                            );
                            assert_eq!(error.reason(), ReasonCode::MALFORMED_PACKET);
                        }
                    }
                }
            }
        },
    );
}

fn over_long_integers() {
    let malformed = |bytes: &[u8]| {
        let error = refuses(Version::V5, Sender::Server, bytes);
        assert_eq!(error, DecodeError::BadVarInt, "{bytes:02X?}");
        assert_eq!(error.reason(), ReasonCode::MALFORMED_PACKET);
    };
    // The remaining length of a PINGRESP, of an acknowledgement, and five bytes of it.
    for bytes in [
        "D0 80 00",
        "D0 80 80 00",
        "D0 80 80 80 00",
        "40 82 00 0007",
        "D0 80 80 80 80 00",
        "D0 FF FF FF FF 7F",
    ] {
        malformed(&hex(bytes));
    }
    // The property length.
    for length in ["80 00", "80 80 00", "80 80 80 00", "80 80 80 80 00"] {
        malformed(&frame(0x20, &[&hex("00 00")[..], &hex(length)].concat()));
        malformed(&frame(0x30, &[&hex("0001 61")[..], &hex(length)].concat()));
    }
    // A subscription identifier.
    for value in ["81 00", "81 80 00", "81 80 80 00", "81 80 80 80 00"] {
        let properties = [&[0x0B][..], &hex(value)].concat();
        malformed(&packets::Place::Packet(3).packet(Sender::Server, &properties));
    }
    // A property identifier.
    malformed(&packets::Place::Packet(3).packet(Sender::Server, &hex("81 00 01")));
}

fn shortest_integers() {
    use mqtt_proto::{Encoder, Flow, Outbox, Publish};
    for value in [
        1,
        127,
        128,
        16_383,
        16_384,
        2_097_151,
        2_097_152,
        268_435_455,
    ] {
        let properties = Properties::builder()
            .subscription_identifier(value)
            .build()
            .unwrap();
        let expected = [&[0x0B][..], &varint(value as usize)].concat();
        assert_eq!(properties.view().as_bytes(), expected);
        assert_eq!(
            properties
                .view()
                .subscription_identifiers()
                .collect::<Vec<_>>(),
            [value]
        );
    }
    let encoder = Encoder::new(Version::V5, Sender::Client);
    for body in [127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
        let payload = vec![0; body - 4];
        let publish = Publish::new(Topic::try_from("a").unwrap(), payload);
        let mut out = Outbox::new();
        encoder
            .publish(&publish, Flow::AtMostOnce, None, &mut out)
            .unwrap();
        let bytes = out.to_vec();
        let length = varint(body);
        assert_eq!(bytes[1..=length.len()], length);
        assert_eq!(bytes.len(), 1 + length.len() + body);
    }
    for (value, length) in [(120, 127), (121, 128), (16_376, 16_383), (16_377, 16_384)] {
        let text = "v".repeat(value);
        let properties = Properties::builder()
            .user_property("nn", &text)
            .build()
            .unwrap();
        assert_eq!(properties.view().as_bytes().len(), length);
        let publish = Publish::new(Topic::try_from("a").unwrap(), "").with_properties(properties);
        let mut out = Outbox::new();
        encoder
            .publish(&publish, Flow::AtMostOnce, None, &mut out)
            .unwrap();
        let bytes = out.to_vec();
        let body_at = bytes.len() - length - varint(length).len();
        assert_eq!(bytes[body_at..bytes.len() - length], varint(length));
    }
}
