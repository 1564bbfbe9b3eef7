use alloc::borrow::ToOwned;
use alloc::string::String;

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
    /// There is no such scheme.
    #[error(
        "the scheme {scheme:?} is not known: there are mqtt (tcp), mqtts (tls, ssl), ws, wss and unix"
    )]
    UnknownScheme {
        /// The scheme.
        scheme: String,
    },
    /// The scheme needs a feature of this crate that is not built in.
    #[error("the scheme {scheme:?} needs the feature `{feature}`, which is not built in")]
    LacksFeature {
        /// The scheme.
        scheme: &'static str,
        /// The feature of `mqtt-session`, and of the adapter crate.
        feature: &'static str,
    },
    /// There is no host.
    #[error("{url:?} has no host; an IPv6 address stands in brackets: mqtt://[::1]:1883")]
    NoHost {
        /// What was given, as far as it is surely no password.
        url: String,
    },
    /// The host has control characters, as no name has.
    #[error("the host has control characters")]
    BadHost,
    /// The port is no number from 1 to 65,535.
    #[error("{} is no port; it must be a number from 1 to 65535", named_port(.port))]
    BadPort {
        /// The number that stands there. Empty where it is none: what stands behind a colon may be a password.
        port: String,
    },
    /// A Unix socket without its absolute path, or with a host.
    #[error("a Unix socket is named by its absolute path: unix:///run/mqtt.sock")]
    BadPath,
    /// Host, path or query of a WebSocket server have characters that an HTTP request can't have.
    #[error(
        "host, path and query of a WebSocket URL have visible ASCII alone; anything else must be percent-encoded"
    )]
    NotAscii,
    /// User name or password are not written as a URL has them.
    #[error("the credentials in the URL are not well-formed: {what}")]
    BadCredentials {
        /// What is wrong.
        what: &'static str,
    },
    /// A parameter that means nothing.
    #[error(
        "the parameter {} is not known: there are client_id, keep_alive and clean_start",
        named(.name)
    )]
    UnknownOption {
        /// Its name. Empty where it has no value: it may be one without its name.
        name: String,
    },
    /// A parameter with a value that it can't have.
    #[error("the parameter {name:?} must be {wanted}")]
    BadOption {
        /// Its name.
        name: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
    /// A parameter that is there twice, or that two URLs of a list have with different values: it is one of the session, not of a server.
    #[error("the parameter {name:?} is given twice, with different values")]
    OptionTwice {
        /// Its name.
        name: &'static str,
    },
    /// There is more than belongs there.
    #[error("{extra:?} does not belong in the URL")]
    Extra {
        /// What is too much: a path, `#` for what follows one, `user:password@` and `?` for credentials and parameters where a server names
        /// another one.
        extra: String,
    },
}

fn named_port(port: &str) -> String {
    if port.is_empty() {
        "what follows the host".to_owned()
    } else {
        alloc::format!("{port:?}")
    }
}

fn named(name: &str) -> String {
    if name.is_empty() {
        "without a value".to_owned()
    } else {
        alloc::format!("{name:?}")
    }
}

impl EndpointError {
    /// The same without any text of the URL: of a list with a password in it, which may have had a comma.
    pub(crate) fn censored(self) -> Self {
        let dots = || "...".to_owned();
        match self {
            Self::NoScheme { .. } => Self::NoScheme { url: dots() },
            Self::UnknownScheme { .. } => Self::UnknownScheme { scheme: dots() },
            Self::NoHost { .. } => Self::NoHost { url: dots() },
            Self::BadPort { .. } => Self::BadPort {
                port: String::new(),
            },
            Self::UnknownOption { .. } => Self::UnknownOption { name: dots() },
            Self::Extra { .. } => Self::Extra { extra: dots() },
            said => said,
        }
    }
}
