use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

/// A server to connect to: a host name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    host: Box<str>,
    port: u16,
}

/// Why a URL names no server that can be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// There is no `scheme://`.
    #[error("{url:?} has no scheme; write mqtt://host or mqtt://host:port")]
    NoScheme {
        /// What was given.
        url: String,
    },
    /// The scheme is not one of this build.
    #[error(
        "the scheme {scheme:?} is not supported: there are mqtt:// and tcp://; TLS and WebSocket are not there yet"
    )]
    UnknownScheme {
        /// The scheme.
        scheme: String,
    },
    /// There is no host.
    #[error("{url:?} has no host; an IPv6 address stands in brackets: mqtt://[::1]:1883")]
    NoHost {
        /// What was given.
        url: String,
    },
    /// The port is no number from 1 to 65,535.
    #[error("{port:?} is no port; it must be a number from 1 to 65535")]
    BadPort {
        /// What stands there.
        port: String,
    },
    /// There is more than host and port.
    #[error("{extra:?} does not belong into the URL; credentials go into the configuration")]
    Extra {
        /// What is too much.
        extra: String,
    },
}

impl Endpoint {
    /// The port of MQTT over plain TCP.
    pub const DEFAULT_PORT: u16 = 1883;

    /// A server by host name or address, and port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into().into(),
            port,
        }
    }

    /// Reads `mqtt://host`, `mqtt://host:port`, or the same with `tcp://`. An IPv6 address stands in brackets.
    ///
    /// # Errors
    ///
    /// Anything else: credentials, a path or parameters have no meaning here and are not silently ignored.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        // What stands before an @ may be a password: it is not repeated.
        let own = || match url.rsplit_once('@') {
            Some((_, rest)) => alloc::format!("user:password@{rest}"),
            None => url.to_owned(),
        };
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| EndpointError::NoScheme { url: own() })?;
        if !["mqtt", "tcp"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
        {
            return Err(EndpointError::UnknownScheme {
                scheme: scheme.to_owned(),
            });
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if let Some(at) = rest.find(['/', '?', '#', '@']) {
            let extra = if rest.contains('@') {
                "user:password@"
            } else {
                &rest[at..]
            };
            return Err(EndpointError::Extra {
                extra: extra.to_owned(),
            });
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest
                    .split_once(']')
                    .ok_or_else(|| EndpointError::NoHost { url: own() })?;
                (
                    host,
                    after
                        .strip_prefix(':')
                        .or((!after.is_empty()).then_some(after)),
                )
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        if host.is_empty() {
            return Err(EndpointError::NoHost { url: own() });
        }
        let port = match port {
            None => Self::DEFAULT_PORT,
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => {
                    return Err(EndpointError::BadPort {
                        port: port.to_owned(),
                    });
                }
                Ok(port) => port,
            },
        };
        Ok(Self::new(host, port))
    }

    /// The host name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}
