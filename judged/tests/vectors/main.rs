//! mosquitto's packet vectors (`MQTT_VECTORS` names their folder) judge the session, and each adapter.
//!
//! A vector is what a broker sends, and whether the client must close then. One that it must outlive is followed by a message of QoS 1, which it must
//! acknowledge. The session is fed each of them whole, byte by byte, and at every split into two; an adapter once, over a socket on loopback.
//! What CONNECT, the message before some of them and the acknowledgement must be is compared to the last byte.
//!
//! The decoder alone is judged by the test `mosquitto_vectors` of `mqtt-proto`.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[path = "../../../behaviour/tests/matrix/adapters/mod.rs"]
#[allow(dead_code, reason = "the matrix uses more of it")]
mod adapters;
mod exchange;
mod session;
mod socket;
#[path = "../../../mqtt-proto/tests/mosquitto_vectors/vectors.rs"]
mod vectors;
mod waived;

use std::collections::BTreeMap;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use mqtt_behaviour::{Result, Transport};

use adapters::ADAPTERS;
use vectors::{Folder, Vector, folder, read, unused};
use waived::WAIVED;

const MOST_WAIVED: usize = 15;

fn main() {
    let arguments = Arguments::from_args();
    let trials = match folder() {
        Folder::Found(folder) => {
            let vectors = read(&folder);
            if !arguments.list {
                println!("{}", summary(&vectors));
            }
            trials(vectors)
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

fn trials(vectors: Vec<Vector>) -> Vec<Trial> {
    let unused = unused(&vectors, WAIVED.iter());
    let count = waived(&vectors);
    let waivers = Trial::test(
        "every waiver belongs to a vector, and they are few",
        move || {
            if !unused.is_empty() {
                Err(unused.join("\n").into())
            } else if count > MOST_WAIVED {
                Err(format!("{count} are waived, and {MOST_WAIVED} may be").into())
            } else {
                Ok(())
            }
        },
    );
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for vector in vectors {
        groups.entry(vector.group.clone()).or_default().push(vector);
    }
    let mut trials = vec![waivers];
    for (group, vectors) in groups {
        let vectors = Arc::new(vectors);
        let own = Arc::clone(&vectors);
        trials.push(Trial::test(format!("session: {group}"), move || {
            judge(&own, session::closes)
        }));
        for (name, make, _) in adapters() {
            let own = Arc::clone(&vectors);
            trials.push(Trial::test(format!("{name}: {group}"), move || {
                let adapter = make()?;
                judge(&own, |vector| socket::closes(&*adapter, vector))
            }));
        }
    }
    trials
}

/// Those that connect by themselves.
fn adapters() -> impl Iterator<Item = (&'static str, adapters::Make, &'static [Transport])> {
    let all = ADAPTERS.into_iter();
    all.filter(|(_, _, transports)| transports.contains(&Transport::Tcp))
}

/// `closes` tells whether the client closes, or what is wrong whether or not.
fn judge(
    vectors: &[Vector],
    mut closes: impl FnMut(&Vector) -> Result<bool>,
) -> std::result::Result<(), Failed> {
    let mut wrong = String::new();
    for vector in vectors {
        let waived = vector.reason_in(WAIVED).is_some();
        let what = match closes(vector) {
            Ok(closed) if (closed == vector.must_close) != waived => continue,
            Ok(true) if waived => "is waived, and closes as it must".to_owned(),
            Ok(false) if waived => "is waived, and lives as it must".to_owned(),
            Ok(true) => "closes".to_owned(),
            Ok(false) => "lives".to_owned(),
            Err(error) => error.to_string(),
        };
        wrong += &format!("{}: {:02X?}: {what}\n", vector.name, vector.bytes);
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.into())
    }
}

fn waived(vectors: &[Vector]) -> usize {
    let is_waived = |vector: &&Vector| vector.reason_in(WAIVED).is_some();
    vectors.iter().filter(is_waived).count()
}

fn summary(vectors: &[Vector]) -> String {
    format!(
        "vectors: {} run through the session in {} ways, and through each of {} adapters; {} waived",
        vectors.len(),
        vectors.iter().map(session::ways).sum::<usize>(),
        adapters().count(),
        waived(vectors),
    )
}
