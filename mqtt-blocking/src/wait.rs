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
