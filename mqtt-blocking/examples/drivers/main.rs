//! Which driver this crate should have, by measurement: one thread for each connection, which waits until something is ready, or a thread
//! that reads and one that writes. Both run the same loop and the same handles, in turns, against the same peer.
//!
//! `cargo run --release -p mqtt-blocking --example drivers`; on Linux, where `/proc` tells what a process uses.

#![allow(clippy::unwrap_used, reason = "a measurement that fails ends")]

mod peer;
mod threads;

use std::collections::VecDeque;
use std::error::Error;
use std::io::Write;
use std::num::NonZeroU16;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mqtt_blocking::{Client, Config, Delivery, Limits, QoS, Topic};
use peer::{acknowledge, process_cpu, send, serve, sink};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
type Start = fn(&str, Config) -> Result<Client>;

const TOPIC: &str = "bench/throughput/sensor7";
const PAYLOAD: [u8; 64] = [b'x'; 64];
/// QoS 1 messages that one publisher has in flight.
const WINDOW: usize = 100;
/// The argument with which this measures connections that do nothing, in a process of its own.
const IDLE_OF: &str = "--idle-of";
/// Odd, so that there is one in the middle.
const ROUNDS: usize = 7;
const IDLE: usize = 200;
const DRIVERS: [(&str, Start); 2] = [
    ("one thread, ready", ready),
    ("two threads", threads::start),
];

fn ready(url: &str, config: Config) -> Result<Client> {
    Ok(mqtt_blocking::start(url, config)?)
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let first = args.next();
    if first.as_deref() == Some(IDLE_OF) {
        let driver: usize = args.next().ok_or("which driver?")?.parse()?;
        return idle(DRIVERS[driver].1);
    }
    let scale: f64 = first.map_or(Ok(1.0), |arg| arg.parse())?;
    let times = |count: f64| (count * scale) as usize;
    compare("publish QoS 0", times(2e6), |start, count| {
        let (url, peer) = serve(sink)?;
        publish(start(&url, config()?)?, QoS::AtMostOnce, count).map(|took| (took, peer))
    })?;
    for window in [WINDOW, 1] {
        let name = format!("publish QoS 1, {window} in flight");
        let count = times(if window == 1 { 1e5 } else { 5e5 });
        compare(&name, count, |start, count| {
            let (url, peer) = serve(acknowledge)?;
            publish_window(start(&url, config()?)?, count, window).map(|took| (took, peer))
        })?;
    }
    for (qos, window) in [
        (QoS::AtMostOnce, u16::MAX),
        (QoS::AtLeastOnce, 256),
        (QoS::AtLeastOnce, 1),
    ] {
        let name = format!("receive {qos}, window {window}");
        let count = times(match (qos, window) {
            (QoS::AtMostOnce, _) => 2e6,
            (_, 1) => 1e5,
            _ => 1e6,
        });
        compare(&name, count, |start, count| {
            let ahead = if qos == QoS::AtMostOnce {
                usize::MAX
            } else {
                window.into()
            };
            let (url, peer) = serve(move |stream| send(stream, count, qos, ahead))?;
            receive(&url, start, qos, count, window).map(|took| (took, peer))
        })?;
    }
    for (driver, (name, _)) in DRIVERS.into_iter().enumerate() {
        print!("{IDLE} idle, {name:18}: ");
        std::io::stdout().flush()?;
        // In a process of its own, so that neither finds memory that the other has left.
        let mut idle = Command::new(std::env::current_exe()?);
        let status = idle.arg(IDLE_OF).arg(driver.to_string()).status()?;
        assert!(status.success(), "{status}");
    }
    Ok(())
}

type Peer = std::thread::JoinHandle<std::io::Result<Option<Duration>>>;

