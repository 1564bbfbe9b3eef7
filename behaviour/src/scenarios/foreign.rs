//! What is run against a broker that nobody here wrote.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use mqtt_session::client::exports::{QoS, Version};

use crate::{Bench, Result, Transport, block_on};

use super::{ALL_QOS, VERSIONS, messaging, securing};

/// Of many trials, each has a few.
const MESSAGES: u32 = 300;

/// A scenario for any server, at which others may be under way.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Foreign {
    /// Messages pass both ways.
    Messages {
        /// In this version.
        version: Version,
        /// At this QoS.
        qos: QoS,
    },
    /// A client without the certificate that the server asks for is told so.
    WithoutCertificate,
}

impl Foreign {
    /// Messages in each of these versions and at each QoS, and what the transport adds.
    pub fn all(versions: &[Version], transport: Transport) -> impl Iterator<Item = Self> {
        let of = |version| ALL_QOS.map(|qos| Self::Messages { version, qos });
        let asks = transport == Transport::MutualTls;
        let without = asks.then_some(Self::WithoutCertificate);
        versions.iter().copied().flat_map(of).chain(without)
    }

    /// Every version.
    pub const VERSIONS: &[Version] = &VERSIONS;

    /// Runs it on this thread, against the server at a URL.
    ///
    /// # Errors
    ///
    /// What went wrong.
    ///
    /// # Panics
    ///
    /// When the adapter, or the server, does not behave so.
    pub fn run(&self, bench: &Bench<'_>, url: &str) -> Result {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        match *self {
            Self::Messages { version, qos } => {
                let name = format!("client-{}", COUNT.fetch_add(1, Ordering::Relaxed));
                block_on(messaging::exchange(
                    bench, url, version, qos, &name, MESSAGES,
                ))?;
                Ok(())
            }
            Self::WithoutCertificate => block_on(securing::without_certificate(bench, url)),
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Messages { version, qos } => {
                let qos = qos.as_u8();
                write!(f, "messages pass both ways at QoS {qos} in {version}")
            }
            Self::WithoutCertificate => f.write_str(securing::WITHOUT_CERTIFICATE),
        }
    }
}
