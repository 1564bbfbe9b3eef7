//! The contract between stack and layers, with layers of the tests' own.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod accounting;
mod ending;
mod passing;
#[cfg(feature = "client")]
mod port;
#[cfg(feature = "proxy")]
mod proxied;
mod shaking;
#[path = "../../tests/pair/tower.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with the tests outside of the crate"
)]
mod tower;
mod veil;

use super::*;
use crate::{Config, Endpoint};
use tower::Tower;
use veil::{Gate, GateKeeper, Kind, Unveiled, Veil};

pub(crate) type MakeLayers = fn() -> Vec<Box<dyn Layer>>;

fn config(layers: MakeLayers) -> Config {
    let mut config = Config::builder("client").build().unwrap();
    with_layers(&mut config, layers);
    config
}

fn with_layers(config: &mut Config, layers: MakeLayers) {
    config.rare.get_or_insert_default().transports.tests = Some(layers);
}

fn server() -> Endpoint {
    Endpoint::new("192.0.2.1", 1883)
}

fn one() -> Vec<Box<dyn Layer>> {
    alloc::vec![Box::new(Veil::new(Kind::Low))]
}

fn two() -> Vec<Box<dyn Layer>> {
    alloc::vec![
        Box::new(Veil::new(Kind::Low)),
        Box::new(Veil::new(Kind::High))
    ]
}

fn all() -> Vec<Box<dyn Layer>> {
    let mut layers = two();
    layers.insert(0, Box::new(Gate::default()));
    layers
}

/// A connection over one layer, not begun.
fn tower() -> Tower {
    Tower::new(config(one), server(), || Box::new(Unveiled::one()))
}

fn over_two() -> Tower {
    Tower::new(config(two), server(), || Box::new(Unveiled::two()))
}

fn over_all() -> Tower {
    Tower::new(config(all), server(), || {
        Box::new(GateKeeper::before(Unveiled::two()))
    })
}

fn connected(mut tower: Tower) -> Tower {
    tower.start();
    assert_eq!(
        tower.connection.session().phase(),
        crate::Phase::Connected,
        "{:?}",
        tower.events
    );
    tower
}
