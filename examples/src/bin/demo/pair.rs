//! A publisher and a subscriber, with the lanes that they share.

use std::error::Error;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use mqtt_examples::proxy::{Cut, Direction};
use mqtt_examples::tally::sequence;
use mqtt_proto::PublishView;
use mqtt_tokio::{Config, ConfigBuilder, Limits, QoS, Subscription, TopicFilter, Version};
use tokio::task::JoinSet;

use crate::lane::Lane;
use crate::link::Link;

/// Long enough to outlive the cut, short enough to leave nothing behind on a foreign broker.
const SESSION_EXPIRY: Duration = Duration::from_secs(300);

pub(crate) struct Pair {
    pub(crate) publisher: Link,
    pub(crate) subscriber: Link,
}

/// What all pairs have in common.
pub(crate) struct Plan {
    pub(crate) version: Version,
    /// `host:port` of the broker.
    pub(crate) target: String,
    /// Whether a client of 3.1.1 may have more in flight than the 20 that any broker takes.
    pub(crate) generous: bool,
}

impl Pair {
    /// Connects both ends and starts the traffic, which flows as the lanes allow it.
    pub(crate) async fn start(
        plan: &Plan,
        id: &str,
        lanes: &[Arc<Lane>],
        tasks: &mut JoinSet<Result<(), String>>,
    ) -> Result<Self, Box<dyn Error>> {
        let config = plan.config(format!("{id}s"));
        let subscriber = Link::connect(&plan.target, config, |_, _| {}).await?;
        let filter = |lane: &Arc<Lane>| TopicFilter::from_bytes(lane.topic.bytes().clone());
        let filters = lanes.iter().map(filter).collect::<Result<Vec<_>, _>>()?;
        let filters = filters.into_iter().map(|f| (f, QoS::ExactlyOnce.into()));
        let subscription = subscriber.client.subscribe_many(filters).await?;
        tasks.spawn(receive(subscription, lanes.to_vec()));

        let watched = lanes.to_vec();
        let count = move |direction, publish: &PublishView| {
            if direction == Direction::ToBroker {
                count_transmission(&watched, publish);
            }
        };
        let config = plan.config(format!("{id}p"));
        let publisher = Link::connect(&plan.target, config, count).await?;
        for lane in lanes {
            let (lane, client) = (Arc::clone(lane), publisher.client.clone());
            tasks.spawn(async move { lane.publish(&client).await });
        }
        Ok(Self {
            publisher,
            subscriber,
        })
    }

    /// Breaks both links at once.
    pub(crate) fn cut(&self) {
        self.publisher.proxy.cut(Cut::Reset);
        self.subscriber.proxy.cut(Cut::Reset);
    }

    /// Waits until both are back; whether the broker kept the sessions.
    pub(crate) async fn reconnected(&mut self) -> Result<bool, Box<dyn Error>> {
        let (publisher, subscriber) = (&mut self.publisher, &mut self.subscriber);
        let present = tokio::try_join!(publisher.reconnected(), subscriber.reconnected())?;
        Ok(present.0 && present.1)
    }
}

impl Plan {
    fn config(&self, id: String) -> ConfigBuilder {
        let mut limits = Limits::default();
        if self.generous {
            limits.max_in_flight_v3 = NonZeroU16::MAX;
        }
        let config = Config::builder(id).version(self.version).limits(limits);
        match self.version.is_v5() {
            true => config.session_expiry(SESSION_EXPIRY),
            false => config,
        }
    }
}

async fn receive(mut subscription: Subscription, lanes: Vec<Arc<Lane>>) -> Result<(), String> {
    while let Some(message) = subscription.next().await {
        let topic = message.topic();
        let lane = lanes.iter().find(|lane| topic == lane.topic.as_str());
        if let (Some(lane), Some(seq)) = (lane, sequence(message.payload())) {
            lane.receive(seq);
        }
    }
    Ok(())
}

fn count_transmission(lanes: &[Arc<Lane>], publish: &PublishView) {
    let lane = lanes.iter().find(|lane| lane.qos == publish.qos());
    if let (Some(lane), Some(seq)) = (lane, sequence(publish.payload())) {
        lane.with(|tally| tally.transmit(seq, publish.dup()));
    }
}
