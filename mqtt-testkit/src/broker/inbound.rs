//! What a client publishes with QoS 1 and 2: which packet identifiers it holds, and whether it sends and resends by the rules.
//!
//! Only what is certain is a violation. The broker knows what it has written, not what has arrived: an acknowledgement that was
//! written before a connection was lost may be known to the client or not, so both ways to go on are right.

use std::collections::{BTreeMap, BTreeSet};

use mqtt_proto::{PacketId, QoS, ReasonCode};

use super::violation::{Checked, Fault};
use super::{BrokerConfig, ConnId};

/// The part that belongs to the session.
#[derive(Clone, Debug, Default)]
pub(super) struct Inbound {
    records: BTreeMap<PacketId, Record>,
    next_seq: u64,
    next_pubrec: u64,
    /// Identifiers that the client released and nobody knows of, since the broker has lost the session they were from.
    strangers: BTreeSet<PacketId>,
}

/// The last message that was published under an identifier.
#[derive(Clone, Debug)]
struct Record {
    /// The order in which messages were first seen.
    seq: u64,
    qos: QoS,
    phase: Phase,
    /// The last connection on which PUBLISH or PUBREL came.
    touched: ConnId,
    /// The order in which PUBRECs were written.
    pubrec: u64,
    size: usize,
    retain: bool,
    expires: bool,
    /// It was answered with an error, which may be lost: when it comes again, it is a new one.
    refused: bool,
    /// The limits of a later connection forbade to send it again: the client may have given it up for good.
    waived: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// PUBLISH has come, and no acknowledgement was written.
    Received,
    /// PUBREC was written.
    Recorded,
    /// PUBREL has come, and PUBCOMP was not written.
    Released,
    /// PUBACK, PUBCOMP, or a PUBREC that refuses was written.
    Done,
}

/// The part that belongs to the connection.
#[derive(Clone, Debug)]
pub(super) struct Uplink {
    pub(super) conn: ConnId,
    /// Whether anything may be resent on this connection.
    pub(super) may_resend: bool,
    /// Whether the client may know of messages that the broker does not.
    pub(super) forgetful: bool,
    /// None in 3.x.
    pub(super) receive_maximum: Option<u16>,
    /// Identifiers of SUBSCRIBE and UNSUBSCRIBE that were not answered.
    pub(super) requests: BTreeSet<PacketId>,
    /// Identifiers whose PUBLISH came on this connection, and whose last acknowledgement was not written on it.
    unacknowledged: BTreeSet<PacketId>,
    fresh_seen: bool,
    last_resent: u64,
    last_released: u64,
}

impl Uplink {
    pub(super) fn new(conn: ConnId) -> Self {
        Self {
            conn,
            may_resend: false,
            forgetful: false,
            receive_maximum: None,
            requests: BTreeSet::new(),
            unacknowledged: BTreeSet::new(),
            fresh_seen: false,
            last_resent: 0,
            last_released: 0,
        }
    }
}

/// A PUBLISH of QoS 1 or 2 as it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) id: PacketId,
    pub(super) qos: QoS,
    pub(super) dup: bool,
    /// With its topic.
    pub(super) size: usize,
    pub(super) retain: bool,
    pub(super) expires: bool,
}

/// What a PUBLISH is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A message that was not seen before.
    New,
    /// A message of QoS 1 once more: it is passed on again.
    Again,
    /// A message of QoS 2 that the broker holds: it is acknowledged again and not passed on [MQTT-4.3.3-10].
    Duplicate,
}

