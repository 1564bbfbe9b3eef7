use alloc::borrow::ToOwned;
use alloc::string::String;
use core::str::FromStr;

use super::{Kind, Login, Proxy, ProxyConfigError};
use crate::endpoint::{decode, split_port};

impl Proxy {
    /// Reads a URL: `http://host:port`, `socks5://user:password@host:port`.
    ///
    /// | scheme | port where there is none |
    /// |---|---|
    /// | `http` | 80 |
    /// | `socks5`, `socks5h` | 1080 |
    ///
    /// User name and password are percent-encoded, and an IPv6 address stands in brackets. `socks5h` is what some programs call a SOCKS5 proxy that
    /// looks names up, which here each does.
    ///
    /// # Errors
    ///
    /// Anything else, and what [`ConfigBuilder::build`](crate::ConfigBuilder::build) would refuse. No error repeats anything of the URL.
    pub fn parse(url: &str) -> Result<Self, ProxyConfigError> {
        let (scheme, rest) = url.split_once("://").ok_or(ProxyConfigError::Scheme)?;
        let is = |name: &str| scheme.eq_ignore_ascii_case(name);
        let (kind, default_port) = if is("http") {
            (Kind::Http, 80)
        } else if is("socks5") || is("socks5h") {
            (Kind::Socks5, 1080)
        } else if is("https") {
            return Err(ProxyConfigError::Https);
        } else {
            return Err(ProxyConfigError::Scheme);
        };
        let (server, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if tail.contains('@') {
            return Err(ProxyConfigError::Credentials(
                "characters / ? # of user name and password must be percent-encoded",
            ));
        }
        if !matches!(tail, "" | "/") {
            return Err(ProxyConfigError::Extra);
        }
        let (login, server) = match server.rsplit_once('@') {
            Some((login, server)) => (Some(parse_login(login)?), server),
            None => (None, server),
        };
        let (host, port) = split_port(server).ok_or(ProxyConfigError::Host(
            "has a bracket that is not closed (an IPv6 address stands in brackets)",
        ))?;
        let port = match port {
            Some(port) => port.parse().map_err(|_| ProxyConfigError::Port)?,
            None => default_port,
        };
        let proxy = Self {
            login,
            ..Self::new(kind, host.to_owned(), port)
        };
        proxy.check()?;
        Ok(proxy)
    }
}

impl FromStr for Proxy {
    type Err = ProxyConfigError;

    fn from_str(url: &str) -> Result<Self, ProxyConfigError> {
        Self::parse(url)
    }
}

fn parse_login(text: &str) -> Result<Login, ProxyConfigError> {
    let (user_name, password) = text.split_once(':').unwrap_or((text, ""));
    let encoding = ProxyConfigError::Credentials(
        "credentials have a % that is not followed by two hex digits (%25 is a % of its own)",
    );
    let user_name = decode(user_name).ok_or(encoding)?;
    Ok(Login {
        user_name: String::from_utf8(user_name)
            .map_err(|_| ProxyConfigError::Credentials("user name is no UTF-8"))?,
        password: decode(password).ok_or(encoding)?.into(),
    })
}
