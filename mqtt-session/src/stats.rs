/// What has happened since the session began, and what there is now. Reading it costs nothing worth mentioning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Attempts to connect: lookups and dials.
    pub attempts: u64,
    /// Connections that the server accepted.
    pub connections: u64,
    /// PINGREQ packets that were sent.
    pub pings: u64,

    /// Publications that were accepted from the application.
    pub accepted: u64,
    /// PUBLISH packets that were encoded, resent ones included.
    pub sent: u64,
    /// PUBLISH packets that were sent again with DUP after a reconnect.
    pub resent: u64,
    /// Messages that were published anew after the server had lost the session.
    pub republished: u64,
    /// PUBACK and PUBREC that ended a message or took it over.
    pub acknowledged: u64,
    /// Acknowledgements for packet identifiers that are not in use: ignored.
    pub unexpected: u64,

    /// PUBLISH packets that were received, duplicates included.
    pub received: u64,
    /// Those of QoS 1 and 2 that joined a message that is held or recorded, and were not delivered again.
    pub duplicates: u64,
    /// QoS 0 messages that were dropped, for whichever reason.
    pub dropped: u64,
    /// Those of them that the inbox had no room for.
    pub dropped_full: u64,
    /// Those of them that no subscription claims, while nobody looked at the default queue.
    pub dropped_unclaimed: u64,
    /// Received messages that were copied, so as not to keep a large read buffer alive.
    pub copied: u64,
    /// PUBACK and PUBREC that were sent for received messages.
    pub acks_sent: u64,

    /// Messages that an interceptor of the client did not let out: a session alone has none.
    pub refused_out: u64,
    /// Received messages that an interceptor of the client kept from the application; acknowledged all the same.
    pub refused_in: u64,

    /// Bytes that were received.
    pub bytes_received: u64,
    /// Bytes that the operating system took.
    pub bytes_written: u64,

    /// Now: messages that wait to be sent.
    pub queued: usize,
    /// Now: messages of QoS 1 and 2 that are sent, and whose exchange is not complete.
    pub in_flight: usize,
    /// Now: bytes of the messages that wait to be sent or to be acknowledged, as [`Limits::outgoing_bytes`](crate::Limits::outgoing_bytes)
    /// counts them.
    pub outgoing_bytes: usize,
    /// Now: SUBSCRIBE and UNSUBSCRIBE that are not answered.
    pub requests: usize,
    /// Now: received messages that wait in the session's queues.
    pub inbox_messages: usize,
    /// Now: what they and those cost whose ticket is not given back, as [`Limits::inbox_bytes`](crate::Limits::inbox_bytes) counts it.
    pub inbox_bytes: usize,
    /// Now: messages of QoS 1 and 2 that came over this connection and whose exchange is not complete, as Receive Maximum counts them.
    pub receiving: usize,
}

/// What the session counts; the rest of [`Stats`] is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: u64,
    pub(crate) pings: u64,
    pub(crate) accepted: u64,
    pub(crate) sent: u64,
    pub(crate) resent: u64,
    pub(crate) republished: u64,
    pub(crate) acknowledged: u64,
    pub(crate) unexpected: u64,
    pub(crate) received: u64,
    pub(crate) duplicates: u64,
    pub(crate) dropped: u64,
    pub(crate) dropped_full: u64,
    pub(crate) dropped_unclaimed: u64,
    pub(crate) acks_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_written: u64,
}

impl Counters {
    pub(crate) fn told(&self) -> Stats {
        let Self {
            connections,
            pings,
            accepted,
            sent,
            resent,
            republished,
            acknowledged,
            unexpected,
            received,
            duplicates,
            dropped,
            dropped_full,
            dropped_unclaimed,
            acks_sent,
            bytes_received,
            bytes_written,
        } = *self;
        Stats {
            connections,
            pings,
            accepted,
            sent,
            resent,
            republished,
            acknowledged,
            unexpected,
            received,
            duplicates,
            dropped,
            dropped_full,
            dropped_unclaimed,
            acks_sent,
            bytes_received,
            bytes_written,
            ..Stats::default()
        }
    }
}
