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
#[cfg(feature = "proxy")]
mod proxy;
mod stack;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "websocket")]
mod websocket;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::{Cause, Endpoint};

pub use error::{
    HeaderError, ProxyConfigError, ProxyError, TlsConfigError, TlsError, WebSocketError, WrongName,
};
pub(crate) use layer::Layer;
#[cfg(feature = "proxy")]
pub use proxy::Proxy;
/// The version of rustls that [`Tls::from_config`] takes a configuration of.
#[cfg(feature = "tls")]
pub use rustls;
pub(crate) use stack::{Input, Stack};
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsBuilder};
#[cfg(feature = "websocket")]
pub use websocket::WebSocket;

/// How the layers are configured: what a URL does not say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transports {
    #[cfg(feature = "proxy")]
    pub(crate) proxy: Option<Proxy>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
    #[cfg(feature = "websocket")]
    pub(crate) websocket: Option<WebSocket>,
    /// Above all others.
    #[cfg(test)]
    pub(crate) tests: Option<tests::MakeLayers>,
}

impl Transports {
    /// Nothing but what URLs say.
    pub(crate) const fn new() -> Self {
        Self {
            #[cfg(feature = "proxy")]
            proxy: None,
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "websocket")]
            websocket: None,
            #[cfg(test)]
            tests: None,
        }
    }

    /// Whether nothing is configured.
    pub(crate) fn is_usual(&self) -> bool {
        #[cfg(feature = "proxy")]
        if self.proxy.is_some() {
            return false;
        }
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            return false;
        }
        #[cfg(feature = "websocket")]
        if self.websocket.is_some() {
            return false;
        }
        #[cfg(test)]
        if self.tests.is_some() {
            return false;
        }
        true
    }

    /// Where the byte stream to this server leads: to the server, or to the proxy before it.
    #[allow(clippy::unused_self, reason = "a proxy may be configured here")]
    pub(crate) fn first_hop<'a>(&'a self, server: &'a Endpoint) -> (&'a str, u16) {
        #[cfg(feature = "proxy")]
        if let Some(proxy) = self.proxy_to(server) {
            return (proxy.host(), proxy.port());
        }
        (server.host(), server.port())
    }

    /// Whether there are layers above the byte stream to this server.
    pub(crate) fn has_layers(&self, server: &Endpoint) -> bool {
        #[cfg(feature = "proxy")]
        if self.proxy_to(server).is_some() {
            return true;
        }
        #[cfg(test)]
        if self.tests.is_some() {
            return true;
        }
        server.scheme().has_tls() || server.scheme().has_websocket()
    }

    /// Whether [`layers`](Self::layers) would give them, as far as that is known before anything is opened.
    #[allow(clippy::unused_self, reason = "layers may be configured here")]
    pub(crate) fn check(&self, server: &Endpoint) -> Result<(), Cause> {
        #[cfg(feature = "proxy")]
        if self.proxy_to(server).is_some() {
            Proxy::check_server(server)?;
        }
        #[cfg(feature = "tls")]
        if server.scheme().has_tls() {
            tls::check(self.tls.as_ref(), server)?;
        }
        let _ = server;
        Ok(())
    }

    /// The layers for an attempt at this server, the lowest first: proxy, TLS, WebSocket. None where the bytes of the stream are those of the
    /// session.
    pub(crate) fn layers(&self, server: &Endpoint) -> Result<Vec<Box<dyn Layer>>, Cause> {
        #[allow(unused_mut, reason = "there may be layers")]
        let mut layers: Vec<Box<dyn Layer>> = Vec::new();
        #[cfg(feature = "proxy")]
        if let Some(proxy) = self.proxy_to(server) {
            layers.push(proxy.layer(server)?);
        }
        #[cfg(feature = "tls")]
        if server.scheme().has_tls() {
            layers.push(Box::new(tls::layer(self.tls.as_ref(), server)?));
        }
        #[cfg(feature = "websocket")]
        if server.scheme().has_websocket() {
            layers.push(Box::new(websocket::layer(self.websocket.as_ref(), server)));
        }
        let _ = server;
        #[cfg(test)]
        if let Some(tests) = self.tests {
            layers.extend(tests());
        }
        Ok(layers)
    }

    /// The proxy on the way to this server. There is none before a socket of this machine.
    #[cfg(feature = "proxy")]
    fn proxy_to(&self, server: &Endpoint) -> Option<&Proxy> {
        let proxy = self.proxy.as_ref();
        proxy.filter(|_| server.scheme() != crate::Scheme::Unix)
    }
}
