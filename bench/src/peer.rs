//! The server of a run: a process of its own that is faster than any client. It does not know MQTT, only bytes that were encoded before and
//! as much of a packet as it has to look at.

mod answer;
mod feed;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

use crate::case::Row;
use crate::measure::now;
use crate::{PATIENCE, Result};
use answer::Answers;
use feed::Feed;

/// What is taken from the socket at once: more than clients write at once, so that many small writes are answered together, as one large
/// write is.
const ROOM: usize = 256 * 1024;

/// Says its port, serves one client, and says what it has seen when it has seen all of it. Goes on until the client leaves.
pub(crate) fn serve(row: Row, count: u64) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("port {}", listener.local_addr()?.port());
    let (mut socket, _) = listener.accept()?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let mut input = Input::default();
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
    mut socket: TcpStream,
    mut input: Input,
    mut answers: Answers,
    row: Row,
    count: u64,
) -> Result<()> {
    socket.set_nonblocking(true)?;
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
        if feed.done() && !reported {
            report(count, count * row.size as u64)?;
            reported = true;
        }
        if stuck {
            let mut flags = PollFlags::POLLIN;
            flags.set(PollFlags::POLLOUT, wants_write);
            let patience = PollTimeout::try_from(PATIENCE)?;
            if poll(&mut [PollFd::new(socket.as_fd(), flags)], patience)? == 0 {
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

impl Default for Input {
    fn default() -> Self {
        Self {
            bytes: vec![0; ROOM],
            filled: 0,
        }
    }
}

impl Input {
    /// Whether the client is still there.
    fn read(&mut self, socket: &mut TcpStream) -> io::Result<bool> {
        if self.filled == self.bytes.len() {
            // A packet that is larger than the buffer.
            self.bytes.resize(self.filled * 2, 0);
        }
        let n = match socket.read(&mut self.bytes[self.filled..]) {
            // A client that has all it wanted does not say goodbye.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
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
