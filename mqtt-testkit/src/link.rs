//! A faulty pipe for bytes.

mod lane;

use bytes::BytesMut;

use crate::{Rng, Time};
use lane::Lane;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the client to the broker.
    ToBroker,
    /// From the broker to the client.
    ToClient,
}

impl Direction {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::ToBroker, Self::ToClient];

    /// The other one.
    pub const fn opposite(self) -> Self {
        match self {
            Self::ToBroker => Self::ToClient,
            Self::ToClient => Self::ToBroker,
        }
    }
}

/// In which pieces bytes arrive. One call of [`Link::receive`] gives one piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pieces {
    /// All that is due, in one piece: several sends are joined.
    #[default]
    Joined,
    /// Each as it was sent.
    AsSent,
    /// At most this many bytes, joined or torn apart without regard to how they were sent. 0 counts as 1.
    Fixed(usize),
    /// From 1 to this many bytes, drawn from the seed of the link. 0 counts as 1.
    Random(usize),
}

/// Two directions of bytes in order between one client and one broker, like a TCP connection, with the faults that a test asks for.
///
/// A link is one network connection: after a cut, make a new one.
#[derive(Clone, Debug)]
pub struct Link {
    lanes: [Lane; 2],
    rng: Rng,
    cut: bool,
}

impl Link {
    /// A link without delay and faults. The seed decides about [`Pieces::Random`].
    pub fn new(seed: u64) -> Self {
        Self {
            lanes: [Lane::default(), Lane::default()],
            rng: Rng::new(seed),
            cut: false,
        }
    }

    /// How long bytes are under way that are sent from now on (nothing). A shorter delay than before never lets bytes overtake.
    pub fn set_delay(&mut self, direction: Direction, delay: Time) {
        self.lane_mut(direction).delay = delay;
    }

    /// In which pieces bytes arrive ([`Pieces::Joined`]).
    pub fn set_pieces(&mut self, direction: Direction, pieces: Pieces) {
        self.lane_mut(direction).pieces = pieces;
    }

    /// How many bytes that were not received yet a direction holds before [`send`](Self::send) takes no more (no bound).
    pub fn set_capacity(&mut self, direction: Direction, bytes: usize) {
        self.lane_mut(direction).capacity = bytes;
    }

    /// Sends bytes, and returns how many were taken: all of them unless the [capacity](Self::set_capacity) is reached.
    ///
    /// Bytes that go into a cut link, a half-open direction, or a finished one are taken and lost, as with a socket.
    pub fn send(&mut self, now: Time, direction: Direction, bytes: &[u8]) -> usize {
        if self.cut {
            return bytes.len();
        }
        self.lane_mut(direction).send(now, bytes)
    }

    /// Appends the next piece that has arrived by `now` to `into`, and returns its length: 0 where there is none.
    ///
    /// Call it until it returns 0, and hand on what came after each call, or the pieces are joined again. This is where a cut
    /// [after some bytes](Self::cut_after) happens.
    pub fn receive(&mut self, now: Time, direction: Direction, into: &mut BytesMut) -> usize {
        if self.cut {
            return 0;
        }
        let lane = &mut self.lanes[direction as usize];
        let count = lane.receive(now, &mut self.rng, into);
        if lane.cut_after.is_some_and(|limit| lane.received >= limit) {
            self.cut();
        }
        count
    }

    /// When the next bytes, or the end of a [finished](Self::finish) direction, arrive: at or before the `now` of the last call where
    /// they wait to be received. `None` where nothing is under way, or where it is stalled.
    pub fn next_time(&self) -> Option<Time> {
        if self.cut {
            return None;
        }
        self.lanes.iter().filter_map(Lane::next_time).min()
    }

    /// The same for one direction.
    pub fn next_time_in(&self, direction: Direction) -> Option<Time> {
        if self.cut {
            return None;
        }
        self.lane(direction).next_time()
    }

    /// How many bytes were sent and neither received nor lost.
    pub fn under_way(&self, direction: Direction) -> usize {
        self.lane(direction).waiting()
    }

    /// How many bytes have been received.
    pub fn received(&self, direction: Direction) -> u64 {
        self.lane(direction).received
    }

    /// Cuts both directions now: what was not received is lost.
    pub fn cut(&mut self) {
        self.cut = true;
        for lane in &mut self.lanes {
            lane.lose();
        }
    }

    /// Cuts both directions as soon as `bytes` more bytes have been received in this one: exactly that many arrive, even when that
    /// tears a packet. With 0, at the next [`receive`](Self::receive).
    pub fn cut_after(&mut self, direction: Direction, bytes: u64) {
        let lane = self.lane_mut(direction);
        lane.cut_after = Some(lane.received + bytes);
    }

    /// Whether the link is cut. Each side learns of it when the test tells it.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// From now on what is sent in this direction is silently lost, and so is what was under way; the other direction works.
    pub fn half_open(&mut self, direction: Direction) {
        let lane = self.lane_mut(direction);
        lane.swallow = true;
        lane.lose();
    }

    /// Holds everything in this direction back, without losing it, or lets it go on.
    pub fn stall(&mut self, direction: Direction, stalled: bool) {
        self.lane_mut(direction).stalled = stalled;
    }

    /// The sender closes in good order: what it has sent still arrives, then [`is_finished`](Self::is_finished).
    pub fn finish(&mut self, now: Time, direction: Direction) {
        let lane = self.lane_mut(direction);
        if lane.finished_at.is_none() {
            lane.finished_at = Some(lane.arrival(now));
        }
    }

    /// Whether the receiver sees the end of the stream: the sender has [finished](Self::finish), and everything has been received.
    pub fn is_finished(&self, now: Time, direction: Direction) -> bool {
        !self.cut && self.lane(direction).ends_by(now)
    }

    fn lane(&self, direction: Direction) -> &Lane {
        &self.lanes[direction as usize]
    }

    fn lane_mut(&mut self, direction: Direction) -> &mut Lane {
        &mut self.lanes[direction as usize]
    }
}
