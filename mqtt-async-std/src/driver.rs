//! The driver as a future of this crate: the loop itself is the same on each runtime.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use mqtt_session::client::Port;
use mqtt_session::client::drive::Drive;

use crate::runtime::AsyncIo;

/// The part of a client that does I/O: a future that must be polled for anything to happen. It resolves when the session is
/// closed.
///
/// It may run on any executor: sockets and timers are waited for by the thread that async-io has for it.
///
/// Dropping it closes the connection without a DISCONNECT, and ends whatever the client waits for as closed.
#[must_use = "nothing happens unless the driver is spawned or awaited"]
pub struct Driver(Drive<AsyncIo>);

impl Driver {
    pub(crate) fn new(port: Port, runtime: AsyncIo) -> Self {
        Self(Drive::new(port, runtime))
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}
