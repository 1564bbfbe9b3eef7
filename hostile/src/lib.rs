//! Servers that are hostile, broken or slow: inputs that broke other clients, at three levels.
//!
//! [`rows`] is a table of what a server sends, and what comes of it: `tests/decoder` gives it to the decoder, `tests/session` to a session, and
//! `tests/adapters` sends it over sockets to every adapter. What is no bytes of MQTT (silence, TLS, WebSocket, floods) are scripts, each
//! registered under its entry; what a test elsewhere says already, and what can't be at a level, is listed in [`cover`]. `tests/page` fails where an
//! entry has nothing at a level, and where `docs/hostile-peers.md` does not say what is run.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod at_adapter;
mod at_session;
pub mod cover;
mod ground;
mod memory;
mod page;
mod row;
mod rows;
mod scenes;
mod script;

pub use at_adapter::run as run_adapter;
pub use at_session::run as run_session;
pub use memory::{ALLOCATOR, Memory};
pub use page::{covered, page};
pub use row::{Before, Row, Then, Told, each};
pub use rows::rows;
pub use scenes::{About, Scene, scenes};
pub use script::Script;

/// Whatever a scene fails with, apart from its panics.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// What a scene comes to.
pub type Result<T = ()> = std::result::Result<T, Failure>;
