use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::net::Ipv6Addr;

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
        /// What was given, as far as it is surely no password.
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
        /// What was given, as far as it is surely no password.
        url: String,
    },
    /// The port is no number from 1 to 65,535.
    #[error("{} is no port; it must be a number from 1 to 65535", named_port(.port))]
    BadPort {
        /// The number that stands there. Empty where it is none: what stands behind a colon may be a password.
        port: String,
    },
    /// There is more than host and port.
    #[error("{extra:?} does not belong into the URL{}", advice(.extra))]
    Extra {
        /// What is too much: a path, or of parameters their beginning; `user:password@` stands for any credentials.
        extra: String,
    },
}

/// What is shown for whatever stands before an `@`.
const CREDENTIALS: &str = "user:password@";

fn named_port(port: &str) -> String {
    if port.is_empty() {
        "what follows the host".to_owned()
    } else {
        alloc::format!("{port:?}")
    }
}

fn advice(extra: &str) -> &'static str {
    if extra == CREDENTIALS {
        "; credentials go into the configuration"
    } else {
        ""
    }
}

/// Text up to where a password or a parameter may begin: a number behind a colon is taken for a port.
fn shown(text: &str) -> String {
    let port = text.find(':').map(|colon| colon + 1);
    let end = port.filter(|&port| !text[port..].bytes().all(|byte| byte.is_ascii_digit()));
    let end = end.into_iter().chain(text.find(['/', '?', '#', '=']));
    match end.min() {
        Some(end) => alloc::format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
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
        // What stands before an @ may be a password, whatever else is wrong.
        Self::refuse_credentials(url)?;
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| EndpointError::NoScheme { url: shown(url) })?;
        if !["mqtt", "tcp"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
        {
            return Err(EndpointError::UnknownScheme {
                scheme: shown(scheme),
            });
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (server, extra) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let no_host = || {
            // Only what may be an address or a port: the rest may be a password.
            let is_address = rest.trim_start_matches('[').parse::<Ipv6Addr>().is_ok()
                || rest
                    .trim_start_matches(':')
                    .bytes()
                    .all(|byte| byte.is_ascii_digit());
            let rest = if is_address { rest } else { "..." };
            EndpointError::NoHost {
                url: alloc::format!("{scheme}://{rest}"),
            }
        };
        let (host, port) = match server.strip_prefix('[') {
            Some(server) => {
                let (host, after) = server.split_once(']').ok_or_else(no_host)?;
                (
                    host,
                    after
                        .strip_prefix(':')
                        .or((!after.is_empty()).then_some(after)),
                )
            }
            None => match server.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (server, None),
            },
        };
        if host.is_empty() {
            return Err(no_host());
        }
        let port = match port {
            None => Self::DEFAULT_PORT,
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => {
                    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
                    return Err(EndpointError::BadPort {
                        port: if is_number { port } else { "" }.to_owned(),
                    });
                }
                Ok(port) => port,
            },
        };
        if !extra.is_empty() {
            let end = extra
                .find(['?', '#', '='])
                .map_or(extra.len(), |cut| cut + 1);
            return Err(EndpointError::Extra {
                extra: extra[..end].to_owned(),
            });
        }
        Ok(Self::new(host, port))
    }

    /// Nothing of what has an `@` in it is repeated: this is for the whole of a list, as a password may have a comma.
    pub(crate) fn refuse_credentials(urls: &str) -> Result<(), EndpointError> {
        if urls.contains('@') {
            return Err(EndpointError::Extra {
                extra: CREDENTIALS.to_owned(),
            });
        }
        Ok(())
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
