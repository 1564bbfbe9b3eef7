//! The loop over a byte stream that does as it is told, on virtual time.

use std::boxed::Box;
use std::future::{Future, ready};
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::string::String;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::vec;
use std::vec::Vec;

use bytes::{Bytes, BytesMut};
use mqtt_proto::{QoS, ReasonCode};

use super::{ByteStream, CLOSING, Drive, Opening, Runtime};
use crate::client::{Client, ClientEvent, Events, build};
use crate::{Cause, Config, ConnectionError, Endpoint, Instant, Limits, Phase};

/// What the server does, and what came to it.
#[derive(Default)]
struct Wire {
    /// Whether the runtime has noticed that there is something to read.
    readable: bool,
    input: Vec<u8>,
    /// The stream ends behind the input.
    ended: bool,
    written: Vec<u8>,
    writes_fail: bool,
    /// Nothing is sent on before a flush.
    keeps: bool,
    kept: Vec<u8>,
    flushes_fail: bool,
    /// The most that one read had room for.
    room: usize,
}

struct Fake {
    wire: Arc<Mutex<Wire>>,
    clock: Arc<AtomicU64>,
    timer: Option<Instant>,
}

struct FakeStream(Arc<Mutex<Wire>>);

impl Runtime for Fake {
    type Stream = FakeStream;

