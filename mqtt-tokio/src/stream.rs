//! A byte stream of the runtime.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::BytesMut;
use mqtt_session::client::drive::ByteStream;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;

pub(crate) struct Stream(TcpStream);

impl Stream {
    pub(crate) async fn connect(addr: SocketAddr) -> io::Result<Self> {
        let tcp = TcpStream::connect(addr).await?;
        // Everything that is to be sent goes in one write: waiting for more could only delay it.
        tcp.set_nodelay(true)?;
        Ok(Self(tcp))
    }
}

impl ByteStream for Stream {
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read_ready(context)
    }

    fn poll_read(
        &mut self,
        input: &mut BytesMut,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        pin!(self.0.read_buf(input)).poll(context)
    }

    fn poll_write(
        &mut self,
        chunks: &[IoSlice<'_>],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, chunks)
    }

    fn poll_shut_down(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
