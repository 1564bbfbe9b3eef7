//! Entries 7 and 11: topics and other strings.

use mqtt_session::proto::{DecodeError, PropertyId, TextError, TopicError, Version};

use super::*;

pub(super) fn add(rows: &mut Rows) {
    let field = "topic name";
    for version in VERSIONS {
        let before = Before::Connected;
        let empty = if version.is_v5() {
            DecodeError::NoTopic
        } else {
            DecodeError::BadTopic {
                field,
                error: TopicError::Empty,
            }
        };
        let bytes = publish(version, "", b"");
        rows.add(7, version, before, "an empty topic", bytes, decode(empty));
        for (topic, wildcard, at) in [("a/+", '+', 2), ("#", '#', 0), ("a/b/#", '#', 4)] {
            let error = DecodeError::BadTopic {
                field,
                error: TopicError::Wildcard { wildcard, at },
            };
            let name = format!("the topic {topic}");
            rows.add(
                7,
                version,
                before,
                name,
                publish(version, topic, b""),
                decode(error),
            );
        }
        let bytes = publish(version, "/".repeat(65_535), b"");
        let name = "a topic of 65,535 slashes";
        rows.add(7, version, before, name, bytes, taken(1, Script::default()));
        for (name, text, error) in FAULTS {
            let entry = if matches!(error, TextError::Null { .. }) {
                7
            } else {
                11
            };
            let error = DecodeError::BadText {
                field,
                error: *error,
            };
            let name = format!("{name} in a topic");
            rows.add(
                entry,
                version,
                before,
                name,
                publish(version, text, b""),
                decode(error),
            );
        }
        for (name, topic) in [
            ("a byte order mark", "\u{FEFF}a"),
            ("U+FFFF", "\u{FFFF}"),
            ("a control character", "\u{1}"),
        ] {
            let name = format!("{name} in a topic");
            let then = taken(1, Script::default());
            rows.add(
                11,
                version,
                before,
                name,
                publish(version, topic, b""),
                then,
            );
        }
    }
    for (name, text, error) in FAULTS {
        let field = "Reason String";
        let error = DecodeError::BadText {
            field,
            error: *error,
        };
        let property = [&[0x1F], &string(text)[..]].concat();
        let length = u8::try_from(property.len()).expect("it is short");
        let body = [&[0, 0x80, length][..], &property].concat();
        let bytes = Script::frame(0x20, Script::bytes(body));
        let name = format!("{name} in the reason of a refusal");
        rows.add(
            11,
            Version::V5,
            Before::Connecting,
            name,
            bytes,
            decode(error),
        );
    }
    let property = PropertyId::PAYLOAD_FORMAT_INDICATOR;
    let error = DecodeError::BadPropertyValue { property, value: 2 };
    let (name, bytes) = (
        "a payload format that there is not",
        "30 06 0001 61 02 01 02",
    );
    rows.malformed(11, Version::V5, name, bytes, error);
    let (name, bytes) = (
        "a payload that is not the text it is said to be",
        "30 07 0001 61 02 01 01 FF",
    );
    let then = taken(1, Script::default());
    rows.add(
        11,
        Version::V5,
        Before::Connected,
        name,
        Script::hex(bytes),
        then,
    );
}

const FAULTS: &[(&str, &[u8], TextError)] = &[
    ("U+0000", b"a\0", TextError::Null { at: 1 }),
    ("a surrogate", b"\xED\xA0\x80", TextError::NotUtf8 { at: 0 }),
    (
        "a slash in two bytes",
        b"\xC0\xAF",
        TextError::NotUtf8 { at: 0 },
    ),
    (
        "U+0000 in two bytes",
        b"\xC0\x80",
        TextError::NotUtf8 { at: 0 },
    ),
    (
        "a character of five bytes",
        b"\xF8\x88\x80\x80\x80",
        TextError::NotUtf8 { at: 0 },
    ),
    (
        "a character cut off",
        b"a\xE2\x82",
        TextError::NotUtf8 { at: 1 },
    ),
];
