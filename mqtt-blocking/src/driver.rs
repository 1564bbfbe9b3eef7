//! The driver's thread: the loop itself is the one of the asynchronous drivers, polled after each wait.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use mqtt_session::Instant;
use mqtt_session::client::Port;
use mqtt_session::client::drive::{Drive, Opening, Runtime};

use crate::lookup::{LOOKUP_THREADS, Look, Pool};
use crate::reactor::Reactor;
use crate::stream::Stream;

/// The part of a client that does I/O: a loop, for a thread of its own.
///
/// Dropping it before it [runs](Self::run) ends whatever the client waits for as closed.
#[must_use = "nothing happens unless the driver is run"]
pub struct Driver {
    drive: Drive<Mio>,
    reactor: Arc<Reactor>,
}

impl Driver {
    pub(crate) fn new(port: Port, epoch: std::time::Instant, look: Look) -> io::Result<Self> {
        let reactor = Reactor::new(epoch)?;
        let mio = Mio {
            reactor: Arc::clone(&reactor),
            look,
        };
        let drive = Drive::new(port, mio);
        Ok(Self { drive, reactor })
    }

    /// Runs until the session is closed, and its connection with it.
    pub fn run(mut self) {
        let waker = self.reactor.waker();
        let mut context = Context::from_waker(&waker);
        while Pin::new(&mut self.drive).poll(&mut context).is_pending() {
            if self.reactor.wait().is_err() {
                // The system can't wait any more: nothing can be done from here on, and the client is told as of a driver that was dropped.
                return;
            }
        }
    }
}

/// What there is for a driver in place of a runtime.
struct Mio {
    reactor: Arc<Reactor>,
    look: Look,
}

impl Runtime for Mio {
    type Stream = Stream;

    fn resolve(&mut self, host: String, port: u16) -> Opening<Vec<SocketAddr>> {
        Box::pin(pool().look_up(&self.look, host, port))
    }

    fn dial(&mut self, addr: SocketAddr) -> Opening<Stream> {
        Box::pin(Stream::connect(Arc::clone(&self.reactor), addr))
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

/// The threads for lookups, for all drivers of the process.
fn pool() -> &'static Arc<Pool> {
    static POOL: OnceLock<Arc<Pool>> = OnceLock::new();
    POOL.get_or_init(|| Arc::new(Pool::new(LOOKUP_THREADS)))
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}
