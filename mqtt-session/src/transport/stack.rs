//! Layers on top of each other: who moves the bytes between them, and knows what of them was written.

mod marks;

use core::fmt;

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::{Buf, BytesMut};
use mqtt_proto::Outbox;

use super::Layer;
use crate::{Attempt, Cause, Instant, Session};
use marks::Marks;

/// What is given to the driver and not written yet, at most, and about one unit more. Beyond it the session keeps what it has.
const AHEAD: usize = 64 * 1024;
/// Plaintext that goes through the layers at a time: what TLS puts into one record, with room for the header of a WebSocket frame.
const UNIT: usize = 16 * 1024 - 16;
/// Memory for output that stays with a connection that is idle.
const KEPT: usize = 4 * 1024;

/// The layers of one connection.
pub(crate) struct Stack {
    attempt: Attempt,
    /// The lowest first.
    floors: Vec<Floor>,
    /// When the handshake must be done.
    deadline: Instant,
    stage: Stage,
    /// Given by the session, and not taken by the highest layer yet.
    plain: Outbox,
    /// Given by the lowest layer, and not to the driver yet.
    raw: BytesMut,
    marks: Marks,
    /// There is input that the session does not want yet.
    held: bool,
}

/// A layer, and what waits above it.
struct Floor {
    layer: Box<dyn Layer>,
    /// For what is above.
    up: BytesMut,
    /// From what is above.
    down: BytesMut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Shaking,
    Ready,
    /// Nothing more is taken; `flush`: but for what the session still has.
    Closing {
        flush: bool,
    },
    /// Each layer has said its last.
    Closed,
}

impl fmt::Debug for Stack {
    /// Not the bytes: they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("attempt", &self.attempt)
            .field("floors", &self.floors)
            .field("stage", &self.stage)
            .field("plain", &self.plain.len())
            .field("raw", &self.raw.len())
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Floor")
            .field("layer", &self.layer)
            .field("up", &self.up.len())
            .field("down", &self.down.len())
            .finish()
    }
}

/// What came of input.
#[derive(Debug)]
pub(crate) enum Input {
    /// The handshake is done.
    Ready,
    /// There may be plaintext.
    More,
    /// Nothing more can be made of what there is.
    Done,
}

impl Stack {
    pub(crate) fn new(attempt: Attempt, layers: Vec<Box<dyn Layer>>, deadline: Instant) -> Self {
        let floor = |layer| Floor {
            layer,
            up: BytesMut::new(),
            down: BytesMut::new(),
        };
        Self {
            attempt,
            floors: layers.into_iter().map(floor).collect(),
            deadline,
            stage: Stage::Shaking,
            plain: Outbox::new(),
            raw: BytesMut::new(),
            marks: Marks::default(),
            held: false,
        }
    }

    pub(crate) const fn attempt(&self) -> Attempt {
        self.attempt
    }

