//! Which topics a filter matches, as the session routes them (section 4.7).

use mqtt_session::QueueId;
use mqtt_session::proto::{Flow, Version};

use crate::pair::config;
use crate::pair::raw::Raw;
use crate::runner::Cases;

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &["MQTT-4.7.2-1"],
        &["MQTT-4.7.2-1"],
        "a filter that begins with a wildcard does not get topics that begin with $",
        |version| {
            let topics = ["$SYS/uptime", "$SYS", "$other/SYS/x"];
            for filter in ["#", "+/uptime", "+", "+/+/x", "+/#"] {
                routes(version, filter, &topics, &[]);
            }
            routes(version, "$SYS/#", &topics, &topics[..2]);
            routes(version, "$SYS/+", &topics, &topics[..1]);
            // Elsewhere in a topic $ is a character as any other.
            routes(version, "#", &["a/$SYS/b"], &["a/$SYS/b"]);
        },
    );
    cases.both(
        &["MQTT-4.7.3-4"],
        &["MQTT-4.7.3-4"],
        "topics and filters match character by character, with no normalisation",
        |version| {
            // An e with an acute accent, composed and decomposed; case; slashes that are levels of their own; spaces.
            let alike = [
                "caf\u{e9}",
                "cafe\u{301}",
                "Caf\u{e9}",
                "/caf\u{e9}",
                "caf\u{e9}/",
                "caf\u{e9} ",
                "\u{feff}caf\u{e9}",
            ];
            for one in alike {
                routes(version, one, &alike, &[one]);
            }
            routes(version, "a//b", &["a/b", "a//b", "a///b"], &["a//b"]);
        },
    );
}

/// Of these topics, exactly these reach the queue of a subscription to `filter`.
fn routes(version: Version, filter: &str, topics: &[&str], expected: &[&str]) {
    let mut raw = Raw::connected(config(version));
    let queue = raw.session.open_queue();
    raw.subscribe(filter, queue);
    for topic in topics {
        raw.feed_publish(topic, Flow::AtMostOnce, b"");
    }
    let routed: Vec<_> = std::iter::from_fn(|| raw.session.poll_message(queue))
        .map(|received| received.publish.topic().as_str().to_owned())
        .collect();
    assert_eq!(routed, expected, "{filter}");
    let rest = std::iter::from_fn(|| raw.session.poll_message(QueueId::DEFAULT)).count();
    assert_eq!(rest, topics.len() - expected.len(), "{filter}");
}
