//! The adapters.

mod async_std;
mod blocking;
mod executor;
mod smol;
mod tokio;

use std::io;

use mqtt_behaviour::{Adapter, Transport};

/// A runtime is made for each trial.
pub(crate) type Make = fn() -> io::Result<Box<dyn Adapter>>;

const SOCKETS: &[Transport] = Transport::SOCKETS;

/// A name, what makes it, and over what it is run.
pub(crate) const ADAPTERS: [(&str, Make, &[Transport]); 9] = [
    ("tokio current-thread", tokio::current_thread, SOCKETS),
    ("tokio multi-thread", tokio::multi_thread, SOCKETS),
    ("tokio multi-thread", tokio::own_dialer, &[Transport::Own]),
    ("smol", smol::global, SOCKETS),
    ("async-std", async_std::global, SOCKETS),
    ("own executor", executor::own, SOCKETS),
    ("own executor", executor::own_dialer, &[Transport::Own]),
    ("threads", blocking::threads, SOCKETS),
    ("threads", blocking::own_dialer, &[Transport::Own]),
];
