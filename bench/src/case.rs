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
    /// Publishes at QoS 2 with so many in flight at most.
    Publish2 { window: u16 },
    /// Receives at QoS 0.
    Receive0,
    /// Receives at QoS 1, and acknowledges.
    Receive1,
    /// Receives at QoS 2, and acknowledges.
    Receive2,
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
    /// So many clients of one process share the messages and work at the same time. `None` is one client, and a peer that serves no more.
    pub(crate) crowd: Option<u32>,
}

/// Messages of each client of a crowd, at least.
const SHARE: u64 = 100;

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
        matches!(self, Self::Receive0 | Self::Receive1 | Self::Receive2)
    }

    pub(crate) const fn qos(self) -> u8 {
        match self {
            Self::Publish0
            | Self::Receive0
            | Self::Queued { .. }
            | Self::Connect
            | Self::Idle { .. } => 0,
            Self::Publish1 { .. } | Self::Receive1 | Self::Latency => 1,
            Self::Publish2 { .. } | Self::Receive2 => 2,
        }
    }

    /// Of connections, and not of messages.
    pub(crate) const fn connects(self) -> bool {
        matches!(self, Self::Connect | Self::Idle { .. })
    }
}

/// What most have by default: what is kept ready for more would count where there are many clients.
const USUAL: u16 = 100;

impl Row {
    pub(crate) const fn of(work: Work, size: usize) -> Self {
        let crowd = None;
        Self { work, size, crowd }
    }

    /// The same, shared by so many clients.
    pub(crate) const fn shared_by(self, clients: u32) -> Self {
        let crowd = Some(clients);
        Self { crowd, ..self }
    }

    /// How many clients are connected at the same time, where they are many.
    pub(crate) const fn clients(self) -> Option<u32> {
        match self.work {
            Work::Idle { clients } => Some(clients),
            _ => self.crowd,
        }
    }

    /// How many messages the client may have in flight; what the server tells it, too, where it can.
    pub(crate) const fn window(self) -> u16 {
        match (self.work, self.crowd) {
            (Work::Publish1 { window } | Work::Publish2 { window }, _) => window,
            (Work::Latency, _) => 1,
            (Work::Connect | Work::Idle { .. }, _) | (_, Some(_)) => USUAL,
            _ => u16::MAX,
        }
    }

    /// Every row of one client and its messages at QoS 0 and 1.
    pub(crate) fn messages() -> Vec<Self> {
        let mut rows = Vec::new();
        for work in Work::ALL {
            for size in [64, 1024] {
                if work != Work::Latency || size == 64 {
                    rows.push(Self::of(work, size));
                }
            }
        }
        rows
    }

    /// Of those the rows of 64 B.
    pub(crate) fn small() -> Vec<Self> {
        Work::ALL.map(|work| Self::of(work, 64)).into()
    }

    /// Rows of QoS 2.
    pub(crate) fn qos2() -> Vec<Self> {
        let mut rows = Vec::new();
        for work in [
            Work::Publish2 { window: 100 },
            Work::Publish2 { window: u16::MAX },
            Work::Receive2,
        ] {
            rows.extend([64, 1024].map(|size| Self::of(work, size)));
        }
        rows
    }

    /// Rows of connections.
    pub(crate) fn connections() -> Vec<Self> {
        let work = [
            Work::Connect,
            Work::Idle { clients: 1_000 },
            Work::Idle { clients: 10_000 },
        ];
        work.map(|work| Self::of(work, 0)).into()
    }

    /// How many messages or clients, where it does not follow from the time.
    pub(crate) const fn count(self) -> Option<u64> {
        match self.work {
            Work::Queued { messages } => Some(messages as u64),
            Work::Idle { clients } => Some(clients as u64),
            _ => match self.crowd {
                // Enough to take a while, whoever it is.
                Some(clients) if clients >= 10_000 => Some(SHARE * clients as u64),
                _ => None,
            },
        }
    }

    /// About so many messages, of which every client of a crowd has the same share, and enough for a share to be worth its turn.
    pub(crate) fn shares(self, messages: u64) -> u64 {
        self.crowd.map_or(messages, |clients| {
            let clients = u64::from(clients);
            messages.div_ceil(clients).max(SHARE) * clients
        })
    }

