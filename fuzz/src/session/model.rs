//! What a client may do, told in the simplest way: maps and lists of everything that passed, looked through each time.

mod in_vain;
mod inbox;
mod server;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mqtt_proto::{Packet, PublishView, QoS, ReasonCode, Version};
use mqtt_session::{Event, Outcome, Token};

pub(super) use inbox::{Bounds, Waiting};

/// The session as an onlooker on the wire and at the API sees it.
#[derive(Debug)]
pub(super) struct Model {
    version: Version,
    /// Everything that was accepted, by the number in its payload.
    messages: BTreeMap<u32, Message>,
    requests: BTreeMap<Token, bool>,
    /// What the server may hold of ours, by packet identifier.
    flights: BTreeMap<u16, Flight>,
    /// QoS 2 from the server: PUBREC went out, PUBREL has not come.
    recorded: BTreeSet<u16>,
    /// From earlier connections: the server may have lost the session without telling, or told it where nobody heard.
    doubtful: BTreeSet<u16>,
    /// The latest CONNECT has no CONNACK yet.
    unheard: bool,
    /// Messages of the server that are not acknowledged.
    unacknowledged: BTreeMap<u16, Arrival>,
    bounds: Bounds,
    /// Those that the application has not taken yet, in their order.
    waiting: VecDeque<Waiting>,
    /// What they and those cost that it has.
    bytes: usize,
    /// Those of QoS 0 that there was no room for.
    pub(super) dropped: u64,
    /// How many messages there were.
    arrived: u32,
    /// The read buffer that packets come out of.
    buffer: Option<usize>,
    link: Link,
    pub(super) closed: bool,
}

#[derive(Debug)]
struct Message {
    token: Token,
    qos: QoS,
    outcome: Option<Outcome>,
    /// What the server said of it.
    answer: Option<ReasonCode>,
    /// Where its last byte stands in the bytes of this connection.
    end: Option<u64>,
}

/// A message of the server.
#[derive(Debug)]
struct Arrival {
    number: u32,
    qos: QoS,
    /// Its ticket came back.
    given_back: bool,
}

#[derive(Debug)]
struct Flight {
    number: u32,
    qos: QoS,
    released: bool,
    /// Sent, or released, on this connection.
    here: bool,
    /// Where its PUBLISH begins among the bytes of the connection that it was sent on last.
    start: u64,
    /// It was encoded, and the connection ended before anybody took it.
    in_vain: bool,
    /// A byte of it had left when an earlier connection ended.
    left: bool,
}

#[derive(Debug)]
struct Link {
    connect: Option<Promised>,
    connected: bool,
    said_goodbye: bool,
    /// The CONNECT of the connection before had no CONNACK.
    unheard_before: bool,
    server: Server,
    /// PUBLISH of QoS 1 and 2 that the server has not answered to the end.
    counted: BTreeSet<u16>,
    aliases: BTreeMap<u16, String>,
    their_aliases: BTreeMap<u16, String>,
    /// What is to be acknowledged, in order.
    pubacks: VecDeque<u16>,
    pubrecs: VecDeque<u16>,
    /// Answers that are due at once.
    pubrecs_again: Vec<u16>,
    pubrels: Vec<u16>,
    pubcomps: Vec<u16>,
    /// PINGREQ has no answer.
    pinging: bool,
    /// How many were recorded over it and not released.
    recorded_here: usize,
    asked: BTreeMap<u16, Asked>,
    sent: u64,
    written: u64,
    /// The latest numbers that went out, for QoS 0 and for the others.
    latest: [u32; 2],
}

/// What CONNECT said.
#[derive(Debug)]
struct Promised {
    clean_start: bool,
    topic_alias_maximum: u16,
}

#[derive(Debug)]
struct Asked {
    subscribe: bool,
    filters: usize,
}

/// What CONNACK said.
#[derive(Debug)]
struct Server {
    receive_maximum: u16,
    maximum_qos: u8,
    retain_available: bool,
    maximum_packet_size: u32,
    topic_alias_maximum: u16,
}

