//! What differs between runtimes.

use std::boxed::Box;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::string::String;
use std::task::{Context, Poll};
use std::vec::Vec;

use bytes::BytesMut;

use crate::{Endpoint, Instant};

/// A lookup or a dial. Dropping it gives it up.
pub type Opening<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// What a runtime has for a [`Drive`](super::Drive): lookups, dials, and one timer.
pub trait Runtime: Unpin {
    /// An open byte stream.
    type Stream: ByteStream;

    /// Looks up the addresses of a host, which shall have this port. The host may be an address itself.
    fn resolve(&mut self, host: String, port: u16) -> Opening<Vec<SocketAddr>>;

    /// Opens a byte stream to an address.
    fn dial(&mut self, addr: SocketAddr) -> Opening<Self::Stream>;

    /// Opens a byte stream to a server without a lookup: a Unix socket, or whatever the application's own dialer opens. None where there are no
    /// such streams.
    fn open(&mut self, server: &Endpoint) -> Option<Opening<Self::Stream>> {
        let _ = server;
        None
    }

    /// Sets the timer to a time, whatever it was set to before.
    fn set_timer(&mut self, at: Instant);

    /// Whether the time has come that the timer was set to last. Wakes the task when it comes.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()>;
}

/// An open byte stream of a runtime. Dropping it closes it.
///
/// What is pending wakes the task when that has changed. An error other than pending is final for its direction.
pub trait ByteStream: Unpin {
    /// Whether a read would have something: bytes, the end of the stream, or an error. One that can't tell says it would; then there is
    /// memory for the read already when it turns out to be pending.
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// One read into the capacity that `input` has beyond its length. How many bytes there are more: 0 at the end of the stream.
    fn poll_read(
        &mut self,
        input: &mut BytesMut,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>>;

    /// One write of as much as the system takes of these chunks, which are not empty. How many bytes it took.
    fn poll_write(
        &mut self,
        chunks: &[IoSlice<'_>],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>>;

    /// Sends on what was taken and is not under way yet. Asked for when there is nothing more to write. A socket has nothing to do here.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = context;
        Poll::Ready(Ok(()))
    }

    /// Tells the peer that nothing follows, behind all that was taken; reading goes on.
    fn poll_shut_down(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;
}
