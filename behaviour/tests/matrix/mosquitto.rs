//! Every adapter and transport against mosquitto. Where it is not installed the trials are shown as ignored, unless `MQTT_REQUIRE_ALL` is set:
//! then that is a failure.

#[path = "../../../mqtt-tokio/tests/mosquitto/broker.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod broker;
mod listening;

use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::Trial;
use mqtt_behaviour::{Bench, Foreign, Result, Transport};

use crate::Make;

use listening::Listening;

/// The one broker of all trials, which the first that needs it starts.
#[derive(Default)]
pub(crate) struct Shared(Mutex<Option<std::result::Result<Listening, String>>>);

impl Shared {
    fn url(&self, transport: Transport) -> Result<String> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let started =
            shared.get_or_insert_with(|| Listening::start().map_err(|error| error.to_string()));
        match started {
            Ok(listening) => Ok(listening.url(transport)),
            Err(error) => Err(error.as_str().into()),
        }
    }

    /// Ends it, if it was started.
    pub(crate) fn stop(&self) {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(shared.take());
    }
}

pub(crate) fn add(
    trials: &mut Vec<Trial>,
    shared: &Arc<Shared>,
    name: &str,
    make: Make,
    transport: Transport,
) {
    let required = std::env::var_os("MQTT_REQUIRE_ALL").is_some();
    let missing = broker::program().is_none();
    for scenario in Foreign::all(Foreign::VERSIONS, transport) {
        let title = format!("{name}::{transport} to mosquitto::{scenario}");
        let shared = Arc::clone(shared);
        let run = move || {
            let url = shared.url(transport)?;
            let adapter = make()?;
            Ok(scenario.run(&Bench::new(&*adapter, transport), &url)?)
        };
        trials.push(Trial::test(title, run).with_ignored_flag(missing && !required));
    }
}
