//! What the broker sends with QoS 1 and 2, and whether the client acknowledges it by the rules.

use core::num::NonZeroU16;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mqtt_proto::{PacketId, QoS, ReasonCode, Topic};

use super::message::Delivery;
use super::violation::{Checked, Fault};

/// The part that belongs to the session.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbound {
    pub(super) queue: VecDeque<Delivery>,
    pub(super) flights: BTreeMap<PacketId, Flight>,
    next_seq: u64,
    last_id: u16,
}

/// A message in flight.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) delivery: Delivery,
    seq: u64,
    /// PUBREC has come: PUBREL is what is to be sent.
    pub(super) released: bool,
    /// PUBLISH was written once.
    pub(super) sent: bool,
}

/// The part that belongs to the connection.
#[derive(Clone, Debug)]
pub(super) struct Downlink {
    /// The client's Receive Maximum.
    pub(super) receive_maximum: usize,
    /// In flight on this connection, against the client's Receive Maximum.
    in_flight: BTreeSet<PacketId>,
    /// What is to be sent again before anything new.
    resend: VecDeque<PacketId>,
    /// How many of them are PUBRELs.
    releases: usize,
    /// Acknowledgements that the client owes, in order.
    pubacks: VecDeque<PacketId>,
    pubrecs: VecDeque<PacketId>,
    /// With whether the client was told of the message on this very connection.
    pubcomps: BTreeMap<PacketId, bool>,
    pub(super) alias_maximum: u16,
    aliases: BTreeMap<Topic, NonZeroU16>,
}

impl Downlink {
    pub(super) fn new() -> Self {
        Self {
            receive_maximum: usize::from(u16::MAX),
            in_flight: BTreeSet::new(),
            resend: VecDeque::new(),
            releases: 0,
            pubacks: VecDeque::new(),
            pubrecs: VecDeque::new(),
            pubcomps: BTreeMap::new(),
            alias_maximum: 0,
            aliases: BTreeMap::new(),
        }
    }

    /// A PUBLISH was written.
    pub(super) fn published(&mut self, id: PacketId, qos: QoS) {
        match qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.pubacks.push_back(id),
            QoS::ExactlyOnce => self.pubrecs.push_back(id),
        }
    }

    /// A PUBREL was written.
    pub(super) fn released(&mut self, id: PacketId) {
        let told_here = self.in_flight.contains(&id);
        self.pubcomps.insert(id, told_here);
    }

    /// The alias for `topic`, and whether the client knows it already.
    pub(super) fn alias(&mut self, topic: &Topic) -> Option<(NonZeroU16, bool)> {
        if let Some(alias) = self.aliases.get(topic) {
            return Some((*alias, true));
        }
        let next = u16::try_from(self.aliases.len() + 1).ok()?;
        let alias = NonZeroU16::new(next).filter(|alias| alias.get() <= self.alias_maximum)?;
        self.aliases.insert(topic.clone(), alias);
        Some((alias, false))
    }

    /// The client was not told of the newest alias after all.
    pub(super) fn forget_alias(&mut self, topic: &Topic) {
        self.aliases.remove(topic);
    }

    fn has_room(&self) -> bool {
        self.in_flight.len() < self.receive_maximum
    }

    fn acknowledge(
        due: &mut VecDeque<PacketId>,
        id: PacketId,
        in_flight: bool,
        rule: &'static str,
    ) -> Checked {
        match due.iter().position(|waiting| *waiting == id) {
            Some(0) => {
                due.pop_front();
                Ok(())
            }
            Some(_) => {
                let oldest = due[0];
                let text = format!("{id} is acknowledged before {oldest}, which came earlier");
                Err(Fault::protocol(rule, text))
            }
            None if in_flight => {
                let text = format!(
                    "{id} is acknowledged, but was not sent on this connection or is acknowledged already"
                );
                Err(Fault::protocol("MQTT-2.2.1-5", text))
            }
            None => {
                let text = format!("no message {id} is in flight to this client");
                Err(Fault::protocol("MQTT-2.2.1-5", text))
            }
        }
    }
}

/// What is to be sent next.
#[derive(Debug)]
pub(super) enum Next {
    Publish {
        id: PacketId,
        dup: bool,
        delivery: Delivery,
    },
    Release(PacketId),
}

