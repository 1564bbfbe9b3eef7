//! An adapter, and what lies between it and the broker.

use std::fmt;

use mqtt_session::client::exports::BuildError;
use mqtt_session::client::{Answers, Client};
use mqtt_session::transport::WebSocketError;
use mqtt_session::{Cause, Config, Endpoint, Peer};
use mqtt_testkit::BrokerConfig;

use crate::{Adapter, Connecting, Result, Running, Server, Visitor};

/// What the bytes go over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// Sockets that the adapter opens.
    Tcp,
    /// Unix sockets that it opens.
    #[cfg(unix)]
    Unix,
    /// WebSocket over sockets that it opens.
    WebSocket,
    /// Sockets that the adapter is given by a dialer of the application's.
    Own,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            #[cfg(unix)]
            Self::Unix => "Unix sockets",
            Self::WebSocket => "WebSocket",
            Self::Own => "a dialer of one's own",
        })
    }
}

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
            Transport::Tcp | Transport::Own => Server::tcp(([127, 0, 0, 1], 0).into(), config),
            Transport::WebSocket => Server::websocket(config),
            #[cfg(unix)]
            Transport::Unix => Server::unix(config),
        }
    }

    /// The other end, as the client names it.
    pub(crate) fn peer(&self, server: &Server) -> Result<Peer> {
        Ok(match self.transport {
            Transport::Tcp | Transport::WebSocket => Peer::Addr(server.addr()),
            _ => Peer::Server(Box::new(Endpoint::parse(&server.url())?)),
        })
    }

    /// How a client tells that the server has cut the connection without a word.
    pub(crate) fn cut(&self) -> Cause {
        match self.transport {
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
