//! What a session has to keep over a crash of its process.

mod codec;
mod crc;
mod error;
#[cfg(test)]
mod tests;

use core::time::Duration;

use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use mqtt_proto::{PacketId, Publish, QoS, ReasonCode, Version};

use crate::{Instant, Outcome, Token};

pub(crate) use codec::check_message;
pub use error::{RecordError, RestoreError};

/// The number of a record. They count up from 1 in each process, in the order in which the records are to be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub(crate) u64);

impl Seq {
    /// The number. Zero stands for no record.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A point in time by the clock on the wall, in milliseconds since 1970-01-01 00:00 UTC: what is to outlast a process can't be told by its
/// [`Instant`](crate::Instant).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// So many milliseconds after the beginning of 1970.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the beginning of 1970.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero where it is not.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// So much later, in whole milliseconds, rounded up.
    pub fn after(self, later: Duration) -> Self {
        let millis = later.as_nanos().div_ceil(1_000_000);
        Self(
            self.0
                .saturating_add(u64::try_from(millis).unwrap_or(u64::MAX)),
        )
    }
}

#[cfg(feature = "std")]
impl From<std::time::SystemTime> for UnixTime {
    /// A time before 1970 counts as the beginning of it.
    fn from(time: std::time::SystemTime) -> Self {
        let since = time.duration_since(std::time::SystemTime::UNIX_EPOCH);
        Self::default().after(since.unwrap_or_default())
    }
}

/// What the clock on the wall said at a point in time, so that deadlines can be counted on over a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    /// By the driver's clock.
    pub now: Instant,
    /// The same moment by the clock on the wall.
    pub time: UnixTime,
}

/// All that must not be forgotten, as it stands after one record: see [`Session::snapshot`](crate::Session::snapshot).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The last record that it covers.
    pub seq: Seq,
    /// What to keep instead of the records up to that one.
    pub records: Vec<Record>,
}

/// One change of what a session must not forget. [`Session::restore`](crate::Session::restore) makes a session of the records of an
/// earlier process, in their order.
///
/// A session gives records out, and takes them back; what is between them, a file or a table, need not understand them.
/// [`encode`](Self::encode) and [`decode`](Self::decode) turn them into bytes and back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// Whose session this is. The first of all records. Where a later one names another group or client identifier, the server of
    /// before knew another session, which means nothing to this one: as [`Record::SessionBegan`] has it.
    Identity(Identity),
    /// The server has begun a session, or has one of which nothing was known, and knows nothing of the one before: messages in flight go back to
    /// the queue, and packet identifiers mean nothing any more.
    SessionBegan,
    /// A message of QoS 1 or 2 was accepted.
    Accepted(Accepted),
    /// A message is sent under this packet identifier, which it keeps when it is sent again.
    Sent {
        /// Which message.
        token: Token,
        /// Its packet identifier.
        id: PacketId,
    },
    /// PUBREC came for a message: the message itself is never sent again. Their order is the order of the PUBRELs.
    PubRec {
        /// Which message.
        token: Token,
        /// The reason code of PUBREC.
        reason: ReasonCode,
    },
    /// A message has its outcome, and its packet identifier is free, but for one of QoS 2 that was sent and can't be sent again: the server
    /// may hold it, so its identifier stays taken until [`Record::Freed`].
    Finished {
        /// Which message.
        token: Token,
        /// What became of it.
        ending: Ending,
    },
    /// In a snapshot: a message that PUBREC has come for, and of which no more than this is kept. Their order is the order of the PUBRELs.
    AwaitsPubComp {
        /// Which message.
        token: Token,
        /// Its packet identifier.
        id: PacketId,
        /// The reason code of PUBREC.
        reason: ReasonCode,
        /// Whether it was published anew after a session was lost.
        republished: bool,
        /// What the application calls it.
        tag: Option<Bytes>,
    },
    /// A packet identifier that a finished message keeps: in a snapshot, or because its PUBREL was given up.
    Kept {
        /// The packet identifier.
        id: PacketId,
    },
    /// A packet identifier that a finished message had kept is free.
    Freed {
        /// The packet identifier.
        id: PacketId,
    },
    /// The application has a received message of QoS 2, whose packet identifier counts as a duplicate until it is released.
    Recorded {
        /// The packet identifier.
        id: PacketId,
    },
    /// PUBREL came: the server may use the identifier for another message.
    Released {
        /// The packet identifier.
        id: PacketId,
    },
}

/// A redirect has moved a server for good (section 4.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The server of the list.
    pub from: String,
    /// The one that has its place.
    pub to: String,
}

/// Whose session it is, and where its counters stand.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The name of the group of servers that share the session.
    pub group: String,
    /// Where servers of the list have moved for good that are of this group: first the one that was connected to, if it is one of them.
    pub moved: Vec<Moved>,
    /// The client identifier; empty where the server is to assign one and has not yet.
    pub client_id: String,
    /// The protocol version.
    pub version: Version,
    /// How long the server keeps the session without a connection, in seconds; zero in 3.x, which can't say so.
    pub session_expiry: u32,
    /// Where packet identifiers begin.
    pub base: u16,
    /// Whether nothing is sent before what it depends on is stored: then the records miss nothing that the server knows.
    pub write_ahead: bool,
    /// No token of before is as great.
    pub next_token: Token,
}

/// A message of QoS 1 or 2 that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// Its token.
    pub token: Token,
    /// Its QoS, 1 or 2.
    pub qos: QoS,
    /// The message.
    pub publish: Publish,
    /// What the application calls it.
    pub tag: Option<Bytes>,
    /// How long it is worth sending, where that has an end and the clock on the wall is known.
    pub lifetime: Option<Lifetime>,
    /// Whether it was published anew after a session was lost.
    pub republished: bool,
}

/// From when to when a message is worth sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// When it was accepted: its Message Expiry Interval counts from here.
    pub accepted: UnixTime,
    /// When it expires.
    pub over: UnixTime,
}

/// What became of a message of QoS 1 or 2, as far as it is recorded: [`Outcome`] says more while the process lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// [`Outcome::Acknowledged`].
    Acknowledged(ReasonCode),
    /// [`Outcome::Rejected`].
    Rejected(ReasonCode),
    /// [`Outcome::SessionLost`].
    SessionLost,
    /// Any other: it could not or should not be sent any more.
    NotSent,
}

impl From<&Outcome> for Ending {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Acknowledged { reason, .. } => Self::Acknowledged(*reason),
            Outcome::Rejected(reason) => Self::Rejected(*reason),
            Outcome::SessionLost => Self::SessionLost,
            _ => Self::NotSent,
        }
    }
}
