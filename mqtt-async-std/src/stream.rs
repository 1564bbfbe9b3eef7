//! A byte stream of async-io, of whichever kind.

mod socket;

use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_io::Async;
use bytes::BytesMut;
use futures_io::{AsyncRead, AsyncWrite};
use mqtt_session::client::drive::ByteStream;

use socket::Socket;

/// At most so much is read at once, and made of zeroes before.
const MOST: usize = 64 * 1024;

pub(crate) enum Stream {
    Tcp(Socket<TcpStream>),
    #[cfg(unix)]
    Unix(Socket<UnixStream>),
    Own(Pin<Box<dyn Duplex>>),
}

/// What an application's own dialer opens.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Duplex for S {}

impl Stream {
    pub(crate) async fn connect(addr: SocketAddr) -> io::Result<Self> {
        let tcp = Async::<TcpStream>::connect(addr).await?;
        // Everything that is to be sent goes in one write: waiting for more could only delay it.
        tcp.get_ref().set_nodelay(true)?;
        Ok(Self::Tcp(Socket::new(tcp)))
    }

    #[cfg(unix)]
    pub(crate) async fn connect_unix(path: String) -> io::Result<Self> {
        let unix = Async::<UnixStream>::connect(path).await?;
        Ok(Self::Unix(Socket::new(unix)))
    }

    pub(crate) fn own(stream: impl Duplex + 'static) -> Self {
        Self::Own(Box::pin(stream))
    }
}

impl ByteStream for Stream {
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => tcp.poll_readable(context),
            #[cfg(unix)]
            Self::Unix(unix) => unix.poll_readable(context),
            // It can't tell.
            Self::Own(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_read(
        &mut self,
        input: &mut BytesMut,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let filled = input.len();
        let room = (input.capacity() - filled).min(MOST);
        input.resize(filled + room, 0);
        let buffer = &mut input[filled..];
        let polled = match self {
            Self::Tcp(tcp) => tcp.poll_read(buffer, context),
            #[cfg(unix)]
            Self::Unix(unix) => unix.poll_read(buffer, context),
            Self::Own(own) => own.as_mut().poll_read(context, buffer),
        };
        let read = match polled {
            Poll::Ready(Ok(n)) => n,
            _ => 0,
        };
        input.truncate(filled + read);
        Poll::Ready(Ok(ready!(polled)?))
    }

    fn poll_write(
        &mut self,
        chunks: &[IoSlice<'_>],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(tcp) => tcp.poll_write(chunks, context),
            #[cfg(unix)]
            Self::Unix(unix) => unix.poll_write(chunks, context),
            Self::Own(own) => own.as_mut().poll_write_vectored(context, chunks),
        }
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Own(own) => own.as_mut().poll_flush(context),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shut_down(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => Poll::Ready(tcp.shut_down()),
            #[cfg(unix)]
            Self::Unix(unix) => Poll::Ready(unix.shut_down()),
            Self::Own(own) => own.as_mut().poll_close(context),
        }
    }
}
