//! What is run against a broker that nobody here wrote.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use mqtt_session::client::exports::{QoS, Version};

use crate::{Bench, Result, block_on};

use super::{ALL_QOS, VERSIONS, messaging};

/// Of many trials, each has a few.
const MESSAGES: u32 = 100;

/// A scenario for any server, at which others may be under way.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    version: Version,
    qos: QoS,
}

impl Foreign {
    /// Messages both ways, in each version and at each QoS.
    pub fn all() -> impl Iterator<Item = Self> {
        let of = |version| ALL_QOS.map(|qos| Self { version, qos });
        VERSIONS.into_iter().flat_map(of)
    }

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
        let name = format!("client-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let (version, qos) = (self.version, self.qos);
        block_on(messaging::exchange(
            bench, url, version, qos, &name, MESSAGES,
        ))?;
        Ok(())
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, qos) = (self.version, self.qos.as_u8());
        write!(f, "messages pass both ways at QoS {qos} in {version}")
    }
}
