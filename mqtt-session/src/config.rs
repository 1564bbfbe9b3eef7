mod builder;
mod error;
mod policy;
mod redirects;
mod timeouts;
mod usual;

use core::time::Duration;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use mqtt_proto::{Connect, ReasonCode, Version};

use crate::endpoint::Options;
use crate::transport::Transports;
use crate::{Backoff, ConnectionError, Limits, Verdict};

pub use builder::ConfigBuilder;
pub use error::ConfigError;
pub use policy::{Durability, InboxFull, Offline, PacketIds, Poisonous, SessionLost};
pub use redirects::Redirects;
pub use timeouts::Timeouts;
pub(crate) use usual::HasUsual;
use usual::Usual;

/// How a session connects and behaves. Made with [`Config::builder`], which refuses what can't work before a socket is opened.
#[derive(Clone, Debug)]
pub struct Config {
    /// CONNECT as it is sent first; a later one may differ in Clean Start.
    pub(crate) connect: Connect,
    pub(crate) time_to_live: Option<Duration>,
    pub(crate) session_lost: SessionLost,
    pub(crate) poisonous: Poisonous,
    pub(crate) offline: Offline,
    pub(crate) inbox_full: InboxFull,
    pub(crate) durability: Durability,
    pub(crate) limits: Usual<Limits>,
    pub(crate) backoff: Usual<Backoff>,
    pub(crate) timeouts: Usual<Timeouts>,
    pub(crate) rare: Option<Box<Rare>>,
}

/// What few configurations have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rare {
    pub(crate) ask_for_credentials: bool,
    pub(crate) require_local_state: bool,
    pub(crate) redirects: Redirects,
    pub(crate) verdicts: Vec<(ReasonCode, Verdict)>,
    /// CONNECT in 3.1.1, for servers that do not know 5.0.
    pub(crate) fallback: Option<Connect>,
    pub(crate) own_dialer: bool,
    pub(crate) packet_ids: PacketIds,
    /// SUBSCRIBE has no Subscription Identifier.
    pub(crate) no_identifiers: bool,
    pub(crate) transports: Transports,
}

static NO_TRANSPORTS: Transports = Transports::new();

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

    /// The same, for a driver that opens byte streams in a way of its own: see [`ConfigBuilder::own_dialer`].
    #[must_use]
    pub fn with_own_dialer(mut self) -> Self {
        self.rare.get_or_insert_default().own_dialer = true;
        self
    }

    /// How long the server keeps the session without a connection, in the seconds of CONNECT; 3.x can't say it.
    pub(crate) fn expiry_seconds(&self) -> u32 {
        let expiry = self.connect.properties.view().session_expiry_interval();
        expiry.unwrap_or(0)
    }

    /// CONNECT for a server that speaks this version.
    pub(crate) fn connect_in(&self, version: Version) -> &Connect {
        self.fallback()
            .filter(|fallback| fallback.version == version)
            .unwrap_or(&self.connect)
    }

    pub(crate) fn fallback(&self) -> Option<&Connect> {
        self.rare.as_ref()?.fallback.as_ref()
    }

    pub(crate) fn asks_for_credentials(&self) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| rare.ask_for_credentials)
    }

    pub(crate) fn requires_local_state(&self) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| rare.require_local_state)
    }

    /// The application opens byte streams itself.
    pub(crate) fn has_dialer(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.own_dialer)
    }

    pub(crate) fn packet_ids(&self) -> PacketIds {
        self.rare
            .as_ref()
            .map_or_else(PacketIds::default, |rare| rare.packet_ids)
    }

    pub(crate) fn subscription_identifiers(&self) -> bool {
        self.rare.as_ref().is_none_or(|rare| !rare.no_identifiers)
    }

    pub(crate) fn handshake_timeout(&self) -> Duration {
        self.timeouts.handshake
    }

    pub(crate) fn transports(&self) -> &Transports {
        self.rare
            .as_ref()
            .map_or(&NO_TRANSPORTS, |rare| &rare.transports)
    }

    /// What the URL says wins.
    pub(crate) fn adopt(&mut self, options: &Options) {
        let fallback = self.rare.as_mut().and_then(|rare| rare.fallback.as_mut());
        for connect in fallback.into_iter().chain([&mut self.connect]) {
            if let Some(client_id) = &options.client_id {
                connect.client_id = client_id.clone();
            }
            connect.keep_alive = options.keep_alive.unwrap_or(connect.keep_alive);
            connect.clean_start = options.clean_start.unwrap_or(connect.clean_start);
        }
    }

    /// Where servers may send us: nowhere, without any.
    pub(crate) fn redirects(&self) -> Option<&Redirects> {
        Some(&self.rare.as_ref()?.redirects)
    }

    /// What follows on an error: as configured for its reason code, or as by default.
    pub(crate) fn verdict(&self, error: &ConnectionError) -> Verdict {
        let own = self.rare.as_ref().zip(error.reason());
        own.and_then(|(rare, reason)| rare.verdicts.iter().find(|(of, _)| *of == reason))
            .map_or_else(|| error.verdict(), |(_, verdict)| *verdict)
    }

    /// The configured limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}
