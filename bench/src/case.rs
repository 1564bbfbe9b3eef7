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
}

/// A row: what is done, with messages of which size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) work: Work,
    /// Bytes of payload.
    pub(crate) size: usize,
}

impl Work {
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
            Self::Publish0 | Self::Receive0 => 0,
            Self::Publish1 { .. } | Self::Receive1 | Self::Latency => 1,
        }
    }

    /// How many messages the client may have in flight; what the server tells it, too, where it can.
    pub(crate) const fn window(self) -> u16 {
        match self {
            Self::Publish1 { window } => window,
            Self::Latency => 1,
            Self::Publish0 | Self::Receive0 | Self::Receive1 => u16::MAX,
        }
    }
}

impl Row {
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
        };
        match self.size {
            size if size % 1024 == 0 => format!("{work}, {} KiB", size / 1024),
            size => format!("{work}, {size} B"),
        }
    }
}

/// As on the command line: `publish0-64`, `publish1-100-64`, `publish1-65535-64`, `receive0-64`, `receive1-64`, `latency-64`.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.work {
            Work::Publish0 => write!(f, "publish0-{}", self.size),
            Work::Publish1 { window } => write!(f, "publish1-{window}-{}", self.size),
            Work::Receive0 => write!(f, "receive0-{}", self.size),
            Work::Receive1 => write!(f, "receive1-{}", self.size),
            Work::Latency => write!(f, "latency-{}", self.size),
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
            Some(("publish1", window)) => Work::Publish1 {
                window: window.parse().map_err(|_| no_row(name))?,
            },
            _ => return Err(no_row(name)),
        };
        Ok(Self { work, size })
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
        for row in Row::all() {
            assert_eq!(row.to_string().parse::<Row>().expect("its name"), row);
        }
        assert!("publish2-64".parse::<Row>().is_err());
        assert!("publish0".parse::<Row>().is_err());
    }
}
