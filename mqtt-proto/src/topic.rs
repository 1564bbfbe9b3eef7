//! Topic names and topic filters (section 4.7), shared subscriptions (section 4.8.2).

use alloc::string::String;
use core::fmt;

use bytes::Bytes;

use crate::text::{self, TextError};

/// Why a topic name or topic filter is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// It has no character [MQTT-4.7.3-1].
    #[error("a topic needs at least one character")]
    Empty,
    /// It is no MQTT string [MQTT-4.7.3-2], [MQTT-4.7.3-3].
    #[error(transparent)]
    Text(#[from] TextError),
    /// A topic name has a wildcard [MQTT-4.7.0-1].
    #[error("a topic name has no wildcard, but '{wildcard}' is at byte {at}")]
    Wildcard {
        /// `+` or `#`.
        wildcard: char,
        /// Its offset.
        at: usize,
    },
    /// `#` in a filter is not alone in the last level [MQTT-4.7.1-1].
    #[error("'#' must be the whole last level of a filter, but stands at byte {at}")]
    MultiLevel {
        /// Its offset.
        at: usize,
    },
    /// `+` in a filter does not fill its level [MQTT-4.7.1-2].
    #[error(
        "'+' must be the whole level of a filter, but stands at byte {at} beside other characters"
    )]
    SingleLevel {
        /// Its offset.
        at: usize,
    },
    /// `$share/` is followed by an empty name, one with a wildcard, or no filter [MQTT-4.8.2-1], [MQTT-4.8.2-2].
    #[error("a shared subscription reads $share/name/filter, with a name without '+' and '#'")]
    Share,
}

/// A topic name: what a message is published to. Never empty, no wildcards, at most 65,535 bytes.
///
/// Cloning shares the bytes: make it once where one topic is published to often.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Bytes);

impl Topic {
    /// Takes the bytes as they are, without a copy.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, TopicError> {
        check_topic(&bytes)?;
        Ok(Self(bytes))
    }

    /// A topic that costs no allocation.
    pub fn from_static(topic: &'static str) -> Result<Self, TopicError> {
        Self::from_bytes(Bytes::from_static(topic.as_bytes()))
    }

    /// For bytes that were checked where they were read.
    pub(crate) fn checked_before(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The topic as a view, with the methods that both have.
    pub fn view(&self) -> TopicRef<'_> {
        TopicRef(&self.0)
    }

    /// The topic as a string. Checks its UTF-8 again: [`as_bytes`](Self::as_bytes) is free.
    pub fn as_str(&self) -> &str {
        text::as_str(&self.0)
    }

    /// The bytes of the topic.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes of the topic, shared.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

/// A topic name that is borrowed from a received packet (empty where a topic alias stands for it) or from a [`Topic`].
///
/// Compares, splits and hashes as bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicRef<'a>(&'a [u8]);

impl<'a> TopicRef<'a> {
    pub(crate) const fn checked_before(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The topic as a string. Checks its UTF-8 again: [`as_bytes`](Self::as_bytes) is free.
    pub fn as_str(self) -> &'a str {
        text::as_str(self.0)
    }

    /// The bytes of the topic.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether the topic is empty: then a topic alias stands for it (section 3.3.2.3.4).
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// A copy of its own. `None` where it is empty.
    pub fn to_topic(self) -> Option<Topic> {
        (!self.is_empty()).then(|| Topic(Bytes::copy_from_slice(self.0)))
    }

    /// The levels between the slashes.
    pub fn levels(self) -> impl Iterator<Item = &'a [u8]> {
        self.0.split(|b| *b == b'/')
    }
}

impl fmt::Display for TopicRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TopicRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl PartialEq<str> for TopicRef<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for TopicRef<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

/// A topic filter: what is subscribed to. `+` stands for one level, `#` for all further ones.
///
/// `$share/{name}/{filter}` is a shared subscription; [`share_name`](Self::share_name) and [`pattern`](Self::pattern) tell
/// its parts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter {
    bytes: Bytes,
    /// Where the pattern begins: behind `$share/{name}/`, or 0.
    pattern_at: u16,
    /// Where its first wildcard is, or its end.
    wildcard_at: u16,
}

impl TopicFilter {
    /// Takes the bytes as they are, without a copy.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, TopicError> {
        let pattern_at = check_filter(&bytes)?;
        let wildcard = bytes[pattern_at.into()..]
            .iter()
            .position(|b| matches!(b, b'+' | b'#'));
        // A filter has at most 65,535 bytes.
        let wildcard_at = wildcard.map_or(bytes.len(), |at| usize::from(pattern_at) + at) as u16;
        Ok(Self {
            bytes,
            pattern_at,
            wildcard_at,
        })
    }

    /// The whole filter as a string. Checks its UTF-8 again: [`as_bytes`](Self::as_bytes) is free.
    pub fn as_str(&self) -> &str {
        text::as_str(&self.bytes)
    }

    /// The bytes of the whole filter.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of the whole filter, shared.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The ShareName of a shared subscription (section 4.8.2).
    pub fn share_name(&self) -> Option<&str> {
        let end = usize::from(self.pattern_at).checked_sub(1)?;
        Some(text::as_str(&self.bytes[SHARE.len()..end]))
    }

    /// The filter that topics are matched against: all of it but for `$share/{name}/`.
    pub fn pattern(&self) -> &str {
        text::as_str(self.pattern_bytes())
    }

    /// The bytes of [`pattern`](Self::pattern).
    pub fn pattern_bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.pattern_at)..]
    }

    /// Whether the pattern has a wildcard.
    pub fn has_wildcard(&self) -> bool {
        usize::from(self.wildcard_at) < self.bytes.len()
    }

    /// Whether a message on `topic` is one for this filter (section 4.7): level by level, without normalisation
    /// [MQTT-4.7.3-4]; a leading wildcard does not match a leading `$` [MQTT-4.7.2-1].
    pub fn matches(&self, topic: TopicRef<'_>) -> bool {
        let starts_wild = self.wildcard_at == self.pattern_at;
        if starts_wild && topic.0.first() == Some(&b'$') {
            return false;
        }
        matches_levels(self.pattern_bytes(), topic.0)
    }
}

