//! What is left of connections that are gone: nothing.
//!
//! There are a hundred of them, which `HOSTILE_CONNECTIONS` makes more.

use std::fs::read_dir;
use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use mqtt_behaviour::{Adapter, block_on};
use mqtt_session::Backoff;
use mqtt_session::proto::{QoS, Version};

use super::{About, List};
use crate::Result;
use crate::ground::{LONG, Near, Packets, Peer, accept, config, connack, read_to_end, serve};
use crate::memory::Memory;

/// What may be there beyond what was before, as pools and queues come and go: far less than one for each.
const FEW: usize = 12;
const BYTES: usize = 64 << 10;
/// After so many everything that is made once for all has been.
const WARM: usize = 30;

fn count() -> usize {
    let count = std::env::var("HOSTILE_CONNECTIONS").ok();
    count.and_then(|count| count.parse().ok()).unwrap_or(100)
}

pub(super) fn add(list: &mut List) {
    list.add_long(
        About::Bounds,
        "clients that come and go leave no memory, task, thread or descriptor",
        clients,
    );
    list.add_long(
        About::Bounds,
        "connections of one client that come and go leave none either",
        connections,
    );
}

/// What the process has.
#[derive(Debug)]
struct Has {
    memory: Memory,
    threads: usize,
    descriptors: usize,
    /// Tasks of the runtime, where it tells; tokio does.
    tasks: usize,
}

impl Has {
    fn now(adapter: &dyn Adapter) -> Self {
        Self {
            tasks: adapter.tasks().unwrap_or(0),
            memory: Memory::begin(),
            threads: entries("/proc/self/task"),
            descriptors: entries("/proc/self/fd"),
        }
    }

    /// There is not more now, or soon: what was dropped may still be on its way.
    fn assert_no_more(&self, adapter: &dyn Adapter, each: usize) {
        let deadline = Instant::now() + LONG;
        loop {
            let bytes = self.memory.held().unwrap_or(usize::MAX);
            let now = Self::now(adapter);
            let threads = now.threads.saturating_sub(self.threads);
            let descriptors = now.descriptors.saturating_sub(self.descriptors);
            let tasks = now.tasks.saturating_sub(self.tasks);
            // Nothing of the runtime's own is a task.
            if bytes <= BYTES && threads <= FEW && descriptors <= FEW && tasks == 0 {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "of {each}: {bytes} bytes, {threads} threads, {descriptors} descriptors and {tasks} tasks are left"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// How many there are, where the system tells.
fn entries(folder: &str) -> usize {
    read_dir(folder).map_or(0, Iterator::count)
}

/// Each kind of connection in turn.
fn serve_all(listener: &TcpListener, count: usize) -> Result {
    for n in 0..count {
        let mut stream = accept(listener)?;
        let mut packets = Packets::new(Version::V5);
        packets.connect(&mut stream)?;
        match n % 4 {
            // Served, or left without a word.
            0 | 1 => {
                stream.write_all(connack(Version::V5))?;
                read_to_end(&mut stream)?;
            }
            // Refused.
            2 => stream.write_all(&[0x20, 3, 0, 0x87, 0])?,
            // Cut off.
            _ => drop(stream),
        }
    }
    Ok(())
}

fn clients(adapter: &dyn Adapter) -> Result {
    let count = count();
    let total = WARM + count;
    let peer = Peer::new(move |listener| serve_all(&listener, total))?;
    let url = peer.url();
    let mut has = None;
    for n in 0..total {
        if n == WARM {
            has = Some(Has::now(adapter));
        }
        block_on(one(adapter, &url, n))?;
    }
    has.ok_or("no measure")?.assert_no_more(adapter, count);
    peer.join()
}

async fn one(adapter: &dyn Adapter, url: &str, n: usize) -> Result {
    // It does not come again.
    let never = Backoff {
        first: Duration::from_secs(3600),
        ..Backoff::default()
    };
    let mut near = Near::start(adapter, url, config(Version::V5).backoff(never))?;
    match n % 4 {
        0 => {
            near.connected().await?;
            let delivery = near.client.publish("a", QoS::AtMostOnce, "x").await?;
            delivery.await?;
            near.leave().await
        }
        1 => {
            near.connected().await?;
            // The last handle goes, and with it, in time, the driver.
            let _held = near.client.declare("a", QoS::AtLeastOnce)?;
            near.drop_client().await
        }
        _ => {
            near.lost().await?;
            near.leave().await
        }
    }
}

fn connections(adapter: &dyn Adapter) -> Result {
    let count = count();
    let total = WARM + count;
    let peer = Peer::new(move |listener| {
        for _ in 0..total {
            let mut stream = accept(&listener)?;
            Packets::new(Version::V5).accept(&mut stream)?;
        }
        serve(&listener)
    })?;
    let near = Near::start(adapter, &peer.url(), config(Version::V5))?;
    let mut has = None;
    for n in 0..total as u64 {
        if n == WARM as u64 {
            has = Some(Has::now(adapter));
        }
        // By its count: events are overwritten where this thread lags.
        near.until(|client| client.stats().connections > n);
    }
    block_on(near.works())?;
    has.ok_or("no measure")?.assert_no_more(adapter, count);
    block_on(near.leave())?;
    peer.join()
}