    pub(crate) const fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready)
    }

    pub(crate) const fn is_closing(&self) -> bool {
        matches!(self.stage, Stage::Closing { .. } | Stage::Closed)
    }

    /// When the handshake must be done, while it is not.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (self.stage == Stage::Shaking).then_some(self.deadline)
    }

    /// Whether nothing is left to do here: bytes pass unchanged, and all that was made of them is written.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_ready()
            && self.floors.is_empty()
            && self.plain.is_empty()
            && self.marks.is_settled()
    }

    /// Whether the session has left what it does not want yet.
    pub(crate) const fn holds(&self) -> bool {
        self.held
    }

    pub(crate) const fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Lets the layers take bytes from the network.
    pub(crate) fn read(&mut self, raw: &mut BytesMut) -> Result<Input, Cause> {
        let before = raw.len();
        self.raise(raw)?;
        if self.stage == Stage::Shaking && self.floors.iter().all(|floor| floor.layer.is_ready()) {
            self.stage = Stage::Ready;
            return Ok(Input::Ready);
        }
        Ok(if raw.len() < before {
            Input::More
        } else {
            Input::Done
        })
    }

    fn raise(&mut self, raw: &mut BytesMut) -> Result<(), Cause> {
        let mut failed = None;
        let mut from = &mut *raw;
        for (at, floor) in self.floors.iter_mut().enumerate() {
            if let Err(cause) = floor.layer.read(from, &mut floor.up) {
                failed = Some((at, cause));
                break;
            }
            from = &mut floor.up;
        }
        if let Some((at, cause)) = failed {
            // What is above has no ground to stand on.
            self.floors.truncate(at + 1);
            return Err(cause);
        }
        if self
            .floors
            .first()
            .is_some_and(|floor| floor.layer.is_transparent())
        {
            let gone = self.floors.remove(0);
            self.raw.unsplit(gone.down);
            return self.raise(raw);
        }
        Ok(())
    }

    /// What the layers have made of the input, for the session.
    pub(crate) fn plaintext<'a>(&'a mut self, raw: &'a mut BytesMut) -> &'a mut BytesMut {
        self.floors.last_mut().map_or(raw, |floor| &mut floor.up)
    }

    /// After input: an idle connection holds no read buffers.
    pub(crate) fn give_input_back(&mut self) {
        for floor in &mut self.floors {
            if floor.up.is_empty() && floor.up.capacity() > 0 {
                floor.up = BytesMut::new();
            }
        }
    }

    /// When all is quiet.
    pub(crate) fn give_output_back(&mut self) {
        if self.plain.is_empty() {
            self.plain.shrink_to(KEPT);
        }
        self.marks.give_memory_back();
        let downs = self.floors.iter_mut().map(|floor| &mut floor.down);
        for buffer in downs.chain([&mut self.raw]) {
            if buffer.is_empty() {
                *buffer = BytesMut::new();
            }
        }
    }

    /// Whether a layer's peer has said that nothing more will come.
    pub(crate) fn is_over(&self) -> bool {
        self.floors.iter().any(|floor| floor.layer.is_over())
    }

    /// What it means that the stream has ended, or that a layer's peer is over.
    pub(crate) fn ended(&self, cause: Cause) -> Cause {
        match self.stage {
            Stage::Shaking => self
                .shaking()
                .map_or(cause.clone(), |layer| layer.cut(cause)),
            // What the highest one has as a whole is not cut off, however those below it end.
            Stage::Ready if cause == Cause::Eof && !self.highest_is_over() => {
                let mut layers = self.floors.iter().map(|floor| &floor.layer);
                match layers.find(|layer| !layer.is_over()) {
                    Some(first) => first.cut(cause),
                    None => cause,
                }
            }
            _ => cause,
        }
    }

    fn highest_is_over(&self) -> bool {
        let highest = self.floors.last();
        highest.is_some_and(|floor| floor.layer.is_over())
    }

    /// Who has not shaken hands in time.
    pub(crate) fn timed_out(&self) -> Cause {
        self.shaking()
            .map_or(Cause::TimedOut, |layer| layer.timed_out())
    }

    /// Whose handshake is under way: each waits for those below it.
    fn shaking(&self) -> Option<&dyn Layer> {
        let layers = self.floors.iter().map(|floor| &*floor.layer);
        let mut shaking = layers.filter(|layer| !layer.is_ready());
        shaking.next()
    }

    /// Nothing more is taken from the session, or with `flush` only what it still has.
    pub(crate) fn close(&mut self, flush: bool) {
        if self.is_closing() {
            return;
        }
        let flush = flush && self.is_ready();
        if !flush {
            self.plain.clear();
        }
        self.stage = Stage::Closing { flush };
    }

    /// Whether [`transmit`](Self::transmit) would give bytes.
    pub(crate) fn has_transmit(&self, session: &Session) -> bool {
        self.marks.ahead() < AHEAD
            && (!self.raw.is_empty()
                || self.has_plaintext(session)
                || matches!(self.stage, Stage::Closing { .. })
                || self.floors.iter().any(|floor| {
                    floor.layer.wants_write() || (floor.layer.is_ready() && !floor.down.is_empty())
                }))
    }

    fn has_plaintext(&self, session: &Session) -> bool {
        self.takes() && (!self.plain.is_empty() || session.has_transmit())
    }

    /// Whether what the session has is let through.
    const fn takes(&self) -> bool {
        matches!(self.stage, Stage::Ready | Stage::Closing { flush: true })
    }

    /// Moves bytes for the network behind those in `out`. Whether there were any.
    pub(crate) fn transmit(
        &mut self,
        now: Instant,
        session: &mut Session,
        out: &mut Outbox,
    ) -> Result<bool, Cause> {
        let mut any = false;
        while self.marks.ahead() < AHEAD {
            if self.takes() && self.plain.is_empty() {
                session.poll_transmit(now, &mut self.plain);
            }
            let closes = matches!(self.stage, Stage::Closing { .. }) && self.plain.is_empty();
            let moved = if closes {
                self.stage = Stage::Closed;
                self.say_last()?
            } else {
                self.lower()?
            };
            if !self.raw.is_empty() {
                any = true;
                self.marks.give(self.raw.len());
                out.push(self.raw.split().freeze());
            }
            self.mark();
            if !moved {
                break;
            }
        }
        Ok(any)
    }

    /// Lets each layer say that it is closed, beginning with the highest: what it says goes through those below.
    fn say_last(&mut self) -> Result<bool, Cause> {
        for at in (0..self.floors.len()).rev() {
            self.floors[at].layer.close();
            self.lower()?;
        }
        Ok(true)
    }

    /// One unit of plaintext, at most, down through the layers. Whether anything has come out: what the lowest layer takes no part of now, it
    /// would not take in another call either.
    fn lower(&mut self) -> Result<bool, Cause> {
        let takes = self.takes();
        let (before, raw) = (self.plain.len(), self.raw.len());
        let unit = if takes { UNIT } else { 0 };
        let mut from_session = (&mut self.plain).take(unit);
        if self.floors.is_empty() {
            self.raw.reserve(from_session.remaining());
            bytes::BufMut::put(&mut self.raw, &mut from_session);
        }
        let highest = self.floors.len().wrapping_sub(1);
        for at in (0..self.floors.len()).rev() {
            let (below, from_here) = self.floors.split_at_mut(at);
            let Floor { layer, down, .. } = &mut from_here[0];
            let to = match below.last_mut() {
                Some(below) => &mut below.down,
                None => &mut self.raw,
            };
            if to.len() >= AHEAD {
                continue;
            }
            if at == highest {
                layer.write(&mut from_session, to)?;
            } else {
                layer.write(down, to)?;
            }
        }
        self.marks.take(before - self.plain.len());
        Ok(self.raw.len() > raw)
    }

    /// What was taken from the session so far is in what was given to the driver so far, unless something of it waits between layers.
    fn mark(&mut self) {
        if self.floors.iter().all(|floor| floor.down.is_empty()) {
            self.marks.mark();
        }
    }

    /// The operating system took so many bytes. How many bytes of the session it has taken with them as a whole, and how many more perhaps
    /// in part.
    pub(crate) fn written(&mut self, count: usize) -> (usize, usize) {
        self.marks.written(count)
    }
}

#[cfg(test)]
impl Stack {
    pub(crate) fn held(&self) -> usize {
        let floors = self.floors.iter();
        let buffers = floors.flat_map(|floor| [floor.up.capacity(), floor.down.capacity()]);
        buffers.sum::<usize>() + self.raw.capacity() + self.plain.len()
    }
}
