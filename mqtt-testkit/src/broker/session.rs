use std::sync::Arc;

use mqtt_proto::{PacketId, QoS, SubscribeOptions, TopicFilter};

use super::ConnId;
use super::inbound::Inbound;
use super::message::Message;
use super::outbound::Outbound;
use crate::Time;

/// What is kept for a client identifier (section 4.1).
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Which session of the broker this is: never used twice.
    pub(super) number: u64,
    /// The client has sent something behind a CONNACK of this session, so it knows of it.
    pub(super) is_known: bool,
    /// The client may take it for one of before, of which it may have messages that the broker knows nothing of.
    pub(super) is_foreign: bool,
    pub(super) client_id: Arc<str>,
    /// The connection that uses it.
    pub(super) conn: Option<ConnId>,
    /// When it ends, while nobody uses it. `None` for never.
    pub(super) expires: Option<Time>,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) inbound: Inbound,
    pub(super) outbound: Outbound,
    /// A will that waits for its delay, and when it is due.
    pub(super) will: Option<(Time, Message)>,
}

#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) filter: TopicFilter,
    pub(super) options: SubscribeOptions,
    pub(super) identifier: Option<u32>,
}

impl Session {
    pub(super) fn new(number: u64, client_id: Arc<str>) -> Self {
        Self {
            number,
            is_known: false,
            is_foreign: false,
            client_id,
            conn: None,
            expires: None,
            subscriptions: Vec::new(),
            inbound: Inbound::default(),
            outbound: Outbound::default(),
            will: None,
        }
    }

    /// Adds a subscription, or replaces the one with the same filter [MQTT-3.8.4-3]. Whether it is new.
    pub(super) fn subscribe(&mut self, subscription: Subscription) -> bool {
        let same = |s: &&mut Subscription| s.filter == subscription.filter;
        match self.subscriptions.iter_mut().find(same) {
            Some(old) => {
                *old = subscription;
                false
            }
            None => {
                self.subscriptions.push(subscription);
                true
            }
        }
    }

    /// Whether there was such a subscription.
    pub(super) fn unsubscribe(&mut self, filter: &TopicFilter) -> bool {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|s| s.filter != *filter);
        self.subscriptions.len() < before
    }

    pub(super) fn info(&self, lasts: bool) -> SessionInfo {
        let flights = &self.outbound.flights;
        SessionInfo {
            number: self.number,
            lasts,
            conn: self.conn,
            subscriptions: self
                .subscriptions
                .iter()
                .map(|s| (s.filter.clone(), s.options))
                .collect(),
            queued: self.outbound.queue.len(),
            sending: flights
                .iter()
                .map(|(id, flight)| (*id, flight.delivery.qos))
                .collect(),
            receiving: self.inbound.held().collect(),
            last_received: self.inbound.last(),
        }
    }
}

/// What the broker keeps for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Tells sessions apart: one that begins anew has another number.
    pub number: u64,
    /// Whether it outlives the connection that uses it.
    pub lasts: bool,
    /// The connection that uses the session, if the client is online.
    pub conn: Option<ConnId>,
    /// The subscriptions, in the order in which they were made.
    pub subscriptions: Vec<(TopicFilter, SubscribeOptions)>,
    /// How many messages wait to be sent.
    pub queued: usize,
    /// Messages in flight to the client.
    pub sending: Vec<(PacketId, QoS)>,
    /// Messages in flight from the client: published, and PUBACK or PUBCOMP not written.
    pub receiving: Vec<(PacketId, QoS)>,
    /// The identifier of the newest message of QoS 1 or 2 that the client has sent in this session.
    pub last_received: Option<PacketId>,
}
