//! The client under test, as the application and the network see it: the session itself, or its handles.

mod direct;

use bytes::BytesMut;
use mqtt_session::client::Report;
use mqtt_session::proto::{
    Outbox, Properties, Publish, PublishView, QoS, ReasonCode, SubscribeOptions, TopicFilter,
};
use mqtt_session::{
    Action, ConnectionError, Instant, Outcome, PublishError, Stale, Stats, SubscribeError, Ticket,
};

pub(crate) use direct::Direct;

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
    Outcome {
        n: u32,
        outcome: Outcome,
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
    Readable,
    Dropping,
    Room,
    Closed,
}

/// A message that the application has taken, and what it gives back for it.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) publish: PublishView,
    pub(crate) ticket: Ticket,
}

/// A client.
#[derive(Debug)]
pub(crate) enum Engine {
    Direct(Box<Direct>),
}

impl Engine {
    pub(crate) fn connect(&mut self, now: Instant) {
        match self {
            Self::Direct(direct) => direct.connect(now),
        }
    }

    /// A turn of the driver. Whether it did something.
    pub(crate) fn turn(&mut self, now: Instant, io: &mut Io) -> bool {
        match self {
            Self::Direct(direct) => direct.turn(now, io),
        }
    }

    /// What there is to tell.
    pub(crate) fn notice(&mut self) -> Option<Notice> {
        match self {
            Self::Direct(direct) => direct.notice(),
        }
    }

    pub(crate) fn publish(
        &mut self,
        now: Instant,
        n: u32,
        qos: QoS,
        publish: Publish,
    ) -> Result<(), PublishError> {
        match self {
            Self::Direct(direct) => direct.publish(now, n, qos, publish),
        }
    }

    pub(crate) fn subscribe(
        &mut self,
        now: Instant,
        op: u32,
        filters: Vec<(TopicFilter, SubscribeOptions)>,
        properties: Properties,
        queue: usize,
    ) -> Result<(), SubscribeError> {
        match self {
            Self::Direct(direct) => direct.subscribe(now, op, filters, properties, queue),
        }
    }

    pub(crate) fn unsubscribe(
        &mut self,
        now: Instant,
        op: u32,
        filters: Vec<TopicFilter>,
    ) -> Result<(), SubscribeError> {
        match self {
            Self::Direct(direct) => direct.unsubscribe(now, op, filters),
        }
    }

    /// Gives up waiting for a subscribe.
    pub(crate) fn withdraw(&mut self, now: Instant, op: u32) {
        match self {
            Self::Direct(direct) => direct.withdraw(now, op),
        }
    }

    pub(crate) fn take(&mut self, queue: usize) -> Option<Taken> {
        match self {
            Self::Direct(direct) => direct.take(queue),
        }
    }

    pub(crate) fn ack(&mut self, now: Instant, ticket: Ticket) -> Result<(), Stale> {
        match self {
            Self::Direct(direct) => direct.ack(now, ticket),
        }
    }

    pub(crate) fn disconnect(&mut self, now: Instant, drain: core::time::Duration) {
        match self {
            Self::Direct(direct) => direct.disconnect(now, drain),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        match self {
            Self::Direct(direct) => direct.session().stats(),
        }
    }

    /// Bytes that may still be accepted.
    pub(crate) fn free_bytes(&self) -> usize {
        match self {
            Self::Direct(direct) => direct.session().publish_capacity().bytes,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Direct(direct) => direct.session().is_closed(),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        match self {
            Self::Direct(direct) => direct.session().phase() == mqtt_session::Phase::Connected,
        }
    }
}
