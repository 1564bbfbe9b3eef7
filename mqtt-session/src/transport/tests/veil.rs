//! Layers that greet, hide bytes in frames, and say when they are done; and what answers them.

use std::vec::Vec;

use bytes::{Buf, BufMut, BytesMut};

use super::tower::Far;
use crate::Cause;
use crate::transport::{Layer, ProxyError, TlsError, WebSocketError};

/// Which of two layers, told apart by their key and their errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Low,
    High,
}

pub(super) const HELLO: [u8; 2] = [0xA0, 0xA1];
pub(super) const WELCOME: [u8; 2] = [0xB0, 0xB1];
pub(super) const DATA: u8 = 0;
pub(super) const END: u8 = 1;
const PING: u8 = 2;
pub(super) const PONG: u8 = 3;
/// Said of an error.
pub(super) const SORRY: u8 = 4;
/// Type and length of a frame.
pub(super) const HEADER: usize = 3;

impl Kind {
    const fn key(self) -> u8 {
        match self {
            Self::Low => 0x5A,
            Self::High => 0x33,
        }
    }
}

/// Frames of type, length and hidden bytes, after a greeting.
#[derive(Debug)]
pub(super) struct Veil {
    kind: Kind,
    greeted: bool,
    ready: bool,
    failed: bool,
    over: bool,
    closed: bool,
    pongs: usize,
    last: Option<u8>,
    /// Takes nothing for below, and says so.
    mute: bool,
}

impl Veil {
    pub(super) const fn new(kind: Kind) -> Self {
        Self {
            kind,
            greeted: false,
            ready: false,
            failed: false,
            over: false,
            closed: false,
            pongs: 0,
            last: None,
            mute: false,
        }
    }

    pub(super) const fn mute(kind: Kind) -> Self {
        Self {
            mute: true,
            ..Self::new(kind)
        }
    }

    fn wrong(&mut self) -> Cause {
        self.failed = true;
        self.last = Some(SORRY);
        Cause::Other("not our kind".into())
    }
}

/// Takes a whole frame: its type and what was hidden in it.
fn take_frame(kind: Kind, from: &mut BytesMut) -> Option<(u8, Vec<u8>)> {
    let (head, rest) = from.split_at_checked(HEADER)?;
    let (code, len) = (head[0], usize::from(u16::from_be_bytes([head[1], head[2]])));
    let body = rest.get(..len)?.iter().map(|byte| byte ^ kind.key());
    let body = body.collect();
    from.advance(HEADER + len);
    Some((code, body))
}

fn put_frame(kind: Kind, code: u8, body: &[u8], to: &mut BytesMut) {
    to.put_u8(code);
    to.put_u16(u16::try_from(body.len()).unwrap());
    to.extend(body.iter().map(|byte| byte ^ kind.key()));
}

impl Layer for Veil {
    fn read(&mut self, from: &mut BytesMut, to: &mut BytesMut) -> Result<(), Cause> {
        assert!(!self.failed, "read after an error");
        if !self.ready {
            if from.len() < WELCOME.len() {
                return Ok(());
            }
            if from.split_to(WELCOME.len())[..] != WELCOME {
                return Err(self.wrong());
            }
            self.ready = true;
        }
        while let Some((code, body)) = take_frame(self.kind, from) {
            match code {
                DATA => to.extend_from_slice(&body),
                END => self.over = true,
                PING => self.pongs += 1,
                PONG => {}
                _ => return Err(self.wrong()),
            }
        }
        Ok(())
    }

    fn write(&mut self, from: &mut dyn Buf, to: &mut BytesMut) -> Result<(), Cause> {
        if !self.greeted {
            self.greeted = true;
            to.extend_from_slice(&HELLO);
        }
        if let Some(last) = self.last.take() {
            put_frame(self.kind, last, &[], to);
        }
        for _ in 0..core::mem::take(&mut self.pongs) {
            put_frame(self.kind, PONG, &[], to);
        }
        if self.ready && !self.closed && !self.failed && from.has_remaining() {
            if self.mute {
                return Err(self.wrong());
            }
            let mut body = Vec::new();
            body.put(from);
            for chunk in body.chunks(usize::from(u16::MAX)) {
                put_frame(self.kind, DATA, chunk, to);
            }
        }
        Ok(())
    }

    fn wants_write(&self) -> bool {
        !self.greeted || self.pongs > 0 || self.last.is_some()
    }

    fn is_ready(&self) -> bool {
        self.ready
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn close(&mut self) {
        if !self.closed && self.ready && !self.failed {
            self.last = Some(END);
        }
        self.closed = true;
    }

    fn timed_out(&self) -> Cause {
        match self.kind {
            Kind::Low => Cause::Tls(TlsError::TimedOut),
            Kind::High => Cause::WebSocket(WebSocketError::TimedOut),
        }
    }

    fn cut(&self, cause: Cause) -> Cause {
        match (self.kind, self.ready) {
            _ if cause != Cause::Eof => cause,
            (Kind::Low, false) => Cause::Tls(TlsError::Closed),
            (Kind::Low, true) => Cause::Tls(TlsError::Truncated),
            (Kind::High, false) => Cause::WebSocket(WebSocketError::Closed),
            (Kind::High, true) => Cause::WebSocket(WebSocketError::Truncated),
        }
    }
}

/// Greets, and is not there any more.
#[derive(Debug, Default)]
pub(super) struct Gate {
    greeted: bool,
    open: bool,
}

impl Layer for Gate {
    fn read(&mut self, from: &mut BytesMut, _: &mut BytesMut) -> Result<(), Cause> {
        if !self.open && !from.is_empty() {
            assert_eq!(from.get_u8(), b'!');
            self.open = true;
        }
        Ok(())
    }

