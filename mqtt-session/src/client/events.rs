//! Connection changes, for who wants to watch.

use std::boxed::Box;
use std::collections::VecDeque;
use std::pin::Pin;
use std::string::String;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use mqtt_proto::{ConnAck, ReasonCode, TopicFilter};

use crate::{ConnectionError, Endpoint, Peer, Phase, QueueId, RedirectRefused, Token};

use super::shared::Shared;
use super::state::State;
use super::wake::{Place, Waiters, Wakes};

/// A change of the connection. See [`Client::events`](super::Client::events) and [`Client::watch`](super::Client::watch).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The server accepted the connection.
    Connected {
        /// The address of the server.
        addr: Peer,
        /// CONNACK, with everything that the server said of itself.
        connack: ConnAck,
    },
    /// The server that has just accepted the connection has lost the session that it had, or has let it expire: subscriptions are asked
    /// for anew, and what it had kept for us is gone. See [`Event::SessionLost`](crate::Event::SessionLost).
    SessionLost,
    /// A connection, or an attempt at one, ended.
    Lost {
        /// Why.
        error: ConnectionError,
        /// When the next attempt will begin; `None` where there will be none.
        retry_in: Option<Duration>,
    },
    /// Connection after connection ended at the same message: see [`Event::Poisonous`](crate::Event::Poisonous).
    Poisonous {
        /// The message: that of its [`Delivery::token`](super::Delivery::token).
        token: Token,
        /// How many connections in a row.
        connections: u32,
    },
    /// The server wants us to use another one.
    Redirected {
        /// Which server that is.
        from: Endpoint,
        /// Its Server Reference, if it gave one.
        reference: Option<String>,
        /// Whether that holds for good (Server moved) or for now (Use another server).
        permanent: bool,
        /// The server that is tried next, or why the wish is not followed.
        followed: Result<Endpoint, RedirectRefused>,
    },
    /// The server refuses a subscription that it granted before, when it has lost the session; or one that was declared; or one whose
    /// messages had to be read ahead of its answer ([`Client::subscribe`](super::Client::subscribe)).
    SubscriptionLost {
        /// The filter.
        filter: TopicFilter,
        /// Why.
        reason: ReasonCode,
    },
    /// A message of QoS 1 or 2 came that no subscription claims, or lost its last one, there was none before, and nobody reads
    /// [`Client::messages`](super::Client::messages). It is held unacknowledged until a subscription or such a stream claims it, or
    /// [`Client::discard_unclaimed`](super::Client::discard_unclaimed) does away with it.
    Unclaimed {
        /// Its topic.
        topic: String,
    },
    /// QoS 0 messages were dropped because the inbox is full. Told once, until there was room again.
    Dropping,
    /// A received message that is not acknowledged keeps the server from sending any other of QoS 1 and 2, and has for long. Told once,
    /// until the server may send again. See [`Event::Blocked`](crate::Event::Blocked).
    Blocked {
        /// The queue of the subscription: see [`Subscription::queue`](super::Subscription::queue).
        queue: QueueId,
        /// How long the server could not send.
        since: Duration,
    },
    /// The [`Observer`](super::Observer) panicked, and is not called again.
    ObserverPanicked,
    /// The session is closed. The last event.
    Closed,
    /// This stream was not read for so long that events were overwritten: there were more than 64, or more than 64 KiB of what servers said in them.
    Missed {
        /// How many.
        count: u64,
    },
}

/// How many events are kept for streams that lag,
const KEPT: usize = 64;
/// and how many bytes of what servers say in them. The latest is kept in any case: nothing in it is larger than a packet may be.
const KEPT_BYTES: usize = 64 * 1024;

/// The latest events. Nothing is kept while nobody watches.
#[derive(Debug, Default)]
pub(super) struct Ring {
    events: VecDeque<ClientEvent>,
    /// What servers say in them, in bytes.
    bytes: usize,
    /// The number of the first one in `events`.
    first: u64,
    watchers: usize,
    waiting: Waiters,
}

