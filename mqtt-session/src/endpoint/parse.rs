use alloc::borrow::ToOwned;
use alloc::string::String;
use core::net::Ipv6Addr;

use mqtt_proto::Text;

use super::percent::decode;
use super::{Endpoint, EndpointError, More, Options, Scheme};
use crate::Credentials;

impl Endpoint {
    /// Reads a URL: `scheme://host`, `scheme://user:password@host:port/path?parameters`.
    ///
    /// | scheme | port | path | parameters |
    /// |---|---|---|---|
    /// | `mqtt`, `tcp` | 1883 | none | options |
    /// | `mqtts`, `tls`, `ssl` | 8883 | none | options |
    /// | `ws` | 80 | that of the request (`/`) | those of the request |
    /// | `wss` | 443 | that of the request (`/`) | those of the request |
    /// | `unix` | none: `unix:///run/mqtt.sock` | the socket | options |
    ///
    /// An IPv6 address stands in brackets. User name, password, options and the path of a Unix socket are percent-encoded. Options are
    /// `client_id`, `keep_alive` in seconds and `clean_start` (`true` or `false`).
    ///
    /// What a URL says wins over what the configuration says, and what the application answers when it is asked for credentials wins over both.
    /// Credentials are those of this server and of whom it sends us to. Options are the session's: the servers of a list
    /// must not contradict each other.
    ///
    /// # Errors
    ///
    /// Anything else, a parameter that is not known included: nothing is silently ignored. No error repeats what may be a password.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        let (scheme, rest) = split_scheme(url)?;
        let (rest, fragment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
        let (server, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        // Else a slash in a password would make the rest of it a path, and that could be shown.
        if tail.contains('@') || fragment.contains('@') {
            return Err(EndpointError::BadCredentials {
                what: "in user name and password / ? and # must be percent-encoded, and so must an @ behind the host",
            });
        }
        if !fragment.is_empty() {
            return Err(EndpointError::Extra {
                extra: "#".to_owned(),
            });
        }
        let (credentials, server) = match server.rsplit_once('@') {
            Some((user, server)) => (parse_credentials(user)?, server),
            None => (None, server),
        };
        let (path, query) = match tail.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (tail, None),
        };
        let mut endpoint = if scheme == Scheme::Unix {
            if !server.is_empty() {
                return Err(EndpointError::BadPath);
            }
            Self::of(scheme, String::new(), 0)
        } else {
            let (host, port) = parse_server(scheme, server)?;
            Self::of(scheme, host.to_owned(), port)
        };
        let path = match scheme {
            Scheme::Unix => parse_socket(path)?,
            Scheme::Ws | Scheme::Wss if tail.starts_with('/') => tail.to_owned(),
            Scheme::Ws | Scheme::Wss => alloc::format!("/{tail}"),
            Scheme::Mqtt | Scheme::Mqtts if matches!(path, "" | "/") => String::new(),
            Scheme::Mqtt | Scheme::Mqtts => {
                let end = path.find('=').map_or(path.len(), |cut| cut + 1);
                return Err(EndpointError::Extra {
                    extra: path[..end].to_owned(),
                });
            }
        };
        // They become lines of a request.
        let is_visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if scheme.has_websocket() && !(is_visible(&path) && is_visible(endpoint.host())) {
            return Err(EndpointError::NotAscii);
        }
        let options = match query {
            Some(query) if !scheme.has_websocket() => Options::parse(query)?,
            _ => Options::default(),
        };
        let more = More {
            path: path.into(),
            credentials,
            options,
        };
        if more != More::default() {
            endpoint.more = Some(more.into());
        }
        Ok(endpoint)
    }

    /// Reads what a server says of where to go: a URL, or the rest of one behind the scheme of the server that it comes from, and then with the
    /// path of that. It has no say in who we are, so it brings neither credentials nor options.
    pub(crate) fn parse_reference(named: &str, from: &Self) -> Result<Self, EndpointError> {
        let extra = |extra: &str| EndpointError::Extra {
            extra: extra.to_owned(),
        };
        if named.contains('@') {
            return Err(extra("user:password@"));
        }
        let mut endpoint = if named.contains("://") {
            Self::parse(named)?
        } else if from.scheme.has_websocket() && !named.contains(['/', '?']) {
            Self::parse(&alloc::format!("{}://{named}{}", from.scheme, from.path()))?
        } else {
            let scheme = match from.scheme {
                Scheme::Unix => Scheme::Mqtt,
                scheme => scheme,
            };
            Self::parse(&alloc::format!("{scheme}://{named}"))?
        };
        match &mut endpoint.more {
            Some(more) if more.options != Options::default() => Err(extra("?")),
            _ => Ok(endpoint),
        }
    }
}

