use crate::Instant;

/// Why the session wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timer {
    /// The name lookup has taken too long.
    Resolve,
    /// A dial has taken too long, or it is time to dial the next address, too.
    Dial,
    /// CONNACK has not come.
    ConnAck,
    /// The application has not given credentials, or a step of authentication has taken too long, here or at the server.
    Auth,
    /// It may be time for a PINGREQ.
    KeepAlive,
    /// PINGRESP has not come.
    PingResp,
    /// A message in the queue expires.
    Expiry,
    /// Draining before DISCONNECT has taken as long as it may.
    Drain,
    /// The driver has not closed the connection as it was told.
    Hangup,
    /// The next attempt is due.
    Reconnect,
    /// A received message that is not acknowledged has kept the server from sending others for long.
    Blocked,
}

/// One deadline for each reason. The session has one deadline to the outside: the earliest.
#[derive(Clone, Debug)]
pub(crate) struct TimerTable([Instant; Timer::ALL.len()]);

/// No deadline: half the size of an `Option`.
const NEVER: Instant = Instant::from_nanos(u64::MAX);

impl Default for TimerTable {
    fn default() -> Self {
        Self([NEVER; Timer::ALL.len()])
    }
}

impl Timer {
    const ALL: &[Self] = &[
        Self::Resolve,
        Self::Dial,
        Self::ConnAck,
        Self::Auth,
        Self::KeepAlive,
        Self::PingResp,
        Self::Expiry,
        Self::Drain,
        Self::Hangup,
        Self::Reconnect,
        Self::Blocked,
    ];
}

impl TimerTable {
    pub(crate) const fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = at;
    }

    pub(crate) const fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = NEVER;
    }

    pub(crate) fn get(&self, timer: Timer) -> Option<Instant> {
        Some(self.0[timer as usize]).filter(|at| *at != NEVER)
    }

    /// Asked for several times a turn: a plain minimum, without the names.
    #[inline]
    pub(crate) fn earliest(&self) -> Option<Instant> {
        let earliest = self.0.iter().fold(NEVER, |first, at| first.min(*at));
        (earliest != NEVER).then_some(earliest)
    }

    pub(crate) fn next(&self) -> Option<(Timer, Instant)> {
        let earliest = self.earliest()?;
        let mut timers = Timer::ALL.iter().copied().zip(self.0);
        timers.find(|(_, at)| *at == earliest)
    }

    /// Takes the first timer that is due.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Timer> {
        let (timer, at) = self.next()?;
        (at <= now).then(|| {
            self.stop(timer);
            timer
        })
    }
}
