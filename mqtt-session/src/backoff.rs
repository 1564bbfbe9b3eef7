use core::num::NonZeroU32;
use core::time::Duration;

use crate::config::HasUsual;

/// How long to wait between rounds of attempts to connect, in each of which every server is tried once: a delay that doubles from the
/// first to the longest, with jitter so that many clients do not come back in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The delay after the first failure (1 s).
    pub first: Duration,
    /// The longest delay, jitter aside (120 s).
    pub longest: Duration,
    /// How far a delay may be off either way, in percent of it, at most 100 (25).
    pub jitter_percent: u8,
    /// How long a connection must last for the delay to begin anew (5 s): else a server that accepts and closes at once would be
    /// asked in a tight loop.
    pub stable_after: Duration,
    /// How many rounds or connections may fail in a row before the session gives up (no bound). A connection that was stable begins
    /// the count anew.
    pub attempts: Option<NonZeroU32>,
}

impl HasUsual for Backoff {
    const USUAL: &'static Self = &Self {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(120),
        jitter_percent: 25,
        stable_after: Duration::from_secs(5),
        attempts: None,
    };
}

impl Default for Backoff {
    fn default() -> Self {
        *Self::USUAL
    }
}

impl Backoff {
    /// The delay before the attempt after `failures` in a row, of which there is at least one. `dice` decides the jitter.
    pub(crate) fn delay(&self, failures: u32, dice: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let delay = self.first.saturating_mul(1 << doublings).min(self.longest);
        let spread = delay / 100 * u32::from(self.jitter_percent.min(100));
        // Somewhere from `delay - spread` to `delay + spread`.
        let permille = u32::try_from(dice % 2001).unwrap_or(0);
        delay.saturating_sub(spread) + spread.saturating_mul(permille) / 1000
    }
}

/// SplitMix64: the session's dice. The seed is an argument, so the same inputs give the same bytes.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_to_the_longest_and_stays_within_its_jitter() {
        let backoff = Backoff::default();
        let mut dice = Dice::new(7);
        for failures in 1..100 {
            let plain = Duration::from_secs(1 << (failures - 1).min(20)).min(backoff.longest);
            for _ in 0..100 {
                let delay = backoff.delay(failures, dice.roll());
                assert!(
                    delay >= plain * 3 / 4 && delay <= plain * 5 / 4,
                    "{failures}: {delay:?}"
                );
            }
        }
    }
}
