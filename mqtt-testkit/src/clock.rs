use core::time::Duration;

/// A point of virtual time: how long after the start of the test it is.
pub type Time = Duration;

/// A clock that moves only when it is told to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    now: Time,
}

impl Clock {
    /// A clock at the start of the test.
    pub const fn new() -> Self {
        Self {
            now: Duration::ZERO,
        }
    }

    /// What time it is.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Moves on by `step`, and returns the new time.
    pub fn advance(&mut self, step: Duration) -> Time {
        self.now = self.now.saturating_add(step);
        self.now
    }

    /// Moves on to `time`, and returns the new time. Never goes back: an earlier `time` changes nothing.
    pub fn advance_to(&mut self, time: Time) -> Time {
        self.now = self.now.max(time);
        self.now
    }
}
