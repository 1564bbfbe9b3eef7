//! That every entry has something at every level, and that `docs/hostile-peers.md` says what.
#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mqtt_hostile::cover::{ELSEWHERE, ENTRIES, Level, WITHOUT};
use mqtt_hostile::{About, covered, page, rows, scenes};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_entry_has_a_test_or_a_reason_at_every_level() {
    let mut without = Vec::new();
    for entry in 1..=24 {
        for level in [Level::Decoder, Level::Session, Level::Adapters] {
            if covered(entry, level).is_none() {
                without.push((entry, level));
            }
        }
    }
    assert_eq!(without, []);
    assert_eq!(ENTRIES.len(), 24);
    for row in rows() {
        assert!((1..=24).contains(&row.entry), "{}", row.title());
    }
    for scene in scenes() {
        assert!(
            !matches!(scene.about(), About::Entry(0 | 25..)),
            "{scene:?}"
        );
    }
}

#[test]
fn a_reason_stands_only_where_there_is_nothing() {
    for (entry, level, reason) in WITHOUT {
        let expected = format!("*{reason}*");
        assert_eq!(covered(*entry, *level), Some(expected), "{entry} {level:?}");
    }
}

#[test]
fn what_is_said_to_stand_elsewhere_stands_there() {
    for other in ELSEWHERE {
        let text = fs::read_to_string(root().join(other.file)).unwrap();
        for name in other.names {
            let function = format!("fn {name}()");
            let scenario = format!("\"{name}\"");
            assert!(
                text.contains(&function) || text.contains(&scenario),
                "{}: there is no {name}",
                other.file
            );
        }
    }
}

#[test]
fn no_two_inputs_and_no_two_scenes_have_one_name() {
    let all = rows();
    let titles: BTreeSet<_> = all
        .iter()
        .map(|row| format!("{} {:?}", row.title(), row.before))
        .collect();
    assert_eq!(titles.len(), all.len());
    let all = scenes();
    let names: BTreeSet<_> = all.iter().map(|scene| scene.name()).collect();
    assert_eq!(names.len(), all.len());
}

#[test]
fn the_page_is_up_to_date() {
    let path = root().join("docs/hostile-peers.md");
    if std::env::var_os("HOSTILE_WRITE").is_some() {
        fs::write(&path, page()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "{} is out of date: HOSTILE_WRITE=1 cargo test -p mqtt-hostile --test page",
        path.display()
    );
}
