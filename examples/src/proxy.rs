//! A TCP proxy that breaks the network on command.
//!
//! Each connection that it accepts is joined to a new connection to the target. A direction can
//! be held (the bytes wait, nothing is lost) and all connections can be cut at once. The next
//! connection of a client passes through as if nothing had happened.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The way that bytes take through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the broker.
    ToBroker,
    /// From the broker to the client.
    ToClient,
}

/// How [`Proxy::cut`] ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// TCP resets: both ends get an error, and what was in the kernel's buffers is lost.
    Reset,
    /// An orderly end of the byte stream, in the middle of whatever was being said.
    Close,
}

/// Sees what passes. What is held is seen only when it is let go; what is lost by then, never.
pub trait Observer: Send + Sync + 'static {
    /// `bytes` pass on connection number `connection` (they count from 0), in pieces of any size.
    fn observe(&self, connection: u64, direction: Direction, bytes: &[u8]);
}

/// For those who only want to break things.
impl Observer for () {
    fn observe(&self, _connection: u64, _direction: Direction, _bytes: &[u8]) {}
}

/// A running proxy; dropping it cuts everything and closes its port.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    controls: Arc<Controls>,
    accepting: JoinHandle<()>,
}

/// What the pumps of all connections look at.
#[derive(Debug)]
struct Controls {
    /// Connections with a number below this are held. A bare flag would have to be taken back at
    /// a cut, and what was held could slip through between the two.
    hold_to_broker: watch::Sender<u64>,
    hold_to_client: watch::Sender<u64>,
    /// Counts the cuts, and says how the last was made.
    cut: watch::Sender<(u64, Cut)>,
    accepted: AtomicU64,
}

impl Controls {
    fn hold(&self, direction: Direction) -> &watch::Sender<u64> {
        match direction {
            Direction::ToBroker => &self.hold_to_broker,
            Direction::ToClient => &self.hold_to_client,
        }
    }
}

impl Proxy {
    /// Listens on a free loopback port for connections to pass on to `target` (`host:port`).
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub async fn start(target: impl Into<Arc<str>>, observer: impl Observer) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let controls = Arc::new(Controls {
            hold_to_broker: watch::Sender::new(0),
            hold_to_client: watch::Sender::new(0),
            cut: watch::Sender::new((0, Cut::Close)),
            accepted: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(
            listener,
            target.into(),
            Arc::clone(&controls),
            Arc::new(observer),
        ));
        Ok(Self {
            addr,
            controls,
            accepting,
        })
    }

    /// Where clients connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many connections have been accepted so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.controls.accepted.load(Ordering::Relaxed)
    }

    /// Keeps back what goes in this direction on every connection that is open now, until
    /// [`release`](Self::release) or a cut. Later connections are not held.
    pub fn hold(&self, direction: Direction) {
        self.controls.hold(direction).send_replace(self.accepted());
    }

    /// Lets the direction flow again.
    pub fn release(&self, direction: Direction) {
        self.controls.hold(direction).send_replace(0);
    }

    /// Ends every open connection, both ways at once. What was held is lost.
    pub fn cut(&self, how: Cut) {
        self.controls.cut.send_modify(|(count, last)| {
            *count += 1;
            *last = how;
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut(Cut::Reset);
    }
}

async fn accept(
    listener: TcpListener,
    target: Arc<str>,
    controls: Arc<Controls>,
    observer: Arc<impl Observer>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let number = controls.accepted.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(join(
            number,
            client,
            Arc::clone(&target),
            Arc::clone(&controls),
            // From here on, so that a cut during the dialling counts.
            controls.cut.subscribe(),
            Arc::clone(&observer),
        ));
    }
}

/// One connection's life. Whatever ends it, both sockets are dropped here.
async fn join(
    number: u64,
    mut client: TcpStream,
    target: Arc<str>,
    controls: Arc<Controls>,
    mut cut: watch::Receiver<(u64, Cut)>,
    observer: Arc<impl Observer>,
) {
    // A broker that is not there looks like one that hangs up: the client's affair.
    let Ok(mut broker) = TcpStream::connect(&*target).await else {
        return;
    };
    // Without it the delay of Nagle's algorithm would be the proxy's own contribution.
    let _ = (client.set_nodelay(true), broker.set_nodelay(true));
    let pumps = async {
        let (from_client, to_client) = client.split();
        let (from_broker, to_broker) = broker.split();
        let to_broker = pump(
            from_client,
            to_broker,
            Hold::new(&controls.hold_to_broker, number),
            |bytes| observer.observe(number, Direction::ToBroker, bytes),
        );
        let to_client = pump(
            from_broker,
            to_client,
            Hold::new(&controls.hold_to_client, number),
            |bytes| observer.observe(number, Direction::ToClient, bytes),
        );
        // An end of file is passed on and the other way goes on; an error ends both.
        let _ = tokio::try_join!(to_broker, to_client);
    };
    let how = tokio::select! {
        biased;
        changed = cut.changed() => match changed {
            Ok(()) => cut.borrow().1,
            Err(_) => Cut::Reset,
        },
        () = pumps => Cut::Close,
    };
    if how == Cut::Reset {
        let _ = (client.set_zero_linger(), broker.set_zero_linger());
    }
}

/// The hold on one direction of one connection.
struct Hold {
    below: watch::Receiver<u64>,
    number: u64,
}

impl Hold {
    fn new(below: &watch::Sender<u64>, number: u64) -> Self {
        Self {
            below: below.subscribe(),
            number,
        }
    }

    async fn wait(&mut self) {
        // The sender lives as long as the connection, which holds the controls.
        let _ = self.below.wait_for(|below| self.number >= *below).await;
    }
}

/// Carries bytes one way until the end of file, which it passes on.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut hold: Hold,
    observe: impl Fn(&[u8]),
) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    while from.read_buf(&mut buffer).await? > 0 {
        // A held direction has read one buffer at most, so that the sender soon feels it.
        hold.wait().await;
        observe(&buffer);
        to.write_all(&buffer).await?;
        buffer.clear();
    }
    to.shutdown().await
}
