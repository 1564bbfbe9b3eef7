//! Messages a second, against a peer in a thread of its own that moves bytes which were encoded before.
//!
//! `cargo run --release -p mqtt-tokio --example throughput`; with `taskset -c 0` before it, client and peer share one CPU.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroU16;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mqtt_tokio::{Client, Config, Limits, QoS, Topic};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const TOPIC: &str = "bench/throughput/sensor7";
const PAYLOAD: [u8; 64] = [b'x'; 64];
/// CONNACK of 5.0: success, no properties.
const CONNACK: [u8; 5] = [0x20, 3, 0, 0, 0];
/// QoS 1 messages that one publisher has in flight.
const WINDOW: usize = 100;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let scale: f64 = args.next().map_or(Ok(1.0), |arg| arg.parse())?;
    let times = |count: f64| (count * scale) as usize;
    let wanted = args.next().unwrap_or_default();
    let rounds = if wanted.is_empty() { 3 } else { 5 };
    for _ in 0..rounds {
        run(
            &wanted,
            "publish QoS 0",
            times(4e6),
            |_| sink,
            publish_qos_0,
        )?;
        run(
            &wanted,
            "publish QoS 1, 100 in flight",
            times(1e6),
            |_| acknowledge,
            publish_qos_1,
        )?;
        let sender = |qos, window| move |count| move |stream| send(stream, count, qos, window);
        run(
            &wanted,
            "receive QoS 0",
            times(4e6),
            sender(QoS::AtMostOnce, usize::MAX),
            |url, count| receive(url, QoS::AtMostOnce, count, 256),
        )?;
        for window in [256, u16::MAX] {
            let name = format!("receive QoS 1, window {window}");
            run(
                &wanted,
                &name,
                times(2e6),
                sender(QoS::AtLeastOnce, window.into()),
                |url, count| receive(url, QoS::AtLeastOnce, count, window),
            )?;
        }
    }
    Ok(())
}

/// One measurement: `client`, in a task of its own, against `peer`.
fn run<P, T, C, F>(wanted: &str, name: &str, count: usize, peer: P, client: C) -> Result<()>
where
    P: FnOnce(usize) -> T,
    T: FnOnce(TcpStream) -> std::io::Result<()> + Send + 'static,
    C: FnOnce(String, usize) -> F,
    F: Future<Output = Result<Duration>> + Send + 'static,
{
    if !name.contains(wanted) {
        return Ok(());
    }
    let before = process_cpu();
    let (url, peer) = serve(peer(count))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let took = runtime.block_on(runtime.spawn(client(url, count)))??;
    let of_peer = peer.join().map_err(|_| "the peer panicked")??;
    drop(runtime);
    let rate = count as f64 / took.as_secs_f64();
    let cpu = before.zip(process_cpu()).zip(of_peer);
    let cpu = cpu.map(|((before, after), of_peer)| {
        (after - before).saturating_sub(of_peer).as_nanos() as f64
    });
    let cpu = cpu.map_or("unknown".to_owned(), |nanos| {
        format!("{:.0} ns", nanos / count as f64)
    });
    println!("{name:30} {rate:>11.0} messages/s, client CPU {cpu} a message");
    Ok(())
}

/// What this process has used so far, all threads that ever were; on Linux.
fn process_cpu() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let ticks = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2);
    Some(Duration::from_millis(
        ticks
            .filter_map(|field| field.parse::<u64>().ok())
            .sum::<u64>()
            * 10,
    ))
}

/// The same of this thread.
fn thread_cpu() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(
        stat.split_whitespace().next()?.parse().ok()?,
    ))
}
/// Awaits the acceptance of each message before the next.
async fn publish_qos_0(url: String, count: usize) -> Result<Duration> {
    let client = mqtt_tokio::connect(&url, Config::builder("throughput").build()?).await?;
    let (topic, payload) = (Topic::from_static(TOPIC)?, Bytes::from_static(&PAYLOAD));
    let begin = Instant::now();
    for _ in 1..count {
        client
            .publish(topic.clone(), QoS::AtMostOnce, payload.clone())
            .await?;
    }
    // The last one is written when all are.
    client
        .publish(topic, QoS::AtMostOnce, payload)
        .await?
        .await?;
    let took = begin.elapsed();
    close(&client).await;
    Ok(took)
}

async fn publish_qos_1(url: String, count: usize) -> Result<Duration> {
    let client = mqtt_tokio::connect(&url, Config::builder("throughput").build()?).await?;
    let (topic, payload) = (Topic::from_static(TOPIC)?, Bytes::from_static(&PAYLOAD));
    let mut deliveries = VecDeque::with_capacity(WINDOW);
    let begin = Instant::now();
    for _ in 0..count {
        if deliveries.len() == WINDOW
            && let Some(oldest) = deliveries.pop_front()
        {
            let oldest: mqtt_tokio::Delivery = oldest;
            oldest.await?;
        }
        deliveries.push_back(
            client
                .publish(topic.clone(), QoS::AtLeastOnce, payload.clone())
                .await?,
        );
    }
    for delivery in deliveries {
        delivery.await?;
    }
    let took = begin.elapsed();
    close(&client).await;
    Ok(took)
}

