//! Peers that send as fast as they can: memory stays within what is configured.
//!
//! Each flood lasts a moment, which `HOSTILE_SECONDS` makes longer.

use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use mqtt_behaviour::{Adapter, block_on};
use mqtt_session::client::Subscription;
use mqtt_session::proto::{QoS, Version};
use mqtt_session::{ConfigBuilder, InboxFull, Limits};

use super::{About, List, tls, websocket};
use crate::Result;
use crate::ground::{Near, Packets, Peer, accept, config, serve};
use crate::memory::Memory;
use crate::script::{string, varint};

const INBOX: usize = 1 << 20;
const PACKET: usize = 128 << 10;
const OUTBOX: usize = 64 << 10;
/// What one read takes at most.
const READ: usize = 64 << 10;
/// What a client may hold: the inbox, and an eighth of it that the read buffers keep alive; a packet that has not come as a whole, in a buffer that
/// grows by doubling; what waits to be written, here and in the driver; some reads; and what is there without a flood.
const BOUND: usize = INBOX + INBOX / 8 + 2 * PACKET + 2 * OUTBOX + 4 * READ + (256 << 10);

/// How long a flood lasts.
fn long() -> Duration {
    let seconds = std::env::var("HOSTILE_SECONDS").ok();
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(0.1))
}

pub(super) fn add(list: &mut List) {
    for (name, full) in [
        (
            "small messages of QoS 0 that nobody reads, pausing",
            InboxFull::Pause,
        ),
        (
            "small messages of QoS 0 that nobody reads, dropping",
            InboxFull::DropOldest,
        ),
    ] {
        flood(list, name, move || {
            let bytes = publish(Version::V5, 0x30, "a", b"x").repeat(1000);
            (limited(Version::V5).inbox_full(full), endless(bytes))
        });
    }
    flood(
        list,
        "large messages of QoS 0, each with a small one behind it, that nobody reads",
        || {
            let large = publish(Version::V5, 0x30, "large", &[1; 60_000]);
            let small = publish(Version::V5, 0x30, "small", b"x");
            let config = limited(Version::V5).inbox_full(InboxFull::DropOldest);
            (config, endless([large, small].concat()))
        },
    );
    flood(
        list,
        "more messages of QoS 1 than Receive Maximum, on each connection",
        || {
            let messages = (1..=1000_u16).map(|id| numbered(Version::V5, 0x32, id));
            // Each connection begins a session, and leaves what came in the one before: in time that fills the inbox.
            let flood = Flood {
                takes: true,
                ..endless(messages.collect::<Vec<_>>().concat())
            };
            (limited(Version::V5), flood)
        },
    );
    flood(
        list,
        "messages of QoS 2 in 3.1.1 that nobody reads, on each connection",
        || {
            let messages = (1..=50_000_u16).map(|id| numbered(Version::V3_1_1, 0x34, id));
            let flood = Flood {
                takes: true,
                ..endless(messages.collect::<Vec<_>>().concat())
            };
            (limited(Version::V3_1_1), flood)
        },
    );
    flood(list, "PUBREL whose answers are not read", || {
        (limited(Version::V5), endless([0x62, 2, 0, 7].repeat(1000)))
    });
    flood(
        list,
        "PUBREL whose answers are read, with little room for them",
        || {
            let mut limits = narrow();
            limits.outbox_bytes = 500;
            let flood = Flood {
                reads: true,
                ..endless([0x62, 2, 0, 7].repeat(1000))
            };
            (config(Version::V5).limits(limits), flood)
        },
    );
    flood(
        list,
        "acknowledgements and PINGRESP that nothing waits for",
        || {
            let bytes = [[0x40, 2, 0, 7, 0xD0, 0], [0x70, 2, 0, 7, 0xD0, 0]].concat();
            (limited(Version::V5), endless(bytes.repeat(500)))
        },
    );
    flood(
        list,
        "packets of the largest size that never come as a whole",
        || {
            let mut bytes = publish(Version::V5, 0x30, "a", &vec![7; PACKET - 10]);
            bytes.pop();
            (limited(Version::V5), once(bytes))
        },
    );
    flood(
        list,
        "CONNACK of the largest size, and then the end, while nobody reads events",
        || {
            let properties = [0x26, 0, 1, b'a', 0, 1, b'b'].repeat(PACKET / 7 - 10);
            let body = [&[0, 0][..], &varint(properties.len()), &properties].concat();
            let connack = [&[0x20][..], &varint(body.len()), &body].concat();
            let flood = Flood {
                instead: true,
                ..once(connack)
            };
            (limited(Version::V5), flood)
        },
    );
    flood(
        list,
        "DISCONNECT with a long reason, while nobody reads events",
        || {
            let reason = [&[0x1F][..], &string([b'x'; 65_535])].concat();
            let body = [&[0x8B][..], &varint(reason.len()), &reason].concat();
            (
                limited(Version::V5),
                once([&[0xE0][..], &varint(body.len()), &body].concat()),
            )
        },
    );
    list.add_long(
        About::Bounds,
        "small messages of QoS 0 that nobody reads, over TLS",
        |adapter| {
            layered(
                adapter,
                tls::url,
                tls::trusting(limited(Version::V5)),
                |listener, until| {
                    let bytes = publish(Version::V5, 0x30, "a", b"x").repeat(1000);
                    let mut stream = tls::connected(listener)?;
                    let timeout = Some(Duration::from_millis(10));
                    stream.sock.set_write_timeout(timeout)?;
                    while Instant::now() < until {
                        stream.conn.writer().write_all(&bytes)?;
                        // What the socket does not take now goes later.
                        while Instant::now() < until && stream.conn.wants_write() {
                            drop(stream.conn.write_tls(&mut stream.sock));
                        }
                    }
                    Ok(())
                },
                tls::serve,
            )
        },
    );
    list.add_long(
        About::Bounds,
        "pings and empty frames over WebSocket, whose answers are not read",
        |adapter| {
            layered(
                adapter,
                websocket::url,
                limited(Version::V5),
                |listener, until| {
                    let ping = [&[0x89, 125][..], &[7; 125]].concat();
                    let frames = [&ping[..], &[0x82, 0, 0x8A, 0]].concat().repeat(500);
                    let mut stream = accept(listener)?;
                    websocket::connected(&mut stream)?;
                    stream.set_write_timeout(Some(Duration::from_millis(10)))?;
                    while Instant::now() < until && write_until(&mut stream, &frames, until).is_ok()
                    {
                    }
                    Ok(())
                },
                websocket::serve,
            )
        },
    );
    list.add_long(
        About::Bounds,
        "what a server sends while the client leaves is not kept",
        |adapter| block_on(leaving(adapter)),
    );
}

