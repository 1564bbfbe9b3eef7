//! What is measured: a row of the table.

use std::fmt;
use std::str::FromStr;

use crate::Result;

/// What a client does in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Publishes at QoS 0, as fast as it accepts.
    Publish0,
    /// Publishes at QoS 1 with so many in flight at most.
    Publish1 { window: u16 },
    /// Receives at QoS 0.
    Receive0,
    /// Receives at QoS 1, and acknowledges.
    Receive1,
    /// Publishes at QoS 1, each acknowledged before the next.
    Latency,
    /// Publishes so many at QoS 0 before it connects.
    Queued { messages: u32 },
    /// Connects and leaves, again and again.
    Connect,
    /// Connects so many times, and does nothing.
    Idle { clients: u32 },
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Against {
    /// The peer of this program.
    Stub,
    /// The same over TLS.
    Tls,
    /// mosquitto, with a watcher that subscribes to what is published, or publishes what is received.
    Mosquitto,
}

/// A row: what is done, with messages of which size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) work: Work,
    /// Bytes of payload.
    pub(crate) size: usize,
}

impl Work {
    /// Those of messages.
    pub(crate) const ALL: [Self; 6] = [
        Self::Publish0,
        Self::Publish1 { window: 100 },
        Self::Publish1 { window: u16::MAX },
        Self::Receive0,
        Self::Receive1,
        Self::Latency,
    ];

    pub(crate) const fn receives(self) -> bool {
        matches!(self, Self::Receive0 | Self::Receive1)
    }

    pub(crate) const fn qos(self) -> u8 {
        match self {
            Self::Publish0
            | Self::Receive0
            | Self::Queued { .. }
            | Self::Connect
            | Self::Idle { .. } => 0,
            Self::Publish1 { .. } | Self::Receive1 | Self::Latency => 1,
        }
    }

    /// Of connections, and not of messages.
    pub(crate) const fn connects(self) -> bool {
        matches!(self, Self::Connect | Self::Idle { .. })
    }

    /// How many messages the client may have in flight; what the server tells it, too, where it can.
    pub(crate) const fn window(self) -> u16 {
        match self {
            Self::Publish1 { window } => window,
            Self::Latency => 1,
            // What most have by default: what is kept ready for more would count.
            Self::Connect | Self::Idle { .. } => 100,
            _ => u16::MAX,
        }
    }
}

impl Row {
    /// Rows of connections.
    pub(crate) fn connections() -> Vec<Self> {
        let work = [
            Work::Connect,
            Work::Idle { clients: 1_000 },
            Work::Idle { clients: 10_000 },
        ];
        work.map(|work| Self { work, size: 0 }).into()
    }

    /// Rows of which each asks whether cost grows in proportion.
    pub(crate) fn flat() -> Vec<Self> {
        let mut rows = Vec::new();
        for window in [1, 10, 100, 1_000, 10_000, u16::MAX] {
            let work = Work::Publish1 { window };
            rows.push(Self { work, size: 64 });
        }
        for messages in [1_000, 10_000, 100_000, 1_000_000] {
            let work = Work::Queued { messages };
            rows.push(Self { work, size: 10 });
        }
        for work in [Work::Publish0, Work::Receive0] {
            rows.extend([10, 100, 1_024, 10_240, 65_536].map(|size| Self { work, size }));
        }
        rows
    }

    /// How many messages or clients, where it does not follow from the time.
    pub(crate) const fn count(self) -> Option<u64> {
        match self.work {
            Work::Queued { messages } => Some(messages as u64),
            Work::Idle { clients } => Some(clients as u64),
            _ => None,
        }
    }

    /// Every row of a full run.
    pub(crate) fn all() -> Vec<Self> {
        let mut rows = Vec::new();
        for work in Work::ALL {
            for size in [64, 1024] {
                if work != Work::Latency || size == 64 {
                    rows.push(Self { work, size });
                }
            }
        }
        rows
    }

    /// For people.
    pub(crate) fn title(self) -> String {
        let work = match self.work {
            Work::Publish0 => "publish QoS 0".to_owned(),
            Work::Publish1 { window } => format!("publish QoS 1, {window} in flight"),
            Work::Receive0 => "receive QoS 0".to_owned(),
            Work::Receive1 => "receive QoS 1, acknowledged".to_owned(),
            Work::Latency => "publish QoS 1, one in flight".to_owned(),
            Work::Queued { messages } => format!("{messages} queued, then connected, QoS 0"),
            Work::Connect => return "connect and leave, one after the other".to_owned(),
            Work::Idle { clients } => return format!("{clients} idle clients"),
        };
        match self.size {
            0 => work,
            size if size % 1024 == 0 => format!("{work}, {} KiB", size / 1024),
            size => format!("{work}, {size} B"),
        }
    }
}

/// As on the command line: `publish0-64`, `publish1-100-64`, `publish1-65535-64`, `receive0-64`, `receive1-64`, `latency-64`, `queued-1000-10`,
/// `connect-0`, `idle-1000-0`.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.work {
            Work::Publish0 => write!(f, "publish0-{}", self.size),
            Work::Publish1 { window } => write!(f, "publish1-{window}-{}", self.size),
            Work::Receive0 => write!(f, "receive0-{}", self.size),
            Work::Receive1 => write!(f, "receive1-{}", self.size),
            Work::Latency => write!(f, "latency-{}", self.size),
            Work::Queued { messages } => write!(f, "queued-{messages}-{}", self.size),
            Work::Connect => f.write_str("connect-0"),
            Work::Idle { clients } => write!(f, "idle-{clients}-0"),
        }
    }
}

impl FromStr for Row {
    type Err = crate::Error;

    fn from_str(name: &str) -> Result<Self> {
        let (work, size) = name.rsplit_once('-').ok_or_else(|| no_row(name))?;
        let size = size.parse().map_err(|_| no_row(name))?;
        let work = match work.split_once('-') {
            None if work == "publish0" => Work::Publish0,
            None if work == "receive0" => Work::Receive0,
            None if work == "receive1" => Work::Receive1,
            None if work == "latency" => Work::Latency,
            None if work == "connect" => Work::Connect,
            Some(("publish1", window)) => Work::Publish1 {
                window: window.parse().map_err(|_| no_row(name))?,
            },
            Some(("queued", messages)) => Work::Queued {
                messages: messages.parse().map_err(|_| no_row(name))?,
            },
            Some(("idle", clients)) => Work::Idle {
                clients: clients.parse().map_err(|_| no_row(name))?,
            },
            _ => return Err(no_row(name)),
        };
        Ok(Self { work, size })
    }
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stub => "stub",
            Self::Tls => "tls",
            Self::Mosquitto => "mosquitto",
        })
    }
}

impl FromStr for Against {
    type Err = crate::Error;

    fn from_str(name: &str) -> Result<Self> {
        let mut all = [Self::Stub, Self::Tls, Self::Mosquitto].into_iter();
        let found = all.find(|one| one.to_string() == name);
        found.ok_or_else(|| format!("{name:?} is none of stub, tls, mosquitto").into())
    }
}

fn no_row(name: &str) -> crate::Error {
    format!("no row {name:?}; rows are publish0-64, publish1-100-64, receive0-1024, receive1-64, latency-64 and so on").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_named_so_that_they_can_be_asked_for() {
        let all = [Row::all(), Row::connections(), Row::flat()];
        for row in all.concat() {
            assert_eq!(row.to_string().parse::<Row>().expect("its name"), row);
        }
        assert!("publish2-64".parse::<Row>().is_err());
        assert!("publish0".parse::<Row>().is_err());
    }
}
