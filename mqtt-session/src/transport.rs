//! What lies between the byte stream and the session: layers that turn bytes into bytes, chosen by the server's URL.
//!
//! | below | | | above |
//! |---|---|---|---|
//! | byte stream of the driver | a proxy | TLS | WebSocket: bytes of the session |
//!
//! A [`Connection`](crate::Connection) stacks those that are needed for an attempt and drives them. So every driver has them without a line of its
//! own. Where none is needed there is no stack, and nothing is paid.

mod error;
mod layer;
mod stack;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::{Cause, Endpoint};

pub use error::{ProxyError, TlsError, WebSocketError};
pub(crate) use layer::Layer;
pub(crate) use stack::{Input, Stack};

/// How the layers are configured: what a URL does not say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transports {
    /// Above all others.
    #[cfg(test)]
    pub(crate) tests: Option<tests::MakeLayers>,
}

impl Transports {
    /// Nothing but what URLs say.
    pub(crate) const fn new() -> Self {
        Self {
            #[cfg(test)]
            tests: None,
        }
    }

    /// Whether nothing is configured.
    pub(crate) fn is_usual(&self) -> bool {
        #[cfg(test)]
        if self.tests.is_some() {
            return false;
        }
        true
    }

    /// Where the byte stream to this server leads: to the server, or to the proxy before it.
    #[expect(clippy::unused_self, reason = "a proxy is configured here")]
    pub(crate) fn first_hop<'a>(&'a self, server: &'a Endpoint) -> (&'a str, u16) {
        (server.host(), server.port())
    }

    /// Whether there are layers above the byte stream to this server.
    pub(crate) fn has_layers(&self, server: &Endpoint) -> bool {
        #[cfg(test)]
        if self.tests.is_some() {
            return true;
        }
        server.scheme().has_tls() || server.scheme().has_websocket()
    }

    /// Whether [`layers`](Self::layers) would give them, as far as that is known before anything is opened.
    #[expect(clippy::unused_self, reason = "the layers are configured here")]
    pub(crate) fn check(&self, _server: &Endpoint) -> Result<(), Cause> {
        Ok(())
    }

    /// The layers for an attempt at this server, the lowest first: proxy, TLS, WebSocket. None where the bytes of the stream are those of the
    /// session.
    pub(crate) fn layers(&self, _server: &Endpoint) -> Result<Vec<Box<dyn Layer>>, Cause> {
        #[cfg_attr(not(test), expect(unused_mut, reason = "there may be layers"))]
        let mut layers: Vec<Box<dyn Layer>> = Vec::new();
        #[cfg(test)]
        if let Some(tests) = self.tests {
            layers.extend(tests());
        }
        Ok(layers)
    }
}
