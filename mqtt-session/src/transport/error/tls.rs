use core::fmt;

use alloc::boxed::Box;
use alloc::string::String;

use crate::Fault;

/// Why TLS failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// There is nothing to check a certificate against, or the configuration can't work in another way.
    #[error(transparent)]
    Config(Box<TlsConfigError>),
    /// The peer took the connection, but the handshake was not done in time.
    #[error("the handshake was not done in time (timeouts.handshake)")]
    TimedOut,
    /// The peer closed the connection during the handshake.
    #[error(
        "the peer closed the connection during the handshake; it may not speak TLS on this port"
    )]
    Closed,
    /// The stream ended without close_notify: somebody between may have cut it off.
    #[error("the connection ended without close_notify; what came may be cut off")]
    Truncated,
    /// The first answer was no TLS.
    #[error("what answered does not speak TLS; this may be a port for another protocol")]
    NotTls,
    /// No authority that is trusted here has issued the server's certificate.
    #[error(
        "the server's certificate is issued by no authority that is trusted here (`TlsBuilder::authority_pem` adds one)"
    )]
    UnknownIssuer,
    /// The server's certificate has expired.
    #[error("the server's certificate has expired")]
    Expired,
    /// The server's certificate is for later.
    #[error("the server's certificate is not valid yet; the clock here may be wrong")]
    NotYetValid,
    /// The server's certificate is for other names.
    #[error("the server's certificate is for {0}")]
    WrongName(Box<WrongName>),
    /// The server's certificate was revoked.
    #[error("the server's certificate was revoked")]
    Revoked,
    /// The server's certificate is not good for another reason, which is told.
    #[error("the server's certificate is not accepted: {0}")]
    BadCertificate(Box<str>),
    /// The server asks for a certificate of ours, and none is configured.
    #[error("the server asks for a client certificate, and none is configured")]
    CertificateRequired,
    /// The server ended the connection with this alert.
    #[error("the server refused with the alert {0}")]
    Refused(Box<str>),
    /// There is no version of TLS, or no algorithm, that both know.
    #[error("the server and this client have no version or algorithm in common: {0}")]
    Incompatible(Box<str>),
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Protocol(Box<str>),
}

/// Whom we wanted, and who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongName {
    /// The name that the certificate must have: the host of the URL, or the one that was configured instead.
    pub expected: String,
    /// The names that it has.
    pub presented: alloc::vec::Vec<String>,
}

impl fmt::Display for WrongName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.presented[..] {
            [] => write!(
                f,
                "no name (those in subjectAltName count, a common name does not), and not for {}",
                self.expected
            ),
            names => write!(f, "{}, and not for {}", names.join(", "), self.expected),
        }
    }
}

impl TlsError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Config(_) | Self::CertificateRequired => Fault::Caller,
            Self::Truncated => Fault::Network,
            _ => Fault::Peer,
        }
    }
}

/// Why TLS can't be configured so. No text of a key is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// Nobody is trusted.
    #[error(
        "no authority is trusted: give one (`TlsBuilder::authority_pem`), or build in the feature tls-platform-roots or tls-bundled-roots"
    )]
    NoAuthority,
    /// The platform has none that can be read.
    #[error("the platform's authorities can't be read: {words}")]
    Platform {
        /// What was the matter.
        words: String,
    },
    /// A PEM text is none, or has not what it must have.
    #[error("{what}: {words}")]
    Pem {
        /// Which one.
        what: &'static str,
        /// What is wrong.
        words: String,
    },
    /// A certificate can't be that of an authority.
    #[error("the certificate of an authority can't be used: {words}")]
    Authority {
        /// What is wrong.
        words: String,
    },
    /// The client's certificate and key can't be used, or do not fit.
    #[error("the client certificate can't be used: {words}")]
    ClientCertificate {
        /// What is wrong.
        words: String,
    },
    /// What the server's certificate must be for is no name.
    #[error("{name:?} is no name or address that a certificate can be for")]
    ServerName {
        /// The name.
        name: String,
    },
}

impl From<TlsConfigError> for TlsError {
    fn from(error: TlsConfigError) -> Self {
        Self::Config(error.into())
    }
}
