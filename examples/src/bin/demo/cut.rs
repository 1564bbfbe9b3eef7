//! The cut: fills the links in every way in which they can be full, and breaks them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mqtt_examples::proxy::Direction;
use mqtt_examples::tap::InFlight;

use crate::lane::Lane;
use crate::pair::Pair;

/// How many messages each lane sends in each of the three stages, and so how many of QoS 1 and of
/// QoS 2 are in flight in each direction at the cut. More than 20 are not sure to get through: that
/// is what mosquitto, left to its defaults, allows a client.
const STAGE: u64 = 20;
/// A broker that allows fewer in flight is not waited for longer than this.
const PATIENCE: Duration = Duration::from_secs(3);
/// Time for bytes to travel over loopback, where nothing tells that they have arrived.
const TRAVEL: Duration = Duration::from_millis(50);

/// What was in flight when the links broke.
#[derive(Clone, Copy)]
pub(crate) struct AtCut {
    to_broker: InFlight,
    to_subscriber: InFlight,
}

impl AtCut {
    pub(crate) fn is_enough(&self) -> bool {
        is_stage(self.to_broker) && is_stage(self.to_subscriber)
    }
}

impl fmt::Display for AtCut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

/// Breaks all links, with messages in flight whose PUBLISH has arrived, and others whose PUBLISH
/// has not. The lanes must be idle after the first `sent`, with three stages left to send.
pub(crate) async fn cut(pairs: &[Pair], lanes: &[Arc<Lane>], sent: u64) -> AtCut {
    let each = |act: fn(&Pair)| pairs.iter().for_each(act);
    let allow = |stage: u64| {
        lanes
            .iter()
            .for_each(|lane| lane.allow(sent + stage * STAGE));
    };
    let to_broker = || {
        let taps = pairs.iter().map(|pair| &pair.publisher.tap);
        taps.map(|tap| tap.in_flight(Direction::ToBroker)).sum()
    };
    let to_subscriber = || {
        let taps = pairs.iter().map(|pair| &pair.subscriber.tap);
        taps.map(|tap| tap.in_flight(Direction::ToClient)).sum()
    };
    let none = InFlight::default();

    // What is left of the traffic before.
    wait_until(|| to_broker() == none && to_subscriber() == none).await;
    // Messages arrive, but the subscriber's acknowledgements don't.
    each(|pair| pair.subscriber.proxy.hold(Direction::ToBroker));
    allow(1);
    // The publisher is through with them, so no PUBREL is on its way at the cut. The embedded
    // broker answers a repeated one in the format of 5.0 even in 3.1.1, where no client can read
    // that: it would hang up, try again, and find the same.
    wait_until(|| is_stage(to_subscriber()) && to_broker() == none).await;
    // Then neither does what goes to the subscriber, nor the broker's acknowledgements.
    each(|pair| pair.subscriber.proxy.hold(Direction::ToClient));
    each(|pair| pair.publisher.proxy.hold(Direction::ToClient));
    allow(2);
    wait_until(|| is_stage(to_broker())).await;
    // And then nothing gets through at all.
    each(|pair| pair.publisher.proxy.hold(Direction::ToBroker));
    allow(3);
    tokio::time::sleep(TRAVEL).await;

    let at_cut = AtCut {
        to_broker: to_broker(),
        to_subscriber: to_subscriber(),
    };
    each(Pair::cut);
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
