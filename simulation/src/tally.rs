//! How often what occurred, over many seeds.

use std::collections::BTreeMap;
use std::fmt;

use mqtt_session::proto::{PacketType, ReasonCode};
use mqtt_testkit::{Direction, Traffic};

use crate::case::Step;

/// Counts of everything that shall occur, and what a seed has of it in the median.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: BTreeMap<(Kind, String), u64>,
    seeds: Vec<PerSeed>,
}

/// Of one seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PerSeed {
    /// Messages that were accepted, in both directions.
    pub messages: u64,
    /// Connections that the broker accepted.
    pub connections: u64,
    /// Faults that took effect.
    pub faults: u64,
    /// Virtual time in seconds.
    pub seconds: u64,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// What a seed was drawn to be.
    Setup,
    /// A step that is a fault, when it took effect.
    Fault,
    /// A packet from the client.
    FromClient,
    /// A packet from the broker.
    FromBroker,
    /// What became of a publish.
    Outcome,
    /// A reason code, with its packet.
    Reason,
    /// Why a connection or an attempt ended.
    Lost,
    /// Anything else.
    Other,
}

impl Kind {
    const fn title(self) -> &'static str {
        match self {
            Self::Setup => "setups",
            Self::Fault => "faults",
            Self::FromClient => "packets from the client",
            Self::FromBroker => "packets from the broker",
            Self::Outcome => "outcomes",
            Self::Reason => "reason codes",
            Self::Lost => "ends of connections",
            Self::Other => "other",
        }
    }
}

impl Tally {
    /// Counts one.
    pub(crate) fn add(&mut self, kind: Kind, what: impl Into<String>) {
        self.add_many(kind, what, 1);
    }

    pub(crate) fn add_many(&mut self, kind: Kind, what: impl Into<String>, count: u64) {
        if count > 0 {
            *self.counts.entry((kind, what.into())).or_default() += count;
        }
    }

    pub(crate) fn add_traffic(&mut self, traffic: &Traffic) {
        for packet_type in PacketType::ALL {
            let name = packet_type.name();
            for (direction, kind) in [
                (Direction::ToBroker, Kind::FromClient),
                (Direction::ToClient, Kind::FromBroker),
            ] {
                self.add_many(kind, name, traffic.packets(direction, *packet_type));
            }
        }
        for ((direction, packet_type, code), count) in traffic.reasons() {
            self.add_many(
                Kind::Reason,
                reason_name(direction, packet_type, code),
                count,
            );
        }
    }

    pub(crate) fn end_seed(&mut self, seed: PerSeed) {
        self.seeds.push(seed);
    }

    /// Adds what another one has counted.
    pub fn merge(&mut self, other: Self) {
        for (key, count) in other.counts {
            *self.counts.entry(key).or_default() += count;
        }
        self.seeds.extend(other.seeds);
    }

    /// How many seeds were counted.
    pub fn seeds(&self) -> usize {
        self.seeds.len()
    }

    /// How often this occurred.
    pub fn count(&self, kind: Kind, what: &str) -> u64 {
        let key = (kind, what.to_owned());
        self.counts.get(&key).copied().unwrap_or_default()
    }

    /// What a seed has in the median of each count.
    pub fn median(&self) -> PerSeed {
        let median = |of: fn(&PerSeed) -> u64| {
            let mut all: Vec<_> = self.seeds.iter().map(of).collect();
            all.sort_unstable();
            all.get(all.len() / 2).copied().unwrap_or_default()
        };
        PerSeed {
            messages: median(|seed| seed.messages),
            connections: median(|seed| seed.connections),
            faults: median(|seed| seed.faults),
            seconds: median(|seed| seed.seconds),
        }
    }

