//! The client under test, as the application and the network see it: the session itself, or its handles.

mod direct;
mod handles;

use std::time::Duration;

use bytes::BytesMut;
use mqtt_session::auth::{AuthAnswer, AuthError};
use mqtt_session::client::{Acker, Report};
use mqtt_session::proto::{
    Outbox, Publish, PublishView, QoS, ReasonCode, SubscribeOptions, TopicFilter,
};
use mqtt_session::{
    Action, Attempt, ConnectionError, Instant, Outcome, Phase, PublishRefused, ReauthenticateError,
    Record, Seq, Stale, Stats, SubscribeError, Ticket, WallClock,
};

use crate::world::Checked;
pub(crate) use direct::Direct;
pub(crate) use handles::Handles;

/// What a driver carries between the client and the network.
#[derive(Debug, Default)]
pub(crate) struct Io {
    pub(crate) input: BytesMut,
    /// As much as was read at once.
    pub(crate) largest_read: usize,
    pub(crate) output: Outbox,
    pub(crate) written: usize,
    pub(crate) reports: Vec<Report>,
    pub(crate) actions: Vec<Action>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) wants_read: bool,
}

/// What the client tells the application.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A publish that waited for room.
    Accepted {
        n: u32,
    },
    /// The same, but it was refused.
    Refused {
        n: u32,
        why: PublishRefused,
    },
    Outcome {
        n: u32,
        outcome: Outcome,
    },
    Stored {
        n: u32,
    },
    Subscribed {
        op: u32,
        result: Result<Vec<ReasonCode>, SubscribeError>,
    },
    Unsubscribed {
        op: u32,
        result: Result<Vec<ReasonCode>, SubscribeError>,
    },
    Connected {
        session_present: bool,
    },
    Lost {
        error: ConnectionError,
        retries: bool,
    },
    SubscriptionLost {
        filter: TopicFilter,
        reason: ReasonCode,
    },
    Reauthenticated {
        result: Result<(), ReauthenticateError>,
    },
    Readable,
    Dropping,
    Room,
    Closed,
}

/// Whether a message was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    Now,
    /// [`Notice`] will tell.
    Perhaps,
}

/// A message that the application has taken, and what it gives back for it.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) publish: PublishView,
    pub(crate) claim: Claim,
}

/// What is given back when a message is dealt with.
#[derive(Debug)]
pub(crate) enum Claim {
    Ticket(Ticket),
    Acker(Acker),
    /// Nothing.
    None,
}

/// A client.
#[derive(Debug)]
pub(crate) enum Engine {
    Direct(Box<Direct>),
    Handles(Box<Handles>),
}

impl Engine {
    pub(crate) fn connect(&mut self, now: Instant) {
        match self {
            Self::Direct(direct) => direct.connect(now),
            Self::Handles(handles) => handles.connect(now),
        }
    }

    /// A turn of the driver. Whether it did something.
    pub(crate) fn turn(&mut self, now: Instant, io: &mut Io) -> bool {
        match self {
            Self::Direct(direct) => direct.turn(now, io),
            Self::Handles(handles) => handles.turn(now, io),
        }
    }

    pub(crate) fn handle_auth(
        &mut self,
        now: Instant,
        attempt: Attempt,
        answer: Result<AuthAnswer, AuthError>,
    ) {
        if let Self::Direct(direct) = self {
            direct.handle_auth(now, attempt, answer);
        }
    }

    pub(crate) fn reauthenticate(&mut self, now: Instant) -> Result<(), ReauthenticateError> {
        match self {
            Self::Direct(direct) => direct.reauthenticate(now),
            Self::Handles(_) => Err(ReauthenticateError::NoMethod),
        }
    }

    pub(crate) fn set_wall_clock(&mut self, clock: WallClock) {
        if let Self::Direct(direct) = self {
            direct.set_wall_clock(clock);
        }
    }

    pub(crate) fn poll_record(&mut self) -> Option<(Seq, Record)> {
        match self {
            Self::Direct(direct) => direct.poll_record(),
            Self::Handles(_) => None,
        }
    }

    pub(crate) fn handle_stored(&mut self, now: Instant, seq: Seq) {
        if let Self::Direct(direct) = self {
            direct.handle_stored(now, seq);
        }
    }

    /// The numbers of the messages that an earlier process has left.
    pub(crate) fn restored(&mut self) -> Vec<u32> {
        match self {
            Self::Direct(direct) => direct.restored(),
            Self::Handles(_) => Vec::new(),
        }
    }

