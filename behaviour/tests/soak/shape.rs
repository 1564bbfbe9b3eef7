//! How a connection breaks, and how badly it does while it lasts.

use std::thread::sleep;
use std::time::Duration;

use mqtt_testkit::Rng;

/// A direction on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToBroker,
    ToClient,
}

/// How a connection ends, when so many bytes have passed one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Both ends get a reset, and what they had not read is gone.
    Reset,
    /// Both ends read an end of file behind what has passed.
    Close,
    /// Who reads this way reads an end of file; the other way goes on until the end that was told hangs up.
    HalfClose,
    /// Nothing passes this way any more; the other way does for a moment, then both are reset. So acknowledgements are lost of what was taken.
    Deaf,
    /// Nothing passes either way any more, and nobody is told.
    Mute,
}

/// A cut that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doom {
    pub(crate) cut: Cut,
    pub(crate) way: Way,
    /// So many bytes pass before.
    pub(crate) after: usize,
}

impl Doom {
    /// In the middle of what goes on.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let cut = match rng.below(20) {
            0 => Cut::Mute,
            1..6 => Cut::HalfClose,
            6..11 => Cut::Deaf,
            11..15 => Cut::Close,
            _ => Cut::Reset,
        };
        Self::with(cut, rng, 400)
    }

    /// While the client connects, or sends again what it had sent.
    pub(crate) fn draw_early(rng: &mut Rng) -> Self {
        let cut = *rng.pick(&[Cut::Reset, Cut::Close, Cut::Deaf]);
        Self::with(cut, rng, 120)
    }

    fn with(cut: Cut, rng: &mut Rng, bytes: u64) -> Self {
        Self {
            cut,
            way: *rng.pick(&[Way::ToBroker, Way::ToClient]),
            after: rng.below(bytes) as usize,
        }
    }
}

/// What a connection does to bytes that pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Nothing.
    Clear,
    /// What was read together waits so long.
    Delayed(Duration),
    /// So many bytes pass, then none for a millisecond.
    Throttled(usize),
    /// So many bytes pass one by one, the others as they come.
    OneByOne(usize),
    /// Behind so many bytes comes a time without any.
    Stalls(usize, Duration),
}

impl Shape {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        match rng.below(6) {
            0 => Self::Delayed(Duration::from_millis(rng.range(1, 10))),
            1 => Self::Throttled(rng.range(300, 3_000) as usize),
            2 => Self::OneByOne(rng.range(100, 3_000) as usize),
            3 => Self::Stalls(
                rng.below(5_000) as usize,
                Duration::from_millis(rng.range(100, 600)),
            ),
            _ => Self::Clear,
        }
    }

    /// Gives bytes on piece by piece, as slowly as it does.
    pub(crate) fn pass(&mut self, mut bytes: &[u8], mut write: impl FnMut(&[u8]) -> bool) -> bool {
        while !bytes.is_empty() {
            let count = match self {
                Self::Clear => bytes.len(),
                Self::Delayed(time) => {
                    sleep(*time);
                    bytes.len()
                }
                Self::Throttled(bytes) => *bytes,
                Self::OneByOne(0) => bytes.len(),
                Self::OneByOne(left) => {
                    *left -= 1;
                    1
                }
                Self::Stalls(0, time) => {
                    sleep(*time);
                    *self = Self::Clear;
                    continue;
                }
                Self::Stalls(left, _) => {
                    let count = bytes.len().min(*left);
                    *left -= count;
                    count
                }
            };
            let (piece, rest) = bytes.split_at(count.min(bytes.len()));
            if !write(piece) {
                return false;
            }
            if let Self::Throttled(_) = self {
                sleep(Duration::from_millis(1));
            }
            bytes = rest;
        }
        true
    }
}
