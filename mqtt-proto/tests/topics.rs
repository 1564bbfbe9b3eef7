//! Topic names, topic filters, shared subscriptions and how they match (sections 4.7 and 4.8.2).
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use bytes::Bytes;
use mqtt_proto::{Publish, TextError, Topic, TopicError, TopicFilter};
use proptest::prelude::*;

fn topic(name: &str) -> Topic {
    Topic::try_from(name).unwrap_or_else(|e| panic!("{name:?}: {e}"))
}

fn filter(pattern: &str) -> TopicFilter {
    TopicFilter::try_from(pattern).unwrap_or_else(|e| panic!("{pattern:?}: {e}"))
}

#[test]
fn topic_names() {
    for name in [
        "a",
        "/",
        "//",
        "/finance",
        "ACCOUNTS",
        "Accounts payable",
        "sport/tennis",
        "$SYS/x",
        "$share/g/f",
        "\u{e9}/\u{2A6D4}",
        " ",
    ] {
        assert_eq!(topic(name), *name);
        assert_eq!(topic(name).view().as_str(), name);
        assert_eq!(name.parse::<Topic>().unwrap(), topic(name));
    }
    let wildcard = |wildcard, at| TopicError::Wildcard { wildcard, at };
    for (name, error) in [
        ("", TopicError::Empty),
        ("+", wildcard('+', 0)),
        ("#", wildcard('#', 0)),
        ("a/+/b", wildcard('+', 2)),
        ("1234567#", wildcard('#', 7)),
        ("12345678#", wildcard('#', 8)),
        ("\u{e9}+", wildcard('+', 2)),
        ("a\0", TopicError::Text(TextError::Null { at: 1 })),
        ("1234567890\0", TopicError::Text(TextError::Null { at: 10 })),
    ] {
        assert_eq!(Topic::try_from(name), Err(error), "{name:?}");
        assert_eq!(Topic::try_from(name.to_owned()), Err(error), "{name:?}");
    }
    assert_eq!(Topic::from_static("a").unwrap(), topic("a"));
    let error = TopicError::Text(TextError::NotUtf8 { at: 2 });
    assert_eq!(Topic::from_bytes(Bytes::from_static(b"a/\xFF")), Err(error));
}

#[test]
fn topic_filters() {
    for pattern in [
        "a",
        "/",
        "//",
        "#",
        "+",
        "/#",
        "/+",
        "+/+",
        "sport/tennis/player1/#",
        "sport/+/player1",
        "+/tennis/#",
        "$SYS/#",
        "$SYS/monitor/+",
        "\u{e9}/+/#",
        "$share",
        "$share1/x",
        "$Share/g/f",
    ] {
        assert_eq!(filter(pattern), *pattern);
        assert_eq!(filter(pattern).pattern(), pattern);
        assert_eq!(filter(pattern).share_name(), None);
        assert_eq!(filter(pattern).has_wildcard(), pattern.contains(['+', '#']));
    }
    let (multi, single) = (
        |at| TopicError::MultiLevel { at },
        |at| TopicError::SingleLevel { at },
    );
    for (pattern, error) in [
        ("", TopicError::Empty),
        ("sport/tennis#", multi(12)),
        ("sport/tennis/#/ranking", multi(13)),
        ("#/a", multi(0)),
        ("##", multi(0)),
        ("a/##", multi(2)),
        ("sport+", single(5)),
        ("+sport", single(0)),
        ("a/b+c/d", single(3)),
        ("a/++", single(2)),
        ("a\0/+", TopicError::Text(TextError::Null { at: 1 })),
    ] {
        assert_eq!(TopicFilter::try_from(pattern), Err(error), "{pattern:?}");
    }
}

#[test]
fn shared_subscriptions() {
    for (whole, name, pattern) in [
        ("$share/consumer1//finance", "consumer1", "/finance"),
        (
            "$share/consumer1/sport/tennis/+",
            "consumer1",
            "sport/tennis/+",
        ),
        ("$share/g/#", "g", "#"),
        ("$share/$g/+", "$g", "+"),
        ("$share/\u{e9}/f", "\u{e9}", "f"),
        ("$share/g/$SYS/x", "g", "$SYS/x"),
        ("$share/g//", "g", "/"),
    ] {
        let filter = filter(whole);
        assert_eq!(filter.share_name(), Some(name), "{whole}");
        assert_eq!(filter.pattern(), pattern, "{whole}");
        assert_eq!(filter.as_str(), whole);
        assert_eq!(filter.has_wildcard(), pattern.contains(['+', '#']));
    }
    for whole in [
        "$share/",
        "$share//",
        "$share//f",
        "$share/g",
        "$share/g/",
        "$share/+/f",
        "$share/g#/f",
        "$share/#",
        "$share/a+b/f",
    ] {
        assert_eq!(
            TopicFilter::try_from(whole),
            Err(TopicError::Share),
            "{whole}"
        );
    }
    assert_eq!(
        TopicFilter::try_from("$share/g/a#"),
        Err(TopicError::MultiLevel { at: 10 })
    );
}

