//! What the session gives out to be stored, until it is.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::ToString;
use alloc::vec::Vec;

use bytes::Bytes;
use mqtt_proto::{Publish, QoS};

use super::Session;
use super::expiry::Expiry;
use crate::record::check_message;
use crate::{
    Accepted, Capacity, Config, Durability, Endpoint, Event, Identity, Instant, Lifetime, Limits,
    Outcome, PublishOptions, PublishRefused, Record, Seq, Token, UnixTime,
};

/// Tags are kept for as long as their messages, and not counted with them.
const MAX_TAG: usize = 255;

#[derive(Debug)]
pub(super) struct Records {
    pub(super) write_ahead: bool,
    /// Not polled yet. The last of them is the last that there is.
    queue: VecDeque<Record>,
    last: Seq,
    stored: Seq,
    /// Accepted messages whose record is not stored, and the bytes that they hold.
    unstored: VecDeque<Unstored>,
    unstored_bytes: usize,
    /// The messages whose acceptance is recorded and whose end is not, with what the application calls them.
    pub(super) live: BTreeMap<Token, Option<Bytes>>,
    /// Tokens below are of an earlier process.
    pub(super) first_token: Token,
    /// As it was recorded last; `next_token` is what it was then.
    pub(super) identity: Identity,
    /// The server has begun a session that the records know.
    pub(super) begun: bool,
    /// What the clock on the wall said, and when.
    pub(super) wall: Option<(Instant, UnixTime)>,
    /// The session has ended: what has no outcome is left to a later process.
    ended: bool,
}

#[derive(Debug)]
struct Unstored {
    seq: Seq,
    token: Token,
    bytes: usize,
}

impl Records {
    /// Nothing where nothing is to be recorded.
    pub(super) fn new(config: &Config, endpoint: &Endpoint, base: u16) -> Option<Box<Self>> {
        let write_ahead = match config.durability {
            Durability::Off => return None,
            Durability::Behind => false,
            Durability::WriteAhead => true,
        };
        let mut records = Self::silent(Identity {
            group: endpoint.to_string(),
            moved: Vec::new(),
            client_id: config.connect.client_id.as_str().to_string(),
            version: config.version(),
            session_expiry: config.expiry_seconds(),
            base,
            write_ahead,
            next_token: Token(1),
        });
        records.push(Record::Identity(records.identity.clone()));
        Some(Box::new(records))
    }

    /// Those of a session whose identity is recorded already.
    pub(super) const fn silent(identity: Identity) -> Self {
        Self {
            write_ahead: identity.write_ahead,
            queue: VecDeque::new(),
            last: Seq(0),
            stored: Seq(0),
            unstored: VecDeque::new(),
            unstored_bytes: 0,
            live: BTreeMap::new(),
            first_token: identity.next_token,
            identity,
            begun: false,
            wall: None,
            ended: false,
        }
    }

    #[cold]
    pub(super) fn push(&mut self, record: Record) {
        self.last.0 += 1;
        self.queue.push_back(record);
    }

    pub(super) const fn last(&self) -> Seq {
        self.last
    }

    /// Whether everything up to this record is stored.
    pub(super) fn covers(&self, seq: Seq) -> bool {
        seq <= self.stored
    }

    /// How many more records, and bytes of messages in them, may wait to be stored.
    pub(super) fn room(&self, limits: &Limits) -> (usize, usize) {
        let waiting = usize::try_from(self.last.0 - self.stored.0).unwrap_or(usize::MAX);
        let records = limits.unstored_records.saturating_sub(waiting);
        (
            records,
            limits.unstored_bytes.saturating_sub(self.unstored_bytes),
        )
    }

    pub(super) fn capacity(&self, limits: &Limits, messages: usize, bytes: usize) -> Capacity {
        let (records, record_bytes) = self.room(limits);
        Capacity {
            messages: messages.min(records),
            bytes: if record_bytes == 0 { 0 } else { bytes },
        }
    }

    #[cold]
    fn admit(
        &self,
        limits: &Limits,
        qos: QoS,
        publish: &Publish,
        options: &PublishOptions,
    ) -> Result<(), PublishRefused> {
        check_message(qos, publish)?;
        let (len, max) = (options.tag.as_ref().map_or(0, Bytes::len), MAX_TAG);
        if len > max {
            return Err(PublishRefused::TagTooLong { len, max });
        }
        match self.room(limits) {
            (0, _) => Err(PublishRefused::Full {
                limit: "limits.unstored_records",
                max: limits.unstored_records,
            }),
            (_, 0) => Err(PublishRefused::Full {
                limit: "limits.unstored_bytes",
                max: limits.unstored_bytes,
            }),
            _ => Ok(()),
        }
    }

    #[cold]
    fn accepted(
        &mut self,
        token: Token,
        qos: QoS,
        publish: &Publish,
        options: &PublishOptions,
        expiry: Option<Expiry>,
    ) {
        let (tag, lifetime) = (options.tag.clone(), self.lifetime(expiry));
        let bytes = publish.size() + tag.as_ref().map_or(0, Bytes::len);
        self.live.insert(token, tag.clone());
        self.push(Record::Accepted(Accepted {
            token,
            qos,
            publish: publish.clone(),
            tag,
            lifetime,
            republished: false,
        }));
        let seq = self.last;
        self.unstored.push_back(Unstored { seq, token, bytes });
        self.unstored_bytes += bytes;
    }