fn narrow() -> Limits {
    let mut limits = Limits::default();
    limits.inbox_bytes = INBOX;
    limits.max_packet_size = PACKET as u32;
    limits.outbox_bytes = OUTBOX;
    limits
}

fn limited(version: Version) -> ConfigBuilder {
    config(version).limits(narrow())
}

fn publish(version: Version, first: u8, topic: &str, payload: &[u8]) -> Vec<u8> {
    let none: &[u8] = if version.is_v5() { &[0] } else { &[] };
    let body = [&string(topic)[..], none, payload].concat();
    [&[first][..], &varint(body.len()), &body].concat()
}

fn numbered(version: Version, first: u8, id: u16) -> Vec<u8> {
    let none: &[u8] = if version.is_v5() { &[0] } else { &[] };
    let body = [&string("a")[..], &id.to_be_bytes(), none, b"x"].concat();
    [&[first][..], &varint(body.len()), &body].concat()
}

/// What a peer says.
struct Flood {
    bytes: Vec<u8>,
    /// In place of CONNACK.
    instead: bool,
    /// Over and over on one connection.
    endless: bool,
    /// It reads what is answered.
    reads: bool,
    /// What comes is taken in the end: QoS 1 and 2 has to be.
    takes: bool,
}

impl Default for Flood {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            instead: false,
            endless: true,
            reads: false,
            takes: false,
        }
    }
}

fn endless(bytes: Vec<u8>) -> Flood {
    Flood {
        bytes,
        ..Flood::default()
    }
}

/// Once on each connection.
fn once(bytes: Vec<u8>) -> Flood {
    Flood {
        bytes,
        endless: false,
        ..Flood::default()
    }
}

fn flood(
    list: &mut List,
    name: &'static str,
    make: impl Fn() -> (ConfigBuilder, Flood) + Send + Sync + 'static,
) {
    list.add_long(About::Bounds, name, move |adapter| {
        let (config, flood) = make();
        let rest = run(adapter, name, config, flood)?;
        block_on(rest.end())
    });
}

/// What is left to be done when the flood is over.
struct Rest {
    near: Near,
    messages: Subscription,
    peer: Peer,
    /// The messages are taken, and not left.
    takes: bool,
}

impl Rest {
    async fn end(self) -> Result {
        let Self {
            near,
            mut messages,
            peer,
            takes,
        } = self;
        if takes {
            let mut works = pin!(near.works());
            poll_fn(|context| {
                while let Poll::Ready(Some(_)) = pin!(messages.next()).poll(context) {}
                works.as_mut().poll(context)
            })
            .await?;
        } else {
            // There is no room for them any more once nobody can read them.
            drop(messages);
            near.works().await?;
        }
        near.leave().await?;
        peer.join()
    }
}