impl Outbound {
    /// After a reconnect everything in flight is sent again, in the original order [MQTT-4.4.0-1].
    pub(super) fn resume(&self, down: &mut Downlink) {
        let mut flights: Vec<_> = self.flights.iter().map(|(id, f)| (f.seq, *id)).collect();
        flights.sort_unstable();
        down.resend = flights.into_iter().map(|(_, id)| id).collect();
        down.releases = self.flights.values().filter(|f| f.released).count();
    }

    /// Takes what may be sent now; `expired` says what is not worth it.
    pub(super) fn next(
        &mut self,
        down: &mut Downlink,
        expired: impl Fn(&Delivery) -> bool,
    ) -> Option<Next> {
        if let Some(next) = self.next_resend(down) {
            return Some(next);
        }
        if !down.resend.is_empty() || !down.has_room() {
            return None;
        }
        let delivery = loop {
            // [MQTT-3.3.2-5]
            let delivery = self.queue.pop_front()?;
            if !expired(&delivery) {
                break delivery;
            }
        };
        let Some(id) = self.free_id() else {
            self.queue.push_front(delivery);
            return None;
        };
        self.next_seq += 1;
        let flight = Flight {
            delivery: delivery.clone(),
            seq: self.next_seq,
            released: false,
            sent: false,
        };
        self.flights.insert(id, flight);
        down.in_flight.insert(id);
        let dup = false;
        Some(Next::Publish { id, dup, delivery })
    }

    /// A PUBREL is never held back by the quota [MQTT-3.3.4-10].
    fn next_resend(&self, down: &mut Downlink) -> Option<Next> {
        let has_room = down.has_room();
        if !has_room && down.releases == 0 {
            return None;
        }
        // Nothing here can have been acknowledged: it was not sent on this connection.
        let is_released = |id: &PacketId| self.flights.get(id).is_some_and(|f| f.released);
        let at = down
            .resend
            .iter()
            .position(|id| has_room || is_released(id))?;
        let id = down.resend.remove(at)?;
        let flight = self.flights.get(&id)?;
        if flight.released {
            down.releases -= 1;
            return Some(Next::Release(id));
        }
        down.in_flight.insert(id);
        let (dup, delivery) = (flight.sent, flight.delivery.clone());
        Some(Next::Publish { id, dup, delivery })
    }

    /// The next identifier that is not in use [MQTT-2.2.1-4].
    fn free_id(&mut self) -> Option<PacketId> {
        for _ in 0..u16::MAX {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if let Some(id) = PacketId::new(self.last_id)
                && !self.flights.contains_key(&id)
            {
                return Some(id);
            }
        }
        None
    }

    /// Ends a flight that can't be sent to this client [MQTT-3.1.2-25], or is complete.
    pub(super) fn finish(&mut self, down: &mut Downlink, id: PacketId) {
        self.flights.remove(&id);
        down.in_flight.remove(&id);
    }

    pub(super) fn puback(&mut self, down: &mut Downlink, id: PacketId) -> Checked {
        let in_flight = self.flights.contains_key(&id);
        Downlink::acknowledge(&mut down.pubacks, id, in_flight, "MQTT-4.6.0-2")?;
        self.finish(down, id);
        Ok(())
    }

    /// Whether PUBREL is to be sent.
    pub(super) fn pubrec(
        &mut self,
        down: &mut Downlink,
        id: PacketId,
        reason: ReasonCode,
    ) -> Checked<bool> {
        let in_flight = self.flights.contains_key(&id);
        Downlink::acknowledge(&mut down.pubrecs, id, in_flight, "MQTT-4.6.0-3")?;
        // [MQTT-4.4.0-2]
        if reason.is_error() {
            self.finish(down, id);
            return Ok(false);
        }
        if let Some(flight) = self.flights.get_mut(&id) {
            flight.released = true;
        }
        Ok(true)
    }

    pub(super) fn pubcomp(
        &mut self,
        down: &mut Downlink,
        id: PacketId,
        reason: ReasonCode,
    ) -> Checked {
        let Some(told_here) = down.pubcomps.remove(&id) else {
            let text = format!("no PUBREL {id} was sent on this connection");
            return Err(Fault::protocol("MQTT-2.2.1-5", text));
        };
        if told_here && reason == ReasonCode::PACKET_IDENTIFIER_NOT_FOUND {
            let text =
                format!("the client says that it does not know {id}, but has just sent PUBREC");
            return Err(Fault::protocol("MQTT-4.3.3-10", text));
        }
        self.finish(down, id);
        Ok(())
    }
}
