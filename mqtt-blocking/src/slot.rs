//! A place for one value that another thread brings.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

/// The side that waits. Dropping it tells the other that nobody does any more.
pub(crate) struct Awaited<T>(Arc<Slot<T>>);

/// The side that brings the value.
pub(crate) struct Filling<T>(Weak<Slot<T>>);

struct Slot<T>(Mutex<Inner<T>>);

struct Inner<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

pub(crate) fn slot<T>() -> (Awaited<T>, Filling<T>) {
    let slot = Arc::new(Slot(Mutex::new(Inner {
        value: None,
        waker: None,
    })));
    let filling = Filling(Arc::downgrade(&slot));
    (Awaited(slot), filling)
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // Nothing of others runs under it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Future for Awaited<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let waker = context.waker().clone();
        let mut inner = self.0.lock();
        if let Some(value) = inner.value.take() {
            return Poll::Ready(value);
        }
        let replaced = inner.waker.replace(waker);
        drop(inner);
        drop(replaced);
        Poll::Pending
    }
}

impl<T> Filling<T> {
    /// Whether somebody waits.
    pub(crate) fn is_awaited(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// Brings the value, if it is still wanted.
    pub(crate) fn fill(self, value: T) {
        let Some(slot) = self.0.upgrade() else {
            return;
        };
        let mut inner = slot.lock();
        inner.value = Some(value);
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