fn split_scheme(url: &str) -> Result<(Scheme, &str), EndpointError> {
    let (name, rest) = url
        .split_once("://")
        .ok_or_else(|| EndpointError::NoScheme { url: shown(url) })?;
    let scheme = Scheme::parse(name).ok_or_else(|| EndpointError::UnknownScheme {
        scheme: shown(name),
    })?;
    match scheme.lacks() {
        Some(feature) => Err(EndpointError::LacksFeature {
            scheme: scheme.name(),
            feature,
        }),
        None => Ok((scheme, rest)),
    }
}

/// Text up to where a password or a parameter may begin: a number behind a colon is taken for a port.
fn shown(text: &str) -> String {
    if text.contains('@') {
        return "...".to_owned();
    }
    let port = text.find(':').map(|colon| colon + 1);
    let end = port.filter(|&port| !text[port..].bytes().all(|byte| byte.is_ascii_digit()));
    let end = end.into_iter().chain(text.find(['/', '?', '#', '=']));
    match end.min() {
        Some(end) => alloc::format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn parse_server(scheme: Scheme, server: &str) -> Result<(&str, u16), EndpointError> {
    let no_host = || {
        // Only what may be an address or a port: the rest may be a password.
        let is_address = server.trim_start_matches('[').parse::<Ipv6Addr>().is_ok()
            || server
                .trim_start_matches(':')
                .bytes()
                .all(|byte| byte.is_ascii_digit());
        let server = if is_address { server } else { "..." };
        EndpointError::NoHost {
            url: alloc::format!("{scheme}://{server}"),
        }
    };
    let (host, port) = split_port(server).ok_or_else(no_host)?;
    if host.is_empty() {
        return Err(no_host());
    }
    // It is shown wherever a server is, and may be another server's word. Where it becomes a line of a request, less still is allowed.
    if !scheme.has_websocket() && host.chars().any(char::is_control) {
        return Err(EndpointError::BadHost);
    }
    let port = match port.map(|port| (port, port.parse())) {
        None => scheme.default_port(),
        Some((_, Ok(port @ 1..))) => port,
        Some((port, _)) => {
            let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
            return Err(EndpointError::BadPort {
                port: if is_number { port } else { "" }.to_owned(),
            });
        }
    };
    Ok((host, port))
}

/// The host, and what stands where the port does, or nothing where a bracket is not closed.
pub(crate) fn split_port(server: &str) -> Option<(&str, Option<&str>)> {
    Some(match server.strip_prefix('[') {
        Some(server) => {
            let (host, after) = server.split_once(']')?;
            let port = after.strip_prefix(':');
            (host, port.or((!after.is_empty()).then_some(after)))
        }
        None => match server.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (server, None),
        },
    })
}

fn parse_socket(path: &str) -> Result<String, EndpointError> {
    let path = decode(path).and_then(|path| String::from_utf8(path).ok());
    path.filter(|path| path.len() > 1 && path.starts_with('/') && !path.contains('\0'))
        .ok_or(EndpointError::BadPath)
}

fn parse_credentials(text: &str) -> Result<Option<Credentials>, EndpointError> {
    let broken = |what| EndpointError::BadCredentials { what };
    let encoding = "a % must be followed by two hex digits (%25 is a % of its own)";
    let (user_name, password) = match text.split_once(':') {
        Some((user_name, password)) => (user_name, Some(password)),
        None => (text, None),
    };
    let user_name = decode(user_name).ok_or_else(|| broken(encoding))?;
    let user_name =
        String::from_utf8(user_name).map_err(|_| broken("the user name is no UTF-8"))?;
    let user_name =
        Text::try_from(user_name).map_err(|_| broken("the user name is no MQTT string"))?;
    let password = match password {
        Some(password) => Some(decode(password).ok_or_else(|| broken(encoding))?.into()),
        None => None,
    };
    let credentials = Credentials {
        user_name: (!user_name.is_empty()).then_some(user_name),
        password,
    };
    Ok((credentials != Credentials::none()).then_some(credentials))
}
