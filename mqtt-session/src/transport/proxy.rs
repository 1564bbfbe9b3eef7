//! Proxies that open a byte stream to a server on our behalf: they are asked, they answer, and then bytes pass unchanged.

mod http;
mod socks5;
mod url;

use core::fmt;
use core::net::IpAddr;

use alloc::boxed::Box;
use alloc::string::String;
use bytes::Bytes;

use super::{Layer, ProxyConfigError, ProxyError};
use crate::{Cause, Endpoint};
use http::HttpConnect;
use socks5::Socks5;

/// A proxy between here and the servers, set by [`ConfigBuilder::proxy`](crate::ConfigBuilder::proxy).
///
/// | | asked by | authentication |
/// |---|---|---|
/// | [`http`](Self::http) | CONNECT of HTTP/1.1 (section 9.3.6 of RFC 9110) | Basic (RFC 7617) |
/// | [`socks5`](Self::socks5) | CONNECT of SOCKS5 (RFC 1928) | none, or user name and password (RFC 1929) |
///
/// The byte stream leads to the proxy, whose name is looked up here and whose addresses are dialled as those of a server would be. The name
/// of the server is looked up by the proxy. TLS and WebSocket begin behind it, so it sees no more of them than anybody on the way does.
/// Unix sockets are opened directly.
///
/// User name and password go to the proxy as they are, over whatever network leads to it. They are shown by nothing.
///
/// Nothing is read from the environment (`http_proxy` and the like): a program that wants it gives what it finds there to
/// [`parse`](Self::parse).
///
/// ```
/// use mqtt_session::Config;
/// use mqtt_session::transport::Proxy;
///
/// let proxy = Proxy::http("proxy.example", 3128).credentials("sensor", "hunter2");
/// assert_eq!(proxy, Proxy::parse("http://sensor:hunter2@proxy.example:3128")?);
/// let config = Config::builder("sensor-7").proxy(proxy).build()?;
/// # let _ = config;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    login: Option<Login>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    Socks5,
}

/// Has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
struct Login {
    user_name: String,
    password: Bytes,
}

/// What a user name or password for HTTP may have, in bytes: proxies do not take longer headers.
const LONGEST_HTTP_LOGIN: usize = 4096;
/// The same for SOCKS5, whose lengths are single bytes.
const LONGEST_SOCKS5_LOGIN: usize = 255;
/// The longest name of a server: what SOCKS5 can say, and more than a name may have.
const LONGEST_NAME: usize = 255;
const BEFORE_ASKED: &str = "it answered before it was asked";

impl Proxy {
    /// An HTTP proxy by host name or address, and port (often 3128 or 8080).
    pub fn http(host: impl Into<String>, port: u16) -> Self {
        Self::new(Kind::Http, host.into(), port)
    }

    /// A SOCKS5 proxy by host name or address, and port (often 1080).
    pub fn socks5(host: impl Into<String>, port: u16) -> Self {
        Self::new(Kind::Socks5, host.into(), port)
    }

    const fn new(kind: Kind, host: String, port: u16) -> Self {
        Self {
            kind,
            host,
            port,
            login: None,
        }
    }

    /// User name and password for the proxy (none). At most 4,096 bytes each for HTTP, where neither may have control characters and the user
    /// name no colon; at most 255 for SOCKS5, where the user name may not be empty.
    ///
    /// HTTP proxies get them with the first request; SOCKS5 proxies choose whether they want them.
    #[must_use]
    pub fn credentials(self, user_name: impl Into<String>, password: impl AsRef<[u8]>) -> Self {
        let login = Login {
            user_name: user_name.into(),
            password: Bytes::copy_from_slice(password.as_ref()),
        };
        Self {
            login: Some(login),
            ..self
        }
    }

    /// The host name or address of the proxy.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port of the proxy.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether there can be such a proxy.
    pub(crate) fn check(&self) -> Result<(), ProxyConfigError> {
        let is_blank = |c: char| c.is_whitespace() || c.is_control();
        if self.host.is_empty() {
            return Err(ProxyConfigError::Host("is empty"));
        }
        if self.host.contains(is_blank) {
            return Err(ProxyConfigError::Host("has a space or a control character"));
        }
        if self.port == 0 {
            return Err(ProxyConfigError::Port);
        }
        match &self.login {
            Some(login) => login.check(self.kind),
            None => Ok(()),
        }
    }

    /// Whether it can be asked for this server.
    pub(crate) fn check_server(server: &Endpoint) -> Result<(), Cause> {
        check_name(server.host()).map_err(|what| Cause::Proxy(ProxyError::ServerName(what)))
    }

    /// What asks it for this server.
    pub(crate) fn layer(&self, server: &Endpoint) -> Result<Box<dyn Layer>, Cause> {
        Self::check_server(server)?;
        let (host, port, login) = (server.host(), server.port(), self.login.as_ref());
        Ok(match self.kind {
            Kind::Http => Box::new(HttpConnect::new(host, port, login)),
            Kind::Socks5 => Box::new(Socks5::new(host, port, login)),
        })
    }
}

impl Login {
    fn check(&self, kind: Kind) -> Result<(), ProxyConfigError> {
        let (user_name, password) = (self.user_name.as_bytes(), &self.password[..]);
        let too_long = |max| user_name.len() > max || password.len() > max;
        let what = match kind {
            // Section 2 of RFC 7617.
            Kind::Http if user_name.contains(&b':') => {
                "user name has a colon, which HTTP can't carry"
            }
            Kind::Http if has_control(user_name) || has_control(password) => {
                "user name or the password has a control character, which HTTP does not allow"
            }
            Kind::Http if too_long(LONGEST_HTTP_LOGIN) => {
                "user name or the password is longer than 4096 bytes"
            }
            // Section 2 of RFC 1929. It has no empty password either, but is often spoken with one.
            Kind::Socks5 if user_name.is_empty() => {
                "user name is empty, which SOCKS5 does not allow"
            }
            Kind::Socks5 if too_long(LONGEST_SOCKS5_LOGIN) => {
                "user name or the password is longer than 255 bytes, which SOCKS5 can't carry"
            }
            _ => return Ok(()),
        };
        Err(ProxyConfigError::Credentials(what))
    }
}

/// What it means that the stream has ended before the proxy had answered.
fn cut(cause: Cause) -> Cause {
    match cause {
        Cause::Eof | Cause::ConnectionReset => Cause::Proxy(ProxyError::Closed),
        cause => cause,
    }
}

fn has_control(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_control)
}

/// Whether a server of this name can be asked for. Anything that could end a line of HTTP or change what it means is no name: it never
/// comes so far.
fn check_name(host: &str) -> Result<(), &'static str> {
    if host.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if host.is_empty() {
        Err("is empty")
    } else if !host.is_ascii() {
        Err("is not in ASCII (an international name is written as xn--...)")
    } else if !host.bytes().all(is_usual) {
        Err("has characters that are not those of a name")
    } else if host.len() > LONGEST_NAME {
        Err("is longer than 255 bytes")
    } else {
        Ok(())
    }
}

/// The URL, without credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Socks5 => "socks5",
        };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("url", &format_args!("{self}"))
            .field("credentials", &self.login.as_ref().map(|_| "(secret)"))
            .finish()
    }
}
