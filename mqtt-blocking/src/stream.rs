//! Sockets as byte streams of the driver.

use std::future::poll_fn;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mqtt_session::client::drive::ByteStream;

use crate::reactor::{Reactor, Watched, is_set, set};
use crate::socket::Socket;

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
pub(crate) struct Stream(Watched<Socket>);

impl Stream {
    /// Dials, without blocking: the socket becomes writable when it is connected, or can't be.
    pub(crate) async fn connect(reactor: Arc<Reactor>, addr: SocketAddr) -> io::Result<Self> {
        let mut dialled = Some(reactor.watch(Socket::tcp(TcpStream::connect(addr)?))?);
        poll_fn(move |_| {
            let Some(watched) = dialled.take() else {
                return Poll::Pending;
            };
            if is_set(&watched.ready.write) {
                if watched.socket.is_connected()? {
                    return Poll::Ready(Ok(Self(watched)));
                }
                set(&watched.ready.write, false);
            }
            dialled = Some(watched);
            Poll::Pending
        })
        .await
    }

    /// A Unix socket is connected at once or not at all.
    #[cfg(unix)]
    pub(crate) async fn connect_unix(reactor: Arc<Reactor>, path: String) -> io::Result<Self> {
        let unix = UnixStream::connect(path)?;
        Self::open(&reactor, Socket::unix(unix))
    }

    /// One that is connected.
    pub(crate) fn open(reactor: &Arc<Reactor>, socket: Socket) -> io::Result<Self> {
        let watched = reactor.watch(socket)?;
        // Which a first try of each finds out.
        set(&watched.ready.read, true);
        set(&watched.ready.write, true);
        Ok(Self(watched))
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
        let drained = SHORT_IS_EMPTY && socket.is_plain() && !is_set(&ready.ended);
        if polled.is_pending() || (drained && n > 0 && n < room) {
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
        match &polled {
            Poll::Ready(Ok(n)) => self.0.wrote(*n),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => set(&ready.write, false),
        }
        polled
    }

    fn poll_flush(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Watched { socket, ready, .. } = &mut self.0;
        if socket.is_plain() {
            return Poll::Ready(Ok(()));
        }
        let polled = polled(|| socket.flush());
        if polled.is_pending() {
            set(&ready.write, false);
        }
        polled
    }

    fn poll_shut_down(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.socket.shut_down())
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
