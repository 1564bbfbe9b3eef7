//! A byte stream of the runtime, of whichever kind.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::BytesMut;
use mqtt_session::client::drive::ByteStream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Own(Pin<Box<dyn Duplex>>),
}

/// What an application's own dialer opens.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Duplex for S {}

impl Stream {
    pub(crate) async fn connect(addr: SocketAddr) -> io::Result<Self> {
        let tcp = TcpStream::connect(addr).await?;
        // Everything that is to be sent goes in one write: waiting for more could only delay it.
        tcp.set_nodelay(true)?;
        Ok(Self::Tcp(tcp))
    }

    pub(crate) fn own(stream: impl Duplex + 'static) -> Self {
        Self::Own(Box::pin(stream))
    }

    #[cfg(unix)]
    pub(crate) async fn connect_unix(path: String) -> io::Result<Self> {
        UnixStream::connect(path).await.map(Self::Unix)
    }
}

/// Does the same with whichever it is.
macro_rules! each {
    ($self:expr, $stream:ident => $do:expr) => {
        match $self {
            Stream::Tcp($stream) => $do,
            #[cfg(unix)]
            Stream::Unix($stream) => $do,
            Stream::Own($stream) => $do,
        }
    };
}

impl ByteStream for Stream {
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => tcp.poll_read_ready(context),
            #[cfg(unix)]
            Self::Unix(unix) => unix.poll_read_ready(context),
            // It can't tell.
            Self::Own(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_read(
        &mut self,
        input: &mut BytesMut,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => pin!(stream.read_buf(input)).poll(context))
    }

    fn poll_write(
        &mut self,
        chunks: &[IoSlice<'_>],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write_vectored(context, chunks))
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Own(own) => own.as_mut().poll_flush(context),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shut_down(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_shutdown(context))
    }
}
