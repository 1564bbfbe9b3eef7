//! One run as its client sees it: what to do, and what to say about it.
//!
//! A client's process says `work START END MESSAGES BYTES` when it has done its work (nanoseconds of a clock that it shares with the peer),
//! then `latency` with nanoseconds in ascending order where it has measured some, or `memory` with bytes, and goes on. When it is told so it says
//! `cpu USER SYSTEM`, in microseconds since the start, and ends.

use std::io::BufRead;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::Result;
use crate::case::{Against, Row, Work};
use crate::measure::{Cpu, cpu, now};
use crate::wire::{FILL, TOPIC};

/// What to do.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) row: Row,
    /// Messages.
    pub(crate) count: u64,
    /// Of the peer, on 127.0.0.1.
    pub(crate) port: u16,
    pub(crate) against: Against,
    /// Of the peer, where it speaks TLS: in PEM, and to be trusted.
    pub(crate) certificate: String,
    /// The file in which that stands.
    #[cfg_attr(
        not(all(feature = "paho", feature = "tls")),
        allow(dead_code, reason = "where none reads it itself")
    )]
    pub(crate) certificate_file: PathBuf,
}

/// CPU time up to the start of the work.
static BEFORE: Mutex<Option<Cpu>> = Mutex::new(None);

impl Job {
    pub(crate) fn tls(&self) -> bool {
        self.against == Against::Tls
    }

    pub(crate) const fn work(&self) -> Work {
        self.row.work
    }

    pub(crate) const fn qos(&self) -> u8 {
        self.row.work.qos()
    }

    /// The part of one client where many share the messages.
    pub(crate) fn share(&self) -> Self {
        Self {
            count: self.count / self.row.crowd.map_or(1, u64::from),
            ..self.clone()
        }
    }

    /// How many messages are in flight at most.
    pub(crate) const fn window(&self) -> u16 {
        self.row.window()
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls() { "mqtts" } else { "mqtt" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The payload of every message, to be cloned where a client takes it without a copy.
    pub(crate) fn payload(&self) -> Bytes {
        vec![FILL; self.row.size].into()
    }

    /// Connected: the work begins.
    pub(crate) fn begin(&self) -> Result<Begun> {
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(cpu()?);
        let at = now()?;
        if self.row.crowd.is_some() && self.work().receives() {
            // The peer sends when it is told that all have subscribed.
            println!("ready 1");
        }
        Ok(Begun {
            at,
            ..Begun::default()
        })
    }

    pub(crate) fn latencies(&self) -> Vec<u64> {
        Vec::with_capacity(self.count as usize)
    }
}

/// What has been done since the work began.
#[derive(Debug, Default)]
pub(crate) struct Begun {
    at: u64,
    messages: u64,
    bytes: u64,
    latencies: Vec<u64>,
    memory: Option<usize>,
}

impl Begun {
    /// So many messages were published and, at QoS 1, acknowledged.
    pub(crate) const fn published(&mut self, job: &Job, messages: u64) {
        self.messages += messages;
        self.bytes += messages * job.row.size as u64;
    }

    /// One message has come. Its topic and payload are touched, as by an application that needs them.
    #[inline]
    pub(crate) fn received(&mut self, topic: &[u8], payload: &[u8]) {
        let touched = topic.last() == TOPIC.as_bytes().last() && payload.last() == Some(&FILL);
        self.messages += u64::from(touched);
        self.bytes += payload.len() as u64;
    }

    /// What another client has done counts here.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }

    /// One client has connected.
    pub(crate) const fn connected(&mut self) {
        self.messages += 1;
    }

    /// Resident bytes of all that is connected.
    pub(crate) const fn holds(&mut self, bytes: usize) {
        self.memory = Some(bytes);
    }

    /// How many messages there were so far.
    pub(crate) const fn messages(&self) -> u64 {
        self.messages
    }

    /// Nanoseconds from each publication to its acknowledgement.
    pub(crate) fn took(&mut self, latencies: Vec<u64>) {
        self.latencies = latencies;
    }

    /// Says so.
    pub(crate) fn end(mut self) -> Result<()> {
        let end = now()?;
        println!("work {} {end} {} {}", self.at, self.messages, self.bytes);
        if let Some(bytes) = self.memory {
            println!("memory {bytes}");
        }
        if !self.latencies.is_empty() {
            self.latencies.sort_unstable();
            let at = |share: f64| {
                let at = (self.latencies.len() as f64 * share) as usize;
                self.latencies[at.min(self.latencies.len() - 1)]
            };
            println!("latency {} {} {}", at(0.5), at(0.99), at(0.999));
        }
        Ok(())
    }
}

/// Ends this process when it is told so, or when who started it is gone. Costs nothing until then.
pub(crate) fn end_when_told() {
    std::thread::spawn(|| {
        let mut line = String::new();
        // Whatever came, it is over.
        let _ = std::io::stdin().lock().read_line(&mut line);
        let before = *BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(before), Ok(cpu)) = (before, cpu()) {
            let used = cpu.since(before);
            println!("cpu {} {}", used.user, used.system);
        }
        std::process::exit(0);
    });
}
