//! Every adapter and transport against brokers that nobody here wrote. Where one is not installed its trials are shown as ignored, unless
//! `MQTT_REQUIRE_ALL` is set: then that is a failure.

mod folder;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::Trial;
use mqtt_behaviour::{Bench, Foreign, Result, Transport};
use mqtt_session::client::exports::Version;

use crate::adapters::{ADAPTERS, Make};

pub(crate) use folder::Folder;

/// One that listens for every transport. Dropping it ends it.
pub(crate) trait Broker: Send {
    fn url(&self, transport: Transport) -> String;
}

/// What there is to know of one before it is started.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) versions: &'static [Version],
    /// Whether it listens for this.
    pub(crate) has: fn(Transport) -> bool,
    pub(crate) is_here: fn() -> bool,
    pub(crate) start: fn() -> io::Result<Box<dyn Broker>>,
    /// What to do where it is not installed.
    pub(crate) hint: &'static str,
}

/// The one broker of a kind for all trials, which the first that needs it starts.
#[derive(Default)]
struct Shared(Mutex<Option<std::result::Result<Box<dyn Broker>, String>>>);

/// Ends the brokers when it is dropped.
pub(crate) struct Brokers(Vec<Arc<Shared>>);

pub(crate) fn add(trials: &mut Vec<Trial>, kinds: &[Kind]) -> Brokers {
    Brokers(kinds.iter().map(|kind| add_kind(trials, kind)).collect())
}

fn add_kind(trials: &mut Vec<Trial>, kind: &Kind) -> Arc<Shared> {
    let shared = Arc::<Shared>::default();
    let required = std::env::var_os("MQTT_REQUIRE_ALL").is_some();
    let ignored = !(kind.is_here)() && !required;
    if ignored {
        let Kind { name, hint, .. } = kind;
        println!("not run: the adapters against {name}, which is not installed ({hint})");
    }
    for (name, make, transports) in ADAPTERS {
        for transport in transports.iter().copied().filter(|on| (kind.has)(*on)) {
            for scenario in Foreign::all(kind.versions, transport) {
                let title = format!("{name}::{transport} to {}::{scenario}", kind.name);
                let (shared, start) = (Arc::clone(&shared), kind.start);
                let run = move || {
                    let url = shared.url(start, transport)?;
                    Ok(run(make, transport, scenario, &url)?)
                };
                trials.push(Trial::test(title, run).with_ignored_flag(ignored));
            }
        }
    }
    shared
}

fn run(make: Make, transport: Transport, scenario: Foreign, url: &str) -> Result {
    let adapter = make()?;
    scenario.run(&Bench::new(&*adapter, transport), url)
}

impl Shared {
    fn url(&self, start: fn() -> io::Result<Box<dyn Broker>>, on: Transport) -> Result<String> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let started = shared.get_or_insert_with(|| start().map_err(|error| error.to_string()));
        match started {
            Ok(broker) => Ok(broker.url(on)),
            Err(error) => Err(error.as_str().into()),
        }
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        for shared in &self.0 {
            let mut shared = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
            drop(shared.take());
        }
    }
}
