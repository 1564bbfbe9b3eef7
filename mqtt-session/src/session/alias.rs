//! Topic aliases (section 3.3.2.3.4): numbers that stand for topics, for as long as one connection lasts [MQTT-3.3.2-7].

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::num::NonZeroU16;

use mqtt_proto::{EncodeError, Flow, Publish, PublishView, Topic};

use super::expiry::Expiry;
use super::link::Link;
use crate::{Instant, Violation};

/// The shortest topic that gets an alias. An alias takes three bytes: they are added to the first message, and replace the topic in
/// the second, which from this length on has paid for both.
const WORTH: usize = 7;

/// What a PUBLISH has at most besides topic, properties and payload: fixed header, lengths, identifier.
const FRAMING: usize = 5 + 2 + 2 + 4;

impl Link {
    /// Encodes a PUBLISH, by an alias where that saves bytes.
    #[inline]
    pub(super) fn publish(&mut self, publish: &Publish, flow: Flow) -> Result<usize, EncodeError> {
        if self.aliases.max == 0 {
            self.encoder.publish(publish, flow, None, &mut self.outbox)
        } else {
            self.publish_by_alias(publish, flow)
        }
    }

    /// The same for a message that has waited: with what is left of its Message Expiry Interval.
    #[inline(never)]
    pub(super) fn publish_expiring(
        &mut self,
        publish: &Publish,
        expiry: Expiry,
        now: Instant,
        flow: Flow,
    ) -> Result<usize, EncodeError> {
        match expiry.shortened(publish, now) {
            Some(shortened) => self.publish_by_alias(&shortened, flow),
            None => self.publish_by_alias(publish, flow),
        }
    }

    /// Encodes a PUBLISH with its topic. Apart from the first time, which is worth its own copy of the encoder's code.
    #[inline(never)]
    pub(super) fn publish_plain(
        &mut self,
        publish: &Publish,
        flow: Flow,
        alias: Option<NonZeroU16>,
    ) -> Result<usize, EncodeError> {
        self.encoder.publish(publish, flow, alias, &mut self.outbox)
    }

    #[inline(never)]
    fn publish_by_alias(&mut self, publish: &Publish, flow: Flow) -> Result<usize, EncodeError> {
        let topic = publish.topic().as_bytes();
        match self.aliases.look_up(topic) {
            Use::Topic => self.publish_plain(publish, flow, None),
            Use::Alias(alias) => {
                // What is accepted does not depend on which aliases there are: it must fit with its topic, too, as it is sent
                // again over another connection [MQTT-3.2.2-15].
                if publish.size() + FRAMING > self.encoder.max_packet_size() as usize {
                    self.encoder.publish_len(publish, flow, None)?;
                }
                self.encoder
                    .publish_by_alias(publish, flow, alias, &mut self.outbox)
            }
            Use::Both(alias, digest) => match self.publish_plain(publish, flow, Some(alias)) {
                Ok(len) => {
                    self.aliases.set(alias, digest, topic);
                    Ok(len)
                }
                // There is no room for an alias beside the topic.
                Err(EncodeError::PacketTooLarge { .. }) => self.publish_plain(publish, flow, None),
                Err(error) => Err(error),
            },
        }
    }
}

/// The aliases that we give to topics.
///
/// While there are free ones, each topic of [`WORTH`] gets one with its first message. Afterwards a topic takes over that which was
/// not used for the longest time, but only when it comes for the second time within about as many other topics as there are aliases:
/// so topics that are never seen again cost nothing, and more topics in turn than there are aliases do not chase each other out.
#[derive(Debug)]
pub(super) struct Aliases {
    /// The largest that may be used: the server's Topic Alias Maximum, and ours.
    max: u16,
    table: Option<Box<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    /// Alias 1 stands first.
    names: Vec<Name>,
    /// Alias by digest. Of two topics with the same digest one has none.
    index: BTreeMap<u64, u16>,
    /// The ends of the list by last use, as indices.
    newest: u16,
    oldest: u16,
    /// Digests of topics that have none, each at a place that it tells itself.
    seen: Box<[u64]>,
}

#[derive(Debug)]
struct Name {
    /// A copy: the message's own bytes may be a small part of a large buffer.
    topic: Box<[u8]>,
    digest: u64,
    newer: u16,
    older: u16,
}

/// How a topic is to be sent.
enum Use {
    Topic,
    /// The server knows it by this alias.
    Alias(NonZeroU16),
    /// With an alias that the server learns by it. The second is its digest.
    Both(NonZeroU16, u64),
}

impl Aliases {
    /// At most so many. Takes no memory until they are used.
    pub(super) const fn new(max: u16) -> Self {
        Self { max, table: None }
    }

