//! The cut: fills the link in every way in which it can be full, and breaks it.

use std::time::{Duration, Instant};

use mqtt_examples::proxy::{Cut, Direction};
use mqtt_examples::tap::InFlight;

use crate::lane::Lane;
use crate::link::Link;

/// How many messages each lane sends in each of the three stages.
const STAGE: u64 = 25;
/// How many of QoS 1 and of QoS 2 have to be in flight in each direction.
const ENOUGH: usize = 20;
/// A broker that allows fewer in flight is not waited for longer than this.
const PATIENCE: Duration = Duration::from_secs(3);
/// Time for bytes to travel over loopback, where nothing tells that they have arrived.
const TRAVEL: Duration = Duration::from_millis(50);

/// What was in flight when the link broke.
#[derive(Clone, Copy)]
pub(crate) struct AtCut {
    pub(crate) to_broker: InFlight,
    pub(crate) to_subscriber: InFlight,
}

impl AtCut {
    pub(crate) fn is_enough(&self) -> bool {
        [self.to_broker, self.to_subscriber]
            .iter()
            .all(|way| way.at_least_once.min(way.exactly_once) >= ENOUGH)
    }
}

impl std::fmt::Display for AtCut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} messages of QoS 1 and {} of QoS 2 to the broker, {} and {} to the subscriber",
            self.to_broker.at_least_once,
            self.to_broker.exactly_once,
            self.to_subscriber.at_least_once,
            self.to_subscriber.exactly_once,
        )
    }
}

/// Breaks both links, with messages in flight whose PUBLISH has arrived, and others whose PUBLISH
/// has not. The lanes must be idle after the first `sent`, with three stages left to send.
pub(crate) async fn cut(publisher: &Link, subscriber: &Link, lanes: &[&Lane], sent: u64) -> AtCut {
    let allow = |stage: u64| {
        lanes
            .iter()
            .for_each(|lane| lane.allow(sent + stage * STAGE))
    };
    let to_subscriber = || subscriber.tap.in_flight(Direction::ToClient);
    let to_broker = || publisher.tap.in_flight(Direction::ToBroker);

    // What is left of the traffic before.
    wait_until(|| to_subscriber() == InFlight::default()).await;
    // Messages arrive, but the subscriber's acknowledgements don't.
    subscriber.proxy.hold(Direction::ToBroker);
    allow(1);
    // The publisher is through with them, so no PUBREL is on its way at the cut. The embedded
    // broker answers a repeated one in the format of 5.0 even in 3.1.1, where no client can read
    // that: it would hang up, try again, and find the same.
    wait_until(|| is_stage(to_subscriber()) && to_broker() == InFlight::default()).await;
    // Then neither does what goes to the subscriber, nor the broker's acknowledgements.
    subscriber.proxy.hold(Direction::ToClient);
    publisher.proxy.hold(Direction::ToClient);
    allow(2);
    wait_until(|| is_stage(to_broker())).await;
    // And then nothing gets through at all.
    publisher.proxy.hold(Direction::ToBroker);
    allow(3);
    tokio::time::sleep(TRAVEL).await;

    let at_cut = AtCut {
        to_broker: to_broker(),
        to_subscriber: to_subscriber(),
    };
    publisher.proxy.cut(Cut::Reset);
    subscriber.proxy.cut(Cut::Reset);
    at_cut
}

/// Whether all messages of a stage are in flight.
fn is_stage(in_flight: InFlight) -> bool {
    let (one, two) = (in_flight.at_least_once, in_flight.exactly_once);
    one.min(two) as u64 >= STAGE
}

async fn wait_until(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() && start.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
