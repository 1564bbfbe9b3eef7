//! The driver's thread: the loop itself is the one of the asynchronous drivers, polled after each wait.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

#[cfg(unix)]
use mqtt_session::Scheme;
use mqtt_session::client::Port;
use mqtt_session::client::drive::{Drive, Opening, Runtime};
use mqtt_session::{Endpoint, Instant};

use crate::lookup::{Look, look_up};
use crate::reactor::Reactor;
use crate::socket::{Dialer, dial};
use crate::stream::Stream;

/// The part of a client that does I/O: a loop, for a thread of its own.
///
/// Dropping it closes the connection without a DISCONNECT, and ends whatever the client waits for as closed.
#[must_use = "nothing happens unless the driver is run"]
pub struct Driver {
    drive: Drive<Mio>,
    reactor: Arc<Reactor>,
    done: bool,
}

impl Driver {
    pub(crate) fn new(port: Port, epoch: std::time::Instant, ways: Ways) -> io::Result<Self> {
        let reactor = Reactor::new(epoch)?;
        let mio = Mio {
            reactor: Arc::clone(&reactor),
            ways,
        };
        let drive = Drive::new(port, mio);
        Ok(Self {
            drive,
            reactor,
            done: false,
        })
    }

    /// Runs until the session is closed, and its connection with it.
    pub fn run(mut self) {
        while !self.run_until(None) {}
    }

    /// Runs for so long at most, for a thread that has other things to do from time to time: nothing happens to the connection meanwhile.
    /// Whether it is done: the session is closed, and its connection with it.
    pub fn run_for(&mut self, timeout: Duration) -> bool {
        self.run_until(std::time::Instant::now().checked_add(timeout))
    }

    fn run_until(&mut self, until: Option<std::time::Instant>) -> bool {
        let waker = self.reactor.waker();
        let mut context = Context::from_waker(&waker);
        while !self.done {
            self.done = Pin::new(&mut self.drive).poll(&mut context).is_ready();
            let rest =
                until.map(|until| until.saturating_duration_since(std::time::Instant::now()));
            if self.done || rest.is_some_and(|rest| rest.is_zero()) {
                break;
            }
            // Where the system can't wait any more nothing can be done from here on, and the client is told as of a driver that was dropped.
            self.done = self.reactor.wait(rest).is_err();
        }
        self.done
    }
}

/// How the application finds servers, where it does.
pub(crate) struct Ways {
    pub(crate) look: Look,
    pub(crate) dialer: Option<Dialer>,
}

/// What there is for a driver in place of a runtime.
struct Mio {
    reactor: Arc<Reactor>,
    ways: Ways,
}

impl Runtime for Mio {
    type Stream = Stream;

    fn resolve(&mut self, host: String, port: u16) -> Opening<Vec<SocketAddr>> {
        look_up(&self.ways.look, host, port)
    }

    fn dial(&mut self, addr: SocketAddr) -> Opening<Stream> {
        Box::pin(Stream::connect(Arc::clone(&self.reactor), addr))
    }

    fn open(&mut self, server: &Endpoint) -> Option<Opening<Stream>> {
        let reactor = Arc::clone(&self.reactor);
        if let Some(dialer) = &self.ways.dialer {
            let dialled = dial(dialer, server);
            return Some(Box::pin(
                async move { Stream::open(&reactor, dialled.await?) },
            ));
        }
        #[cfg(unix)]
        if server.scheme() == Scheme::Unix {
            let path = server.path().to_owned();
            return Some(Box::pin(Stream::connect_unix(reactor, path)));
        }
        None
    }

    fn set_timer(&mut self, at: Instant) {
        self.reactor.set_timer(at);
    }

    fn poll_timer(&mut self, _context: &mut Context<'_>) -> Poll<()> {
        if self.reactor.timer_fired() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}
