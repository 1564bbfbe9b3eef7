//! Certificates of this process's own.

use std::sync::{Arc, OnceLock};

use mqtt_session::transport::Tls;
use mqtt_session::transport::rustls::crypto::ring;
use mqtt_session::transport::rustls::pki_types::pem::PemObject;
use mqtt_session::transport::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use mqtt_session::transport::rustls::server::WebPkiClientVerifier;
use mqtt_session::transport::rustls::{RootCertStore, ServerConfig};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::Result;

/// An authority, what it has issued for this machine, and what it has issued for a client. All in PEM.
#[derive(Debug)]
pub struct Certificates {
    /// The authority's certificate.
    pub authority: String,
    /// The server's, for 127.0.0.1 and localhost.
    pub server: Identity,
    /// The client's.
    pub client: Identity,
    /// What the client's configuration makes of them: shared by all, so that connections resume.
    tls: OnceLock<[Tls; 2]>,
}

/// A certificate and its key.
#[derive(Debug)]
#[non_exhaustive]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl Certificates {
    /// Those of this process.
    ///
    /// # Panics
    ///
    /// When none can be made.
    pub fn get() -> &'static Self {
        static CERTIFICATES: OnceLock<Certificates> = OnceLock::new();
        CERTIFICATES.get_or_init(|| Self::make("authority of the tests").unwrap())
    }

    /// Others, by an authority of this name.
    pub(crate) fn make(name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages.push(KeyUsagePurpose::KeyCertSign);
        let key = KeyPair::generate()?;
        let authority = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self {
            authority,
            server: Identity::issue(&issuer, &["127.0.0.1", "localhost"])?,
            client: Identity::issue(&issuer, &["client"])?,
            tls: OnceLock::new(),
        })
    }

    /// Of a client that trusts the authority, and has the certificate or has none.
    pub(crate) fn tls(&self, certificate: bool) -> Tls {
        let tls = self.tls.get_or_init(|| {
            [false, true].map(|certificate| {
                let mut builder = Tls::builder().authority_pem(self.authority.as_bytes());
                if certificate {
                    let Identity { certificate, key } = &self.client;
                    builder =
                        builder.client_certificate_pem(certificate.as_bytes(), key.as_bytes());
                }
                builder.build().unwrap()
            })
        });
        tls[usize::from(certificate)].clone()
    }

    /// Of the server, which asks clients for a certificate or does not.
    pub(crate) fn server_config(&self, asks: bool) -> Result<Arc<ServerConfig>> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = if asks {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(self.authority.as_bytes())?)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build()?)
        } else {
            builder.with_no_client_auth()
        };
        let Identity { certificate, key } = &self.server;
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes())?];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
        Ok(Arc::new(builder.with_single_cert(chain, key)?))
    }
}

impl Identity {
    fn issue(issuer: &Issuer<'_, KeyPair>, names: &[&str]) -> Result<Self> {
        let mut params =
            CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        // OpenSSL takes a certificate whose subject is its issuer for one that signed itself.
        params.distinguished_name.push(DnType::CommonName, names[0]);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, issuer)?;
        Ok(Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}
