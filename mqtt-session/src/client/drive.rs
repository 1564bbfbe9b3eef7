//! The loop between a socket and a [`Port`], for the adapters that are asynchronous: all of a driver that is the same on each runtime.
//!
//! An adapter says what its runtime has: it implements [`Runtime`] and [`ByteStream`], and spawns a [`Drive`]. Nothing here knows what a packet
//! is, and nothing opens a socket, sleeps or reads a clock but by these traits.

mod runtime;
mod stream;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec::Vec;

use bytes::BytesMut;
use mqtt_proto::Outbox;

use crate::{Action, Attempt, Cause, Instant};

use super::port::{Port, Report, Turn};
use stream::Stream;

pub use runtime::{ByteStream, Opening, Runtime};

/// So much memory for output stays with a connection that is idle.
const KEPT: usize = 4 * 1024;
/// Turns in one poll: other tasks of the runtime want to run, too.
const TURNS: usize = 32;
/// Bytes that are read in one poll, but for what the last read takes: then those who are woken by it take them while the processor still has them in
/// its caches, and give the read buffer back to be used again.
const BYTES: usize = 256 * 1024;
/// How long a stream may take to write its last bytes and be closed by the server; and how long one that can't be written is still read.
const CLOSING: Duration = Duration::from_millis(500);

/// A driver: a future that must be polled for anything to happen. It resolves when the session is closed.
///
/// Dropping it closes the byte stream, and ends whatever the client waits for as closed.
#[must_use = "nothing happens unless it is polled"]
pub struct Drive<R: Runtime> {
    port: Port,
    runtime: R,
    /// Lookups and dials under way.
    steps: Vec<(Attempt, Step<R::Stream>)>,
    stream: Option<Stream<R::Stream>>,
    wants_read: bool,
    /// Bytes in this poll.
    read: usize,
    /// Read and not taken by the session yet.
    input: BytesMut,
    /// Given by the session and not written yet.
    output: Outbox,
    /// Written, and the session does not know yet.
    written: usize,
    reports: Vec<Report>,
    actions: Vec<Action>,
    /// What the timer is set to. A later deadline does not move it: waking up once too often is cheaper.
    armed: Option<Instant>,
}

/// A step on the way to a byte stream.
enum Step<S> {
    Resolve(Opening<Vec<SocketAddr>>),
    Dial(Opening<S>),
}

impl<R: Runtime> Drive<R> {
    /// A driver that has not begun.
    pub fn new(port: Port, runtime: R) -> Self {
        Self {
            port,
            runtime,
            steps: Vec::new(),
            stream: None,
            wants_read: false,
            read: 0,
            input: BytesMut::new(),
            output: Outbox::new(),
            written: 0,
            reports: Vec::new(),
            actions: Vec::new(),
            armed: None,
        }
    }
}

