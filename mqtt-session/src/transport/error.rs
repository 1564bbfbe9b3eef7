//! How the layers fail.

mod proxy;
mod tls;
mod websocket;

pub use proxy::{ProxyConfigError, ProxyError};
pub use tls::{TlsConfigError, TlsError, WrongName};
pub use websocket::{HeaderError, WebSocketError};
