//! An MQTT client as a pure state machine: bytes and timestamps go in; bytes, one deadline and events come out.
//!
//! [`Session`] knows every rule of MQTT 3.1, 3.1.1 and 5.0 that spans packets: handshake, QoS flows, keep-alive, flow control,
//! resumption, reconnecting. It never opens a socket, reads a clock, spawns, sleeps or draws a random number: all of it is a
//! function of its inputs, which makes it testable without a broker and without real seconds. A driver (an adapter crate, or your
//! own event loop) carries bytes and actions.
//!
//! # Driving a session by hand
//!
//! Four kinds of method, in any order, as often as you like: getters, `handle_*` (the world tells the session), commands (the
//! application tells it), `poll_*` (it tells the world, until `None`). Nothing must be drained before the next call.
//!
//! The guide `docs/embedding.md` of the repository states the contract in a page, and names programs to start from.
//!
//! A [`Connection`] has a session, and with it whatever the URL of the server asks for above the byte stream; a session alone, which builds
//! without `std`, speaks over plain byte streams and has the same methods.
//!
//! ```no_run
//! use std::io::{self, ErrorKind, Read, Write};
//! use std::net::{TcpStream, ToSocketAddrs};
//! use std::time::{Duration, Instant as Clock};
//!
//! use bytes::{Buf, BytesMut};
//! use mqtt_session::proto::{Outbox, Publish, QoS, Topic};
//! use mqtt_session::{Action, Attempt, Cause, Config, Connection, Event, Instant, QueueId, Servers, Session};
//!
//! /// Writes what there is, as far as the system takes it before the stream's write timeout.
//! fn write(connection: &mut Connection, now: Instant, tcp: &mut TcpStream, output: &mut Outbox) -> io::Result<()> {
//!     while output.has_remaining() || connection.poll_transmit(now, output) {
//!         let n = tcp.write(output.chunk())?;
//!         output.advance(n);
//!         connection.handle_written(now, n);
//!     }
//!     Ok(())
//! }
//!
//! /// A timeout of the socket is no error: the rest is for the next turn.
//! fn or_later<T: Default>(result: io::Result<T>) -> io::Result<T> {
//!     use ErrorKind::{Interrupted, TimedOut, WouldBlock};
//!     result.or_else(|e| if matches!(e.kind(), WouldBlock | TimedOut | Interrupted) { Ok(T::default()) } else { Err(e) })
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::builder("sensor-7").build()?;
//! let servers = Servers::try_from("mqtt://localhost")?;
//! let mut connection = Connection::new(Session::new(config, servers, 7 /* the seed of its dice */));
//! let epoch = Clock::now();
//! let now = || Instant::from_std(epoch, Clock::now());
//! // Both buffers belong to one connection: they are cleared when it ends.
//! let (mut input, mut output) = (BytesMut::new(), Outbox::new());
//! let mut stream: Option<(Attempt, TcpStream)> = None;
//!
//! let session = connection.session_mut();
//! session.connect(now());
//! session.subscribe(now(), vec![("alerts/#".try_into()?, QoS::AtLeastOnce.into())], Default::default(), QueueId::DEFAULT)?;
//! session.publish(now(), QoS::AtLeastOnce, Publish::new(Topic::try_from("readings/7")?, "21.5"))?;
//!
//! loop {
//!     connection.handle_timeout(now());
//!     // What was read, and the messages in it. Where the inbox is full, the rest stays in `input` until there is room.
//!     loop {
//!         connection.handle_input(now(), &mut input);
//!         let Some(received) = connection.poll_message(QueueId::DEFAULT) else { break };
//!         println!("{}: {} bytes", received.publish.topic(), received.publish.payload().len());
//!         let _ = connection.session_mut().ack(now(), received.ticket); // an error: the session is gone, and the message may come again
//!     }
//!     // What the session wants done outside of reading and writing.
//!     while let Some(action) = connection.poll_action() {
//!         match action {
//!             Action::Resolve { attempt, host, port } => {
//!                 let found = (host, port).to_socket_addrs().map(Iterator::collect);
//!                 connection.handle_resolved(now(), attempt, found.map_err(|e| Cause::from(&e)));
//!             }
//!             Action::Dial { attempt, addr } => match TcpStream::connect_timeout(&addr, Duration::from_secs(5)) {
//!                 Ok(tcp) => {
//!                     tcp.set_nodelay(true)?;
//!                     // A server that stops reading must not stop this loop.
//!                     tcp.set_write_timeout(Some(Duration::from_millis(100)))?;
//!                     stream = Some((attempt, tcp));
//!                     connection.handle_opened(now(), attempt);
//!                 }
//!                 Err(e) => connection.handle_closed(now(), attempt, Cause::from(&e)),
//!             },
//!             Action::Hangup { attempt, flush } => {
//!                 if let Some((_, mut tcp)) = stream.take().filter(|_| flush) {
//!                     let _ = write(&mut connection, now(), &mut tcp, &mut output); // the stream is closed in any case
//!                 }
//!                 input.clear();
//!                 output.clear();
//!                 connection.handle_closed(now(), attempt, Cause::HungUp);
//!             }
//!             // It came too late: nothing else is under way, as this loop waits for each lookup and dial.
//!             Action::Cancel { attempt } => drop(stream.take_if(|(opened, _)| *opened == attempt)),
//!             // `Credentials` and `Authenticate` come only where the configuration asks for them, `Open` where a URL does; then they must be
//!             // answered.
//!             _ => {}
//!         }
//!     }
//!     // What there is to tell the application, before there is anything to wait for.
//!     while let Some(event) = connection.poll_event() {
//!         println!("{event:?}");
//!         if let Event::Closed = event {
//!             return Ok(());
//!         }
//!     }
//!     // Bytes out and in, for no longer than until the session's deadline.
//!     let wait = connection.poll_timeout().map_or(Duration::from_secs(60), |at| at - now());
//!     let Some((attempt, tcp)) = &mut stream else {
//!         std::thread::sleep(wait);
//!         continue;
//!     };
//!     // Asked before writing: if that makes room, what stayed in `input` has its turn before more is read.
//!     let reads = connection.wants_read();
//!     let mut exchange = || -> io::Result<()> {
//!         or_later(write(&mut connection, now(), tcp, &mut output))?;
//!         if !reads {
//!             std::thread::sleep(Duration::from_millis(1));
//!             return Ok(());
//!         }
//!         // What could not be written yet is tried again soon.
//!         let wait = if output.has_remaining() { Duration::ZERO } else { wait };
//!         tcp.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
//!         let mut chunk = [0; 4096];
//!         match or_later(tcp.read(&mut chunk).map(Some))? {
//!             Some(0) => Err(ErrorKind::UnexpectedEof.into()),
//!             n => Ok(input.extend_from_slice(&chunk[..n.unwrap_or(0)])),
//!         }
//!     };
//!     if let Err(e) = exchange() {
//!         connection.handle_closed(now(), *attempt, Cause::from(&e));
//!         stream = None;
//!         input.clear();
//!         output.clear();
//!     }
//! }
//! # }
//! ```
//!
//! # Panics
//!
//! A panic is a bug here. Bad bytes from the server end the connection, bad calls are an `Err`.
//!
//! # Features
//!
//! - `std` (default): conversions from `std::time` and `std::io`.
//! - `client`: [`client::Client`] and its companions, the handles that the adapter crates share. Needs `std`.
//! - `proxy`: `transport::Proxy`, HTTP CONNECT and SOCKS5 proxies in front of the server.
//! - `websocket`: `ws://`, and `wss://` together with `tls`, with `transport::WebSocket`.
//! - `scram`: `auth::Scram`, an authenticator for SCRAM-SHA-1, -256 and -512. `saslprep` adds user names and passwords beyond ASCII, and needs
//!   `std`.
//! - `tls`: `mqtts://`, and `transport::Tls`, which says how. `tls-platform-roots` trusts whom the platform trusts, `tls-bundled-roots` whom
//!   Mozilla trusts.
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

