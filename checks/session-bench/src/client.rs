//! A connected [`Client`] and its driver's end without a socket, so that what a message costs through the handles can be measured.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use mqtt_proto::{ConnAck, Outbox, Packet, QoS, Topic};
use mqtt_session::client::{self, Client, Port, Report, Subscription, Turn};
use mqtt_session::{Action, Config, Endpoint, Instant};

use super::{BATCH, ID_AT, Moves, PAYLOAD, TOPIC, batch, server_bytes};

const NOW: Instant = Instant::from_nanos(1);

/// A client, its driver's port, and what passes between that and its server.
#[derive(Debug)]
pub struct ClientBench {
    client: Client,
    port: Port,
    subscription: Option<Subscription>,
    topic: Topic,
    output: Outbox,
    input: BytesMut,
    reports: Vec<Report>,
    actions: Vec<Action>,
    written: usize,
    /// One batch from the server, for each QoS.
    arriving: [Vec<u8>; 3],
    answers: Vec<u8>,
}

impl Default for ClientBench {
    fn default() -> Self {
        Self::new()
    }
}

impl ClientBench {
    /// A client that is connected and has a subscription.
    ///
    /// # Panics
    ///
    /// If it can't be brought so far.
    pub fn new() -> Self {
        let config = Config::builder("bench").build().expect("a configuration");
        let server = Endpoint::new("127.0.0.1", 1883);
        let (client, port) = client::build(config, server, 7, || NOW).expect("a client");
        client.start();
        let mut bench = Self {
            client,
            port,
            subscription: None,
            topic: Topic::from_static(TOPIC).expect("a topic"),
            output: Outbox::new(),
            input: BytesMut::with_capacity(64 * 1024),
            reports: Vec::new(),
            actions: Vec::new(),
            written: 0,
            arriving: [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce].map(batch),
            answers: Vec::new(),
        };
        bench.turn();
        let Some(Action::Dial { attempt, .. }) = bench.actions.pop() else {
            panic!("no dial")
        };
        bench.reports.push(Report::Opened(attempt));
        bench.turn();
        bench.write();
        bench.feed(&server_bytes(&Packet::ConnAck(ConnAck::default())));
        let client = bench.client.clone();
        let mut subscribing = pin!(client.subscribe("factory/+/motor/#", QoS::ExactlyOnce));
        assert!(poll(subscribing.as_mut()).is_pending());
        bench.turn();
        let id: [u8; 2] = bench.output.to_vec()[2..4].try_into().expect("SUBSCRIBE");
        bench.write();
        bench.feed(&[0x90, 4, id[0], id[1], 0, 2]);
        let Poll::Ready(Ok(subscription)) = poll(subscribing.as_mut()) else {
            panic!("not subscribed")
        };
        bench.subscription = Some(subscription);
        bench
    }

    /// Publishes a batch, the acceptance of each message awaited, and brings all to their outcomes. How many got one.
    ///
    /// # Panics
    ///
    /// If a message is refused.
    pub fn publish(&mut self, qos: QoS) -> usize {
        let before = self.client.stats();
        let payload = Bytes::from_static(PAYLOAD);
        for _ in 0..BATCH {
            let mut publishing = pin!(self.client.publish(
                self.topic.clone(),
                qos,
                payload.clone()
            ));
            let delivery = loop {
                match poll(publishing.as_mut()) {
                    Poll::Ready(result) => break result.expect("accepted"),
                    // It gives way now and then.
                    Poll::Pending => {}
                }
            };
            drop(delivery);
        }
        self.turn();
        match qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.answer(ID_AT, 0x40),
            QoS::ExactlyOnce => {
                self.answer(ID_AT, 0x50);
                self.answer(2, 0x70);
            }
        }
        self.write();
        self.turn();
        let after = self.client.stats();
        assert_eq!(after.outgoing_bytes, 0, "all have their outcome");
        (after.accepted - before.accepted) as usize
    }

    /// Receives a batch and reads it. How many came.
    pub fn receive(&mut self, qos: QoS) -> usize {
        let arriving = std::mem::take(&mut self.arriving[usize::from(qos.as_u8())]);
        self.feed(&arriving);
        self.arriving[usize::from(qos.as_u8())] = arriving;
        let mut taken = 0;
        if let Some(subscription) = &mut self.subscription {
            while let Poll::Ready(Some(message)) = poll(pin!(subscription.next())) {
                taken += usize::from(message.payload().len() == PAYLOAD.len());
            }
        }
        self.turn();
        if qos == QoS::ExactlyOnce {
            self.answer(2, 0x62);
        }
        self.write();
        self.turn();
        taken
    }

    /// Answers each packet that waits to be written, all of one size, with one of four bytes and the identifier that stands at `id_at`.
    fn answer(&mut self, id_at: usize, first: u8) {
        let bytes = self.output.to_vec();
        self.write();
        let mut answers = std::mem::take(&mut self.answers);
        answers.clear();
        for packet in bytes.chunks_exact(bytes.len() / BATCH) {
            answers.extend_from_slice(&[first, 2, packet[id_at], packet[id_at + 1]]);
        }
        self.feed(&answers);
        self.answers = answers;
    }

    /// The system takes what there is.
    fn write(&mut self) {
        self.written += self.output.len();
        self.output.clear();
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.turn();
        assert!(self.input.is_empty(), "{:?}", self.client.stats());
    }

    fn turn(&mut self) {
        self.port.turn(Turn {
            now: NOW,
            input: &mut self.input,
            written: std::mem::take(&mut self.written),
            reports: &mut self.reports,
            output: &mut self.output,
            actions: &mut self.actions,
            idle: None,
        });
    }
}

impl Moves for ClientBench {
    fn publish(&mut self, qos: QoS) -> usize {
        Self::publish(self, qos)
    }

    fn receive(&mut self, qos: QoS) -> usize {
        Self::receive(self, qos)
    }
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
