//! The lock around the state that handles and driver share.

use std::boxed::Box;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll};

use mqtt_proto::Publish;

use crate::session::expires;
use crate::{Instant, PublishOptions, Session, Token};

use super::hooks::Hooked;
use super::state::State;
use super::wake::{Park, Wakes};

pub(super) struct Shared {
    state: Mutex<State>,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
    /// Every message expires some time.
    all_expire: bool,
    /// A copy of what the state says, as it was when last unlocked.
    driver_sleeps: AtomicBool,
    /// What the application wants to run at messages.
    pub(super) hooked: Hooked,
    /// Messages since the driver had its turn, roughly.
    published: AtomicU32,
    /// A token whose handle was dropped, to be forgotten by who locks next; zero for none. Only who holds the lock takes it out. A lock for each
    /// delivery that is dropped at once would be as dear as the one to publish.
    forgotten: AtomicU64,
}

/// Messages that may be published before the driver has its turn.
const IN_A_ROW: u32 = 1024;

/// Some microseconds.
const TRIES: usize = 200;

impl Shared {
    pub(super) fn new(
        session: Session,
        clock: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Self {
        Self {
            all_expire: session.config().time_to_live.is_some(),
            state: Mutex::new(State::new(session)),
            clock: Box::new(clock),
            driver_sleeps: AtomicBool::new(true),
            hooked: Hooked::default(),
            published: AtomicU32::new(0),
            forgotten: AtomicU64::new(0),
        }
    }

    pub(super) fn now(&self) -> Instant {
        (self.clock)()
    }

    /// For what happens to many messages in a row. While the driver is at work the session knows the time well enough from its turns,
    /// and an earlier time than it knows changes nothing: so a clock need not be read for each message.
    #[inline]
    pub(super) fn now_for_many(&self) -> Instant {
        if self.driver_sleeps.load(Ordering::Relaxed) {
            self.now()
        } else {
            Instant::ZERO
        }
    }

    /// When a message is published. Where it never expires that does not matter, and the clock is not read.
    #[inline]
    pub(super) fn now_for(&self, publish: &Publish, options: &PublishOptions) -> Instant {
        if expires(self.all_expire, publish, options) {
            self.now_for_many()
        } else {
            Instant::ZERO
        }
    }

    /// The driver's way to lock. A publisher in a loop holds the lock for most of the time, for a moment each: whoever asked the system to
    /// wait for it would be woken by a call to the system at each of those moments, and come too late.
    pub(super) fn lock_between_others(&self) -> MutexGuard<'_, State> {
        for _ in 0..TRIES {
            match self.state.try_lock() {
                Ok(state) => return state,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
            }
        }
        self.lock()
    }

    /// Counts a message. Whether there were so many that the driver shall have its turn first: a task that publishes in a loop, and always
    /// finds room, would not let others run, and what it publishes would leave the processor's caches before it is written.
    #[inline]
    pub(super) fn count_message(&self) -> bool {
        let published = self.published.load(Ordering::Relaxed);
        let enough = published >= IN_A_ROW;
        self.published
            .store(if enough { 0 } else { published + 1 }, Ordering::Relaxed);
        enough
    }

    /// Nobody looks at a message's outcome any more, nor waits for it.
    #[inline]
    pub(super) fn forget(&self, token: Token) {
        let (none, token) = (0, token.get());
        let noted =
            self.forgotten
                .compare_exchange(none, token, Ordering::Relaxed, Ordering::Relaxed);
        if noted.is_err() {
            self.forget_now(Token(token));
        }
    }

    /// The same for one who has waited.
    #[inline(never)]
    pub(super) fn forget_now(&self, token: Token) {
        let parked = self.lock().deliveries.forget(token);
        drop(parked);
    }

    /// Does what [`forget`](Self::forget) has left to do.
    #[inline]
    pub(super) fn forget_noted(&self, state: &mut State) {
        let token = self.forgotten.load(Ordering::Relaxed);
        if token != 0 {
            self.forgotten.store(0, Ordering::Relaxed);
            // Nobody waits for it, so there is no waker to be dropped.
            state.deliveries.forget(Token(token));
        }
    }

    pub(super) fn driver_has_its_turn(&self) {
        self.published.store(0, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn unlock(&self, state: MutexGuard<'_, State>) {
        let sleeps = !state.driver.is_awake();
        self.driver_sleeps.store(sleeps, Ordering::Relaxed);
    }

    /// A panic under the lock is our bug; the others get on as well as they can, the driver's end not least.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs under the lock; hands out what came of it, and wakes whom it concerns after unlocking.
    #[inline]
    pub(super) fn run<R>(&self, step: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = step(&mut state);
        // Mostly it concerns nobody.
        if state.is_settled() {
            self.unlock(state);
        } else {
            self.settle(state);
        }
        result
    }

    #[inline(never)]
    fn settle(&self, mut state: MutexGuard<'_, State>) {
        let mut wakes = Wakes::default();
        state.settle(&mut wakes);
        self.unlock(state);
        wakes.wake();
    }

    /// The same for a future: `step` may park, and is run again where that took a clone of the waker.
    pub(super) fn poll<R>(
        &self,
        context: &Context<'_>,
        mut step: impl FnMut(&mut State, &mut Park<'_>) -> Poll<R>,
    ) -> Poll<R> {
        let mut park = Park::new(context.waker());
        loop {
            let polled = self.run(|state| step(state, &mut park));
            if !std::mem::take(&mut park.lacks_clone) {
                return polled;
            }
            park.clone = Some(context.waker().clone());
        }
    }
}

impl fmt::Debug for Shared {
    /// What handles show of it: nothing, for it may be locked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
