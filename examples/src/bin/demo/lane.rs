//! One stream of messages: a QoS, its topic, and its tally.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use mqtt_examples::tally::{Counts, Outcome, Tally, payload};
use mqtt_tokio::{Client, Delivery, QoS, Topic, TopicError};
use tokio::sync::{Notify, mpsc};

/// How many messages a lane has outstanding at most: 480 for the three lanes of a version, below
/// the 500 that the most modest broker queues for a subscriber.
const MAX_OUTSTANDING: u64 = 160;
const PAYLOAD: usize = 64;

pub(crate) struct Lane {
    pub(crate) qos: QoS,
    pub(crate) topic: Topic,
    total: u64,
    clock: Instant,
    state: Mutex<State>,
    /// Told when there may be something to send.
    changed: Notify,
}

struct State {
    tally: Tally,
    /// How many messages may have been sent by now.
    allowed: u64,
}

impl Lane {
    pub(crate) fn new(
        qos: QoS,
        prefix: &str,
        total: u64,
        clock: Instant,
    ) -> Result<Self, TopicError> {
        Ok(Self {
            qos,
            topic: Topic::try_from(format!("{prefix}/{}", qos.as_u8()))?,
            total,
            clock,
            state: Mutex::new(State {
                tally: Tally::new(qos != QoS::AtMostOnce),
                allowed: 0,
            }),
            changed: Notify::new(),
        })
    }

    /// Publishes the messages as they are allowed, and sees each to its end. Returns an error as
    /// soon as the client refuses one.
    pub(crate) async fn publish(&self, client: &Client) -> Result<(), String> {
        let (started, mut ending) = mpsc::unbounded_channel::<(u64, Delivery)>();
        let publish = async move {
            while let Some(seq) = self.next().await {
                let publish = client.publish(&self.topic, self.qos, payload(seq, PAYLOAD));
                let delivery = publish.await.map_err(|error| error.to_string())?;
                // The receiver is the other half of this function.
                let _ = started.send((seq, delivery));
            }
            Ok(())
        };
        // Acknowledgements keep their order, so waiting in order loses nothing.
        let settle = async {
            while let Some((seq, delivery)) = ending.recv().await {
                let outcome = match delivery.await {
                    Ok(_) => Outcome::Done,
                    Err(_) => Outcome::Failed,
                };
                self.with(|tally| tally.end(seq, outcome));
            }
            Ok(())
        };
        tokio::try_join!(publish, settle).map(|_| ())
    }

    /// The number of the next message, when it may be sent; `None` after the last.
    async fn next(&self) -> Option<u64> {
        loop {
            {
                let mut state = self.lock();
                let sent = state.tally.sent();
                if sent == self.total {
                    return None;
                }
                if sent < state.allowed && state.tally.outstanding() < MAX_OUTSTANDING {
                    return Some(state.tally.send(self.clock.elapsed()));
                }
            }
            self.changed.notified().await;
        }
    }

    /// Lets the lane send on, up to `allowed` messages since it began.
    pub(crate) fn allow(&self, allowed: u64) {
        self.lock().allowed = allowed;
        self.changed.notify_one();
    }

    /// A message arrived.
    pub(crate) fn receive(&self, seq: u64) {
        let now = self.clock.elapsed();
        self.with(|tally| tally.receive(seq, now));
    }

    /// Undisturbed traffic begins, up to `allowed` messages.
    pub(crate) fn begin_leg(&self, allowed: u64) {
        let now = self.clock.elapsed();
        self.with(|tally| tally.begin_leg(now));
        self.allow(allowed);
    }

    /// Everything that was allowed has been sent, and nothing is outstanding.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.tally.sent() >= state.allowed.min(self.total) && state.tally.outstanding() == 0
    }

    /// Looks at the tally, or changes it.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Tally) -> T) -> T {
        let result = look(&mut self.lock().tally);
        self.changed.notify_one();
        result
    }

    pub(crate) fn counts(&self) -> Counts {
        self.with(|tally| tally.counts())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic elsewhere ends the demo anyway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
