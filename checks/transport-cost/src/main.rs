//! What a message of 1 KiB costs over TLS and TCP, and what an idle connection holds, next to rumqttc.
//!
//! `cargo run --release -p transport-cost [-- ROUNDS [MESSAGES [IDLE CLIENTS]]]`. Each run is a client and a server in processes of their
//! own; ours and the rival take turns. CPU time is that of the client's process; a run of which not everything has arrived ends the program.

mod measure;
mod ours;
mod rival;
mod run;
mod sink;
mod table;

use std::io::Read;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, ring};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const TOPIC: &str = "bench/transport/sensor-7";
const PAYLOAD: [u8; 1024] = [b'x'; 1024];
/// Messages in flight at QoS 1: what the rival has by default.
const WINDOW: usize = 100;
/// Clients that are connected before memory is looked at, for what is made once for all.
const WARM: usize = 16;
/// What is left after connecting is done by then.
const SETTLE: Duration = Duration::from_secs(1);
/// A client's process may take so long.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Tls,
    Tcp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Ours,
    /// As its documentation shows it.
    Rival,
    /// With `TCP_NODELAY`, which ours always sets: so no message waits for an acknowledgement of the network, and small writes are not joined
    /// by the system.
    Prompt,
}

/// How messages follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// QoS 0, as fast as they are accepted.
    Stream,
    /// QoS 0, each written before the next is published.
    Written,
    /// QoS 1, [`WINDOW`] in flight.
    Window,
    /// QoS 1, each acknowledged before the next is published.
    Acknowledged,
}

/// Where a client connects, and with TLS whom it trusts.
struct Server {
    port: u16,
    certificate: Option<String>,
}

impl Link {
    const ALL: [Self; 2] = [Self::Tls, Self::Tcp];
}

impl Who {
    const ALL: [Self; 3] = [Self::Ours, Self::Rival, Self::Prompt];

    const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Rival => "rumqttc",
            Self::Prompt => "rumqttc, TCP_NODELAY",
        }
    }
}

impl Pace {
    const ALL: [Self; 4] = [
        Self::Stream,
        Self::Written,
        Self::Window,
        Self::Acknowledged,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Stream => "QoS 0, as fast as accepted",
            Self::Written => "QoS 0, each written before the next",
            Self::Window => "QoS 1, 100 in flight",
            Self::Acknowledged => "QoS 1, one after the other",
        }
    }
}

/// The provider of both clients and the server.
fn provider() -> CryptoProvider {
    ring::default_provider()
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["sink", link] => sink::count(named(&Link::ALL, link)?),
        ["sink", link, clients] => sink::idle(named(&Link::ALL, link)?, clients.parse()?),
        ["client", who, port, what, count] => {
            let who = named(&Who::ALL, who)?;
            client(who, port.parse()?, what, count.parse()?)
        }
        _ => {
            let mut numbers = args.iter().map(|arg| arg.parse::<usize>());
            let mut next = |usual| numbers.next().unwrap_or(Ok(usual));
            let (rounds, messages, clients) = (next(7)?, next(20_000)?, next(1_000)?);
            if rounds == 0 || messages == 0 || clients == 0 || numbers.next().is_some() {
                return Err("usage: transport-cost [ROUNDS [MESSAGES [IDLE CLIENTS]]]".into());
            }
            table::print(rounds, messages, clients)
        }
    }
}

/// The one of these that prints so.
fn named<T: Copy + std::fmt::Debug>(all: &[T], name: &str) -> Result<T> {
    let mut named = all.iter().filter(|one| format!("{one:?}") == name);
    Ok(*named.next().ok_or_else(|| format!("no {name}"))?)
}

/// A client's process: its certificate comes by standard input, and its figures leave by standard output.
fn client(who: Who, port: u16, what: &str, count: usize) -> Result<()> {
    let mut certificate = String::new();
    std::io::stdin().read_to_string(&mut certificate)?;
    let server = Server {
        port,
        certificate: (!certificate.is_empty()).then_some(certificate),
    };
    let work = async {
        if what == "idle" {
            return match who {
                Who::Ours => ours::idle(server, count).await,
                Who::Rival | Who::Prompt => rival::idle(server, count).await,
            };
        }
        let pace = named(&Pace::ALL, what)?;
        let cost = match who {
            // From a task of its own, as with the rival.
            Who::Ours => tokio::spawn(ours::publish(server, pace, count)).await??,
            Who::Rival => rival::publish(server, pace, count, false).await?,
            Who::Prompt => rival::publish(server, pace, count, true).await?,
        };
        println!("{}", cost.as_micros());
        Ok(())
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await })?
}
