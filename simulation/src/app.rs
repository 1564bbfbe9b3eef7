//! The application: what it has done, what it may expect, and what it has met.

use std::collections::{BTreeMap, VecDeque};

use mqtt_session::Outcome;
use mqtt_session::proto::{Publish, QoS, Topic};

use crate::engine::Claim;
use mqtt_testkit::Time;

/// In seconds, of the messages that have one.
pub(crate) const EXPIRY: u32 = 3;

/// Topics that the client publishes to, most of them long enough for an alias. Those from [`REFUSABLE`] on may be refused; the last two come back to whoever subscribes.
pub(crate) const UP: [&str; 8] = [
    "uplink/0",
    "uplink/1",
    "uplink/2",
    "uplink/3",
    "refusable/0",
    "refusable/1",
    "v/a",
    "v/b",
];
pub(crate) const REFUSABLE: usize = 4;
/// What may be refused.
pub(crate) const REFUSABLE_FILTER: &str = "refusable/#";

/// Topics that are published to the client. The first ones are [`STABLE`]: subscribed to from the beginning to the end.
pub(crate) const DOWN: [&str; 8] = ["s/0", "s/1", "s/2", "w/7/t", "v/a", "v/b", "v/a/b", "x/y"];
pub(crate) const STABLE: [(&str, QoS); 4] = [
    ("s/0", QoS::AtMostOnce),
    ("s/1", QoS::AtLeastOnce),
    ("s/2", QoS::ExactlyOnce),
    ("w/+/t", QoS::ExactlyOnce),
];

/// Filters that are subscribed to and unsubscribed from. 3.x knows the first seven.
pub(crate) const PASSING: [&str; 9] = [
    "v/a",
    "v/b",
    "v/+",
    "v/#",
    "+/a",
    "v/a/b",
    "v/+/b",
    "$share/g/v/#",
    "$share/g/v/a",
];
pub(crate) const PASSING_V3: usize = 7;

#[derive(Debug, Default)]
pub(crate) struct App {
    pub(crate) messages: Vec<Message>,
    /// Made, and not accepted yet.
    pub(crate) backlog: VecDeque<(u32, Publish)>,
    /// Futures that wait for room.
    pub(crate) waiting: usize,
    /// How many others waited whenever one of them was accepted: they may have been woken for it.
    pub(crate) passed_over: usize,
    pub(crate) claims: Vec<(Claim, u32)>,
    /// First the stable filters, then those that come and go.
    pub(crate) filters: Vec<Filter>,
    pub(crate) requests: BTreeMap<u32, Request>,
    pub(crate) next_request: u32,
    pub(crate) next_place: u32,
    /// The place of the newest message that the broker has accepted, by its session, topic and QoS.
    pub(crate) arrived: BTreeMap<(u64, usize, QoS), u32>,
    /// The number of the newest message that the application has taken, by topic and QoS.
    pub(crate) taken: BTreeMap<(usize, QoS), u32>,
    /// The session has ended.
    pub(crate) closed: bool,
    /// How many messages there were when the process crashed: those may come once more, and in another order.
    pub(crate) crashed_at: u32,
    /// Re-authentications without a result.
    pub(crate) reauthentications: usize,
    /// The application has disconnected.
    pub(crate) leaving: bool,
    pub(crate) connections: u64,
    /// The broker said once that it has no session, though it had.
    pub(crate) denied: bool,
    /// The broker has lost a session, and the client can't know: 3.1 can't tell it, and the CONNACK that did, or the record of it, may be
    /// lost. What comes under an identifier that the client still holds may be another message.
    pub(crate) lost_untold: bool,
    /// The broker has had limits that a message may not fit into.
    pub(crate) limited: bool,
    /// A message has ended whose exchange will not be completed: it was refused, or has expired.
    pub(crate) gave_up: bool,
    /// The broker has been told to answer publishes with errors.
    pub(crate) scripted: bool,
    /// The broker has sent what it must not.
    pub(crate) nonsense: bool,
    /// Bytes that the client accepted, of messages without an outcome.
    pub(crate) pending_bytes: usize,
    /// The same for QoS 0 and 1.
    pub(crate) pending_bytes_below_2: usize,
    pub(crate) pending: usize,
    /// Messages that were accepted from here or routed to here.
    pub(crate) count: u64,
    /// Accepted by the session that lives now.
    pub(crate) accepted: u64,
}