/// What must follow a packet of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The connection goes on.
    Goes,
    /// It ends.
    Ends,
    /// Either is right.
    Either,
}

impl Link {
    fn new() -> Self {
        Self {
            connect: None,
            connected: false,
            said_goodbye: false,
            unheard_before: false,
            server: Server {
                receive_maximum: u16::MAX,
                maximum_qos: 2,
                retain_available: true,
                maximum_packet_size: u32::MAX,
                topic_alias_maximum: 0,
            },
            counted: BTreeSet::new(),
            aliases: BTreeMap::new(),
            their_aliases: BTreeMap::new(),
            pubacks: VecDeque::new(),
            pubrecs: VecDeque::new(),
            pubrecs_again: Vec::new(),
            pubrels: Vec::new(),
            pubcomps: Vec::new(),
            pinging: false,
            recorded_here: 0,
            asked: BTreeMap::new(),
            sent: 0,
            written: 0,
            latest: [0; 2],
        }
    }
}

impl Model {
    pub(super) fn new(version: Version, bounds: Bounds) -> Self {
        Self {
            version,
            messages: BTreeMap::new(),
            requests: BTreeMap::new(),
            flights: BTreeMap::new(),
            recorded: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            unheard: false,
            unacknowledged: BTreeMap::new(),
            bounds,
            waiting: VecDeque::new(),
            bytes: 0,
            dropped: 0,
            arrived: 0,
            buffer: None,
            link: Link::new(),
            closed: false,
        }
    }

    /// Packet identifiers that an answer would be about.
    pub(super) fn ids(&self) -> Vec<u16> {
        let asked = self.link.asked.keys();
        self.flights.keys().chain(asked).copied().collect()
    }

    /// Packet identifiers that the server has used.
    pub(super) fn their_ids(&self) -> Vec<u16> {
        let recorded = self.recorded.iter();
        self.unacknowledged
            .keys()
            .chain(recorded)
            .copied()
            .collect()
    }

    pub(super) fn accepted(&mut self, number: u32, token: Token, qos: QoS) {
        let message = Message {
            token,
            qos,
            outcome: None,
            answer: None,
            end: None,
        };
        assert!(
            self.messages.values().all(|other| other.token < token),
            "tokens count up"
        );
        self.messages.insert(number, message);
    }

    pub(super) fn requested(&mut self, token: Token) {
        assert!(
            self.requests.insert(token, false).is_none(),
            "a token twice"
        );
    }

    pub(super) fn opened(&mut self) {
        self.link = Link::new();
        self.link.unheard_before = std::mem::replace(&mut self.unheard, true);
    }

    /// The stream is gone.
    pub(super) fn gone(&mut self) {
        let written = self.link.written;
        self.link = Link::new();
        self.flights.values_mut().for_each(|flight| {
            flight.left |= flight.here && !flight.in_vain && flight.start < written;
            flight.here = false;
        });
        self.messages
            .values_mut()
            .for_each(|message| message.end = None);
    }

    pub(super) fn wrote(&mut self, n: usize) {
        self.link.written += n as u64;
    }

