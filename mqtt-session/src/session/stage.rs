//! Where the session stands.

use alloc::boxed::Box;

use mqtt_proto::ReasonCode;

use super::Session;
use super::race::Race;
use crate::{Attempt, Instant, Peer};

/// Where the session stands, with what is known only there.
#[derive(Debug)]
pub(super) enum Stage {
    Idle,
    /// The application is asked for credentials.
    Authorizing {
        attempt: Attempt,
        since: Instant,
    },
    Resolving {
        attempt: Attempt,
        since: Instant,
    },
    Dialing(Box<Race>),
    /// The stream is open, and layers between it and us shake hands.
    Shaking {
        attempt: Attempt,
        addr: Peer,
        since: Instant,
    },
    /// The stream is open; `link.connected` tells whether CONNACK has come.
    Open {
        attempt: Attempt,
        addr: Peer,
    },
    /// The driver has been told to hang up.
    Closing {
        attempt: Attempt,
        next: Next,
    },
    Waiting,
    Closed,
}

/// What follows when the stream is closed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    /// The server whose turn it is now.
    Now,
    /// Another round.
    Retry {
        at: Instant,
    },
    Close,
}

/// Whether to tell the driver to hang up, and how.
#[derive(Clone, Debug)]
pub(super) enum Farewell {
    /// The stream is gone already.
    Gone,
    /// Close it without a word.
    Silent,
    /// Write this DISCONNECT first, in 5.0; 3.x closes without one, so that the will is published (semantics of 3.14.4).
    Reason(ReasonCode),
    /// What the layers above the stream have to say.
    Layers,
    /// The same as [`Reason`](Self::Reason) behind everything that is encoded: the server did nothing wrong, and what it is told now it need not send again.
    AfterAll(ReasonCode),
}

impl Session {
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open { .. })
    }

    /// The other end of the stream that is open.
    pub(crate) fn peer(&self) -> Option<Peer> {
        match &self.stage {
            Stage::Open { addr, .. } => Some(addr.clone()),
            _ => None,
        }
    }
}