impl Inbound {
    pub(super) fn publish(
        &mut self,
        up: &mut Uplink,
        a: Arrival,
        config: &BrokerConfig,
    ) -> Checked<Verdict> {
        let Arrival { id, dup, .. } = a;
        if up.requests.contains(&id) {
            let text = format!("packet identifier {id} is in use by a SUBSCRIBE or UNSUBSCRIBE");
            return Err(Fault::protocol("MQTT-2.2.1-3", text));
        }
        let verdict = match self.records.get(&id) {
            Some(record) if record.touched == up.conn => record.on_same_connection(a)?,
            Some(record) => record.on_next_connection(up, a, config)?,
            None => Verdict::New,
        };
        if dup {
            self.check_resend(up, a, verdict, config)?;
        } else {
            if up.may_resend && !up.fresh_seen {
                self.check_nothing_left(up, id, config)?;
            }
            up.fresh_seen = true;
        }
        self.record(up, a, verdict);
        up.unacknowledged.insert(id);
        match up.receive_maximum {
            // [MQTT-3.3.4-7]
            Some(max) if up.unacknowledged.len() > usize::from(max) => Err(Fault::new(
                ReasonCode::RECEIVE_MAXIMUM_EXCEEDED,
                "MQTT-3.3.4-7",
                format!(
                    "{} messages are in flight; Receive Maximum is {max}",
                    up.unacknowledged.len()
                ),
            )),
            _ => Ok(verdict),
        }
    }

    /// DUP is set: the message must have been sent on an earlier connection, and come in its turn.
    fn check_resend(
        &self,
        up: &mut Uplink,
        a: Arrival,
        verdict: Verdict,
        config: &BrokerConfig,
    ) -> Checked {
        let id = a.id;
        if !up.may_resend {
            let rule = match a.qos {
                QoS::ExactlyOnce => "MQTT-4.3.3-2",
                _ => "MQTT-4.3.2-2",
            };
            let text = format!("DUP is 1 on the first sending of {id}: the session is new");
            return Err(Fault::protocol(rule, text));
        }
        if up.fresh_seen {
            let text = format!("{id} is resent after new messages, and not upon the reconnect");
            return Err(Fault::protocol("MQTT-4.4.0-1", text));
        }
        match self.records.get(&id) {
            Some(r)
                if r.phase != Phase::Done
                    && verdict != Verdict::New
                    && !r.may_be_given_up(up, config) =>
            {
                if r.seq < up.last_resent {
                    let text = format!("{id} is resent behind a message that was first sent later");
                    return Err(Fault::protocol("MQTT-4.6.0-1", text));
                }
                up.last_resent = r.seq;
            }
            // Either the old message, whose acknowledgement was lost, or a newer one, whose first sending was.
            Some(r) if r.seq >= up.last_resent => up.last_resent = r.seq,
            // A message whose first sending was lost: it is newer than all that the broker knows.
            _ => up.last_resent = u64::MAX,
        }
        Ok(())
    }

    /// The first new message after a reconnect: all that is unacknowledged must have been resent before.
    fn check_nothing_left(&self, up: &Uplink, new: PacketId, config: &BrokerConfig) -> Checked {
        let left = self.records.iter().find(|(id, r)| {
            **id != new && r.touched != up.conn && r.is_held() && !r.may_stay_unsent(up, config)
        });
        match left {
            None => Ok(()),
            Some((id, r)) => {
                let what = match r.phase {
                    Phase::Received => "PUBLISH",
                    _ => "PUBLISH or PUBREL",
                };
                let text = format!(
                    "a new message is sent, but {what} {id} was not resent upon the reconnect"
                );
                Err(Fault::protocol("MQTT-4.4.0-1", text))
            }
        }
    }

    fn record(&mut self, up: &Uplink, a: Arrival, verdict: Verdict) {
        let next_seq = self.next_seq;
        let record = self.records.entry(a.id).or_insert(Record {
            seq: u64::MAX,
            qos: a.qos,
            phase: Phase::Received,
            touched: up.conn,
            pubrec: 0,
            size: a.size,
            retain: a.retain,
            expires: a.expires,
            waived: false,
            refused: false,
        });
        record.touched = up.conn;
        let is_newer = record.seq == u64::MAX || !a.dup || up.last_resent == u64::MAX;
        if verdict != Verdict::Duplicate && is_newer {
            record.seq = next_seq;
            self.next_seq += 1;
        }
        if verdict != Verdict::Duplicate {
            record.phase = Phase::Received;
            record.qos = a.qos;
            record.size = a.size;
            record.retain = a.retain;
            record.expires = a.expires;
            record.waived = false;
            record.refused = false;
        }
    }

