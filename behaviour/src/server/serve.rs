//! The server's thread.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use bytes::BytesMut;
use mio::event::Source;
use mio::{Events, Interest, Poll, Registry, Token};
use mqtt_testkit::{Broker, ConnId, Time};

use crate::Result;

use super::Shared;
use super::front::{Front, Fronts};

pub(super) const WAKER: Token = Token(0);
const LISTENER: Token = Token(1);
const FIRST: usize = 2;

pub(super) enum Listener {
    Tcp(mio::net::TcpListener),
    #[cfg(unix)]
    Unix(mio::net::UnixListener),
}

/// A stream of either.
trait Socket: Read + Write + Source {
    /// Says that nothing more will be written.
    fn finish(&self) -> io::Result<()>;
}

impl Socket for mio::net::TcpStream {
    fn finish(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

#[cfg(unix)]
impl Socket for mio::net::UnixStream {
    fn finish(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

struct Stream {
    conn: ConnId,
    socket: Box<dyn Socket>,
    front: Option<Front>,
    input: BytesMut,
    output: Vec<u8>,
    /// The system may have something, or take something: it says so once.
    readable: bool,
    writable: bool,
    /// What stands in front can take nothing more; it may have something to say still.
    over: bool,
    /// There is nothing more to come, or it is broken.
    ended: bool,
}

/// Serves until it is told to stop.
pub(super) fn run(
    shared: &Shared,
    mut poll: Poll,
    mut listener: Listener,
    fronts: &Fronts,
) -> Result {
    let registry = poll.registry().try_clone()?;
    registry.register(listener.source(), LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut streams = BTreeMap::<usize, Stream>::new();
    let mut next = FIRST;
    let mut scratch = vec![0; 64 * 1024];
    loop {
        let due = shared.lock().broker.next_timeout();
        let timeout = due.map(|at| at.saturating_sub(shared.begin.elapsed()));
        match poll.poll(&mut events, timeout) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        let mut state = shared.lock();
        let state = &mut *state;
        if state.stop {
            return Ok(());
        }
        let now = shared.begin.elapsed();
        let broker = &mut state.broker;
        broker.timeout(now);
        if std::mem::take(&mut state.cut) {
            for (_, stream) in std::mem::take(&mut streams) {
                broker.closed(now, stream.conn);
            }
        }
        for event in &events {
            match event.token() {
                WAKER => {}
                LISTENER => {
                    while let Some(mut socket) = listener.accept()? {
                        let interest = Interest::READABLE | Interest::WRITABLE;
                        registry.register(&mut socket, Token(next), interest)?;
                        let front = fronts.front()?;
                        streams.insert(next, Stream::new(broker.open(now), socket, front));
                        next += 1;
                    }
                }
                Token(at) => {
                    if let Some(stream) = streams.get_mut(&at) {
                        stream.readable |= event.is_readable() || event.is_read_closed();
                        stream.writable |= event.is_writable() || event.is_write_closed();
                    }
                }
            }
        }
        for stream in streams.values_mut() {
            stream.read(broker, now, &mut scratch);
        }
        // After all have been read: what one sends may be for another.
        streams.retain(|_, stream| stream.write(broker, now, &registry));
        let stalled = |stream: &&Stream| !stream.output.is_empty() && !stream.writable;
        state.stalled = streams.values().filter(stalled).count();
        shared.changed.notify_all();
    }
}

impl Listener {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(tcp) => tcp,
            #[cfg(unix)]
            Self::Unix(unix) => unix,
        }
    }

    fn accept(&self) -> io::Result<Option<Box<dyn Socket>>> {
        loop {
            let accepted = match self {
                Self::Tcp(tcp) => tcp
                    .accept()
                    .map(|(tcp, _)| Box::new(tcp) as Box<dyn Socket>),
                #[cfg(unix)]
                Self::Unix(unix) => unix.accept().map(|(unix, _)| Box::new(unix) as _),
            };
            match accepted {
                Ok(socket) => return Ok(Some(socket)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                // The client has gone already.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Stream {
    fn new(conn: ConnId, socket: Box<dyn Socket>, front: Option<Front>) -> Self {
        Self {
            conn,
            socket,
            front,
            input: BytesMut::new(),
            output: Vec::new(),
            readable: true,
            writable: true,
            over: false,
            ended: false,
        }
    }

    fn read(&mut self, broker: &mut Broker, now: Time, scratch: &mut [u8]) {
        while self.readable && !self.ended && broker.wants_read(self.conn) {
            match self.socket.read(scratch) {
                Ok(0) => self.ended = true,
                // Unread it would make a reset of the end, which may overtake what was said.
                Ok(_) if self.over => {}
                Ok(n) => {
                    match &mut self.front {
                        None => self.input.extend_from_slice(&scratch[..n]),
                        Some(front) => {
                            let received = front.receive(&scratch[..n], &mut self.input);
                            self.over = received.is_err();
                        }
                    }
                    broker.input(now, self.conn, &mut self.input);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.ended = true,
            }
        }
    }

    /// Whether it stays open.
    fn write(&mut self, broker: &mut Broker, now: Time, registry: &Registry) -> bool {
        match &mut self.front {
            None => _ = broker.output(self.conn, &mut self.output),
            Some(front) => {
                let mut plain = Vec::new();
                broker.output(self.conn, &mut plain);
                front.send(plain, &mut self.output);
                if broker.wants_close(self.conn) {
                    front.close(&mut self.output);
                }
            }
        }
        let mut written = 0;
        while self.writable && !self.ended && written < self.output.len() {
            match self.socket.write(&self.output[written..]) {
                Ok(n) => written += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.ended = true,
            }
        }
        self.output.drain(..written);
        let done = broker.wants_close(self.conn) && self.output.is_empty();
        if self.over && self.output.is_empty() {
            // Where that fails, the client has closed already.
            let _ = self.socket.finish();
        }
        if !self.ended && !done {
            return true;
        }
        // The stream is closed in any case.
        let _ = registry.deregister(&mut *self.socket);
        broker.closed(now, self.conn);
        false
    }
}
