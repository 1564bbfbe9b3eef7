//! The least that can be done: one thread moves bytes that were encoded before through a blocking socket. It looks at as much of what it
//! receives as it takes to know how many messages there are.

use std::future::ready;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use std::os::fd::AsRawFd;

use crate::case::Work;
use crate::crowd::crowd;
use crate::job::{Begun, Job};
use crate::wire::{FILTER, connect, frame, publish, published, subscribe};
use crate::{PATIENCE, Result};

/// What is written or read at once.
const CHUNK: usize = 64 * 1024;

pub(crate) fn run(job: &Job) -> Result<()> {
    if job.work().connects() {
        // Closing a socket is all that it does to leave.
        let leave = |socket: TcpStream| {
            drop(socket);
            ready(Ok(()))
        };
        return smol::block_on(crowd(job, |_| ready(open(job)), leave));
    }
    let mut sockets = Vec::new();
    for _ in 0..job.row.crowd.unwrap_or(1) {
        let mut socket = open(job)?;
        if job.work().receives() && job.row.crowd.is_some() {
            socket.write_all(&subscribe(FILTER, job.qos()))?;
        }
        sockets.push(socket);
    }
    let (mut begun, share) = (job.begin()?, job.share());
    // One after the other.
    for socket in &mut sockets {
        if job.work().receives() && job.row.crowd.is_none() {
            socket.write_all(&subscribe(FILTER, job.qos()))?;
        }
        match job.work() {
            Work::Publish0 => publish0(socket, &share)?,
            Work::Publish1 { .. } => publish1(socket, &share)?,
            Work::Receive0 | Work::Receive1 => receive(socket, &share, &mut begun)?,
            _ => begun.took(latency(socket, &share)?),
        }
    }
    if !job.work().receives() {
        begun.published(job, job.count);
    }
    begun.end()?;
    // The peer goes on until this process ends.
    std::mem::forget(sockets);
    Ok(())
}

fn open(job: &Job) -> Result<TcpStream> {
    let mut socket = TcpStream::connect(job.address())?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(&connect("floor"))?;
    let mut answer = [0; 64];
    let n = socket.read(&mut answer)?;
    if frame(&answer[..n]).is_none_or(|frame| frame.kind() != 2) {
        return Err("no CONNACK".into());
    }
    Ok(socket)
}

fn publish0(socket: &mut TcpStream, job: &Job) -> Result<()> {
    let (packet, _) = publish(5, 0, job.row.size);
    let most = (CHUNK / packet.len()).max(1);
    let chunk = packet.repeat(most);
    let mut left = job.count;
    while left > 0 {
        let now = left.min(most as u64);
        socket.write_all(&chunk[..now as usize * packet.len()])?;
        left -= now;
    }
    Ok(())
}

fn publish1(socket: &mut TcpStream, job: &Job) -> Result<()> {
    let (packet, id_at) = publish(5, 1, job.row.size);
    let (len, window) = (packet.len(), u64::from(job.window()));
    let most = (CHUNK / len).max(1);
    let mut chunk = packet.repeat(most);
    let mut acks = [0; CHUNK];
    let (mut sent, mut acked_bytes, mut id) = (0, 0_u64, 0_u16);
    while acked_bytes < job.count * 4 {
        let now = (job.count - sent)
            .min(window - (sent - acked_bytes / 4))
            .min(most as u64);
        for packet in chunk[..now as usize * len].chunks_exact_mut(len) {
            id = id.checked_add(1).unwrap_or(1);
            packet[id_at..id_at + 2].copy_from_slice(&id.to_be_bytes());
        }
        socket.write_all(&chunk[..now as usize * len])?;
        sent += now;
        // Waits only where there is nothing else to do.
        let waits = now == 0 || sent == job.count || sent - acked_bytes / 4 == window;
        let flags = if waits {
            MsgFlags::empty()
        } else {
            MsgFlags::MSG_DONTWAIT
        };
        match recv(socket.as_raw_fd(), &mut acks, flags) {
            Ok(0) => return Err("the peer has left".into()),
            Ok(n) => acked_bytes += n as u64,
            Err(Errno::EAGAIN) if !waits => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn latency(socket: &mut TcpStream, job: &Job) -> Result<Vec<u64>> {
    let (packet, _) = publish(5, 1, job.row.size);
    let (mut ack, mut latencies) = ([0; 4], job.latencies());
    for _ in 0..job.count {
        let begin = Instant::now();
        socket.write_all(&packet)?;
        socket.read_exact(&mut ack)?;
        latencies.push(begin.elapsed().as_nanos() as u64);
    }
    Ok(latencies)
}

fn receive(socket: &mut TcpStream, job: &Job, begun: &mut Begun) -> Result<()> {
    let (mut buffer, mut filled, mut acks) = (vec![0; 4 * CHUNK], 0, Vec::new());
    let until = begun.messages() + job.count;
    while begun.messages() < until {
        let n = socket.read(&mut buffer[filled..])?;
        if n == 0 {
            return Err("the peer has left".into());
        }
        filled += n;
        let mut at = 0;
        while let Some(frame) = frame(&buffer[at..filled]) {
            at += frame.len;
            if frame.kind() == 3 {
                let (id, payload) = published(5, &frame).ok_or("another topic")?;
                begun.received(crate::wire::TOPIC.as_bytes(), payload);
                if job.qos() > 0 {
                    acks.extend_from_slice(&[0x40, 2, id[0], id[1]]);
                }
            }
        }
        if !acks.is_empty() {
            socket.write_all(&acks)?;
            acks.clear();
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
    }
    Ok(())
}
