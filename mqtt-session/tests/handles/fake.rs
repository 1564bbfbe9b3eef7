//! A runtime on virtual time whose streams do as they are told, and which polls its driver only when that was woken.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use mqtt_session::client::drive::{ByteStream, Drive, Opening, Runtime};
use mqtt_session::client::{Answers, Client, build_with};
use mqtt_session::{ConfigBuilder, Endpoint, Instant, Phase};

use crate::woken::Task;

/// A byte stream as the server and the system see it.
pub struct Wire {
    pub input: VecDeque<u8>,
    /// How the stream ends behind the input.
    pub end: Option<io::Result<()>>,
    /// The most that one read gives.
    pub read_at_most: usize,
    /// It can't tell whether there is something to read before it reads.
    pub blind: bool,
    pub written: Vec<u8>,
    /// How much more it takes.
    pub room: usize,
    /// The most that one write takes.
    pub write_at_most: usize,
    pub flushes: usize,
    pub shut_down: usize,
    /// The room that each read was given.
    pub reads: Vec<usize>,
    pub is_dropped: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

type Shared<T> = Arc<Mutex<T>>;
type Lookup = (String, u16, Shared<Gate<Vec<SocketAddr>>>);

/// What was asked of the runtime, and what it answers when it is told to.
#[derive(Default)]
pub struct Net {
    pub lookups: Vec<Lookup>,
    pub dials: Vec<(SocketAddr, Shared<Gate<Shared<Wire>>>)>,
    pub timer: Option<Instant>,
    /// How often the timer was set.
    pub set: usize,
    timer_waker: Option<Waker>,
}

/// A lookup or a dial under way.
pub struct Gate<T> {
    value: Option<io::Result<T>>,
    waker: Option<Waker>,
    pub is_dropped: bool,
}

impl<T> Default for Gate<T> {
    fn default() -> Self {
        Self {
            value: None,
            waker: None,
            is_dropped: false,
        }
    }
}

pub fn open<T>(gate: &Shared<Gate<T>>, value: io::Result<T>) {
    let mut gate = gate.lock().unwrap();
    gate.value = Some(value);
    let waker = gate.waker.take();
    drop(gate);
    waker.into_iter().for_each(Waker::wake);
}

struct Waits<T>(Shared<Gate<T>>);

impl<T> Future for Waits<T> {
    type Output = io::Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut gate = self.0.lock().unwrap();
        match gate.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                gate.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Waits<T> {
    fn drop(&mut self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_dropped = true;
    }
}

pub struct Fake {
    net: Shared<Net>,
    clock: Arc<AtomicU64>,
}

pub struct FakeStream(Shared<Wire>);

impl Runtime for Fake {
    type Stream = FakeStream;

    fn resolve(&mut self, host: String, port: u16) -> Opening<Vec<SocketAddr>> {
        let gate = Shared::default();
        let mut net = self.net.lock().unwrap();
        net.lookups.push((host, port, Arc::clone(&gate)));
        Box::pin(Waits(gate))
    }

    fn dial(&mut self, addr: SocketAddr) -> Opening<FakeStream> {
        let gate = Shared::default();
        self.net
            .lock()
            .unwrap()
            .dials
            .push((addr, Arc::clone(&gate)));
        Box::pin(async { Waits(gate).await.map(FakeStream) })
    }

    fn set_timer(&mut self, at: Instant) {
        let mut net = self.net.lock().unwrap();
        net.timer = Some(at);
        net.set += 1;
    }

    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let now = Instant::from_nanos(self.clock.load(Ordering::Relaxed));
        let mut net = self.net.lock().unwrap();
        let at = net.timer.expect("it was set");
        if at <= now {
            net.timer = None;
            return Poll::Ready(());
        }
        net.timer_waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl ByteStream for FakeStream {
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.0.lock().unwrap();
        if wire.blind || wire.end.is_some() || !wire.input.is_empty() {
            return Poll::Ready(Ok(()));
        }
        wire.reader = Some(context.waker().clone());
        Poll::Pending
    }

    fn poll_read(
        &mut self,
        input: &mut BytesMut,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut wire = self.0.lock().unwrap();
        let room = input.capacity() - input.len();
        assert!(room > 0, "there is room for a read");
        if wire.input.is_empty() {
            return match &wire.end {
                Some(Ok(())) => Poll::Ready(Ok(0)),
                Some(Err(error)) => Poll::Ready(Err(error.kind().into())),
                None => {
                    wire.reader = Some(context.waker().clone());
                    Poll::Pending
                }
            };
        }
        wire.reads.push(room);
        let n = wire.input.len().min(room).min(wire.read_at_most);
        input.extend(wire.input.drain(..n));
        Poll::Ready(Ok(n))
    }

