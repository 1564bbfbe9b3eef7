//! Name lookups, on threads: the system's block.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, OnceLock};

use mqtt_session::client::drive::Opening;

use crate::pool::Pool;

/// How many threads for name lookups there are at most in a process, for all its clients: those that were given up and have not returned
/// included.
///
/// A lookup that finds them all in use waits for its turn, within its time ([`Timeouts::resolve`](crate::Timeouts::resolve)). Where all of them
/// are lookups that were given up, it fails at once, and says so.
pub const LOOKUP_THREADS: usize = 16;

/// Gives the addresses of a host at a port.
pub(crate) type Look = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

pub(crate) fn by_the_system(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    (host, port).to_socket_addrs().map(Iterator::collect)
}

pub(crate) fn look_up(look: &Look, host: String, port: u16) -> Opening<Vec<SocketAddr>> {
    static POOL: OnceLock<Arc<Pool<Vec<SocketAddr>>>> = OnceLock::new();
    if let Ok(addr) = host.parse::<IpAddr>() {
        let found = Ok(vec![SocketAddr::new(addr, port)]);
        return Box::pin(std::future::ready(found));
    }
    let pool = POOL.get_or_init(|| Pool::new(LOOKUP_THREADS, "name lookups"));
    let look = Arc::clone(look);
    Box::pin(pool.run(move || look(&host, port)))
}
