//! What tokio has for a driver: name lookup, dialling, and a timer.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use mqtt_session::Instant;
use mqtt_session::client::drive::{Opening, Runtime};
#[cfg(unix)]
use mqtt_session::{Endpoint, Scheme};
use tokio::net::lookup_host;
use tokio::time::Sleep;

use crate::stream::Stream;

pub(crate) struct Tokio {
    epoch: tokio::time::Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Tokio {
    pub(crate) fn new(epoch: tokio::time::Instant) -> Self {
        Self { epoch, sleep: None }
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

    #[cfg(unix)]
    fn open(&mut self, server: &Endpoint) -> Option<Opening<Stream>> {
        let path = (server.scheme() == Scheme::Unix).then(|| server.path().to_owned())?;
        Some(Box::pin(Stream::connect_unix(path)))
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
