mod builder;
mod error;
mod policy;
mod timeouts;
mod usual;

use core::time::Duration;

use alloc::string::String;
use mqtt_proto::{Connect, Version};

use crate::{Backoff, Limits};

pub use builder::ConfigBuilder;
pub use error::ConfigError;
pub use policy::{Durability, InboxFull, Offline, Poisonous, SessionLost};
pub use timeouts::Timeouts;
pub(crate) use usual::HasUsual;
use usual::Usual;

/// How a session connects and behaves. Made with [`Config::builder`], which refuses what can't work before a socket is opened.
#[derive(Clone, Debug)]
pub struct Config {
    /// CONNECT as it is sent first; a later one may differ in Clean Start.
    pub(crate) connect: Connect,
    pub(crate) session_expiry: Duration,
    pub(crate) time_to_live: Option<Duration>,
    pub(crate) session_lost: SessionLost,
    pub(crate) poisonous: Poisonous,
    pub(crate) offline: Offline,
    pub(crate) inbox_full: InboxFull,
    pub(crate) durability: Durability,
    pub(crate) limits: Usual<Limits>,
    pub(crate) backoff: Usual<Backoff>,
    pub(crate) timeouts: Usual<Timeouts>,
}

impl Config {
    /// A configuration for MQTT 5.0 with this client identifier, and the defaults that the setters of the builder state.
    ///
    /// The identifier must be unique at the server: a second client with the same one pushes the first out. A server that says so ends
    /// the first one for good; some just close the connection, and then both go on pushing each other out. An empty identifier
    /// asks the server to assign one, which 3.1 can't.
    pub fn builder(client_id: impl Into<String>) -> ConfigBuilder {
        ConfigBuilder::new(client_id.into())
    }

    /// The configured protocol version.
    pub fn version(&self) -> Version {
        self.connect.version
    }

    /// How long the server keeps the session without a connection, in the seconds of CONNECT; 3.x can't say it.
    pub(crate) fn expiry_seconds(&self) -> u32 {
        let expiry = self.connect.properties.view().session_expiry_interval();
        expiry.unwrap_or(0)
    }

    /// The configured limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}
