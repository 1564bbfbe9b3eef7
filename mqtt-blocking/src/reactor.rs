//! Waiting for sockets, a time, and a wake from another thread, all at once.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

use mio::event::Source;
use mio::{Events, Interest, Poll, Token};
use mqtt_session::Instant;

/// A wake by another thread.
const WAKE: Token = Token(usize::MAX);
/// Sockets that one wait can tell of; others are told by the next. A connection has one, and a race of dials some.
const EVENTS: usize = 16;
/// So often in a row a socket is taken not to be ready because nothing was told of it; then the system is asked.
const BLIND: u32 = 4;
/// Who has published so many bytes lately has more to say.
const STREAM: usize = 2 * 1024;
/// A timer that is not set.
const NEVER: u64 = u64::MAX;

/// What a driver's thread waits with. Its driver, sockets and timer are used on that thread alone; the lock is never waited for.
pub(crate) struct Reactor {
    inner: Mutex<Inner>,
    alarm: Arc<Alarm>,
    epoch: std::time::Instant,
    /// When to wake up at the latest, in nanoseconds of the epoch.
    timer: AtomicU64,
    /// It was due.
    fired: AtomicBool,
    blind: AtomicU32,
    /// Bytes since the last wait, half of those of the wait before, and so on.
    written: AtomicUsize,
}

struct Inner {
    poll: Poll,
    events: Events,
    sockets: Vec<(Token, Arc<Ready>)>,
    last_token: usize,
}

/// What a socket is ready for. Nothing is told twice: it holds until an operation says that it would block.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) read: AtomicBool,
    pub(crate) write: AtomicBool,
    /// Its end can be read: nothing that is told can follow.
    pub(crate) ended: AtomicBool,
}

/// A socket that its reactor watches, until it is dropped.
pub(crate) struct Watched<S: Source> {
    pub(crate) socket: S,
    pub(crate) ready: Arc<Ready>,
    token: Token,
    reactor: Arc<Reactor>,
}

impl Reactor {
    pub(crate) fn new(epoch: std::time::Instant) -> io::Result<Arc<Self>> {
        let poll = Poll::new()?;
        let alarm = Arc::new(Alarm {
            state: AtomicU8::new(AT_WORK),
            waker: mio::Waker::new(poll.registry(), WAKE)?,
        });
        Ok(Arc::new(Self {
            inner: Mutex::new(Inner {
                poll,
                events: Events::with_capacity(EVENTS),
                sockets: Vec::new(),
                last_token: 0,
            }),
            alarm,
            epoch,
            timer: AtomicU64::new(NEVER),
            fired: AtomicBool::new(false),
            blind: AtomicU32::new(0),
            written: AtomicUsize::new(0),
        }))
    }

