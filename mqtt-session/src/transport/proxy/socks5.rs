use core::fmt;
use core::net::IpAddr;

use alloc::vec::Vec;
use bytes::{Buf, BufMut, BytesMut};

use super::{BEFORE_ASKED, Login, ProxyError};
use crate::Cause;
use crate::transport::Layer;

const VERSION: u8 = 5;
/// Of user name and password (RFC 1929).
const LOGIN_VERSION: u8 = 1;
/// Methods of authentication.
const NONE: u8 = 0;
const LOGIN: u8 = 2;
const NO_METHOD: u8 = 0xFF;
const CONNECT: u8 = 1;
/// Types of address.
const IP_V4: u8 = 1;
const NAME: u8 = 3;
const IP_V6: u8 = 4;

/// Asks a SOCKS5 proxy for a byte stream: RFC 1928.
pub(super) struct Socks5 {
    stage: Stage,
    /// To be said next.
    say: Vec<u8>,
    /// To be said when it is asked for.
    login: Option<Vec<u8>>,
    request: Vec<u8>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Which authentication it wants.
    Method,
    /// Whether it accepts the login.
    Login,
    /// Whether the stream is open.
    Reply,
    Open,
}

impl Socks5 {
    /// The host is one that can be asked for, and the login one that has lengths of a byte.
    pub(super) fn new(host: &str, port: u16, login: Option<&Login>) -> Self {
        let methods: &[u8] = match login {
            Some(_) => &[VERSION, 2, NONE, LOGIN],
            None => &[VERSION, 1, NONE],
        };
        Self {
            stage: Stage::Method,
            say: methods.into(),
            login: login.map(login_message),
            request: request(host, port),
        }
    }

    /// Takes the next message of the proxy. Whether it was there as a whole.
    fn take(&mut self, from: &mut BytesMut) -> Result<bool, ProxyError> {
        // Before anything else has come this tells whom we talk to.
        if self.stage == Stage::Method && from.first().is_some_and(|first| *first != VERSION) {
            return Err(ProxyError::NotSocks5);
        }
        if !self.say.is_empty() && self.stage != Stage::Open && !from.is_empty() {
            return Err(ProxyError::Malformed(BEFORE_ASKED));
        }
        let taken = match self.stage {
            Stage::Method => {
                let &[_, method, ..] = &from[..] else {
                    return Ok(false);
                };
                self.method(method)?;
                2
            }
            Stage::Login => {
                // Servers do not agree on what the version is that stands before it.
                let &[_, status, ..] = &from[..] else {
                    return Ok(false);
                };
                if status != 0 {
                    return Err(ProxyError::CredentialsRefused);
                }
                self.ask();
                2
            }
            Stage::Reply => match reply_len(from)? {
                Some(len) if len <= from.len() => {
                    self.stage = Stage::Open;
                    len
                }
                _ => return Ok(false),
            },
            Stage::Open => return Ok(false),
        };
        from.advance(taken);
        Ok(true)
    }

    fn method(&mut self, method: u8) -> Result<(), ProxyError> {
        match (method, self.login.take()) {
            (NONE, _) => self.ask(),
            (LOGIN, Some(login)) => {
                self.say.extend(login);
                self.stage = Stage::Login;
            }
            (NO_METHOD, None) => return Err(ProxyError::CredentialsWanted),
            (NO_METHOD, Some(_)) => return Err(ProxyError::AuthenticationKind),
            _ => {
                return Err(ProxyError::Malformed(
                    "it chose an authentication that it was not offered",
                ));
            }
        }
        Ok(())
    }

    fn ask(&mut self) {
        self.say.append(&mut self.request);
        self.stage = Stage::Reply;
    }
}

/// Section 2 of RFC 1929.
fn login_message(login: &Login) -> Vec<u8> {
    let mut message = Vec::new();
    message.put_u8(LOGIN_VERSION);
    for text in [login.user_name.as_bytes(), &login.password] {
        put_text(text, &mut message);
    }
    message
}

/// Section 4 of RFC 1928.
fn request(host: &str, port: u16) -> Vec<u8> {
    let mut request = Vec::new();
    request.put_slice(&[VERSION, CONNECT, 0]);
    match host.parse() {
        Ok(IpAddr::V4(ip)) => {
            request.put_u8(IP_V4);
            request.put_slice(&ip.octets());
        }
        Ok(IpAddr::V6(ip)) => {
            request.put_u8(IP_V6);
            request.put_slice(&ip.octets());
        }
        Err(_) => {
            request.put_u8(NAME);
            put_text(host.as_bytes(), &mut request);
        }
    }
    request.put_u16(port);
    request
}

/// The length in a byte, and the text, which was found to be short enough.
fn put_text(text: &[u8], to: &mut Vec<u8>) {
    let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
    to.put_u8(len);
    to.put_slice(&text[..len.into()]);
}

/// Section 6 of RFC 1928: how long a reply is that tells of success, as soon as that can be said. Those that do not may be cut short.
fn reply_len(reply: &[u8]) -> Result<Option<usize>, ProxyError> {
    const HEADER: usize = 4;
    const PORT: usize = 2;
    if reply.first().is_some_and(|version| *version != VERSION) {
        let what = "its reply is of another version than its greeting";
        return Err(ProxyError::Malformed(what));
    }
    if let Some(&reply @ 1..) = reply.get(1) {
        return Err(ProxyError::SocksRefused { reply });
    }
    let address = match reply.get(3) {
        None => return Ok(None),
        Some(&IP_V4) => 4,
        Some(&IP_V6) => 16,
        Some(&NAME) => match reply.get(HEADER) {
            None => return Ok(None),
            Some(len) => 1 + usize::from(*len),
        },
        Some(_) => {
            let what = "its reply has an address of a type that there is not";
            return Err(ProxyError::Malformed(what));
        }
    };
    Ok(Some(HEADER + address + PORT))
}

impl Layer for Socks5 {
    fn read(&mut self, from: &mut BytesMut, _: &mut BytesMut) -> Result<(), Cause> {
        while self.take(from).map_err(Cause::Proxy)? {}
        Ok(())
    }

    fn write(&mut self, _: &mut dyn Buf, to: &mut BytesMut) -> Result<(), Cause> {
        to.extend_from_slice(&core::mem::take(&mut self.say));
        Ok(())
    }

    fn wants_write(&self) -> bool {
        !self.say.is_empty()
    }

    fn is_ready(&self) -> bool {
        self.stage == Stage::Open
    }

    fn is_transparent(&self) -> bool {
        self.is_ready()
    }

    fn is_over(&self) -> bool {
        false
    }

    fn close(&mut self) {
        self.say.clear();
    }

    fn timed_out(&self) -> Cause {
        Cause::Proxy(ProxyError::TimedOut)
    }

    fn cut(&self, cause: Cause) -> Cause {
        super::cut(cause)
    }
}

/// Shows no credentials.
impl fmt::Debug for Socks5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socks5")
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
