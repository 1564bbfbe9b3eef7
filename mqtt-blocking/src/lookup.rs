//! Name lookups. The system's blocks for as long as it likes, and can't be given up: so each runs on a thread, and these are bounded.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

/// How many threads for name lookups there are at most in a process, for all its clients: those that were given up and have not returned
/// included.
///
/// A lookup that finds them all in use waits for its turn, within its time ([`Timeouts::resolve`](crate::Timeouts::resolve)). Where all of them
/// are lookups that were given up, it fails at once, and says so.
pub const LOOKUP_THREADS: usize = 16;

/// Gives the addresses of a host at a port.
pub(crate) type Look = Arc<dyn Fn(&str, u16) -> Found + Send + Sync>;
pub(crate) type Found = io::Result<Vec<SocketAddr>>;

pub(crate) fn by_the_system(host: &str, port: u16) -> Found {
    (host, port).to_socket_addrs().map(Iterator::collect)
}

/// A lookup under way: a future. Dropping it gives it up; its thread may take longer.
pub(crate) struct Lookup {
    pool: Arc<Pool>,
    job: u64,
}

/// The threads.
pub(crate) struct Pool {
    state: Mutex<State>,
    most: usize,
}

#[derive(Default)]
struct State {
    threads: usize,
    /// So many of them are at a lookup that nobody waits for any more.
    given_up: usize,
    last_job: u64,
    /// Those that somebody waits for, in the order that they came.
    jobs: BTreeMap<u64, Job>,
}

struct Job {
    stage: Stage,
    waker: Option<Waker>,
}

enum Stage {
    Waiting(Query),
    Running,
    Done(Found),
}

struct Query {
    look: Look,
    host: String,
    port: u16,
}

impl Pool {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            state: Mutex::new(State::default()),
            most,
        }
    }

    pub(crate) fn look_up(self: &Arc<Self>, look: &Look, host: String, port: u16) -> Lookup {
        let stage = match host.parse::<IpAddr>() {
            Ok(addr) => Stage::Done(Ok(vec![SocketAddr::new(addr, port)])),
            Err(_) => Stage::Waiting(Query {
                look: Arc::clone(look),
                host,
                port,
            }),
        };
        let mut state = self.lock();
        state.last_job += 1;
        let job = state.last_job;
        state.jobs.insert(job, Job { stage, waker: None });
        drop(state);
        self.settle();
        Lookup {
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
            let name = "mqtt-lookup".to_owned();
            let spawned = thread::Builder::new().name(name).spawn(move || pool.work());
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

    #[cold]
    fn all_given_up(&self) -> io::Error {
        let most = self.most;
        io::Error::other(format!(
            "all {most} threads for name lookups are held by lookups that were given up and have not returned"
        ))
    }

    /// What a thread does: one lookup after the other, until none waits.
    fn work(&self) {
        let mut state = self.lock();
        while let Some((&job, waiting)) = state.next() {
            let Stage::Waiting(Query { look, host, port }) =
                std::mem::replace(&mut waiting.stage, Stage::Running)
            else {
                continue;
            };
            drop(state);
            let found = catch_unwind(AssertUnwindSafe(|| look(&host, port)))
                .unwrap_or_else(|_| Err(io::Error::other("the lookup panicked")));
            // It is the application's, and so is what it holds.
            drop(look);
            if let Some(waker) = self.lock().end(job, found) {
                waker.wake();
            }
            state = self.lock();
        }
        state.threads -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing of others runs under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The first that waits.
    fn next(&mut self) -> Option<(&u64, &mut Job)> {
        let mut jobs = self.jobs.iter_mut();
        jobs.find(|(_, job)| matches!(job.stage, Stage::Waiting(_)))
    }

    /// A thread has returned from a lookup. Who is to be woken.
    fn end(&mut self, job: u64, found: Found) -> Option<Waker> {
        match self.jobs.get_mut(&job) {
            Some(running) => {
                running.stage = Stage::Done(found);
                running.waker.take()
            }
            None => {
                self.given_up -= 1;
                None
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

impl Future for Lookup {
    type Output = Found;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Found> {
        let waker = context.waker().clone();
        let mut state = self.pool.lock();
        let Some(job) = state.jobs.get_mut(&self.job) else {
            // Polled again after it was ready.
            return Poll::Pending;
        };
        if matches!(job.stage, Stage::Done(_))
            && let Some(Job {
                stage: Stage::Done(found),
                ..
            }) = state.jobs.remove(&self.job)
        {
            return Poll::Ready(found);
        }
        let replaced = state
            .jobs
            .get_mut(&self.job)
            .and_then(|job| job.waker.replace(waker));
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        let gone = state.jobs.remove(&self.job);
        if matches!(&gone, Some(job) if matches!(job.stage, Stage::Running)) {
            state.given_up += 1;
            drop(state);
            // It may have been the last one that others could hope for.
            self.pool.settle();
        }
    }
}
