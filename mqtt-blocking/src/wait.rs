//! Waiting for a future on the thread that calls, parked: nothing is polled but when it was woken.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// A wait was given up, because its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing came within {after:?}")]
#[non_exhaustive]
pub struct TimedOut {
    /// How long it was to be at most.
    pub after: Duration,
}

/// Why a wait that has an end of its own brought nothing.
///
/// `{:?}` shows what the error in it shows; `{:#?}` shows the structure.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitError<E> {
    /// It was given up.
    TimedOut(TimedOut),
    /// What was waited for failed.
    Failed(E),
}

impl<E> WaitError<E> {
    /// Whether the time was over.
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut(_))
    }
}

impl<E> From<TimedOut> for WaitError<E> {
    fn from(error: TimedOut) -> Self {
        Self::TimedOut(error)
    }
}

impl<E: fmt::Debug> fmt::Debug for WaitError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(error) if f.alternate() => {
                f.debug_tuple("TimedOut").field(error).finish()
            }
            Self::Failed(error) if f.alternate() => f.debug_tuple("Failed").field(error).finish(),
            Self::TimedOut(error) => fmt::Display::fmt(error, f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Display> fmt::Display for WaitError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(error) => error.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error> std::error::Error for WaitError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::TimedOut(_) => None,
            // It is shown as this error itself.
            Self::Failed(error) => error.source(),
        }
    }
}

/// Waits as long as it takes.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    wait_for(pin!(future))
}

/// The same for a future that stays where it was made.
#[inline]
pub(crate) fn wait_for<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    Parker::with(|parker| {
        loop {
            if let Poll::Ready(output) = parker.poll(future.as_mut()) {
                return output;
            }
            parker.park();
        }
    })
}

/// Waits for so long at most, and asks at least once. Then the future is dropped.
pub(crate) fn wait_timeout<F: Future>(future: F, timeout: Duration) -> Result<F::Output, TimedOut> {
    wait_pinned(pin!(future), timeout)
}

/// The same for a future that is still wanted afterwards.
pub(crate) fn wait_pinned<F: Future>(
    mut future: Pin<&mut F>,
    timeout: Duration,
) -> Result<F::Output, TimedOut> {
    // So late that there is no such time is never.
    let until = Instant::now().checked_add(timeout);
    Parker::with(|parker| {
        loop {
            if let Poll::Ready(output) = parker.poll(future.as_mut()) {
                return Ok(output);
            }
            if !parker.park_until(until) {
                return Err(TimedOut { after: timeout });
            }
        }
    })
}

/// The same where it may fail.
pub(crate) fn wait_result<T, E>(
    future: impl Future<Output = Result<T, E>>,
    timeout: Duration,
) -> Result<T, WaitError<E>> {
    wait_timeout(future, timeout)?.map_err(WaitError::Failed)
}

/// A thread that waits, and its waker: always the same one, so that it is seldom cloned.
struct Parker {
    signal: Arc<Signal>,
    waker: Waker,
}

struct Signal {
    thread: Thread,
    woken: AtomicBool,
}

/// What a thread keeps from one wait to the next.
struct Kept {
    parker: OnceCell<Parker>,
    in_use: Cell<bool>,
}

thread_local! {
    static KEPT: Kept = const { Kept { parker: OnceCell::new(), in_use: Cell::new(false) } };
}

/// Lets the next wait have the thread's parker, also where this one ends by a panic.
struct Using<'a>(&'a Cell<bool>);

impl Drop for Using<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Parker {
    /// A future that waits itself while it is polled has a parker of its own: it must not take the other's wake. So has one that is waited for while the
    /// thread ends.
    #[inline]
    fn with<R>(wait: impl FnOnce(&Self) -> R) -> R {
        let mut wait = Some(wait);
        let waited = KEPT.try_with(|kept| {
            if kept.in_use.replace(true) {
                return None;
            }
            let _using = Using(&kept.in_use);
            let wait = wait.take()?;
            Some(wait(kept.parker.get_or_init(Self::new)))
        });
        match (waited, wait) {
            (Ok(Some(waited)), _) => waited,
            (_, Some(wait)) => wait(&Self::new()),
            (_, None) => unreachable!("what was called has returned"),
        }
    }