fn run(adapter: &dyn Adapter, name: &str, config: ConfigBuilder, flood: Flood) -> Result<Rest> {
    let version = config.clone().build()?.version();
    let takes = flood.takes;
    let until = Instant::now() + long();
    let peer = Peer::new(move |listener| {
        while Instant::now() < until {
            pour(&listener, version, &flood, until)?;
        }
        serve(&listener)
    })?;
    let memory = Memory::begin();
    // Somebody could read them, and does not.
    let (near, messages) = Near::reading(adapter, &peer.url(), config)?;
    let most = most_until(&memory, until);
    assert!(
        most <= BOUND,
        "{name}: {most} bytes are held, and no more than {BOUND} may be"
    );
    Ok(Rest {
        near,
        messages,
        peer,
        takes,
    })
}

/// A flood on one connection, through layers.
fn layered(
    adapter: &dyn Adapter,
    url: fn(&Peer) -> String,
    config: ConfigBuilder,
    pour: fn(&TcpListener, Instant) -> Result,
    serve: fn(&TcpListener) -> Result,
) -> Result {
    let until = Instant::now() + long();
    let peer = Peer::new(move |listener| {
        pour(&listener, until)?;
        serve(&listener)
    })?;
    let memory = Memory::begin();
    let (near, messages) = Near::reading(adapter, &url(&peer), config)?;
    let most = most_until(&memory, until);
    assert!(
        most <= BOUND,
        "{most} bytes are held, and no more than {BOUND} may be"
    );
    let takes = false;
    let rest = Rest {
        near,
        messages,
        peer,
        takes,
    };
    block_on(rest.end())
}

/// The most that is held at any time.
fn most_until(memory: &Memory, until: Instant) -> usize {
    let mut most = 0;
    while Instant::now() < until {
        most = most.max(memory.held().unwrap_or(0));
        std::thread::sleep(Duration::from_micros(100));
    }
    most
}

/// One connection.
fn pour(listener: &TcpListener, version: Version, flood: &Flood, until: Instant) -> Result {
    let Some(mut stream) = accept_until(listener, until)? else {
        return Ok(());
    };
    let mut packets = Packets::new(version);
    if packets.connect(&mut stream).is_err() {
        return Ok(());
    }
    if !flood.instead {
        stream.write_all(crate::ground::connack(version))?;
    }
    stream.set_write_timeout(Some(Duration::from_millis(10)))?;
    if flood.reads {
        let mut answers = stream.try_clone()?;
        // Until the stream is closed.
        std::thread::spawn(move || while matches!(answers.read(&mut [0; 65_536]), Ok(1..)) {});
    }
    while write_until(&mut stream, &flood.bytes, until).is_ok() && Instant::now() < until {
        if !flood.endless {
            // As much as has come is looked at.
            std::thread::sleep(Duration::from_millis(5));
            break;
        }
    }
    // For whoever reads here, too. It fails where the client has closed.
    let _ = stream.shutdown(Shutdown::Both);
    Ok(())
}

/// The next connection, if it comes in time: a client whose inbox is full does not.
fn accept_until(listener: &TcpListener, until: Instant) -> Result<Option<TcpStream>> {
    listener.set_nonblocking(true)?;
    while Instant::now() < until {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(crate::ground::LONG))?;
                return Ok(Some(stream));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_micros(200));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Writes it all, or as much as there is time for.
fn write_until(stream: &mut TcpStream, mut bytes: &[u8], until: Instant) -> Result {
    while !bytes.is_empty() && Instant::now() < until {
        match stream.write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The server asks, and reads no answer, until the client reads no more; and goes on while the client leaves.
async fn leaving(adapter: &dyn Adapter) -> Result {
    let until = Instant::now() + Duration::from_secs(5);
    let peer = Peer::new(move |listener| {
        let mut stream = accept(&listener)?;
        Packets::new(Version::V5).accept(&mut stream)?;
        stream.set_write_timeout(Some(Duration::from_millis(10)))?;
        let questions = [0x62, 2, 0, 7].repeat(20_000);
        while Instant::now() < until && write_until(&mut stream, &questions, until).is_ok() {}
        Ok(())
    })?;
    let memory = Memory::begin();
    let near = Near::start(adapter, &peer.url(), limited(Version::V5))?;
    near.connected().await?;
    let publishing = near.client.try_publish("a", QoS::AtLeastOnce, "x")?;
    // Until neither side gets on.
    let mut before = u64::MAX;
    while Instant::now() < until {
        std::thread::sleep(Duration::from_millis(30));
        let now = near.client.stats().bytes_received;
        if now == before {
            break;
        }
        before = now;
    }
    let client = near.client.clone();
    let sampler = std::thread::spawn(move || {
        let mut most = 0;
        while client.phase() != mqtt_session::Phase::Closed {
            most = most.max(memory.held().unwrap_or(0));
            std::thread::sleep(Duration::from_micros(100));
        }
        most
    });
    near.client.disconnect(Duration::ZERO).await;
    drop(publishing);
    near.leave().await?;
    let most = sampler.join().map_err(|_| "the sampler has panicked")?;
    assert!(
        most <= BOUND,
        "{most} bytes are held, and no more than {BOUND} may be"
    );
    peer.join()
}
