//! What a full run consists of: parts that can be run one by one, each with as many runs as it needs.

use std::time::Duration;

use crate::case::{Against, Row};
use crate::growth;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Time,
    Syscalls,
    Instructions,
    Allocations,
    /// A session without sockets.
    Session,
}

/// A part, as it is run when nothing else is said.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) what: What,
    pub(crate) against: Against,
    pub(crate) rows: fn() -> Vec<Row>,
    /// Names; none is all.
    pub(crate) clients: &'static [&'static str],
    pub(crate) runs: usize,
    pub(crate) time: Duration,
}

/// In the order of a full run, and of its file. Those of time are run when none is named: they need a machine that does nothing else.
pub(crate) const ALL: &[Part] = &[
    Part {
        name: "messages",
        about: "messages a second at QoS 0 and 1, CPU time, latency",
        what: What::Time,
        against: Against::Stub,
        rows: Row::messages,
        clients: &[],
        runs: 5,
        time: Duration::from_millis(200),
    },
    Part {
        name: "qos2",
        about: "messages a second at QoS 2",
        what: What::Time,
        against: Against::Stub,
        rows: Row::qos2,
        clients: &[],
        runs: 3,
        time: Duration::from_millis(200),
    },
    Part {
        name: "growth",
        about: "how cost grows with messages in flight, queued, with their size, and with clients at work",
        what: What::Time,
        against: Against::Stub,
        rows: growth::rows,
        clients: &[
            "floor",
            "tokio",
            "smol",
            "async-std",
            "blocking",
            "rumqttc-v4",
            "next-v4",
            "ntex",
        ],
        runs: 3,
        time: Duration::from_millis(100),
    },
    Part {
        name: "connections",
        about: "connections a second, and memory of 1,000 and 10,000 idle clients",
        what: What::Time,
        against: Against::Stub,
        rows: Row::connections,
        clients: &[],
        runs: 3,
        time: Duration::from_millis(200),
    },
    Part {
        name: "tls",
        about: "the rows of messages over TLS 1.3",
        what: What::Time,
        against: Against::Tls,
        rows: Row::messages,
        clients: &[],
        runs: 3,
        time: Duration::from_millis(200),
    },
    Part {
        name: "mosquitto",
        about: "the rows of 64 B against mosquitto, which must be installed",
        what: What::Time,
        against: Against::Mosquitto,
        rows: Row::small,
        clients: &[],
        runs: 3,
        time: Duration::from_millis(200),
    },
    counted(
        "syscalls",
        "system calls a message; needs strace",
        What::Syscalls,
    ),
    counted(
        "instructions",
        "instructions a message in user space; needs valgrind",
        What::Instructions,
    ),
    counted(
        "allocations",
        "heap allocations a message; needs valgrind",
        What::Allocations,
    ),
    Part {
        name: "session",
        about: "a session without sockets, next to mqtt-protocol-core; needs valgrind",
        what: What::Session,
        against: Against::Stub,
        rows: Vec::new,
        clients: &[],
        runs: 1,
        time: Duration::from_millis(1),
    },
];

const fn counted(name: &'static str, about: &'static str, what: What) -> Part {
    Part {
        name,
        about,
        what,
        against: Against::Stub,
        rows: every_qos,
        clients: &[],
        runs: 1,
        time: Duration::from_millis(1),
    }
}

/// Of 64 B.
fn every_qos() -> Vec<Row> {
    let mut rows = Row::small();
    rows.extend(Row::qos2().into_iter().filter(|row| row.size == 64));
    rows
}

/// The one of this name.
pub(crate) fn named(name: &str) -> Option<&'static Part> {
    ALL.iter().find(|part| part.name == name)
}
