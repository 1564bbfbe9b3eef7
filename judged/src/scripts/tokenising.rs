//! The levels of a topic. The script has nothing to say here: it believes its program.

use mqtt_behaviour::Result;
use mqtt_session::client::exports::Topic;

use crate::run::Run;

use super::expect;

/// What the program in C asks of a function of libmosquitto's, which has null for an empty level.
pub(super) async fn levels(_: &Run<'_>) -> Result {
    let cases: [(&str, &[&str]); 8] = [
        ("topic", &["topic"]),
        (
            "a/deep/topic/hierarchy",
            &["a", "deep", "topic", "hierarchy"],
        ),
        (
            "/a/deep/topic/hierarchy",
            &["", "a", "deep", "topic", "hierarchy"],
        ),
        ("a/b/c", &["a", "b", "c"]),
        ("/a/b/c", &["", "a", "b", "c"]),
        ("a///hierarchy", &["a", "", "", "hierarchy"]),
        ("/a///hierarchy", &["", "a", "", "", "hierarchy"]),
        ("/a///hierarchy/", &["", "a", "", "", "hierarchy", ""]),
    ];
    for (topic, levels) in cases {
        let topic = Topic::try_from(topic)?;
        let found: Vec<_> = topic.view().levels().map(String::from_utf8_lossy).collect();
        expect(
            "list of levels",
            &found[..],
            &levels
                .iter()
                .map(|level| (*level).into())
                .collect::<Vec<_>>()[..],
        )?;
    }
    Ok(())
}
