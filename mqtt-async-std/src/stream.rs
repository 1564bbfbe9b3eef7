//! A byte stream of async-io.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::task::{Context, Poll, ready};

use async_io::Async;
use bytes::BytesMut;
use mqtt_session::client::drive::ByteStream;

/// At most so much is read at once, and made of zeroes before.
const MOST: usize = 64 * 1024;

pub(crate) struct Stream {
    tcp: Async<TcpStream>,
    /// Whether there may be something to read. Where there is not, the reactor is asked to tell when, and the system is not asked in vain.
    readable: bool,
    /// The same for writing.
    writable: bool,
}

impl Stream {
    pub(crate) async fn connect(addr: SocketAddr) -> io::Result<Self> {
        let tcp = Async::<TcpStream>::connect(addr).await?;
        // Everything that is to be sent goes in one write: waiting for more could only delay it.
        tcp.get_ref().set_nodelay(true)?;
        Ok(Self {
            tcp,
            readable: false,
            writable: true,
        })
    }
}

impl ByteStream for Stream {
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.readable {
            ready!(self.tcp.poll_readable(context))?;
            self.readable = true;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(
        &mut self,
        input: &mut BytesMut,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_readable(context))?;
            let filled = input.len();
            let room = (input.capacity() - filled).min(MOST);
            input.resize(filled + room, 0);
            let read = self.tcp.get_ref().read(&mut input[filled..]);
            input.truncate(filled + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(n) => {
                    // Less than there was room for was all that there is.
                    self.readable = n == room;
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_write(
        &mut self,
        chunks: &[IoSlice<'_>],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if !self.writable {
                ready!(self.tcp.poll_writable(context))?;
                self.writable = true;
            }
            match self.tcp.get_ref().write_vectored(chunks) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_shut_down(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.tcp.get_ref().shutdown(Shutdown::Write))
    }
}
