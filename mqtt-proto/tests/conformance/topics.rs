//! Topic names and topic filters (section 4.7), shared subscriptions (section 4.8.2).

use mqtt_proto::{DecodeError, ReasonCode, Sender, Topic, TopicError, TopicFilter, Version};

use crate::common::packets::{self, publish};
use crate::common::{accepts, refuses};
use crate::runner::Cases;

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &["MQTT-4.7.1-1"],
        &["MQTT-4.7.1-2"],
        "the multi-level wildcard is the whole last level, or the filter is refused",
        |version| {
            for filter in ["#", "sport/#", "/#", "sport/tennis/#", "+/#"] {
                takes(version, filter);
            }
            for (filter, at) in [
                ("sport/tennis#", 12),
                ("sport/tennis/#/ranking", 13),
                ("##", 0),
                ("#/", 0),
                ("a/#b", 2),
                ("#+", 0),
            ] {
                refuses_filter(version, filter, TopicError::MultiLevel { at });
            }
        },
    );
    cases.both(
        &["MQTT-4.7.1-2"],
        &["MQTT-4.7.1-3"],
        "the single-level wildcard fills its level, or the filter is refused",
        |version| {
            for filter in ["+", "+/tennis/#", "sport/+/player1", "/+", "+/+", "+/"] {
                takes(version, filter);
            }
            for (filter, at) in [
                ("sport+", 5),
                ("+a", 0),
                ("a/b+/c", 3),
                ("++", 0),
                ("+#", 0),
            ] {
                refuses_filter(version, filter, TopicError::SingleLevel { at });
            }
        },
    );
    cases.both(
        &["MQTT-4.7.3-1"],
        &["MQTT-4.7.3-1"],
        "an empty topic name or filter is refused, and can't be held",
        |version| {
            refuses_filter(version, "", TopicError::Empty);
            assert_eq!(Topic::try_from(""), Err(TopicError::Empty));
            takes(version, "/");
            for sender in crate::common::SENDERS {
                accepts(version, sender, &publish(version, 0x30, "/", b""));
                let error = refuses(version, sender, &publish(version, 0x30, "", b""));
                if version == Version::V5 {
                    assert_eq!(error, DecodeError::NoTopic);
                    assert_eq!(error.reason(), ReasonCode::PROTOCOL_ERROR);
                } else {
                    assert_eq!(
                        error,
                        DecodeError::BadTopic {
                            field: "topic name",
                            error: TopicError::Empty
                        }
                    );
                }
            }
        },
    );
    cases.v5(
        &["MQTT-4.7.3-1"],
        "an empty topic name is taken where a topic alias stands for it",
        || {
            let bytes = crate::common::hex("30 06 0000 03 23 0005");
            for sender in crate::common::SENDERS {
                accepts(Version::V5, sender, &bytes);
            }
        },
    );
    cases.both(
        &["MQTT-4.7.3-3"],
        &["MQTT-4.7.3-3"],
        "topic names and filters hold 65,535 bytes and not one more",
        |version| {
            let longest = "t".repeat(65_535);
            takes(version, &longest);
            accepts(
                version,
                Sender::Client,
                &publish(version, 0x30, &longest, b""),
            );
            let longer = "t".repeat(65_536);
            let too_long = TopicError::Text(mqtt_proto::TextError::TooLong { len: 65_536 });
            assert_eq!(Topic::try_from(&longer[..]), Err(too_long));
            assert_eq!(TopicFilter::try_from(&longer[..]), Err(too_long));
        },
    );
    cases.v5(
        &["MQTT-4.8.2-1"],
        "a shared subscription has a share name of one character or more",
        || {
            let filter = takes(Version::V5, "$share/g/sport/#");
            assert_eq!(
                (filter.share_name(), filter.pattern()),
                (Some("g"), "sport/#")
            );
            refuses_filter(Version::V5, "$share//sport", TopicError::Share);
            refuses_filter(Version::V5, "$share//", TopicError::Share);
            // Without the whole prefix it is a filter as any other.
            for filter in [
                "$share",
                "$Share/g/f",
                "$shared/g/f",
                "share/g/f",
                "/$share/g/f",
            ] {
                assert_eq!(takes(Version::V5, filter).share_name(), None, "{filter}");
            }
        },
    );
    cases.v5(
        &["MQTT-4.8.2-2"],
        "a share name has no wildcard and is followed by a slash and a filter",
        || {
            for filter in [
                "$share/",
                "$share/g",
                "$share/g/",
                "$share/+/f",
                "$share/#/f",
                "$share/g+/f",
                "$share/#",
                "$share/g#",
            ] {
                refuses_filter(Version::V5, filter, TopicError::Share);
            }
            refuses_filter(
                Version::V5,
                "$share/g/#/f",
                TopicError::MultiLevel { at: 9 },
            );
            refuses_filter(
                Version::V5,
                "$share/g/f+",
                TopicError::SingleLevel { at: 10 },
            );
            assert_eq!(takes(Version::V5, "$share/g//").pattern(), "/");
            assert_eq!(
                takes(Version::V5, "$share/g/$share/h/f").pattern(),
                "$share/h/f"
            );
        },
    );
}

fn takes(version: Version, filter: &str) -> TopicFilter {
    accepts(
        version,
        Sender::Client,
        &packets::subscribe(version, filter, 0),
    );
    accepts(
        version,
        Sender::Client,
        &packets::unsubscribe(version, filter),
    );
    TopicFilter::try_from(filter).unwrap_or_else(|e| panic!("{filter}: {e}"))
}

#[track_caller]
fn refuses_filter(version: Version, filter: &str, error: TopicError) {
    assert_eq!(TopicFilter::try_from(filter), Err(error), "{filter}");
    for bytes in [
        packets::subscribe(version, filter, 0),
        packets::unsubscribe(version, filter),
    ] {
        let refused = refuses(version, Sender::Client, &bytes);
        assert_eq!(
            refused,
            DecodeError::BadTopic {
                field: "topic filter",
                error
            },
            "{filter}"
        );
        assert_eq!(refused.reason(), ReasonCode::MALFORMED_PACKET);
    }
}
