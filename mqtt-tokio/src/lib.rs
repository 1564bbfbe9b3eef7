//! MQTT for tokio: 3.1, 3.1.1 and 5.0 behind one API.
//!
//! ```no_run
//! use mqtt_tokio::{Config, QoS};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = mqtt_tokio::connect("mqtt://localhost", Config::builder("sensor-7").build()?).await?;
//! let mut alerts = client.subscribe("alerts/#", QoS::AtLeastOnce).await?;         // a Stream of messages
//! let delivery = client.publish("readings/7", QoS::AtLeastOnce, "21.5").await?;   // accepted: there was room
//! delivery.await?;                                                                // acknowledged, with its reason code
//!
//! while let Some(message) = alerts.next().await {
//!     println!("{}: {} bytes", message.topic(), message.payload().len());
//!     // Publishing here can't deadlock, whatever the size of the queue.
//!     client.publish("seen", QoS::AtMostOnce, message.payload_bytes()).await?;
//! }
//! // Before `main` returns: the driver is a task, and ends with the runtime.
//! client.disconnect(std::time::Duration::from_secs(2)).await;
//! # Ok(())
//! # }
//! ```
//!
//! The guide `docs/recipes.md` of the repository has the usual cases: a will, shared subscriptions, requests and responses, sessions that
//! outlive the process, tests of your own.
//!
//! # Handlers
//!
//! Where a function for each message suits better than a stream, spawn one: nothing of it runs on the driver, and a panic ends this subscription
//! alone, with the message unacknowledged.
//!
//! ```no_run
//! # use mqtt_tokio::{Client, QoS};
//! # async fn store(_: &str, _: &[u8]) {}
//! # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
//! let alerts = client.subscribe("alerts/#", QoS::AtLeastOnce).await?;
//! let handler = tokio::spawn(alerts.for_each_async(|message| async move {
//!     store(message.topic().as_str(), message.payload()).await;
//! }));
//! // Until the session is closed, or the handler panics.
//! handler.await??;
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
//! The driver is one task, and ends with the runtime: what was accepted is sent by [`Client::disconnect`], or while its deliveries are
//! awaited, and not any more when `main` has returned. It is woken when there is something to write and was not before, so many messages leave in one system
//! call. A program that publishes from `block_on` itself pays for waking up another thread each time: publish from a spawned
//! task where speed matters.

/// The blocks of the guide compile, and those that need no server run.
#[cfg(all(doctest, feature = "tls"))]
#[doc = include_str!("../../docs/recipes.md")]
struct Recipes;

mod authenticate;
mod driver;
mod runtime;
mod stream;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use runtime::{Dialer, Tokio};
use stream::Stream;

pub use authenticate::authenticator;
#[cfg(feature = "scram")]
pub use authenticate::scram;
pub use driver::Driver;
#[doc(inline)]
pub use mqtt_session::client::exports::*;

/// Connects to a server, or to the first of several that accepts: looks the name up, tries its addresses, and waits for CONNACK. The
/// driver is spawned on the current runtime.
///
/// The servers are a URL (`mqtt://host` or `mqtt://host:port`), several with commas between them, or [`Servers`].
///
/// Dropping the future gives the attempt up.
///
/// # Errors
///
/// A URL is none, the configuration asks for records (`durability`), which this driver has no store for, or no server accepts; then what each
/// attempt ended with.
///
/// # Panics
///
/// Outside of a tokio runtime with I/O and time enabled.
pub async fn connect(
    servers: impl TryInto<Servers, Error: Into<EndpointError>>,
    config: Config,
) -> Result<Client, ConnectError> {
    connect_with(servers, config, Answers::new()).await
}

/// The same, with functions that answer what the session asks the application for: fresh credentials before each attempt, say.
///
/// ```no_run
/// use mqtt_tokio::{Answers, Config, Credentials};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let answers = Answers::new().credentials(|_server| async {
///     let token = tokio::fs::read_to_string("/run/secrets/token").await?; // needs tokio's feature `fs`
///     let token = token.trim_end().to_owned(); // without the line's end
///     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Credentials::new("sensor-7", token)?)
/// });
/// let servers = "mqtt://a.example, mqtt://b.example";
/// let client = mqtt_tokio::connect_with(servers, Config::builder("sensor-7").build()?, answers).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As for [`connect`].
pub async fn connect_with(
    servers: impl TryInto<Servers, Error: Into<EndpointError>>,
    config: Config,
    answers: Answers,
) -> Result<Client, ConnectError> {
    let (client, driver) = build_with(servers, config, answers)?;
    tokio::spawn(driver);
    client.connect().await?;
    Ok(client)
}

/// Begins to connect and returns at once. The session keeps trying; what is published and subscribed meanwhile waits.
///
/// # Errors
///
/// A URL names no server, or the configuration asks for records (`durability`), which this driver has no store for.
///
/// # Panics
///
/// Outside of a tokio runtime with I/O and time enabled.
pub fn start(
    servers: impl TryInto<Servers, Error: Into<EndpointError>>,
    config: Config,
) -> Result<Client, BuildError> {
    let (client, driver) = build(servers, config)?;
    client.start();
    tokio::spawn(driver);
    Ok(client)
}

/// A client and its driver, which has not begun: nothing happens before [`Client::connect`] or [`Client::start`], and the driver is polled.
///
/// # Errors
///
/// As for [`start`].
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
/// As for [`start`].
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
/// use std::net::SocketAddr;
///
/// use mqtt_tokio::{Answers, Config, Endpoint, build_with_dialer};
/// use tokio::net::TcpSocket;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// // Out by one of this machine's addresses.
/// let dialer = |server: Endpoint| async move {
///     let socket = TcpSocket::new_v4()?;
///     socket.bind("192.0.2.7:0".parse().map_err(std::io::Error::other)?)?;
///     let addr = tokio::net::lookup_host((server.host(), server.port())).await?.find(SocketAddr::is_ipv4);
///     let stream = socket.connect(addr.ok_or(std::io::ErrorKind::NotFound)?).await?;
///     stream.set_nodelay(true)?;
///     Ok(stream)
/// };
/// let config = Config::builder("sensor-7").build()?;
/// let (client, driver) = build_with_dialer("mqtt://broker.example", config, Answers::new(), dialer)?;
/// tokio::spawn(driver);
/// client.connect().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As for [`start`].
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
    let epoch = tokio::time::Instant::now();
    let clock =
        move || Instant::ZERO + tokio::time::Instant::now().saturating_duration_since(epoch);
    // Dice: no two clients come back in step.
    let seed = RandomState::new().build_hasher().finish();
    let (client, port) = mqtt_session::client::build_with(config, servers, answers, seed, clock)?;
    Ok((client, Driver::new(port, Tokio::new(epoch, dialer))))
}
