//! The model broker behind loopback sockets, in one thread.

mod front;
mod serve;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
#[cfg(unix)]
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use mio::{Poll, Waker};
use mqtt_session::proto::{PacketType, Publish, QoS, Topic};
use mqtt_testkit::{Broker, BrokerConfig, Direction, Time};

use crate::block_on::LONG;
use crate::{Failure, Result, Transport};

use front::Fronts;
use serve::Listener;

/// A broker on a socket of its own. Dropping it closes everything.
pub struct Server {
    place: Place,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Where it listens.
enum Place {
    /// With what the transport has in front.
    Tcp(SocketAddr, Transport),
    Unix(PathBuf),
}

struct Shared {
    state: Mutex<State>,
    /// The thread has done something.
    changed: Condvar,
    /// Wakes the thread.
    waker: Waker,
    begin: Instant,
}

struct State {
    broker: Broker,
    /// Cut all connections without a word.
    cut: bool,
    /// Connections to which the system takes nothing more at the moment.
    stalled: usize,
    stop: bool,
    failed: Option<Failure>,
}

impl Server {
    /// On this address, whose port may be left to the system.
    pub(crate) fn on(addr: SocketAddr) -> Result<Self> {
        Self::tcp(addr, Transport::Tcp, BrokerConfig::default())
    }

    pub(crate) fn tcp(
        addr: SocketAddr,
        transport: Transport,
        config: BrokerConfig,
    ) -> Result<Self> {
        let listener = mio::net::TcpListener::bind(addr)?;
        let place = Place::Tcp(listener.local_addr()?, transport);
        Self::start(place, Listener::Tcp(listener), transport, config)
    }

    #[cfg(unix)]
    pub(crate) fn unix(config: BrokerConfig) -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (process, n) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("mqtt-behaviour-{process}-{n}.sock"));
        let listener = mio::net::UnixListener::bind(&path)?;
        Self::start(
            Place::Unix(path),
            Listener::Unix(listener),
            Transport::Unix,
            config,
        )
    }

    fn start(
        place: Place,
        listener: Listener,
        transport: Transport,
        config: BrokerConfig,
    ) -> Result<Self> {
        let fronts = Fronts::of(transport)?;
        let poll = Poll::new()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                broker: Broker::new(config),
                cut: false,
                stalled: 0,
                stop: false,
                failed: None,
            }),
            changed: Condvar::new(),
            waker: Waker::new(poll.registry(), serve::WAKER)?,
            begin: Instant::now(),
        });
        let thread = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                if let Err(error) = serve::run(&shared, poll, listener, &fronts) {
                    shared.lock().failed = Some(error);
                }
                shared.changed.notify_all();
            })
        };
        Ok(Self {
            place,
            shared,
            thread: Some(thread),
        })
    }

    /// Of one that listens on TCP.
    pub(crate) fn addr(&self) -> SocketAddr {
        match &self.place {
            Place::Tcp(addr, _) => *addr,
            Place::Unix(path) => panic!("{} has no address", path.display()),
        }
    }

    pub(crate) fn url(&self) -> String {
        match &self.place {
            Place::Tcp(addr, transport) => transport.url(*addr),
            Place::Unix(path) => format!("unix://{}", path.display()),
        }
    }

    /// Does something with the broker; what comes of it is sent.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Broker, Time) -> R) -> R {
        let result = {
            let mut state = self.shared.lock();
            let now = self.shared.begin.elapsed();
            state.broker.timeout(now);
            act(&mut state.broker, now)
        };
        self.shared.wake();
        result
    }

    /// Sends numbers to whoever subscribes.
    pub(crate) fn send(&self, topic: &str, qos: QoS, numbers: std::ops::Range<u32>) -> Result {
        let topic = Topic::try_from(topic)?;
        self.with(|broker, now| {
            for n in numbers {
                broker.publish(now, &Publish::new(topic.clone(), n.to_string()), qos);
            }
        });
        Ok(())
    }

    /// Waits until the broker has come into a state, on the thread that calls.
    pub(crate) fn until(&self, what: &str, mut reached: impl FnMut(&Broker) -> bool) {
        self.wait(what, |state| reached(&state.broker));
    }

    /// Waits until the system takes nothing more for a client.
    pub(crate) fn until_stalled(&self) {
        self.wait("a client takes nothing more", |state| state.stalled > 0);
    }

    fn wait(&self, what: &str, mut reached: impl FnMut(&State) -> bool) {
        let deadline = Instant::now() + LONG;
        let mut state = self.shared.lock();
        while !reached(&state) {
            if let Some(error) = &state.failed {
                panic!("the server has failed: {error}");
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "waited in vain until {what}:\n{}",
                state.broker.ladder()
            );
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until nobody is connected.
    pub(crate) fn until_alone(&self) {
        self.until("nobody is connected", |broker| {
            broker.connections().next().is_none()
        });
    }

    /// Cuts all connections without a word.
    pub(crate) fn cut(&self) {
        self.shared.lock().cut = true;
        self.shared.wake();
    }

    /// How many packets of a type have come.
    pub(crate) fn count(&self, packet_type: PacketType) -> usize {
        self.with(|broker, _| {
            let packets = broker.log().iter();
            packets
                .filter_map(|entry| entry.packet(Direction::ToBroker))
                .filter(|summary| summary.packet_type == packet_type)
                .count()
        })
    }

    /// The payloads that were accepted, in order.
    pub(crate) fn payloads(&self) -> Vec<Vec<u8>> {
        self.with(|broker, _| {
            let received = broker.received().iter();
            received
                .map(|received| received.message.payload().to_vec())
                .collect()
        })
    }

    /// What every scenario ends with.
    pub(crate) fn assert_no_violations(&self) {
        self.with(|broker, _| {
            let violations = broker.violations();
            assert!(violations.is_empty(), "{violations:?}\n{}", broker.ladder());
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            // It says by itself what it has failed with.
            let _ = thread.join();
        }
        if let Place::Unix(path) = &self.place {
            // It may be gone already, with its folder.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            self.lock().failed.get_or_insert_with(|| error.into());
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}
