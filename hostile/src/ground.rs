//! Both ends of a socket: a client on an adapter, and a peer that the test writes itself, on a thread of its own.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mqtt_behaviour::{Adapter, Running};
use mqtt_session::client::exports::{Backoff, ConfigBuilder, Timeouts};
use mqtt_session::client::{Client, ClientEvent, Events, Subscription};
use mqtt_session::proto::{Decoder, Packet, PacketType, QoS, Sender, Version};
use mqtt_session::{Config, ConnectionError};
use mqtt_testkit::{Broker, BrokerConfig, Direction, LogEntry};

use crate::Result;

/// Nothing takes longer.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// What is configured where something is waited for in vain,
pub(crate) const SHORT: Duration = Duration::from_millis(60);
/// and where it may come after all, on a machine that has much to do.
const PATIENCE: Duration = Duration::from_millis(800);

/// A configuration with which a client comes back at once.
pub(crate) fn config(version: Version) -> ConfigBuilder {
    let first = Duration::from_millis(1);
    let backoff = Backoff {
        first,
        longest: first,
        ..Backoff::default()
    };
    let config = Config::builder("client").version(version);
    config.clean_start(false).backoff(backoff)
}

/// The same, which soon asks a silent server whether it is there, and gives it up.
pub(crate) fn impatient(version: Version) -> ConfigBuilder {
    let mut timeouts = Timeouts::default();
    timeouts.liveness = SHORT;
    timeouts.pingresp = PATIENCE;
    config(version)
        .timeouts(timeouts)
        .keep_alive(Duration::ZERO)
}

/// The same, which soon gives up whoever does not let it in.
pub(crate) fn hasty(version: Version) -> ConfigBuilder {
    let mut timeouts = Timeouts::default();
    timeouts.handshake = SHORT;
    timeouts.connack = SHORT;
    config(version).timeouts(timeouts)
}

/// A server of the test's own, of which each connection is handled by the code that is given.
pub(crate) struct Peer {
    pub(crate) addr: SocketAddr,
    thread: JoinHandle<Result>,
}

impl Peer {
    pub(crate) fn new(serve: impl FnOnce(TcpListener) -> Result + Send + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?;
        let thread = thread::spawn(move || serve(listener));
        Ok(Self { addr, thread })
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://{}", self.addr)
    }

    /// It is done, and has found nothing wrong.
    pub(crate) fn join(self) -> Result {
        match self.thread.join() {
            Ok(result) => result,
            Err(_) => Err("the peer has panicked".into()),
        }
    }
}

/// The next connection; reading and writing it are bounded.
pub(crate) fn accept(listener: &TcpListener) -> Result<TcpStream> {
    let deadline = Instant::now() + LONG;
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(LONG))?;
                stream.set_write_timeout(Some(LONG))?;
                return Ok(stream);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline => {
                thread::sleep(Duration::from_micros(200));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The packets that a client sends, one after the other.
pub(crate) struct Packets {
    decoder: Decoder,
    input: BytesMut,
}

impl Packets {
    pub(crate) fn new(version: Version) -> Self {
        Self {
            decoder: Decoder::new(version, Sender::Client),
            input: BytesMut::new(),
        }
    }

    pub(crate) fn next(&mut self, stream: &mut impl Read) -> Result<Packet> {
        let mut chunk = [0; 4096];
        loop {
            if let Some(packet) = self.decoder.decode(&mut self.input)? {
                return Ok(packet);
            }
            match stream.read(&mut chunk)? {
                0 => return Err("the client has closed".into()),
                n => self.input.extend_from_slice(&chunk[..n]),
            }
        }
    }

    /// CONNECT comes, and is accepted.
    pub(crate) fn accept(&mut self, stream: &mut (impl Read + Write)) -> Result {
        self.connect(stream)?;
        stream.write_all(connack(self.decoder.version()))?;
        Ok(())
    }

    /// CONNECT comes.
    pub(crate) fn connect(&mut self, stream: &mut impl Read) -> Result {
        let first = self.next(stream)?.packet_type();
        assert_eq!(first, PacketType::Connect);
        Ok(())
    }

    /// What was read and not looked at.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        self.input.split().to_vec()
    }
}

/// CONNACK without anything.
pub(crate) fn connack(version: Version) -> &'static [u8] {
    if version.is_v5() {
        &[0x20, 3, 0, 0, 0]
    } else {
        &[0x20, 2, 0, 0]
    }
}

