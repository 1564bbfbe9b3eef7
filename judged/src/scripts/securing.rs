//! TLS, with the certificates that mosquitto's generator makes. They are looked for where the scripts look, beside the working directory.

use std::fs::read;
use std::sync::Arc;

use mqtt_behaviour::Result;
use mqtt_session::ConnectionError;
use mqtt_session::transport::Tls;
use mqtt_session::transport::rustls::client::WebPkiServerVerifier;
use mqtt_session::transport::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use mqtt_session::transport::rustls::crypto::ring;
use mqtt_session::transport::rustls::pki_types::pem::PemObject;
use mqtt_session::transport::rustls::pki_types::{
    CertificateDer, PrivateKeyDer, ServerName, UnixTime,
};
use mqtt_session::transport::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::Document;

use crate::run::{Run, v3};

/// What the certificate of the scripts' server is for: `localhost`, as Common Name, in DER.
const LOCALHOST: &[u8] = b"\x06\x03\x55\x04\x03\x0C\x09localhost";

/// A certificate and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

pub(super) async fn without_certificate(run: &Run<'_>) -> Result {
    connect(run, "08-ssl-connect-no-auth", "../ssl/all-ca.crt", None).await
}

pub(super) async fn with_certificate(run: &Run<'_>) -> Result {
    let id = "08-ssl-connect-crt-auth";
    let identity = (
        certificates("../ssl/client.crt")?,
        PrivateKeyDer::from_pem_file("../ssl/client.key")?,
    );
    connect(run, id, "../ssl/test-root-ca.crt", Some(identity)).await
}

pub(super) async fn with_encrypted_key(run: &Run<'_>) -> Result {
    let id = "08-ssl-connect-crt-auth-enc";
    let identity = (
        certificates("../ssl/client-encrypted.crt")?,
        decrypt("../ssl/client-encrypted.key", "password")?,
    );
    connect(run, id, "../ssl/test-root-ca.crt", Some(identity)).await
}

async fn connect(
    run: &Run<'_>,
    client_id: &str,
    authorities: &str,
    identity: Option<Identity>,
) -> Result {
    let config = v3(client_id).tls(by_common_name(authorities, identity)?);
    let connected = run.connect_to(&run.url("mqtts"), config).await?;
    connected.disconnect().await
}

/// An authority that is not there, or is none, is told before there is a connection.
pub(super) async fn without_authority(_: &Run<'_>) -> Result {
    if read("this/file/doesnt/exist").is_ok() {
        return Err("there is a file that is not".into());
    }
    match Tls::builder().authority_pem("").build() {
        Ok(_) => Err("nothing is taken for an authority".into()),
        Err(_) => Ok(()),
    }
}

/// It has the name of the right one, and another key.
pub(super) async fn with_false_authority(run: &Run<'_>) -> Result {
    let identity = (
        certificates("../ssl/client.crt")?,
        PrivateKeyDer::from_pem_file("../ssl/client.key")?,
    );
    let tls = by_common_name("../ssl/test-fake-root-ca.crt", Some(identity))?;
    let config = v3("08-ssl-connect-crt-auth").tls(tls);
    let Err(error) = run.connect_to(&run.url("mqtts"), config).await else {
        return Err("a server is trusted that nobody vouches for".into());
    };
    let closed = error.downcast::<mqtt_session::client::Closed>()?;
    match closed.error.as_deref() {
        Some(ConnectionError::Handshake { .. }) => Ok(()),
        _ => Err(closed),
    }
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>> {
    let all: std::result::Result<_, _> = CertificateDer::pem_file_iter(path)?.collect();
    Ok(all?)
}

/// PKCS #8 by a password.
fn decrypt(path: &str, password: &str) -> Result<PrivateKeyDer<'static>> {
    let pem = String::from_utf8(read(path)?)?;
    let (_, document) = Document::from_pem(&pem).map_err(|error| error.to_string())?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
        .map_err(|error| error.to_string())?;
    let key = encrypted
        .decrypt(password)
        .map_err(|error| error.to_string())?;
    Ok(PrivateKeyDer::Pkcs8(key.as_bytes().to_vec().into()))
}

/// A configuration of one's own: the certificates of the scripts have no alternative names, which RFC 9525 asks for and rustls with it. So the
/// Common Name is looked at instead, where all else is right.
fn by_common_name(authorities: &str, identity: Option<Identity>) -> Result<Tls> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authorities)? {
        roots.add(certificate)?;
    }
    let provider = Arc::new(ring::default_provider());
    let inner = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ByCommonName(inner.build()?)));
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
    };
    Ok(Tls::from_config(config.into()))
}

#[derive(Debug)]
struct ByCommonName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for ByCommonName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        let verified = self
            .0
            .verify_server_cert(certificate, intermediates, name, ocsp, now);
        let wrong_name = matches!(
            verified,
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
            ))
        );
        let named = certificate
            .windows(LOCALHOST.len())
            .any(|part| part == LOCALHOST);
        if wrong_name && named && name.to_str() == "localhost" {
            return Ok(ServerCertVerified::assertion());
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
