//! Byte streams of every kind.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, OnceLock};

use mio::event::Source;
use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use mqtt_session::Endpoint;
use mqtt_session::client::drive::Opening;

use crate::pool::Pool;

/// How many threads for the dialers of applications ([`Answers::dialer`](crate::Answers::dialer)) there are at most in a process: those
/// that were given up and have not returned included. What finds them all in use is as for [`LOOKUP_THREADS`](crate::LOOKUP_THREADS).
pub const DIALER_THREADS: usize = 16;

/// Opens a byte stream to a server.
pub(crate) type Dialer = Arc<dyn Fn(&Endpoint) -> io::Result<Socket> + Send + Sync>;

pub(crate) fn dial(dialer: &Dialer, server: &Endpoint) -> Opening<Socket> {
    static POOL: OnceLock<Arc<Pool<Socket>>> = OnceLock::new();
    let pool = POOL.get_or_init(|| Pool::new(DIALER_THREADS, "dialers"));
    let (dialer, server) = (Arc::clone(dialer), server.clone());
    Box::pin(pool.run(move || dialer(&server)))
}

/// An open byte stream, for [`Answers::dialer`](crate::Answers::dialer) to give: one of the standard library, which becomes non-blocking, or any other
/// that the crate [`mio`](crate::mio) can wait for.
pub struct Socket(Kind);

enum Kind {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Other(Box<dyn Pollable>),
}

/// What a byte stream of one's own must be: it does not block, and tells by `mio` when a try would be worth while.
///
/// A wait is told of changes only. So a read or write that can't go on must return [`WouldBlock`](io::ErrorKind::WouldBlock), and must have asked the
/// system, so that the next change is one; what it has read itself and not given yet it must give first.
pub trait Pollable: Read + Write + Source + Send {
    /// Tells the peer that nothing follows, where there is a way to; reading goes on.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn shut_down(&mut self) -> io::Result<()>;
}

impl Socket {
    /// Of a stream that does not block.
    pub fn new(stream: impl Pollable + 'static) -> Self {
        Self(Kind::Other(Box::new(stream)))
    }

    pub(crate) fn tcp(tcp: TcpStream) -> Self {
        Self(Kind::Tcp(tcp))
    }

    #[cfg(unix)]
    pub(crate) fn unix(unix: UnixStream) -> Self {
        Self(Kind::Unix(unix))
    }

    /// Whether all that it reads comes from the system at once.
    pub(crate) const fn is_plain(&self) -> bool {
        !matches!(self.0, Kind::Other(_))
    }

    /// Whether a dial has come to its end, as `mio::net::TcpStream::connect` says how to find out.
    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        let Kind::Tcp(tcp) = &self.0 else {
            return Ok(true);
        };
        if let Some(error) = tcp.take_error()? {
            return Err(error);
        }
        match tcp.peer_addr() {
            // Everything that is to be sent goes in one write: waiting for more could only delay it.
            Ok(_) => tcp.set_nodelay(true).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn shut_down(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Kind::Tcp(stream) => stream.shutdown(Shutdown::Write),
            #[cfg(unix)]
            Kind::Unix(stream) => stream.shutdown(Shutdown::Write),
            Kind::Other(stream) => stream.shut_down(),
        }
    }
}

impl TryFrom<std::net::TcpStream> for Socket {
    type Error = io::Error;

    fn try_from(tcp: std::net::TcpStream) -> io::Result<Self> {
        tcp.set_nonblocking(true)?;
        // Everything that is to be sent goes in one write: waiting for more could only delay it.
        tcp.set_nodelay(true)?;
        Ok(Self::tcp(TcpStream::from_std(tcp)))
    }
}

#[cfg(unix)]
impl TryFrom<std::os::unix::net::UnixStream> for Socket {
    type Error = io::Error;

    fn try_from(unix: std::os::unix::net::UnixStream) -> io::Result<Self> {
        unix.set_nonblocking(true)?;
        Ok(Self::unix(UnixStream::from_std(unix)))
    }
}

/// Does the same with whichever it is.
macro_rules! each {
    ($self:expr, $stream:ident => $do:expr) => {
        match &mut $self.0 {
            Kind::Tcp($stream) => $do,
            #[cfg(unix)]
            Kind::Unix($stream) => $do,
            Kind::Other($stream) => $do,
        }
    };
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        each!(self, stream => stream.read(into))
    }
}

impl Write for Socket {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        each!(self, stream => stream.write(from))
    }

    fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        each!(self, stream => stream.write_vectored(from))
    }

    fn flush(&mut self) -> io::Result<()> {
        each!(self, stream => stream.flush())
    }
}

impl Source for Socket {
    fn register(&mut self, registry: &Registry, token: Token, of: Interest) -> io::Result<()> {
        each!(self, stream => stream.register(registry, token, of))
    }

    fn reregister(&mut self, registry: &Registry, token: Token, of: Interest) -> io::Result<()> {
        each!(self, stream => stream.reregister(registry, token, of))
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        each!(self, stream => stream.deregister(registry))
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Tcp(stream) => stream.fmt(f),
            #[cfg(unix)]
            Kind::Unix(stream) => stream.fmt(f),
            Kind::Other(_) => f.debug_struct("Socket").finish_non_exhaustive(),
        }
    }
}
