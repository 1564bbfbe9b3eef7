//! MQTT for threads, without an async runtime: 3.1, 3.1.1 and 5.0 behind one API.
//!
//! ```no_run
//! use std::time::Duration;
//! use mqtt_blocking::{Config, QoS};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = mqtt_blocking::connect("mqtt://localhost", Config::builder("sensor-7").build()?)?;
//! let mut alerts = client.subscribe("alerts/#", QoS::AtLeastOnce)?;               // an iterator of messages
//! let mut delivery = client.publish("readings/7", QoS::AtLeastOnce, "21.5")?;     // accepted: there was room
//! delivery.wait_timeout(Duration::from_secs(5))?;                                 // acknowledged, with its reason code
//!
//! for message in alerts.by_ref().take(10) {                                       // `next_timeout` waits no longer than you say
//!     println!("{}: {} bytes", message.topic(), message.payload().len());
//!     // Publishing here can't deadlock, whatever the size of the queue.
//!     client.publish("seen", QoS::AtMostOnce, message.payload_bytes())?;
//! }
//! // Before `main` returns: the driver's thread ends with the process.
//! client.disconnect(Duration::from_secs(2));
//! # Ok(())
//! # }
//! ```
//!
//! The guide `docs/recipes.md` of the repository has the usual cases, with `mqtt-tokio`: here they are without `.await`.
//!
//! # Which way to connect
//!
//! - [`connect`] waits for the server's answer, and fails where there is none.
//! - [`start`] returns at once and keeps trying; [`Client::watch`] tells how it goes.
//! - [`build`] gives the [`Driver`], for who wants to choose its thread, or to subscribe before connecting.
//!
//! However it began, a connection that was there and is lost is made again, with growing delays, until [`Client::disconnect`] or the drop of the
//! last [`Client`].
//!
//! [`connect_with`], [`start_with`] and [`build_with`] also take [`Answers`]: fresh credentials for each attempt, an authenticator for enhanced
//! authentication, name lookups or a dialer of your own. The feature `scram` adds SCRAM.
//!
//! # Where to
//!
//! [`Endpoint::parse`] has the URLs: `mqtt://`, `unix://`, with the feature `tls` `mqtts://`, for which [`transport`]`::Tls` says how, with
//! `websocket` `ws://`, and with both `wss://`. They may carry credentials and options. The feature `proxy` adds [`transport`]`::Proxy`, for
//! `ConfigBuilder::proxy`: HTTP CONNECT and SOCKS5.
//!
//! # Waiting
//!
//! Each call that may wait says for how long: until what it waits for, as [`Client::subscribe`], or for a time, as
//! [`Client::subscribe_timeout`]. A thread that waits is parked; nothing is polled. [`Client`] may be cloned to any number of
//! threads, or shared by them.
//!
//! # Threads
//!
//! - One for each client, named `mqtt`, which ends when the session is closed. It holds three file descriptors: the socket and two to wait with.
//!   While more than some 2 KiB at a time are published it lets other threads of its processor run before it writes, those that publish among them. Where
//!   the processor is also kept busy by others, each write may then wait for a slice of time.
//! - One for each of the functions in [`Answers`] while it is called, which may block: a call that never returns holds one, and no second.
//! - At most [`LOOKUP_THREADS`] in the process for name lookups. The system's lookup can't be given up; one that outlives its time goes on unheard,
//!   on one of these.
//! - None for dials, which do not block. A dialer of your own ([`Answers::dialer`]) may, on at most [`DIALER_THREADS`] more.
//!
//! The first was chosen over a reading and a writing thread for each connection by measurement: `docs/performance.md` in the repository.

mod answers;
mod client;
mod delivery;
mod driver;
mod errand;
mod error;
mod events;
mod lookup;
mod pool;
mod reactor;
mod slot;
mod socket;
mod stream;
mod subscription;
mod wait;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::thread;
use std::time::Duration;

pub use answers::Answers;
#[cfg(feature = "scram")]
pub use answers::scram;
pub use client::Client;
pub use delivery::Delivery;
pub use driver::Driver;
pub use error::{BuildError, ConnectError};
pub use events::Events;
pub use lookup::LOOKUP_THREADS;
/// What waits for sockets; whose `Source` a byte stream of one's own is.
pub use mio;
pub use socket::{DIALER_THREADS, Pollable, Socket};
pub use subscription::Subscription;
pub use wait::{TimedOut, WaitError};

