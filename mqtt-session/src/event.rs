use core::num::NonZeroUsize;
use core::time::Duration;

use alloc::string::String;
use alloc::vec::Vec;
use mqtt_proto::{ConnAck, PublishView, ReasonCode, TopicFilter};

use crate::{
    ConnectionError, Endpoint, Peer, PublishRefused, ReauthenticateError, RedirectRefused,
    SubscribeError,
};

/// Names one accepted publish, subscribe, unsubscribe or re-authentication. Never used again, unlike a packet identifier; later ones are greater,
/// and that is the order of resending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub(crate) u64);

impl Token {
    /// The counter's value.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// One of the queues that received messages wait in. The session begins with [`QueueId::DEFAULT`]; who wants several opens them.
///
/// Of a queue that was closed it names none any more, and nor does that of another session (unless both have one seed): there is nothing in it,
/// and nothing can be subscribed to for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId {
    place: u32,
    /// Which of the queues that have stood in this place.
    generation: u32,
}

impl QueueId {
    /// Where everything goes that no subscription claims for another queue.
    pub const DEFAULT: Self = Self {
        place: 0,
        generation: 0,
    };

    pub(crate) const fn new(place: u32, generation: u32) -> Self {
        Self { place, generation }
    }

    pub(crate) const fn place(self) -> usize {
        self.place as usize
    }

    pub(crate) const fn generation(self) -> u32 {
        self.generation
    }
}

/// How a queue treats what is put into it. See [`Session::set_queue`](crate::Session::set_queue).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueOptions {
    /// Messages of QoS 0 that may wait in it: for one more the oldest is dropped, and counted. `None` (default): the bound of the inbox
    /// alone. Those of QoS 1 and 2 are bounded by [`Limits::receive_maximum`](crate::Limits::receive_maximum) and
    /// [`Limits::inbox_bytes`](crate::Limits::inbox_bytes).
    pub max_at_most_once: Option<NonZeroUsize>,
    /// Whether its messages of QoS 1 and 2 are acknowledged when they are put into it (no), instead of by their tickets. What the application has not
    /// taken is lost with the process then.
    pub ack_on_arrival: bool,
}

/// What the session has to tell.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The server accepted the connection.
    Connected {
        /// The address of the server.
        addr: Peer,
        /// CONNACK, with everything that the server said of itself.
        connack: ConnAck,
    },
    /// The server that has just accepted the connection has lost the session that it had, or has let it expire: CONNACK says Session Present
    /// 0 where we asked to go on (section 3.2.2.1.1). Right behind [`Event::Connected`].
    ///
    /// Subscriptions are asked for anew, and messages in flight treated as [`SessionLost`](crate::SessionLost) says; what the server had kept
    /// for us meanwhile is gone. Not told at the first connection of a session without records, which does not know what the server has;
    /// nor in 3.1, which has no such bit; nor where we have left the session ourselves, for another group of servers. A CONNACK that said so and
    /// never came is not made up for: the next one says Session Present 1, of the session that the server began with it.
    SessionLost,
    /// A connection, or an attempt at one, ended.
    Lost {
        /// Why.
        error: ConnectionError,
        /// When the next attempt will begin, which is at once while a round has more servers; `None` where there will be none: then [`Event::Closed`] follows.
        retry_in: Option<Duration>,
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
    /// The session has ended: after `disconnect`, after a first `connect` that failed, or after a refusal that asking again would not
    /// change.
    Closed,
    /// A publish has its outcome. Each accepted one gets exactly one.
    Published {
        /// Which one.
        token: Token,
        /// What became of it.
        outcome: Outcome,
    },
    /// A message that was accepted is stored: a crash does not lose it any more. Only where records come out (`durability`).
    Stored {
        /// Which one.
        token: Token,
    },
    /// SUBACK came, or the request could not be sent.
    Subscribed {
        /// Which request.
        token: Token,
        /// One code for each filter, in their order.
        result: Result<Vec<ReasonCode>, SubscribeError>,
    },
    /// UNSUBACK came (3.x has no codes: then the list is empty), or the request could not be sent.
    Unsubscribed {
        /// Which request.
        token: Token,
        /// One code for each filter, in their order.
        result: Result<Vec<ReasonCode>, SubscribeError>,
    },
    /// The server refuses a subscription that it granted before, when it has lost the session; or one that was declared.
    SubscriptionLost {
        /// The filter.
        filter: TopicFilter,
        /// Why.
        reason: ReasonCode,
    },
    /// A re-authentication has ended: each that [`Session::reauthenticate`](crate::Session::reauthenticate) began gets exactly one.
    Reauthenticated {
        /// Which one.
        token: Token,
        /// What came of it. A failure ends the connection.
        result: Result<(), ReauthenticateError>,
    },
    /// A message of QoS 1 or 2 came that no subscription claims, or lost its last one, and there was none before. It is held unacknowledged until
    /// a subscription claims it or it is taken from [`QueueId::DEFAULT`]. Told only where
    /// [`keep_unclaimed`](crate::Session::keep_unclaimed) is off, so that nobody is expected to look there.
    Unclaimed {
        /// Its topic.
        topic: String,
    },
    /// A queue that was empty has messages.
    Readable(QueueId),
    /// QoS 0 messages were dropped because the inbox is full. Told once, until there was room again.
    Dropping,
    /// Three connections or more in a row have ended before the first message that they sent again was acknowledged: it may be what
    /// ends them. Told at the end of the third and of each further one; four that were ended from here, because the inbox was full, say, count
    /// as one. [`Poisonous`](crate::Poisonous) decides what becomes of it.
    Poisonous {
        /// The message.
        token: Token,
        /// How many connections.
        connections: u32,
    },
    /// The oldest received message that is not acknowledged keeps the server from sending any other of QoS 1 and 2 (our Receive Maximum is
    /// reached), and has done so for [`Timeouts::blocked`](crate::Timeouts::blocked). Told once, until the server may send again. 5.0
    /// only: in 3.x nobody knows where the server stops.
    Blocked {
        /// The queue that it was put into; one of them, where there are several.
        queue: QueueId,
        /// How long the server could not send.
        since: Duration,
    },
    /// There is room for messages again, after one was refused because the queue was full.
    Room,
}

