//! MQTT for `smol` and async-std: 3.1, 3.1.1 and 5.0 behind one API.
//!
//! ```no_run
//! use mqtt_async_std::{Config, QoS};
//!
//! # #[cfg(not(feature = "smol"))]
//! # fn main() {}
//! # #[cfg(feature = "smol")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! smol::block_on(async {
//!     let config = Config::builder("sensor-7").build()?;
//!     let client = mqtt_async_std::connect("mqtt://localhost", config).await?;
//!     let mut alerts = client.subscribe("alerts/#", QoS::AtLeastOnce).await?;         // a Stream of messages
//!     let delivery = client.publish("readings/7", QoS::AtLeastOnce, "21.5").await?;   // accepted: there was room
//!     delivery.await?;                                                                // acknowledged, with its reason code
//!
//!     while let Some(message) = alerts.next().await {
//!         println!("{}: {} bytes", message.topic(), message.payload().len());
//!         // Publishing here can't deadlock, whatever the size of the queue.
//!         client.publish("seen", QoS::AtMostOnce, message.payload_bytes()).await?;
//!     }
//!     // Before `main` returns: the driver is a task, and ends with the process.
//!     client.disconnect(std::time::Duration::from_secs(2)).await;
//!     Ok(())
//! })
//! # }
//! ```
//!
//! The guide `docs/recipes.md` of the repository has the usual cases, with `mqtt-tokio`, whose names are the same: a will, shared subscriptions,
//! requests and responses, sessions that outlive the process, tests of your own.
//!
//! # Which runtime
//!
//! Choose `smol`, which is the default: [`connect`], [`connect_with`] and [`start`] spawn on its global executor. async-std is not developed
//! further, and says itself to use `smol` instead. A program that is written for it takes the feature `async-std`, and the functions of the same
//! names in the module `async_std`:
//!
//! ```toml
//! mqtt-async-std = { version = "0.1", default-features = false, features = ["async-std"] }
//! ```
//!
//! Both features may be on, and neither changes what the other's functions do. Sockets, timers and name lookups are the same for both: they are
//! those of the crates `async-io` and `blocking`, on which both runtimes rest.
//!
//! With neither feature there is [`build`], whose [`Driver`] is a future for any executor: an `async_executor::Executor` of your own, a local
//! one, or another runtime's. async-io has a thread that waits for all sockets and timers of the process.
//!
//! # Handlers
//!
//! Where a function for each message suits better than a stream, spawn one: nothing of it runs on the driver, and a panic ends this subscription
//! alone, with the message unacknowledged.
//!
//! ```no_run
//! # use mqtt_async_std::{Client, QoS};
//! # async fn store(_: &str, _: &[u8]) {}
//! # #[cfg(feature = "smol")]
//! # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
//! let alerts = client.subscribe("alerts/#", QoS::AtLeastOnce).await?;
//! let handler = smol::spawn(alerts.for_each_async(|message| async move {
//!     store(message.topic().as_str(), message.payload()).await;
//! }));
//! // Until the session is closed, or the handler panics.
//! handler.await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Which way to connect
//!
//! - [`connect`] waits for the server's answer, and fails where there is none.
//! - [`start`] returns at once and keeps trying; [`Client::watch`] tells how it goes.
//! - [`build`] gives the [`Driver`] as a future, for who wants to choose where it runs, or to subscribe before connecting.
//!
//! However it began, a connection that was there and is lost is made again, with growing delays, until [`Client::disconnect`] or the drop of the
//! last [`Client`].
//!
//! [`connect_with`] and [`build_with`] also take [`Answers`]: fresh credentials for each attempt, or an [`authenticator()`] for enhanced
//! authentication. The feature `scram` adds SCRAM. [`build_with_dialer`] takes byte streams that the application opens itself.
//!
//! # Where to
//!
//! [`Endpoint::parse`] has the URLs: `mqtt://`, `unix://`, with the feature `tls` `mqtts://`, for which [`transport`]`::Tls` says how, with
//! `websocket` `ws://`, and with both `wss://`. They may carry credentials and options. The feature `proxy` adds [`transport`]`::Proxy`, for
//! `ConfigBuilder::proxy`: HTTP CONNECT and SOCKS5.
//!
//! # Hooks
//!
//! [`Client::set_hooks`] takes code that alters or refuses each message on its way out and in ([`Interceptor`]), or that watches packets and the
//! changes of the connection ([`Observer`]).
//!
//! # Where it runs
//!
//! The driver is one task, so thousands of clients need no more threads than one. It ends with the process: what was accepted is sent by
//! [`Client::disconnect`], or while its deliveries are awaited, and not any more when `main` has returned. It is woken when there is something to
//! write and was not before, so many messages leave in one system call.
//!
//! A host name is looked up on one of the threads that `blocking` keeps for such work, at most 500 in a process. The system's lookup can't be
//! interrupted: one that is given up after [`Timeouts::resolve`] holds its thread until the system answers.