    /// For people.
    pub(crate) fn title(self) -> String {
        let work = match self.work {
            Work::Publish0 => "publish QoS 0".to_owned(),
            Work::Publish1 { window } => format!("publish QoS 1, {window} in flight"),
            Work::Publish2 { window } => format!("publish QoS 2, {window} in flight"),
            Work::Receive0 => "receive QoS 0".to_owned(),
            Work::Receive1 => "receive QoS 1, acknowledged".to_owned(),
            Work::Receive2 => "receive QoS 2, acknowledged".to_owned(),
            Work::Latency => "publish QoS 1, one in flight".to_owned(),
            Work::Queued { messages } => format!("{messages} queued, then connected, QoS 0"),
            Work::Connect => return "connect and leave, one after the other".to_owned(),
            Work::Idle { clients } => return format!("{clients} idle clients"),
        };
        let title = match self.size {
            0 => work,
            size if size % 1024 == 0 => format!("{work}, {} KiB", size / 1024),
            size => format!("{work}, {size} B"),
        };
        match self.crowd {
            None => title,
            Some(clients) => format!("{title}, clients that share them: {clients}"),
        }
    }
}

/// As on the command line: `publish0-64`, `publish1-100-64`, `publish1-65535-64`, `receive0-64`, `receive1-64`, `latency-64`, `queued-1000-10`,
/// `connect-0`, `idle-1000-0`; and `publish0-64x1000`, which a thousand clients share.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.work {
            Work::Publish0 => f.write_str("publish0"),
            Work::Publish1 { window } => write!(f, "publish1-{window}"),
            Work::Publish2 { window } => write!(f, "publish2-{window}"),
            Work::Receive0 => f.write_str("receive0"),
            Work::Receive1 => f.write_str("receive1"),
            Work::Receive2 => f.write_str("receive2"),
            Work::Latency => f.write_str("latency"),
            Work::Queued { messages } => write!(f, "queued-{messages}"),
            Work::Connect => f.write_str("connect"),
            Work::Idle { clients } => write!(f, "idle-{clients}"),
        }?;
        write!(f, "-{}", self.size)?;
        self.crowd.map_or(Ok(()), |clients| write!(f, "x{clients}"))
    }
}

impl FromStr for Row {
    type Err = crate::Error;

    fn from_str(name: &str) -> Result<Self> {
        let (work, size) = name.rsplit_once('-').ok_or_else(|| no_row(name))?;
        let (size, crowd) = match size.split_once('x') {
            None => (size, None),
            Some((size, clients)) => (size, Some(clients.parse().map_err(|_| no_row(name))?)),
        };
        let size = size.parse().map_err(|_| no_row(name))?;
        let work = match work.split_once('-') {
            None if work == "publish0" => Work::Publish0,
            None if work == "receive0" => Work::Receive0,
            None if work == "receive1" => Work::Receive1,
            None if work == "receive2" => Work::Receive2,
            None if work == "latency" => Work::Latency,
            None if work == "connect" => Work::Connect,
            Some(("publish1", window)) => Work::Publish1 {
                window: window.parse().map_err(|_| no_row(name))?,
            },
            Some(("publish2", window)) => Work::Publish2 {
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
        let shares = matches!(
            work,
            Work::Publish0
                | Work::Publish1 { .. }
                | Work::Publish2 { .. }
                | Work::Receive0
                | Work::Receive1
                | Work::Receive2
        );
        if crowd == Some(0) || crowd.is_some() && !shares {
            return Err(no_row(name));
        }
        Ok(Self { work, size, crowd })
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
    format!("no row {name:?}; rows are publish0-64, publish1-100-64, receive0-1024, receive1-64, latency-64, publish0-64x1000 and so on").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_named_so_that_they_can_be_asked_for() {
        let all = [Row::messages(), Row::qos2(), Row::connections()];
        let shared = all[0].iter().map(|row| row.shared_by(10));
        for row in all.concat().into_iter().chain(shared) {
            if row.work == Work::Latency && row.crowd.is_some() {
                assert!(row.to_string().parse::<Row>().is_err());
                continue;
            }
            assert_eq!(row.to_string().parse::<Row>().expect("its name"), row);
        }
        for name in ["publish2-64", "publish0", "publish0-64x0", "publish0-64x"] {
            assert!(name.parse::<Row>().is_err(), "{name}");
        }
    }
}
