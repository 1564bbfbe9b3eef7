use core::fmt;

use alloc::boxed::Box;

use crate::{Fault, Verdict};

/// Why a connection through a proxy failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The name of the server is nothing that a proxy can be asked for; nothing was opened.
    #[error("it can't be asked for this server, whose name {0}")]
    ServerName(&'static str),
    /// It took the connection, but did not answer in time.
    #[error("no answer came in time (timeouts.handshake)")]
    TimedOut,
    /// It closed the connection instead of an answer.
    #[error(
        "it closed the connection before it had answered; it may be a proxy of another kind, or none"
    )]
    Closed,
    /// What answers speaks no HTTP.
    #[error("what answered speaks no HTTP; it may be a SOCKS5 proxy, or none")]
    NotHttp,
    /// What answers speaks no SOCKS5.
    #[error("what answered speaks no SOCKS5; it may be an HTTP proxy, or none")]
    NotSocks5,
    /// It speaks its protocol, but wrongly.
    #[error("it broke the protocol: {0}")]
    Malformed(&'static str),
    /// The header of its answer does not end.
    #[error("the header of its answer is longer than {max} bytes")]
    HeaderTooLong {
        /// What is taken of it, in bytes.
        max: usize,
    },
    /// It wants credentials, and none are configured.
    #[error("it wants credentials, and none are configured (`Proxy::credentials`)")]
    CredentialsWanted,
    /// It does not accept the credentials.
    #[error("it does not accept the credentials that are configured")]
    CredentialsRefused,
    /// It wants us to authenticate in another way than by user name and password.
    #[error(
        "it wants an authentication of another kind than user name and password (HTTP Basic, RFC 1929)"
    )]
    AuthenticationKind,
    /// An HTTP proxy answered with another status than 2xx.
    #[error("it answered {status}{}: {}", in_its_words(.words), meaning(*.status))]
    Refused {
        /// The status.
        status: u16,
        /// The reason that it gave. At most 80 characters, those that can't be printed replaced.
        words: Box<str>,
    },
    /// A SOCKS5 proxy could not connect, or would not.
    #[error("it answered {reply}: {}", socks_meaning(*.reply))]
    SocksRefused {
        /// The reply field (section 6 of RFC 1928).
        reply: u8,
    },
}

impl ProxyError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::ServerName(_)
            | Self::CredentialsWanted
            | Self::CredentialsRefused
            | Self::AuthenticationKind => Fault::Caller,
            // It could not reach the server.
            Self::Refused {
                status: 502..=504, ..
            }
            | Self::SocksRefused { reply: 3..=6 } => Fault::Network,
            _ => Fault::Peer,
        }
    }

    /// What follows: credentials that are refused again and again may lock their account.
    pub(crate) const fn verdict(&self) -> Verdict {
        match self {
            Self::ServerName(_)
            | Self::CredentialsWanted
            | Self::CredentialsRefused
            | Self::AuthenticationKind => Verdict::GiveUp,
            // It may let us go to another one.
            Self::Refused { status: 403, .. } | Self::SocksRefused { reply: 2 } => {
                Verdict::NextServer
            }
            _ => Verdict::Retry,
        }
    }
}

struct InItsWords<'a>(&'a str);

const fn in_its_words(words: &str) -> InItsWords<'_> {
    InItsWords(words)
}

impl fmt::Display for InItsWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            words => write!(f, " ({words})"),
        }
    }
}

/// What a status means as an answer to CONNECT (section 15 of RFC 9110).
const fn meaning(status: u16) -> &'static str {
    match status {
        300..=399 => "it sends us elsewhere, which proxies do not; it may be a web server",
        400 => "it does not understand the request",
        401 => "it wants a login, as web servers do and proxies do not",
        403 => "it does not allow connections to this server or port",
        404 | 405 | 501 => "it knows no CONNECT; it may be a web server",
        408 => "it waited too long for the request",
        429 => "it wants fewer requests",
        _ if status / 100 == 4 => "it refused the request",
        500 => "it failed, or could not reach the server",
        502 => "it could not reach the server",
        503 => "it, or the server, is not available at the moment",
        504 => "the server did not answer it in time",
        _ if status / 100 == 5 => "it failed",
        _ => "that is no answer to CONNECT",
    }
}

/// Section 6 of RFC 1928.
const fn socks_meaning(reply: u8) -> &'static str {
    match reply {
        1 => "general failure of the SOCKS server",
        2 => "its rules do not allow a connection to this server or port",
        3 => "the network of the server is unreachable for it",
        4 => "the server is unreachable for it, or its name unknown",
        5 => "the server refused its connection",
        6 => "the way to the server is too long (TTL expired)",
        7 => "it knows no CONNECT (command not supported)",
        8 => "it does not know this type of address",
        _ => "a failure that has no name",
    }
}

/// Why there can be no such proxy. Nothing of its URL is told: it may be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyConfigError {
    /// There is no scheme, or not one of a proxy.
    #[error("the URL of a proxy begins with http:// or socks5://")]
    Scheme,
    /// TLS on the way to the proxy.
    #[error(
        "TLS to the proxy itself (https://) is not supported; TLS to the server goes through a proxy of http:// as it is"
    )]
    Https,
    /// The host.
    #[error("the host {0}")]
    Host(&'static str),
    /// The port.
    #[error("the port must be a number from 1 to 65535")]
    Port,
    /// User name or password.
    #[error("the {0}")]
    Credentials(&'static str),
    /// There is more than belongs there.
    #[error("nothing may follow the port in the URL of a proxy")]
    Extra,
}
