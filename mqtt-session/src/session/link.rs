use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::time::Duration;

use mqtt_proto::{Decoder, Encoder, Outbox, PacketId, Publish, QoS, Sender, TopicFilter, Version};

use super::alias::{Aliases, Known};
use super::authenticate::Exchange;
use super::expiry::Expiry;
use super::poison::FirstResent;
use super::withhold::Withheld;
use crate::{Config, Instant, PublishRefused, SubscribeError, Token};

/// What belongs to one connection. Losing the connection replaces all of it.
#[derive(Debug)]
pub(super) struct Link {
    /// CONNACK has accepted us.
    pub(super) connected: bool,
    pub(super) version: Version,
    pub(super) encoder: Encoder,
    pub(super) decoder: Decoder,
    /// Encoded packets that the driver has not taken yet: the only queue of bytes.
    pub(super) outbox: Outbox,
    /// Bytes of PUBACK, PUBREC, PUBREL and PUBCOMP in the outbox, which what the server sends makes grow.
    pub(super) answers: usize,
    /// All bytes that were encoded, and those of them that the operating system took.
    pub(super) encoded: u64,
    pub(super) written: u64,
    /// QoS 0 messages of which the last byte is not written.
    /// So many of the encoded bytes may have left in part: a layer made others of them, which were not all written.
    pub(super) touched: u64,
    pub(super) unwritten: VecDeque<Unwritten>,
    /// What the session sends again, in its order. Before all of that went out, no new message gets an identifier.
    pub(super) resend: VecDeque<PacketId>,
    /// What of it went first.
    pub(super) first_resent: Option<FirstResent>,
    /// It is lost because of something here: the inbox is full, say.
    pub(super) ended_here: bool,
    /// Records are awaited that everything depends on.
    pub(super) gated: bool,
    pub(super) withheld: Option<Box<Withheld>>,
    /// How many more PUBLISH of QoS 1 and 2 the server takes now [MQTT-4.9.0-2], and at the beginning [MQTT-4.9.0-1].
    pub(super) quota: u16,
    pub(super) quota_max: u16,
    pub(super) server: Server,
    /// What we call topics towards the server, and what it calls them towards us.
    pub(super) aliases: Aliases,
    pub(super) known: Known,
    /// CONNECT was sent before, and its CONNACK never came.
    pub(super) is_unsure: bool,
    /// The sent CONNECT asked for a clean start.
    pub(super) clean_start: bool,
    /// Nothing but that is wanted of this connection.
    pub(super) only_clears: bool,
    /// The sent CONNECT asked for no reasons or user properties where they only explain.
    pub(super) quiet: bool,
    pub(super) keep_alive: Duration,
    pub(super) opened_at: Instant,
    pub(super) last_written: Instant,
    pub(super) last_received: Instant,
    pub(super) ping: Option<Ping>,
    pub(super) exchange: Option<Box<Exchange>>,
    /// Bytes that `handle_input` left, to tell new ones from them.
    pub(super) left: usize,
}

#[derive(Debug)]
pub(super) struct Unwritten {
    pub(super) end: u64,
    pub(super) len: u64,
    pub(super) token: Token,
    pub(super) publish: Publish,
    pub(super) expiry: Option<Expiry>,
}

/// A PINGREQ that is not answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ping {
    /// Where it ends among the encoded bytes.
    pub(super) end: u64,
    pub(super) sent_at: Instant,
    pub(super) written_at: Option<Instant>,
}

/// What the server said it can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    pub(super) maximum_qos: QoS,
    pub(super) retain_available: bool,
    pub(super) wildcard_available: bool,
    pub(super) shared_available: bool,
    pub(super) identifiers_available: bool,
}

/// What a message must fit to be sent over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fits {
    version: Version,
    maximum_qos: QoS,
    retain_available: bool,
    max_packet_size: u32,
}

impl Fits {
    /// Whether what fits here fits there, too.
    pub(super) const fn is_within(&self, other: &Self) -> bool {
        self.version as u8 == other.version as u8
            && self.maximum_qos as u8 <= other.maximum_qos as u8
            && (other.retain_available || !self.retain_available)
            && self.max_packet_size <= other.max_packet_size
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            wildcard_available: true,
            shared_available: true,
            identifiers_available: true,
        }
    }
}

impl Server {
    pub(super) const fn refuses(&self, qos: QoS, publish_retain: bool) -> Option<PublishRefused> {
        // [MQTT-3.2.2-11]
        if qos as u8 > self.maximum_qos as u8 {
            return Some(PublishRefused::QoSNotSupported {
                max: self.maximum_qos,
            });
        }
        // [MQTT-3.2.2-14]
        if publish_retain && !self.retain_available {
            return Some(PublishRefused::RetainNotAvailable);
        }
        None
    }

    pub(super) fn refuses_filter(&self, filter: &TopicFilter) -> Option<SubscribeError> {
        if !self.wildcard_available && filter.has_wildcard() {
            return Some(SubscribeError::WildcardNotAvailable {
                filter: filter.clone(),
            });
        }
        if !self.shared_available && filter.share_name().is_some() {
            return Some(SubscribeError::SharedNotAvailable {
                filter: filter.clone(),
            });
        }
        None
    }
}

impl Link {
    pub(super) const fn fits(&self) -> Fits {
        Fits {
            version: self.encoder.version(),
            maximum_qos: self.server.maximum_qos,
            retain_available: self.server.retain_available,
            max_packet_size: self.encoder.max_packet_size(),
        }
    }

    pub(super) fn give_memory_back(&mut self) {
        if self.outbox.is_empty() {
            self.outbox.shrink_to(0);
        }
        if self.unwritten.is_empty() {
            self.unwritten.shrink_to_fit();
        }
        if self.resend.is_empty() {
            self.resend.shrink_to_fit();
        }
    }

    pub(super) fn new(version: Version, config: &Config) -> Self {
        Self {
            connected: false,
            version,
            encoder: Encoder::new(version, Sender::Client),
            decoder: Decoder::new(version, Sender::Server)
                .with_max_packet_size(config.limits.max_packet_size),
            outbox: Outbox::new(),
            answers: 0,
            encoded: 0,
            written: 0,
            touched: 0,
            unwritten: VecDeque::new(),
            resend: VecDeque::new(),
            first_resent: None,
            ended_here: false,
            gated: false,
            withheld: None,
            quota: 0,
            quota_max: 0,
            server: Server::default(),
            aliases: Aliases::new(0),
            known: Known::default(),
            is_unsure: false,
            clean_start: false,
            only_clears: false,
            quiet: false,
            keep_alive: Duration::ZERO,
            opened_at: Instant::ZERO,
            last_written: Instant::ZERO,
            last_received: Instant::ZERO,
            ping: None,
            exchange: None,
            left: 0,
        }
    }
}
