//! Everyone who is measured.

mod floor;
mod ours_tokio;
#[cfg(feature = "rumqttc")]
mod rumqttc_v4;
#[cfg(feature = "rumqttc")]
mod rumqttc_v5;

use crate::Result;
use crate::case::Work;
use crate::job::Job;

/// One who is measured.
pub(crate) struct Client {
    pub(crate) name: &'static str,
    /// Which version, and how it is used.
    pub(crate) about: &'static str,
    pub(crate) role: Role,
    /// Connects, does the work, says so, and keeps the connection.
    pub(crate) run: fn(&Job) -> Result<()>,
    /// What it does not do, and why.
    pub(crate) not: fn(Work) -> Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The least that can be done.
    Floor,
    Ours,
    Rival,
    /// A rival that this program was built without.
    Absent,
}

/// The one of this name.
pub(crate) fn named(name: &str) -> Result<&'static Client> {
    let mut named = ALL.iter().filter(|client| client.name == name);
    let names = || ALL.iter().map(|client| client.name).collect::<Vec<_>>();
    Ok(named
        .next()
        .ok_or_else(|| format!("no client {name:?}; there are {}", names().join(", ")))?)
}

const fn all(_: Work) -> Option<&'static str> {
    None
}

const fn only_publishes(work: Work) -> Option<&'static str> {
    match work {
        Work::Receive0 | Work::Receive1 => Some("the same as without"),
        // There each is awaited anyway.
        Work::Latency => Some("the same as without"),
        Work::Publish0 | Work::Publish1 { .. } => None,
    }
}

/// In the order of the table.
pub(crate) const ALL: &[Client] = &[
    Client {
        name: "floor",
        about: "std::net, bytes that were encoded before, one thread",
        role: Role::Floor,
        run: floor::run,
        not: all,
    },
    Client {
        name: "tokio",
        about: "mqtt-tokio, default limits; one publish().await a message, the last delivery awaited",
        role: Role::Ours,
        run: ours_tokio::run,
        not: all,
    },
    Client {
        name: "tokio-awaited",
        about: "mqtt-tokio, every delivery awaited: up to 100 (or the row's window) are kept, and the oldest is awaited first",
        role: Role::Ours,
        run: ours_tokio::run_awaited,
        not: only_publishes,
    },
    #[cfg(feature = "rumqttc")]
    Client {
        name: "rumqttc-v4",
        about: "rumqttc 0.25.1, MQTT 3.1.1, an event loop in a task, requests through its channel, publish_bytes, TCP_NODELAY",
        role: Role::Rival,
        run: rumqttc_v4::run,
        not: all,
    },
    #[cfg(feature = "rumqttc")]
    Client {
        name: "rumqttc-v5",
        about: "rumqttc 0.25.1, MQTT 5.0, as above",
        role: Role::Rival,
        run: rumqttc_v5::run,
        not: all,
    },
    #[cfg(not(feature = "rumqttc"))]
    absent("rumqttc"),
];

#[allow(dead_code, reason = "where no rival is left out")]
const fn absent(name: &'static str) -> Client {
    fn run(_: &Job) -> Result<()> {
        Err("not built".into())
    }
    Client {
        name,
        about: "this program was built without it",
        role: Role::Absent,
        run,
        not: |_| Some("not built"),
    }
}

/// Runs this in a spawned task on tokio's usual runtime, which has a worker for each CPU that the process may use.
fn spawned(work: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(runtime.spawn(work))?
}
