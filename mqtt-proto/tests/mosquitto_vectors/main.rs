//! The packet vectors of Eclipse mosquitto's client-library tests: what a broker sends, and whether the client must close.
//!
//! They are mosquitto's `test/lib/data` (branch `develop`); `MQTT_VECTORS` names the folder. Without it the trial is reported as
//! ignored. With `MQTT_REQUIRE_ALL=1` a folder that is named but missing is a failure.
//!
//! The package `judged` has the same vectors judge the session, and each adapter.
//!
//! What the decoder alone can tell is checked here: bytes that must end the connection are refused, others are packets. What only
//! a session can refuse stands in [`NEEDS_SESSION`], and must decode; what the vectors see differently from the specification in
//! [`WAIVED`].
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(
    clippy::disallowed_macros,
    reason = "the count is printed, which is not for the library"
)]

mod vectors;

use bytes::BytesMut;
use libtest_mimic::{Arguments, Failed, Trial};
use mqtt_proto::{DecodeError, Decoder, Sender};

use vectors::{Folder, List, Vector, folder, read, unused};

/// Groups, names of vectors and why a decoder, which knows one packet at a time, can't refuse them.
const NEEDS_SESSION: List = &[
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
const WAIVED: List = &[
    (
        "v5.0 CONNACK",
        &["20 long"],
        "a byte stands behind the last field, where CONNACK has no payload: libmosquitto overlooks it",
    ),
    (
        "v5.0 CONNACK ALLOWED PROPERTIES INVALID",
        &["20 with assigned-client-identifier (UTF-8 string)"],
        "an identifier is assigned, though the client had its own: no rule forbids it (section 3.2.2.3.7)",
    ),
];

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
    let unused = unused(vectors, NEEDS_SESSION.iter().chain(WAIVED));
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
