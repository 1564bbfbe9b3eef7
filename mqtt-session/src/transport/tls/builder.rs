use core::fmt;
use std::string::{String, ToString};
use std::sync::Arc;
use std::vec::Vec;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::{ClientConfig, RootCertStore};

use super::{Tls, roots};
use crate::transport::TlsConfigError;

/// Builds a [`Tls`]. Nothing is checked before [`build`](Self::build).
#[derive(Default)]
#[must_use]
pub struct TlsBuilder {
    authorities: Vec<Vec<u8>>,
    platform: bool,
    bundled: bool,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    alpn: Vec<Vec<u8>>,
    server_name: Option<String>,
}

impl TlsBuilder {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Trusts who has a certificate that this authority has issued, and nobody else unless that is asked for, too. The PEM text may have several
    /// certificates.
    ///
    /// A certificate that a server has signed itself is its own authority: give it here to test with it.
    pub fn authority_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(pem.into());
        self
    }

    /// Trusts the authorities that the platform trusts (where no authority is given, and the feature is on).
    #[cfg(feature = "tls-platform-roots")]
    pub fn platform_roots(self) -> Self {
        Self {
            platform: true,
            ..self
        }
    }

    /// Trusts the authorities that Mozilla trusts, as of when this was built (where no authority is given, and the feature is on without
    /// `tls-platform-roots`).
    #[cfg(feature = "tls-bundled-roots")]
    pub fn bundled_roots(self) -> Self {
        Self {
            bundled: true,
            ..self
        }
    }

    /// The client's own certificate (none), with those between it and the authority that the server trusts behind it, and its key: PKCS #8, SEC1 or PKCS #1, not
    /// encrypted.
    pub fn client_certificate_pem(
        self,
        chain: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            identity: Some((chain.into(), key.into())),
            ..self
        }
    }

    /// Protocols to offer (none), the preferred first: `mqtt` where a server tells by it what a port is for. Not for `wss://`, which is
    /// HTTP.
    pub fn alpn(self, protocols: impl IntoIterator<Item: Into<Vec<u8>>>) -> Self {
        Self {
            alpn: protocols.into_iter().map(Into::into).collect(),
            ..self
        }
    }

    /// What the server's certificate must be for (the host of the URL); see [`Tls::with_server_name`].
    pub fn server_name(self, name: impl Into<String>) -> Self {
        Self {
            server_name: Some(name.into()),
            ..self
        }
    }

    /// The configuration.
    ///
    /// # Errors
    ///
    /// The first thing that can't work: a text that is no PEM, a key that is not that of its certificate, nobody to trust.
    pub fn build(self) -> Result<Tls, TlsConfigError> {
        let roots = self.roots()?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsConfigError::Authority {
                words: error.to_string(),
            })?
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = certificates("client certificate", chain)?;
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|error| unreadable("client key", &error))?;
                let fits = builder.with_client_auth_cert(chain, key);
                fits.map_err(|error| TlsConfigError::ClientCertificate {
                    words: error.to_string(),
                })?
            }
        };
        config.alpn_protocols = self.alpn;
        let tls = Tls::from_config(config.into());
        match self.server_name {
            Some(name) => tls.with_server_name(&name),
            None => Ok(tls),
        }
    }

    fn roots(&self) -> Result<RootCertStore, TlsConfigError> {
        let mut roots = RootCertStore::empty();
        for pem in &self.authorities {
            for certificate in certificates("authority", pem)? {
                roots
                    .add(certificate)
                    .map_err(|error| TlsConfigError::Authority {
                        words: error.to_string(),
                    })?;
            }
        }
        let nobody = self.authorities.is_empty() && !self.platform && !self.bundled;
        let platform = self.platform || (nobody && cfg!(feature = "tls-platform-roots"));
        if platform {
            roots::add_platform(&mut roots)?;
        }
        if self.bundled || (nobody && !platform) {
            roots::add_bundled(&mut roots);
        }
        if roots.is_empty() {
            return Err(TlsConfigError::NoAuthority);
        }
        Ok(roots)
    }
}

fn certificates(
    what: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(unreadable(what, &pem::Error::NoItemsFound))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unreadable(what, &error)),
    }
}

/// What a key looks like is not repeated.
fn unreadable(what: &'static str, error: &pem::Error) -> TlsConfigError {
    let words = match error {
        pem::Error::NoItemsFound => "nothing of this kind is in the PEM text",
        pem::Error::MissingSectionEnd { .. } => "the PEM text ends within a section",
        pem::Error::IllegalSectionStart { .. } => {
            "a section of the PEM text does not begin as it must"
        }
        pem::Error::Base64Decode(_) => "the PEM text has a section that is not base64",
        _ => "the PEM text can't be read",
    };
    TlsConfigError::Pem {
        what,
        words: words.to_string(),
    }
}

impl fmt::Debug for TlsBuilder {
    /// Not the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsBuilder")
            .field("authorities", &self.authorities.len())
            .field("has_certificate", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}
