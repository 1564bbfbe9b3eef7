//! Everyone who is measured.

#[cfg(feature = "endpoint")]
mod endpoint;
mod floor;
#[cfg(feature = "flowsdk")]
mod flowsdk;
#[cfg(feature = "mqtt5")]
mod mqtt5;
#[cfg(feature = "next")]
mod next_v4;
#[cfg(feature = "next")]
mod next_v5;
#[cfg(feature = "ntex")]
mod ntex;
mod ours;
mod ours_blocking;
#[cfg(feature = "paho")]
mod paho;
#[cfg(feature = "rumqttc")]
mod rumqttc_v4;
#[cfg(feature = "rumqttc")]
mod rumqttc_v5;

use crate::Result;
use crate::case::{Against, Row, Work};
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
    not: fn(Row, Against) -> Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The least that can be done.
    Floor,
    Ours,
    #[cfg_attr(
        not(any(
            feature = "endpoint",
            feature = "flowsdk",
            feature = "mqtt5",
            feature = "next",
            feature = "ntex",
            feature = "paho",
            feature = "rumqttc"
        )),
        allow(dead_code, reason = "where all are left out")
    )]
    Rival,
    /// A rival that this program was built without.
    Absent,
}

impl Client {
    /// Of each connection.
    pub(crate) fn descriptors(&self) -> u64 {
        match self.name {
            // Its thread waits by a selector and is woken by an event.
            "blocking" => 3,
            _ => 1,
        }
    }

    /// Why it is not measured in this row, if it is not.
    pub(crate) fn leaves_out(&self, row: Row, against: Against) -> Option<&'static str> {
        match (row.crowd, against) {
            // The peer that serves many speaks no TLS, and a broker would send every message to each of them.
            (Some(_), Against::Tls | Against::Mosquitto) => NO_CROWD,
            _ => (self.not)(row, against),
        }
    }
}

/// The one of this name.
pub(crate) fn named(name: &str) -> Result<&'static Client> {
    let mut named = ALL.iter().filter(|client| client.name == name);
    let names = || ALL.iter().map(|client| client.name).collect::<Vec<_>>();
    Ok(named
        .next()
        .ok_or_else(|| format!("no client {name:?}; there are {}", names().join(", ")))?)
}

const SAME: Option<&str> = Some("the same as without");
const NO_QUEUE: Option<&str> =
    Some("not measured: what it accepts before it is connected is bounded otherwise");
const NO_TLS: Option<&str> = Some("not measured over TLS");
const TLS_NOT_BUILT: Option<&str> = Some("not built: its TLS needs the feature `tls`");
const NO_CLIENT: Option<&str> = Some("not measured: no client");
const NO_CROWD: Option<&str> = Some("not measured with many clients at work");
const NO_QOS2: Option<&str> = Some("not measured at QoS 2");

const fn ours(_: Row, _: Against) -> Option<&'static str> {
    None
}

const fn awaited(row: Row, _: Against) -> Option<&'static str> {
    match row.work {
        // There each is awaited anyway.
        Work::Latency => SAME,
        Work::Publish0 | Work::Publish1 { .. } | Work::Publish2 { .. } => None,
        _ => SAME,
    }
}

/// The floor keeps no queue, and no memory; how QoS 2 goes on is for a client to know.
const fn floor(row: Row, against: Against) -> Option<&'static str> {
    match (row.work, against) {
        (Work::Queued { .. } | Work::Idle { .. }, _) => NO_CLIENT,
        (Work::Publish2 { .. } | Work::Receive2, _) => NO_QOS2,
        (_, Against::Tls) => NO_TLS,
        _ => None,
    }
}

#[allow(dead_code, reason = "where all of them are left out")]
const fn with_tls(row: Row, _: Against) -> Option<&'static str> {
    match row.work {
        Work::Queued { .. } => NO_QUEUE,
        _ => None,
    }
}

/// Those who speak TLS only where this program was built with the feature `tls`.
#[allow(dead_code, reason = "where all of them are left out")]
const fn with_built_tls(row: Row, against: Against) -> Option<&'static str> {
    match against {
        Against::Tls if !cfg!(feature = "tls") => TLS_NOT_BUILT,
        _ => with_tls(row, against),
    }
}

/// Of a second message at QoS 2 it loses what ends the first: it keeps one receiver for all that are released.
#[allow(dead_code, reason = "where it is left out")]
const fn releases_one(row: Row, against: Against) -> Option<&'static str> {
    match row.work {
        Work::Publish2 { .. } => Some("not measured: it can't have two of QoS 2 in flight"),
        _ => with_tls(row, against),
    }
}

/// One thread works with it.
#[allow(dead_code, reason = "where it is left out")]
const fn alone(row: Row, against: Against) -> Option<&'static str> {
    match row.crowd {
        Some(_) => NO_CROWD,
        None => with_built_tls(row, against),
    }
}