    /// A connection begins under these limits: what they forbid may be given up.
    pub(super) fn begin(&mut self, up: &Uplink, config: &BrokerConfig) {
        for record in self.records.values_mut() {
            record.waived |= record.is_forbidden(up, config);
        }
    }

    /// PUBREL has come.
    pub(super) fn release(&mut self, up: &mut Uplink, id: PacketId) -> Checked<Release> {
        let Some(record) = self.records.get_mut(&id) else {
            if up.forgetful || self.strangers.contains(&id) {
                self.strangers.insert(id);
                return Ok(Release::Unknown);
            }
            let text = format!("no message of QoS 2 was published as {id} in this session");
            return Err(Fault::protocol("MQTT-2.2.1-5", text));
        };
        if record.qos != QoS::ExactlyOnce {
            let text = format!("the message {id} has QoS 1");
            return Err(Fault::protocol("MQTT-2.2.1-5", text));
        }
        let again = record.touched == up.conn;
        let release = match record.phase {
            Phase::Received => {
                let text = format!("{id} is released, but no PUBREC was sent");
                return Err(Fault::protocol("MQTT-4.3.3-4", text));
            }
            Phase::Recorded => Release::Known,
            Phase::Done if record.pubrec == 0 => {
                let text = format!("{id} is released, but its PUBREC refused the message");
                return Err(Fault::protocol("MQTT-4.3.3-4", text));
            }
            Phase::Released | Phase::Done if again => {
                let text = format!("{id} is released again without a reconnect");
                return Err(Fault::protocol("MQTT-4.4.0-1", text));
            }
            Phase::Released => Release::Known,
            Phase::Done => Release::Unknown,
        };
        if record.pubrec < up.last_released {
            let text = format!("{id} is released behind one whose PUBREC came later");
            return Err(Fault::protocol("MQTT-4.6.0-4", text));
        }
        up.last_released = record.pubrec;
        record.touched = up.conn;
        record.phase = Phase::Released;
        Ok(release)
    }

    /// A SUBSCRIBE or UNSUBSCRIBE comes with this identifier.
    pub(super) fn request(&self, up: &mut Uplink, id: PacketId, config: &BrokerConfig) -> Checked {
        let held = self.records.get(&id).is_some_and(|r| {
            r.is_held() && (r.touched == up.conn || !r.may_be_given_up(up, config))
        });
        if held || !up.requests.insert(id) {
            let by = if held { "a PUBLISH" } else { "another request" };
            let text = format!("packet identifier {id} is in use by {by}");
            return Err(Fault::protocol("MQTT-2.2.1-3", text));
        }
        Ok(())
    }

    /// PUBACK, PUBCOMP or a PUBREC that refuses was written.
    pub(super) fn done(&mut self, up: &mut Uplink, id: PacketId, refused: bool) {
        up.unacknowledged.remove(&id);
        if let Some(record) = self.records.get_mut(&id) {
            record.phase = Phase::Done;
            if refused {
                record.pubrec = 0;
            }
        }
    }

    /// The message is refused.
    pub(super) fn refuse(&mut self, id: PacketId) {
        if let Some(record) = self.records.get_mut(&id) {
            record.refused = true;
        }
    }

    /// A PUBREC that accepts was written.
    pub(super) fn recorded(&mut self, id: PacketId) {
        if let Some(record) = self.records.get_mut(&id) {
            self.next_pubrec += 1;
            record.pubrec = self.next_pubrec;
            if record.phase == Phase::Received {
                record.phase = Phase::Recorded;
            }
        }
    }

    /// The identifier of the message that was first seen last.
    pub(super) fn last(&self) -> Option<PacketId> {
        let newest = self.records.iter().max_by_key(|(_, record)| record.seq);
        newest.map(|(id, _)| *id)
    }