/// A message: its number is its payload's beginning.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) up: bool,
    pub(crate) topic: usize,
    pub(crate) qos: QoS,
    pub(crate) len: usize,
    /// As the session counts it.
    pub(crate) size: usize,
    /// Its place among those that were accepted from the application.
    pub(crate) place: Option<u32>,
    pub(crate) accepted_at: Option<Time>,
    pub(crate) outcome: Option<Outcome>,
    /// A crash does not lose it.
    pub(crate) stored: bool,
    /// Nobody waits for its outcome any more.
    pub(crate) forgotten: bool,
    /// It waits for room rather than to be given back.
    pub(crate) waits: bool,
    /// How often the broker accepted it, by the session's number.
    pub(crate) receptions: Vec<(u64, u32)>,
    /// The broker's session that it was routed to.
    pub(crate) session: u64,
    /// The QoS that it is delivered with; none where that is not known or not to be.
    pub(crate) delivered: Option<QoS>,
    /// It may be lost without anybody's fault: it expires, or is about as large as the client takes.
    pub(crate) optional: bool,
    pub(crate) taken: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) name: &'static str,
    pub(crate) qos: QoS,
    pub(crate) queue: usize,
    pub(crate) state: Wanted,
    pub(crate) request: Option<u32>,
}

/// Whether the broker shall have a subscription in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wanted {
    #[default]
    No,
    Yes,
    /// Both would be right.
    Either,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) filter: usize,
    pub(crate) subscribes: bool,
}

impl App {
    pub(crate) fn request(&mut self, filter: usize, subscribes: bool) -> u32 {
        self.next_request += 1;
        let op = self.next_request;
        self.requests.insert(op, Request { filter, subscribes });
        self.filters[filter].request = Some(op);
        op
    }

    /// A new message, and its number.
    pub(crate) fn message(&mut self, up: bool, topic: usize, qos: QoS, len: usize) -> u32 {
        self.messages.push(Message {
            up,
            topic,
            qos,
            len: len.max(4),
            size: 0,
            place: None,
            accepted_at: None,
            outcome: None,
            stored: false,
            forgotten: false,
            waits: false,
            receptions: Vec::new(),
            session: 0,
            delivered: None,
            optional: false,
            taken: 0,
        });
        self.messages.len() as u32 - 1
    }

    /// The session has it from an earlier process.
    pub(crate) fn restore(&mut self, n: u32) {
        let message = &self.messages[n as usize];
        self.pending_bytes += message.size;
        if message.qos < QoS::ExactlyOnce {
            self.pending_bytes_below_2 += message.size;
        }
        self.pending += 1;
    }

    /// Nobody will hear what becomes of a message that was accepted.
    pub(crate) fn forget(&mut self, n: u32) {
        let message = &mut self.messages[n as usize];
        message.forgotten = true;
        self.gave_up = true;
        // Bytes that it holds may be held for as long as this session lasts.
        self.pending -= 1;
    }

    /// The client has accepted a message.
    pub(crate) fn accept(&mut self, n: u32, now: Time) {
        self.next_place += 1;
        let message = &mut self.messages[n as usize];
        message.place = Some(self.next_place);
        message.accepted_at = Some(now);
        self.pending_bytes += message.size;
        if message.qos < QoS::ExactlyOnce {
            self.pending_bytes_below_2 += message.size;
        }
        self.pending += 1;
        self.count += 1;
        self.accepted += 1;
    }
}

impl Message {
    pub(crate) const fn topic_name(&self) -> &'static str {
        if self.up {
            UP[self.topic]
        } else {
            DOWN[self.topic]
        }
    }

    pub(crate) const fn is_stable(&self) -> bool {
        !self.up && self.topic < STABLE.len()
    }

    pub(crate) fn publish(&self, n: u32) -> Publish {
        let topic = Topic::try_from(self.topic_name()).expect("a topic");
        Publish::new(topic, payload(n, self.len))
    }
}

/// The number, and bytes that follow from it.
pub(crate) fn payload(n: u32, len: usize) -> Vec<u8> {
    let rest = (4..len).map(|at| (n as usize + at) as u8);
    n.to_be_bytes().into_iter().chain(rest).collect()
}

/// The number that a payload begins with.
pub(crate) fn number(payload: &[u8]) -> Option<u32> {
    let number = payload.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*number))
}

/// The QoS of a number in a case.
pub(crate) const fn qos(value: u64) -> QoS {
    match value {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}
