/// A small generator of numbers that look random: SplitMix64. The same seed gives the same numbers, for ever.
///
/// Good enough to choose where to cut a link; of no use for secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// Any seed is a good one.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, or 0 where `bound` is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product: each number is as likely as any other, to within `bound` in 2^64.
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    ///
    /// # Panics
    ///
    /// If `low` is above `high`.
    pub const fn range(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "an empty range");
        match (high - low).checked_add(1) {
            Some(span) => low + self.below(span),
            None => self.next_u64(),
        }
    }

    /// `true` about once in `one_in` calls; never where that is 0.
    pub const fn chance(&mut self, one_in: u64) -> bool {
        one_in != 0 && self.below(one_in) == 0
    }

    /// One of `items`.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub const fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// A generator of its own, so that what one part of a test draws does not change what another draws.
    pub const fn fork(&mut self) -> Self {
        Self::new(self.next_u64())
    }
}