/// What became of an accepted publish. There is exactly one outcome for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// QoS 0: its last byte was taken by the operating system.
    Written,
    /// QoS 1 and 2: the server has taken it.
    Acknowledged {
        /// The reason code of PUBACK or PUBREC: success, or that nobody subscribes. Always success in 3.x.
        reason: ReasonCode,
        /// Whether it was published anew after the server had lost the session: it may have been delivered twice.
        republished: bool,
        /// Whether the exchange is complete. A QoS 2 message is not whose PUBREC had come
        /// when its session was lost or closed, or when its PUBREL was given up as poisonous: the server had it, and may have
        /// lost it with the session.
        completed: bool,
    },
    /// The server refused it in PUBACK or PUBREC, with this reason code.
    Rejected(ReasonCode),
    /// It could not be sent to the server that answered: its limits are narrower than those that the message was accepted under.
    Refused(PublishRefused),
    /// Its time to live or its Message Expiry Interval was over before it could be sent, or sent again. In the second case the server may
    /// have taken it.
    Expired,
    /// So many connections in a row ended before the server had acknowledged it, and it is not to be sent again as configured. The server
    /// may have taken it.
    Poisonous {
        /// How many connections.
        connections: u32,
    },
    /// The server has lost the session, and messages in flight are not published anew as configured.
    SessionLost,
    /// QoS 0: a part of it had left when the connection was lost.
    ConnectionLost,
    /// The session was closed before it could be sent or was acknowledged. Where it is recorded, a session that is restored goes on with it.
    Closed,
}

impl Outcome {
    /// Whether the message reached the server, or for QoS 0 the operating system.
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Written | Self::Acknowledged { .. })
    }
}

/// A message that was received, with the ticket that gives its place in the inbox back.
#[derive(Debug)]
pub struct Received {
    /// The message.
    pub publish: PublishView,
    /// To be given to [`Session::ack`](crate::Session::ack) when the message is dealt with.
    pub ticket: Ticket,
}

/// A claim on one received message. It names the session and the arrival, never a packet identifier.
///
/// Giving it to [`Session::ack`](crate::Session::ack) acknowledges the message (QoS 1 and 2) and frees its room in the inbox. A
/// ticket that is thrown away keeps both until the session ends, so it must not be forgotten.
#[derive(Debug)]
#[must_use = "a message that is never acknowledged holds its room in the inbox"]
pub struct Ticket {
    pub(crate) epoch: u32,
    pub(crate) bytes: u32,
    pub(crate) arrival: Option<u32>,
    /// The read buffer that the message waits in.
    pub(crate) block: u32,
    /// The order of arrival.
    pub(crate) number: u64,
}

#[cfg(feature = "client")]
impl Ticket {
    /// Takes the room of another one over, where neither is for an acknowledgement.
    #[inline]
    pub(crate) fn join(&mut self, other: Self) -> Result<(), Self> {
        let bytes = self.bytes.checked_add(other.bytes);
        let alike = self.epoch == other.epoch && self.arrival.is_none() && other.arrival.is_none();
        match bytes {
            Some(bytes) if alike => self.bytes = bytes,
            _ => return Err(other),
        }
        Ok(())
    }
}

/// What waits, and how much more may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capacity {
    /// Messages that may be published before the queue is full by count.
    pub messages: usize,
    /// Bytes that may be published before it is full by bytes.
    pub bytes: usize,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// `connect` was not called yet.
    Idle,
    /// A lookup or dial is under way.
    Connecting,
    /// The stream is open; CONNACK is awaited.
    Handshaking,
    /// The server accepted.
    Connected,
    /// The stream is being closed.
    Closing,
    /// The next attempt waits for its time.
    Waiting,
    /// The end.
    Closed,
}