/// In the order of the table.
pub(crate) const ALL: &[Client] = &[
    Client {
        name: "floor",
        about: "std::net, bytes that were encoded before, one thread",
        role: Role::Floor,
        run: floor::run,
        not: floor,
    },
    Client {
        name: "tokio",
        about: "mqtt-tokio, default limits; one publish().await a message, the last delivery awaited",
        role: Role::Ours,
        run: ours::tokio,
        not: ours,
    },
    Client {
        name: "tokio-awaited",
        about: "mqtt-tokio, every delivery awaited: up to 100 (or the row's window) are kept, and the oldest is awaited first",
        role: Role::Ours,
        run: ours::tokio_awaited,
        not: awaited,
    },
    Client {
        name: "smol",
        about: "mqtt-async-std on smol's global executor, as tokio",
        role: Role::Ours,
        run: ours::smol,
        not: ours,
    },
    Client {
        name: "async-std",
        about: "mqtt-async-std on async-std's executor, as tokio",
        role: Role::Ours,
        run: ours::async_std,
        not: ours,
    },
    Client {
        name: "blocking",
        about: "mqtt-blocking from the main thread, as tokio",
        role: Role::Ours,
        run: ours_blocking::run,
        not: ours,
    },
    #[cfg(feature = "rumqttc")]
    Client {
        name: "rumqttc-v4",
        about: "rumqttc 0.25.1, MQTT 3.1.1; an event loop in a task, a channel for 1,000 requests, publish_bytes, TCP_NODELAY",
        role: Role::Rival,
        run: rumqttc_v4::run,
        not: with_tls,
    },
    #[cfg(not(feature = "rumqttc"))]
    absent("rumqttc-v4"),
    #[cfg(feature = "rumqttc")]
    Client {
        name: "rumqttc-v5",
        about: "rumqttc 0.25.1, MQTT 5.0; the same",
        role: Role::Rival,
        run: rumqttc_v5::run,
        not: with_tls,
    },
    #[cfg(not(feature = "rumqttc"))]
    absent("rumqttc-v5"),
    #[cfg(feature = "next")]
    Client {
        name: "next-v4",
        about: "rumqttc-v4-next 0.34.0, MQTT 3.1.1; the same, and 1,000 requests a turn",
        role: Role::Rival,
        run: next_v4::run,
        not: with_tls,
    },
    #[cfg(not(feature = "next"))]
    absent("next-v4"),
    #[cfg(feature = "next")]
    Client {
        name: "next-v5",
        about: "rumqttc-v5-next 0.34.0, MQTT 5.0; the same",
        role: Role::Rival,
        run: next_v5::run,
        not: with_tls,
    },
    #[cfg(not(feature = "next"))]
    absent("next-v5"),
    #[cfg(feature = "ntex")]
    Client {
        name: "ntex",
        about: "ntex-mqtt 9.0.0, MQTT 5.0, on ntex over tokio; calls that do not block, a callback for acknowledgements, a handler for messages; TLS by ntex-tls 4.0.0",
        role: Role::Rival,
        run: ntex::run,
        not: releases_one,
    },
    #[cfg(not(feature = "ntex"))]
    absent("ntex"),
    #[cfg(feature = "mqtt5")]
    Client {
        name: "mqtt5",
        about: "mqtt5 0.49.0, MQTT 5.0; a task for each message in flight, a callback for messages",
        role: Role::Rival,
        run: mqtt5::run,
        not: with_tls,
    },
    #[cfg(not(feature = "mqtt5"))]
    absent("mqtt5"),
    #[cfg(feature = "endpoint")]
    Client {
        name: "endpoint",
        about: "mqtt-endpoint-tokio 0.6.6 on mqtt-protocol-core, MQTT 3.1.1; a task that publishes and one that receives",
        role: Role::Rival,
        run: endpoint::run,
        not: with_built_tls,
    },
    #[cfg(not(feature = "endpoint"))]
    absent("endpoint"),
    #[cfg(feature = "flowsdk")]
    Client {
        name: "flowsdk",
        about: "flowsdk 0.7.0, MQTT 5.0; publish() without waiting, callbacks for acknowledgements and messages",
        role: Role::Rival,
        run: flowsdk::run,
        not: with_built_tls,
    },
    #[cfg(not(feature = "flowsdk"))]
    absent("flowsdk"),
    #[cfg(feature = "paho")]
    Client {
        name: "paho",
        about: "paho-mqtt 0.14.0 (C inside), MQTT 3.1.1; tokens of up to 100 (or the row's window), a channel for messages; TLS by the system's OpenSSL",
        role: Role::Rival,
        run: paho::run,
        not: alone,
    },
    #[cfg(not(feature = "paho"))]
    absent("paho"),
];

#[allow(dead_code, reason = "where no rival is left out")]
const fn absent(name: &'static str) -> Client {
    fn run(_: &Job) -> Result<()> {
        Err("not built".into())
    }
    Client {
        name,
        about: "left out of this program: build with the feature of its name, and paho with cmake installed",
        role: Role::Absent,
        run,
        not: |_, _| Some("not built"),
    }
}

/// Goes on in a task of its own on tokio.
fn at_work<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> impl Future<Output = Result<T>> {
    let task = tokio::spawn(work);
    async move { task.await? }
}

/// Runs this in a spawned task on tokio's usual runtime, which has a worker for each CPU that the process may use.
fn spawned(work: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(runtime.spawn(work))?
}

/// Opens once, for one task that waits.
#[cfg(any(feature = "mqtt5", feature = "ntex"))]
#[derive(Clone)]
struct Gate(std::sync::Arc<tokio::sync::Notify>);

#[cfg(any(feature = "mqtt5", feature = "ntex"))]
impl Gate {
    fn new() -> Self {
        Self(std::sync::Arc::default())
    }

    fn open(&self) {
        self.0.notify_one();
    }

    async fn wait(&self) {
        self.0.notified().await;
    }
}

/// Trusts the peer.
#[cfg(any(
    feature = "next",
    feature = "ntex",
    feature = "rumqttc",
    all(feature = "endpoint", feature = "tls")
))]
fn tls_config(job: &Job) -> Result<std::sync::Arc<rustls::ClientConfig>> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(job.certificate.as_bytes())?)?;
    let config = rustls::ClientConfig::builder().with_root_certificates(roots);
    Ok(config.with_no_client_auth().into())
}
