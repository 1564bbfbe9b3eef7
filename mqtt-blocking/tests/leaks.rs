//! What is left of clients that are gone: nothing. Threads and file descriptors are counted in `/proc`, so this is for Linux, and a process of
//! its own.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::fs::read_dir;
use std::net::TcpListener;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mqtt_blocking::{QoS, build, connect, connect_timeout};
use server::{LONG, Result, Server, config, until};

fn threads() -> usize {
    read_dir("/proc/self/task").unwrap().count()
}

fn descriptors() -> usize {
    read_dir("/proc/self/fd").unwrap().count()
}

fn gone(before: (usize, usize)) {
    let begin = Instant::now();
    while (threads(), descriptors()) != before {
        let now = (threads(), descriptors());
        assert!(
            begin.elapsed() < LONG,
            "before {before:?} threads and descriptors, and now {now:?}"
        );
        sleep(Duration::from_millis(5));
    }
}

/// One test, for all of it is about the same numbers.
#[test]
fn a_thousand_clients_leave_no_thread_and_no_socket() -> Result {
    let server = Server::start()?;
    server.with(|broker, _| broker.config_mut().log = false);
    let silent = TcpListener::bind("127.0.0.1:0")?;
    silent.set_nonblocking(true)?;
    let silent_url = format!("mqtt://{}", silent.local_addr()?);
    let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let nobody_url = format!("mqtt://{nobody}");
    server.connect()?.disconnect(LONG);
    until("the server has its thread", || threads() == 3);
    let before = (threads(), descriptors());
    for n in 0..1000 {
        let config = config(&format!("client-{}", n % 7)).build()?;
        match n % 5 {
            0 => {
                let client = connect(&server.url, config)?;
                let _messages = client.subscribe("a", QoS::AtLeastOnce)?;
                client.publish("a", QoS::AtLeastOnce, "x")?.wait()?;
                client.disconnect(LONG);
            }
            1 => drop(connect(&server.url, config)?),
            2 => drop(connect(&nobody_url, config).unwrap_err()),
            3 => {
                let timeout = Duration::from_millis(1);
                drop(connect_timeout(&silent_url, config, timeout).unwrap_err());
                // It may have come to a connection, or not.
                while silent.accept().is_ok() {}
            }
            _ => drop(build(&server.url, config)?),
        }
    }
    gone(before);

    // Handles that outlive their session hold nothing of the system.
    let mut handles = Vec::new();
    for n in 0..50 {
        let client = connect(&server.url, config(&format!("kept-{n}")).build()?)?;
        let messages = client.subscribe("a", QoS::AtLeastOnce)?;
        let delivery = client.publish("a", QoS::AtLeastOnce, "x")?;
        let events = client.events();
        client.disconnect(LONG);
        handles.push((client, messages, delivery, events));
    }
    gone(before);
    Ok(())
}
