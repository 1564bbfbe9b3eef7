//! The request to upgrade the connection, and its answer.

use core::fmt;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use bytes::BytesMut;
use tungstenite::handshake::client::{Response, generate_key};
use tungstenite::handshake::derive_accept_key;
use tungstenite::handshake::machine::TryParse;
use tungstenite::http::HeaderMap;

use crate::Endpoint;
use crate::transport::WebSocketError;

/// What the head of an answer may have, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// What every answer begins with.
const HTTP: &[u8] = b"HTTP/";
/// The subprotocol, in all versions of MQTT [MQTT-6.0.0-3].
const SUBPROTOCOL: &str = "mqtt";

pub(super) struct Handshake {
    /// Until it is given away. It may have secrets.
    request: Option<String>,
    /// What proves that the answer is one to our request.
    accept: String,
    /// So much of the answer has no end of a head in it.
    searched: usize,
}

impl Handshake {
    pub(super) fn new(server: &Endpoint, headers: &[(Box<str>, Box<str>)]) -> Self {
        let key = generate_key();
        let mut request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n",
            server.path(),
            host(server),
        );
        for (name, value) in headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        request.push_str("\r\n");
        Self {
            request: Some(request),
            accept: derive_accept_key(key.as_bytes()),
            searched: 0,
        }
    }

    pub(super) const fn take_request(&mut self) -> Option<String> {
        self.request.take()
    }

    pub(super) const fn has_request(&self) -> bool {
        self.request.is_some()
    }

    /// Takes the answer, once it is there as a whole: then bytes pass.
    pub(super) fn read(&mut self, from: &mut BytesMut) -> Result<bool, WebSocketError> {
        let begin = from.len().min(HTTP.len());
        if from[..begin] != HTTP[..begin] {
            return Err(WebSocketError::NotHttp);
        }
        let end = end_of_head(from, self.searched);
        if end.unwrap_or(from.len()) > MAX_HEAD {
            return Err(WebSocketError::BadAnswer("its head is too long".into()));
        }
        let Some(end) = end else {
            // An end that has begun is found again.
            self.searched = from.len().saturating_sub(2);
            return Ok(false);
        };
        let head = from.split_to(end);
        self.check(&head).map(|()| true)
    }

    fn check(&self, head: &[u8]) -> Result<(), WebSocketError> {
        let answer = Response::try_parse(head);
        match status(head) {
            Some(101) => {}
            // Also where the rest can't be read: HTTP/1.0, say.
            Some(status) => {
                let headers = answer.ok().flatten();
                let headers = headers.as_ref().map(|(_, answer)| answer.headers());
                return Err(WebSocketError::Refused {
                    status,
                    location: headers.and_then(location),
                });
            }
            None => return Err(WebSocketError::BadAnswer("it has no status".into())),
        }
        let answer = match answer {
            Ok(Some((_, answer))) => answer,
            Ok(None) => return Err(WebSocketError::BadAnswer("its head has no end".into())),
            Err(error) => return Err(WebSocketError::BadAnswer(format!("{error}").into())),
        };
        let headers = answer.headers();
        // RFC 6455, section 4.1, in its order.
        if !has_token(headers, "upgrade", "websocket") {
            return Err(WebSocketError::NotUpgraded("Upgrade"));
        }
        if !has_token(headers, "connection", "upgrade") {
            return Err(WebSocketError::NotUpgraded("Connection"));
        }
        let accept = headers.get("sec-websocket-accept");
        if accept.is_none_or(|accept| accept.as_bytes().trim_ascii() != self.accept.as_bytes()) {
            return Err(WebSocketError::NotUpgraded("Sec-WebSocket-Accept"));
        }
        let mut extensions = headers.get_all("sec-websocket-extensions").into_iter();
        if let Some(extension) = extensions.find(|value| !value.is_empty()) {
            return Err(WebSocketError::Extension(shown(extension.as_bytes())));
        }
        // [MQTT-6.0.0-4]
        let mut chosen = headers.get_all("sec-websocket-protocol").into_iter();
        let Some(first) = chosen.next() else {
            return Err(WebSocketError::NoSubprotocol);
        };
        let mut chosen = chosen.chain([first]);
        match chosen.find(|name| name.as_bytes() != SUBPROTOCOL.as_bytes()) {
            Some(other) => Err(WebSocketError::OtherSubprotocol(shown(other.as_bytes()))),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Handshake {
    /// Not the request.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("has_request", &self.has_request())
            .finish_non_exhaustive()
    }
}

/// With the port where it is not the usual one (RFC 6455, section 4.1).
fn host(server: &Endpoint) -> String {
    let (host, port) = (server.host(), server.port());
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    if port == server.scheme().default_port() {
        host
    } else {
        format!("{host}:{port}")
    }
}

/// Where the empty line ends, at or behind `from`.
fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len()).find_map(|at| match &bytes[at..] {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// `HTTP/1.1 101 Switching Protocols`
fn status(head: &[u8]) -> Option<u16> {
    let mut words = head.split(|byte| byte.is_ascii_whitespace());
    let status = words.nth(1).filter(|word| word.len() == 3)?;
    core::str::from_utf8(status).ok()?.parse().ok()
}

/// Where a redirect leads, without what may be a token.
fn location(headers: &HeaderMap) -> Option<Box<str>> {
    let location = headers.get("location")?.as_bytes();
    let end = location.iter().position(|byte| matches!(byte, b'?' | b'#'));
    Some(shown(&location[..end.unwrap_or(location.len())]))
}

/// Whether the header, which may stand there several times, has this among its values.
fn has_token(headers: &HeaderMap, name: &str, token: &str) -> bool {
    let mut values = headers.get_all(name).into_iter();
    values.any(|value| {
        let mut tokens = value.as_bytes().split(|byte| *byte == b',');
        tokens.any(|one| one.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

/// The peer's words, for people.
pub(super) fn shown(words: &[u8]) -> Box<str> {
    const MOST: usize = 200;
    let (words, more) = match words.split_at_checked(MOST) {
        Some((words, more)) if !more.is_empty() => (words, "..."),
        _ => (words, ""),
    };
    format!("{}{more}", words.escape_ascii()).into()
}
