//! One run: a peer and a client, each in a process of its own, on one CPU.

use std::time::Duration;

use crate::Result;
use crate::case::{Against, Row, Work};
use crate::clients::Client;
use crate::measure::Cpu;
use crate::process::Process;
use crate::scratch::Scratch;

/// Starting, connecting, and ending take no longer than this.
const START: Duration = Duration::from_secs(20);

/// What is run.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) client: &'static Client,
    pub(crate) row: Row,
    pub(crate) count: u64,
    pub(crate) cpu: usize,
    pub(crate) against: Against,
    /// A program that runs the client, with its options.
    pub(crate) under: &'a [String],
    /// How long the work may take.
    pub(crate) patience: Duration,
}

/// What has come of it. Everything has arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) messages: u64,
    /// From the begin of the work until both sides had seen all of it.
    pub(crate) took: Duration,
    /// Of the client.
    pub(crate) cpu: Cpu,
    pub(crate) latency: Option<Latency>,
    /// Bytes of resident memory for each of the clients.
    pub(crate) memory: Option<f64>,
}

/// Nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
}

impl Outcome {
    /// Messages a second.
    pub(crate) fn rate(&self) -> f64 {
        self.messages as f64 / self.took.as_secs_f64()
    }

    /// Nanoseconds of the client's CPU for a message.
    pub(crate) fn cpu_each(&self) -> f64 {
        (self.cpu.user + self.cpu.system) as f64 * 1000.0 / self.messages as f64
    }
}

/// # Errors
///
/// The run is void: not everything has arrived, or a process has failed.
pub(crate) fn run(plan: &Plan<'_>) -> Result<Outcome> {
    let certificate = Scratch::new("certificate");
    let path = certificate.path().display().to_string();
    let (cpu, against) = (plan.cpu.to_string(), plan.against.to_string());
    let (row, count) = (plan.row.to_string(), plan.count.to_string());
    let args = ["peer", &cpu, &against, &row, &count, &path];
    let mut peer = Process::start("peer", &[], &args)?;
    let [port] = peer.numbers("port", START)?;
    let (name, port) = (plan.client.name, port.to_string());
    let args = ["client", &cpu, name, &against, &row, &count, &path, &port];
    let mut client = Process::start("client", plan.under, &args)?;
    if plan.row.crowd.is_some() && plan.row.work.receives() {
        let [_] = client.numbers("ready", START + plan.patience)?;
        peer.tell()?;
    }
    let [begin, end, messages, bytes] = client.numbers("work", START + plan.patience)?;
    let latency = match plan.row.work {
        Work::Latency => {
            let [p50, p99, _] = client.numbers("latency", START)?;
            Some(Latency { p50, p99 })
        }
        _ => None,
    };
    let mut memory = None;
    if let Work::Idle { .. } = plan.row.work {
        let [bytes] = client.numbers("memory", START)?;
        memory = Some(bytes as f64 / plan.count as f64);
        // The peer looks whether all are still connected.
        peer.tell()?;
    }
    let [seen, arrived, payload] = peer.numbers("seen", plan.patience)?;
    client.tell()?;
    let [user, system] = client.numbers("cpu", START)?;
    // What runs it may have something to write down.
    client.wait()?;
    let wanted = (plan.count, plan.count * plan.row.size as u64);
    if (messages, bytes) != wanted || (arrived, payload) != wanted {
        let of = plan.count;
        return Err(
            format!("of {of} messages the client says {messages}, the peer {arrived}").into(),
        );
    }
    Ok(Outcome {
        messages,
        took: Duration::from_nanos(end.max(seen).saturating_sub(begin).max(1)),
        cpu: Cpu { user, system },
        latency,
        memory,
    })
}