// Tests within the crate share what those outside of it are made of.
#[cfg(test)]
extern crate self as mqtt_session;

/// The packets, properties and topics that this crate's API speaks in.
pub use mqtt_proto as proto;

mod action;
pub mod auth;
mod backoff;
#[cfg(feature = "client")]
pub mod client;
mod config;
mod connection;
mod credentials;
mod endpoint;
mod error;
mod event;
mod limits;
mod observation;
mod options;
mod peer;
mod record;
mod router;
mod servers;
mod session;
mod stats;
mod time;
mod timer;
pub mod transport;
mod verdict;

pub use action::{Action, Attempt, Cause};
pub use backoff::Backoff;
pub use config::{
    Config, ConfigBuilder, ConfigError, Durability, InboxFull, Offline, PacketIds, Poisonous,
    Redirects, SessionLost, Timeouts,
};
pub use connection::Connection;
pub use credentials::Credentials;
pub use endpoint::{Endpoint, EndpointError, Scheme};
pub use error::{
    ConnectionError, DisconnectError, Fault, PublishError, PublishRefused, ReauthenticateError,
    RedirectRefused, Stale, SubscribeError, Violation,
};
pub use event::{Capacity, Event, Outcome, Phase, QueueId, QueueOptions, Received, Ticket, Token};
pub use limits::Limits;
pub use observation::{Direction, Observation, PacketSummary};
pub use options::PublishOptions;
pub use peer::Peer;
pub use record::{
    Accepted, Ending, Identity, Lifetime, Moved, Record, RecordError, RestoreError, Seq, Snapshot,
    UnixTime, WallClock,
};
pub use router::Router;
pub use servers::Servers;
pub use session::{Released, Session};
pub use stats::Stats;
pub use time::Instant;
pub use timer::Timer;
pub use verdict::Verdict;
