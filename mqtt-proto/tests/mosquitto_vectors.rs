//! The packet vectors of Eclipse mosquitto's client-library tests: what a broker sends, and whether the client must close.
//!
//! They are mosquitto's `test/lib/data` (branch `develop`); `MQTT_VECTORS` names the folder. Without it the trial is reported as
//! ignored. With `MQTT_REQUIRE_ALL=1` a folder that is named but missing is a failure.
//!
//! What the decoder alone can tell is checked here: bytes that must end the connection are refused, others are packets. What only
//! a session can refuse stands in [`NEEDS_SESSION`], and must decode; what the vectors see differently from the specification in
//! [`WAIVED`].
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "the folder is named by the environment, and the count is printed: neither is for the library"
)]

mod common;

use std::path::{Path, PathBuf};

use bytes::BytesMut;
use libtest_mimic::{Arguments, Failed, Trial};
use mqtt_proto::{DecodeError, Decoder, Sender, Version};
use serde_json::Value;

/// Groups, names of vectors and why a decoder, which knows one packet at a time, can't refuse them.
const NEEDS_SESSION: &[(&str, &[&str], &str)] = &[
    ("v5.0 AUTH", &["F0 [MQTT-3.1.0-1]"], BEFORE_CONNACK),
    ("v3.1.1 PINGRESP", &["D0 [MQTT-3.1.0-1]"], BEFORE_CONNACK),
    ("v5.0 PINGRESP", &["D0 [MQTT-3.1.0-1]"], BEFORE_CONNACK),
    (
        "v3.1.1 PUBACK unsolicited",
        &["40 [MQTT-3.1.0-1]"],
        BEFORE_CONNACK,
    ),
    (
        "v5.0 PUBACK unsolicited",
        &["40 [MQTT-3.1.0-1] (no reason code)", "40 [MQTT-3.1.0-1]"],
        BEFORE_CONNACK,
    ),
    (
        "v3.1.1 CONNACK",
        &["20 CAF=0x01"],
        "session present, though a clean session was asked for",
    ),
    (
        "v5.0 CONNACK",
        &["20 CAF=0x01"],
        "session present, though a clean start was asked for",
    ),
    (
        "v5.0 CONNACK ALLOWED PROPERTIES INVALID",
        &["20 with assigned-client-identifier (UTF-8 string)"],
        "a client identifier is assigned, though the client had sent its own",
    ),
    (
        "v5.0 CONNACK",
        &[
            "20 RC=0x80 (unspecified error)",
            "20 RC=0x81 (malformed packet)",
            "20 RC=0x82 (protocol error)",
            "20 RC=0x83 (implementation specific error)",
            "20 RC=0x84 (unsupported protocol version)",
            "20 RC=0x85 (client identifier not valid)",
            "20 RC=0x86 (bad user name or password)",
            "20 RC=0x87 (not authorised)",
            "20 RC=0x88 (server unavailable)",
            "20 RC=0x89 (server busy)",
            "20 RC=0x8A (banned)",
            "20 RC=0x8C (bad authentication method)",
            "20 RC=0x90 (topic name invalid)",
            "20 RC=0x95 (packet too large)",
            "20 RC=0x97 (quota exceeded)",
            "20 RC=0x99 (payload format invalid)",
            "20 RC=0x9A (retain not supported)",
            "20 RC=0x9B (qos not supported)",
            "20 RC=0x9C (use another server)",
            "20 RC=0x9D (server moved)",
            "20 RC=0x9F (connection rate exceeded)",
        ],
        "a well-formed refusal: the session ends",
    ),
];

const BEFORE_CONNACK: &str = "well-formed, but before CONNACK";

/// Groups, names of vectors and why the decoder decides otherwise.
const WAIVED: &[(&str, &[&str], &str)] = &[(
    "v5.0 CONNACK",
    &["20 long"],
    "a byte stands behind the last field, where CONNACK has no payload: libmosquitto overlooks it",
)];

