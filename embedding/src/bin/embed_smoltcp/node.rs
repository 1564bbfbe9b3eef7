//! A connection over a socket of smoltcp. Nothing here is about MQTT.

use std::net::IpAddr;

use bytes::{Buf, BytesMut};
use mqtt_session::proto::Outbox;
use mqtt_session::{Action, Attempt, Cause, Connection, Instant};
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp;

/// There is one socket, so one dial at a time: the session asks for no other at once where a host has one address.
pub(super) struct Node {
    pub(super) connection: Connection,
    socket: SocketHandle,
    stream: Option<Stream>,
    /// Read and not taken yet, given and not written yet: both belong to one stream, and are cleared with it.
    input: BytesMut,
    output: Outbox,
    /// A fresh local port for each dial, so that what is late for an old one means nothing.
    port: u16,
}

struct Stream {
    attempt: Attempt,
    opened: bool,
    hung_up: bool,
}

impl Node {
    pub(super) fn new(connection: Connection, socket: SocketHandle) -> Self {
        let (input, output) = (BytesMut::new(), Outbox::new());
        Self {
            connection,
            socket,
            stream: None,
            input,
            output,
            port: 49_152,
        }
    }

    /// Carries what there is to carry: when the interface was polled, when the deadline has passed, and after commands.
    pub(super) fn turn(&mut self, now: Instant, net: &mut Interface, sockets: &mut SocketSet<'_>) {
        let tcp = sockets.get_mut(self.socket);
        self.read(now, tcp);
        self.connection.handle_timeout(now);
        while let Some(action) = self.connection.poll_action() {
            self.carry_out(now, action, net, tcp);
        }
        self.write(now, tcp);
    }

    fn read(&mut self, now: Instant, tcp: &mut tcp::Socket<'_>) {
        // What stayed while the inbox was full has its turn before anything new.
        if self.connection.wants_read() {
            self.connection.handle_input(now, &mut self.input);
        }
        let Some(stream) = &mut self.stream else {
            return;
        };
        if !stream.opened && tcp.may_send() {
            stream.opened = true;
            self.connection.handle_opened(now, stream.attempt);
        }
        // What is not read fills the window, and the peer waits.
        while self.connection.wants_read() && tcp.can_recv() {
            let _ = tcp.recv(|bytes| (bytes.len(), self.input.extend_from_slice(bytes))); // it can: that was asked
            self.connection.handle_input(now, &mut self.input);
        }
        let cause = match (stream.hung_up, stream.opened, tcp.is_open()) {
            (_, true, _) if tcp.may_recv() || tcp.can_recv() => return,
            (_, false, true) => return,
            (true, ..) => Cause::HungUp,
            (_, false, _) => Cause::ConnectionRefused,
            (_, true, false) => Cause::ConnectionReset,
            (_, true, true) => Cause::Eof,
        };
        tcp.close();
        self.closed(now, cause);
    }

    fn write(&mut self, now: Instant, tcp: &mut tcp::Socket<'_>) {
        while tcp.can_send()
            && (self.output.has_remaining() || self.connection.poll_transmit(now, &mut self.output))
        {
            // What the socket has taken is written: TCP sees to it from here.
            let n = tcp.send_slice(self.output.chunk()).unwrap_or(0);
            self.output.advance(n);
            self.connection.handle_written(now, n);
        }
        // All is said: FIN goes behind it, and when the peer's has come the stream is over.
        if self.stream.as_ref().is_some_and(|stream| stream.hung_up) && self.output.is_empty() {
            tcp.close();
        }
    }

    fn carry_out(
        &mut self,
        now: Instant,
        action: Action,
        net: &mut Interface,
        tcp: &mut tcp::Socket<'_>,
    ) {
        let current = self.stream.as_ref().map(|stream| stream.attempt);
        match action {
            Action::Resolve {
                attempt,
                host,
                port,
            } => {
                // smoltcp has a socket for DNS; this device has nobody to ask.
                let found = match host.parse::<IpAddr>() {
                    Ok(ip) => Ok(vec![(ip, port).into()]),
                    Err(_) => Err(Cause::Other(format!(
                        "there is no DNS here to look up {host}"
                    ))),
                };
                self.connection.handle_resolved(now, attempt, found);
            }
            Action::Dial { attempt, addr } => {
                // An old stream that did not end in time.
                tcp.abort();
                self.input.clear();
                self.output.clear();
                self.stream = Some(Stream {
                    attempt,
                    opened: false,
                    hung_up: false,
                });
                self.port = self.port.checked_add(1).unwrap_or(49_152);
                if let Err(error) = tcp.connect(net.context(), addr, self.port) {
                    self.closed(now, Cause::Other(error.to_string()));
                }
            }
            Action::Hangup {
                attempt,
                flush: true,
            } if current == Some(attempt) => {
                self.stream = Some(Stream {
                    attempt,
                    opened: true,
                    hung_up: true,
                });
            }
            Action::Hangup { attempt, .. } if current == Some(attempt) => {
                tcp.abort();
                self.closed(now, Cause::HungUp);
            }
            Action::Cancel { attempt } if current == Some(attempt) => {
                tcp.abort();
                self.stream = None;
            }
            Action::Hangup { .. } | Action::Cancel { .. } => {}
            // Only who has said in the configuration, or in the URL, that it can be done is asked for it.
            other => unreachable!("nobody has offered {other:?}"),
        }
    }

    fn closed(&mut self, now: Instant, cause: Cause) {
        if let Some(stream) = self.stream.take() {
            self.input.clear();
            self.output.clear();
            self.connection.handle_closed(now, stream.attempt, cause);
        }
    }
}
