//! What a client does over real sockets, written once, and run over every adapter.
//!
//! An [`Adapter`] says how one crate connects on one runtime. [`scenarios`] are functions over the handles that all adapters share; they
//! await on the thread that calls them, with a bound on each wait, while the adapter's runtime drives the clients elsewhere. The [`Server`] is the
//! model broker behind sockets, in a thread of its own. A [`Bench`] is an adapter and a transport between the two.
//!
//! `tests/matrix` names the adapters, and makes a trial of each that there is: `smol::TCP::connect waits for CONNACK in MQTT 5.0`.

#![allow(clippy::unwrap_used, reason = "that is how a scenario fails")]

mod adapter;
mod bench;
mod block_on;
mod certificates;
mod scenarios;
mod server;
mod transport;

pub use adapter::{Adapter, Connecting, Running};
pub use bench::Bench;
pub use block_on::block_on;
pub use certificates::{Certificates, Identity};
pub use scenarios::{Foreign, Scenario, Visitor, scenarios};
pub use server::Server;
pub use transport::Transport;

/// Whatever a scenario fails with, apart from its panics.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// What a scenario comes to.
pub type Result<T = ()> = std::result::Result<T, Failure>;
