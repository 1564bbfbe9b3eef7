//! The contender: a thread that reads and a thread that writes, for each connection, with `std::net` alone.
//!
//! It does what it must to be compared, no more: while a write blocks it keeps no deadline.

use std::future::{Future, ready};
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use bytes::BytesMut;
use mqtt_blocking::{Client, Config, Instant, Servers};
use mqtt_session::client::build;
use mqtt_session::client::drive::{ByteStream, Drive, Opening, Runtime};

/// The reader stops when so much was not taken.
const MOST: usize = 64 * 1024;

pub(crate) fn start(url: &str, config: Config) -> crate::Result<Client> {
    let epoch = std::time::Instant::now();
    let servers: Servers = url.try_into()?;
    let clock = move || Instant::ZERO + epoch.elapsed();
    let (client, port) = build(config, servers, 7, clock)?;
    let timer = Arc::new(AtomicU64::new(u64::MAX));
    thread::Builder::new()
        .name("writer".into())
        .spawn(move || {
            let alarm = Arc::new(Alarm {
                thread: thread::current(),
                woken: AtomicBool::new(false),
            });
            let waker = Waker::from(Arc::clone(&alarm));
            let threads = Threads {
                waker: waker.clone(),
                epoch,
                timer: Arc::clone(&timer),
            };
            let mut drive = Drive::new(port, threads);
            let mut context = Context::from_waker(&waker);
            while Pin::new(&mut drive).poll(&mut context).is_pending() {
                let at = timer.load(Ordering::Relaxed);
                while !alarm.woken.swap(false, Ordering::Acquire) {
                    let rest = Duration::from_nanos(at).saturating_sub(epoch.elapsed());
                    if rest.is_zero() {
                        break;
                    }
                    thread::park_timeout(rest);
                }
            }
        })?;
    client.start();
    Ok(client.into())
}

struct Alarm {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

struct Threads {
    waker: Waker,
    epoch: std::time::Instant,
    timer: Arc<AtomicU64>,
}

impl Runtime for Threads {
    type Stream = Halves;

    fn resolve(&mut self, host: String, port: u16) -> Opening<Vec<SocketAddr>> {
        let found = (host, port).to_socket_addrs().map(Iterator::collect);
        Box::pin(ready(found))
    }

    fn dial(&mut self, addr: SocketAddr) -> Opening<Halves> {
        Box::pin(ready(Halves::connect(addr, self.waker.clone())))
    }

    fn set_timer(&mut self, at: Instant) {
        self.timer.store(at.as_nanos(), Ordering::Relaxed);
    }

    fn poll_timer(&mut self, _context: &mut Context<'_>) -> Poll<()> {
        let at = Duration::from_nanos(self.timer.load(Ordering::Relaxed));
        if at <= self.epoch.elapsed() {
            self.timer.store(u64::MAX, Ordering::Relaxed);
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

struct Halves {
    tcp: TcpStream,
    handover: Arc<Handover>,
}

#[derive(Default)]
struct Handover {
    input: Mutex<Input>,
    taken: Condvar,
}

#[derive(Default)]
struct Input {
    bytes: BytesMut,
    ended: bool,
}

impl Halves {
    fn connect(addr: SocketAddr, waker: Waker) -> io::Result<Self> {
        let tcp = TcpStream::connect(addr)?;
        tcp.set_nodelay(true)?;
        let handover = Arc::new(Handover::default());
        let (mut reading, to) = (tcp.try_clone()?, Arc::clone(&handover));
        let name = thread::Builder::new().name("reader".into());
        name.spawn(move || {
            let mut size = 4 * 1024;
            let mut bytes = BytesMut::new();
            loop {
                bytes.resize(size, 0);
                let n = reading.read(&mut bytes).unwrap_or(0);
                if n == size {
                    size = (size * 4).min(MOST);
                }
                let mut input = to.input.lock().unwrap();
                while input.bytes.len() >= MOST {
                    input = to.taken.wait(input).unwrap();
                }
                if input.bytes.is_empty() {
                    input.bytes = bytes.split_to(n);
                } else {
                    input.bytes.extend_from_slice(&bytes[..n]);
                }
                input.ended = n == 0;
                let ended = input.ended;
                drop(input);
                waker.wake_by_ref();
                if ended {
                    return;
                }
            }
        })?;
        Ok(Self { tcp, handover })
    }
}

impl ByteStream for Halves {
    fn poll_readable(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let input = self.handover.input.lock().unwrap();
        if input.bytes.is_empty() && !input.ended {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    fn poll_read(
        &mut self,
        into: &mut BytesMut,
        _context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut input = self.handover.input.lock().unwrap();
        let n = input.bytes.len();
        if into.is_empty() {
            *into = std::mem::take(&mut input.bytes);
        } else {
            into.extend_from_slice(&input.bytes);
            input.bytes.clear();
        }
        drop(input);
        self.handover.taken.notify_one();
        Poll::Ready(Ok(n))
    }

    fn poll_write(
        &mut self,
        chunks: &[IoSlice<'_>],
        _context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.tcp.write_vectored(chunks))
    }

    fn poll_shut_down(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.tcp.shutdown(Shutdown::Write))
    }
}

impl Drop for Halves {
    fn drop(&mut self) {
        // Ends the reader.
        let _ = self.tcp.shutdown(Shutdown::Both);
        self.handover.input.lock().unwrap().bytes.clear();
        self.handover.taken.notify_one();
    }
}