    #[cold]
    fn new() -> Self {
        let signal = Arc::new(Signal {
            thread: thread::current(),
            woken: AtomicBool::new(false),
        });
        let waker = Waker::from(Arc::clone(&signal));
        Self { signal, waker }
    }

    fn poll<F: Future>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&self.waker))
    }

    fn woken(&self) -> bool {
        self.signal.woken.swap(false, Ordering::Acquire)
    }

    fn park(&self) {
        if self.woken() {
            // Woken before it could wait, by itself perhaps: others shall have their turn.
            thread::yield_now();
            return;
        }
        while !self.woken() {
            thread::park();
        }
    }

    /// Whether it was woken in time. Never once the time is over, however often it is woken.
    fn park_until(&self, until: Option<Instant>) -> bool {
        let Some(until) = until else {
            self.park();
            return true;
        };
        loop {
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return false;
            }
            if self.woken() {
                return true;
            }
            thread::park_timeout(rest);
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "that is how a test fails")]

    use std::future::{pending, poll_fn};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc;

    use super::*;
    use crate::slot::{Awaited, slot};

    /// What another thread brings when it is asked to.
    fn brought() -> (mpsc::Sender<()>, Awaited<u8>) {
        let (awaited, filling) = slot();
        let (ask, asked) = mpsc::channel();
        thread::spawn(move || {
            let _ = asked.recv();
            filling.fill(7);
        });
        (ask, awaited)
    }

    /// An answer that the application gives, an interceptor: they may wait on the thread that polls them.
    #[test]
    fn a_wait_within_a_wait_takes_no_wake_of_it() {
        let (mut outer, fill_outer) = slot();
        let (inner, fill_inner) = slot();
        let mut within = Some((inner, fill_outer, fill_inner));
        let waits = poll_fn(|context| {
            let polled = Pin::new(&mut outer).poll(context);
            if let Some((inner, fill_outer, fill_inner)) = within.take() {
                thread::spawn(move || {
                    fill_outer.fill(1);
                    fill_inner.fill(2);
                });
                assert_eq!(wait(inner), 2);
            }
            polled
        });
        assert_eq!(wait_timeout(waits, Duration::from_secs(60)), Ok(1));
    }

    #[test]
    fn a_wait_that_panicked_leaves_the_thread_able_to_wait() {
        for _ in 0..2 {
            let panics = || wait(poll_fn(|_| -> Poll<()> { panic!("of the test") }));
            catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
            let (ask, value) = brought();
            ask.send(()).unwrap();
            assert_eq!(wait(value), 7);
            let timeout = Duration::from_millis(1);
            assert!(wait_timeout(pending::<()>(), timeout).is_err());
        }
    }

    struct WaitsWhenDropped(mpsc::Sender<u8>);

    impl Drop for WaitsWhenDropped {
        fn drop(&mut self) {
            let (ask, value) = brought();
            ask.send(()).unwrap();
            let _ = self.0.send(wait(value));
        }
    }

    thread_local! {
        static LAST: Cell<Option<WaitsWhenDropped>> = const { Cell::new(None) };
    }

    /// A value of the application's own that says farewell.
    #[test]
    fn what_a_thread_drops_as_it_ends_can_wait() {
        for waited_before in [false, true] {
            let (sender, result) = mpsc::channel();
            let thread = thread::spawn(move || {
                if waited_before {
                    wait(std::future::ready(()));
                }
                LAST.set(Some(WaitsWhenDropped(sender)));
                wait(std::future::ready(()));
            });
            thread.join().unwrap();
            assert_eq!(result.recv(), Ok(7));
        }
    }
}
