//! TLS as a layer, against a server of rustls with certificates of the tests' own, in memory and on virtual time.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod bad;
mod certificates;
mod configured;
mod good;
mod peer;
#[path = "../pair/tower.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "every test file uses a part of it"
)]
mod tower;

use mqtt_session::transport::Tls;
use mqtt_session::{Config, Endpoint};
use tower::{Far, Tower};

const URL: &str = "mqtts://broker.example";

fn server() -> Endpoint {
    Endpoint::parse(URL).unwrap()
}

fn config(tls: &Tls) -> Config {
    Config::builder("client").tls(tls.clone()).build().unwrap()
}

fn tower_of(
    config: Config,
    endpoint: Endpoint,
    accept: impl FnMut() -> Box<dyn Far> + 'static,
) -> Tower {
    let mut tower = Tower::new(config, endpoint, accept);
    tower.resolves = true;
    tower
}
