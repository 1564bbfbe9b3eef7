use core::fmt;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use mqtt_proto::{
    Connect, Decoder, Encoder, PacketId, PacketType, QoS, ReasonCode, Sender, Topic, Version,
};

use super::BrokerConfig;
use super::inbound::Uplink;
use super::log::Summary;
use super::message::Message;
use super::outbound::Downlink;
use crate::Time;

/// A network connection to the broker. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub(super) u64);

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("#{}", self.0))
    }
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) phase: Phase,
    pub(super) version: Version,
    /// Whether CONNECT has told the version.
    pub(super) version_known: bool,
    pub(super) client_id: Option<Arc<str>>,
    /// The limits that were announced to this client.
    pub(super) config: BrokerConfig,
    pub(super) opened: Time,
    pub(super) last_heard: Time,
    pub(super) keep_alive: Option<Time>,
    /// In seconds; `u32::MAX` for ever.
    pub(super) session_expiry: u32,
    pub(super) will: Option<(u32, Message)>,
    pub(super) authentication_method: Option<String>,
    pub(super) maximum_packet_size: Option<u32>,
    /// Whether Reason String and user properties may be sent everywhere.
    pub(super) problem_information: bool,
    pub(super) aliases: BTreeMap<u16, Topic>,
    pub(super) up: Uplink,
    pub(super) down: Downlink,
    pub(super) reads: bool,
    pub(super) connack_written: bool,
    /// What is withheld, in order.
    pub(super) held: VecDeque<Parcel>,
    pub(super) out: Vec<u8>,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// Nothing has come yet.
    Fresh,
    /// CONNECT has come, and AUTH goes back and forth.
    Authenticating(Box<Connect>),
    /// CONNECT was accepted.
    Open,
    /// The broker is done with it.
    Closing {
        /// After DISCONNECT from the client, which sends nothing any more.
        by_client: bool,
    },
}

/// An encoded packet on its way out.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    pub(super) bytes: Vec<u8>,
    pub(super) packet_type: PacketType,
    pub(super) effect: Effect,
    pub(super) codes: Vec<ReasonCode>,
    pub(super) summary: Option<Summary>,
}

/// What is so once the packet is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    None,
    Published(PacketId, QoS),
    Released(PacketId),
    Recorded(PacketId),
    Done { id: PacketId, refused: bool },
    Answered(PacketId),
}

impl Connection {
    pub(super) fn new(id: ConnId, now: Time, config: BrokerConfig) -> Self {
        Self {
            phase: Phase::Fresh,
            version: Version::V5,
            version_known: false,
            client_id: None,
            config,
            opened: now,
            last_heard: now,
            keep_alive: None,
            session_expiry: 0,
            will: None,
            authentication_method: None,
            maximum_packet_size: None,
            problem_information: true,
            aliases: BTreeMap::new(),
            up: Uplink::new(id),
            down: Downlink::new(),
            reads: true,
            connack_written: false,
            held: VecDeque::new(),
            out: Vec::new(),
        }
    }

    pub(super) fn decoder(&self) -> Decoder {
        let decoder = Decoder::new(self.version, Sender::Client);
        match self.config.maximum_packet_size {
            // Before CONNACK the client can't know the limit.
            Some(max) if self.connack_written => decoder.with_max_packet_size(max),
            _ => decoder,
        }
    }

    pub(super) fn encoder(&self) -> Encoder {
        let encoder = Encoder::new(self.version, Sender::Server);
        match self.maximum_packet_size {
            Some(max) => encoder.with_max_packet_size(max),
            None => encoder,
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. })
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// When the broker gives the connection up, if nothing comes.
    pub(super) fn deadline(&self) -> Option<Time> {
        match self.phase {
            Phase::Fresh | Phase::Authenticating(_) => {
                Some(self.opened.saturating_add(self.config.connect_timeout))
            }
            // [MQTT-3.1.2-22]. A broker that does not read can't complain of silence.
            Phase::Open if self.reads => {
                let keep_alive = self.keep_alive?;
                Some(self.last_heard.saturating_add(keep_alive * 3 / 2))
            }
            Phase::Open | Phase::Closing { .. } => None,
        }
    }
}