    /// Ends a wait, or the next one where there is none.
    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.alarm))
    }

    /// Has the wait end at this time, whatever was set before. Once: a driver that wants no timer any more does not say so.
    pub(crate) fn set_timer(&self, at: Instant) {
        self.timer.store(at.as_nanos(), Ordering::Relaxed);
        set(&self.fired, false);
    }

    /// Whether the timer was due since it was set, once.
    pub(crate) fn timer_fired(&self) -> bool {
        self.fire();
        self.fired.swap(false, Ordering::Relaxed)
    }

    fn fire(&self) {
        if self.due_in().is_some_and(|rest| rest.is_zero()) {
            self.timer.store(NEVER, Ordering::Relaxed);
            set(&self.fired, true);
        }
    }

    /// How long it is until the timer is due; `None` where it is not set.
    fn due_in(&self) -> Option<Duration> {
        match self.timer.load(Ordering::Relaxed) {
            NEVER => None,
            at => Some(Duration::from_nanos(at).saturating_sub(self.epoch.elapsed())),
        }
    }

    pub(crate) fn watch<S: Source>(self: &Arc<Self>, mut socket: S) -> io::Result<Watched<S>> {
        let mut inner = self.lock();
        inner.last_token += 1;
        let token = Token(inner.last_token);
        let both = Interest::READABLE | Interest::WRITABLE;
        inner.poll.registry().register(&mut socket, token, both)?;
        let ready = Arc::new(Ready {
            read: AtomicBool::new(false),
            write: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        inner.sockets.push((token, Arc::clone(&ready)));
        drop(inner);
        Ok(Watched {
            socket,
            ready,
            token,
            reactor: Arc::clone(self),
        })
    }

    /// Waits for news of a socket, for the timer, or for the waker, and for so long at most.
    pub(crate) fn wait(&self, most: Option<Duration>) -> io::Result<()> {
        let waits = self.alarm.begin_wait();
        let waited = if waits {
            self.poll(self.due_in().into_iter().chain(most).min())
        } else {
            Ok(())
        };
        let written = self.written.load(Ordering::Relaxed);
        self.written.store(written / 2, Ordering::Relaxed);
        if written >= STREAM {
            // A publisher that runs on the same processor is interrupted by its own wake. It goes on instead until it has to wait, and all that it has
            // published is written at once. One that publishes a message and waits for its answer does not come to this.
            thread::yield_now();
        }
        self.alarm.end_wait();
        if !waits {
            return self.poll(Some(Duration::ZERO));
        }
        self.fire();
        waited
    }

    /// So much was written to the socket.
    pub(crate) fn wrote(&self, bytes: usize) {
        let written = self.written.load(Ordering::Relaxed);
        self.written
            .store(written.saturating_add(bytes), Ordering::Relaxed);
    }

    /// Nothing was told of a socket that is wanted ready. While there is always something to do nobody waits, and nothing would be told for long.
    pub(crate) fn miss(&self) -> io::Result<()> {
        if self.blind.fetch_add(1, Ordering::Relaxed) < BLIND {
            return Ok(());
        }
        self.poll(Some(Duration::ZERO))
    }

    fn poll(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.blind.store(0, Ordering::Relaxed);
        let mut inner = self.lock();
        let Inner {
            poll,
            events,
            sockets,
            ..
        } = &mut *inner;
        match poll.poll(events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in events.iter() {
            let socket = sockets.iter().find(|(token, _)| *token == event.token());
            if let Some((_, ready)) = socket {
                ready.told(event);
            }
        }
        Ok(())
    }

    fn forget(&self, socket: &mut impl Source, token: Token) {
        let mut inner = self.lock();
        inner.sockets.retain(|(of, _)| *of != token);
        // It can only fail where nothing is watched.
        let _ = inner.poll.registry().deregister(socket);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ready {
    fn told(&self, event: &mio::event::Event) {
        let ended = event.is_read_closed() || event.is_error();
        if event.is_readable() || ended {
            set(&self.read, true);
        }
        if event.is_writable() || event.is_write_closed() || event.is_error() {
            set(&self.write, true);
        }
        if ended {
            set(&self.ended, true);
        }
    }
}

/// Of a flag that one thread alone uses.
pub(crate) fn is_set(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Relaxed)
}

pub(crate) fn set(flag: &AtomicBool, value: bool) {
    flag.store(value, Ordering::Relaxed);
}

impl<S: Source> Watched<S> {
    /// See [`Reactor::wrote`].
    pub(crate) fn wrote(&self, bytes: usize) {
        self.reactor.wrote(bytes);
    }

    /// See [`Reactor::miss`].
    pub(crate) fn miss(&self) -> io::Result<()> {
        self.reactor.miss()
    }
}

impl<S: Source> Drop for Watched<S> {
    fn drop(&mut self) {
        self.reactor.forget(&mut self.socket, self.token);
    }
}

/// Wakes the driver's thread: by a call to the system only where it waits in one.
struct Alarm {
    state: AtomicU8,
    waker: mio::Waker,
}

const AT_WORK: u8 = 0;
const WAITING: u8 = 1;
const WOKEN: u8 = 2;

impl Alarm {
    /// Whether to wait: not where it was woken while it was at work.
    fn begin_wait(&self) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        let exchanged = self
            .state
            .compare_exchange(AT_WORK, WAITING, success, failure);
        exchanged.is_ok()
    }

    /// What woke it is looked at from here on.
    fn end_wait(&self) {
        self.state.swap(AT_WORK, Ordering::AcqRel);
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::AcqRel) == WAITING {
            // It fails where the system has no memory; the driver wakes up at its deadline then.
            let _ = self.waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "that is how a test fails")]

    use super::*;

    #[test]
    fn a_timer_ends_one_wait_and_no_more() {
        let reactor = Reactor::new(std::time::Instant::now()).unwrap();
        reactor.set_timer(Instant::ZERO + Duration::from_millis(2));
        reactor.wait(None).unwrap();
        assert!(reactor.epoch.elapsed() >= Duration::from_millis(2));
        assert_eq!(reactor.due_in(), None, "the next wait has no end");
        assert!(reactor.timer_fired());
        assert!(!reactor.timer_fired());
    }

    #[test]
    fn a_wake_before_the_wait_ends_it_and_one_during_it_does() {
        let reactor = Reactor::new(std::time::Instant::now()).unwrap();
        reactor.waker().wake();
        reactor.wait(None).unwrap();
        let waker = reactor.waker();
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            waker.wake();
        });
        reactor.wait(None).unwrap();
        other.join().unwrap();
    }

    /// While it gives its turn to others after it has written much, too.
    #[test]
    fn no_wake_is_lost_whenever_it_comes() {
        let reactor = Reactor::new(std::time::Instant::now()).unwrap();
        let (told, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let waker = reactor.waker();
        let (tells, sees) = (Arc::clone(&told), Arc::clone(&seen));
        let other = thread::spawn(move || {
            for number in 1..=20_000 {
                tells.store(number, Ordering::Release);
                waker.wake_by_ref();
                while sees.load(Ordering::Acquire) < number {
                    thread::yield_now();
                }
            }
        });
        reactor.set_timer(Instant::ZERO + Duration::from_secs(60));
        for number in 1..=20_000 {
            while told.load(Ordering::Acquire) < number {
                reactor.wrote(STREAM * (number % 3));
                reactor.wait(None).unwrap();
                assert!(!reactor.timer_fired(), "{number}");
            }
            seen.store(number, Ordering::Release);
        }
        other.join().unwrap();
    }
}