    /// Whether somebody was woken who has not had a turn since.
    pub(crate) fn has_work(&self) -> bool {
        match self {
            Self::Direct(_) => false,
            Self::Handles(handles) => handles.has_work(),
        }
    }

    /// There is nothing to do, and whoever changes that must say so.
    pub(crate) fn check_asleep(&mut self, now: Instant, io: &mut Io) -> Checked {
        match self {
            Self::Direct(_) => Ok(()),
            Self::Handles(handles) => handles.check_asleep(now, io),
        }
    }

    /// Polls that were called for and found nothing.
    pub(crate) fn in_vain(&self) -> u64 {
        match self {
            Self::Direct(_) => 0,
            Self::Handles(handles) => handles.in_vain(),
        }
    }

    /// What there is to tell.
    pub(crate) fn notice(&mut self) -> Option<Notice> {
        match self {
            Self::Direct(direct) => direct.notice(),
            Self::Handles(handles) => handles.notice(),
        }
    }

    /// Publishes if there is room, or waits for it if that is possible.
    pub(crate) fn publish(
        &mut self,
        now: Instant,
        n: u32,
        qos: QoS,
        publish: Publish,
        waits: bool,
    ) -> Result<Accepted, (Publish, PublishRefused)> {
        match self {
            Self::Direct(direct) => direct.publish(now, n, qos, publish),
            Self::Handles(handles) => handles.publish(now, n, qos, publish, waits),
        }
    }

    pub(crate) fn subscribe(
        &mut self,
        now: Instant,
        op: u32,
        filters: Vec<(TopicFilter, SubscribeOptions)>,
        queue: usize,
    ) -> Result<(), SubscribeError> {
        match self {
            Self::Direct(direct) => direct.subscribe(now, op, filters, queue),
            Self::Handles(handles) => handles.subscribe(now, op, filters, queue),
        }
    }

    pub(crate) fn unsubscribe(
        &mut self,
        now: Instant,
        op: u32,
        filter: TopicFilter,
    ) -> Result<(), SubscribeError> {
        match self {
            Self::Direct(direct) => direct.unsubscribe(now, op, filter),
            Self::Handles(handles) => handles.unsubscribe(now, op, filter),
        }
    }

    /// Gives up waiting for a subscribe.
    pub(crate) fn withdraw(&mut self, now: Instant, op: u32) {
        match self {
            Self::Direct(direct) => direct.withdraw(now, op),
            Self::Handles(handles) => handles.withdraw(now, op),
        }
    }

    /// Gives up waiting for one of the messages: its number, and whether it was accepted.
    pub(crate) fn forget(&mut self, now: Instant, which: usize) -> Option<(u32, bool)> {
        match self {
            Self::Direct(_) => None,
            Self::Handles(handles) => handles.forget(now, which),
        }
    }

    pub(crate) fn take(&mut self, now: Instant, queue: usize) -> Option<Taken> {
        match self {
            Self::Direct(direct) => direct.take(queue),
            Self::Handles(handles) => handles.take(now, queue),
        }
    }

    pub(crate) fn ack(&mut self, now: Instant, claim: Claim) -> Result<(), Stale> {
        match (self, claim) {
            (Self::Direct(direct), Claim::Ticket(ticket)) => direct.ack(now, ticket),
            (_, Claim::Acker(acker)) => acker.ack(),
            _ => Ok(()),
        }
    }

    /// Ends it: in order, or by dropping the last handle where no time to drain is given.
    pub(crate) fn disconnect(&mut self, now: Instant, drain: Option<Duration>) {
        match self {
            Self::Direct(direct) => direct.disconnect(now, drain.unwrap_or_default()),
            Self::Handles(handles) => handles.disconnect(now, drain),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        match self {
            Self::Direct(direct) => direct.session().stats(),
            Self::Handles(handles) => handles.stats(),
        }
    }

    /// Bytes that may still be accepted, where there is somebody to ask.
    pub(crate) fn free_bytes(&self) -> Option<usize> {
        match self {
            Self::Direct(direct) => Some(direct.session().publish_capacity().bytes),
            Self::Handles(handles) => handles.free_bytes(),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Direct(direct) => direct.session().is_closed(),
            Self::Handles(handles) => handles.is_closed(),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        match self {
            Self::Direct(direct) => direct.session().phase() == Phase::Connected,
            Self::Handles(handles) => handles.is_connected(),
        }
    }
}
