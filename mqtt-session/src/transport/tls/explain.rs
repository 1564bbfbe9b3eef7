//! What an error of rustls means to who reads it.

use std::boxed::Box;
use std::format;
use std::string::{String, ToString};

use rustls::{AlertDescription, CertificateError, Error};

use crate::transport::{TlsError, WrongName};

/// `heard`: a valid answer had come before. `has_certificate`: one is configured.
pub(super) fn explain(error: Error, heard: bool, has_certificate: bool) -> TlsError {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(AlertDescription::CertificateRequired) if !has_certificate => {
            TlsError::CertificateRequired
        }
        Error::AlertReceived(alert) => TlsError::Refused(refusal(alert, has_certificate).into()),
        Error::InvalidMessage(_) if !heard => TlsError::NotTls,
        Error::PeerIncompatible(what) => TlsError::Incompatible(format!("{what:?}").into()),
        Error::NoApplicationProtocol => TlsError::Incompatible("no protocol of ALPN".into()),
        other => TlsError::Protocol(other.to_string().into()),
    }
}

fn refusal(alert: AlertDescription, has_certificate: bool) -> String {
    use AlertDescription as A;
    let hint = match alert {
        A::HandshakeFailure if !has_certificate => {
            "; it may ask for a client certificate, and none is configured"
        }
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::UnknownCA
        | A::AccessDenied
            if has_certificate =>
        {
            "; it does not accept the client certificate"
        }
        _ => "",
    };
    format!("{alert:?}{hint}")
}

fn certificate(error: CertificateError) -> TlsError {
    use CertificateError as C;
    match error {
        C::UnknownIssuer => TlsError::UnknownIssuer,
        C::Expired | C::ExpiredContext { .. } => TlsError::Expired,
        C::NotValidYet | C::NotValidYetContext { .. } => TlsError::NotYetValid,
        C::Revoked => TlsError::Revoked,
        C::NotValidForNameContext {
            expected,
            presented,
        } => TlsError::WrongName(Box::new(WrongName {
            expected: expected.to_str().into_owned(),
            presented: presented.iter().map(|name| plain(name)).collect(),
        })),
        other => {
            let words = other.to_string();
            let hint = if words.contains("CaUsedAsEndEntity") {
                "; it is one of an authority, and can't be a server's at the same time (make it with CA:FALSE)"
            } else if matches!(other, C::BadSignature) {
                "; one of the same name is trusted, and has another key: give TlsBuilder::authority_pem the server's present one"
            } else {
                ""
            };
            TlsError::BadCertificate(format!("{words}{hint}").into())
        }
    }
}

/// `DnsName("a")` is a.
fn plain(name: &str) -> String {
    let quoted = name
        .split_once('"')
        .and_then(|(_, rest)| rest.split_once('"'));
    quoted.map_or(name, |(name, _)| name).to_string()
}