    /// What the application called the message, to be dropped.
    #[cold]
    fn finished(&mut self, token: Token, outcome: &Outcome) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let tag = self.live.remove(&token)?;
        let ending = outcome.into();
        self.push(Record::Finished { token, ending });
        tag
    }

    pub(super) fn lifetime(&self, expiry: Option<Expiry>) -> Option<Lifetime> {
        let expiry = expiry?;
        Some(Lifetime {
            accepted: self.unix_time(expiry.accepted())?,
            over: self.unix_time(expiry.over())?,
        })
    }

    fn unix_time(&self, at: Instant) -> Option<UnixTime> {
        let (then, time) = self.wall?;
        let before = u64::try_from((then - at).as_millis()).unwrap_or(u64::MAX);
        Some(UnixTime::from_millis(time.as_millis().saturating_sub(before)).after(at - then))
    }
}

impl Session {
    /// Takes note of a change, where changes are recorded.
    #[inline]
    pub(super) fn record(&mut self, record: impl FnOnce() -> Record) {
        if let Some(records) = &mut self.records {
            records.push(record());
        }
    }

    /// Whether a message can be recorded: [`PublishRefused::Full`] while too much waits to be stored.
    #[inline]
    pub(super) fn admit_record(
        &self,
        qos: QoS,
        publish: &Publish,
        options: &PublishOptions,
    ) -> Result<(), PublishRefused> {
        self.records.as_ref().map_or(Ok(()), |records| {
            records.admit(&self.config.limits, qos, publish, options)
        })
    }

    /// QoS 0 is not recorded: it is delivered at most once.
    #[inline]
    pub(super) fn record_accepted(
        &mut self,
        token: Token,
        qos: QoS,
        publish: &Publish,
        options: &PublishOptions,
        expiry: Option<Expiry>,
    ) {
        if let Some(records) = &mut self.records {
            records.accepted(token, qos, publish, options, expiry);
        }
    }

    /// A message has its outcome. What ends with the session goes on in a later one that is restored.
    #[inline]
    pub(super) fn record_finished(&mut self, token: Token, outcome: &Outcome) {
        if let Some(records) = &mut self.records
            && let Some(tag) = records.finished(token, outcome)
            && let Some(released) = &mut self.outgoing.released
        {
            released.push_tag(tag);
        }
    }

    /// CONNACK said that the server has no session of before, or has one of which nothing is known here.
    pub(super) fn record_session_began(&mut self) {
        let Some(records) = &mut self.records else {
            return;
        };
        let client_id = self.round.assigned();
        let client_id = client_id.unwrap_or(&self.config.connect.client_id).as_str();
        let group = self.round.group_name().to_string();
        let moved = self.round.moved();
        let identity = &mut records.identity;
        if identity.client_id != client_id || identity.group != group || identity.moved != moved {
            identity.client_id = client_id.to_string();
            identity.group = group;
            identity.moved = moved;
            identity.next_token = self.outgoing.upcoming_token();
            records.push(Record::Identity(records.identity.clone()));
        }
        records.begun = true;
        records.push(Record::SessionBegan);
    }

    /// The session is where it was. Servers of its group may have moved for good since.
    pub(super) fn record_session_resumed(&mut self) {
        let Some(records) = &mut self.records else {
            return;
        };
        if !records.begun {
            return self.record_session_began();
        }
        let moved = self.round.moved();
        // The list may have changed since the session began, and another name may stand for its group: that it has kept its old one says that the session
        // goes on. Where a server has moved that is not in the list says only who is.
        if records.identity.moved != moved && self.round.goes_by(&records.identity.group) {
            records.identity.moved = moved;
            records.identity.next_token = self.outgoing.upcoming_token();
            records.push(Record::Identity(records.identity.clone()));
        }
    }

    pub(super) fn end_records(&mut self) {
        if let Some(records) = &mut self.records {
            records.ended = true;
        }
    }

    /// So much waits to be stored that the server must not make more of it.
    pub(super) fn records_are_full(&self) -> bool {
        let limits = &self.config.limits;
        self.records.as_ref().is_some_and(|records| {
            let withheld = self.link.withheld.as_ref();
            matches!(records.room(limits), (0, _) | (_, 0))
                || withheld.is_some_and(|withheld| withheld.is_full(limits))
        })
    }

    pub(super) fn next_record(&mut self) -> Option<(Seq, Record)> {
        let records = self.records.as_mut()?;
        let record = records.queue.pop_front()?;
        Some((Seq(records.last.0 - records.queue.len() as u64), record))
    }

    pub(super) fn records_wait(&self) -> bool {
        self.records
            .as_ref()
            .is_some_and(|records| !records.queue.is_empty())
    }

    /// The store has everything up to here.
    pub(super) fn stored(&mut self, seq: Seq) {
        let Some(records) = &mut self.records else {
            return;
        };
        // What was not polled can't have been stored.
        let polled = Seq(records.last.0 - records.queue.len() as u64);
        records.stored = records.stored.max(seq.min(polled));
        let stored = records.stored;
        while let Some(first) = records.unstored.front()
            && first.seq <= stored
            && let Some(first) = records.unstored.pop_front()
        {
            records.unstored_bytes -= first.bytes;
            self.events.push_back(Event::Stored { token: first.token });
        }
        self.release_withheld();
        self.tell_room();
        // What had expired by now is done without an acknowledgement.
        self.leave_if_drained();
    }
}