    /// What never occurred of all that must in some thousand seeds.
    pub fn missing(&self) -> Vec<String> {
        let faults = Step::faults().map(|name| (Kind::Fault, name.to_owned()));
        let listed = EXPECTED.iter().flat_map(|(kind, names)| {
            let names = names.split(", ");
            names.map(|name| (*kind, name.trim().to_owned()))
        });
        let absent = faults
            .chain(listed)
            .filter(|key| !self.counts.contains_key(key));
        absent
            .map(|(kind, name)| format!("{}: {name}", kind.title()))
            .collect()
    }
}

/// What must occur, besides all faults.
const EXPECTED: &[(Kind, &str)] = &[
    (
        Kind::FromClient,
        "CONNECT, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT, AUTH",
    ),
    (
        Kind::FromBroker,
        "CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, PINGRESP, DISCONNECT, AUTH",
    ),
    (
        Kind::Outcome,
        "written, acknowledged, acknowledged: republished, acknowledged: not completed, rejected, refused, expired, poisonous, session lost, connection lost, closed",
    ),
    (
        Kind::Reason,
        "-> DISCONNECT 0x00 Success, -> DISCONNECT 0x81 Malformed Packet, -> DISCONNECT 0x82 Protocol Error, -> DISCONNECT 0x97 Quota exceeded, -> PUBCOMP 0x92 Packet Identifier not found, -> PUBREL 0x92 Packet Identifier not found, -> AUTH 0x18 Continue authentication, -> AUTH 0x19 Re-authenticate, <- AUTH 0x00 Success, <- CONNACK 0x80 Unspecified error, <- CONNACK 0x86 Bad User Name or Password, <- CONNACK 0x87 Not authorized, <- CONNACK 0x88 Server unavailable, <- CONNACK 0x89 Server busy, <- CONNACK 0x97 Quota exceeded, <- CONNACK 0x9C Use another server, <- CONNACK 0x9D Server moved, <- CONNACK 0x9F Connection rate exceeded, <- DISCONNECT 0x87 Not authorized, <- DISCONNECT 0x89 Server busy, <- DISCONNECT 0x8B Server shutting down, <- DISCONNECT 0x8D Keep Alive timeout, <- DISCONNECT 0x8E Session taken over, <- DISCONNECT 0x93 Receive Maximum exceeded, <- DISCONNECT 0x97 Quota exceeded, <- DISCONNECT 0x98 Administrative action, <- DISCONNECT 0x9C Use another server, <- DISCONNECT 0x9D Server moved, <- DISCONNECT 0xA0 Maximum connect time, <- PUBACK 0x10 No matching subscribers, <- PUBACK 0x87 Not authorized, <- PUBACK 0x97 Quota exceeded, <- PUBREC 0x10 No matching subscribers, <- PUBREC 0x91 Packet Identifier in use, <- PUBREC 0x99 Payload format invalid, <- PUBCOMP 0x92 Packet Identifier not found, <- SUBACK 0x80 Unspecified error, <- SUBACK 0x00 granted, <- SUBACK 0x01 granted, <- SUBACK 0x02 granted, <- UNSUBACK 0x11 No subscription existed",
    ),
];

fn reason_name(direction: Direction, packet_type: PacketType, code: ReasonCode) -> String {
    let arrow = match direction {
        Direction::ToBroker => "->",
        Direction::ToClient => "<-",
    };
    let name = code.name().unwrap_or("without a name");
    // SUBACK has the granted QoS for a code.
    if packet_type == PacketType::SubAck && !code.is_error() {
        return format!("{arrow} {} 0x{:02X} granted", packet_type.name(), code.0);
    }
    format!("{arrow} {} 0x{:02X} {name}", packet_type.name(), code.0)
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut title = None;
        for ((kind, what), count) in &self.counts {
            if title != Some(*kind) {
                title = Some(*kind);
                writeln!(f, "{}", kind.title())?;
            }
            writeln!(f, "  {count:>12}  {what}")?;
        }
        let PerSeed {
            messages,
            connections,
            faults,
            seconds,
        } = self.median();
        writeln!(
            f,
            "{} seeds; in the median {messages} messages, {connections} connections, {faults} faults, {seconds} s of virtual time",
            self.seeds.len()
        )
    }
}
