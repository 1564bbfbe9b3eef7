//! Authorities that need not be named one by one.

use rustls::RootCertStore;

use crate::transport::TlsConfigError;

#[cfg(feature = "tls-platform-roots")]
pub(super) fn add_platform(roots: &mut RootCertStore) -> Result<(), TlsConfigError> {
    use std::string::ToString;

    let found = rustls_native_certs::load_native_certs();
    // Some that nobody can read stand in the stores of many platforms.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(());
    }
    let why = found.errors.first().map(ToString::to_string);
    Err(TlsConfigError::Platform {
        words: why.unwrap_or_else(|| "there are none".to_string()),
    })
}

#[cfg(not(feature = "tls-platform-roots"))]
pub(super) fn add_platform(_: &mut RootCertStore) -> Result<(), TlsConfigError> {
    Err(TlsConfigError::NoAuthority)
}

#[cfg(feature = "tls-bundled-roots")]
pub(super) fn add_bundled(roots: &mut RootCertStore) {
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
}

#[cfg(not(feature = "tls-bundled-roots"))]
pub(super) fn add_bundled(_: &mut RootCertStore) {}
