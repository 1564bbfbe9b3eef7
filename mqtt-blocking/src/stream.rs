//! TCP as a byte stream of the driver.

use std::future::poll_fn;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use mio::net::TcpStream;
use mqtt_session::client::drive::ByteStream;

use crate::reactor::{Reactor, Watched, is_set, set};

/// What one read takes at most.
const MOST: usize = 64 * 1024;
/// Whether a read that does not fill its buffer means that the next byte will be told: with epoll and kqueue. Elsewhere a
/// read has to block before it is.
const SHORT_IS_EMPTY: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple"
));

/// Each of its operations is tried only where it was told to be ready, and nobody is woken: the driver is polled after each wait.
pub(crate) struct Stream(Watched<TcpStream>);

impl Stream {
    /// Dials, without blocking: the socket becomes writable when it is connected, or can't be.
    pub(crate) async fn connect(reactor: Arc<Reactor>, addr: SocketAddr) -> io::Result<Self> {
        let tcp = reactor.watch(TcpStream::connect(addr)?)?;
        poll_fn(|_| {
            if !is_set(&tcp.ready.write) {
                return Poll::Pending;
            }
            match connected(&tcp.socket) {
                Ok(false) => {
                    set(&tcp.ready.write, false);
                    Poll::Pending
                }
                result => Poll::Ready(result),
            }
        })
        .await?;
        // Everything that is to be sent goes in one write: waiting for more could only delay it.
        tcp.socket.set_nodelay(true)?;
        Ok(Self(tcp))
    }
}

/// As `mio::net::TcpStream::connect` says how to find out.
fn connected(tcp: &TcpStream) -> io::Result<bool> {
    if let Some(error) = tcp.take_error()? {
        return Err(error);
    }
    match tcp.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

impl ByteStream for Stream {
    fn poll_readable(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ready = &self.0.ready;
        if !is_set(&ready.read) {
            self.0.miss()?;
        }
        if is_set(&ready.read) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn poll_read(
        &mut self,
        input: &mut BytesMut,
        _context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let Watched { socket, ready, .. } = &mut self.0;
        let begin = input.len();
        let room = (input.capacity() - begin).min(MOST);
        input.resize(begin + room, 0);
        let polled = polled(|| socket.read(&mut input[begin..]));
        let n = match &polled {
            Poll::Ready(Ok(n)) => *n,
            _ => 0,
        };
        input.truncate(begin + n);
        let short = SHORT_IS_EMPTY && n > 0 && n < room && !is_set(&ready.ended);
        if polled.is_pending() || short {
            set(&ready.read, false);
        }
        polled
    }

    fn poll_write(
        &mut self,
        chunks: &[IoSlice<'_>],
        _context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let Watched { socket, ready, .. } = &mut self.0;
        if !is_set(&ready.write) {
            return Poll::Pending;
        }
        let polled = polled(|| socket.write_vectored(chunks));
        if polled.is_pending() {
            set(&ready.write, false);
        }
        polled
    }

    fn poll_shut_down(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.socket.shutdown(Shutdown::Write))
    }
}

/// One operation of a socket that does not block.
fn polled<T>(mut operation: impl FnMut() -> io::Result<T>) -> Poll<io::Result<T>> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return Poll::Ready(result),
        }
    }
}