/// Filters, topics and whether they match: what the text of section 4.7 says first, then its corners.
const MATCHES: [(&str, &str, bool); 54] = [
    // Section 4.7.1.2
    ("sport/tennis/player1/#", "sport/tennis/player1", true),
    (
        "sport/tennis/player1/#",
        "sport/tennis/player1/ranking",
        true,
    ),
    (
        "sport/tennis/player1/#",
        "sport/tennis/player1/score/wimbledon",
        true,
    ),
    ("sport/#", "sport", true),
    ("#", "sport/tennis", true),
    ("sport/tennis/#", "sport/tennis", true),
    // Section 4.7.1.3
    ("sport/tennis/+", "sport/tennis/player1", true),
    ("sport/tennis/+", "sport/tennis/player2", true),
    ("sport/tennis/+", "sport/tennis/player1/ranking", false),
    ("sport/+", "sport", false),
    ("sport/+", "sport/", true),
    ("+", "sport", true),
    ("+/tennis/#", "sport/tennis", true),
    ("+/tennis/#", "sport/tennis/x", true),
    ("sport/+/player1", "sport/tennis/player1", true),
    ("+/+", "/finance", true),
    ("/+", "/finance", true),
    ("+", "/finance", false),
    // Section 4.7.2
    ("#", "$SYS/monitor/Clients", false),
    ("+/monitor/Clients", "$SYS/monitor/Clients", false),
    ("$SYS/#", "$SYS/monitor/Clients", true),
    ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
    ("$SYS/+/Clients", "$SYS/monitor/Clients", true),
    ("#", "$", false),
    ("+", "$", false),
    ("$", "$", true),
    ("+/#", "$SYS", false),
    ("/#", "/$SYS", true),
    ("+/$SYS", "a/$SYS", true),
    // Section 4.7.3
    ("ACCOUNTS", "Accounts", false),
    ("Accounts payable", "Accounts payable", true),
    ("/finance", "finance", false),
    ("finance", "/finance", false),
    ("/", "/", true),
    ("a/b", "a/b/", false),
    ("a/b/", "a/b", false),
    // Corners
    ("#", "/", true),
    ("/#", "/", true),
    ("/#", "a", false),
    ("+/+", "/", true),
    ("+", "/", false),
    ("a//b", "a//b", true),
    ("a//b", "a/b", false),
    ("a/+/b", "a//b", true),
    ("a/#", "ab", false),
    ("a/b/#", "a", false),
    ("+/+/#", "a", false),
    ("+/+/#", "a/b", true),
    ("\u{e9}", "e\u{301}", false), // no normalisation [MQTT-4.7.3-4]
    ("\u{e9}/+", "\u{e9}/x", true),
    // Section 4.8.2: the share is no part of what is matched.
    ("$share/g/sport/+", "sport/tennis", true),
    ("$share/g/#", "$SYS/x", false),
    ("$share/g/$SYS/#", "$SYS/x", true),
    ("$share/g/f", "$share/g/f", false),
];

#[test]
fn filters_match_as_section_4_7_says() {
    for (pattern, name, expected) in MATCHES {
        let matches = filter(pattern).matches(topic(name).view());
        assert_eq!(matches, expected, "{pattern} and {name}");
        assert_eq!(
            reference(filter(pattern).pattern(), name),
            expected,
            "the reference: {pattern} and {name}"
        );
    }
}

#[test]
fn topics_without_wildcards_are_filters_that_match_themselves_alone() {
    let names = ["a", "/", "a/b", "a/b/", "/a", "$a", "a//b"];
    for one in names {
        for other in names {
            assert_eq!(filter(one).matches(topic(other).view()), one == other);
        }
    }
}

#[test]
fn a_wildcard_stands_for_a_level_of_any_length() {
    for len in 0..40 {
        let level = "l".repeat(len);
        for (pattern, name) in [
            ("+/x", format!("{level}/x")),
            ("a/+/x", format!("a/{level}/x")),
            ("a/+", format!("a/{level}")),
            ("+/+/x", format!("{level}/{level}/x")),
        ] {
            let name = topic(&name);
            assert!(filter(pattern).matches(name.view()), "{pattern} {name:?}");
            let longer = topic(&format!("{}/y", name.as_str()));
            assert!(
                !filter(pattern).matches(longer.view()),
                "{pattern} {longer:?}"
            );
        }
        // All that is alike but the last byte.
        let (one, other) = (format!("{level}x"), format!("{level}y"));
        assert!(filter(&one).matches(topic(&one).view()));
        assert!(!filter(&one).matches(topic(&other).view()));
    }
}

