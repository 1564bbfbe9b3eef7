use core::fmt;
use core::net::Ipv6Addr;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64, Encoding};
use bytes::{Buf, BytesMut};

use super::{BEFORE_ASKED, Login, ProxyError};
use crate::Cause;
use crate::transport::Layer;

/// What is taken of an answer's header, and of those of interim answers before it, in bytes.
const LONGEST_HEADER: usize = 8 * 1024;
/// What an answer begins with.
const HTTP: &[u8] = b"HTTP/1.";
/// What is told of the proxy's own reason, in characters.
const LONGEST_WORDS: usize = 80;

/// Asks an HTTP proxy for a byte stream: section 9.3.6 of RFC 9110.
pub(super) struct HttpConnect {
    /// Until it is written.
    request: Vec<u8>,
    /// There are credentials in it.
    authorizes: bool,
    /// How long interim answers were.
    taken: usize,
    /// Where the first line begins that has not come as a whole.
    line: usize,
    is_open: bool,
}

impl HttpConnect {
    /// The host is one that can be asked for.
    pub(super) fn new(host: &str, port: u16, login: Option<&Login>) -> Self {
        let authority = if host.parse::<Ipv6Addr>().is_ok() {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        if let Some(Login {
            user_name,
            password,
        }) = login
        {
            let pair = [user_name.as_bytes(), b":", password].concat();
            request.push_str("Proxy-Authorization: Basic ");
            request.push_str(&Base64::encode_string(&pair));
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        Self {
            request: request.into_bytes(),
            authorizes: login.is_some(),
            taken: 0,
            line: 0,
            is_open: false,
        }
    }

    /// How long the header is, if it has come as a whole. What ends a line may lack its CR (section 2.2 of RFC 9112).
    fn header_len(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(len) = bytes[self.line..].iter().position(|byte| *byte == b'\n') {
            let line = &bytes[self.line..self.line + len];
            self.line += len + 1;
            if matches!(line, b"" | b"\r") {
                return Some(core::mem::take(&mut self.line));
            }
        }
        None
    }

    /// Whether the stream is open now. Else another answer follows.
    fn answered(&self, header: &[u8]) -> Result<bool, ProxyError> {
        let mut lines = header.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let (status, words) = lines
            .next()
            .and_then(status_line)
            .ok_or(ProxyError::Malformed("its answer has no status"))?;
        match status {
            // No other protocol was asked for.
            101 => Err(ProxyError::Refused { status, words }),
            100..=199 => Ok(false),
            // Whatever it says of a body, there is none.
            200..=299 if self.request.is_empty() => Ok(true),
            200..=299 => Err(ProxyError::Malformed(BEFORE_ASKED)),
            407 => Err(self.unauthorized(lines)),
            // tinyproxy says so of wrong credentials, and 407 of none.
            401 if self.authorizes => Err(ProxyError::CredentialsRefused),
            _ => Err(ProxyError::Refused { status, words }),
        }
    }

    fn unauthorized<'a>(&self, lines: impl Iterator<Item = &'a [u8]>) -> ProxyError {
        let mut asked = lines.filter_map(challenges).peekable();
        let is_asked = asked.peek().is_some();
        if is_asked && !asked.any(offers_basic) {
            ProxyError::AuthenticationKind
        } else if self.authorizes {
            ProxyError::CredentialsRefused
        } else {
            ProxyError::CredentialsWanted
        }
    }
}

impl Layer for HttpConnect {
    fn read(&mut self, from: &mut BytesMut, _: &mut BytesMut) -> Result<(), Cause> {
        while !self.is_open {
            let begin = from.len().min(HTTP.len());
            if from[..begin] != HTTP[..begin] {
                return Err(Cause::Proxy(ProxyError::NotHttp));
            }
            let room = LONGEST_HEADER - self.taken;
            let Some(len) = self.header_len(&from[..from.len().min(room)]) else {
                if from.len() < room {
                    return Ok(());
                }
                let max = LONGEST_HEADER;
                return Err(Cause::Proxy(ProxyError::HeaderTooLong { max }));
            };
            let header = from.split_to(len);
            self.is_open = self.answered(&header).map_err(Cause::Proxy)?;
            self.taken += len;
        }
        Ok(())
    }

    fn write(&mut self, _: &mut dyn Buf, to: &mut BytesMut) -> Result<(), Cause> {
        to.extend_from_slice(&core::mem::take(&mut self.request));
        Ok(())
    }

    fn wants_write(&self) -> bool {
        !self.request.is_empty()
    }

    fn is_ready(&self) -> bool {
        self.is_open
    }

    fn is_transparent(&self) -> bool {
        self.is_open
    }

    fn is_over(&self) -> bool {
        false
    }

    fn close(&mut self) {
        self.request.clear();
    }

    fn timed_out(&self) -> Cause {
        Cause::Proxy(ProxyError::TimedOut)
    }

    fn cut(&self, cause: Cause) -> Cause {
        super::cut(cause)
    }
}

/// Shows no credentials.
impl fmt::Debug for HttpConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConnect")
            .field("authorizes", &self.authorizes)
            .field("is_open", &self.is_open)
            .finish_non_exhaustive()
    }
}

/// `HTTP/1.x 200 reason`: the status, and what can be shown of the reason.
fn status_line(line: &[u8]) -> Option<(u16, Box<str>)> {
    let (version, rest) = line.strip_prefix(HTTP)?.split_at_checked(2)?;
    let (digits, words) = rest.split_at_checked(3)?;
    let is_status = version[0].is_ascii_digit()
        && version[1] == b' '
        && digits.iter().all(u8::is_ascii_digit)
        && matches!(words, [] | [b' ', ..]);
    if !is_status {
        return None;
    }
    let digits = digits.iter().map(|digit| u16::from(digit - b'0'));
    let status = digits.fold(0, |status, digit| status * 10 + digit);
    let shown = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '?',
    };
    let words = words.trim_ascii().iter().take(LONGEST_WORDS).map(shown);
    Some((status, words.collect::<String>().into()))
}

/// The value of Proxy-Authenticate, if that is what the line is.
fn challenges(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let is_named = line[..colon].eq_ignore_ascii_case(b"Proxy-Authenticate");
    is_named.then_some(&line[colon + 1..])
}

/// Whether one of several challenges, `Negotiate, Basic realm="x, y"` say, begins with this scheme (section 11.6.1 of RFC 9110).
fn offers_basic(challenges: &[u8]) -> bool {
    let (mut in_quotes, mut is_escaped) = (false, false);
    let parts = challenges.split(|byte| {
        let is_literal = core::mem::replace(&mut is_escaped, false);
        match byte {
            b'\\' if in_quotes && !is_literal => is_escaped = true,
            b'"' if !is_literal => in_quotes = !in_quotes,
            b',' => return !in_quotes,
            _ => {}
        }
        false
    });
    parts.into_iter().any(|part| {
        let mut words = part.trim_ascii().split(u8::is_ascii_whitespace);
        words
            .next()
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"Basic"))
    })
}
