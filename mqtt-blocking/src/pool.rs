//! Work that blocks for as long as it likes, and can't be given up: so each piece runs on a thread, and these are bounded.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

/// Threads for one kind of work. Work that finds them all in use waits for its turn. Where all of them are at work that was given up, it fails at
/// once, and says so.
pub(crate) struct Pool<T> {
    state: Mutex<State<T>>,
    most: usize,
    /// What they are for.
    what: &'static str,
}

/// Work under way: a future. Dropping it gives it up; its thread may take longer.
pub(crate) struct Pooled<T> {
    pool: Arc<Pool<T>>,
    job: u64,
}

struct State<T> {
    threads: usize,
    /// So many of them are at work that nobody waits for any more.
    given_up: usize,
    last_job: u64,
    /// What somebody waits for, in the order that it came.
    jobs: BTreeMap<u64, Job<T>>,
}

struct Job<T> {
    stage: Stage<T>,
    waker: Option<Waker>,
}

enum Stage<T> {
    Waiting(Work<T>),
    Running,
    Done(io::Result<T>),
}

type Work<T> = Box<dyn FnOnce() -> io::Result<T> + Send>;

impl<T: Send + 'static> Pool<T> {
    pub(crate) fn new(most: usize, what: &'static str) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                threads: 0,
                given_up: 0,
                last_job: 0,
                jobs: BTreeMap::new(),
            }),
            most,
            what,
        })
    }

    pub(crate) fn run(
        self: &Arc<Self>,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Pooled<T> {
        let stage = Stage::Waiting(Box::new(work) as Work<T>);
        let mut state = self.lock();
        state.last_job += 1;
        let job = state.last_job;
        state.jobs.insert(job, Job { stage, waker: None });
        drop(state);
        self.settle();
        Pooled {
            pool: Arc::clone(self),
            job,
        }
    }

    /// Gives the first that waits a thread, if there may be one more; else looks whether waiting has any sense.
    fn settle(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.threads < self.most {
            if state.next().is_none() {
                return;
            }
            state.threads += 1;
            drop(state);
            let pool = Arc::clone(self);
            let thread = thread::Builder::new().name("mqtt-blocked".into());
            let spawned = thread.spawn(move || pool.work());
            if let Err(error) = spawned {
                let mut state = self.lock();
                state.threads -= 1;
                let wakers =
                    state.fail_waiting(&|| io::Error::new(error.kind(), error.to_string()));
                drop(state);
                wakers.into_iter().for_each(Waker::wake);
            }
        } else if state.given_up == self.most {
            let wakers = state.fail_waiting(&|| self.all_given_up());
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    /// What a thread does: one piece after the other, until none waits.
    fn work(&self) {
        let mut state = self.lock();
        while let Some((&job, waiting)) = state.next() {
            let Stage::Waiting(work) = std::mem::replace(&mut waiting.stage, Stage::Running) else {
                continue;
            };
            drop(state);
            let panicked = |_| Err(io::Error::other(format!("a panic in {}", self.what)));
            let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked);
            let (waker, unheard) = self.lock().end(job, result);
            // What it brought may be the application's, such as a socket.
            drop(unheard);
            if let Some(waker) = waker {
                waker.wake();
            }
            state = self.lock();
        }
        state.threads -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing of others runs under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Pool<T> {
    #[cold]
    fn all_given_up(&self) -> io::Error {
        let Self { most, what, .. } = self;
        io::Error::other(format!(
            "all {most} threads for {what} are held by some that were given up and have not returned"
        ))
    }
}

impl<T> State<T> {
    /// The first that waits.
    fn next(&mut self) -> Option<(&u64, &mut Job<T>)> {
        let mut jobs = self.jobs.iter_mut();
        jobs.find(|(_, job)| matches!(job.stage, Stage::Waiting(_)))
    }

    /// A thread has returned. Who is to be woken, and what nobody waits for.
    fn end(&mut self, job: u64, result: io::Result<T>) -> (Option<Waker>, Option<io::Result<T>>) {
        match self.jobs.get_mut(&job) {
            Some(running) => {
                running.stage = Stage::Done(result);
                (running.waker.take(), None)
            }
            None => {
                self.given_up -= 1;
                (None, Some(result))
            }
        }
    }

    /// Ends those that wait. Who is to be woken.
    fn fail_waiting(&mut self, error: &dyn Fn() -> io::Error) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for job in self.jobs.values_mut() {
            if matches!(job.stage, Stage::Waiting(_)) {
                job.stage = Stage::Done(Err(error()));
                wakers.extend(job.waker.take());
            }
        }
        wakers
    }
}

impl<T: Send + 'static> Future for Pooled<T> {
    type Output = io::Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = context.waker().clone();
        let mut state = self.pool.lock();
        let Some(mut job) = state.jobs.remove(&self.job) else {
            // Polled again after it was ready.
            return Poll::Pending;
        };
        if let Stage::Done(result) = job.stage {
            return Poll::Ready(result);
        }
        let replaced = job.waker.replace(waker);
        state.jobs.insert(self.job, job);
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl<T> Drop for Pooled<T> {
    fn drop(&mut self) {
        let mut state = self
            .pool
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(gone) = state.jobs.remove(&self.job) else {
            return;
        };
        let mut failed = Vec::new();
        if matches!(gone.stage, Stage::Running) {
            state.given_up += 1;
            if state.given_up == self.pool.most {
                // It was the last one that others could hope for.
                failed = state.fail_waiting(&|| self.pool.all_given_up());
            }
        }
        drop(state);
        // What it holds is the application's.
        drop(gone);
        failed.into_iter().for_each(Waker::wake);
    }
}
