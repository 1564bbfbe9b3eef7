//! Ours, used as its documentation shows, with default limits. The client is the same type on each runtime; what differs is the driver, and
//! which executor the task that works runs on.

use std::collections::VecDeque;
use std::time::Instant;

use mqtt_tokio::{Client, Config, Delivery, QoS, Topic};

use crate::Result;
use crate::case::Work;
use crate::clients::spawned;
use crate::job::{Begun, Job};
use crate::wire::{FILTER, TOPIC};

/// Deliveries that are kept at QoS 0 before the oldest is awaited.
const KEPT: usize = 100;

pub(crate) fn tokio(job: &Job) -> Result<()> {
    let job = *job;
    spawned(async move {
        let client = mqtt_tokio::connect(&job.url(), config()?).await?;
        work(&client, &job, false).await
    })
}

/// Every delivery is awaited.
pub(crate) fn tokio_awaited(job: &Job) -> Result<()> {
    let job = *job;
    spawned(async move {
        let client = mqtt_tokio::connect(&job.url(), config()?).await?;
        work(&client, &job, true).await
    })
}

pub(crate) fn smol(job: &Job) -> Result<()> {
    let job = *job;
    smol::block_on(smol::spawn(async move {
        let client = mqtt_async_std::connect(&job.url(), config()?).await?;
        work(&client, &job, false).await
    }))
}

pub(crate) fn async_std(job: &Job) -> Result<()> {
    let job = *job;
    async_std::task::block_on(async_std::task::spawn(async move {
        let client = mqtt_async_std::async_std::connect(&job.url(), config()?).await?;
        work(&client, &job, false).await
    }))
}

fn config() -> Result<Config> {
    Ok(Config::builder("ours").build()?)
}

async fn work(client: &Client, job: &Job, awaited: bool) -> Result<()> {
    let begun = job.begin()?;
    match job.work() {
        Work::Publish0 | Work::Publish1 { .. } if awaited => {
            publish_awaited(client, job, begun).await?;
        }
        Work::Publish0 | Work::Publish1 { .. } => publish(client, job, begun).await?,
        Work::Latency => latency(client, job, begun).await?,
        Work::Receive0 | Work::Receive1 => receive(client, job, begun).await?,
    }
    std::future::pending().await
}

const fn qos(job: &Job) -> QoS {
    match job.qos() {
        0 => QoS::AtMostOnce,
        _ => QoS::AtLeastOnce,
    }
}

async fn publish(client: &Client, job: &Job, mut begun: Begun) -> Result<()> {
    let (topic, payload, qos) = (Topic::try_from(TOPIC)?, job.payload(), qos(job));
    for _ in 1..job.count {
        client.publish(topic.clone(), qos, payload.clone()).await?;
    }
    // Those before it are written, or acknowledged, when the last one is.
    client.publish(topic, qos, payload).await?.await?;
    begun.published(job, job.count);
    begun.end()
}

async fn publish_awaited(client: &Client, job: &Job, mut begun: Begun) -> Result<()> {
    let (topic, payload, qos) = (Topic::try_from(TOPIC)?, job.payload(), qos(job));
    let kept = match job.work() {
        Work::Publish1 { window } => window.into(),
        _ => KEPT,
    };
    let mut deliveries: VecDeque<Delivery> = VecDeque::with_capacity(kept);
    for _ in 0..job.count {
        if deliveries.len() == kept
            && let Some(oldest) = deliveries.pop_front()
        {
            oldest.await?;
            begun.published(job, 1);
        }
        deliveries.push_back(client.publish(topic.clone(), qos, payload.clone()).await?);
    }
    for delivery in deliveries {
        delivery.await?;
        begun.published(job, 1);
    }
    begun.end()
}

async fn latency(client: &Client, job: &Job, mut begun: Begun) -> Result<()> {
    let (topic, payload, qos) = (Topic::try_from(TOPIC)?, job.payload(), qos(job));
    let mut latencies = job.latencies();
    for _ in 0..job.count {
        let start = Instant::now();
        let delivery = client.publish(topic.clone(), qos, payload.clone()).await?;
        delivery.await?;
        latencies.push(start.elapsed().as_nanos() as u64);
    }
    begun.took(latencies);
    begun.published(job, job.count);
    begun.end()
}

async fn receive(client: &Client, job: &Job, mut begun: Begun) -> Result<()> {
    let mut messages = client.subscribe(FILTER, qos(job)).await?;
    while begun.messages() < job.count {
        let message = messages.next().await.ok_or("the session was closed")?;
        begun.received(message.topic().as_str().as_bytes(), message.payload());
    }
    begun.end()?;
    // The last message counts as taken when the subscription is dropped, or asked for the next one.
    drop(messages);
    Ok(())
}
