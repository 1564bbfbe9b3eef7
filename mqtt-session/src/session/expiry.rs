//! How long messages wait before they are not worth sending any more.

use core::num::NonZeroU64;
use core::time::Duration;

use mqtt_proto::{PropertyId, Publish, QoS};

use super::Session;
use crate::{Instant, Lifetime, Outcome, PublishOptions, Timer, WallClock};

const SECOND: Duration = Duration::from_secs(1);

/// When a message was accepted, and from when on it is not sent any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expiry {
    accepted: Instant,
    /// Nanoseconds, and no [`Instant`]: `Option<Expiry>` is smaller.
    over: NonZeroU64,
}

impl Expiry {
    fn new(accepted: Instant, after: Duration) -> Self {
        let over = (accepted + after).as_nanos();
        Self {
            accepted,
            over: NonZeroU64::new(over).unwrap_or(NonZeroU64::MIN),
        }
    }

    /// What is left of the time of a message of an earlier process, now that this one takes it up; and the message with what is left of its
    /// Message Expiry Interval.
    pub(super) fn restore(
        lifetime: Lifetime,
        publish: Publish,
        clock: WallClock,
    ) -> (Self, Publish) {
        let waited = clock.time.since(lifetime.accepted);
        let expiry = Self::new(clock.now, lifetime.over.since(clock.time));
        let then = Self {
            accepted: Instant::ZERO,
            ..expiry
        };
        let publish = then
            .shortened(&publish, Instant::ZERO + waited)
            .unwrap_or(publish);
        (expiry, publish)
    }

    pub(super) const fn accepted(&self) -> Instant {
        self.accepted
    }

    pub(super) const fn over(&self) -> Instant {
        Instant::from_nanos(self.over.get())
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= self.over()
    }

    /// Whether a message in flight is not to be sent again, or at last for the first time. The Message Expiry Interval of a QoS 2 message
    /// does not count once it was sent [MQTT-4.3.3-7]; a time to live, of which the server knows nothing, does.
    pub(super) fn ends_resending(
        &self,
        qos: QoS,
        publish: &Publish,
        was_sent: bool,
        now: Instant,
    ) -> bool {
        let interval = publish.properties().message_expiry_interval();
        let begun = was_sent && qos == QoS::ExactlyOnce && interval.is_some();
        !begun && self.is_over(now)
    }

    /// The message with what is left of its Message Expiry Interval, where it has one and has waited.
    ///
    /// The time waited counts in whole seconds, rounded up: no copy lives longer than the interval, but for one second where nothing
    /// is left and it is sent all the same.
    pub(super) fn shortened(&self, publish: &Publish, now: Instant) -> Option<Publish> {
        let waited = now
            .since(self.accepted)
            .as_nanos()
            .div_ceil(SECOND.as_nanos());
        let interval = publish.properties().message_expiry_interval()?;
        let waited = u32::try_from(waited).unwrap_or(u32::MAX);
        (waited > 0).then(|| publish.expiring_in(interval.saturating_sub(waited).max(1)))
    }
}

/// Whether a message expires some time: then it matters when it is accepted. `all` do where the configuration has a time to live.
#[inline]
pub(crate) fn expires(all: bool, publish: &Publish, options: &PublishOptions) -> bool {
    all || options.time_to_live.is_some()
        || publish
            .properties()
            .has(PropertyId::MESSAGE_EXPIRY_INTERVAL)
}

impl Session {
    /// When a message that is accepted now expires: by its time to live, or by its Message Expiry Interval where that is shorter.
    #[inline]
    pub(super) fn expiry(&self, publish: &Publish, options: &PublishOptions) -> Option<Expiry> {
        expires(self.config.time_to_live.is_some(), publish, options)
            .then(|| self.expiry_after(publish, options))
    }

    #[cold]
    fn expiry_after(&self, publish: &Publish, options: &PublishOptions) -> Expiry {
        let time_to_live = options.time_to_live.or(self.config.time_to_live);
        let interval = publish.properties().message_expiry_interval();
        let interval = interval.map_or(Duration::MAX, |seconds| {
            // With less than a second left it would be sent with 0, which is to say never to some servers.
            Duration::from_secs(seconds.into()).saturating_sub(SECOND) + Duration::from_nanos(1)
        });
        let after = time_to_live.map_or(interval, |time| time.min(interval));
        Expiry::new(self.now, after)
    }

    /// Wakes the session when a message expires that has come into the queue.
    #[inline]
    pub(super) fn watch_expiry(&mut self, expiry: Option<Expiry>) {
        if let Some(expiry) = expiry {
            let next = self.timers.get(Timer::Expiry);
            if next.is_none_or(|next| expiry.over() < next) {
                self.timers.set(Timer::Expiry, expiry.over());
            }
        }
    }

    /// Ends what has expired in the queue, and waits for the next.
    pub(super) fn expire_queued(&mut self) {
        let now = self.now;
        let waiting = self.outgoing.queue.len();
        let mut next: Option<Instant> = None;
        for _ in 0..waiting {
            let Some(queued) = self.outgoing.queue.pop_front() else {
                break;
            };
            match queued.expiry {
                Some(expiry) if expiry.is_over(now) => {
                    self.finish_with(queued.token, queued.publish, Outcome::Expired);
                    continue;
                }
                Some(expiry) => {
                    let over = expiry.over();
                    next = Some(next.map_or(over, |next| next.min(over)));
                }
                None => {}
            }
            self.outgoing.queue.push_back(queued);
        }
        if let Some(next) = next {
            // A queue of which each message expires for itself is not looked through for each: a microsecond for each message that
            // waits is some times what looking costs.
            let rest = Duration::from_micros(self.outgoing.queue.len() as u64);
            self.timers.set(Timer::Expiry, next.max(now + rest));
        }
        // What waits to be sent again expires when its turn comes.
        self.pump();
        self.leave_if_drained();
    }
}