    /// The client sends this.
    pub(super) fn sent(&mut self, packet: &Packet, len: usize) {
        assert!(!self.link.said_goodbye, "{packet:?} after DISCONNECT");
        self.link.sent += len as u64;
        assert!(
            len as u64 <= u64::from(self.link.server.maximum_packet_size),
            "{len} bytes are too many for the server"
        );
        if let Packet::Connect(connect) = packet {
            assert!(self.link.connect.is_none(), "a second CONNECT");
            self.link.connect = Some(Promised {
                clean_start: connect.clean_start,
                topic_alias_maximum: connect.properties.view().topic_alias_maximum().unwrap_or(0),
            });
            return;
        }
        assert!(self.link.connect.is_some(), "{packet:?} before CONNECT");
        if let Packet::Disconnect(disconnect) = packet {
            assert!(self.link.connected || self.version == Version::V5);
            assert!(self.version == Version::V5 || disconnect.reason == ReasonCode::SUCCESS);
            self.link.said_goodbye = true;
            return;
        }
        assert!(self.link.connected, "{packet:?} before CONNACK");
        match packet {
            Packet::Publish(publish) => self.published(publish, len as u64),
            Packet::PubAck(ack) => {
                let id = ack.id.get();
                assert_eq!(self.link.pubacks.pop_front(), Some(id), "PUBACKs in order");
                self.acknowledges(id);
            }
            Packet::PubRec(ack) => {
                let id = ack.id.get();
                if take(&mut self.link.pubrecs_again, id) {
                    return;
                }
                assert_eq!(self.link.pubrecs.pop_front(), Some(id), "PUBRECs in order");
                self.acknowledges(id);
                self.recorded.insert(id);
                self.link.recorded_here += 1;
            }
            Packet::PubRel(ack) => {
                let id = ack.id.get();
                let again = self.flights.get_mut(&id).is_some_and(|flight| {
                    flight.released && !std::mem::replace(&mut flight.here, true)
                });
                assert!(
                    again || take(&mut self.link.pubrels, id),
                    "PUBREL {id} without PUBREC"
                );
            }
            Packet::PubComp(ack) => assert!(
                take(&mut self.link.pubcomps, ack.id.get()),
                "PUBCOMP without PUBREL"
            ),
            Packet::Subscribe(subscribe) => {
                self.asks(subscribe.id.get(), true, subscribe.filters.len())
            }
            Packet::Unsubscribe(unsubscribe) => {
                self.asks(unsubscribe.id.get(), false, unsubscribe.filters.len());
            }
            Packet::PingReq => self.link.pinging = true,
            other => panic!("a client sends {other:?}"),
        }
    }

    fn acknowledges(&mut self, id: u16) {
        let arrival = self.unacknowledged.remove(&id).expect("it came");
        assert!(
            arrival.given_back,
            "{id} is acknowledged before the application has dealt with it"
        );
    }

    fn asks(&mut self, id: u16, subscribe: bool, filters: usize) {
        assert!(
            !self.flights.contains_key(&id),
            "the identifier {id} is in use"
        );
        let asked = self.link.asked.insert(id, Asked { subscribe, filters });
        assert!(asked.is_none(), "the identifier {id} is in use");
    }

    fn published(&mut self, publish: &PublishView, len: u64) {
        let server = &self.link.server;
        assert!(publish.qos().as_u8() <= server.maximum_qos);
        assert!(server.retain_available || !publish.retain());
        if let Some(alias) = publish.topic_alias() {
            let (alias, topic) = (alias.get(), publish.topic().as_str());
            assert!(alias <= server.topic_alias_maximum);
            if !topic.is_empty() {
                self.link.aliases.insert(alias, topic.to_owned());
            }
            assert!(
                self.link.aliases.contains_key(&alias),
                "an alias without a topic"
            );
        } else {
            assert!(!publish.topic().as_str().is_empty());
        }
        let (qos, number) = (publish.qos(), number(publish));
        let message = self.messages.get_mut(&number).expect("it was accepted");
        assert_eq!((message.outcome, message.qos), (None, qos));
        let latest = &mut self.link.latest[usize::from(qos != QoS::AtMostOnce)];
        assert!(*latest < number, "{number} behind {latest}");
        *latest = number;
        let Some(id) = publish.packet_id() else {
            message.end = Some(self.link.sent);
            return;
        };
        let id = id.get();
        let before = self.flights.get(&id);
        let left = before.is_some_and(|before| before.number == number && before.left);
        let flight = Flight {
            number,
            qos,
            released: false,
            here: true,
            start: self.link.sent - len,
            in_vain: false,
            left,
        };
        match self.flights.insert(id, flight) {
            Some(before) if before.number == number => {
                assert_eq!(publish.dup(), before.left, "DUP where a byte had left");
                assert!(!before.released && !before.here, "sent again");
            }
            Some(before) => {
                // What could not be sent again has its outcome, and at QoS 1 leaves its identifier.
                let outcome = self.messages[&before.number].outcome;
                assert!(
                    outcome.is_some() && before.qos == QoS::AtLeastOnce,
                    "{id} is in use"
                );
                assert!(!publish.dup());
            }
            None => assert!(!publish.dup(), "DUP at first"),
        }
        assert!(
            !self.link.asked.contains_key(&id),
            "the identifier {id} is in use"
        );
        self.link.counted.insert(id);
        if self.version == Version::V5 {
            assert!(
                self.link.counted.len() <= usize::from(self.link.server.receive_maximum),
                "above Receive Maximum"
            );
        }
    }

