//! Connections to either broker, as bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::BytesMut;
use mqtt_testkit::{Broker, BrokerConfig, Clock, ConnId};

/// A broker that takes connections.
pub(crate) trait Net {
    /// Opens one, and gives its number.
    fn open(&mut self) -> usize;
    /// Sends bytes, and appends what comes back to `into`; waits a little for it where that can take time. Whether the broker has closed
    /// the connection.
    fn exchange(&mut self, conn: usize, bytes: &[u8], into: &mut BytesMut) -> bool;
    /// Ends a connection without a word.
    fn cut(&mut self, conn: usize);
}

/// The model broker.
pub(crate) struct Model {
    broker: Broker,
    clock: Clock,
    conns: Vec<ConnId>,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            broker: Broker::new(BrokerConfig::default()),
            clock: Clock::new(),
            conns: Vec::new(),
        }
    }
}

impl Net for Model {
    fn open(&mut self) -> usize {
        self.conns.push(self.broker.open(self.clock.now()));
        self.conns.len() - 1
    }

    fn exchange(&mut self, conn: usize, bytes: &[u8], into: &mut BytesMut) -> bool {
        let now = self.clock.advance(Duration::from_millis(1));
        let conn = self.conns[conn];
        let mut input = BytesMut::from(bytes);
        self.broker.input(now, conn, &mut input);
        self.broker.timeout(now);
        let mut output = Vec::new();
        self.broker.output(conn, &mut output);
        into.extend_from_slice(&output);
        self.broker.wants_close(conn)
    }

    fn cut(&mut self, conn: usize) {
        let now = self.clock.advance(Duration::from_millis(1));
        self.broker.closed(now, self.conns[conn]);
        self.broker.timeout(now);
    }
}

/// Sockets to a broker of its own process.
pub(crate) struct Sockets {
    addr: SocketAddr,
    streams: Vec<Option<TcpStream>>,
}

impl Sockets {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            streams: Vec::new(),
        }
    }
}

/// Longer than an answer takes on loopback.
const PATIENCE: Duration = Duration::from_secs(30);

impl Net for Sockets {
    fn open(&mut self) -> usize {
        let stream = TcpStream::connect(self.addr).expect("mosquitto listens");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        self.streams.push(Some(stream));
        self.streams.len() - 1
    }

    fn exchange(&mut self, conn: usize, bytes: &[u8], into: &mut BytesMut) -> bool {
        let Some(stream) = &mut self.streams[conn] else {
            return true;
        };
        // Where it is closed already, reading tells.
        let _ = stream.write_all(bytes);
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk) {
            Ok(0) => true,
            Ok(n) => {
                into.extend_from_slice(&chunk[..n]);
                false
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => false,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("mosquitto answered nothing within {PATIENCE:?}")
            }
            Err(_) => true,
        }
    }

    fn cut(&mut self, conn: usize) {
        self.streams[conn] = None;
        // Nothing tells when the broker has noticed.
        std::thread::sleep(Duration::from_millis(100));
    }
}
