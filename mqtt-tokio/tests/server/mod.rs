//! The model broker behind real sockets on loopback, in the runtime of the test.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use mqtt_testkit::{Broker, BrokerConfig, Time};
use mqtt_tokio::{Backoff, Client, Config, ConfigBuilder, Version};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T = ()> = std::result::Result<T, Failure>;

/// Nothing in these tests takes longer.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    pub(crate) url: String,
    inner: Arc<Inner>,
}

struct Inner {
    broker: Mutex<Broker>,
    begin: Instant,
    /// Something has changed: there may be output on any connection.
    changed: Notify,
    /// Counts how often all connections were cut.
    cuts: watch::Sender<u32>,
}

impl Server {
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(BrokerConfig::default()).await
    }

    pub(crate) async fn start_with(config: BrokerConfig) -> Result<Self> {
        Self::on(TcpListener::bind("127.0.0.1:0").await?, config)
    }

    pub(crate) fn on(listener: TcpListener, config: BrokerConfig) -> Result<Self> {
        let url = format!("mqtt://{}", listener.local_addr()?);
        let inner = Arc::new(Inner {
            broker: Mutex::new(Broker::new(config)),
            begin: Instant::now(),
            changed: Notify::new(),
            cuts: watch::Sender::new(0),
        });
        let server = Arc::clone(&inner);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&server).serve(stream));
            }
        });
        Ok(Self { url, inner })
    }

    /// Serves this stream, too, until either end closes it.
    pub(crate) async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        Arc::clone(&self.inner).serve(stream).await;
    }

    /// Serves those who come over this one, too.
    #[cfg(unix)]
    pub(crate) fn serve_unix(&self, listener: tokio::net::UnixListener) {
        let server = Arc::clone(&self.inner);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&server).serve(stream));
            }
        });
    }

    /// Connects a client of 5.0 with everything else as by default, but quick to come back.
    pub(crate) async fn connect(&self) -> Result<Client> {
        Ok(mqtt_tokio::connect(&self.url, config("client").build()?).await?)
    }

    /// Does something with the broker; what comes of it is sent.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Broker, Time) -> R) -> R {
        self.inner.with(act)
    }

    /// Resolves when the broker has come into a state.
    pub(crate) async fn until(&self, what: &str, mut state: impl FnMut(&Broker) -> bool) {
        let reached = async {
            while !self.with(|broker, _| state(broker)) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let reached = tokio::time::timeout(LONG, reached).await;
        assert!(
            reached.is_ok(),
            "waited in vain until {what}:\n{}",
            self.with(|broker, _| broker.ladder().to_string())
        );
    }

    /// Cuts all connections without a word.
    pub(crate) fn cut(&self) {
        self.inner.cuts.send_modify(|cuts| *cuts += 1);
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

/// A configuration with which a client comes back at once.
pub(crate) fn config(client_id: &str) -> ConfigBuilder {
    let first = Duration::from_millis(20);
    Config::builder(client_id).backoff(Backoff {
        first,
        longest: first,
        ..Backoff::default()
    })
}

/// Both versions that a test is run with.
pub(crate) const VERSIONS: [Version; 2] = [Version::V3_1_1, Version::V5];

/// Fails where something takes so long that it would never come.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    match tokio::time::timeout(LONG, future).await {
        Ok(output) => output,
        Err(_) => panic!("nothing came within {LONG:?}"),
    }
}

impl Inner {
    fn with<R>(&self, act: impl FnOnce(&mut Broker, Time) -> R) -> R {
        let result = {
            let mut broker = self.broker.lock().unwrap();
            let now = self.begin.elapsed();
            broker.timeout(now);
            act(&mut broker, now)
        };
        self.changed.notify_waiters();
        result
    }

    async fn serve(self: Arc<Self>, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let conn = self.with(|broker, now| broker.open(now));
        let mut cuts = self.cuts.subscribe();
        let (mut input, mut output) = (BytesMut::new(), Vec::new());
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let done = {
                let mut broker = self.broker.lock().unwrap();
                broker.output(conn, &mut output);
                broker.wants_close(conn)
            };
            if stream.write_all(&output).await.is_err() || done {
                break;
            }
            output.clear();
            tokio::select! {
                read = stream.read_buf(&mut input) => match read {
                    Ok(0) | Err(_) => break,
                    Ok(_) => self.with(|broker, now| broker.input(now, conn, &mut input)),
                },
                () = changed => {}
                _ = cuts.changed() => break,
            }
        }
        self.with(|broker, now| broker.closed(now, conn));
    }
}
