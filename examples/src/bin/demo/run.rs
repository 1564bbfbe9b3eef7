//! One version of the protocol: a publisher, a subscriber, three lanes between them, and a cut
//! half way.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mqtt_examples::cli::unique_id;
use mqtt_examples::progress::Progress;
use mqtt_examples::proxy::Direction;
use mqtt_examples::report::Row;
use mqtt_examples::tally::sequence;
use mqtt_proto::PublishView;
use mqtt_tokio::{QoS, Subscription, Version};
use tokio::task::JoinSet;

use crate::cut::{AtCut, cut};
use crate::lane::Lane;
use crate::link::Link;

/// The demo gives up when nothing has moved for so long.
const STALL: Duration = Duration::from_secs(20);
/// A message of QoS 0 that is this much later than everything else won't come any more.
const QOS_0_GRACE: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_millis(5);

pub(crate) struct RunResult {
    pub(crate) rows: Vec<Row>,
    pub(crate) at_cut: AtCut,
    /// What went wrong apart from the counts.
    pub(crate) failures: Vec<String>,
}

/// Runs `total` messages of each QoS through the broker at `url`.
pub(crate) async fn run(
    version: Version,
    name: &'static str,
    url: &str,
    total: u64,
) -> Result<RunResult, Box<dyn Error>> {
    let target = target(url)?;
    let unique = unique_id("demo");
    let prefix = format!("mqtt-demo/{unique}/{name}");
    let clock = Instant::now();
    let lane = |qos| Lane::new(qos, &prefix, total, clock).map(Arc::new);
    let lanes = [
        lane(QoS::AtMostOnce)?,
        lane(QoS::AtLeastOnce)?,
        lane(QoS::ExactlyOnce)?,
    ];
    let mut run = Run {
        lanes: lanes.clone(),
        progress: Progress::new(format!("MQTT {name}"), 3 * total),
        tasks: JoinSet::new(),
        failures: Vec::new(),
    };

    let mut subscriber = Link::connect(&target, version, format!("{unique}s"), |_, _| {}).await?;
    let subscription = subscriber
        .client
        .subscribe(format!("{prefix}/#").as_str(), QoS::ExactlyOnce)
        .await?;
    let watched = lanes.clone();
    let mut publisher = Link::connect(
        &target,
        version,
        format!("{unique}p"),
        move |way, publish| {
            if way == Direction::ToBroker {
                count_transmission(&watched, publish);
            }
        },
    )
    .await?;

    let receiver = tokio::spawn(receive(subscription, lanes.clone()));
    for lane in &lanes {
        let (lane, client) = (Arc::clone(lane), publisher.client.clone());
        run.tasks.spawn(async move { lane.publish(&client).await });
    }

    let half = total / 2;
    run.leg(half).await;
    let at_cut = run.cut(&mut publisher, &mut subscriber, half).await?;
    run.leg(total).await;

    for link in [&mut publisher, &mut subscriber] {
        for loss in link.later_losses().await {
            run.progress
                .note(&format!("connection lost once more: {loss}"));
        }
    }
    let Run {
        progress,
        mut failures,
        ..
    } = run;
    progress.finish(settled(&lanes));
    for link in [publisher, subscriber] {
        if let Err(error) = link.close().await {
            failures.push(format!("MQTT {name}: could not disconnect: {error}"));
        }
    }
    receiver.abort();
    let rows = lanes.iter().map(|lane| Row {
        version: name,
        qos: lane.qos,
        counts: lane.counts(),
    });
    Ok(RunResult {
        rows: rows.collect(),
        at_cut,
        failures,
    })
}

struct Run {
    lanes: [Arc<Lane>; 3],
    progress: Progress,
    tasks: JoinSet<Result<(), String>>,
    failures: Vec<String>,
}

impl Run {
    /// Sends up to `until` messages on each lane, and waits until they have arrived. Once something
    /// has failed there is nothing left to show.
    async fn leg(&mut self, until: u64) {
        if !self.failures.is_empty() {
            return;
        }
        for lane in &self.lanes {
            lane.begin_leg(until);
        }
        self.wait_until_idle().await;
        for lane in &self.lanes {
            lane.with(|tally| tally.end_leg());
        }
    }

