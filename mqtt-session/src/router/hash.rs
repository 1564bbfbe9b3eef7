//! Paths through the tree as numbers.

use mqtt_proto::TopicFilter;

/// Names a node: a hash of the path to it, and in the lowest two bits which kinds of step filters go on with from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u64);

/// One level of a filter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// The level itself, by its hash.
    Literal(u64),
    /// `+`.
    Single,
}

const STEPS: u64 = 0b11;
const HASH: u64 = !STEPS;
/// Set in all keys but the root's.
const BELOW: u64 = 1 << 63;

impl Step {
    const fn bit(self) -> u64 {
        match self {
            Self::Literal(_) => 0b01,
            Self::Single => 0b10,
        }
    }
}

impl Key {
    /// No node.
    pub(super) const NONE: Self = Self(0);

    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether both name the same node.
    pub(super) const fn is_same(self, other: Self) -> bool {
        (self.0 ^ other.0) & HASH == 0
    }

    pub(super) const fn is_root(self) -> bool {
        self.0 & BELOW == 0
    }

    /// Where it would like to stand in a table.
    pub(super) const fn place(self) -> usize {
        (self.0 >> 16) as usize
    }

    /// Whether filters go on this way.
    pub(super) const fn has(self, step: Step) -> bool {
        self.0 & step.bit() != 0
    }

    pub(super) const fn with(self, step: Step) -> Self {
        Self(self.0 | step.bit())
    }

    pub(super) const fn without(self, step: Step) -> Self {
        Self(self.0 & !step.bit())
    }

    /// The node itself, and the step alone that is taken from it.
    pub(super) const fn taking(self, step: Step) -> Self {
        Self(self.0 & HASH | step.bit())
    }
}

/// What the hashes depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed {
    root: u64,
    level: u64,
    /// Bits that keys have: a few of them, and different paths meet.
    #[cfg(test)]
    kept: u64,
}

/// Bits without a pattern: the digits of pi.
const PI: [u64; 4] = [
    0x243f_6a88_85a3_08d3,
    0x1319_8a2e_0370_7344,
    0xa409_3822_299f_31d0,
    0x082e_fa98_ec4e_6c89,
];

impl Seed {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            root: mix(seed ^ PI[0], PI[1]),
            level: mix(seed ^ PI[2], PI[3]),
            #[cfg(test)]
            kept: u64::MAX,
        }
    }

    #[cfg(test)]
    pub(super) const fn weak(kept: u64) -> Self {
        let seed = Self::new(0);
        Self { kept, ..seed }
    }

    pub(super) const fn root(self) -> Key {
        // Not the same as no node.
        Key((self.root & HASH & !BELOW) | 1 << 62)
    }

    /// The node that a step leads to.
    #[inline]
    pub(super) const fn step(self, from: Key, step: Step) -> Key {
        let step = match step {
            Step::Literal(digest) => digest,
            Step::Single => PI[0],
        };
        let hash = mix((from.0 & HASH) ^ step, self.root);
        #[cfg(test)]
        let hash = hash & self.kept;
        Key((hash & HASH) | BELOW)
    }

    /// The steps of a filter, without the `#` at its end.
    pub(super) fn path(self, filter: &TopicFilter) -> impl Iterator<Item = Step> {
        let pattern = filter.pattern_bytes();
        let mut at = 0;
        Levels::new(self, pattern).map_while(move |level| {
            let bytes = pattern.get(at..level.end).unwrap_or_default();
            at = level.end + 1;
            match bytes {
                b"#" => None,
                b"+" => Some(Step::Single),
                _ => Some(Step::Literal(level.digest)),
            }
        })
    }
}

/// The levels of a topic, read eight bytes at a time.
#[derive(Debug)]
pub(super) struct Levels<'a> {
    seed: Seed,
    bytes: &'a [u8],
    /// Where the next level begins; beyond the end when there is none.
    at: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub(super) digest: u64,
    /// Where it ends.
    pub(super) end: usize,
    pub(super) last: bool,
}

impl<'a> Levels<'a> {
    pub(super) const fn new(seed: Seed, bytes: &'a [u8]) -> Self {
        Self { seed, bytes, at: 0 }
    }
}