#[cfg(feature = "async-std")]
pub mod async_std;
mod authenticate;
mod driver;
mod runtime;
#[cfg(feature = "smol")]
mod smol;
mod stream;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::time::Instant as Clock;

use futures_io::{AsyncRead, AsyncWrite};

use runtime::{AsyncIo, Dialer};
use stream::Stream;

#[cfg(feature = "smol")]
pub use self::smol::{connect, connect_with, start};
pub use authenticate::authenticator;
#[cfg(feature = "scram")]
pub use authenticate::scram;
pub use driver::Driver;
#[doc(inline)]
pub use mqtt_session::client::exports::*;

/// A client and its driver, which has not begun: nothing happens before [`Client::connect`] or [`Client::start`], and the driver is polled.
///
/// ```no_run
/// use mqtt_async_std::Config;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::builder("sensor-7").build()?;
/// let (client, driver) = mqtt_async_std::build("mqtt://localhost", config)?;
/// // Any executor will do.
/// std::thread::spawn(|| async_io::block_on(driver));
/// client.connect().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// A URL names no server, or the configuration asks for records (`durability`), which this driver has no store for.
pub fn build(
    servers: impl TryInto<Servers, Error: Into<EndpointError>>,
    config: Config,
) -> Result<(Client, Driver), BuildError> {
    build_with(servers, config, Answers::new())
}

/// The same, with functions that answer what the session asks the application for: see [`connect_with`].
///
/// # Errors
///
/// As for [`build`].
pub fn build_with(
    servers: impl TryInto<Servers, Error: Into<EndpointError>>,
    config: Config,
    answers: Answers,
) -> Result<(Client, Driver), BuildError> {
    build_by(servers, config, answers, None)
}

/// The same over byte streams of the application's own: a socket with options, a tunnel, another process, memory. The dialer is called
/// for each attempt, with the server's URL; what it opens takes the place of TCP, and the layers that the URL asks for come on top. The
/// redirects and the list of servers go on as ever; names are not looked up.
///
/// What it opens is dropped to close it, after a shutdown where there is time. A dial is dropped when it is given up; it has
/// [`Timeouts::dial`]. A panic in it ends the driver.
///
/// ```no_run
/// use std::net::TcpStream;
///
/// use async_io::Async;
/// use mqtt_async_std::{Answers, Config, Endpoint, build_with_dialer};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// // Everything by way of a tunnel that is there already.
/// let dialer = |_server: Endpoint| Async::<TcpStream>::connect(([127, 0, 0, 1], 18_883));
/// let config = Config::builder("sensor-7").build()?;
/// let (client, driver) = build_with_dialer("mqtt://broker.example", config, Answers::new(), dialer)?;
/// std::thread::spawn(|| async_io::block_on(driver));
/// client.connect().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As for [`build`].
pub fn build_with_dialer<D, S>(
    servers: impl TryInto<Servers, Error: Into<EndpointError>>,
    config: Config,
    answers: Answers,
    mut dialer: impl FnMut(Endpoint) -> D + Send + 'static,
) -> Result<(Client, Driver), BuildError>
where
    D: Future<Output = io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let dialer: Dialer = Box::new(move |server| {
        let dial = dialer(server);
        Box::pin(async { Ok(Stream::own(dial.await?)) })
    });
    build_by(servers, config.with_own_dialer(), answers, Some(dialer))
}

fn build_by(
    servers: impl TryInto<Servers, Error: Into<EndpointError>>,
    config: Config,
    answers: Answers,
    dialer: Option<Dialer>,
) -> Result<(Client, Driver), BuildError> {
    let servers = servers.try_into().map_err(Into::<EndpointError>::into)?;
    let epoch = Clock::now();
    let clock = move || Instant::from_std(epoch, Clock::now());
    // Dice: no two clients come back in step.
    let seed = RandomState::new().build_hasher().finish();
    let (client, port) = mqtt_session::client::build_with(config, servers, answers, seed, clock)?;
    Ok((client, Driver::new(port, AsyncIo::new(epoch, dialer))))
}
