//! What tokio has for a driver: name lookup, dialling, and a timer.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

#[cfg(unix)]
use mqtt_session::Scheme;
use mqtt_session::client::drive::{Opening, Runtime};
use mqtt_session::{Endpoint, Instant};
use tokio::net::lookup_host;
use tokio::time::Sleep;

use crate::stream::Stream;

pub(crate) struct Tokio {
    epoch: tokio::time::Instant,
    sleep: Option<Pin<Box<Sleep>>>,
    dialer: Option<Dialer>,
}

/// The application's own.
pub(crate) type Dialer = Box<dyn FnMut(Endpoint) -> Opening<Stream> + Send>;

impl Tokio {
    pub(crate) fn new(epoch: tokio::time::Instant, dialer: Option<Dialer>) -> Self {
        Self {
            epoch,
            sleep: None,
            dialer,
        }
    }
}

impl Runtime for Tokio {
    type Stream = Stream;

    fn resolve(&mut self, host: String, port: u16) -> Opening<Vec<SocketAddr>> {
        Box::pin(async move { lookup_host((host, port)).await.map(Iterator::collect) })
    }

    fn dial(&mut self, addr: SocketAddr) -> Opening<Stream> {
        Box::pin(Stream::connect(addr))
    }

    fn open(&mut self, server: &Endpoint) -> Option<Opening<Stream>> {
        if let Some(dialer) = &mut self.dialer {
            return Some(dialer(server.clone()));
        }
        #[cfg(unix)]
        if server.scheme() == Scheme::Unix {
            return Some(Box::pin(Stream::connect_unix(server.path().to_owned())));
        }
        None
    }

    fn set_timer(&mut self, at: Instant) {
        let at = self.epoch + Duration::from_nanos(at.as_nanos());
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(at),
            None => self.sleep = Some(Box::pin(tokio::time::sleep_until(at))),
        }
    }

    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}