impl Iterator for Levels<'_> {
    type Item = Level;

    #[inline(always)]
    fn next(&mut self) -> Option<Level> {
        if self.at > self.bytes.len() {
            return None;
        }
        let mut digest = self.seed.level;
        let mut at = self.at;
        loop {
            let (word, len) = word(self.bytes, at);
            let slash = first_slash(word);
            if slash == 8 && len == 8 {
                digest = mix(digest ^ word, PI[1]);
                at += 8;
                continue;
            }
            // At most 7.
            let rest = slash.min(len);
            let word = word & ((1 << (8 * rest)) - 1);
            // Zeros at the end count, too.
            digest = mix(digest ^ word, PI[2] ^ (rest as u64));
            let end = at + rest;
            self.at = end + 1;
            let last = end == self.bytes.len();
            return Some(Level { digest, end, last });
        }
    }
}

/// The next eight bytes, or as many as there are, and how many: the first one is the lowest.
#[inline]
fn word(bytes: &[u8], at: usize) -> (u64, usize) {
    if let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        return (u64::from_le_bytes(*word), 8);
    }
    let len = bytes.len() - at;
    let word = match bytes.last_chunk() {
        // Without a loop: those before are shifted out. In two steps, since `len` may be 0.
        Some(word) => u64::from_le_bytes(*word) >> 8 >> (8 * (7 - len)),
        None => {
            let rest = bytes.get(at..).unwrap_or_default();
            rest.iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u64::from(*byte))
        }
    };
    (word, len)
}

/// The index of the first `/` among eight bytes; 8 where there is none.
#[inline]
const fn first_slash(word: u64) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let zero_at_slash = word ^ (ONES * b'/' as u64);
    let found = zero_at_slash.wrapping_sub(ONES) & !zero_at_slash & (ONES << 7);
    (found.trailing_zeros() / 8) as usize
}

/// Multiplies, and folds the upper half into the lower one.
#[inline]
const fn mix(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn levels(bytes: &[u8]) -> Vec<(usize, bool)> {
        Levels::new(Seed::new(7), bytes)
            .map(|level| (level.end, level.last))
            .collect()
    }

    #[test]
    fn levels_end_where_a_slash_or_the_topic_does() {
        for topic in [
            "a",
            "/",
            "//",
            "a/b",
            "a/",
            "/a",
            "12345678",
            "1234567/",
            "1234567/9",
            "12345678/",
            "12345678/0",
            "123456789/1/",
            "/23456789012345678/0////5",
        ] {
            let mut end = 0;
            let wanted: Vec<_> = topic
                .split('/')
                .map(|level| {
                    let at = end + level.len();
                    end = at + 1;
                    (at, at == topic.len())
                })
                .collect();
            assert_eq!(levels(topic.as_bytes()), wanted, "{topic}");
        }
    }

    #[test]
    fn the_same_level_has_the_same_digest_wherever_it_stands() {
        let of = |topic: &str, index: usize| {
            let digests: Vec<_> = Levels::new(Seed::new(7), topic.as_bytes()).collect();
            digests[index].digest
        };
        for level in [
            "",
            "a",
            "1234567",
            "12345678",
            "123456789",
            "1234567890123456",
        ] {
            let alone = of(level, 0);
            assert_eq!(of(&alloc::format!("{level}/x"), 0), alone);
            assert_eq!(of(&alloc::format!("x/{level}"), 1), alone);
            assert_eq!(of(&alloc::format!("some/where/{level}/else"), 2), alone);
        }
        assert_ne!(of("a", 0), of("a\u{1}", 0));
        assert_ne!(of("", 0), of("a", 0));
    }

    /// Or else a lookup would compare many filters, though it finds the right ones.
    #[test]
    fn levels_that_differ_in_a_single_bit_have_different_digests() {
        for seed in 0..10 {
            for len in 1..=17 {
                let level = alloc::vec![b'U'; len];
                // Without the highest, and none of them makes a slash.
                let bits = (0..8 * len).filter(|bit| bit % 8 != 7);
                let others = bits.map(|bit| {
                    let mut other = level.clone();
                    other[bit / 8] ^= 1 << (bit % 8);
                    other
                });
                let all = core::iter::once(level.clone()).chain(others);
                let mut digests: Vec<_> = all
                    .flat_map(|level| {
                        let mut levels = Levels::new(Seed::new(seed), &level);
                        let first = levels.next().map(|level| level.digest);
                        assert!(levels.next().is_none());
                        first
                    })
                    .collect();
                digests.sort_unstable();
                digests.dedup();
                assert_eq!(digests.len(), 1 + 7 * len, "{seed} {len}");
            }
        }
    }
}
