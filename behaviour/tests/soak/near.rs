//! The adapter's client: it publishes one direction, and reads the other.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use mqtt_behaviour::{Adapter, Result, Transport};
use mqtt_session::client::exports::{Backoff, ClientEvent, Outcome, QoS, Timeouts, Version};
use mqtt_session::client::{Client, Delivery, Subscription};
use mqtt_session::{Config, Limits};

use crate::tally::{Flow, Tally, pause};

/// For anything that is waited for. A cut that nobody is told of costs two keep-alive intervals.
const LONG: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);
/// Deliveries that are not looked at yet.
const WINDOW: usize = 200;

pub(crate) fn start(adapter: &dyn Adapter, version: Version, addr: SocketAddr) -> Result<Client> {
    let mut timeouts = Timeouts::default();
    timeouts.pingresp = Duration::from_secs(2);
    timeouts.connack = Duration::from_secs(3);
    let backoff = Backoff {
        first: Duration::from_millis(20),
        longest: Duration::from_millis(200),
        ..Backoff::default()
    };
    let mut limits = Limits::default();
    limits.max_queued = 100;
    // mosquitto sends more than the usual one allows, for which the connection would be closed, which is another test.
    limits.receive_maximum = NonZeroU16::new(5_000).ok_or("zero")?;
    let config = Config::builder("near")
        .version(version)
        .clean_start(false)
        .keep_alive(Duration::from_secs(2))
        .timeouts(timeouts)
        .backoff(backoff)
        .limits(limits)
        .build()?;
    Ok(adapter.start(&Transport::Tcp.url(addr), config)?)
}

pub(crate) fn subscribe(client: &Client, tally: &Tally) -> Result<Subscription> {
    let subscribing = client.subscribe("soak/in/+", QoS::ExactlyOnce);
    Ok(wait("subscribing", tally, subscribing)??)
}

/// Publishes what [`Tally::draw`] gives it, and returns when all of it has been acknowledged.
///
/// # Errors
///
/// A message had another outcome, or none in a long time.
pub(crate) fn publish(client: &Client, tally: &Tally) -> Result {
    let mut deliveries = VecDeque::new();
    let mut ended = [false; 2];
    while ended != [true, true] {
        let mut waits = true;
        for (flow, ended) in Flow::both(true).into_iter().zip(&mut ended) {
            match tally.draw(flow) {
                Some(Some(key)) => {
                    waits = false;
                    let publishing = client.publish(flow.topic(), flow.qos, key.payload());
                    deliveries.push_back(wait("publishing", tally, publishing)??);
                }
                Some(None) => {}
                None => *ended = true,
            }
        }
        if deliveries.len() > WINDOW
            && let Some(delivery) = deliveries.pop_front()
        {
            acknowledged(tally, delivery)?;
        }
        if waits && ended != [true, true] {
            stopped(tally)?;
            thread::sleep(Duration::from_millis(1));
        }
    }
    deliveries
        .into_iter()
        .try_for_each(|delivery| acknowledged(tally, delivery))
}

fn acknowledged(tally: &Tally, delivery: Delivery) -> Result {
    match wait("a delivery", tally, delivery)? {
        Ok(Outcome::Acknowledged {
            republished: false,
            completed: true,
            ..
        }) => Ok(()),
        other => Err(format!("a message has ended as {other:?}").into()),
    }
}

/// Tells the tally what comes, until that says that it is enough.
///
/// # Errors
///
/// The session ended, or a message came that nobody sent.
pub(crate) fn read(messages: &mut Subscription, tally: &Tally) -> Result {
    while !tally.stopped() {
        match within(LOOK, messages.next()) {
            Some(Some(message)) => tally.arrive(false, message.payload())?,
            Some(None) => return Err("the session has ended".into()),
            None => {}
        }
    }
    Ok(())
}

/// Why connections ended, until the tally says that it is enough, with how many did so.
pub(crate) fn watch(client: &Client, tally: &Tally) -> BTreeMap<String, u32> {
    let mut events = client.events();
    let mut causes = BTreeMap::new();
    while !tally.stopped() {
        match within(LOOK, events.next()) {
            Some(Some(ClientEvent::Lost { error, .. })) => {
                let text = error.to_string();
                // Without which address it was, how long it had lasted, and what that may hint at.
                let cause = text.split_once(": ").map_or(&*text, |(_, cause)| cause);
                let cause = cause.split_once("; ").map_or(cause, |(cause, _)| cause);
                *causes.entry(cause.to_owned()).or_default() += 1;
            }
            Some(Some(_)) | None => {}
            Some(None) => break,
        }
    }
    causes
}

/// Ends the session with a DISCONNECT.
pub(crate) fn disconnect(client: &Client) {
    let _ = within(LONG, client.disconnect(Duration::from_secs(5)));
}

fn stopped(tally: &Tally) -> Result {
    if tally.stopped() {
        return Err("somebody else has failed".into());
    }
    Ok(())
}

/// Awaits on this thread, for as long as nobody else has failed.
fn wait<F: Future>(what: &str, tally: &Tally, future: F) -> Result<F::Output> {
    let begun = Instant::now();
    let mut future = pin!(future);
    loop {
        if let Some(output) = within(LOOK, future.as_mut()) {
            return Ok(output);
        }
        stopped(tally)?;
        pause(begun, LONG, what)?;
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let deadline = Instant::now() + limit;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}
