//! What a client on tokio promises about the heap: a message allocates nothing; what does is a turn of its driver, which moves as many messages as
//! there are. The peer, on a thread of its own, moves batches, so that a turn is one of many messages.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use assert_no_alloc::{AllocDisabler, assert_no_alloc, reset_violation_count, violation_count};
use mqtt_tokio::{Client, Config, Delivery, QoS, Subscription, Topic};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

const TOPIC: &str = "factory/line7/motor/temp";
const BATCH: usize = 64;
/// Those that are counted, after a few that warm up.
const ROUNDS: usize = 50;
const WARM: usize = 5;
/// How often a batch may allocate and give back: if a message did, there would be at least as many as it has messages.
const A_BATCH: usize = BATCH / 4;
const PATIENCE: Duration = Duration::from_secs(30);
const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// How often `run` allocated or gave back, on this thread.
fn heap_calls(run: impl FnOnce()) -> usize {
    reset_violation_count();
    assert_no_alloc(run);
    let calls = violation_count() as usize;
    reset_violation_count();
    calls
}

/// A server for one client.
struct Peer {
    socket: TcpStream,
    input: Vec<u8>,
    filled: usize,
    /// Answers that wait until there is one for each message of a batch.
    answers: Vec<u8>,
    /// Messages that were sent and are acknowledged.
    acknowledged: usize,
    qos: u8,
}

impl Peer {
    /// With its address. It ends with the client.
    fn start(qos: QoS) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serve = move || {
            let (socket, _) = listener.accept().unwrap();
            socket.set_nodelay(true).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket.set_write_timeout(Some(PATIENCE)).unwrap();
            let mut peer = Self {
                socket,
                input: vec![0; 64 * 1024],
                filled: 0,
                answers: Vec::new(),
                acknowledged: 0,
                qos: qos.as_u8(),
            };
            while peer.turn() {}
        };
        (address, thread::spawn(serve))
    }

    /// Whether the client is still there.
    fn turn(&mut self) -> bool {
        // A client that leaves may reset the connection.
        let n = self.socket.read(&mut self.input[self.filled..]);
        let n = n.unwrap_or(0);
        self.filled += n;
        let mut at = 0;
        while let Some(len) = frame(&self.input[at..self.filled]) {
            self.take(at, len);
            at += len;
        }
        self.input.copy_within(at..self.filled, 0);
        self.filled -= at;
        n > 0
    }

    fn take(&mut self, at: usize, len: usize) {
        let packet = &self.input[at..at + len];
        let first = packet[0];
        // All that have one have it behind a header of two bytes, but for a PUBLISH.
        let id = |at: usize| [packet[at], packet[at + 1]];
        match first >> 4 {
            1 => self.say(&[0x20, 3, 0, 0, 0]),
            3 if first & 6 > 0 => {
                let [high, low] = id(4 + TOPIC.len());
                let answer = if first & 6 == 2 { 0x40 } else { 0x50 };
                self.answer([answer, 2, high, low]);
            }
            3 => {}
            // A message that was sent is received.
            5 => {
                let [high, low] = id(2);
                self.answer([0x62, 2, high, low]);
            }
            6 => {
                let [high, low] = id(2);
                self.answer([0x70, 2, high, low]);
            }
            4 | 7 => {
                self.acknowledged += 1;
                if self.acknowledged == BATCH {
                    self.acknowledged = 0;
                    self.send();
                }
            }
            8 => {
                let [high, low] = id(2);
                let qos = self.qos;
                self.say(&[0x90, 4, high, low, 0, qos]);
                self.send();
                // Nobody asks for more at QoS 0.
                for _ in 1..if qos == 0 { WARM + ROUNDS } else { 1 } {
                    self.send();
                }
            }
            10 => {
                let [high, low] = id(2);
                self.say(&[0xb0, 4, high, low, 0, 0]);
            }
            14 => {}
            other => panic!("a packet of type {other}"),
        }
    }

    fn answer(&mut self, answer: [u8; 4]) {
        self.answers.extend_from_slice(&answer);
        if self.answers.len() == 4 * BATCH {
            let answers = std::mem::take(&mut self.answers);
            self.say(&answers);
        }
    }

    /// A batch.
    fn send(&mut self) {
        let mut batch = Vec::new();
        for id in 1..=BATCH as u8 {
            let size = 2 + TOPIC.len() + if self.qos > 0 { 2 } else { 0 } + 1 + 64;
            batch.extend_from_slice(&[0x30 | self.qos << 1, size as u8, 0, TOPIC.len() as u8]);
            batch.extend_from_slice(TOPIC.as_bytes());
            if self.qos > 0 {
                batch.extend_from_slice(&[0, id]);
            }
            batch.push(0);
            batch.extend_from_slice(&[b'x'; 64]);
        }
        self.say(&batch);
    }

    fn say(&mut self, bytes: &[u8]) {
        // A client that has all it wanted leaves.
        let _ = self.socket.write_all(bytes);
    }
}

