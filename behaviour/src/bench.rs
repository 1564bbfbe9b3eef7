//! An adapter, and what lies between it and the broker.

use std::fmt;
use std::time::Duration;

use mqtt_session::client::exports::{Backoff, BuildError, ConfigBuilder};
use mqtt_session::client::{Answers, Client};
use mqtt_session::transport::{TlsError, WebSocketError};
use mqtt_session::{Cause, Config, Endpoint, Peer};
use mqtt_testkit::BrokerConfig;

use crate::{Adapter, Certificates, Connecting, Result, Running, Server, Transport, Visitor};

/// What a scenario is run on.
pub struct Bench<'a> {
    adapter: &'a dyn Adapter,
    transport: Transport,
}

impl<'a> Bench<'a> {
    /// An adapter over a transport. For [`Transport::Own`] it must be one that has a dialer.
    pub fn new(adapter: &'a dyn Adapter, transport: Transport) -> Self {
        Self { adapter, transport }
    }

    pub(crate) fn server(&self) -> Result<Server> {
        self.server_with(BrokerConfig::default())
    }

    pub(crate) fn server_with(&self, config: BrokerConfig) -> Result<Server> {
        match self.transport {
            #[cfg(unix)]
            Transport::Unix => Server::unix(config),
            transport => Server::tcp(([127, 0, 0, 1], 0).into(), transport, config),
        }
    }

    /// A configuration with which a client comes back at once, and trusts the server.
    pub(crate) fn config(&self, client_id: &str) -> ConfigBuilder {
        let first = Duration::from_millis(20);
        let builder = Config::builder(client_id).backoff(Backoff {
            first,
            longest: first,
            ..Backoff::default()
        });
        if !self.transport.has_tls() {
            return builder;
        }
        builder.tls(Certificates::get().tls(self.transport == Transport::MutualTls))
    }

    pub(crate) fn transport(&self) -> Transport {
        self.transport
    }

    /// The other end, as the client names it.
    pub(crate) fn peer(&self, server: &Server) -> Result<Peer> {
        Ok(match self.transport {
            #[cfg(unix)]
            Transport::Unix => Peer::Server(Box::new(Endpoint::parse(&server.url())?)),
            Transport::Own => Peer::Server(Box::new(Endpoint::parse(&server.url())?)),
            _ => Peer::Addr(server.addr()),
        })
    }

    /// How a client tells that the server has cut the connection without a word.
    pub(crate) fn cut(&self) -> Cause {
        match self.transport {
            Transport::Tls | Transport::MutualTls | Transport::SecureWebSocket => {
                Cause::Tls(TlsError::Truncated)
            }
            Transport::WebSocket => Cause::WebSocket(WebSocketError::Truncated),
            _ => Cause::Eof,
        }
    }

    pub(crate) fn connect(&self, servers: &str, config: Config) -> Connecting {
        self.adapter.connect(servers, config)
    }

    pub(crate) fn connect_with(
        &self,
        servers: &str,
        config: Config,
        answers: Answers,
    ) -> Connecting {
        self.adapter.connect_with(servers, config, answers)
    }

    pub(crate) fn start(
        &self,
        servers: &str,
        config: Config,
    ) -> std::result::Result<Client, BuildError> {
        self.adapter.start(servers, config)
    }

    pub(crate) fn build(
        &self,
        servers: &str,
        config: Config,
    ) -> std::result::Result<(Client, Running), BuildError> {
        self.adapter.build(servers, config)
    }

    pub(crate) fn authenticator(&self, visitor: Visitor) -> Answers {
        self.adapter.authenticator(visitor)
    }
}

impl fmt::Debug for Bench<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench")
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}
