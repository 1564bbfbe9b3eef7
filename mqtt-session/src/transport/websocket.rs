//! WebSocket (RFC 6455), as MQTT uses it: how it is configured.
//!
//! tungstenite has the wire format: keys, the answer's head, the headers of frames. Its own loop is not used. It holds a frame until it is there as a
//! whole, reserves what a header claims, refuses a handshake that comes in small pieces, and writes what it sends to the log, passwords
//! included.

mod frames;
mod handshake;
mod layer;

use core::fmt;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::Endpoint;
use crate::transport::HeaderError;

pub(super) use layer::WebSocketLayer;

/// How WebSocket is done for `ws://` and `wss://`, apart from what the URL says.
///
/// ```
/// use mqtt_session::Config;
/// use mqtt_session::transport::WebSocket;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let websocket = WebSocket::new().header("Authorization", "Bearer xyz")?;
/// let config = Config::builder("sensor-7").websocket(websocket).build()?;
/// # Ok(())
/// # }
/// ```
///
/// Path and query of the request are those of the URL. The subprotocol is `mqtt`, in all versions of MQTT, and a server that does not choose it is
/// not spoken to. User name and password of a URL are those of MQTT; the server's front end, if it wants some, gets them as a header.
#[derive(Clone, Default)]
pub struct WebSocket {
    headers: Vec<(Box<str>, Box<str>)>,
}

impl WebSocket {
    /// What all headers may have together, in bytes.
    pub const MAX_HEADERS: usize = 16 * 1024;

    /// No headers but those that WebSocket needs.
    pub const fn new() -> Self {
        Self {
            headers: Vec::new(),
        }
    }

    /// One more header for the request that opens the connection, for every WebSocket server of the configuration and those that they send us to. Of
    /// the same name there may be several. `Debug` shows the name and not the value.
    ///
    /// # Errors
    ///
    /// The name is none or one of WebSocket's own, the value has other characters than visible ASCII and spaces within, or there are more than
    /// [`MAX_HEADERS`](Self::MAX_HEADERS) bytes of headers.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, HeaderError> {
        let name: Box<str> = name.into();
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(HeaderError::Name { name });
        }
        if is_own(&name) {
            return Err(HeaderError::Own { name });
        }
        let is_text = |byte: u8| matches!(byte, b' ' | b'\t' | 0x21..=0x7E);
        if value.trim_ascii() != value || !value.bytes().all(is_text) {
            return Err(HeaderError::Value { name });
        }
        let others = self.headers.iter();
        let others = others.map(|(name, value)| name.len() + value.len());
        if others.sum::<usize>() + name.len() + value.len() > Self::MAX_HEADERS {
            return Err(HeaderError::TooLong { name });
        }
        self.headers.push((name, value.into()));
        Ok(self)
    }
}

impl fmt::Debug for WebSocket {
    /// Not the values: they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("WebSocket")
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// The layer for an attempt at this server.
pub(super) fn layer(websocket: Option<&WebSocket>, server: &Endpoint) -> WebSocketLayer {
    let headers = websocket.map_or(&[][..], |websocket| &websocket.headers);
    WebSocketLayer::new(server, headers)
}

/// RFC 9110, section 5.6.2.
const fn is_token(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        || byte.is_ascii_alphanumeric()
}

/// What is the handshake's own, or would make a request with a body of it.
fn is_own(name: &str) -> bool {
    const OWN: [&str; 5] = [
        "host",
        "upgrade",
        "connection",
        "content-length",
        "transfer-encoding",
    ];
    let name = name.to_ascii_lowercase();
    OWN.contains(&&*name) || name.starts_with("sec-websocket-")
}
