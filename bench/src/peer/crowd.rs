//! Many clients at work at the same time, whose sockets are waited for together.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::Receiver;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::{Answers, ROOM, report};
use crate::case::Row;
use crate::measure::allow_descriptors;
use crate::wire::publish;
use crate::{PATIENCE, Result};

/// What is written to one client at once, in bytes.
const CHUNK: usize = 64 * 1024;
/// Sockets that are told of at once.
const EVENTS: usize = 1024;
/// Where clients connect; theirs are numbered from 0.
const LISTENER: u64 = u64::MAX;

/// Answers all, and says when it has seen every message, or when every one that it has sent was taken and acknowledged. It sends when all have
/// subscribed and it is told to.
pub(super) fn run(row: Row, count: u64, told: &Receiver<()>) -> Result<()> {
    let clients = row.crowd.ok_or("one client is no crowd")?;
    allow_descriptors(clients.into())?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let event = EpollEvent::new(EpollFlags::EPOLLIN, LISTENER);
    epoll.add(&listener, event)?;
    println!("port {}", listener.local_addr()?.port());
    let mut crowd = Crowd {
        row,
        share: count / u64::from(clients),
        epoll,
        members: Vec::new(),
        input: vec![0; ROOM],
        chunk: Chunk::default(),
        open: false,
        subscribed: 0,
        done: 0,
    };
    let mut reported = false;
    let mut events = vec![EpollEvent::empty(); EVENTS];
    loop {
        let patience = EpollTimeout::try_from(PATIENCE)?;
        let n = crowd.epoll.wait(&mut events, patience)?;
        if n == 0 {
            return Err("the clients say nothing".into());
        }
        for event in &events[..n] {
            match event.data() {
                LISTENER => crowd.accept(&listener)?,
                at => crowd.turn(at as usize)?,
            }
        }
        if row.work.receives() && !crowd.open && crowd.subscribed == clients {
            told.recv()?;
            crowd.open = true;
            for at in 0..crowd.members.len() {
                crowd.turn(at)?;
            }
        }
        if !reported && crowd.done == clients {
            let seen: u64 = crowd.members.iter().map(Member::seen).sum();
            report(seen, seen * row.size as u64)?;
            reported = true;
        }
    }
}

struct Crowd {
    row: Row,
    /// Messages of each.
    share: u64,
    epoll: Epoll,
    members: Vec<Member>,
    /// Where each read goes.
    input: Vec<u8>,
    chunk: Chunk,
    /// Whether messages are sent.
    open: bool,
    /// How many have subscribed, and how many have done their share.
    subscribed: u32,
    done: u32,
}

/// One client.
struct Member {
    socket: TcpStream,
    answers: Answers,
    /// The begin of a packet that is not whole yet.
    rest: Vec<u8>,
    /// What the socket has not taken yet.
    output: Vec<u8>,
    /// Messages sent to it, and those it has acknowledged.
    sent: u64,
    acknowledged: u64,
    id: u16,
    /// Whether it is asked when the socket takes more.
    asked: bool,
    subscribed: bool,
    done: bool,
    left: bool,
}

impl Crowd {
    fn accept(&mut self, listener: &TcpListener) -> Result<()> {
        loop {
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let event = EpollEvent::new(EpollFlags::EPOLLIN, self.members.len() as u64);
            self.epoll.add(&socket, event)?;
            self.members.push(Member {
                socket,
                answers: Answers::new(self.row),
                rest: Vec::new(),
                output: Vec::new(),
                sent: 0,
                acknowledged: 0,
                id: 0,
                asked: false,
                subscribed: false,
                done: false,
                left: false,
            });
        }
    }

