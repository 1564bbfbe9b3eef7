//! Handles for applications, on any runtime: [`Client`], [`Subscription`], [`Delivery`] and [`Events`].
//!
//! They share one [`Session`] behind a lock with a driver, which holds a [`Port`]. Nothing is sent from one to the other
//! for each message: a handle puts a message into the session, and the driver takes all that has gathered since its last write in
//! one piece. The lock is held for a moment and never while code of others runs: wakers and payloads are woken and dropped after it.
//!
//! Who only uses a client finds everything in the crate for their runtime, such as `mqtt-tokio`. A driver is made of
//! [`build`] and a loop around [`Port::turn`]: on an asynchronous runtime [`drive::Drive`] is that loop.

mod answers;
mod closed;
mod connect_error;
mod delivery;
pub mod drive;
mod events;
mod explain;
pub mod exports;
mod handle;
mod handler;
mod hooks;
mod message;
mod port;
mod publish;
mod reauthenticate;
mod shared;
mod state;
mod subscribe;
mod subscription;
mod wake;
mod watch;

use std::sync::Arc;

use crate::{Config, ConfigError, Durability, Instant, Servers, Session};

pub use answers::{Answers, AuthTask};
pub use closed::Closed;
pub use connect_error::{BuildError, ConnectError};
pub use delivery::{Delivery, DeliveryError};
pub use events::{ClientEvent, Events};
pub use explain::explain;
pub use handle::Client;
pub use handler::HandlerPanicked;
pub use hooks::{Hooks, Intercepted, Interceptor, Observer, Refusal};
pub use message::{AckMode, Acker, Message};
pub use port::{Next, Port, Report, Turn};
pub use publish::{PublishClosed, Publishing, SendError};
pub use subscribe::SubscribeFailed;
pub use subscription::{NextMessage, Subscription};

use shared::Shared;

/// A client and the port for its driver. Nothing happens before [`Client::connect`] or [`Client::start`], and the driver's first turn.
///
/// `seed` decides the session's dice. `clock` tells the time by the epoch that the driver has picked, from any thread.
///
/// # Errors
///
/// The configuration asks for records ([`Durability`]): this is for drivers that have no store. See [`build_over`].
pub fn build(
    config: Config,
    servers: impl Into<Servers>,
    seed: u64,
    clock: impl Fn() -> Instant + Send + Sync + 'static,
) -> Result<(Client, Port), ConfigError> {
    build_with(config, servers, Answers::new(), seed, clock)
}

/// The same, with functions that answer what the session asks the application for.
///
/// # Errors
///
/// As for [`build`].
pub fn build_with(
    config: Config,
    servers: impl Into<Servers>,
    answers: Answers,
    seed: u64,
    clock: impl Fn() -> Instant + Send + Sync + 'static,
) -> Result<(Client, Port), ConfigError> {
    if config.durability != Durability::Off {
        return Err(ConfigError::NoStore);
    }
    let session = Session::new(config, servers, seed);
    Ok(build_over_with(session, answers, clock))
}

/// The same over a session that there is, such as one that [`Session::restore`] made of records.
///
/// Where it gives records, its driver must carry them to a store: [`Port::poll_records`] and [`Port::handle_stored`].
pub fn build_over(
    session: Session,
    clock: impl Fn() -> Instant + Send + Sync + 'static,
) -> (Client, Port) {
    build_over_with(session, Answers::new(), clock)
}

/// The same, with functions that answer what the session asks the application for.
pub fn build_over_with(
    mut session: Session,
    answers: Answers,
    clock: impl Fn() -> Instant + Send + Sync + 'static,
) -> (Client, Port) {
    if answers.gives_credentials() {
        session.ask_for_credentials();
    }
    let shared = Arc::new(Shared::new(session, clock));
    let port = Port::new(Arc::clone(&shared), answers);
    (Client::new(shared), port)
}
