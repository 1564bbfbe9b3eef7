//! The vectors as they are read. `judged` reads them by this, too.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "the folder is named by the environment, which is not for the library"
)]

use std::path::{Path, PathBuf};

use mqtt_proto::Version;
use serde_json::Value;

/// Groups, names of vectors in them, and what is to be said of those.
pub(crate) type List = &'static [Entry];
type Entry = (&'static str, &'static [&'static str], &'static str);

pub(crate) enum Folder {
    Found(PathBuf),
    Absent { why: String, required: bool },
}

pub(crate) fn folder() -> Folder {
    let Some(folder) = std::env::var_os("MQTT_VECTORS") else {
        let why = "MQTT_VECTORS does not name a folder with them".into();
        return Folder::Absent {
            why,
            required: false,
        };
    };
    let folder = PathBuf::from(folder);
    if folder.is_dir() {
        return Folder::Found(folder);
    }
    let required = std::env::var_os("MQTT_REQUIRE_ALL").is_some_and(|value| value == "1");
    let why = format!(
        "MQTT_VECTORS names {}, which is no folder",
        folder.display()
    );
    Folder::Absent { why, required }
}

/// What a broker sends, and what must become of the connection.
#[derive(Clone)]
#[allow(dead_code, reason = "a decoder does without some of it")]
pub(crate) struct Vector {
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) version: Version,
    /// They come behind CONNACK, and not in its place.
    pub(crate) connack: bool,
    /// A message of QoS 1 has gone out before.
    pub(crate) publishes: bool,
    /// What the client must have sent before, beside CONNECT.
    pub(crate) awaits: Vec<u8>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) must_close: bool,
}

pub(crate) fn read(folder: &Path) -> Vec<Vector> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    let vectors: Vec<_> = files.iter().flat_map(|file| read_file(file)).collect();
    assert!(!vectors.is_empty(), "no vectors in {}", folder.display());
    vectors
}

fn read_file(file: &Path) -> Vec<Vector> {
    let text = std::fs::read_to_string(file).unwrap();
    let groups: Value = serde_json::from_str(&text).unwrap();
    let mut vectors = Vec::new();
    for group in groups.as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            // A test's own value goes before that of its group.
            let value = |key: &str| test.get(key).or_else(|| group.get(key));
            let flag = |key| value(key).and_then(Value::as_bool).unwrap_or(true);
            vectors.push(Vector {
                group: group["group"]
                    .as_str()
                    .unwrap()
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" "),
                name: test["name"].as_str().unwrap().trim().to_owned(),
                version: match value("ver").and_then(Value::as_u64) {
                    Some(3) => Version::V3_1,
                    Some(4) => Version::V3_1_1,
                    Some(5) => Version::V5,
                    other => panic!("version {other:?}"),
                },
                connack: flag("connack"),
                publishes: match value("command").and_then(Value::as_str) {
                    None => false,
                    Some("publish-1") => true,
                    Some(other) => panic!("command {other}"),
                },
                awaits: value("group_msgs").map_or_else(Vec::new, |all| payloads(all, "recv")),
                bytes: payloads(&test["msgs"], "send"),
                must_close: flag("expect_disconnect"),
            });
        }
    }
    vectors
}

/// What is sent (by the broker) or received (by it), in one piece. There must be nothing else.
fn payloads(messages: &Value, direction: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages.as_array().unwrap() {
        assert_eq!(message["type"], direction, "{message}");
        bytes.extend(hex(message["payload"].as_str().unwrap()));
    }
    bytes
}

/// Bytes from hexadecimal digits; spaces only group them.
fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<_> = digits.chars().filter(|c| !c.is_whitespace()).collect();
    assert!(digits.len().is_multiple_of(2), "odd number of digits");
    let pairs = digits.chunks_exact(2);
    pairs
        .map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).unwrap())
        .collect()
}

impl Vector {
    /// What a list says of it.
    pub(crate) fn reason_in(&self, list: List) -> Option<&'static str> {
        let found = list
            .iter()
            .find(|(group, names, _)| *group == self.group && names.contains(&&self.name[..]));
        found.map(|(_, _, reason)| *reason)
    }
}

/// The entries of lists that name no vector.
pub(crate) fn unused<'a>(
    vectors: &[Vector],
    entries: impl Iterator<Item = &'a Entry>,
) -> Vec<String> {
    let mut unused = Vec::new();
    for (group, names, _) in entries {
        for name in *names {
            if !vectors
                .iter()
                .any(|vector| vector.group == *group && vector.name == *name)
            {
                unused.push(format!("{group}: {name}"));
            }
        }
    }
    unused
}
