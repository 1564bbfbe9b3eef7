//! The model broker behind real sockets on loopback, on threads of the test.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mqtt_blocking::{Backoff, Client, Config, ConfigBuilder, Version};
use mqtt_testkit::{Broker, BrokerConfig, ConnId, Time};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T = ()> = std::result::Result<T, Failure>;

/// Nothing in these tests takes longer.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Dropped, it takes no more connections and cuts those that there are.
pub(crate) struct Server {
    pub(crate) url: String,
    inner: Arc<Inner>,
}

struct Inner {
    begin: Instant,
    state: Mutex<State>,
    /// Something has changed: there may be output on any connection.
    changed: Condvar,
}

/// A byte stream of the server's.
pub(crate) trait Peer: Read + Write + Send {
    fn another(&self) -> std::io::Result<Box<dyn Peer>>;
    fn close(&self);
}

macro_rules! peer {
    ($stream:ty) => {
        impl Peer for $stream {
            fn another(&self) -> std::io::Result<Box<dyn Peer>> {
                Ok(Box::new(self.try_clone()?))
            }

            fn close(&self) {
                let _ = self.shutdown(Shutdown::Both);
            }
        }
    };
}

peer!(TcpStream);
#[cfg(unix)]
peer!(std::os::unix::net::UnixStream);

struct State {
    broker: Broker,
    streams: BTreeMap<ConnId, Box<dyn Peer>>,
    stopped: bool,
}

impl Server {
    pub(crate) fn start() -> Result<Self> {
        Self::start_with(BrokerConfig::default())
    }

    pub(crate) fn start_with(config: BrokerConfig) -> Result<Self> {
        Self::on(TcpListener::bind("127.0.0.1:0")?, config)
    }

    pub(crate) fn on(listener: TcpListener, config: BrokerConfig) -> Result<Self> {
        let url = format!("mqtt://{}", listener.local_addr()?);
        let inner = Arc::new(Inner {
            begin: Instant::now(),
            state: Mutex::new(State {
                broker: Broker::new(config),
                streams: BTreeMap::new(),
                stopped: false,
            }),
            changed: Condvar::new(),
        });
        let server = Arc::downgrade(&inner);
        thread::spawn(move || accept(&listener, &server));
        Ok(Self { url, inner })
    }

    /// Connects a client of 5.0 with everything else as by default, but quick to come back.
    pub(crate) fn connect(&self) -> Result<Client> {
        Ok(mqtt_blocking::connect(
            &self.url,
            config("client").build()?,
        )?)
    }

    /// Serves a connection that came another way.
    pub(crate) fn serve(&self, stream: impl Peer + 'static) {
        serve(&self.inner, Box::new(stream));
    }

    /// Does something with the broker; what comes of it is sent.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Broker, Time) -> R) -> R {
        self.inner.with(|state, now| act(&mut state.broker, now))
    }

    /// Returns when the broker has come into a state.
    pub(crate) fn until(&self, what: &str, mut reached: impl FnMut(&Broker) -> bool) {
        let begin = Instant::now();
        while !self.with(|broker, _| reached(broker)) {
            assert!(
                begin.elapsed() < LONG,
                "waited in vain until {what}:\n{}",
                self.with(|broker, _| broker.ladder().to_string())
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Cuts all connections without a word.
    pub(crate) fn cut(&self) {
        self.inner.with(|state, _| state.cut());
    }

    /// How many packets with this name were received.
    pub(crate) fn received(&self, packet_name: &str) -> usize {
        let to_broker = mqtt_testkit::Direction::ToBroker;
        self.with(|broker, _| {
            let packets = broker
                .log()
                .iter()
                .filter_map(|entry| entry.packet(to_broker));
            packets
                .filter(|summary| summary.packet_type.name() == packet_name)
                .count()
        })
    }

    /// What every test ends with.
    pub(crate) fn assert_no_violations(&self) {
        self.with(|broker, _| {
            assert!(
                broker.violations().is_empty(),
                "{:?}\n{}",
                broker.violations(),
                broker.ladder()
            )
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.inner.with(|state, _| {
            state.stopped = true;
            state.cut();
        });
        // Its thread looks at the next connection whether to go on.
        let addr = self.url.trim_start_matches("mqtt://");
        let _ = TcpStream::connect(addr);
    }
}

/// A configuration with which a client comes back at once.
pub(crate) fn config(client_id: &str) -> ConfigBuilder {
    let first = Duration::from_millis(20);
    Config::builder(client_id).backoff(Backoff {
        first,
        longest: first,
        ..Backoff::default()
    })
}

/// All versions.
pub(crate) const VERSIONS: [Version; 3] = [Version::V3_1, Version::V3_1_1, Version::V5];

/// Returns when something has come to be.
pub(crate) fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !reached() {
        assert!(begin.elapsed() < LONG, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn accept(listener: &TcpListener, server: &Weak<Inner>) {
    while let Ok((stream, _)) = listener.accept() {
        let Some(inner) = server.upgrade() else {
            return;
        };
        serve(&inner, Box::new(stream));
    }
}

fn serve(inner: &Arc<Inner>, stream: Box<dyn Peer>) {
    let (own, reader) = (stream.another().unwrap(), stream.another().unwrap());
    let opened = inner.with(|state, now| {
        let conn = (!state.stopped).then(|| state.broker.open(now))?;
        state.streams.insert(conn, own);
        Some(conn)
    });
    if let Some(conn) = opened {
        let (reading, writing) = (Arc::clone(inner), Arc::clone(inner));
        thread::spawn(move || reading.read(conn, reader));
        thread::spawn(move || writing.write(conn, stream));
    }
}

impl State {
    fn cut(&mut self) {
        for (_, stream) in std::mem::take(&mut self.streams) {
            stream.close();
        }
    }
}

impl Inner {
    fn with<R>(&self, act: impl FnOnce(&mut State, Time) -> R) -> R {
        let result = {
            let mut state = self.state.lock().unwrap();
            let now = self.begin.elapsed();
            state.broker.timeout(now);
            act(&mut state, now)
        };
        self.changed.notify_all();
        result
    }

    fn read(&self, conn: ConnId, mut stream: Box<dyn Peer>) {
        let mut input = BytesMut::new();
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            input.extend_from_slice(&buffer[..n]);
            self.with(|state, now| state.broker.input(now, conn, &mut input));
        }
        self.with(|state, now| {
            state.broker.closed(now, conn);
            state.streams.remove(&conn);
        });
    }

    fn write(&self, conn: ConnId, mut stream: Box<dyn Peer>) {
        let mut output = Vec::new();
        loop {
            let done = {
                let mut state = self.state.lock().unwrap();
                loop {
                    state.broker.output(conn, &mut output);
                    let done = state.broker.wants_close(conn);
                    if done || !output.is_empty() {
                        break done;
                    }
                    state = self.changed.wait(state).unwrap();
                }
            };
            let written = stream.write_all(&output);
            output.clear();
            if done || written.is_err() {
                stream.close();
                return;
            }
        }
    }
}
