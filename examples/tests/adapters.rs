//! Every adapter against the broker of `mqtt5`, in both of its versions, over TCP, TLS and mutual TLS.

#[path = "../../behaviour/tests/matrix/adapters/mod.rs"]
mod adapters;
#[path = "../../behaviour/tests/matrix/foreign/mod.rs"]
#[allow(dead_code, reason = "other brokers use more of it")]
mod foreign;

use std::io::{self, Error};
use std::process::ExitCode;

use libtest_mimic::Arguments;
use mqtt_behaviour::Transport;
use mqtt_examples::embedded_broker::EmbeddedBroker;
use mqtt_session::client::exports::Version;
use tokio::runtime::Runtime;

use foreign::{Broker, Folder, Kind};

const KIND: Kind = Kind {
    name: "mqtt5",
    versions: &[Version::V3_1_1, Version::V5],
    has,
    is_here: || true,
    start: || Ok(Box::new(Listening::start()?)),
    hint: "it is built in",
};

fn has(transport: Transport) -> bool {
    matches!(
        transport,
        Transport::Tcp | Transport::Tls | Transport::MutualTls | Transport::Own
    )
}

/// Two brokers: one has but one way to speak TLS.
struct Listening {
    plain: EmbeddedBroker,
    mutual: EmbeddedBroker,
    _runtime: Runtime,
    _folder: Folder,
}

impl Listening {
    fn start() -> io::Result<Self> {
        let folder = Folder::new("mqtt5")?;
        let [certificate, key, authority] =
            ["server.pem", "server.key", "ca.pem"].map(|name| folder.path().join(name));
        let runtime = Runtime::new()?;
        let start = |authority| {
            let (certificate, key) = (certificate.clone(), key.clone());
            runtime.block_on(EmbeddedBroker::start_with_tls(certificate, key, authority))
        };
        let (plain, mutual) = (start(None)?, start(Some(authority))?);
        for broker in [&plain, &mutual] {
            broker
                .tls_addr()
                .ok_or_else(|| Error::other("the broker has no listener for TLS"))?;
        }
        Ok(Self {
            plain,
            mutual,
            _runtime: runtime,
            _folder: folder,
        })
    }
}

impl Broker for Listening {
    fn url(&self, transport: Transport) -> String {
        let addr = match transport {
            Transport::Tls => self.plain.tls_addr(),
            Transport::MutualTls => self.mutual.tls_addr(),
            _ => None,
        };
        transport.url(addr.unwrap_or(self.plain.addr()))
    }
}

fn main() -> ExitCode {
    let mut trials = Vec::new();
    let brokers = foreign::add(&mut trials, &[KIND]);
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    drop(brokers);
    conclusion.exit_code()
}