impl Ring {
    pub(super) fn push(&mut self, event: ClientEvent, wakes: &mut Wakes) {
        if self.watchers == 0 {
            return;
        }
        self.bytes += said(&event);
        self.events.push_back(event);
        while self.events.len() > KEPT || (self.bytes > KEPT_BYTES && self.events.len() > 1) {
            let oldest = self.events.pop_front();
            self.bytes -= oldest.as_ref().map_or(0, said);
            self.first += 1;
        }
        self.waiting.wake_all(wakes);
    }

    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    fn take(&self, next: &mut u64) -> Option<ClientEvent> {
        if let Some(count) = self.first.checked_sub(*next).filter(|count| *count > 0) {
            *next = self.first;
            return Some(ClientEvent::Missed { count });
        }
        let index = usize::try_from(*next - self.first).ok()?;
        let event = self.events.get(index).cloned()?;
        *next += 1;
        Some(event)
    }
}

/// How much of an event is a server's own words, of any length, in bytes.
fn said(event: &ClientEvent) -> usize {
    match event {
        ClientEvent::Connected { connack, .. } => connack.properties.view().as_bytes().len(),
        ClientEvent::Lost { error, .. } => match error {
            ConnectionError::Refused { words, .. }
            | ConnectionError::Disconnected { words, .. } => words.as_ref().map_or(0, String::len),
            ConnectionError::Authentication { error, .. } => error.said(),
            _ => 0,
        },
        ClientEvent::Redirected {
            reference,
            followed,
            ..
        } => {
            let named = match followed {
                Ok(target)
                | Err(
                    RedirectRefused::NotAllowed { target } | RedirectRefused::Weaker { target },
                ) => target.host().len(),
                Err(_) => 0,
            };
            reference.as_ref().map_or(0, String::len) + named
        }
        ClientEvent::Unclaimed { topic } => topic.len(),
        _ => 0,
    }
}

/// A stream of the connection's changes from the time it was made on, and with [`Client::watch`](super::Client::watch) of how things stood
/// then. It ends when the session is closed.
///
/// Cancel-safe: what is not taken stays for the next call.
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is read"]
pub struct Events {
    shared: Arc<Shared>,
    /// How things stood when it was made, until that is taken.
    first: Option<Box<ClientEvent>>,
    next: u64,
    place: Place,
}

impl Events {
    /// Beginning with how things stand, or with what comes next.
    pub(super) fn new(shared: Arc<Shared>, standing: bool) -> Self {
        let (first, next) = shared.run(|state| {
            state.ring.watchers += 1;
            let first = if standing { state.standing() } else { None };
            (first, state.ring.end())
        });
        Self {
            shared,
            first: first.map(Box::new),
            next,
            place: None,
        }
    }

    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<ClientEvent> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<Option<ClientEvent>> {
        let Self {
            shared,
            first,
            next,
            place,
        } = self;
        if let Some(first) = first.take() {
            return Poll::Ready(Some(*first));
        }
        shared.poll(context, |state, park| match state.ring.take(next) {
            Some(event) => Poll::Ready(Some(event)),
            None if state.closed.is_some() => Poll::Ready(None),
            None => {
                state.ring.waiting.park(place, (), park);
                Poll::Pending
            }
        })
    }
}

impl State {
    /// The event that tells how things stand; none where that is for an attempt to decide.
    fn standing(&self) -> Option<ClientEvent> {
        if self.closed.is_some() {
            return Some(ClientEvent::Closed);
        }
        let session = self.connection.session();
        let addr = session
            .peer()
            .filter(|_| session.phase() == Phase::Connected)?;
        let connack = self.connack.clone();
        Some(ClientEvent::Connected { addr, connack })
    }
}

impl Stream for Events {
    type Item = ClientEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ClientEvent>> {
        self.poll(context)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let Self { shared, place, .. } = self;
        let parked = shared.run(|state| {
            state.ring.watchers -= 1;
            if state.ring.watchers == 0 {
                state.ring.first = state.ring.end();
                state.ring.events.clear();
                state.ring.bytes = 0;
            }
            state.ring.waiting.leave(place)
        });
        drop(parked);
    }
}
