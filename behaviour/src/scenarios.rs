//! The scenarios: what is the same over every adapter.

mod answering;
mod connecting;
mod dropping;
mod ending;
mod foreign;
mod many;
mod messaging;
mod pressure;
mod reconnecting;
mod securing;

use std::fmt;
use std::sync::{Mutex, PoisonError};

use mqtt_session::Limits;
use mqtt_session::client::exports::{QoS, Version};

use crate::{Bench, Result, Transport, block_on};

pub use answering::Visitor;
pub use foreign::Foreign;

const VERSIONS: [Version; 3] = [Version::V3_1, Version::V3_1_1, Version::V5];
const ALL_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

type Run = dyn Fn(&Bench<'_>) -> Result + Send + Sync;

/// One of them.
pub struct Scenario {
    name: String,
    run: Box<Run>,
    scope: Scope,
}

/// What a scenario is about.
#[derive(Clone, Copy)]
enum Scope {
    /// Every transport.
    Any,
    /// Addresses, or what only TCP does.
    Tcp,
    /// Bytes of MQTT on the socket.
    Plain,
    /// TLS or WebSocket.
    Layered,
    /// TLS, with WebSocket over it or without.
    Tls,
    /// TLS where the server asks for a certificate.
    MutualTls,
}

impl Scenario {
    /// What it shows.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is about a transport, too.
    pub fn is_for(&self, transport: Transport) -> bool {
        let layered = transport.has_tls() || transport.has_websocket();
        match self.scope {
            Scope::Any => true,
            Scope::Tcp => transport == Transport::Tcp,
            Scope::Plain => !layered,
            Scope::Layered => layered,
            Scope::Tls => transport.has_tls(),
            Scope::MutualTls => transport == Transport::MutualTls,
        }
    }

    /// Runs it on this thread.
    ///
    /// # Errors
    ///
    /// What went wrong, where it is none of what the scenario is about.
    ///
    /// # Panics
    ///
    /// When the adapter does not behave so.
    pub fn run(&self, bench: &Bench<'_>) -> Result {
        (self.run)(bench)
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    let mut list = List::default();
    connecting::add(&mut list);
    messaging::add(&mut list);
    pressure::add(&mut list);
    reconnecting::add(&mut list);
    securing::add(&mut list);
    ending::add(&mut list);
    dropping::add(&mut list);
    answering::add(&mut list);
    many::add(&mut list);
    list.0
}

#[derive(Default)]
struct List(Vec<Scenario>);

impl List {
    fn add(
        &mut self,
        name: impl Into<String>,
        run: impl AsyncFn(&Bench<'_>) -> Result + Send + Sync + 'static,
    ) {
        self.add_for(Scope::Any, name, run);
    }

    fn add_tcp(
        &mut self,
        name: &str,
        run: impl AsyncFn(&Bench<'_>) -> Result + Send + Sync + 'static,
    ) {
        self.add_for(Scope::Tcp, name, run);
    }

    /// One of which there is but one at a time: a thousand clients with a thread each, and their server, have some six thousand files.
    fn add_alone(
        &mut self,
        name: &str,
        run: impl AsyncFn(&Bench<'_>) -> Result + Send + Sync + 'static,
    ) {
        static TURN: Mutex<()> = Mutex::new(());
        self.0.push(Scenario {
            name: name.into(),
            run: Box::new(move |bench| {
                let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
                block_on(run(bench))
            }),
            scope: Scope::Any,
        });
    }

    fn add_for(
        &mut self,
        scope: Scope,
        name: impl Into<String>,
        run: impl AsyncFn(&Bench<'_>) -> Result + Send + Sync + 'static,
    ) {
        self.0.push(Scenario {
            name: name.into(),
            run: Box::new(move |bench| block_on(run(bench))),
            scope,
        });
    }

    /// One for each version.
    fn add_versions<F>(&mut self, name: &str, run: impl Fn(Version) -> F)
    where
        F: AsyncFn(&Bench<'_>) -> Result + Send + Sync + 'static,
    {
        for version in VERSIONS {
            self.add(format!("{name} in {version}"), run(version));
        }
    }
}

/// Room for one of everything.
fn cramped() -> Limits {
    let mut limits = Limits::default();
    limits.max_queued = 1;
    limits.max_in_flight = std::num::NonZeroU16::MIN;
    limits.max_in_flight_v3 = std::num::NonZeroU16::MIN;
    limits.receive_maximum = std::num::NonZeroU16::MIN;
    limits.outbox_bytes = 1;
    limits.max_requests = 1;
    limits
}