async fn receive(url: String, qos: QoS, count: usize, window: u16) -> Result<Duration> {
    let receive_maximum = NonZeroU16::new(window).ok_or("no window")?;
    let mut limits = Limits::default();
    limits.receive_maximum = receive_maximum;
    let config = Config::builder("throughput").limits(limits).build()?;
    let client = mqtt_tokio::connect(&url, config).await?;
    let begin = Instant::now();
    let mut messages = client.subscribe("bench/+/sensor7", qos).await?;
    let mut bytes = 0;
    for _ in 0..count {
        let message = messages.next().await.ok_or("the session was closed")?;
        bytes += message.payload().len();
    }
    let took = begin.elapsed();
    assert_eq!(bytes, count * PAYLOAD.len(), "payload bytes");
    drop(messages);
    close(&client).await;
    Ok(took)
}

async fn close(client: &Client) {
    client.disconnect(Duration::from_secs(1)).await;
}

/// A peer for one connection. It ends with the CPU time that it used.
fn serve(
    talk: impl FnOnce(TcpStream) -> std::io::Result<()> + Send + 'static,
) -> Result<(String, JoinHandle<std::io::Result<Option<Duration>>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("mqtt://{}", listener.local_addr()?);
    let peer = thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut connect = [0; 1024];
        let _ = stream.read(&mut connect)?;
        stream.write_all(&CONNACK)?;
        talk(stream)?;
        Ok(thread_cpu())
    });
    Ok((url, peer))
}

fn sink(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Acknowledges PUBLISH packets, which are all of one length.
fn acknowledge(mut stream: TcpStream) -> std::io::Result<()> {
    let len = publish_packet(QoS::AtLeastOnce, 1).len();
    let id_at = 2 + 2 + TOPIC.len();
    let (mut buffer, mut filled, mut acks) = (vec![0; 256 * 1024], 0, Vec::new());
    loop {
        let n = stream.read(&mut buffer[filled..])?;
        if n == 0 {
            return Ok(());
        }
        filled += n;
        acks.clear();
        let mut at = 0;
        while filled - at >= len && buffer[at] >> 4 == 3 {
            acks.extend_from_slice(&[0x40, 2, buffer[at + id_at], buffer[at + id_at + 1]]);
            at += len;
        }
        stream.write_all(&acks)?;
        buffer.copy_within(at..filled, 0);
        filled -= at;
    }
}

/// Answers SUBSCRIBE, then sends messages, never more than `window` ahead of their PUBACKs.
fn send(mut stream: TcpStream, count: usize, qos: QoS, window: usize) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let _ = stream.read(&mut buffer)?;
    stream.write_all(&[0x90, 4, buffer[2], buffer[3], 0, qos.as_u8()])?;
    // A multiple of 65,535 messages would be best; the identifiers wrap around where the ring does.
    let packet = publish_packet(qos, 1);
    let (len, id_at) = (packet.len(), 2 + 2 + TOPIC.len());
    let mut ring = packet.repeat(usize::from(u16::MAX));
    if qos != QoS::AtMostOnce {
        for (packet, id) in ring.chunks_exact_mut(len).zip(1..=u16::MAX) {
            packet[id_at..id_at + 2].copy_from_slice(&id.to_be_bytes());
        }
    }
    let (mut sent, mut acknowledged, mut half) = (0, 0, 0);
    while acknowledged < count {
        let at = sent % usize::from(u16::MAX);
        let most = (count - sent)
            .min(window - (sent - acknowledged))
            .min(1000)
            .min(usize::from(u16::MAX) - at);
        stream.write_all(&ring[at * len..(at + most) * len])?;
        sent += most;
        if qos == QoS::AtMostOnce {
            acknowledged = sent;
        } else if sent - acknowledged == window || sent == count {
            let n = stream.read(&mut buffer)?;
            if n == 0 {
                return Ok(());
            }
            acknowledged += (half + n) / 4;
            half = (half + n) % 4;
        }
    }
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

/// A PUBLISH of 5.0 without properties.
fn publish_packet(qos: QoS, id: u16) -> Vec<u8> {
    let mut body = (TOPIC.len() as u16).to_be_bytes().to_vec();
    body.extend_from_slice(TOPIC.as_bytes());
    if qos != QoS::AtMostOnce {
        body.extend_from_slice(&id.to_be_bytes());
    }
    body.push(0);
    body.extend_from_slice(&PAYLOAD);
    let mut packet = vec![0x30 | qos.as_u8() << 1, body.len() as u8];
    packet.append(&mut body);
    packet
}