    fn poll_write(
        &mut self,
        chunks: &[IoSlice<'_>],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        assert!(chunks.iter().all(|chunk| !chunk.is_empty()));
        let mut wire = self.0.lock().unwrap();
        let most = wire.room.min(wire.write_at_most);
        if most == 0 {
            wire.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let bytes: Vec<u8> = chunks
            .iter()
            .flat_map(|chunk| chunk.iter().copied())
            .collect();
        let n = bytes.len().min(most);
        wire.written.extend_from_slice(&bytes[..n]);
        wire.room -= n;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().unwrap().flushes += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_shut_down(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().unwrap().shut_down += 1;
        Poll::Ready(Ok(()))
    }
}

impl Drop for FakeStream {
    fn drop(&mut self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_dropped = true;
    }
}

pub fn wire() -> Shared<Wire> {
    Arc::new(Mutex::new(Wire {
        input: VecDeque::new(),
        end: None,
        read_at_most: usize::MAX,
        blind: false,
        written: Vec::new(),
        room: usize::MAX,
        write_at_most: usize::MAX,
        flushes: 0,
        shut_down: 0,
        reads: Vec::new(),
        is_dropped: false,
        reader: None,
        writer: None,
    }))
}

pub struct Driven {
    pub client: Client,
    pub drive: Drive<Fake>,
    pub net: Shared<Net>,
    pub wire: Shared<Wire>,
    pub task: Task,
    pub is_done: bool,
    clock: Arc<AtomicU64>,
}

impl Driven {
    pub fn new(config: ConfigBuilder) -> Self {
        Self::to(config, Endpoint::new("192.0.2.1", 1883))
    }

    pub fn to(config: ConfigBuilder, server: Endpoint) -> Self {
        Self::answering(config, server, Answers::new())
    }

    pub fn answering(config: ConfigBuilder, server: Endpoint, answers: Answers) -> Self {
        let clock = Arc::new(AtomicU64::new(0));
        let now = {
            let clock = Arc::clone(&clock);
            move || Instant::from_nanos(clock.load(Ordering::Relaxed))
        };
        let (client, port) = build_with(config.build().unwrap(), server, answers, 7, now).unwrap();
        let net = Shared::<Net>::default();
        let fake = Fake {
            net: Arc::clone(&net),
            clock: Arc::clone(&clock),
        };
        let driven = Self {
            client,
            drive: Drive::new(port, fake),
            net,
            wire: wire(),
            task: Task::new(),
            is_done: false,
            clock,
        };
        // A runtime polls what is spawned.
        driven.task.waker.wake_by_ref();
        driven
    }

    /// Connected to a server of 5.0.
    pub fn connected(config: ConfigBuilder) -> Self {
        let mut driven = Self::new(config);
        driven.client.start();
        driven.run();
        driven.open(0);
        driven.receive(&[0x20, 3, 0, 0, 0]);
        assert_eq!(driven.client.phase(), Phase::Connected);
        driven
    }

    /// One poll. Whether it wants another at once.
    pub fn poll(&mut self) -> bool {
        self.task.woken();
        self.is_done |= self.task.poll(Pin::new(&mut self.drive)).is_ready();
        self.task.is_woken()
    }

    /// Polls for as long as the driver is woken.
    pub fn run(&mut self) {
        for _ in 0..10_000 {
            if self.is_done || !self.task.is_woken() {
                return;
            }
            self.poll();
        }
        panic!("it never rests");
    }

    /// This dial succeeds.
    pub fn open(&mut self, dial: usize) {
        let gate = Arc::clone(&self.net.lock().unwrap().dials[dial].1);
        open(&gate, Ok(Arc::clone(&self.wire)));
        self.run();
    }

    pub fn at_wire(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().unwrap()
    }

    /// The server sends something.
    pub fn send(&self, bytes: &[u8]) {
        let mut wire = self.at_wire();
        wire.input.extend(bytes);
        let waker = wire.reader.take();
        drop(wire);
        waker.into_iter().for_each(Waker::wake);
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        self.send(bytes);
        self.run();
    }

    /// The stream ends, or fails.
    pub fn end(&mut self, end: Result<(), ErrorKind>) {
        let mut wire = self.at_wire();
        wire.end = Some(end.map_err(Into::into));
        let waker = wire.reader.take();
        drop(wire);
        waker.into_iter().for_each(Waker::wake);
        self.run();
    }

    /// The system takes so many bytes more.
    pub fn make_room(&mut self, room: usize) {
        let mut wire = self.at_wire();
        wire.room = room;
        let waker = wire.writer.take();
        drop(wire);
        waker.into_iter().for_each(Waker::wake);
        self.run();
    }

    pub fn advance(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap();
        let now = Instant::from_nanos(self.clock.fetch_add(nanos, Ordering::Relaxed) + nanos);
        let mut net = self.net.lock().unwrap();
        let waker = net
            .timer
            .is_some_and(|at| at <= now)
            .then(|| net.timer_waker.take());
        drop(net);
        waker.flatten().into_iter().for_each(Waker::wake);
        self.run();
    }

    /// What was written since the last call.
    pub fn written(&self) -> Vec<u8> {
        std::mem::take(&mut self.at_wire().written)
    }
}