impl<R: Runtime> Future for Drive<R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let mut turns = 0;
        this.read = 0;
        while turns < TURNS && this.read < BYTES {
            turns += 1;
            this.port.poll_answers(context, &mut this.reports);
            let opened = this.open(context);
            let writable = this.write(context);
            // The session takes input before it is told that the stream is open, and what comes on none means nothing.
            let readable = !opened && this.read(context);
            let now = this.port.now();
            let idle = !opened && !writable && !readable && this.reports.is_empty();
            let next = this.port.turn(Turn {
                now,
                input: &mut this.input,
                written: std::mem::take(&mut this.written),
                reports: &mut this.reports,
                output: &mut this.output,
                actions: &mut this.actions,
                idle: idle.then(|| context.waker()),
            });
            // Then the socket does not know yet that it is waited for.
            let reads_again = next.wants_read && !this.wants_read;
            this.wants_read = next.wants_read;
            this.carry_out(now);
            this.hang_up(now, context);
            if next.closed {
                this.stream = None;
                return Poll::Ready(());
            }
            let rests =
                next.sleep && !reads_again && this.reports.is_empty() && this.flush(context);
            if rests && this.rest(next.deadline, context).is_pending() {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<R: Runtime> Drive<R> {
    /// Whether a lookup or dial has ended.
    fn open(&mut self, context: &mut Context<'_>) -> bool {
        for at in 0..self.steps.len() {
            let (attempt, step) = &mut self.steps[at];
            let attempt = *attempt;
            let report = match step {
                Step::Resolve(step) => step.as_mut().poll(context).map(|found| {
                    Report::Resolved(attempt, found.map_err(|error| Cause::from(&error)))
                }),
                Step::Dial(step) => step.as_mut().poll(context).map(|stream| match stream {
                    Ok(stream) => {
                        self.stream = Some(Stream::new(attempt, stream));
                        Report::Opened(attempt)
                    }
                    Err(error) => Report::Closed(attempt, Cause::from(&error)),
                }),
            };
            if let Poll::Ready(report) = report {
                drop(self.steps.swap_remove(at));
                self.reports.push(report);
                // The session decides before the next one is looked at: the first stream that opens cancels the other dials.
                return true;
            }
        }
        false
    }

    /// Writes once. Whether the stream may take more of what there is: where all is written, only the session can tell that there is more.
    fn write(&mut self, context: &mut Context<'_>) -> bool {
        let Some(stream) = &mut self.stream else {
            return false;
        };
        if self.output.is_empty() {
            return !self.flush(context);
        }
        // What can't be written stays: so the session gives no more.
        if stream.broken.is_some() {
            return false;
        }
        match stream.poll_write(&mut self.output, context) {
            Poll::Ready(Ok(n)) => {
                self.written += n;
                !self.output.is_empty()
            }
            Poll::Ready(Err(error)) => {
                self.fail(&error);
                true
            }
            Poll::Pending => false,
        }
    }

    /// Sends on what the stream has kept, where there is nothing more to write. False where that has just failed.
    fn flush(&mut self, context: &mut Context<'_>) -> bool {
        let Some(stream) = &mut self.stream else {
            return true;
        };
        if stream.broken.is_some() || !self.output.is_empty() {
            return true;
        }
        match stream.poll_flush(context) {
            Poll::Ready(Err(error)) => {
                self.fail(&error);
                false
            }
            Poll::Ready(Ok(())) | Poll::Pending => true,
        }
    }

    fn fail(&mut self, error: &io::Error) {
        if let Some(stream) = &mut self.stream {
            stream.broken = Some(Cause::from(error));
            stream.until.get_or_insert(self.port.now() + CLOSING);
        }
    }

    /// Reads once. Whether there may be more to read, or the stream has ended.
    fn read(&mut self, context: &mut Context<'_>) -> bool {
        let Some(stream) = &mut self.stream else {
            return false;
        };
        let polled = if self.wants_read || stream.hung_up {
            stream.poll_read(&mut self.input, context)
        } else {
            Poll::Pending
        };
        let cause = match (polled, &stream.broken) {
            (Poll::Ready(Ok(n @ 1..)), _) => {
                self.read += n;
                return stream.poll_readable(context).is_ready();
            }
            (Poll::Pending, _) => return false,
            (_, Some(cause)) => cause.clone(),
            (Poll::Ready(Ok(0)), None) => Cause::Eof,
            (Poll::Ready(Err(error)), None) => Cause::from(&error),
        };
        self.close(cause);
        true
    }

    /// Closes the stream. What was read before is still the session's.
    fn close(&mut self, cause: Cause) {
        if let Some(stream) = self.stream.take() {
            let cause = if stream.hung_up { Cause::HungUp } else { cause };
            self.reports.push(Report::Closed(stream.attempt, cause));
            self.output.clear();
        }
    }

    fn carry_out(&mut self, now: Instant) {
        if self.stream.is_none() {
            self.input.clear();
            self.output.clear();
        }
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            match action {
                Action::Resolve {
                    attempt,
                    host,
                    port,
                } => {
                    let step = Step::Resolve(self.runtime.resolve(host, port));
                    self.steps.push((attempt, step));
                }
                Action::Dial { attempt, addr } => {
                    let dial = self.runtime.dial(addr);
                    self.begin(attempt, dial);
                }
                Action::Open { attempt, server } => match self.runtime.open(&server) {
                    Some(opening) => self.begin(attempt, opening),
                    None => {
                        let words = "there are no byte streams of this kind here".into();
                        let cause = Cause::Other(words);
                        self.reports.push(Report::Closed(attempt, cause));
                    }
                },
                Action::Cancel { attempt } => {
                    self.steps.retain(|(begun, _)| *begun != attempt);
                    // It may have opened meanwhile.
                    self.stream.take_if(|stream| stream.attempt == attempt);
                }
                Action::Hangup { attempt, flush } => {
                    if let Some(stream) = self
                        .stream
                        .as_mut()
                        .filter(|stream| stream.attempt == attempt)
                    {
                        stream.hung_up = true;
                        stream.until = Some(if flush { now + CLOSING } else { now });
                    }
                }
                // What the application is asked has been taken out by the port.
                Action::Credentials { .. } | Action::Authenticate { .. } => {}
            }
        }
        self.actions = actions;
    }

    fn begin(&mut self, attempt: Attempt, opening: Opening<R::Stream>) {
        // The session waits for no other stream any more.
        self.stream = None;
        self.input.clear();
        self.output.clear();
        self.steps.push((attempt, Step::Dial(opening)));
    }

    /// Closes a stream that is hung up or broken when that takes too long. One that is hung up says so when all is written.
    fn hang_up(&mut self, now: Instant, context: &mut Context<'_>) {
        if let Some(stream) = &mut self.stream
            && let Some(until) = stream.until
        {
            if now >= until {
                let cause = stream.broken.take().unwrap_or(Cause::HungUp);
                self.close(cause);
            } else if stream.hung_up && self.output.is_empty() {
                // Empty after a turn: the session has nothing more.
                stream.shut_down(context);
            }
        }
    }

    /// Nothing to do before this deadline: ready where it has passed already.
    fn rest(&mut self, deadline: Option<Instant>, context: &mut Context<'_>) -> Poll<()> {
        self.give_memory_back();
        let until = self.stream.as_ref().and_then(|stream| stream.until);
        let Some(deadline) = deadline.into_iter().chain(until).min() else {
            self.armed = None;
            return Poll::Pending;
        };
        if self.armed.is_none_or(|armed| deadline < armed) {
            self.runtime.set_timer(deadline);
            self.armed = Some(deadline);
        }
        let polled = self.runtime.poll_timer(context);
        if polled.is_ready() {
            self.armed = None;
            if self.output.is_empty() {
                // A burst may have left much behind, and nothing is going on.
                self.output.shrink_to(KEPT);
            }
        }
        polled
    }
}

impl<R: Runtime> Drive<R> {
    /// An idle connection holds no read buffer, and nothing that is of use only while one is made or ends.
    fn give_memory_back(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        if self.steps.is_empty() {
            self.steps = Vec::new();
        }
        // Empty, as there is nothing to do.
        self.reports = Vec::new();
        self.actions = Vec::new();
    }
}

impl<R: Runtime> fmt::Debug for Drive<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drive").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