    fn resolve(&mut self, _host: String, port: u16) -> Opening<Vec<SocketAddr>> {
        Box::pin(ready(Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])))
    }

    fn dial(&mut self, _addr: SocketAddr) -> Opening<FakeStream> {
        Box::pin(ready(Ok(FakeStream(Arc::clone(&self.wire)))))
    }

    fn set_timer(&mut self, at: Instant) {
        self.timer = Some(at);
    }

    fn poll_timer(&mut self, _context: &mut Context<'_>) -> Poll<()> {
        let now = Instant::from_nanos(self.clock.load(Ordering::Relaxed));
        if self.timer.is_some_and(|at| at <= now) {
            self.timer = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl ByteStream for FakeStream {
    fn poll_readable(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.0.lock().unwrap();
        if wire.readable && (wire.ended || !wire.input.is_empty()) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn poll_read(
        &mut self,
        input: &mut BytesMut,
        _context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut wire = self.0.lock().unwrap();
        let room = input.capacity() - input.len();
        wire.room = wire.room.max(room);
        let len = wire.input.len().min(room);
        input.extend(wire.input.drain(..len));
        Poll::Ready(Ok(len))
    }

    fn poll_write(
        &mut self,
        chunks: &[IoSlice<'_>],
        _context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut wire = self.0.lock().unwrap();
        if wire.writes_fail {
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        let wire = &mut *wire;
        let to = if wire.keeps {
            &mut wire.kept
        } else {
            &mut wire.written
        };
        let before = to.len();
        for chunk in chunks {
            to.extend_from_slice(chunk);
        }
        Poll::Ready(Ok(to.len() - before))
    }

    fn poll_flush(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.0.lock().unwrap();
        if wire.flushes_fail {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let kept = std::mem::take(&mut wire.kept);
        wire.written.extend(kept);
        Poll::Ready(Ok(()))
    }

    fn poll_shut_down(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct Pair {
    client: Client,
    drive: Drive<Fake>,
    wire: Arc<Mutex<Wire>>,
    clock: Arc<AtomicU64>,
}

impl Pair {
    fn connected() -> Self {
        Self::connected_with(Limits::default())
    }

    fn connected_with(limits: Limits) -> Self {
        let mut pair = Self::new(limits);
        pair.client.start();
        pair.poll();
        assert_eq!(pair.client.phase(), Phase::Handshaking);
        pair.receive(&[0x20, 3, 0, 0, 0]);
        assert_eq!(pair.client.phase(), Phase::Connected);
        pair
    }

    fn new(limits: Limits) -> Self {
        let (wire, clock) = (Arc::new(Mutex::default()), Arc::new(AtomicU64::new(0)));
        let config = Config::builder("client").limits(limits).build().unwrap();
        let server = Endpoint::parse("mqtt://127.0.0.1").unwrap();
        let now = Arc::clone(&clock);
        let now = move || Instant::from_nanos(now.load(Ordering::Relaxed));
        let (client, port) = build(config, server, 7, now).unwrap();
        let fake = Fake {
            wire: Arc::clone(&wire),
            clock: Arc::clone(&clock),
            timer: None,
        };
        Self {
            client,
            drive: Drive::new(port, fake),
            wire,
            clock,
        }
    }

    fn poll(&mut self) {
        let polled = Pin::new(&mut self.drive).poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }

    /// The server sends something, and the runtime notices.
    fn receive(&mut self, bytes: &[u8]) {
        let mut wire = self.wire.lock().unwrap();
        wire.readable = true;
        wire.input.extend_from_slice(bytes);
        drop(wire);
        self.poll();
    }

    /// A write fails, of which the runtime does not know yet.
    fn fail_a_write(&mut self) {
        let mut wire = self.wire.lock().unwrap();
        (wire.readable, wire.writes_fail) = (false, true);
        drop(wire);
        self.client.try_publish("a", QoS::AtLeastOnce, "x").unwrap();
        self.poll();
    }

    fn advance(&mut self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap();
        self.clock.fetch_add(nanos, Ordering::Relaxed);
        self.poll();
    }
}

fn lost(events: &mut Events) -> Option<ConnectionError> {
    let mut next = pin!(events.next());
    match next.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(ClientEvent::Lost { error, .. })) => Some(error),
        Poll::Pending => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_came_before_a_write_failed_is_read_when_the_runtime_has_noticed_it() {
    let mut pair = Pair::connected();
    let mut events = pair.client.events();
    pair.fail_a_write();
    assert_eq!(lost(&mut events), None);
    pair.wire.lock().unwrap().ended = true;
    pair.receive(&[0xE0, 2, 0x97, 0]);
    let error = lost(&mut events).unwrap();
    let ConnectionError::Disconnected { reason, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(reason, ReasonCode::QUOTA_EXCEEDED);
}

#[test]
fn a_stream_that_can_not_be_written_and_tells_nothing_is_closed_after_a_moment() {
    let mut pair = Pair::connected();
    let mut events = pair.client.events();
    pair.fail_a_write();
    pair.advance(CLOSING - Duration::from_nanos(1));
    assert_eq!(lost(&mut events), None);
    pair.advance(Duration::from_nanos(1));
    let error = lost(&mut events).unwrap();
    let ConnectionError::Closed { cause, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(cause, Cause::ConnectionReset);
}

#[test]
fn a_stream_that_can_not_be_written_and_ends_is_closed_for_the_reason_that_writing_failed() {
    let mut pair = Pair::connected();
    let mut events = pair.client.events();
    pair.fail_a_write();
    pair.wire.lock().unwrap().ended = true;
    pair.receive(&[]);
    let error = lost(&mut events).unwrap();
    let ConnectionError::Closed { cause, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(cause, Cause::ConnectionReset);
}

#[test]
fn little_more_is_taken_from_the_session_for_a_stream_that_can_not_be_written() {
    let mut pair = Pair::connected();
    pair.fail_a_write();
    let payload = Bytes::from(vec![0; 64 * 1024]);
    for _ in 0..64 {
        let payload = payload.clone();
        pair.client
            .try_publish("a", QoS::AtLeastOnce, payload)
            .unwrap();
        pair.poll();
    }
    // Those that fill the session's own outbox.
    let sent = pair.client.stats().sent;
    assert!(sent < 16, "{sent}");
}

#[test]
fn what_a_stream_keeps_is_flushed_before_the_driver_sleeps() {
    let mut pair = Pair::connected();
    pair.wire.lock().unwrap().keeps = true;
    let before = pair.wire.lock().unwrap().written.len();
    pair.client.try_publish("a", QoS::AtMostOnce, "x").unwrap();
    pair.poll();
    let wire = pair.wire.lock().unwrap();
    assert_eq!(wire.written[before..], [0x30, 5, 0, 1, b'a', 0, b'x']);
}

#[test]
fn a_stream_that_can_not_be_flushed_is_closed_for_that_reason() {
    let mut pair = Pair::connected();
    let mut events = pair.client.events();
    pair.wire.lock().unwrap().flushes_fail = true;
    pair.client.try_publish("a", QoS::AtMostOnce, "x").unwrap();
    pair.poll();
    pair.advance(CLOSING);
    let error = lost(&mut events).unwrap();
    let ConnectionError::Closed { cause, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(cause, Cause::ConnectionReset);
}

/// Each of its packets has an answer, and there is room for few of these at a time.
#[test]
fn what_a_server_sends_and_has_no_room_for_its_answers_yet_stays_in_the_socket() {
    let limits = Limits {
        outbox_bytes: 1000,
        ..Limits::default()
    };
    let mut pair = Pair::connected_with(limits);
    // PUBREL for an identifier that nothing is known of.
    let questions = [0x62, 2, 0, 7].repeat(250_000);
    let before = pair.wire.lock().unwrap().written.len();
    pair.receive(&questions);
    let mut most = 0;
    while pair.wire.lock().unwrap().written.len() < before + 250_000 * 5 {
        most = most.max(pair.drive.input.len());
        pair.poll();
    }
    // What one read takes, and what was left of the one before.
    assert!(most <= 128 * 1024, "{most} bytes wait in the driver");
    let wire = pair.wire.lock().unwrap();
    assert_eq!(
        wire.written[before..],
        [0x70, 3, 0, 7, 0x92].repeat(250_000)
    );
}

#[test]
fn a_read_takes_no_more_for_the_piece_of_a_packet_that_the_one_before_has_left() {
    let mut pair = Pair::connected();
    let mut messages = pair.client.messages();
    let message = [&[0x30, 79, 0, 1, b't', 0][..], &[b'x'; 75]].concat();
    let mut taken = 0;
    for piece in message.repeat(40_000).chunks(50_001) {
        pair.receive(piece);
        taken += std::iter::from_fn(|| messages.try_next()).count();
    }
    assert_eq!(taken, 40_000);
    let room = pair.wire.lock().unwrap().room;
    assert!((64 * 1024..72 * 1024).contains(&room), "{room}");
}

/// As those are that are a small part of a buffer which has grown.
#[test]
fn messages_that_span_reads_are_not_copied_out_of_them() {
    for len in [1_000_u32, 5_000, 10_000, 20_000, 32_000] {
        let mut pair = Pair::connected();
        let mut messages = pair.client.messages();
        let mut frame = vec![0x30, len as u8 | 0x80, (len >> 7) as u8];
        if len >= 1 << 14 {
            frame[2] |= 0x80;
            frame.push((len >> 14) as u8);
        }
        let size = frame.len() + len as usize;
        frame.extend([0, 1, b't', 0]);
        frame.resize(size, b'x');
        let count = 5_000_000 / size;
        let mut taken = 0;
        for piece in frame.repeat(count).chunks(150_001) {
            pair.receive(piece);
            taken += std::iter::from_fn(|| messages.try_next()).count();
        }
        assert_eq!((taken, pair.client.stats().copied), (count, 0), "{len}");
    }
}

/// As servers of some other protocols do, by which they are known.
#[test]
fn what_a_server_says_as_soon_as_the_stream_is_open_is_not_lost() {
    let mut pair = Pair::new(Limits::default());
    let mut events = pair.client.events();
    pair.client.start();
    pair.receive(b"SSH-2.0-OpenSSH_9.6\r\n");
    let error = lost(&mut events).unwrap();
    assert!(
        matches!(
            error,
            ConnectionError::OtherProtocol {
                protocol: "SSH",
                ..
            }
        ),
        "{error:?}"
    );
    let mut pair = Pair::new(Limits::default());
    pair.client.start();
    pair.receive(&[0x20, 3, 0, 0, 0]);
    assert_eq!(pair.client.phase(), Phase::Connected);
}
