//! Whose fault it is that a message was lost, or came twice: as the packets on record show.

use std::collections::HashMap;
use std::fmt;

use mqtt_proto::PacketType;

use crate::tally::Key;
use crate::tape::{Entry, Point, Side};

/// What the packets show of a message.
pub(crate) struct Story {
    pub(crate) key: Key,
    entries: Vec<Entry>,
}

impl Story {
    /// All that passed for some messages: their PUBLISHes, and what answers them under their identifiers until these are another message's.
    pub(crate) fn all(keys: &[Key], entries: &[Entry]) -> Vec<Self> {
        let mut stories: Vec<_> = keys.iter().copied().map(Self::new).collect();
        let places: HashMap<Key, usize> = keys.iter().copied().zip(0..).collect();
        let mut meant = HashMap::new();
        for entry in entries {
            let flow = (entry.side, by_client(entry), entry.id);
            let of = match entry.packet {
                PacketType::Publish => {
                    let at = entry.key.and_then(|key| places.get(&key).copied());
                    meant.insert(flow, at);
                    at
                }
                PacketType::PubAck
                | PacketType::PubRec
                | PacketType::PubRel
                | PacketType::PubComp => meant.get(&flow).copied().flatten(),
                _ => None,
            };
            if let Some(at) = of {
                stories[at].entries.push(*entry);
            }
        }
        stories
    }

    fn new(key: Key) -> Self {
        let entries = Vec::new();
        Self { key, entries }
    }

    /// The broker has told its publisher that it has it, and has never sent it on.
    pub(crate) fn lost_by_broker(&self) -> bool {
        let acknowledged = self.entries.iter().any(|entry| {
            by_client(entry)
                && entry.point == Point::ToClient
                && matches!(entry.packet, PacketType::PubAck | PacketType::PubRec)
                && !entry.refused
        });
        let sent_on = self
            .sent_on()
            .any(|entry| entry.packet == PacketType::Publish);
        acknowledged && !sent_on
    }

    /// Its publisher has published it once, and never again after PUBREC had passed to it; and the broker has sent it on as if it were two: under two
    /// identifiers, or again after a PUBREL of its own.
    pub(crate) fn doubled_by_broker(&self) -> bool {
        let (mut id, mut received, mut published_anew) = (None, false, false);
        for entry in self.entries.iter().filter(|entry| by_client(entry)) {
            match (entry.packet, entry.point) {
                (PacketType::PubRec, Point::ToClient) => received = true,
                (PacketType::Publish, Point::ToBroker) => {
                    published_anew |= received || *id.get_or_insert(entry.id) != entry.id;
                }
                _ => {}
            }
        }
        let (mut id, mut released, mut sent_anew) = (None, false, false);
        for entry in self.sent_on() {
            match entry.packet {
                PacketType::PubRel => released = true,
                PacketType::Publish => {
                    sent_anew |= released || *id.get_or_insert(entry.id) != entry.id;
                }
                _ => {}
            }
        }
        sent_anew && !published_anew
    }

    /// What the broker has said to its subscriber.
    fn sent_on(&self) -> impl Iterator<Item = &Entry> {
        let all = self.entries.iter();
        all.filter(|entry| !by_client(entry) && entry.point == Point::Said)
    }
}

/// Of an exchange that the client has begun, between a publisher and the broker, under an identifier of the client's.
fn by_client(entry: &Entry) -> bool {
    let from_client = entry.point == Point::ToBroker;
    match entry.packet {
        PacketType::Publish | PacketType::PubRel => from_client,
        _ => !from_client,
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}:", self.key.flow.topic(), self.key.number)?;
        for entry in &self.entries {
            let side = match entry.side {
                Side::Near => "client",
                Side::FarPublisher => "far publisher",
                Side::FarSubscriber => "far subscriber",
            };
            let way = match entry.point {
                Point::ToBroker => "to the broker",
                Point::Said => "by the broker",
                Point::ToClient => "let through",
            };
            writeln!(
                f,
                "  {:>7} ms  {side} {:>4}  {way:13}  {} {}{}{}",
                entry.millis,
                entry.connection,
                entry.packet,
                entry.id,
                if entry.dup { " DUP" } else { "" },
                if entry.refused { " refused" } else { "" },
            )?;
        }
        Ok(())
    }
}