/// The length of the first packet, if it is whole. None is longer than two bytes of length say.
fn frame(bytes: &[u8]) -> Option<usize> {
    let (&low, &high) = (bytes.get(1)?, bytes.get(2).unwrap_or(&0));
    let len = match low & 0x80 {
        0 => 2 + usize::from(low),
        _ => 3 + usize::from(low & 0x7f) + usize::from(high) * 128,
    };
    (bytes.len() >= len).then_some(len)
}

/// A runtime of one thread, this one, with a client that is connected to the peer.
fn connected(address: SocketAddr) -> (Runtime, Client) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = Config::builder("allocations").build().unwrap();
    let url = format!("mqtt://{address}");
    let connect = async { mqtt_tokio::connect(&url, config).await.unwrap() };
    let client = runtime.block_on(connect);
    (runtime, client)
}

async fn publish(client: &Client, topic: &Topic, qos: QoS, deliveries: &mut Vec<Delivery>) {
    for _ in 0..BATCH {
        let payload = &[b'x'; 64][..];
        let delivery = client.publish(topic.clone(), qos, payload).await;
        deliveries.push(delivery.unwrap());
    }
    for delivery in deliveries.drain(..) {
        delivery.await.unwrap();
    }
}

#[test]
fn publishing_allocates_for_batches_and_not_for_messages() {
    let topic = Topic::from_static(TOPIC).unwrap();
    for qos in QOS {
        let (address, peer) = Peer::start(qos);
        let (runtime, client) = connected(address);
        let mut deliveries = Vec::with_capacity(BATCH);
        for _ in 0..WARM {
            runtime.block_on(publish(&client, &topic, qos, &mut deliveries));
        }
        let calls = heap_calls(|| {
            runtime.block_on(async {
                for _ in 0..ROUNDS {
                    publish(&client, &topic, qos, &mut deliveries).await;
                }
            });
        });
        say("publish", qos, calls);
        assert!(calls <= ROUNDS * A_BATCH, "{calls} at {qos}");
        runtime.block_on(client.disconnect(PATIENCE));
        peer.join().unwrap();
    }
}

async fn receive(messages: &mut Subscription, qos: QoS, count: usize) {
    for _ in 0..count {
        let message = messages.next().await.expect("a message");
        assert_eq!(message.topic().as_str(), TOPIC);
        assert_eq!(message.qos(), qos);
    }
}

#[test]
fn receiving_allocates_for_batches_and_not_for_messages() {
    for qos in QOS {
        let (address, peer) = Peer::start(qos);
        let (runtime, client) = connected(address);
        let subscribe = client.subscribe("factory/+/motor/#", qos);
        let mut messages = runtime.block_on(async { subscribe.await.unwrap() });
        runtime.block_on(receive(&mut messages, qos, WARM * BATCH));
        let calls = heap_calls(|| runtime.block_on(receive(&mut messages, qos, ROUNDS * BATCH)));
        say("receive", qos, calls);
        assert!(calls <= ROUNDS * A_BATCH, "{calls} at {qos}");
        drop(messages);
        runtime.block_on(client.disconnect(PATIENCE));
        drop(runtime);
        peer.join().unwrap();
    }
}

/// With `--nocapture`.
fn say(what: &str, qos: QoS, calls: usize) {
    let a_batch = calls as f64 / ROUNDS as f64;
    println!("{what} at {qos}: {a_batch:.2} allocations and releases for {BATCH} messages");
}
