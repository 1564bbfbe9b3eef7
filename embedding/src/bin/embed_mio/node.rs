//! A connection over a socket of `mio`. Nothing here is about MQTT.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};

use bytes::{Buf, BytesMut};
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use mqtt_session::proto::Outbox;
use mqtt_session::{Action, Attempt, Cause, Connection, Instant};

/// There is one socket, so `limits.max_dials` must be 1: the addresses of a host are dialled one after the other.
pub(super) struct Node {
    pub(super) connection: Connection,
    token: Token,
    stream: Option<Stream>,
    /// Read and not taken yet, given and not written yet: both belong to one stream, and are cleared with it.
    input: BytesMut,
    output: Outbox,
}

struct Stream {
    attempt: Attempt,
    tcp: TcpStream,
    opened: bool,
    hung_up: bool,
    /// The system says once that there is something, or room: it is believed until it would block.
    readable: bool,
    writable: bool,
}

impl Node {
    pub(super) fn new(connection: Connection, token: Token) -> Self {
        let (input, output) = (BytesMut::new(), Outbox::new());
        Self {
            connection,
            token,
            stream: None,
            input,
            output,
        }
    }

    pub(super) fn ready(&mut self, event: &Event) {
        if let Some(stream) = &mut self.stream {
            stream.readable |= event.is_readable() || event.is_read_closed();
            stream.writable |= event.is_writable() || event.is_write_closed();
        }
    }

    /// Carries what there is to carry: after an event, when the deadline has passed, and after commands. Whether there may be more at once:
    /// it reads once, so that all connections have their turn.
    pub(super) fn turn(&mut self, now: Instant, registry: &Registry, scratch: &mut [u8]) -> bool {
        self.open(now);
        let read = self.read(now, scratch);
        self.connection.handle_timeout(now);
        while let Some(action) = self.connection.poll_action() {
            self.carry_out(now, action, registry);
        }
        self.write(now);
        read || self.connection.has_action()
    }

    fn open(&mut self, now: Instant) {
        let Some(stream) = self.stream.as_mut().filter(|s| !s.opened && s.writable) else {
            return;
        };
        let error = stream
            .tcp
            .take_error()
            .and_then(|error| error.map_or(Ok(()), Err));
        match error.and_then(|()| stream.tcp.peer_addr()) {
            Ok(_) => {
                stream.opened = true;
                self.connection.handle_opened(now, stream.attempt);
            }
            Err(error) if error.kind() == ErrorKind::NotConnected => stream.writable = false,
            Err(error) => self.closed(now, Cause::from(&error)),
        }
    }

    fn read(&mut self, now: Instant, scratch: &mut [u8]) -> bool {
        // What stayed while the inbox was full has its turn before anything new.
        if self.connection.wants_read() {
            self.connection.handle_input(now, &mut self.input);
        }
        let wanted = self.connection.wants_read();
        let Some(stream) = self.stream.as_mut().filter(|s| s.opened && s.readable) else {
            return false;
        };
        // What is not read fills the window, and the peer waits.
        if !wanted && !stream.hung_up {
            return false;
        }
        match stream.tcp.read(scratch) {
            Ok(n @ 1..) => {
                self.input.extend_from_slice(&scratch[..n]);
                self.connection.handle_input(now, &mut self.input);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => stream.readable = false,
            Ok(0) => self.closed(now, Cause::Eof),
            Err(error) => self.closed(now, Cause::from(&error)),
        }
        true
    }

    fn write(&mut self, now: Instant) {
        let Some(stream) = self.stream.as_mut().filter(|s| s.opened) else {
            return;
        };
        while stream.writable
            && (self.output.has_remaining() || self.connection.poll_transmit(now, &mut self.output))
        {
            match stream.tcp.write(self.output.chunk()) {
                Ok(n) => {
                    self.output.advance(n);
                    self.connection.handle_written(now, n);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // It would block, or is broken: then reading tells so, behind what the peer said before.
                Err(_) => stream.writable = false,
            }
        }
        if stream.hung_up && self.output.is_empty() {
            // The peer's end of it is awaited as long as `timeouts.hangup` lets us. An error: it has come already.
            let _ = stream.tcp.shutdown(Shutdown::Write);
        }
    }

    fn carry_out(&mut self, now: Instant, action: Action, registry: &Registry) {
        let current = self.stream.as_ref().map(|stream| stream.attempt);
        match action {
            Action::Resolve {
                attempt,
                host,
                port,
            } => {
                // This waits. Who can't, asks a thread, which wakes the loop by a `mio::Waker`.
                let found = (host, port).to_socket_addrs().map(Iterator::collect);
                let found = found.map_err(|error| Cause::from(&error));
                self.connection.handle_resolved(now, attempt, found);
            }
            Action::Dial { attempt, addr } => {
                self.forget();
                match self.dial(addr, registry) {
                    Ok(tcp) => self.stream = Some(Stream::new(attempt, tcp)),
                    Err(error) => {
                        self.connection
                            .handle_closed(now, attempt, Cause::from(&error));
                    }
                }
            }
            Action::Hangup { attempt, flush } if current == Some(attempt) => {
                self.stream
                    .iter_mut()
                    .for_each(|stream| stream.hung_up = true);
                if !flush {
                    self.closed(now, Cause::HungUp);
                }
            }
            Action::Cancel { attempt } if current == Some(attempt) => self.forget(),
            Action::Hangup { .. } | Action::Cancel { .. } => {}
            // Only who has said in the configuration, or in the URL, that it can be done is asked for it.
            other => unreachable!("nobody has offered {other:?}"),
        }
    }

    fn dial(&self, addr: SocketAddr, registry: &Registry) -> std::io::Result<TcpStream> {
        let mut tcp = TcpStream::connect(addr)?;
        registry.register(
            &mut tcp,
            self.token,
            Interest::READABLE | Interest::WRITABLE,
        )?;
        Ok(tcp)
    }

    fn closed(&mut self, now: Instant, cause: Cause) {
        if let Some(stream) = self.stream.take() {
            let cause = if stream.hung_up { Cause::HungUp } else { cause };
            self.connection.handle_closed(now, stream.attempt, cause);
        }
        self.forget();
    }

    fn forget(&mut self) {
        self.stream = None;
        self.input.clear();
        self.output.clear();
    }
}

impl Stream {
    fn new(attempt: Attempt, tcp: TcpStream) -> Self {
        // Without it small packets wait for acknowledgements of the last. An error: the dial has failed, which is told in its turn.
        let _ = tcp.set_nodelay(true);
        Self {
            attempt,
            tcp,
            opened: false,
            hung_up: false,
            readable: false,
            writable: false,
        }
    }
}
