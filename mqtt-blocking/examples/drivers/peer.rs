//! The other end: a thread that moves bytes which were encoded before.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mqtt_blocking::QoS;

use crate::{PAYLOAD, Result, TOPIC};

/// CONNACK of 5.0: success, no properties.
const CONNACK: [u8; 5] = [0x20, 3, 0, 0, 0];

/// What this process has used so far, all threads that ever were; on Linux.
pub(crate) fn process_cpu() -> Option<Duration> {
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

/// A peer for one connection. It ends with the CPU time that it used.
pub(crate) fn serve(
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

/// A peer for so many connections, which does nothing after CONNACK. It ends with the process.
pub(crate) fn serve_idle(count: usize) -> Result<(String, JoinHandle<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("mqtt://{}", listener.local_addr()?);
    let peer = thread::spawn(move || {
        let mut streams = Vec::with_capacity(count);
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(&CONNACK).unwrap();
            streams.push(stream);
        }
    });
    Ok((url, peer))
}

pub(crate) fn sink(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Acknowledges PUBLISH packets, which are all of one length.
pub(crate) fn acknowledge(mut stream: TcpStream) -> std::io::Result<()> {
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
pub(crate) fn send(
    mut stream: TcpStream,
    count: usize,
    qos: QoS,
    window: usize,
) -> std::io::Result<()> {
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
