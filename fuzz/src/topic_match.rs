//! The body of the target `topic_match`.

use bytes::Bytes;
use mqtt_proto::{Topic, TopicFilter};

use crate::{Reached, TopicOutcome};

/// Matches a topic against a filter.
pub fn run(data: &[u8]) -> Reached {
    let mut reached = Reached::default();
    let mut parts = data.splitn(2, |byte| *byte == 0xFF);
    let filter = parts.next().unwrap_or_default();
    let topic = parts.next().unwrap_or_default();

    let made = TopicFilter::from_bytes(Bytes::copy_from_slice(filter));
    assert_eq!(
        made.is_ok(),
        is_filter(filter),
        "filter {filter:02x?}: {made:?}"
    );
    let named = Topic::from_bytes(Bytes::copy_from_slice(topic));
    assert_eq!(
        named.is_ok(),
        is_topic(topic),
        "topic {topic:02x?}: {named:?}"
    );

    match (&made, &named) {
        (Ok(filter), Ok(topic)) => reached.add_topic(compare(filter, topic)),
        (Err(_), _) => reached.add_topic(TopicOutcome::BadFilter),
        (_, Err(_)) => reached.add_topic(TopicOutcome::BadTopic),
    }
    if let Ok(filter) = &made {
        parts_make_the_whole(filter);
    }
    if let Ok(topic) = &named {
        matches_itself(topic);
    }
    reached
}

fn compare(filter: &TopicFilter, topic: &Topic) -> TopicOutcome {
    let shared = filter.share_name().is_some();
    let levels: Vec<&str> = topic.as_str().split('/').collect();
    let wanted: Vec<&str> = filter.pattern().split('/').collect();
    // [MQTT-4.7.2-1]
    let hidden = topic.as_str().starts_with('$') && matches!(wanted[0], "+" | "#");
    let expected = !hidden && matches(&wanted, &levels);
    assert_eq!(
        filter.matches(topic.view()),
        expected,
        "filter {filter:?}, topic {topic:?}"
    );
    match (shared, expected) {
        (_, false) if hidden && matches(&wanted, &levels) => TopicOutcome::DollarHiddenFromWildcard,
        (false, true) => TopicOutcome::Match,
        (false, false) => TopicOutcome::NoMatch,
        (true, true) => TopicOutcome::SharedMatch,
        (true, false) => TopicOutcome::SharedNoMatch,
    }
}

/// Section 4.7.1, read word by word.
fn matches(wanted: &[&str], levels: &[&str]) -> bool {
    match (wanted, levels) {
        (["#"], _) => true, // also the parent level
        ([], []) => true,
        (["+", wanted @ ..], [_, levels @ ..]) => matches(wanted, levels),
        ([same, wanted @ ..], [level, levels @ ..]) => same == level && matches(wanted, levels),
        _ => false,
    }
}

/// Sections 1.5.4 and 4.7: what every topic name and filter has to be.
fn text(bytes: &[u8]) -> Option<Vec<char>> {
    let text = String::from_utf8(bytes.to_vec()).ok()?;
    (!text.is_empty() && text.len() <= 65_535 && !text.contains('\0'))
        .then(|| text.chars().collect())
}

fn is_topic(bytes: &[u8]) -> bool {
    text(bytes).is_some_and(|text| !text.contains(&'+') && !text.contains(&'#'))
}

fn is_filter(bytes: &[u8]) -> bool {
    let Some(text) = text(bytes) else {
        return false;
    };
    // Section 4.8.2: $share/{ShareName}/{filter}
    let share: Vec<char> = "$share/".chars().collect();
    if !text.starts_with(&share) {
        return has_wildcards_in_place(&text);
    }
    let mut parts = text[share.len()..].splitn(2, |c| *c == '/');
    let name = parts.next().unwrap_or_default();
    let pattern = parts.next().unwrap_or_default();
    let named = !name.is_empty() && !name.contains(&'+') && !name.contains(&'#');
    named && !pattern.is_empty() && has_wildcards_in_place(pattern)
}

/// [MQTT-4.7.1-1], [MQTT-4.7.1-2]
fn has_wildcards_in_place(text: &[char]) -> bool {
    (0..text.len()).all(|at| {
        let begins = at == 0 || text[at - 1] == '/';
        let ends = at + 1 == text.len() || text[at + 1] == '/';
        match text[at] {
            '#' => begins && at + 1 == text.len(),
            '+' => begins && ends,
            _ => true,
        }
    })
}

fn parts_make_the_whole(filter: &TopicFilter) {
    let pattern = filter.pattern();
    let whole = match filter.share_name() {
        Some(name) => format!("$share/{name}/{pattern}"),
        None => pattern.to_owned(),
    };
    assert_eq!(filter.as_str(), whole);
    assert_eq!(filter.share_name().is_some(), whole.starts_with("$share/"));
    assert_eq!(filter.pattern_bytes(), pattern.as_bytes());
    assert_eq!(filter.has_wildcard(), pattern.contains(['+', '#']));
    assert_eq!(TopicFilter::try_from(filter.as_str()).as_ref(), Ok(filter));
}

fn matches_itself(topic: &Topic) {
    if !topic.as_str().starts_with("$share/") {
        let filter = TopicFilter::from_bytes(topic.bytes().clone()).expect("a topic is a filter");
        assert!(!filter.has_wildcard());
        assert!(
            filter.matches(topic.view()),
            "{topic:?} does not match itself"
        );
    }
    let everything = TopicFilter::try_from("#").expect("# is a filter");
    let hidden = topic.as_str().starts_with('$');
    assert_eq!(everything.matches(topic.view()), !hidden);
}
