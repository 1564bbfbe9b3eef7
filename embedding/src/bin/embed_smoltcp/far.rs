//! The other end of the wire: the model broker behind one socket of the same stack.

use std::error::Error;

use bytes::BytesMut;
use mqtt_session::Instant;
use mqtt_session::proto::{Publish, QoS, Topic};
use mqtt_testkit::{Broker, BrokerConfig, ConnId};
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp;

/// After so many readings the connection is cut, once.
const CUT_AFTER: usize = 10;

pub(super) struct Far {
    broker: Broker,
    socket: SocketHandle,
    port: u16,
    conn: Option<ConnId>,
    input: BytesMut,
    output: Vec<u8>,
    seen: usize,
    cuts: usize,
}

impl Far {
    pub(super) fn new(socket: SocketHandle, port: u16) -> Self {
        let broker = Broker::new(BrokerConfig::default());
        Self {
            broker,
            socket,
            port,
            conn: None,
            input: BytesMut::new(),
            output: Vec::new(),
            seen: 0,
            cuts: 0,
        }
    }

    pub(super) fn turn(&mut self, now: Instant, sockets: &mut SocketSet<'_>) {
        let now = now.since(Instant::ZERO);
        let tcp = sockets.get_mut::<tcp::Socket<'_>>(self.socket);
        self.broker.timeout(now);
        if !tcp.is_open() {
            if let Some(conn) = self.conn.take() {
                self.broker.closed(now, conn);
            }
            tcp.listen(self.port)
                .expect("the socket is closed, and the port is not 0");
        }
        if !tcp.may_send() {
            return;
        }
        let conn = *self.conn.get_or_insert_with(|| {
            self.input.clear();
            self.output.clear();
            self.broker.open(now)
        });
        while tcp.can_recv() {
            let _ = tcp.recv(|bytes| (bytes.len(), self.input.extend_from_slice(bytes)));
            self.broker.input(now, conn, &mut self.input);
        }
        self.switch_the_lamp(now);
        if self.seen == CUT_AFTER && self.cuts == 0 {
            self.cuts += 1;
            return tcp.abort();
        }
        self.broker.output(conn, &mut self.output);
        let sent = tcp.send_slice(&self.output).unwrap_or(0);
        self.output.drain(..sent);
        if (self.broker.wants_close(conn) || !tcp.may_recv()) && self.output.is_empty() {
            tcp.close();
        }
    }

    /// At the first reading on, and at the one at which the connection is cut off.
    fn switch_the_lamp(&mut self, now: mqtt_testkit::Time) {
        let before = std::mem::replace(&mut self.seen, self.broker.received().len());
        for (at, state) in [(1, "on"), (CUT_AFTER, "off")] {
            if before < at && self.seen >= at {
                let topic = Topic::try_from("lamp/set").expect("a topic");
                self.broker
                    .publish(now, &Publish::new(topic, state), QoS::AtLeastOnce);
            }
        }
    }

    /// Whether each reading came once, in order, over two connections, from a client that kept to the protocol.
    pub(super) fn check(&self, readings: usize) -> Result<(), Box<dyn Error>> {
        let came = self
            .broker
            .received()
            .iter()
            .map(|received| received.message.payload().to_vec());
        let sent = (0..readings).map(|n| n.to_string().into_bytes());
        if !came.eq(sent) || self.cuts != 1 || !self.broker.violations().is_empty() {
            return Err(format!("it went wrong:\n{}", self.broker.ladder()).into());
        }
        Ok(())
    }
}
