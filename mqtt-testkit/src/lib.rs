//! For tests without sockets, threads or real seconds: a strict model of an MQTT broker, a faulty link, a virtual clock and a
//! seeded generator.
//!
//! Everything here is a function of its inputs. Time is a value that the test hands in ([`Time`], counted from the start of the
//! test), bytes go in and come out, and chance comes from a seed: the same test does the same thing every time.
//!
//! - [`Broker`] serves several clients of 3.1, 3.1.1 and 5.0 at once. It is strict: each breach of the protocol by a client is
//!   kept as a [`Violation`] that names the statement that was broken, and ends the connection. It is scripted: it withholds
//!   acknowledgements, refuses, lies, restarts, and sends any bytes when a test says so.
//! - [`Link`] carries bytes both ways, late, in pieces, or not at all, and can be cut after any byte.
//! - [`Clock`] and [`Rng`] are what a test needs besides.
//!
//! ```
//! use bytes::BytesMut;
//! use mqtt_proto::{Connect, Decoder, Encoder, Outbox, Packet, Properties, ReasonCode, Sender, Text, Version};
//! use mqtt_testkit::{Broker, BrokerConfig, Clock, Direction, Link, Time};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut clock = Clock::new();
//! let mut broker = Broker::new(BrokerConfig::default());
//! let mut link = Link::new(7);
//! link.set_delay(Direction::ToBroker, Time::from_millis(20));
//! let conn = broker.open(clock.now());
//!
//! // A client sends CONNECT into the link ...
//! let connect = Connect {
//!     version: Version::V5,
//!     client_id: Text::try_from("sensor-7")?,
//!     clean_start: true,
//!     keep_alive: 30,
//!     will: None,
//!     user_name: None,
//!     password: None,
//!     properties: Properties::new(),
//! };
//! let mut outbox = Outbox::new();
//! Encoder::new(Version::V5, Sender::Client).encode(&Packet::Connect(connect.into()), &mut outbox)?;
//! link.send(clock.now(), Direction::ToBroker, &outbox.to_vec());
//!
//! // ... which reaches the broker 20 ms later.
//! clock.advance_to(link.next_time().ok_or("nothing under way")?);
//! let mut at_broker = BytesMut::new();
//! while link.receive(clock.now(), Direction::ToBroker, &mut at_broker) > 0 {
//!     broker.input(clock.now(), conn, &mut at_broker);
//! }
//! let mut answer = Vec::new();
//! broker.output(conn, &mut answer);
//! link.send(clock.now(), Direction::ToClient, &answer);
//!
//! let mut at_client = BytesMut::new();
//! link.receive(clock.now(), Direction::ToClient, &mut at_client);
//! let decoder = Decoder::new(Version::V5, Sender::Server);
//! let Some(Packet::ConnAck(connack)) = decoder.decode(&mut at_client)? else { panic!("no CONNACK") };
//! assert_eq!(connack.reason, ReasonCode::SUCCESS);
//! assert!(broker.violations().is_empty(), "{}", broker.ladder());
//! # Ok(())
//! # }
//! ```

mod broker;
mod clock;
mod link;
mod rng;

pub use broker::{
    AuthStep, Authenticator, Broker, BrokerConfig, ConnId, Counts, Ladder, LogEntry, LogEvent,
    Received, SessionInfo, Summary, Traffic, Violation,
};
pub use clock::{Clock, Time};
pub use link::{Direction, Link, Pieces};
pub use rng::Rng;
