//! Futures with their wakers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use mqtt_session::client::{Client, Delivery, SendError, SubscribeFailed, Subscription};
use mqtt_session::proto::{Publish, QoS, SubscribeOptions, TopicFilter};
use mqtt_session::{Outcome, SubscribeError};

/// Whether a waker was called.
#[derive(Debug)]
pub(super) struct Alarm(Arc<Bell>);

#[derive(Debug)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Alarm {
    /// As if it had been called: a future must be polled once to begin with.
    pub(super) fn ringing() -> Self {
        Self(Arc::new(Bell(AtomicBool::new(true))))
    }

    pub(super) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.0))
    }

    pub(super) fn rings(&self) -> bool {
        self.0.0.load(Ordering::Relaxed)
    }

    pub(super) fn take(&self) -> bool {
        self.0.0.swap(false, Ordering::Relaxed)
    }
}

/// How a future ended.
pub(super) enum Done {
    Published(Result<Delivery, SendError>),
    Outcome(Outcome),
    Subscribed {
        queue: usize,
        result: Result<Subscription, SubscribeFailed>,
    },
    Unsubscribed {
        filter: TopicFilter,
        result: Result<(), SubscribeFailed>,
    },
    Left,
}

type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

/// A future that the application waits for.
pub(super) struct Task {
    /// The number of a message or request.
    pub(super) id: u32,
    pub(super) alarm: Alarm,
    work: Work,
    pub(super) subscribes: bool,
    publishes: bool,
    pub(super) delivers: bool,
}

impl Task {
    fn new(id: u32, work: impl Future<Output = Done> + Send + 'static) -> Self {
        Self {
            id,
            alarm: Alarm::ringing(),
            work: Box::pin(work),
            subscribes: false,
            publishes: false,
            delivers: false,
        }
    }

    pub(super) fn publish(n: u32, client: Client, qos: QoS, publish: Publish) -> Self {
        let mut task = Self::new(n, async move {
            Done::Published(client.publish_message(qos, publish).await)
        });
        task.publishes = true;
        task
    }

    pub(super) fn deliver(n: u32, delivery: Delivery) -> Self {
        let mut task = Self::new(n, async move {
            let outcome = delivery.await;
            Done::Outcome(outcome.unwrap_or_else(|error| error.outcome))
        });
        task.delivers = true;
        task
    }

    pub(super) fn subscribe(
        op: u32,
        client: Client,
        filters: Vec<(TopicFilter, SubscribeOptions)>,
        queue: usize,
    ) -> Self {
        let mut task = Self::new(op, async move {
            let mut result = client.subscribe_many(filters.clone()).await;
            // Other options than those that are there: they are meant.
            let conflict = matches!(
                result,
                Err(SubscribeFailed::Request(SubscribeError::Conflict { .. }))
            );
            if let Some((filter, options)) = filters.into_iter().next().filter(|_| conflict) {
                result = client.replace_subscription(filter, options).await;
            }
            Done::Subscribed { queue, result }
        });
        task.subscribes = true;
        task
    }

    pub(super) fn unsubscribe(op: u32, client: Client, filter: TopicFilter) -> Self {
        Self::new(op, async move {
            let result = client.unsubscribe(vec![filter.clone()]).await;
            Done::Unsubscribed { filter, result }
        })
    }

    pub(super) fn leave(client: Client, drain: Duration) -> Self {
        Self::new(0, async move {
            client.disconnect(drain).await;
            Done::Left
        })
    }

    pub(super) const fn is_publish(&self) -> bool {
        self.publishes || self.delivers
    }

    pub(super) fn poll(&mut self) -> Poll<Done> {
        let waker = self.alarm.waker();
        self.work.as_mut().poll(&mut Context::from_waker(&waker))
    }
}