    /// Identifiers of QoS 1 and 2 that were published and not acknowledged to the end.
    pub(super) fn held(&self) -> impl Iterator<Item = (PacketId, QoS)> {
        self.records
            .iter()
            .filter(|(_, r)| r.is_held())
            .map(|(id, r)| (*id, r.qos))
    }
}

/// Whether the broker knows the message that is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    Known,
    Unknown,
}

impl Record {
    fn is_held(&self) -> bool {
        self.phase != Phase::Done
    }

    fn on_same_connection(&self, a: Arrival) -> Checked<Verdict> {
        let id = a.id;
        let (rule, text) = match (self.phase, a.dup) {
            (Phase::Done, false) => return Ok(Verdict::New),
            (Phase::Done, true) => (
                "MQTT-4.3.2-2",
                format!("DUP is 1 on the first sending of a new message as {id}"),
            ),
            (Phase::Released, _) => (
                "MQTT-4.3.3-6",
                format!("{id} is published again after its PUBREL"),
            ),
            (_, true) => (
                "MQTT-4.4.0-1",
                format!("{id} is resent without a reconnect"),
            ),
            (_, false) => (
                "MQTT-2.2.1-3",
                format!("packet identifier {id} is in use by a message in flight"),
            ),
        };
        Err(Fault::protocol(rule, text))
    }

    fn on_next_connection(
        &self,
        up: &Uplink,
        a: Arrival,
        config: &BrokerConfig,
    ) -> Checked<Verdict> {
        let id = a.id;
        match (self.phase, a.dup) {
            (Phase::Done, false) => Ok(Verdict::New),
            // The old message again, or a new one whose first sending was lost.
            (Phase::Done, true) if self.qos == QoS::AtLeastOnce && a.qos == self.qos => {
                Ok(Verdict::Again)
            }
            (Phase::Done, true) => Ok(Verdict::New),
            (Phase::Released, _) => Err(Fault::protocol(
                "MQTT-4.3.3-6",
                format!("{id} is published again after its PUBREL"),
            )),
            (_, false) if self.may_be_given_up(up, config) => Ok(Verdict::New),
            (_, false) => Err(Fault::protocol(
                "MQTT-3.3.1-1",
                format!("DUP is 0, but {id} was published before and not acknowledged"),
            )),
            // A new message under an identifier that was given up, and whose first sending was lost.
            (_, true) if a.qos != self.qos && self.may_be_given_up(up, config) => Ok(Verdict::New),
            (_, true) if a.qos != self.qos => Err(Fault::protocol(
                "MQTT-4.4.0-1",
                format!("{id} had {} and is resent with {}", self.qos, a.qos),
            )),
            (_, true) if self.qos == QoS::AtLeastOnce => Ok(Verdict::Again),
            (_, true) if self.refused => Ok(Verdict::New),
            (_, true) => Ok(Verdict::Duplicate),
        }
    }

    /// Whether a client may use the identifier for another message without resending this one. Not at QoS 2: the broker may hold
    /// the message, and would take the other one for it.
    fn may_be_given_up(&self, up: &Uplink, config: &BrokerConfig) -> bool {
        self.qos == QoS::AtLeastOnce && self.may_stay_unsent(up, config)
    }

    /// Whether a client need not resend this message: the limits of the new connection forbid it, or it may have expired. When, only
    /// the client knows, who counts from when it was published.
    fn may_stay_unsent(&self, up: &Uplink, config: &BrokerConfig) -> bool {
        self.waived || self.is_forbidden(up, config) || self.expires || config.may_give_up
    }

    /// Whether a client can't resend this message: the limits of the new connection forbid it.
    fn is_forbidden(&self, up: &Uplink, config: &BrokerConfig) -> bool {
        let too_large = config
            .maximum_packet_size
            .is_some_and(|max| self.size > max as usize);
        // The PUBREC may not have arrived: then it is PUBLISH that would have to be sent again.
        up.receive_maximum.is_some()
            && matches!(self.phase, Phase::Received | Phase::Recorded)
            && (too_large
                || self.qos > config.maximum_qos
                || (self.retain && !config.retain_available))
    }
}
