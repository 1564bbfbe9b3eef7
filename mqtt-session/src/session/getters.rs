//! What a session tells of itself at any time.

use mqtt_proto::Version;

#[cfg(feature = "client")]
use super::News;
use super::Session;
use super::stage::Stage;
use crate::{Capacity, Config, Endpoint, Instant, Phase, Stats, Timer};

impl Session {
    /// Where the session stands.
    pub fn phase(&self) -> Phase {
        match self.stage {
            Stage::Idle => Phase::Idle,
            Stage::Authorizing { .. }
            | Stage::Resolving { .. }
            | Stage::Dialing(_)
            | Stage::Shaking { .. } => Phase::Connecting,
            Stage::Open { .. } if self.link.connected => Phase::Connected,
            Stage::Open { .. } => Phase::Handshaking,
            Stage::Closing { .. } => Phase::Closing,
            Stage::Waiting => Phase::Waiting,
            Stage::Closed => Phase::Closed,
        }
    }

    /// Whether the session is at its end: it will not connect again.
    pub fn is_closed(&self) -> bool {
        matches!(self.stage, Stage::Closed)
    }

    /// How it was configured.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The counters, and what there is now.
    pub fn stats(&self) -> Stats {
        Stats {
            attempts: self.attempts,
            copied: self.inbox.copied(),
            queued: self.outgoing.queue.len(),
            in_flight: self.outgoing.inflight.len(),
            outgoing_bytes: self.outgoing.bytes,
            requests: self.subscriptions.pending.len() + self.outgoing.inflight.requests(),
            inbox_messages: self.inbox.len(),
            inbox_bytes: self.inbox.bytes(),
            receiving: self.inbox.in_flight(),
            dropped: self.stats.dropped + self.inbox.over_bound(),
            ..self.stats.told()
        }
    }

    /// What may still be published before the queue is full. A single message may be refused for other reasons.
    pub fn publish_capacity(&self) -> Capacity {
        let limits = &self.config.limits;
        let messages = limits.max_queued.saturating_sub(self.outgoing.queue.len());
        let bytes = limits.outgoing_bytes.saturating_sub(self.outgoing.bytes);
        self.records
            .as_ref()
            .map_or(Capacity { messages, bytes }, |records| {
                records.capacity(limits, messages, bytes)
            })
    }

    /// The next deadline, and what it is for.
    pub fn next_timer(&self) -> Option<(Timer, Instant)> {
        self.timers.next()
    }

    /// The protocol version in use: that of the connection, or of the latest one. It is the configured one, unless the server made us
    /// [fall back](crate::ConfigBuilder::fall_back).
    pub fn version(&self) -> Version {
        self.link.version
    }

    /// The client identifier in use: the configured one, or that which the server has assigned.
    pub fn client_identifier(&self) -> &str {
        self.client_id().as_str()
    }

    /// The group of servers to which [`server`](Self::server) belongs, named by that of them which comes first by its text: session state is
    /// kept for a group.
    pub fn server_group(&self) -> &Endpoint {
        self.round.group_name()
    }

    /// Response Information of the server's CONNACK, which it gives where CONNECT asks for it (Request Response Information): what the topics of
    /// responses are to begin with.
    pub fn response_information(&self) -> Option<&str> {
        self.round.response_information()
    }

    /// The server of the connection, or that of the latest attempt at one.
    pub fn server(&self) -> &Endpoint {
        self.round.endpoint()
    }

    /// Whether there is an event, or a message to be dropped.
    #[cfg(feature = "client")]
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        let released = self.outgoing.released.as_ref();
        !self.events.is_empty() || released.is_some_and(|released| !released.is_empty())
    }

    /// [`poll_event`](Self::poll_event), with the messages of a run at once.
    #[cfg(feature = "client")]
    #[inline]
    pub(crate) fn poll_news(&mut self) -> Option<News> {
        self.events.pop_news()
    }
}
