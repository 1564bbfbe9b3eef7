//! An MQTT broker inside this process, on a free loopback port.
//!
//! It is the broker of the crate `mqtt5`, which speaks 3.1.1 and 5.0 on one port, and was
//! written by people who have never seen this project: what the demo shows is no talk between
//! relatives.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use mqtt5::broker::config::{StorageBackend, StorageConfig, TlsConfig};
use mqtt5::broker::{BrokerConfig, BrokerShutdownHandle, MqttBroker};
use tokio::task::JoinHandle;

/// How many messages may wait for one client's acknowledgements. The broker's own default is
/// 64; the demo keeps up to 500 messages outstanding.
const OUTBOUND_WINDOW: u16 = 1_000;

/// A running broker. Dropping it stops the broker; [`stop`](Self::stop) also waits for the end.
pub struct EmbeddedBroker {
    addr: SocketAddr,
    tls_addr: Option<SocketAddr>,
    shutdown: BrokerShutdownHandle,
    task: Option<JoinHandle<mqtt5::Result<()>>>,
}

impl EmbeddedBroker {
    /// Starts a broker on a port that the operating system chooses, and returns when it accepts
    /// connections.
    ///
    /// # Errors
    ///
    /// When no port can be bound, or the broker gives up while it starts.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(config()).await
    }

    /// The same for clients that authenticate by SCRAM-SHA-256. The file has a line for each user, as the crate
    /// `mqtt5` writes them.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start), and when the file can't be read.
    pub async fn start_with_scram(users: PathBuf) -> io::Result<Self> {
        let mut config = config();
        config.auth_config = config.auth_config.with_scram_file(users);
        config.auth_config.allow_anonymous = false;
        Self::start_with(config).await
    }

    /// The same with a port for TLS beside the plain one, by a certificate and its key in files. Where there is an authority, clients
    /// must have a certificate that it has issued.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start), and when the files can't be read.
    pub async fn start_with_tls(
        certificate: PathBuf,
        key: PathBuf,
        authority: Option<PathBuf>,
    ) -> io::Result<Self> {
        let mut tls = TlsConfig::new(certificate, key);
        tls.bind_addresses = vec![(Ipv4Addr::LOCALHOST, 0).into()];
        tls.require_client_cert = authority.is_some();
        tls.ca_file = authority;
        let mut config = config();
        config.tls_config = Some(tls);
        Self::start_with(config).await
    }

    async fn start_with(config: BrokerConfig) -> io::Result<Self> {
        let mut broker = MqttBroker::with_config(config)
            .await
            .map_err(io::Error::other)?;
        let addr = broker
            .local_addr()
            .ok_or_else(|| io::Error::other("the broker has no plain listener"))?;
        let tls_addr = broker.tls_local_addr();
        let shutdown = broker.shutdown_handle();
        let mut ready = broker.ready_receiver();
        let task = tokio::spawn(async move { broker.run().await });
        if ready.wait_for(|ready| *ready).await.is_err() {
            // The sender went away, so `run` has returned: its error says why.
            return Err(match task.await {
                Ok(Err(error)) => io::Error::other(error),
                Ok(Ok(())) => io::Error::other("the broker stopped while it started"),
                Err(panic) => io::Error::other(panic),
            });
        }
        Ok(Self {
            addr,
            tls_addr,
            shutdown,
            task: Some(task),
        })
    }

    /// Where the broker listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it listens for TLS, if it does.
    #[must_use]
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.tls_addr
    }

    /// The same as a URL for a client.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.addr)
    }

    /// Stops the broker and waits until it has closed its connections.
    ///
    /// # Errors
    ///
    /// When the broker had failed while it ran.
    pub async fn stop(mut self) -> io::Result<()> {
        self.shutdown.shutdown();
        match self.task.take() {
            Some(task) => task
                .await
                .map_err(io::Error::other)?
                .map_err(io::Error::other),
            None => Ok(()),
        }
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.shutdown.shutdown();
    }
}

impl std::fmt::Debug for EmbeddedBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedBroker")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

fn config() -> BrokerConfig {
    let mut config = BrokerConfig::new()
        .with_bind_address((Ipv4Addr::LOCALHOST, 0))
        // Sessions have to outlive a cut connection, for which the broker needs a storage. Its
        // default is a folder below the current one; this one is gone with the process.
        .with_storage(StorageConfig::new().with_backend(StorageBackend::Memory))
        .with_max_outbound_inflight(OUTBOUND_WINDOW)
        .with_sys_topics_enabled(false);
    // It counts connections that fail, and would lock out a client that reconnects in a hurry.
    config.auth_config.rate_limit.enabled = false;
    config
}
