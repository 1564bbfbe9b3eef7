//! A socket, and what is known of it without asking the system.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::task::{Context, Poll, ready};

use async_io::Async;

pub(crate) struct Socket<T> {
    io: Async<T>,
    /// Whether there may be something to read. Where there is not, the reactor is asked to tell when, and the system is not asked in vain.
    readable: bool,
    /// The same for writing.
    writable: bool,
}

/// Ends one direction.
pub(crate) trait HalfClose {
    fn shut_down(&self) -> io::Result<()>;
}

impl HalfClose for TcpStream {
    fn shut_down(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

#[cfg(unix)]
impl HalfClose for UnixStream {
    fn shut_down(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl<T: HalfClose> Socket<T>
where
    for<'a> &'a T: Read + Write,
{
    pub(crate) fn new(io: Async<T>) -> Self {
        Self {
            io,
            readable: false,
            writable: true,
        }
    }

    pub(crate) fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.readable {
            ready!(self.io.poll_readable(context))?;
            self.readable = true;
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn poll_read(
        &mut self,
        buffer: &mut [u8],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_readable(context))?;
            match self.io.get_ref().read(buffer) {
                Ok(n) => {
                    // Less than there was room for was all that there is.
                    self.readable = n == buffer.len();
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    pub(crate) fn poll_write(
        &mut self,
        chunks: &[IoSlice<'_>],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if !self.writable {
                ready!(self.io.poll_writable(context))?;
                self.writable = true;
            }
            match self.io.get_ref().write_vectored(chunks) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                written => return Poll::Ready(written),
            }
        }
    }

    pub(crate) fn shut_down(&self) -> io::Result<()> {
        self.io.get_ref().shut_down()
    }
}