/// Goes through both, from wildcard to wildcard.
fn matches_levels(mut pattern: &[u8], mut topic: &[u8]) -> bool {
    loop {
        // A topic has no wildcard: so it is none as far as both are the same.
        let same = same_bytes(pattern, topic);
        topic = &topic[same..];
        match &pattern[same..] {
            [] => return topic.is_empty(),
            // It fills the last level: so everything further matches.
            [b'#', ..] => return true,
            // It fills its level.
            [b'+', rest @ ..] => {
                pattern = rest;
                topic = &topic[level_len(topic)..];
            }
            // `sport/#` is for `sport`, too.
            rest => return topic.is_empty() && rest == b"/#",
        }
    }
}

/// How many bytes are the same at the beginning: eight at a time, while there are so many.
#[inline]
fn same_bytes(a: &[u8], b: &[u8]) -> usize {
    let mut at = 0;
    while let (Some(left), Some(right)) = (a[at..].first_chunk(), b[at..].first_chunk()) {
        let differing = u64::from_le_bytes(*left) ^ u64::from_le_bytes(*right);
        if differing != 0 {
            return at + differing.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = a[at..].iter().zip(&b[at..]);
    at + rest.take_while(|(left, right)| left == right).count()
}

/// How long the first level is: eight bytes at a time, while there are so many.
#[inline]
fn level_len(topic: &[u8]) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    let mut at = 0;
    while let Some(word) = topic[at..].first_chunk() {
        let slashes = u64::from_le_bytes(*word) ^ (LOW * b'/' as u64);
        // The lowest high bit that is set is that of the first zero byte.
        let found = slashes.wrapping_sub(LOW) & !slashes & (LOW << 7);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = topic[at..].iter().position(|byte| *byte == b'/');
    rest.map_or(topic.len(), |rest| at + rest)
}

const SHARE: &[u8] = b"$share/";

#[inline(always)]
pub(crate) fn check_topic(bytes: &[u8]) -> Result<(), TopicError> {
    let short = !bytes.is_empty() && bytes.len() <= usize::from(u16::MAX);
    if short && text::is_plain_topic(bytes) {
        Ok(())
    } else {
        check_topic_slow(bytes)
    }
}

#[cold]
fn check_topic_slow(bytes: &[u8]) -> Result<(), TopicError> {
    // [MQTT-4.7.3-1]
    if bytes.is_empty() {
        return Err(TopicError::Empty);
    }
    text::check(bytes)?;
    // [MQTT-4.7.0-1]
    match bytes.iter().position(|b| matches!(b, b'+' | b'#')) {
        Some(at) => Err(TopicError::Wildcard {
            wildcard: char::from(bytes[at]),
            at,
        }),
        None => Ok(()),
    }
}

/// Where the pattern begins.
fn check_filter(bytes: &[u8]) -> Result<u16, TopicError> {
    // [MQTT-4.7.3-1]
    if bytes.is_empty() {
        return Err(TopicError::Empty);
    }
    text::check(bytes)?;
    let pattern_at = match bytes.strip_prefix(SHARE) {
        None => 0,
        Some(rest) => {
            // [MQTT-4.8.2-1], [MQTT-4.8.2-2]
            let name = rest
                .iter()
                .position(|b| *b == b'/')
                .ok_or(TopicError::Share)?;
            if name == 0
                || name + 1 == rest.len()
                || rest[..name].iter().any(|b| matches!(b, b'+' | b'#'))
            {
                return Err(TopicError::Share);
            }
            SHARE.len() + name + 1
        }
    };
    let mut level_at = pattern_at;
    for level in bytes[pattern_at..].split(|b| *b == b'/') {
        if let Some(at) = level.iter().position(|b| matches!(b, b'+' | b'#')) {
            let last = level_at + level.len() == bytes.len();
            match level {
                b"+" => {}
                b"#" if last => {}
                // [MQTT-4.7.1-1]
                _ if level[at] == b'#' => return Err(TopicError::MultiLevel { at: level_at + at }),
                // [MQTT-4.7.1-2]
                _ => return Err(TopicError::SingleLevel { at: level_at + at }),
            }
        }
        level_at += level.len() + 1;
    }
    // `text::check` bounds the length to what fits.
    Ok(u16::try_from(pattern_at).unwrap_or(0))
}

macro_rules! from_strings {
    ($($name:ty),*) => {$(
        impl TryFrom<&str> for $name {
            type Error = TopicError;
            fn try_from(s: &str) -> Result<Self, TopicError> {
                Self::from_bytes(Bytes::copy_from_slice(s.as_bytes()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = TopicError;
            fn try_from(s: String) -> Result<Self, TopicError> {
                Self::from_bytes(Bytes::from(s))
            }
        }

        impl TryFrom<&String> for $name {
            type Error = TopicError;
            fn try_from(s: &String) -> Result<Self, TopicError> {
                Self::try_from(s.as_str())
            }
        }

        impl TryFrom<&$name> for $name {
            type Error = TopicError;
            fn try_from(same: &$name) -> Result<Self, TopicError> {
                Ok(same.clone())
            }
        }

        impl core::str::FromStr for $name {
            type Err = TopicError;
            fn from_str(s: &str) -> Result<Self, TopicError> {
                Self::try_from(s)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.as_str().fmt(f)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }
    )*};
}

from_strings!(Topic, TopicFilter);