fn main() {
    let arguments = Arguments::from_args();
    let trials = match folder() {
        Folder::Found(folder) => {
            let vectors = read(&folder);
            if !arguments.list {
                println!("{}", summary(&vectors));
            }
            std::iter::once(lists_are_used(&vectors))
                .chain(vectors.into_iter().map(Vector::into_trial))
                .collect()
        }
        Folder::Absent { why, required } => {
            if !arguments.list {
                println!("vectors: 0 run, {why}");
            }
            let failed = Failed::from(&why);
            let trial = Trial::test(format!("mosquitto's packet vectors: {why}"), || Err(failed));
            vec![trial.with_ignored_flag(!required)]
        }
    };
    libtest_mimic::run(&arguments, trials).exit();
}

enum Folder {
    Found(PathBuf),
    Absent { why: String, required: bool },
}

fn folder() -> Folder {
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

struct Vector {
    group: String,
    name: String,
    version: Version,
    bytes: Vec<u8>,
    must_close: bool,
}

fn read(folder: &Path) -> Vec<Vector> {
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
            let bytes: Vec<_> = test["msgs"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|message| message["type"] == "send")
                .collect();
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
                bytes: bytes
                    .iter()
                    .flat_map(|message| common::hex(message["payload"].as_str().unwrap()))
                    .collect(),
                must_close: value("expect_disconnect")
                    .and_then(Value::as_bool)
                    .unwrap_or(true),
            });
        }
    }
    vectors
}

#[derive(Debug)]
enum Verdict {
    #[expect(dead_code, reason = "shown when a vector fails")]
    Refused(DecodeError),
    Taken,
    Incomplete,
}

impl Vector {
    fn verdict(&self) -> Verdict {
        let decoder = Decoder::new(self.version, Sender::Server);
        let mut input = BytesMut::from(&self.bytes[..]);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(_)) => {}
                Ok(None) if input.is_empty() => return Verdict::Taken,
                Ok(None) => return Verdict::Incomplete,
                Err(error) => return Verdict::Refused(error),
            }
        }
    }

    fn reason_in(&self, list: &[(&str, &[&str], &'static str)]) -> Option<&'static str> {
        let found = list
            .iter()
            .find(|(group, names, _)| *group == self.group && names.contains(&&self.name[..]));
        found.map(|(_, _, reason)| *reason)
    }

    fn into_trial(self) -> Trial {
        let end = if self.must_close { "closes" } else { "lives" };
        let listed = self
            .reason_in(NEEDS_SESSION)
            .or_else(|| self.reason_in(WAIVED));
        let listed = listed
            .map(|reason| format!(" ({reason})"))
            .unwrap_or_default();
        Trial::test(
            format!("{}: {} {end}{listed}", self.group, self.name),
            move || self.check(),
        )
    }

    fn check(&self) -> Result<(), Failed> {
        let verdict = self.verdict();
        let session = self.reason_in(NEEDS_SESSION).is_some();
        let waived = self.reason_in(WAIVED).is_some();
        let right = match (&verdict, self.must_close) {
            (Verdict::Refused(_), true) => !session && !waived,
            (Verdict::Taken, true) => session || waived,
            (Verdict::Refused(_), false) => waived,
            (Verdict::Taken, false) => !session && !waived,
            (Verdict::Incomplete, _) => false,
        };
        if right {
            return Ok(());
        }
        let bytes = &self.bytes;
        Err(format!(
            "{bytes:02X?}: {verdict:?}; listed for the session: {session}, waived: {waived}"
        )
        .into())
    }
}

/// An entry of a list that names no vector is out of date.
fn lists_are_used(vectors: &[Vector]) -> Trial {
    let mut unused = Vec::new();
    for (group, names, _) in NEEDS_SESSION.iter().chain(WAIVED) {
        for name in *names {
            if !vectors
                .iter()
                .any(|vector| vector.group == *group && vector.name == *name)
            {
                unused.push(format!("{group}: {name}"));
            }
        }
    }
    Trial::test("every waiver belongs to a vector", move || {
        if unused.is_empty() {
            Ok(())
        } else {
            Err(unused.join("\n").into())
        }
    })
}

fn summary(vectors: &[Vector]) -> String {
    let count = |list| {
        vectors
            .iter()
            .filter(|vector| vector.reason_in(list).is_some())
            .count()
    };
    let (session, waived) = (count(NEEDS_SESSION), count(WAIVED));
    format!(
        "vectors: {} run, {waived} waived, {session} of them can only be refused by a session",
        vectors.len()
    )
}