/// Rounds of both drivers in turns; the medians, and the ratios of each round.
fn compare(
    name: &str,
    count: usize,
    mut measure: impl FnMut(Start, usize) -> Result<(Duration, Peer)>,
) -> Result<()> {
    let mut rates = [const { Vec::new() }; 2];
    let mut costs = [const { Vec::new() }; 2];
    for _ in 0..ROUNDS {
        for (driver, (_, start)) in DRIVERS.into_iter().enumerate() {
            let before = process_cpu();
            let (took, peer) = measure(start, count)?;
            let of_peer = peer.join().map_err(|_| "the peer panicked")??;
            rates[driver].push(count as f64 / took.as_secs_f64());
            let cpu = before.zip(process_cpu()).zip(of_peer);
            let cpu =
                cpu.map(|((before, after), of_peer)| (after - before).saturating_sub(of_peer));
            costs[driver].push(cpu.unwrap_or_default().as_nanos() as f64 / count as f64);
        }
    }
    let ratio = |of: &[Vec<f64>; 2]| {
        let ratios = of[0].iter().zip(&of[1]).map(|(one, two)| one / two);
        median(ratios.collect())
    };
    println!(
        "{name:32} {:>9.0} against {:>9.0} messages/s: {:.2}; CPU {:>5.0} against {:>5.0} ns: {:.2}",
        median(rates[0].clone()),
        median(rates[1].clone()),
        ratio(&rates),
        median(costs[0].clone()),
        median(costs[1].clone()),
        ratio(&costs),
    );
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn config() -> Result<Config> {
    Ok(Config::builder("drivers").build()?)
}

fn publish(client: Client, qos: QoS, count: usize) -> Result<Duration> {
    client.connected()?;
    let (topic, payload) = (Topic::try_from(TOPIC)?, Bytes::from_static(&PAYLOAD));
    let begin = Instant::now();
    for _ in 1..count {
        client.publish(topic.clone(), qos, payload.clone())?;
    }
    // The last one is written when all are.
    client.publish(topic, qos, payload)?.wait()?;
    let took = begin.elapsed();
    client.disconnect(Duration::from_secs(1));
    Ok(took)
}

fn publish_window(client: Client, count: usize, window: usize) -> Result<Duration> {
    client.connected()?;
    let (topic, payload) = (Topic::try_from(TOPIC)?, Bytes::from_static(&PAYLOAD));
    let mut deliveries: VecDeque<Delivery> = VecDeque::with_capacity(window);
    let begin = Instant::now();
    for _ in 0..count {
        if deliveries.len() == window
            && let Some(oldest) = deliveries.pop_front()
        {
            oldest.wait()?;
        }
        let delivery = client.publish(topic.clone(), QoS::AtLeastOnce, payload.clone())?;
        deliveries.push_back(delivery);
    }
    for delivery in deliveries {
        delivery.wait()?;
    }
    let took = begin.elapsed();
    client.disconnect(Duration::from_secs(1));
    Ok(took)
}

fn receive(url: &str, start: Start, qos: QoS, count: usize, window: u16) -> Result<Duration> {
    let mut limits = Limits::default();
    limits.receive_maximum = NonZeroU16::new(window).ok_or("no window")?;
    let client = start(url, Config::builder("drivers").limits(limits).build()?)?;
    client.connected()?;
    let begin = Instant::now();
    let messages = client.subscribe("bench/+/sensor7", qos)?;
    let bytes: usize = messages.take(count).map(|m| m.payload().len()).sum();
    let took = begin.elapsed();
    assert_eq!(bytes, count * PAYLOAD.len(), "payload bytes");
    client.disconnect(Duration::from_secs(1));
    Ok(took)
}

/// What connections cost that do nothing. Their peers are sockets in one thread.
fn idle(start: Start) -> Result<()> {
    let (url, peers) = peer::serve_idle(IDLE)?;
    let before = [status("VmRSS:")?, status("Threads:")?, descriptors()?];
    let mut clients = Vec::new();
    for _ in 0..IDLE {
        let client = start(&url, config()?)?;
        client.connected()?;
        clients.push(client);
    }
    let after = [status("VmRSS:")?, status("Threads:")?, descriptors()?];
    let each = |at: usize| (after[at] - before[at]) / IDLE as f64;
    println!(
        "each {:.1} KiB, {:.2} threads, {:.2} file descriptors (one of them the peer's)",
        each(0),
        each(1),
        each(2),
    );
    drop(peers);
    Ok(())
}

fn status(field: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.split_whitespace().next());
    Ok(value.ok_or("no such field")?.parse()?)
}

fn descriptors() -> Result<f64> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count() as f64)
}