    /// The session tells this.
    pub(super) fn event(&mut self, event: &Event) {
        assert!(!self.closed, "{event:?} after the end");
        match event {
            Event::Published { token, outcome } => self.outcome(*token, *outcome),
            Event::Subscribed { token, .. } | Event::Unsubscribed { token, .. } => {
                let told = self.requests.get_mut(token).expect("it was asked for");
                assert!(!std::mem::replace(told, true), "{token:?} is told twice");
            }
            Event::Closed => {
                self.closed = true;
                self.unacknowledged.clear();
            }
            _ => {}
        }
    }

    /// Whether what came up to now can have led to this: an event may be behind packets that came with others.
    pub(super) fn explains(&self, event: &Event) -> bool {
        match event {
            Event::Published {
                token,
                outcome: Outcome::Acknowledged { reason, .. } | Outcome::Rejected(reason),
            } => {
                let mut messages = self.messages.values();
                let message = messages.find(|message| message.token == *token);
                message.is_none_or(|message| message.answer == Some(*reason))
            }
            Event::Lost { .. } | Event::Closed => false,
            _ => true,
        }
    }

    /// Whether the server has accepted the connection.
    pub(super) fn is_connected(&self) -> bool {
        self.link.connected
    }

    fn outcome(&mut self, token: Token, outcome: Outcome) {
        let message = self
            .messages
            .values_mut()
            .find(|message| message.token == token)
            .expect("it was accepted");
        assert_eq!(
            message.outcome, None,
            "{token:?} has a second outcome: {outcome:?}"
        );
        message.outcome = Some(outcome);
        match outcome {
            Outcome::Written => {
                assert_eq!(message.qos, QoS::AtMostOnce);
                let end = message.end.expect("it was sent");
                assert!(end <= self.link.written, "{end} of {}", self.link.written);
            }
            Outcome::Acknowledged { reason, .. } => {
                assert_ne!(message.qos, QoS::AtMostOnce);
                assert_eq!(message.answer, Some(reason));
                assert!(!reason.is_error());
            }
            Outcome::Rejected(reason) => {
                assert_eq!(message.answer, Some(reason));
                assert!(reason.is_error());
            }
            Outcome::ConnectionLost => assert_eq!(message.qos, QoS::AtMostOnce),
            Outcome::SessionLost => assert_ne!(message.qos, QoS::AtMostOnce),
            Outcome::Refused(refused) => assert!(!refused.is_full()),
            _ => {}
        }
    }

    /// The session is over: everything was told.
    pub(super) fn check_end(&self) {
        assert!(self.closed, "it did not close");
        for (number, message) in &self.messages {
            assert!(
                message.outcome.is_some(),
                "{number} has no outcome: {message:?}"
            );
        }
        for (token, told) in &self.requests {
            assert!(told, "{token:?} was never answered");
        }
    }
}

/// The number that stands in the payload.
pub(super) fn number(publish: &PublishView) -> u32 {
    let bytes = publish.payload().first_chunk().expect("a payload of ours");
    u32::from_be_bytes(*bytes)
}

fn take(list: &mut Vec<u16>, id: u16) -> bool {
    let found = list.iter().position(|other| *other == id);
    found.map(|at| list.remove(at)).is_some()
}