    fn write(&mut self, _: &mut dyn Buf, to: &mut BytesMut) -> Result<(), Cause> {
        if !core::mem::replace(&mut self.greeted, true) {
            to.put_u8(b'?');
        }
        Ok(())
    }

    fn wants_write(&self) -> bool {
        !self.greeted
    }

    fn is_ready(&self) -> bool {
        self.open
    }

    fn is_transparent(&self) -> bool {
        self.open
    }

    fn is_over(&self) -> bool {
        false
    }

    fn close(&mut self) {}

    fn timed_out(&self) -> Cause {
        Cause::Proxy(ProxyError::TimedOut)
    }

    fn cut(&self, _: Cause) -> Cause {
        Cause::Proxy(ProxyError::Closed)
    }
}

/// The other end of one veil or two.
#[derive(Default)]
pub(super) struct Unveiled {
    floors: Vec<Floor>,
    plaintext: Vec<u8>,
    raw: BytesMut,
}

struct Floor {
    kind: Kind,
    greeted: bool,
    from: BytesMut,
}

impl Unveiled {
    pub(super) fn one() -> Self {
        Self::of(&[Kind::Low])
    }

    pub(super) fn two() -> Self {
        Self::of(&[Kind::Low, Kind::High])
    }

    fn of(kinds: &[Kind]) -> Self {
        let floor = |kind: &Kind| Floor {
            kind: *kind,
            greeted: false,
            from: BytesMut::new(),
        };
        Self {
            floors: kinds.iter().map(floor).collect(),
            ..Self::default()
        }
    }

    /// Down from above this floor.
    fn lower(&mut self, floors: usize, mut bytes: BytesMut) {
        for floor in self.floors[..floors].iter().rev() {
            let mut framed = BytesMut::new();
            for chunk in bytes.chunks(usize::from(u16::MAX)) {
                put_frame(floor.kind, DATA, chunk, &mut framed);
            }
            bytes = framed;
        }
        self.raw.extend_from_slice(&bytes);
    }
}

impl Far for Unveiled {
    fn receive(&mut self, raw: &[u8]) {
        let mut bytes = BytesMut::from(raw);
        for at in 0..self.floors.len() {
            let floor = &mut self.floors[at];
            floor.from.unsplit(core::mem::take(&mut bytes));
            if !floor.greeted {
                if floor.from.len() < HELLO.len() {
                    return;
                }
                assert_eq!(floor.from.split_to(HELLO.len())[..], HELLO);
                floor.greeted = true;
                self.lower(at, BytesMut::from(&WELCOME[..]));
            }
            let floor = &mut self.floors[at];
            while let Some((code, body)) = take_frame(floor.kind, &mut floor.from) {
                if code == DATA {
                    bytes.extend_from_slice(&body);
                }
            }
        }
        self.plaintext.extend_from_slice(&bytes);
    }

    fn plaintext(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.plaintext)
    }

    fn send(&mut self, plain: &[u8]) {
        self.lower(self.floors.len(), BytesMut::from(plain));
    }

    fn transmit(&mut self) -> Vec<u8> {
        self.raw.split().to_vec()
    }
}

/// A frame of one veil's peer.
pub(super) fn frame(kind: Kind, code: u8, body: &[u8]) -> Vec<u8> {
    let mut framed = BytesMut::new();
    put_frame(kind, code, body, &mut framed);
    framed.to_vec()
}

pub(super) fn ping() -> Vec<u8> {
    frame(Kind::Low, PING, &[])
}

/// Lets through after a word.
pub(super) struct GateKeeper {
    open: bool,
    answer: Vec<u8>,
    behind: Unveiled,
}

impl GateKeeper {
    pub(super) fn before(behind: Unveiled) -> Self {
        Self {
            open: false,
            answer: Vec::new(),
            behind,
        }
    }
}

impl Far for GateKeeper {
    fn receive(&mut self, raw: &[u8]) {
        let mut raw = raw;
        if !self.open && !raw.is_empty() {
            assert_eq!(raw[0], b'?');
            raw = &raw[1..];
            self.open = true;
            self.answer.push(b'!');
        }
        self.behind.receive(raw);
    }

    fn plaintext(&mut self) -> Vec<u8> {
        self.behind.plaintext()
    }

    fn send(&mut self, plain: &[u8]) {
        self.behind.send(plain);
    }

    fn transmit(&mut self) -> Vec<u8> {
        let mut raw = core::mem::take(&mut self.answer);
        raw.extend(self.behind.transmit());
        raw
    }
}

/// Takes everything and answers nothing.
#[derive(Default)]
pub(super) struct Silent;

impl Far for Silent {
    fn receive(&mut self, _: &[u8]) {}

    fn plaintext(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn send(&mut self, _: &[u8]) {}

    fn transmit(&mut self) -> Vec<u8> {
        Vec::new()
    }
}