    fn look_up(&mut self, topic: &[u8]) -> Use {
        if topic.len() < WORTH || self.max == 0 {
            return Use::Topic;
        }
        let max = self.max;
        let table = self.table.get_or_insert_default();
        if table
            .name(table.newest)
            .is_some_and(|name| *name.topic == *topic)
        {
            return alias(table.newest).map_or(Use::Topic, Use::Alias);
        }
        let digest = digest(topic);
        if let Some(index) = table.index.get(&digest).copied() {
            if table.name(index).is_none_or(|name| *name.topic != *topic) {
                return Use::Topic;
            }
            table.touch(index);
            return alias(index).map_or(Use::Topic, Use::Alias);
        }
        let free = table.names.len() < usize::from(max);
        if free || table.comes_again(digest, max) {
            let index = if free {
                table.names.len() as u16
            } else {
                table.oldest
            };
            return alias(index).map_or(Use::Topic, |alias| Use::Both(alias, digest));
        }
        Use::Topic
    }

    /// The server will learn it: the PUBLISH is encoded.
    fn set(&mut self, alias: NonZeroU16, digest: u64, topic: &[u8]) {
        let Some(table) = &mut self.table else { return };
        let index = alias.get() - 1;
        let topic = Box::from(topic);
        if let Some(name) = table.names.get_mut(usize::from(index)) {
            table.index.remove(&name.digest);
            (name.topic, name.digest) = (topic, digest);
            table.touch(index);
        } else {
            // The newest is its own neighbour on the newer side, the oldest on the older.
            let older = if index == 0 { index } else { table.newest };
            if let Some(before) = table.names.get_mut(usize::from(older)) {
                before.newer = index;
            }
            table.names.push(Name {
                topic,
                digest,
                newer: index,
                older,
            });
            table.newest = index;
        }
        table.index.insert(digest, index);
    }
}

impl Table {
    fn name(&self, index: u16) -> Option<&Name> {
        self.names.get(usize::from(index))
    }

    /// Makes it the last that was used.
    fn touch(&mut self, index: u16) {
        let Some(name) = self.names.get_mut(usize::from(index)) else {
            return;
        };
        let (newer, older) = (name.newer, name.older);
        if newer == index {
            return;
        }
        (name.newer, name.older) = (index, self.newest);
        let is_oldest = older == index;
        if let Some(next) = self.names.get_mut(usize::from(newer)) {
            next.older = if is_oldest { newer } else { older };
        }
        if is_oldest {
            self.oldest = newer;
        } else if let Some(previous) = self.names.get_mut(usize::from(older)) {
            previous.newer = newer;
        }
        if let Some(newest) = self.names.get_mut(usize::from(self.newest)) {
            newest.newer = index;
        }
        self.newest = index;
    }

    /// Takes note of a topic that has no alias. Whether it came before, and not too long ago.
    fn comes_again(&mut self, digest: u64, max: u16) -> bool {
        if self.seen.is_empty() {
            self.seen = alloc::vec![0; usize::from(max).next_power_of_two()].into_boxed_slice();
        }
        let place = (digest >> 32) as usize & (self.seen.len() - 1);
        let seen = self.seen.get_mut(place);
        seen.is_some_and(|seen| core::mem::replace(seen, digest) == digest)
    }
}

fn alias(index: u16) -> Option<NonZeroU16> {
    index.checked_add(1).and_then(NonZeroU16::new)
}

/// Tells topics apart, though not those that somebody makes up to be alike: these share an alias's place, and get none.
fn digest(topic: &[u8]) -> u64 {
    let mix =
        |digest: u64, word: u64| (digest.rotate_left(5) ^ word).wrapping_mul(0x517C_C1B7_2722_0A95);
    let (words, rest) = topic.as_chunks();
    let digest = words.iter().fold(topic.len() as u64, |digest, word| {
        mix(digest, u64::from_le_bytes(*word))
    });
    let last = rest
        .iter()
        .fold(0, |last, byte| last << 8 | u64::from(*byte));
    mix(digest, last)
}

/// What the server's aliases stand for: at most our Topic Alias Maximum, so many topics at most.
#[derive(Debug, Default)]
pub(super) struct Known(Vec<Option<Topic>>);

impl Known {
    /// Learns what the alias of a PUBLISH stands for, or gives the PUBLISH its topic.
    #[inline(never)]
    pub(super) fn resolve(
        &mut self,
        alias: NonZeroU16,
        max: u16,
        publish: &mut PublishView,
    ) -> Result<(), Violation> {
        // [MQTT-3.1.2-26], [MQTT-3.1.2-27], [MQTT-3.3.2-10], [MQTT-3.3.2-11]
        if alias.get() > max {
            let alias = alias.get();
            return Err(Violation::TopicAlias { alias, max });
        }
        let index = usize::from(alias.get() - 1);
        let known = self.0.get(index).and_then(Option::as_ref);
        let topic = publish.topic();
        if topic.is_empty() {
            let topic = known.ok_or(Violation::UnknownTopicAlias { alias })?;
            publish.name(topic.view());
            return Ok(());
        }
        // A copy, which does not hold the read buffer. None where the server says the same again.
        if known.is_none_or(|known| known.as_bytes() != topic.as_bytes()) {
            if self.0.len() <= index {
                self.0.resize(index + 1, None);
            }
            if let Some(entry) = self.0.get_mut(index) {
                *entry = topic.to_topic();
            }
        }
        Ok(())
    }
}
