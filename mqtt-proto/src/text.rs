//! UTF-8 strings as MQTT has them (section 1.5.4).

use alloc::string::String;
use core::fmt;

use bytes::Bytes;

/// Why bytes are no MQTT string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// Not well-formed UTF-8, which also excludes surrogates and over-long forms [MQTT-1.5.4-1].
    #[error("not well-formed UTF-8 from byte {at}")]
    NotUtf8 {
        /// The offset of the first bad byte.
        at: usize,
    },
    /// Holds U+0000 [MQTT-1.5.4-2].
    #[error("holds U+0000 at byte {at}")]
    Null {
        /// Its offset.
        at: usize,
    },
    /// Longer than the 65,535 bytes that its length field can carry.
    #[error("{len} bytes long; a string holds at most 65,535")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
}

/// An MQTT string: at most 65,535 bytes of well-formed UTF-8 without U+0000. A byte order mark is kept [MQTT-1.5.4-3].
///
/// Cloning shares the bytes.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Bytes);

impl Text {
    /// Takes the bytes as they are, without a copy.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, TextError> {
        check(&bytes)?;
        Ok(Self(bytes))
    }

    /// For bytes that were checked where they were read.
    pub(crate) fn checked_before(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The string. Checks its UTF-8 again, since this crate has no unsafe code: [`as_bytes`](Self::as_bytes) is free.
    pub fn as_str(&self) -> &str {
        as_str(&self.0)
    }

    /// The bytes of the string.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes of the string, shared.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is the empty string.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<&str> for Text {
    type Error = TextError;
    fn try_from(s: &str) -> Result<Self, TextError> {
        Self::from_bytes(Bytes::copy_from_slice(s.as_bytes()))
    }
}

impl TryFrom<String> for Text {
    type Error = TextError;
    fn try_from(s: String) -> Result<Self, TextError> {
        Self::from_bytes(Bytes::from(s))
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// The string in bytes that were checked when they were read. Were they not, that is a bug here: it shows as an empty string
/// in a release build, never as a panic.
pub(crate) fn as_str(bytes: &[u8]) -> &str {
    let text = core::str::from_utf8(bytes);
    debug_assert!(text.is_ok(), "unchecked text");
    text.unwrap_or_default()
}

/// Checks a string as section 1.5.4 asks.
#[inline]
pub(crate) fn check(bytes: &[u8]) -> Result<(), TextError> {
    if bytes.len() <= usize::from(u16::MAX) && is_plain(bytes) {
        Ok(())
    } else {
        check_slow(bytes)
    }
}

#[cold]
fn check_slow(bytes: &[u8]) -> Result<(), TextError> {
    if bytes.len() > usize::from(u16::MAX) {
        return Err(TextError::TooLong { len: bytes.len() });
    }
    // [MQTT-1.5.4-1]
    core::str::from_utf8(bytes).map_err(|e| TextError::NotUtf8 {
        at: e.valid_up_to(),
    })?;
    // [MQTT-1.5.4-2]
    match bytes.iter().position(|b| *b == 0) {
        Some(at) => Err(TextError::Null { at }),
        None => Ok(()),
    }
}

/// Whether all bytes are ASCII and none is NUL.
#[inline]
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    scan(bytes, |word| word | word.wrapping_sub(LOW))
}

/// Whether all bytes are ASCII, and none is NUL, `+` or `#`: a topic name that needs no closer look.
#[inline(always)]
pub(crate) fn is_plain_topic(bytes: &[u8]) -> bool {
    // `+` and `#` differ in one bit: without it, both are zero after the exclusive or.
    let wildcard = |word: u64| (word & !(LOW * 0x08)) ^ (LOW * 0x23);
    scan(bytes, |word| {
        word | word.wrapping_sub(LOW) | wildcard(word).wrapping_sub(LOW)
    })
}

/// Whether `suspects` sets the high bit of no byte. Words overlap where the length is no multiple of eight.
///
/// `word.wrapping_sub(LOW)` sets the high bit of the lowest zero byte; where all bytes are ASCII and none is zero it sets none.
#[inline(always)]
fn scan(bytes: &[u8], suspects: impl Fn(u64) -> u64) -> bool {
    let len = bytes.len();
    let pair = |chunk: &[u8; 16]| {
        let both = u128::from_le_bytes(*chunk);
        suspects(both as u64) | suspects((both >> 64) as u64)
    };
    let seen = if let (Some(first), Some(last)) =
        (bytes.first_chunk::<16>(), bytes.last_chunk::<16>())
    {
        let mut seen = pair(first) | pair(last);
        if len > 32 {
            for chunk in bytes[16..].as_chunks::<16>().0 {
                seen |= pair(chunk);
            }
        }
        seen
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        suspects(u64::from_le_bytes(*first)) | suspects(u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let (low, high) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        suspects(u64::from(low) | u64::from(high) << 32)
    } else if let (Some(first), Some(last)) = (bytes.first(), bytes.last()) {
        let a = b'a';
        suspects(u64::from_le_bytes([
            *first,
            bytes[len / 2],
            *last,
            a,
            a,
            a,
            a,
            a,
        ]))
    } else {
        0
    };
    seen & HIGH == 0
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_checks_agree_with_a_look_at_each_byte() {
        for len in 0..70 {
            for at in 0..len.max(1) {
                for byte in 0..=255 {
                    let mut text = alloc::vec![b'a'; len];
                    if let Some(b) = text.get_mut(at) {
                        *b = byte;
                    }
                    let plain = text.iter().all(|b| b.is_ascii() && *b != 0);
                    assert_eq!(is_plain(&text), plain, "{text:?}");
                    let topic = plain && !text.iter().any(|b| matches!(b, b'+' | b'#'));
                    assert_eq!(is_plain_topic(&text), topic, "{text:?}");
                }
            }
        }
    }
}
