//! The topic tree agrees with the filters that are in it.

use mqtt_session::Router;
use mqtt_session::proto::{Topic, TopicFilter};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn filter(text: &str) -> TopicFilter {
    TopicFilter::try_from(text).expect("a filter")
}

fn topic(text: &str) -> Topic {
    Topic::try_from(text).expect("a topic")
}

fn router(filters: &[&str]) -> Router<String> {
    let mut router = Router::new();
    for text in filters {
        assert_eq!(router.insert(&filter(text), (*text).to_owned()), None);
    }
    router
}

fn matches<T: Clone + Ord>(router: &mut Router<T>, text: &str) -> Vec<T> {
    let mut found = Vec::new();
    router.matches(topic(text).view(), |value| found.push(value.clone()));
    found.sort();
    found
}

#[test]
fn a_topic_is_for_the_same_filter_and_for_wildcards() {
    let mut router = router(&[
        "a/b", "a/+", "+/b", "+/+", "a/#", "a/b/#", "#", "+", "a", "a/b/c", "a//b", "/a/b",
    ]);
    assert_eq!(
        matches(&mut router, "a/b"),
        ["#", "+/+", "+/b", "a/#", "a/+", "a/b", "a/b/#"]
    );
    // `#` includes the level above [MQTT-4.7.1-2].
    assert_eq!(matches(&mut router, "a"), ["#", "+", "a", "a/#"]);
    assert_eq!(matches(&mut router, "a//b"), ["#", "a/#", "a//b"]);
    assert_eq!(matches(&mut router, "a/"), ["#", "+/+", "a/#", "a/+"]);
    assert_eq!(matches(&mut router, "/"), ["#", "+/+"]);
}

#[test]
fn a_leading_wildcard_is_not_for_a_topic_that_begins_with_a_dollar_sign() {
    // [MQTT-4.7.2-1]
    let mut router = router(&[
        "#",
        "+/a",
        "+",
        "$SYS/#",
        "$SYS/+",
        "$share/g/#",
        "$share/g/+/a",
    ]);
    assert_eq!(matches(&mut router, "$SYS/a"), ["$SYS/#", "$SYS/+"]);
    assert_eq!(matches(&mut router, "$SYS"), ["$SYS/#"]);
    assert_eq!(
        matches(&mut router, "x/a"),
        ["#", "$share/g/#", "$share/g/+/a", "+/a"]
    );
}

#[test]
fn shared_subscriptions_match_by_their_filter_and_are_filters_of_their_own() {
    let mut router = router(&["a/+", "$share/one/a/+", "$share/two/a/+"]);
    assert_eq!(router.len(), 3);
    assert_eq!(
        matches(&mut router, "a/b"),
        ["$share/one/a/+", "$share/two/a/+", "a/+"]
    );
    assert!(router.remove(&filter("$share/one/a/+")).is_some());
    assert!(router.get(&filter("$share/one/a/+")).is_none());
    assert_eq!(matches(&mut router, "a/b"), ["$share/two/a/+", "a/+"]);
}

#[test]
fn a_filter_has_one_value() {
    let mut router = Router::new();
    assert_eq!(router.insert(&filter("a/#"), 1), None);
    assert_eq!(router.insert(&filter("a/#"), 2), Some(1));
    *router.get_mut(&filter("a/#")).expect("it is there") += 1;
    assert_eq!(router.get(&filter("a/#")), Some(&3));
    assert_eq!(router.get(&filter("a")), None);
    assert_eq!(router.remove(&filter("a")), None);
    assert_eq!(router.iter().collect::<Vec<_>>(), [(filter("a/#"), &3)]);
    assert_eq!(router.remove(&filter("a/#")), Some(3));
    assert!(router.is_empty());
}

#[test]
fn filters_and_topics_of_65_535_bytes_are_like_others() {
    let slashes = "/".repeat(65_535);
    let wild = format!("{}+", "+/".repeat(32_767));
    let multi = format!("{}#", "/".repeat(65_534));
    let mut router = router(&[&slashes, &wild, &multi, "+/+/#", "nothing"]);
    assert_eq!(
        matches(&mut router, &slashes),
        ["+/+/#", &multi, &slashes].map(str::to_owned)
    );
    let levels = "a/".repeat(32_767);
    assert_eq!(
        matches(&mut router, &format!("{levels}a")),
        ["+/+/#", &wild].map(str::to_owned)
    );
    for text in [&slashes, &wild, &multi] {
        assert!(router.remove(&filter(text)).is_some());
    }
    assert_eq!(router.len(), 2);
}

#[test]
fn each_of_many_ways_that_wildcards_match_is_found_once() {
    // 2^14 filters of 14 levels, each either `a` or `+`: all of them match.
    let levels = 14;
    let mut router = Router::new();
    for number in 0..1u32 << levels {
        let parts: Vec<_> = (0..levels)
            .map(|level| if number >> level & 1 == 0 { "a" } else { "+" })
            .collect();
        router.insert(&filter(&parts.join("/")), number);
    }
    let text = vec!["a"; levels].join("/");
    assert_eq!(
        matches(&mut router, &text),
        (0..1 << levels).collect::<Vec<_>>()
    );
}

/// Few different levels, so that much matches.
fn level() -> impl Strategy<Value = &'static str> {
    select(vec![
        "",
        "a",
        "b",
        "sport",
        "temperature-7",
        "$SYS",
        "12345678",
    ])
}

fn a_topic() -> impl Strategy<Value = String> {
    vec(level(), 1..6)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("a topic is not empty", |topic| !topic.is_empty())
}

fn a_filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![2 => level(), 1 => Just("+")];
    let pattern = (vec(level, 0..6), any::<bool>()).prop_map(|(mut levels, multi)| {
        if multi {
            levels.push("#");
        }
        levels.join("/")
    });
    let share = select(vec!["", "", "", "$share/one/", "$share/two/"]);
    (share, pattern)
        .prop_map(|(share, pattern)| format!("{share}{pattern}"))
        .prop_filter("a filter", |filter| {
            TopicFilter::try_from(filter.as_str()).is_ok()
        })
}

proptest! {
    #[test]
    fn whatever_is_put_in_and_taken_out_the_router_finds_what_the_filters_match(
        filters in vec((a_filter(), any::<bool>()), 0..80),
        topics in vec(a_topic(), 1..20),
    ) {
        let mut router = Router::new();
        let mut model: Vec<TopicFilter> = Vec::new();
        for (text, put) in &filters {
            let filter = filter(text);
            let known = model.iter().position(|other| *other == filter);
            if *put {
                prop_assert_eq!(router.insert(&filter, filter.clone()).is_some(), known.is_some());
                if known.is_none() {
                    model.push(filter);
                }
            } else {
                // An old one, if this one is not there.
                let old = known.or_else(|| model.len().checked_sub(1));
                let gone = old.map_or(filter, |at| model.swap_remove(at));
                prop_assert_eq!(router.remove(&gone).is_some(), old.is_some());
            }
            prop_assert_eq!(router.len(), model.len());
        }
        for text in &topics {
            let topic = topic(text);
            let mut wanted: Vec<_> =
                model.iter().filter(|filter| filter.matches(topic.view())).cloned().collect();
            wanted.sort();
            prop_assert_eq!(matches(&mut router, text), wanted);
        }
        for filter in &model {
            prop_assert_eq!(router.get(filter), Some(filter));
        }
    }
}