    /// Reads what there is, answers, and sends as much as the client takes.
    fn turn(&mut self, at: usize) -> Result<()> {
        let member = &mut self.members[at];
        if !member.left {
            member.read(&mut self.input)?;
        }
        if member.left {
            self.epoll.delete(&member.socket)?;
            return Ok(());
        }
        let mut stuck = !member.flush()?;
        while self.open && !stuck {
            let share = self.share - member.sent;
            if !member.send(&mut self.chunk, self.row, share)? {
                break;
            }
            stuck = !member.output.is_empty();
        }
        if stuck != member.asked {
            let mut flags = EpollFlags::EPOLLIN;
            flags.set(EpollFlags::EPOLLOUT, stuck);
            let mut event = EpollEvent::new(flags, at as u64);
            self.epoll.modify(&member.socket, &mut event)?;
            member.asked = stuck;
        }
        let idle = member.output.is_empty();
        if idle && !member.subscribed && member.answers.subscribed() {
            member.subscribed = true;
            self.subscribed += 1;
        }
        let (seen, receives) = (member.seen(), self.row.work.receives());
        if !member.done && seen == self.share && (idle || !receives) {
            member.done = true;
            self.done += 1;
        }
        Ok(())
    }
}

impl Member {
    const fn seen(&self) -> u64 {
        // One of them is none.
        self.answers.seen() + self.acknowledged
    }

    fn read(&mut self, input: &mut [u8]) -> Result<()> {
        loop {
            let before = self.rest.len();
            if before == input.len() {
                return Err("a packet that is too large".into());
            }
            input[..before].copy_from_slice(&self.rest);
            let n = match self.socket.read(&mut input[before..]) {
                Ok(0) => 0,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
                Err(error) => return Err(error.into()),
            };
            if n == 0 {
                self.left = true;
                return Ok(());
            }
            let filled = before + n;
            let taken = self.answers.take(&input[..filled])?;
            self.rest.clear();
            self.rest.extend_from_slice(&input[taken..filled]);
            self.acknowledged += self.answers.take_acknowledged();
            self.output.extend_from_slice(self.answers.bytes());
            self.answers.clear();
            if filled < input.len() {
                return Ok(());
            }
        }
    }

    /// Whether nothing is left to be written.
    fn flush(&mut self) -> Result<bool> {
        while !self.output.is_empty() {
            match self.socket.write(&self.output) {
                Ok(n) => drop(self.output.drain(..n)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if gone(&error) => {
                    self.left = true;
                    return Ok(true);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Sends so many at most, and as many as it takes before it has acknowledged more. Whether there were any.
    fn send(&mut self, chunk: &mut Chunk, row: Row, most: u64) -> Result<bool> {
        let version = self.answers.version();
        chunk.encode(version, row);
        let window = match row.work.qos() {
            0 => u64::MAX,
            _ => u64::from(self.answers.receive_maximum()),
        };
        let room = window.saturating_sub(self.sent - self.acknowledged);
        let now = most.min(room).min(chunk.most);
        if now == 0 {
            return Ok(false);
        }
        let bytes = &mut chunk.bytes[..now as usize * chunk.len];
        if row.work.qos() > 0 {
            for packet in bytes.chunks_exact_mut(chunk.len) {
                self.id = self.id.checked_add(1).unwrap_or(1);
                packet[chunk.id_at..chunk.id_at + 2].copy_from_slice(&self.id.to_be_bytes());
            }
        } else {
            self.acknowledged += now;
        }
        self.sent += now;
        let n = match self.socket.write(bytes) {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error.into()),
        };
        self.output.extend_from_slice(&bytes[n..]);
        Ok(true)
    }
}

/// The message, as often as it is written at once.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    version: u8,
    len: usize,
    id_at: usize,
    most: u64,
}

impl Chunk {
    fn encode(&mut self, version: u8, row: Row) {
        if self.version == version {
            return;
        }
        let (packet, id_at) = publish(version, row.work.qos(), row.size);
        let most = (CHUNK / packet.len()).max(1);
        *self = Self {
            bytes: packet.repeat(most),
            version,
            len: packet.len(),
            id_at,
            most: most as u64,
        };
    }
}

/// A client that has all it wanted does not say goodbye.
fn gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}
