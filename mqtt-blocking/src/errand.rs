//! Work of the application that may block, on a thread of its own.

use std::any::Any;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::slot::{Filling, slot};

/// A function that is called on a thread which exists for as long as there is something to call it with: at most one, also
/// where a call never returns. A call that comes meanwhile waits, and takes the place of one that waited.
pub(crate) struct Errand<Q, A>(Arc<Mutex<Desk<Q, A>>>);

struct Desk<Q, A> {
    /// `None` while it is called.
    work: Option<Work<Q, A>>,
    next: Option<Call<Q, A>>,
}

type Work<Q, A> = Box<dyn FnMut(Q) -> A + Send>;

struct Call<Q, A> {
    question: Q,
    filling: Filling<Result<A, Failed>>,
}

enum Failed {
    Spawn(io::Error),
    Panicked(Box<dyn Any + Send>),
}

impl<Q: Send + 'static, A: Send + 'static> Errand<Q, A> {
    pub(crate) fn new(work: impl FnMut(Q) -> A + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Desk {
            work: Some(Box::new(work)),
            next: None,
        })))
    }

    /// The answer. A panic of the function is one of the future; without a thread there is the system's error. Dropped, a call that waits is
    /// never made, and one that runs goes on unheard.
    pub(crate) fn call(
        &self,
        question: Q,
    ) -> impl Future<Output = io::Result<A>> + Send + use<Q, A> {
        let (awaited, filling) = slot();
        let call = Call { question, filling };
        let mut desk = lock(&self.0);
        if let Some(work) = desk.work.take() {
            drop(desk);
            run(Arc::clone(&self.0), work, call);
        } else {
            let given_up = desk.next.replace(call);
            drop(desk);
            // What it holds is the application's.
            drop(given_up);
        }
        async move {
            match awaited.await {
                Ok(answer) => Ok(answer),
                Err(Failed::Spawn(error)) => Err(error),
                Err(Failed::Panicked(panic)) => resume_unwind(panic),
            }
        }
    }
}

fn lock<Q, A>(desk: &Mutex<Desk<Q, A>>) -> MutexGuard<'_, Desk<Q, A>> {
    // Nothing of others runs under it.
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the thread. What it is to do is on the desk until it has begun: where it can't, the function is still there for the next call.
fn run<Q: Send + 'static, A: Send + 'static>(
    desk: Arc<Mutex<Desk<Q, A>>>,
    work: Work<Q, A>,
    call: Call<Q, A>,
) {
    let load = Arc::new(Mutex::new(Some((work, call))));
    let spawned = thread::Builder::new().name("mqtt-errand".into()).spawn({
        let (desk, load) = (Arc::clone(&desk), Arc::clone(&load));
        move || {
            let load = load.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some((work, call)) = load {
                work_off(&desk, work, call);
            }
        }
    });
    if let Err(error) = spawned {
        let load = load.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((work, call)) = load {
            lock(&desk).work = Some(work);
            call.filling.fill(Err(Failed::Spawn(error)));
        }
    }
}

fn work_off<Q, A>(desk: &Mutex<Desk<Q, A>>, mut work: Work<Q, A>, mut call: Call<Q, A>) {
    loop {
        let Call { question, filling } = call;
        if filling.is_awaited() {
            let answer = catch_unwind(AssertUnwindSafe(|| work(question)));
            filling.fill(answer.map_err(Failed::Panicked));
        }
        let mut desk = lock(desk);
        match desk.next.take() {
            Some(next) => call = next,
            None => {
                desk.work = Some(work);
                return;
            }
        }
    }
}
