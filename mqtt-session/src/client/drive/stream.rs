//! An open byte stream, and how much is read from it at once.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use mqtt_proto::Outbox;

use crate::{Attempt, Cause, Instant};

use super::ByteStream;

const LEAST: usize = 4 * 1024;
const MOST: usize = 64 * 1024;
/// So many reads in a row that need a quarter of their buffer make it smaller.
const SMALL_READS: u8 = 16;
/// Chunks for one write: large payloads are chunks of their own.
const CHUNKS: usize = 64;

/// Room for a read behind what is there: the beginning of a packet mostly, which is copied to where there is room for as much again. So each byte is
/// copied a few times at most, however little a read brings. `reserve` doubles a buffer that is a few bytes too small.
fn make_room(input: &mut BytesMut, size: usize) {
    let len = input.len();
    if input.capacity() - len >= size || input.try_reclaim(size) {
        return;
    }
    if len > size / 2 {
        input.reserve(size);
        return;
    }
    let mut fresh = BytesMut::with_capacity(size + (2 * len).max(size / 16));
    fresh.extend_from_slice(input);
    *input = fresh;
}

pub(super) struct Stream<S> {
    pub(super) attempt: Attempt,
    bytes: S,
    /// How much the next read takes.
    size: usize,
    small_reads: u8,
    /// A write has failed. What the server said before is still read: it may be the reason, though the runtime may notice only now that it
    /// is there.
    pub(super) broken: Option<Cause>,
    /// The session has hung up: this is closed when all is written and the server has closed, too.
    pub(super) hung_up: bool,
    /// When it is closed at the latest, where it is broken or hung up.
    pub(super) until: Option<Instant>,
    /// There was a write since the last flush.
    unflushed: bool,
    shut_down: bool,
}

impl<S: ByteStream> Stream<S> {
    pub(super) fn new(attempt: Attempt, bytes: S) -> Self {
        Self {
            attempt,
            bytes,
            size: LEAST,
            small_reads: 0,
            broken: None,
            hung_up: false,
            until: None,
            unflushed: false,
            shut_down: false,
        }
    }

    /// One read. There is memory for it only once there is something to read.
    pub(super) fn poll_read(
        &mut self,
        input: &mut BytesMut,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.bytes.poll_readable(context))?;
        make_room(input, self.size);
        let room = input.capacity() - input.len();
        let n = ready!(self.bytes.poll_read(input, context))?;
        self.adapt(n, room);
        Poll::Ready(Ok(n))
    }

    /// Whether another read would have something.
    pub(super) fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bytes.poll_readable(context)
    }

    fn adapt(&mut self, n: usize, room: usize) {
        self.small_reads = if n < self.size / 4 {
            self.small_reads.saturating_add(1)
        } else {
            0
        };
        if n == room {
            self.size = (self.size * 4).min(MOST);
        } else if self.small_reads == SMALL_READS {
            self.size = (self.size / 2).max(LEAST);
            self.small_reads = 0;
        }
    }

    /// One write of as much as there is.
    pub(super) fn poll_write(
        &mut self,
        output: &mut Outbox,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut chunks = [IoSlice::new(&[]); CHUNKS];
        let filled = output.chunks_vectored(&mut chunks);
        let n = ready!(self.bytes.poll_write(&chunks[..filled], context))?;
        output.advance(n);
        self.unflushed = true;
        Poll::Ready(if n == 0 {
            Err(io::ErrorKind::WriteZero.into())
        } else {
            Ok(n)
        })
    }

    /// Sends on what was written, where that has not happened yet.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(self.bytes.poll_flush(context))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Tells the server that nothing follows. Then its end of file is awaited: closing while there is something unread would reset
    /// the connection, and could take a last DISCONNECT with it.
    pub(super) fn shut_down(&mut self, context: &mut Context<'_>) {
        if !self.shut_down
            && let Poll::Ready(result) = self.bytes.poll_shut_down(context)
        {
            self.shut_down = true;
            if let Err(error) = result {
                self.broken.get_or_insert(Cause::from(&error));
            }
        }
    }
}