/// Everything until the client has closed, one way or the other.
pub(crate) fn read_to_end(stream: &mut impl Read) -> Result<Vec<u8>> {
    let (mut all, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(all),
            Ok(n) => all.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(all),
            Err(error) => return Err(error.into()),
        }
    }
}

/// A strict broker, for one connection after the other until the client leaves: with short timeouts, and much to do for the machine, it may need
/// more than one.
pub(crate) fn serve(listener: &TcpListener) -> Result {
    while !serve_one(&mut accept(listener)?)? {}
    Ok(())
}

/// The same for one connection. Whether the client has left it in order.
pub(crate) fn serve_one(stream: &mut (impl Read + Write)) -> Result<bool> {
    let mut broker = Broker::new(BrokerConfig::default());
    let begin = Instant::now();
    let conn = broker.open(begin.elapsed());
    let (mut input, mut chunk) = (BytesMut::new(), [0; 4096]);
    while let Ok(n @ 1..) = stream.read(&mut chunk) {
        input.extend_from_slice(&chunk[..n]);
        broker.input(begin.elapsed(), conn, &mut input);
        let mut output = Vec::new();
        broker.output(conn, &mut output);
        if stream
            .write_all(&output)
            .and_then(|()| stream.flush())
            .is_err()
        {
            break;
        }
        if broker.wants_close(conn) {
            break;
        }
    }
    Ok(has_left(&broker))
}

/// Whether the client has said DISCONNECT, and nothing wrong.
pub(crate) fn has_left(broker: &Broker) -> bool {
    assert_eq!(broker.violations(), [], "{}", broker.ladder());
    let said = |entry: &LogEntry| Some(entry.packet(Direction::ToBroker)?.packet_type);
    let mut said = broker.log().iter().filter_map(said);
    said.any(|packet_type| packet_type == PacketType::Disconnect)
}

/// A client, its driver, and what is told of its connection.
pub(crate) struct Near {
    pub(crate) client: Client,
    pub(crate) events: Events,
    running: Running,
}

impl Near {
    /// One that has begun to connect.
    pub(crate) fn start(adapter: &dyn Adapter, url: &str, config: ConfigBuilder) -> Result<Self> {
        let (client, running) = adapter.build(url, config.build()?)?;
        let events = client.events();
        client.start();
        Ok(Self {
            client,
            events,
            running,
        })
    }

    /// The same, and what no subscription claims is read from the first message on.
    pub(crate) fn reading(
        adapter: &dyn Adapter,
        url: &str,
        config: ConfigBuilder,
    ) -> Result<(Self, Subscription)> {
        let (client, running) = adapter.build(url, config.build()?)?;
        let (events, messages) = (client.events(), client.messages());
        client.start();
        let near = Self {
            client,
            events,
            running,
        };
        Ok((near, messages))
    }

    pub(crate) async fn connected(&self) -> Result {
        self.client.connected().await?;
        Ok(())
    }

    /// The next loss.
    pub(crate) async fn lost(&mut self) -> Result<ConnectionError> {
        loop {
            match self.events.next().await {
                Some(ClientEvent::Lost { error, .. }) => return Ok(error),
                Some(ClientEvent::Closed) | None => return Err("closed, and nothing lost".into()),
                Some(_) => {}
            }
        }
    }

    /// The connection that is there, or that comes next, works in both directions.
    pub(crate) async fn works(&self) -> Result {
        self.connected().await?;
        let mut own = self.client.subscribe("in", QoS::AtLeastOnce).await?;
        let sent = self.client.publish("in", QoS::AtLeastOnce, "out").await?;
        sent.await?;
        let message = own.next().await.ok_or("no message")?;
        assert_eq!(message.payload(), b"out");
        Ok(())
    }

    /// Leaves, and the driver ends.
    pub(crate) async fn leave(self) -> Result {
        self.client.disconnect(LONG).await;
        self.running.ended().await;
        Ok(())
    }

    /// Lets go of it, which is another way to leave.
    pub(crate) async fn drop_client(self) -> Result {
        drop((self.client, self.events));
        self.running.ended().await;
        Ok(())
    }

    /// Waits until what it has received is so much.
    pub(crate) fn until_received(&self, count: u64) {
        self.until(|client| client.stats().received >= count);
    }

    /// Waits until it has come so far.
    pub(crate) fn until(&self, reached: impl Fn(&Client) -> bool) {
        let deadline = Instant::now() + LONG;
        while !reached(&self.client) {
            assert!(Instant::now() < deadline, "{:?}", self.client.stats());
            thread::sleep(Duration::from_micros(200));
        }
    }
}

/// One poll, which wakes nobody.
pub(crate) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
