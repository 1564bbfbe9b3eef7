use alloc::boxed::Box;
use core::fmt;
use core::net::SocketAddr;

use crate::Endpoint;

/// The other end of a byte stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// An address of the server, or of the proxy on the way to it.
    Addr(SocketAddr),
    /// What was opened without an address ([`Action::Open`](crate::Action::Open)): a Unix socket, or what the application's own dialer gave.
    Server(Box<Endpoint>),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addr(addr) => addr.fmt(f),
            Self::Server(server) => server.fmt(f),
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(addr: SocketAddr) -> Self {
        Self::Addr(addr)
    }
}

impl PartialEq<SocketAddr> for Peer {
    fn eq(&self, other: &SocketAddr) -> bool {
        matches!(self, Self::Addr(addr) if addr == other)
    }
}

impl PartialEq<Peer> for SocketAddr {
    fn eq(&self, other: &Peer) -> bool {
        other == self
    }
}