    /// Cuts the link after the first `sent` messages, and waits until it has healed.
    async fn cut(
        &mut self,
        publisher: &mut Link,
        subscriber: &mut Link,
        sent: u64,
    ) -> Result<AtCut, Box<dyn Error>> {
        let lanes = self.lanes.each_ref().map(|lane| &**lane);
        let at_cut = cut(publisher, subscriber, &lanes, sent).await;
        self.progress
            .note(&format!("cut while in flight: {at_cut}"));

        let start = Instant::now();
        let both = async { tokio::try_join!(publisher.reconnected(), subscriber.reconnected()) };
        let present = tokio::time::timeout(STALL, both)
            .await
            .map_err(|_| "no new connection after the cut")??;
        self.progress.note(&format!(
            "both are back after {:.2} s; session of the publisher {}, of the subscriber {}",
            start.elapsed().as_secs_f64(),
            kept(present.0),
            kept(present.1),
        ));
        self.wait_until_idle().await;
        Ok(at_cut)
    }

    /// Waits until all lanes are idle; or nothing has moved for a while: then what is still
    /// missing is given up, which at QoS 0 is no failure.
    async fn wait_until_idle(&mut self) {
        let (mut seen, mut moved) = (0, Instant::now());
        while !self.lanes.iter().all(|lane| lane.is_idle()) {
            tokio::time::sleep(TICK).await;
            self.progress.update(settled(&self.lanes));
            while let Some(ended) = self.tasks.try_join_next() {
                match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => self.failures.push(error),
                    Err(panic) => self.failures.push(panic.to_string()),
                }
            }
            let now = self
                .lanes
                .iter()
                .map(|lane| lane.with(|t| t.movements()))
                .sum();
            if now != seen {
                (seen, moved) = (now, Instant::now());
                continue;
            }
            let [qos_0, others @ ..] = &self.lanes;
            if moved.elapsed() > QOS_0_GRACE && others.iter().all(|lane| lane.is_idle()) {
                qos_0.with(|tally| tally.write_off_below(tally.sent()));
            }
            if moved.elapsed() > STALL {
                let stalled = format!("nothing moved for {} s", STALL.as_secs());
                self.failures.push(stalled);
                return;
            }
        }
    }
}

async fn receive(mut subscription: Subscription, lanes: [Arc<Lane>; 3]) {
    while let Some(message) = subscription.next().await {
        let topic = message.topic();
        let lane = lanes.iter().find(|lane| topic == lane.topic.as_str());
        if let (Some(lane), Some(seq)) = (lane, sequence(message.payload())) {
            lane.receive(seq);
        }
    }
}

fn count_transmission(lanes: &[Arc<Lane>; 3], publish: &PublishView) {
    let lane = &lanes[usize::from(publish.qos().as_u8())];
    if let Some(seq) = sequence(publish.payload()) {
        lane.with(|tally| tally.transmit(seq, publish.dup()));
    }
}

fn settled(lanes: &[Arc<Lane>; 3]) -> u64 {
    let settled = |lane: &Arc<Lane>| lane.with(|tally| tally.sent() - tally.outstanding());
    lanes.iter().map(settled).sum()
}

fn kept(present: bool) -> &'static str {
    if present { "kept" } else { "lost" }
}

/// Where the proxies connect: `host:port` of the URL.
fn target(url: &str) -> Result<String, String> {
    let authority = url
        .strip_prefix("mqtt://")
        .ok_or_else(|| format!("{url}: the demo reads along, so it needs a URL with mqtt://"))?
        .trim_end_matches('/');
    let has_port = authority
        .rsplit(']')
        .next()
        .is_some_and(|rest| rest.contains(':'));
    Ok(match has_port {
        true => authority.to_owned(),
        false => format!("{authority}:1883"),
    })
}
