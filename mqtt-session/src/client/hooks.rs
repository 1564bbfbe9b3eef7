//! Code of the application that alters, refuses or watches what passes.

use std::borrow::Cow;
use std::boxed::Box;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::vec::Vec;

use mqtt_proto::{Publish, PublishView, QoS};

use crate::{Instant, Observation};

use super::publish::SendError;

/// Sees each message on its way out and in, and may alter or refuse it. See [`Client::set_hooks`](super::Client::set_hooks).
///
/// It runs in the task that publishes or takes the message, and never under the client's lock: it may use the client. A panic in it goes to
/// that task, and harms nothing else: an outgoing message is not accepted then, an incoming one is treated as one at which the application
/// panicked ([`AckMode`](super::AckMode)).
pub trait Interceptor: Send + Sync {
    /// A message that is about to be published. What it is when this returns is sent.
    ///
    /// # Errors
    ///
    /// It shall not be sent. The publisher gets the message back with the reason.
    fn outgoing(&self, _qos: &mut QoS, _publish: &mut Publish) -> Result<(), Refusal> {
        Ok(())
    }

    /// A message that is about to be given to the application. What it is when this returns is given
    /// ([`PublishView::set_payload`] replaces the payload).
    ///
    /// # Errors
    ///
    /// The application shall not get it. It is acknowledged as if it had been dealt with, whatever the
    /// [`AckMode`](super::AckMode): left unacknowledged it would hold back all that come after it. [`Stats::refused_in`](crate::Stats::refused_in)
    /// counts it.
    fn incoming(&self, _message: &mut PublishView) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Sees what happens and changes nothing. See [`Client::set_hooks`](super::Client::set_hooks).
pub trait Observer: Send {
    /// Something happened, at about this time. Called by the driver in the order of what happened, without the client's lock. It keeps
    /// the driver from its work for as long as it takes.
    ///
    /// If it panics, it is not called again, and [`ClientEvent::ObserverPanicked`](super::ClientEvent::ObserverPanicked) tells.
    fn observe(&mut self, now: Instant, observation: Observation);
}

/// Why an [`Interceptor`] refuses a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For a person.
    pub reason: Cow<'static, str>,
}

/// What is to run at messages and observations: nothing, at first.
#[derive(Default)]
pub struct Hooks {
    interceptors: Vec<Box<dyn Interceptor>>,
    observer: Option<Box<dyn Observer>>,
}

/// A message that an [`Interceptor`] refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Intercepted {
    /// The message, as it was when it was refused.
    pub publish: Publish,
    /// Its QoS.
    pub qos: QoS,
    /// Why.
    pub refusal: Refusal,
}

impl Hooks {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// With another interceptor: outgoing messages come to it after the earlier ones, incoming ones before them.
    pub fn interceptor(mut self, interceptor: impl Interceptor + 'static) -> Self {
        self.interceptors.push(Box::new(interceptor));
        self
    }

    /// With this observer, instead of an earlier one.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    pub(super) fn observes(&self) -> bool {
        self.observer.is_some()
    }
}

/// The hooks of a client, set once.
#[derive(Default)]
pub(super) struct Hooked {
    interceptors: OnceLock<Vec<Box<dyn Interceptor>>>,
    observer: Mutex<Option<Box<dyn Observer>>>,
    refused_out: AtomicU64,
    refused_in: AtomicU64,
}

impl Hooked {
    /// The hooks back, where there are some already.
    pub(super) fn set(&self, hooks: Hooks) -> Result<(), Hooks> {
        let Hooks {
            interceptors,
            observer,
        } = hooks;
        match self.interceptors.set(interceptors) {
            Ok(()) => {
                *self.observer.lock().unwrap_or_else(PoisonError::into_inner) = observer;
                Ok(())
            }
            Err(interceptors) => Err(Hooks {
                interceptors,
                observer,
            }),
        }
    }

    pub(super) fn counts(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.refused_out), count(&self.refused_in))
    }

    pub(super) fn intercepts(&self) -> bool {
        self.interceptors
            .get()
            .is_some_and(|interceptors| !interceptors.is_empty())
    }

    #[inline]
    pub(super) fn outgoing(&self, qos: &mut QoS, publish: Publish) -> Result<Publish, SendError> {
        match self.interceptors.get() {
            Some(interceptors) if !interceptors.is_empty() => {
                self.each_outgoing(interceptors, qos, publish)
            }
            _ => Ok(publish),
        }
    }

    #[cold]
    fn each_outgoing(
        &self,
        interceptors: &[Box<dyn Interceptor>],
        qos: &mut QoS,
        mut publish: Publish,
    ) -> Result<Publish, SendError> {
        for interceptor in interceptors {
            if let Err(refusal) = interceptor.outgoing(qos, &mut publish) {
                self.refused_out.fetch_add(1, Ordering::Relaxed);
                return Err(SendError::Intercepted(Box::new(Intercepted {
                    publish,
                    qos: *qos,
                    refusal,
                })));
            }
        }
        Ok(publish)
    }

    /// Whether the application shall have it.
    pub(super) fn incoming(&self, message: &mut PublishView) -> bool {
        let interceptors = self.interceptors.get().into_iter().flatten().rev();
        for interceptor in interceptors {
            if interceptor.incoming(message).is_err() {
                self.refused_in.fetch_add(1, Ordering::Relaxed);
                return false;
            }
        }
        true
    }

    /// Tells the observer. Whether it is still there.
    pub(super) fn observe(
        &self,
        now: Instant,
        observations: &mut Vec<Observation>,
    ) -> Result<(), ObserverPanicked> {
        let mut observer = self.observer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(watches) = &mut *observer else {
            observations.clear();
            return Ok(());
        };
        // It is not called again after a panic, so nothing that it left half done is seen.
        let told = catch_unwind(AssertUnwindSafe(|| {
            for observation in observations.drain(..) {
                watches.observe(now, observation);
            }
        }));
        told.map_err(|_| {
            *observer = None;
            ObserverPanicked
        })
    }
}

pub(super) struct ObserverPanicked;

impl From<&'static str> for Refusal {
    fn from(reason: &'static str) -> Self {
        Self {
            reason: Cow::Borrowed(reason),
        }
    }
}

impl From<std::string::String> for Refusal {
    fn from(reason: std::string::String) -> Self {
        Self {
            reason: Cow::Owned(reason),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl fmt::Display for Intercepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an interceptor refused the message: {}", self.refusal)
    }
}

impl std::error::Error for Intercepted {}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("interceptors", &self.interceptors.len())
            .field("observer", &self.observer.is_some())
            .finish()
    }
}
