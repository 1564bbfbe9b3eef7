//! TLS by rustls: how it is configured.

mod builder;
mod explain;
mod layer;
mod roots;

use core::fmt;
use std::string::ToString;
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::transport::{TlsConfigError, TlsError};
use crate::{Cause, Endpoint};

pub use builder::TlsBuilder;
pub(super) use layer::TlsLayer;

/// How TLS is done for `mqtts://` and `wss://`. Made once, and shared by all connections, so that they resume: handing out clones is cheap.
///
/// ```no_run
/// use mqtt_session::Config;
/// use mqtt_session::transport::Tls;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = Tls::builder()
///     .authority_pem(std::fs::read("ca.pem")?)
///     .client_certificate_pem(std::fs::read("client.pem")?, std::fs::read("client.key")?)
///     .build()?;
/// let config = Config::builder("sensor-7").tls(tls).build()?;
/// # Ok(())
/// # }
/// ```
///
/// There is no switch that turns the check of certificates off. To test with a certificate that a server has signed itself, trust that very
/// certificate: give it as the authority.
///
/// Without any of this in the configuration, the authorities of the platform are trusted (feature `tls-platform-roots`), or those that are built in
/// (feature `tls-bundled-roots`). They are read once in a process, when the first connection needs them.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
    has_certificate: bool,
}

impl Tls {
    /// TLS 1.2 and 1.3 with the algorithms of ring, tickets to resume by, and no early data.
    pub fn builder() -> TlsBuilder {
        TlsBuilder::new()
    }

    /// A configuration of your own, which is used as it is.
    pub fn from_config(config: Arc<ClientConfig>) -> Self {
        let has_certificate = config.client_auth_cert_resolver.has_certs();
        Self {
            config,
            name: None,
            has_certificate,
        }
    }

    /// What a server's certificate must be for, instead of the host in its URL: a name or an address. It is also what the server is asked for
    /// (SNI).
    ///
    /// # Errors
    ///
    /// It is neither.
    pub fn with_server_name(mut self, name: &str) -> Result<Self, TlsConfigError> {
        self.name = Some(server_name(name)?);
        Ok(self)
    }

    /// For who configured nothing.
    fn usual() -> Result<&'static Self, TlsError> {
        static USUAL: OnceLock<Result<Tls, TlsConfigError>> = OnceLock::new();
        let usual = USUAL.get_or_init(|| Self::builder().build());
        usual.as_ref().map_err(|error| error.clone().into())
    }

    fn name_of(&self, server: &Endpoint) -> Result<ServerName<'static>, TlsConfigError> {
        match &self.name {
            Some(name) => Ok(name.clone()),
            None => server_name(server.host()),
        }
    }
}

/// What was configured, or what is usual.
pub(super) fn or_usual(tls: Option<&Tls>) -> Result<&Tls, TlsError> {
    match tls {
        Some(tls) => Ok(tls),
        None => Tls::usual(),
    }
}

/// The layer for an attempt at this server.
pub(super) fn layer(tls: Option<&Tls>, server: &Endpoint) -> Result<TlsLayer, Cause> {
    let tls = or_usual(tls).map_err(Cause::Tls)?;
    let name = tls
        .name_of(server)
        .map_err(|error| Cause::Tls(error.into()))?;
    TlsLayer::new(tls, name).map_err(Cause::Tls)
}

/// Whether there would be one.
pub(super) fn check(tls: Option<&Tls>, server: &Endpoint) -> Result<(), Cause> {
    let named = or_usual(tls).and_then(|tls| Ok(tls.name_of(server)?));
    named.map(drop).map_err(Cause::Tls)
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsConfigError> {
    ServerName::try_from(name.to_string()).map_err(|_| TlsConfigError::ServerName {
        name: name.to_string(),
    })
}

impl fmt::Debug for Tls {
    /// Not the configuration: it has keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("server_name", &self.name)
            .field("has_certificate", &self.has_certificate)
            .finish_non_exhaustive()
    }
}
