//! The programs as a user runs them: each against a broker of the testkit, to its end.
#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mqtt_session::proto::PacketType;
use mqtt_testkit::{Broker, Direction};

use server::{Identity, Server};

/// Longer than a program's own bound.
const BOUND: Duration = Duration::from_secs(60);

/// What the program prints. It must succeed.
fn run(program: &str, arguments: &[&str]) -> String {
    let (status, out, err) = end_of(program, arguments);
    assert!(status.success(), "{status:?}\n{out}\n{err}");
    out
}

/// How it ends, and what it prints.
fn end_of(program: &str, arguments: &[&str]) -> (ExitStatus, String, String) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Beside each other, so that neither pipe fills up.
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read_out = thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).map(|_| text)
    });
    let read_err = thread::spawn(move || {
        let mut text = String::new();
        err.read_to_string(&mut text).map(|_| text)
    });
    let deadline = Instant::now() + BOUND;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if Instant::now() >= deadline => break None,
            None => thread::sleep(Duration::from_millis(10)),
        }
    };
    if status.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (out, err) = (
        read_out.join().unwrap().unwrap(),
        read_err.join().unwrap().unwrap(),
    );
    let status = status.unwrap_or_else(|| panic!("it hangs:\n{out}\n{err}"));
    (status, out, err)
}

#[test]
fn smoltcp_carries_a_session_over_a_connection_that_is_cut() {
    let printed = run(env!("CARGO_BIN_EXE_embed_smoltcp"), &[]);
    let last = printed.lines().last();
    assert_eq!(
        last,
        Some("20 readings acknowledged, 2 times switched"),
        "{printed}"
    );
    assert_eq!(
        printed.matches("session_present: true").count(),
        1,
        "{printed}"
    );
}

const MIO: &str = env!("CARGO_BIN_EXE_embed_mio");
const ALL: &str = "100 connections, 1000 messages acknowledged, 1000 received\n";

fn assert_each_came_once(broker: &Broker, connections: u64) {
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
    let mut came: Vec<_> = broker
        .received()
        .iter()
        .map(|received| {
            let message = &received.message;
            (message.topic().to_string(), message.payload().to_vec())
        })
        .collect();
    assert_eq!(came.len(), 1000);
    came.sort_unstable();
    came.dedup();
    assert_eq!(came.len(), 1000);
    let traffic = broker.traffic();
    assert_eq!(
        traffic.packets(Direction::ToBroker, PacketType::Connect),
        connections
    );
    // A connection that is cut while it ends takes its DISCONNECT with it.
    let ended = traffic.packets(Direction::ToBroker, PacketType::Disconnect);
    let cut = connections > 100;
    assert!(ended == 100 || (cut && ended < 100), "{ended}");
}

#[test]
fn mio_carries_a_hundred_sessions_over_tcp() {
    let server = Server::start(None, usize::MAX);
    assert_eq!(run(MIO, &[&format!("mqtt://{}", server.addr)]), ALL);
    assert_each_came_once(&server.finish(), 100);
}

#[test]
fn mio_carries_a_hundred_sessions_over_tls_that_is_cut() {
    let identity = Identity::new("cut");
    let server = Server::start(Some(identity.config), 500);
    let url = format!("mqtts://{}", server.addr);
    let certificate = identity.certificate.to_str().unwrap();
    assert_eq!(run(MIO, &[&url, certificate]), ALL);
    // Those that had not ended yet came back.
    let broker = server.finish();
    let connects = broker
        .traffic()
        .packets(Direction::ToBroker, PacketType::Connect);
    assert!(connects > 100, "{connects}");
    assert_each_came_once(&broker, connects);
}

#[test]
fn mio_says_whose_certificate_is_not_trusted() {
    let (theirs, other) = (Identity::new("theirs"), Identity::new("other"));
    let server = Server::start(Some(theirs.config), usize::MAX);
    let url = format!("mqtts://{}", server.addr);
    let (status, out, err) = end_of(MIO, &[&url, other.certificate.to_str().unwrap()]);
    assert!(!status.success(), "{out}\n{err}");
    assert_eq!(err.matches("TLS: ").count(), 100, "{err}");
    assert!(server.finish().received().is_empty());
}

#[test]
fn mio_ends_where_nobody_listens() {
    // The port of a stream is nobody else's, and nobody listens on it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let url = format!("mqtt://{}", stream.local_addr().unwrap());
    let (status, out, err) = end_of(MIO, &[&url]);
    assert!(!status.success(), "{out}\n{err}");
    assert_eq!(err.matches("connection refused").count(), 100, "{err}");
}