#[doc(inline)]
pub use mqtt_session::client::exports::*;

/// Connects to a server, or to the first of several that accepts: looks the name up, tries its addresses, and waits for CONNACK, for no longer than
/// [`Timeouts`] add up to. The driver has a thread of its own.
///
/// The servers are a URL (`mqtt://host` or `mqtt://host:port`), several with commas between them, or [`Servers`].
///
/// # Errors
///
/// A URL is none, the configuration asks for records (`durability`), which this driver has no store for, the system has no thread, or no server
/// accepts; then the last error.
pub fn connect(
    servers: impl TryInto<Servers, Error: Into<EndpointError>>,
    config: Config,
) -> Result<Client, ConnectError> {
    connect_with(servers, config, Answers::new())
}

/// The same for so long at most. When it is given up, so is the attempt.
///
/// # Errors
///
/// As there, or there was no answer in time.
pub fn connect_timeout(
    servers: impl TryInto<Servers, Error: Into<EndpointError>>,
    config: Config,
    timeout: Duration,
) -> Result<Client, ConnectError> {
    let client = spawn(servers, config, Answers::new())?;
    client.connect_timeout(timeout)?;
    Ok(client)
}

/// The same with functions that answer what the session asks the application for: see [`Answers`].
///
/// # Errors
///
/// As for [`connect`].
pub fn connect_with(
    servers: impl TryInto<Servers, Error: Into<EndpointError>>,
    config: Config,
    answers: Answers,
) -> Result<Client, ConnectError> {
    let client = spawn(servers, config, answers)?;
    client.connect()?;
    Ok(client)
}

/// Begins to connect and returns at once. The session keeps trying; what is published and subscribed meanwhile waits.
///
/// # Errors
///
/// A URL names no server, the configuration asks for records (`durability`), which this driver has no store for, or the system has no thread.
pub fn start(
    servers: impl TryInto<Servers, Error: Into<EndpointError>>,
    config: Config,
) -> Result<Client, BuildError> {
    start_with(servers, config, Answers::new())
}

/// The same with functions that answer what the session asks the application for: see [`Answers`].
///
/// # Errors
///
/// As there.
pub fn start_with(
    servers: impl TryInto<Servers, Error: Into<EndpointError>>,
    config: Config,
    answers: Answers,
) -> Result<Client, BuildError> {
    let client = spawn(servers, config, answers)?;
    client.start();
    Ok(client)
}

/// A client and its driver, which has not begun: nothing happens before [`Client::connect`] or [`Client::start`], and [`Driver::run`] on another
/// thread.
///
/// # Errors
///
/// A URL names no server, the configuration asks for records (`durability`), which this driver has no store for, or the system has nothing to
/// wait with.
pub fn build(
    servers: impl TryInto<Servers, Error: Into<EndpointError>>,
    config: Config,
) -> Result<(Client, Driver), BuildError> {
    build_with(servers, config, Answers::new())
}

/// The same with functions that answer what the session asks the application for: see [`Answers`].
///
/// # Errors
///
/// As there.
pub fn build_with(
    servers: impl TryInto<Servers, Error: Into<EndpointError>>,
    config: Config,
    answers: Answers,
) -> Result<(Client, Driver), BuildError> {
    let servers = servers.try_into().map_err(Into::<EndpointError>::into)?;
    let epoch = std::time::Instant::now();
    let clock = move || Instant::ZERO + epoch.elapsed();
    // Dice: no two clients come back in step.
    let seed = RandomState::new().build_hasher().finish();
    let config = if answers.has_dialer() {
        config.with_own_dialer()
    } else {
        config
    };
    let (answers, ways) = answers.into_parts();
    let (client, port) = mqtt_session::client::build_with(config, servers, answers, seed, clock)?;
    let driver = Driver::new(port, epoch, ways).map_err(|error| BuildError::driver(&error))?;
    Ok((client.into(), driver))
}

fn spawn(
    servers: impl TryInto<Servers, Error: Into<EndpointError>>,
    config: Config,
    answers: Answers,
) -> Result<Client, BuildError> {
    let (client, driver) = build_with(servers, config, answers)?;
    let thread = thread::Builder::new().name("mqtt".into());
    let spawned = thread.spawn(move || driver.run());
    spawned.map_err(|error| BuildError::driver(&error))?;
    Ok(client)
}
