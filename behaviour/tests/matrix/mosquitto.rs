//! Every adapter and transport against mosquitto. Where it is not installed the trials are shown as ignored, unless `MQTT_REQUIRE_ALL` is set:
//! then that is a failure.

#[path = "../../../mqtt-tokio/tests/mosquitto/broker.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod broker;
#[cfg(unix)]
mod socket;

use libtest_mimic::Trial;
use mqtt_behaviour::{Bench, Foreign, Result, Transport};

use crate::Make;

use broker::Mosquitto;

pub(crate) fn add(trials: &mut Vec<Trial>, name: &str, make: Make, transport: Transport) {
    let required = std::env::var_os("MQTT_REQUIRE_ALL").is_some();
    let missing = broker::program().is_none();
    for scenario in Foreign::all() {
        let title = format!("{name}::{transport} to mosquitto::{scenario}");
        let run = move || Ok(run(make, transport, scenario)?);
        trials.push(Trial::test(title, run).with_ignored_flag(missing && !required));
    }
}

fn run(make: Make, transport: Transport, scenario: Foreign) -> Result {
    let adapter = make()?;
    let bench = Bench::new(&*adapter, transport);
    #[cfg(unix)]
    if transport == Transport::Unix {
        let socket = socket::Socket::new();
        let _broker = Mosquitto::start(&socket.lines())?;
        socket.wait_until_open()?;
        return scenario.run(&bench, &socket.url());
    }
    if transport == Transport::WebSocket {
        let (_broker, url) = Mosquitto::start_websockets()?;
        return scenario.run(&bench, &url);
    }
    let broker = Mosquitto::start("")?;
    scenario.run(&bench, &broker.url())
}
