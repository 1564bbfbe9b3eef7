//! `mqtt5` 0.49: a client that is cloned into tasks. Its `publish_qos` ends when the message is written, or acknowledged at QoS 1; so there is a
//! task for each message in flight. What is received comes to a callback.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use mqtt5::{ConnectOptions, MqttClient, PublishResult, QoS, SubscribeOptions};
use tokio::task::JoinSet;

use crate::Result;
use crate::case::Work;
use crate::clients::{Gate, at_work, spawned};
use crate::crowd::{crowd, together};
use crate::job::{Begun, Job};
use crate::wire::{FILTER, TOPIC};

pub(crate) fn run(job: &Job) -> Result<()> {
    spawned(work(job.clone()))
}

async fn connect(job: &Job, id: String) -> Result<MqttClient> {
    let options = ConnectOptions::new(id).with_clean_start(true);
    let client = MqttClient::with_options(options);
    if job.tls() {
        let authority = Some(job.certificate.clone().into_bytes());
        client.set_tls_config(None, None, authority).await;
    }
    client.connect(&job.url()).await?;
    Ok(client)
}

async fn work(job: Job) -> Result<()> {
    if job.work().connects() {
        let leave = |client: MqttClient| async move { Ok(client.disconnect().await?) };
        return crowd(&job, |id| connect(&job, id), leave).await;
    }
    if job.row.crowd.is_some() {
        return many(&job).await;
    }
    let client = connect(&job, "rival".to_owned()).await?;
    let begun = job.begin()?;
    if job.work() == Work::Latency {
        latency(&client, &job, begun).await?.end()?;
    } else if job.work().receives() {
        let received = Received::new(&job, begun);
        subscribe(&client, &job, &received).await?;
        received.all().await?.end()?;
    } else {
        publish(&client, &job, begun).await?.end()?;
    }
    std::future::pending().await
}

/// Many clients, with a task for each.
async fn many(job: &Job) -> Result<()> {
    let one = |id: String| async {
        let client = connect(job, id).await?;
        let received = Received::new(&job.share(), Begun::default());
        if job.work().receives() {
            subscribe(&client, job, &received).await?;
        }
        Ok((client, received))
    };
    let start = |(client, received): (MqttClient, Received), job: Job| {
        at_work(async move {
            let begun = match job.work().receives() {
                true => received.all().await?,
                false => publish(&client, &job, Begun::default()).await?,
            };
            Ok((begun, client))
        })
    };
    together(job, one, start).await
}

const fn qos(job: &Job) -> QoS {
    match job.qos() {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

async fn publish_one(client: &MqttClient, job: &Job, payload: &[u8]) -> Result<()> {
    match client.publish_qos(TOPIC, payload, qos(job)).await? {
        PublishResult::Sent(_) => Ok(()),
        PublishResult::Queued(_) => Err("not sent, but queued".into()),
    }
}

async fn publish(client: &MqttClient, job: &Job, mut begun: Begun) -> Result<Begun> {
    let tasks = match job.work() {
        Work::Publish0 => 1,
        _ => job.window(),
    };
    let left = Arc::new(AtomicU64::new(job.count));
    let mut publishers = JoinSet::new();
    for _ in 0..u64::from(tasks).min(job.count) {
        let (client, job, payload, left) =
            (client.clone(), job.clone(), job.payload(), left.clone());
        publishers.spawn(async move {
            let mut published = 0;
            let take = |left: u64| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
            {
                publish_one(&client, &job, &payload).await?;
                published += 1;
            }
            Result::Ok(published)
        });
    }
    while let Some(published) = publishers.join_next().await {
        begun.published(job, published??);
    }
    Ok(begun)
}

async fn latency(client: &MqttClient, job: &Job, mut begun: Begun) -> Result<Begun> {
    let (payload, mut latencies) = (job.payload(), job.latencies());
    for _ in 0..job.count {
        let start = Instant::now();
        publish_one(client, job, &payload).await?;
        latencies.push(start.elapsed().as_nanos() as u64);
    }
    begun.took(latencies);
    begun.published(job, job.count);
    Ok(begun)
}

/// What has come to a callback.
#[derive(Clone)]
struct Received {
    begun: Arc<Mutex<Option<Begun>>>,
    gate: Gate,
    count: u64,
}

impl Received {
    fn new(job: &Job, begun: Begun) -> Self {
        Self {
            begun: Arc::new(Mutex::new(Some(begun))),
            gate: Gate::new(),
            count: job.count,
        }
    }

    async fn all(self) -> Result<Begun> {
        self.gate.wait().await;
        let begun = self.begun.lock();
        let begun = begun.map_err(|_| "a panic in the callback")?.take();
        Ok(begun.ok_or("taken")?)
    }
}

async fn subscribe(client: &MqttClient, job: &Job, received: &Received) -> Result<()> {
    let options = SubscribeOptions {
        qos: qos(job),
        ..SubscribeOptions::default()
    };
    let received = received.clone();
    let callback = move |message: mqtt5::Message| {
        if let Ok(mut begun) = received.begun.lock()
            && let Some(begun) = begun.as_mut()
        {
            begun.received(message.topic.as_bytes(), &message.payload);
            if begun.messages() == received.count {
                received.gate.open();
            }
        }
    };
    client
        .subscribe_with_options(FILTER, options, callback)
        .await?;
    Ok(())
}
