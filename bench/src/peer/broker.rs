//! mosquitto at the other end. What is published is watched by a subscriber beside the client, and what is received is published by this
//! process; both move bytes that were encoded before. The broker runs on the same CPU, and drops nothing for want of room.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::{Answers, BESIDE, Input, ROOM, report};
use crate::case::Row;
use crate::scratch::Scratch;
use crate::wire::{FILTER, connect, frame, publish, subscribe};
use crate::{PATIENCE, Result};

/// What the broker may take to listen.
const START: Duration = Duration::from_secs(10);
/// What is published at once, in bytes.
const CHUNK: usize = 16 * 1024;

pub(super) fn run(row: Row, count: u64) -> Result<()> {
    // Whatever becomes of the run, the broker ends before this process does.
    let run = serve(row, count);
    super::end();
    run
}

fn serve(row: Row, count: u64) -> Result<()> {
    if row.work.connects() {
        return Err("connections are measured without mosquitto".into());
    }
    // It tells clients of 5.0 how many it takes at once; 0 is no bound.
    let window = match row.window() {
        u16::MAX => 0,
        window => window,
    };
    let mut broker = Broker::start(window)?;
    let mut socket = broker.connect()?;
    if row.work.receives() {
        println!("port {}", broker.port);
        broker.subscribed()?;
        feed(&mut socket, row, count)?;
        report(count, count * row.size as u64)?;
    } else {
        socket.write_all(&subscribe(FILTER, 0))?;
        let mut watcher = Watcher::new(socket, row);
        watcher.until(|answers| answers.suback())?;
        println!("port {}", broker.port);
        watcher.until(|answers| answers.seen() == count)?;
        report(count, watcher.answers.payload())?;
    }
    // Until the run is over.
    loop {
        std::thread::park();
    }
}

struct Broker {
    port: u16,
    log: BufReader<std::process::ChildStderr>,
    /// Until it has been read.
    config: Option<Scratch>,
}

impl Broker {
    fn start(window: u16) -> Result<Self> {
        // mosquitto can't be asked for a port of the system's choice.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = Scratch::new("mosquitto.conf");
        fs::write(
            config.path(),
            format!(
                "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n\
                 max_queued_messages 0\nmax_inflight_messages {window}\n\
                 log_dest stderr\nlog_type error\nlog_type subscribe\n"
            ),
        )?;
        let mut child = Command::new("mosquitto")
            .env(
                "PATH",
                format!("{}:/usr/local/sbin:/usr/sbin", std::env::var("PATH")?),
            )
            .arg("-c")
            .arg(config.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("mosquitto: {error}"))?;
        let log = BufReader::new(child.stderr.take().ok_or("no log")?);
        *BESIDE.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        Ok(Self {
            port,
            log,
            config: Some(config),
        })
    }

    fn connect(&mut self) -> Result<TcpStream> {
        let begin = Instant::now();
        let mut socket = loop {
            match TcpStream::connect(("127.0.0.1", self.port)) {
                Ok(socket) => break socket,
                Err(error) if begin.elapsed() > START => return Err(error.into()),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        self.config = None;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.write_all(&connect("beside"))?;
        let mut answer = [0; 256];
        let n = socket.read(&mut answer)?;
        if frame(&answer[..n]).is_none_or(|frame| frame.kind() != 2) {
            return Err("mosquitto says no CONNACK".into());
        }
        Ok(socket)
    }

    /// Waits until the client has subscribed, by the broker's log.
    fn subscribed(&mut self) -> Result<()> {
        let mut line = String::new();
        while self.log.read_line(&mut line)? > 0 {
            if line.contains(FILTER) {
                return Ok(());
            }
            line.clear();
        }
        Err("mosquitto has ended".into())
    }
}

/// Publishes as fast as the broker takes it, at QoS 1 and 2 with at most 10,000 in flight.
fn feed(socket: &mut TcpStream, row: Row, count: u64) -> Result<()> {
    let qos = row.work.qos();
    let (packet, id_at) = publish(5, qos, row.size);
    let (len, most) = (packet.len(), (CHUNK / packet.len()).max(1) as u64);
    let mut chunk = packet.repeat(most as usize);
    let (mut sent, mut acknowledged, mut id) = (0, 0, 0_u16);
    let mut input = Input::of(ROOM);
    while sent < count || qos > 0 && acknowledged < count {
        let now = (count - sent).min(most);
        for packet in chunk[..now as usize * len].chunks_exact_mut(len) {
            if qos > 0 {
                id = id.checked_add(1).unwrap_or(1);
                packet[id_at..id_at + 2].copy_from_slice(&id.to_be_bytes());
            }
        }
        socket.write_all(&chunk[..now as usize * len])?;
        sent += now;
        while qos > 0 && (sent == count && acknowledged < count || sent - acknowledged > 10_000) {
            if !input.read(socket)? {
                return Err("mosquitto has left".into());
            }
            let mut answers = Answers::new(row);
            input.take(|bytes| answers.take(bytes))?;
            acknowledged += answers.take_acknowledged();
            // At QoS 2 each is released before it is acknowledged.
            socket.write_all(answers.bytes())?;
        }
    }
    Ok(())
}

/// Counts what the broker passes on.
struct Watcher {
    socket: TcpStream,
    input: Input,
    answers: Answers,
}

impl Watcher {
    fn new(socket: TcpStream, row: Row) -> Self {
        let mut answers = Answers::new(row);
        answers.speak(5);
        Self {
            socket,
            input: Input::of(ROOM),
            answers,
        }
    }

    fn until(&mut self, enough: impl Fn(&Answers) -> bool) -> Result<()> {
        while !enough(&self.answers) {
            if !self.input.read(&mut self.socket)? {
                return Err("mosquitto has left".into());
            }
            let Self { input, answers, .. } = self;
            input.take(|bytes| answers.take(bytes))?;
        }
        Ok(())
    }
}