#[cfg_attr(miri, ignore = "takes minutes where it is interpreted")]
#[test]
fn the_deepest_topic_and_filter_match_level_by_level() {
    let slashes = "/".repeat(65_535);
    assert_eq!(topic(&slashes).view().levels().count(), 65_536);
    assert!(filter(&slashes).matches(topic(&slashes).view()));
    assert!(!filter(&slashes).matches(topic(&slashes[1..]).view()));
    let wildcards = format!("{}#", "+/".repeat(32_767));
    assert!(filter(&wildcards).matches(topic(&slashes).view()));
    let shared = format!("$share/g{}", &slashes[8..]);
    assert_eq!(filter(&shared).pattern().len(), 65_535 - 9);
}

#[test]
fn a_topic_is_shared_and_not_copied() {
    let bytes = Bytes::from("a/b".to_owned());
    let at = bytes.as_ptr();
    let name = Topic::from_bytes(bytes).unwrap();
    let publish = Publish::new(name.clone(), "");
    assert_eq!(name.as_bytes().as_ptr(), at);
    assert_eq!(publish.topic().as_bytes().as_ptr(), at);
    assert_eq!(publish.topic().levels().collect::<Vec<_>>(), [b"a", b"b"]);
}

/// Matches as slowly and as plainly as the rules can be said.
fn reference(pattern: &str, name: &str) -> bool {
    fn levels(pattern: &[&str], name: &[&str]) -> bool {
        match (pattern, name) {
            (["#"], _) => true,
            ([], []) => true,
            (["+", pattern @ ..], [_, name @ ..]) => levels(pattern, name),
            ([wanted, pattern @ ..], [level, name @ ..]) => {
                wanted == level && levels(pattern, name)
            }
            _ => false,
        }
    }
    let hidden = name.starts_with('$') && (pattern.starts_with('+') || pattern.starts_with('#'));
    !hidden
        && levels(
            &pattern.split('/').collect::<Vec<_>>(),
            &name.split('/').collect::<Vec<_>>(),
        )
}

/// Whether a filter is valid, by the rules as plainly as they can be said.
fn reference_valid(filter: &str) -> bool {
    let pattern = match filter
        .strip_prefix("$share/")
        .map(|rest| rest.split_once('/'))
    {
        None => filter,
        Some(None) => return false,
        Some(Some((name, pattern))) => {
            if name.is_empty() || name.contains(['+', '#']) {
                return false;
            }
            pattern
        }
    };
    let levels: Vec<_> = pattern.split('/').collect();
    let plain = |level: &str| level == "+" || !level.contains(['+', '#']);
    !pattern.is_empty()
        && !filter.contains('\0')
        && levels
            .iter()
            .enumerate()
            .all(|(at, level)| plain(level) || (*level == "#" && at + 1 == levels.len()))
}

/// Few letters, so that many pairs match.
fn level() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["", "a", "ab", "b", "$a", "\u{e9}"][..])
}

fn names() -> impl Strategy<Value = String> {
    prop::collection::vec(level(), 1..5)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("empty", |name| !name.is_empty())
}

fn patterns() -> impl Strategy<Value = String> {
    let level = prop_oneof![3 => level(), 2 => Just("+")];
    let pattern =
        (prop::collection::vec(level, 0..4), any::<bool>()).prop_map(|(mut levels, multi)| {
            if multi || levels.is_empty() {
                levels.push("#");
            }
            levels.join("/")
        });
    (
        prop::option::of(prop::sample::select(&["g", "$g"][..])),
        pattern,
    )
        .prop_map(|(share, pattern)| match share {
            Some(name) => format!("$share/{name}/{pattern}"),
            None => pattern,
        })
        .prop_filter("empty", |filter| {
            !filter.is_empty() && !filter.ends_with("g/")
        })
}

#[cfg_attr(miri, ignore = "takes minutes where it is interpreted")]
#[test]
fn matching_agrees_with_the_plain_reference() {
    proptest!(ProptestConfig::with_cases(4_000), |(pattern in patterns(), name in names())| {
        let filter = filter(&pattern);
        prop_assert_eq!(filter.matches(topic(&name).view()), reference(filter.pattern(), &name));
    });
}

#[cfg_attr(miri, ignore = "takes minutes where it is interpreted")]
#[test]
fn validity_agrees_with_the_plain_reference() {
    let part = prop::sample::select(
        &[
            "/", "+", "#", "a", "b", "\0", "$", "$share", "$share/", "12345678", "\u{e9}",
        ][..],
    );
    let texts = prop::collection::vec(part, 0..7).prop_map(|parts| parts.concat());
    proptest!(ProptestConfig::with_cases(4_000), |(text in texts)| {
        prop_assert_eq!(TopicFilter::try_from(&text[..]).is_ok(), reference_valid(&text), "as a filter");
        let valid = !text.is_empty() && !text.contains(['\0', '+', '#']);
        prop_assert_eq!(Topic::try_from(&text[..]).is_ok(), valid, "as a name");
    });
}
