//! A server as its URL names it.

mod error;
mod options;
mod parse;
mod percent;
mod scheme;

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::hash::{Hash, Hasher};

use crate::Credentials;

pub use error::EndpointError;
pub(crate) use options::Options;
pub use scheme::Scheme;
#[cfg(feature = "proxy")]
pub(crate) use {parse::split_port, percent::decode};

/// A server to connect to: how, and where.
///
/// Two are equal where everything in their URLs is, credentials and options included. `Display` shows no secret: of a server over plain TCP
/// host and port, of any other its URL without credentials, options and query. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    scheme: Scheme,
    port: u16,
    host: Box<str>,
    more: Option<Box<More>>,
}

/// What few URLs have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct More {
    path: Box<str>,
    credentials: Option<Credentials>,
    options: Options,
}

impl Endpoint {
    /// The port of MQTT over plain TCP.
    pub const DEFAULT_PORT: u16 = 1883;

    /// A server over plain TCP, by host name or address, and port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self::of(Scheme::Mqtt, host.into(), port)
    }

    const fn is_plain(&self) -> bool {
        matches!(self.scheme, Scheme::Mqtt)
    }

    fn of(scheme: Scheme, host: String, port: u16) -> Self {
        Self {
            scheme,
            port,
            host: host.into(),
            more: None,
        }
    }

    /// How bytes reach the server.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host name or address. Empty for a Unix socket.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port. 0 for a Unix socket.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Of a Unix socket where it is in the file system; of WebSocket the path and query of the request, which begins with `/`. Else empty.
    pub fn path(&self) -> &str {
        self.more.as_ref().map_or("", |more| &more.path)
    }

    /// User name and password of the URL. This server, and those to which it sends us, get them instead of those of the configuration.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.more.as_ref()?.credentials.as_ref()
    }

    pub(crate) fn options(&self) -> Option<&Options> {
        Some(&self.more.as_ref()?.options)
    }

    /// Whether both URLs lead to the same place.
    pub(crate) fn is_same_server(&self, other: &Self) -> bool {
        self.place() == other.place()
    }

    /// The server sends us to `target`, on behalf of which we log in as we would here.
    pub(crate) fn with_credentials_of(mut self, server: &Self) -> Self {
        if let Some(credentials) = server.credentials() {
            self.more.get_or_insert_default().credentials = Some(credentials.clone());
        }
        self
    }

    fn place(&self) -> (Scheme, &str, u16, &str) {
        (self.scheme, &self.host, self.port, self.path())
    }
}

impl Hash for Endpoint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place().hash(state);
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_plain() {
            write!(f, "{}://", self.scheme)?;
        }
        if self.scheme == Scheme::Unix {
            return f.write_str(self.path());
        }
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)?;
        } else {
            write!(f, "{}:{}", self.host, self.port)?;
        }
        // A query may be a token.
        match self.path().split_once('?') {
            Some((path, _)) => write!(f, "{path}?..."),
            None => f.write_str(self.path()),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Endpoint");
        shown.field("url", &format_args!("{self}"));
        if let Some(more) = &self.more {
            if let Some(credentials) = &more.credentials {
                shown.field("credentials", credentials);
            }
            shown.field("options", &more.options);
        }
        shown.finish()
    }
}
