//! What async-io has for a driver: dialling and a timer, and name lookup on threads beside it.

use std::future::Future;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant as Clock;

use async_io::Timer;
#[cfg(unix)]
use mqtt_session::Scheme;
use mqtt_session::client::drive::{Opening, Runtime};
use mqtt_session::{Endpoint, Instant};

use crate::stream::Stream;

pub(crate) struct AsyncIo {
    epoch: Clock,
    timer: Timer,
    dialer: Option<Dialer>,
}

/// The application's own.
pub(crate) type Dialer = Box<dyn FnMut(Endpoint) -> Opening<Stream> + Send>;

impl AsyncIo {
    pub(crate) fn new(epoch: Clock, dialer: Option<Dialer>) -> Self {
        Self {
            epoch,
            timer: Timer::never(),
            dialer,
        }
    }
}

impl Runtime for AsyncIo {
    type Stream = Stream;

    fn resolve(&mut self, host: String, port: u16) -> Opening<Vec<SocketAddr>> {
        Box::pin(async move {
            // What is an address already needs no thread.
            if let Ok(ip) = host.parse::<IpAddr>() {
                return Ok(vec![SocketAddr::new(ip, port)]);
            }
            let lookup = move || Ok((host, port).to_socket_addrs()?.collect());
            blocking::unblock(lookup).await
        })
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
        match at.to_std(self.epoch) {
            Some(at) => self.timer.set_at(at),
            None => self.timer = Timer::never(),
        }
    }

    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.timer).poll(context).map(drop)
    }
}
