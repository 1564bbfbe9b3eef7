//! One version of the protocol: three lanes of messages, and a cut half way.

use std::error::Error;
use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mqtt_examples::cli::unique_id;
use mqtt_examples::progress::Progress;
use mqtt_examples::report::Row;
use mqtt_tokio::QoS;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cut::{AtCut, cut};
use crate::lane::Lane;
use crate::pair::{Pair, Plan};

/// The demo gives up when nothing has moved for so long.
const STALL: Duration = Duration::from_secs(20);
/// A message of QoS 0 that is this much later than everything else won't come any more.
const QOS_0_GRACE: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_millis(5);

pub(crate) struct RunResult {
    pub(crate) rows: Vec<Row>,
    /// `None` if it did not come to that.
    pub(crate) at_cut: Option<AtCut>,
    /// What went wrong apart from the counts.
    pub(crate) failures: Vec<String>,
}

/// Runs `total` messages of each QoS through the broker.
pub(crate) async fn run(
    plan: &Plan,
    name: &'static str,
    total: u64,
) -> Result<RunResult, Box<dyn Error>> {
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
    // One connection for all is the harder case. Where 20 messages are all that a connection takes,
    // 20 of QoS 1 and 20 of QoS 2 need one for each.
    let groups = match plan.generous {
        true => vec![&lanes[..]],
        false => lanes.iter().map(slice::from_ref).collect(),
    };
    let mut pairs = Vec::new();
    for (group, number) in groups.into_iter().zip(0..) {
        let id = format!("{unique}{number}");
        pairs.push(Pair::start(plan, &id, group, &mut run.tasks).await?);
    }

    let half = total / 2;
    let mut at_cut = None;
    if run.leg(half).await {
        at_cut = Some(run.cut(&mut pairs, half).await?);
        run.leg(total).await;
    }
    let failures = run.end(pairs).await;

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
    /// Sends up to `until` messages on each lane, and waits until they have arrived. False if something
    /// failed: then there is nothing left to show.
    async fn leg(&mut self, until: u64) -> bool {
        for lane in &self.lanes {
            lane.begin_leg(until);
        }
        self.wait_until_idle().await;
        for lane in &self.lanes {
            lane.with(|tally| tally.end_leg());
        }
        self.failures.is_empty()
    }

    /// Cuts the links after the first `sent` messages, and waits until they have healed.
    async fn cut(&mut self, pairs: &mut [Pair], sent: u64) -> Result<AtCut, Box<dyn Error>> {
        let at_cut = cut(pairs, &self.lanes, sent).await;
        self.progress
            .note(&format!("cut while in flight: {at_cut}"));

        let (start, mut kept) = (Instant::now(), true);
        for pair in pairs {
            let reconnected = timeout(STALL, pair.reconnected()).await;
            kept &= reconnected.map_err(|_| "no new connection after the cut")??;
        }
        let sessions = if kept { "kept" } else { "lost" };
        self.progress.note(&format!(
            "all clients are back after {:.2} s; the broker has {sessions} their sessions",
            start.elapsed().as_secs_f64(),
        ));
        self.wait_until_idle().await;
        Ok(at_cut)
    }

    /// Disconnects everything; what went wrong until then.
    async fn end(mut self, pairs: Vec<Pair>) -> Vec<String> {
        for pair in pairs {
            for mut link in [pair.publisher, pair.subscriber] {
                for loss in link.later_losses().await {
                    self.progress
                        .note(&format!("a connection was lost once more: {loss}"));
                }
                if let Err(error) = link.close().await {
                    self.failures.push(format!("could not disconnect: {error}"));
                }
            }
        }
        self.progress.finish(settled(&self.lanes));
        self.failures
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

fn settled(lanes: &[Arc<Lane>; 3]) -> u64 {
    let settled = |lane: &Arc<Lane>| lane.with(|tally| tally.sent() - tally.outstanding());
    lanes.iter().map(settled).sum()
}
