//! The server of a run: a process of its own that is faster than any client. It does not know MQTT, only bytes that were encoded before and
//! as much of a packet as it has to look at.

mod answer;
mod broker;
mod crowd;
mod feed;
mod hold;
mod link;

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::Child;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, PoisonError};
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

use crate::case::{Against, Row};
use crate::measure::now;
use crate::{PATIENCE, Result};
use answer::Answers;
use feed::Feed;
use link::{Link, Listener};

/// What is taken from the socket at once: more than clients write at once, so that many small writes are answered together, as one large
/// write is.
const ROOM: usize = 256 * 1024;

/// The peer's process. It ends when the client leaves, or with its input, whichever is first.
pub(crate) fn run(against: Against, row: Row, count: u64, certificate: &Path) -> Result<()> {
    let told = listen();
    match against {
        Against::Mosquitto => broker::run(row, count),
        Against::Stub | Against::Tls if row.crowd.is_some() => crowd::run(row, count, &told),
        Against::Stub | Against::Tls if row.work.connects() => {
            let listener = Listener::open(against, certificate)?;
            hold::run(&listener, row, count, &told)
        }
        Against::Stub | Against::Tls => serve(&Listener::open(against, certificate)?, row, count),
    }
}

/// A broker that this process has started, and ends.
static BESIDE: Mutex<Option<Child>> = Mutex::new(None);

/// What this process is told, line by line; at the end it ends.
fn listen() -> Receiver<()> {
    let (sender, told) = mpsc::channel();
    thread::spawn(move || {
        for _ in io::stdin().lines().map_while(io::Result::ok) {
            // Nobody waits for it, perhaps.
            let _ = sender.send(());
        }
        end();
        std::process::exit(0);
    });
    told
}

fn end() {
    let mut beside = BESIDE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(mut child) = beside.take() {
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Serves one client, and says what it has seen when it has seen all of it. Goes on until the client leaves.
fn serve(listener: &Listener, row: Row, count: u64) -> Result<()> {
    let mut socket = listener.accept()?;
    let mut input = Input::of(ROOM);
    let mut answers = Answers::new(row);
    // Until somebody subscribes it only answers, and blocks in doing so.
    loop {
        if !input.read(&mut socket)? {
            return Ok(());
        }
        input.take(|bytes| answers.take(bytes))?;
        socket.write_all(answers.bytes())?;
        answers.clear();
        if !row.work.receives() && answers.seen() == count {
            report(answers.seen(), answers.payload())?;
        }
        if answers.subscribed() {
            break;
        }
    }
    send(socket, input, answers, row, count)
}

/// Sends what the client has subscribed to, and reads at the same time.
fn send(
    mut socket: Link,
    mut input: Input,
    mut answers: Answers,
    row: Row,
    count: u64,
) -> Result<()> {
    socket.tcp().set_nonblocking(true)?;
    let mut feed = Feed::new(row, answers.version(), answers.receive_maximum(), count);
    let mut reported = false;
    let mut rest = Vec::new();
    loop {
        let mut stuck = true;
        // An answer never stands in the middle of a message.
        if !feed.inside() {
            rest.extend_from_slice(answers.bytes());
            answers.clear();
        }
        let bytes = if rest.is_empty() { feed.bytes() } else { &rest };
        let wants_write = !bytes.is_empty();
        if wants_write {
            match socket.write(bytes) {
                Ok(n) if rest.is_empty() => {
                    feed.written(n);
                    stuck = false;
                }
                Ok(n) => {
                    rest.drain(..n);
                    stuck = false;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        match input.read(&mut socket) {
            Ok(true) => {
                input.take(|bytes| answers.take(bytes))?;
                feed.acknowledged(answers.take_acknowledged());
                stuck = false;
            }
            Ok(false) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if !wants_write && socket.pending() {
            match socket.flush() {
                Ok(()) => stuck = false,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        if feed.done() && !reported {
            report(count, count * row.size as u64)?;
            reported = true;
        }
        if stuck {
            let mut flags = PollFlags::POLLIN;
            flags.set(PollFlags::POLLOUT, wants_write || socket.pending());
            let patience = PollTimeout::try_from(PATIENCE)?;
            if poll(&mut [PollFd::new(socket.tcp().as_fd(), flags)], patience)? == 0 {
                return Err("the client says nothing".into());
            }
        }
    }
}

/// All is seen: when, how many messages, and how many bytes of payload.
fn report(messages: u64, payload: u64) -> Result<()> {
    println!("seen {} {messages} {payload}", now()?);
    Ok(())
}

/// What has come and is not taken yet.
struct Input {
    bytes: Vec<u8>,
    filled: usize,
}

impl Input {
    /// With room for so many bytes at first.
    fn of(room: usize) -> Self {
        Self {
            bytes: vec![0; room],
            filled: 0,
        }
    }

    /// Whether the client is still there.
    fn read(&mut self, socket: &mut impl Read) -> io::Result<bool> {
        if self.filled == self.bytes.len() {
            // A packet that is larger than the buffer.
            self.bytes.resize(self.filled * 2, 0);
        }
        let n = match socket.read(&mut self.bytes[self.filled..]) {
            // A client that has all it wanted does not say goodbye.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof
                ) =>
            {
                0
            }
            read => read?,
        };
        self.filled += n;
        Ok(n > 0)
    }

    fn take(&mut self, take: impl FnOnce(&[u8]) -> Result<usize>) -> Result<()> {
        let taken = take(&self.bytes[..self.filled])?;
        self.bytes.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        Ok(())
    }
}
