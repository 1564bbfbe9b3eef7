//! Ours, used as its documentation shows, with default limits. The client is the same type on each runtime; what differs is the driver, and
//! which executor the task that works runs on.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Instant;

use mqtt_tokio::transport::Tls;
use mqtt_tokio::{Client, Config, Delivery, Limits, QoS, Subscription, Topic, Version};

use crate::case::{Against, Work};
use crate::clients::{at_work, spawned};
use crate::crowd::{crowd, together};
use crate::job::{Begun, Job};
use crate::wire::{FILTER, TOPIC};
use crate::{PATIENCE, Result};

/// Deliveries that are kept at QoS 0 before the oldest is awaited.
const KEPT: usize = 100;

pub(crate) fn tokio(job: &Job) -> Result<()> {
    let setup = Setup::of(job, on_tokio, |work| Box::pin(at_work(work)))?;
    spawned(work(setup, false))
}

/// Every delivery is awaited.
pub(crate) fn tokio_awaited(job: &Job) -> Result<()> {
    let setup = Setup::of(job, on_tokio, |work| Box::pin(at_work(work)))?;
    spawned(work(setup, true))
}

pub(crate) fn smol(job: &Job) -> Result<()> {
    let setup = Setup::of(job, on_smol, |work| Box::pin(smol::spawn(work)))?;
    smol::block_on(smol::spawn(work(setup, false)))
}

pub(crate) fn async_std(job: &Job) -> Result<()> {
    let setup = Setup::of(job, on_async_std, |work| {
        Box::pin(async_std::task::spawn(work))
    })?;
    async_std::task::block_on(async_std::task::spawn(work(setup, false)))
}

fn on_tokio(url: &str, config: Config) -> Result<Client> {
    let (client, driver) = mqtt_tokio::build(url, config)?;
    tokio::spawn(driver);
    Ok(client)
}

fn on_smol(url: &str, config: Config) -> Result<Client> {
    let (client, driver) = mqtt_async_std::build(url, config)?;
    smol::spawn(driver).detach();
    Ok(client)
}

fn on_async_std(url: &str, config: Config) -> Result<Client> {
    let (client, driver) = mqtt_async_std::build(url, config)?;
    async_std::task::spawn(driver);
    Ok(client)
}

/// What one client of a crowd does, and comes back with.
type Share = Pin<Box<dyn Future<Output = Result<(Begun, Client)>> + Send>>;

struct Setup {
    job: Job,
    tls: Option<Tls>,
    /// A client with its driver, before it connects.
    start: fn(&str, Config) -> Result<Client>,
    /// Goes on in a task of its own.
    spawn: fn(Share) -> Share,
}

impl Setup {
    fn of(
        job: &Job,
        start: fn(&str, Config) -> Result<Client>,
        spawn: fn(Share) -> Share,
    ) -> Result<Self> {
        let tls = || Tls::builder().authority_pem(job.certificate.as_str());
        Ok(Self {
            job: job.clone(),
            tls: job.tls().then(|| tls().build()).transpose()?,
            start,
            spawn,
        })
    }

    /// With default limits, but for what has to wait where that is what is measured.
    fn client(&self, id: &str) -> Result<Client> {
        let mut config = Config::builder(id);
        if let Some(tls) = &self.tls {
            config = config.tls(tls.clone());
        }
        if overruns(&self.job) {
            config = config.version(Version::V3_1_1);
        }
        if let Work::Queued { messages } = self.job.work() {
            let mut limits = Limits::default();
            limits.max_queued = limits.max_queued.max(messages as usize);
            limits.outgoing_bytes = 1 << 30;
            config = config.limits(limits);
        }
        (self.start)(&self.job.url(), config.build()?)
    }
}

/// mosquitto 2.0.11 sends more than Receive Maximum allows when it has much to send, and ours leaves a server that does. In 3.1.1 there is no
/// such bound.
pub(super) fn overruns(job: &Job) -> bool {
    job.against == Against::Mosquitto && matches!(job.work(), Work::Receive1 | Work::Receive2)
}

async fn work(setup: Setup, awaited: bool) -> Result<()> {
    let job = &setup.job;
    if job.work().connects() {
        return connect(&setup).await;
    }
    if job.row.crowd.is_some() {
        return many(&setup, awaited).await;
    }
    let client = &setup.client("ours")?;
    if let Work::Queued { .. } = job.work() {
        let begun = job.begin()?;
        queue(client, job, begun).await?.end()?;
        return std::future::pending().await;
    }
    client.connect().await?;
    let begun = job.begin()?;
    if job.work().receives() {
        let mut messages = client.subscribe(FILTER, qos(job)).await?;
        receive(&mut messages, job, begun).await?.end()?;
        // The last message counts as taken when the subscription is dropped, or asked for the next one.
        drop(messages);
    } else if job.work() == Work::Latency {
        latency(client, job, begun).await?.end()?;
    } else {
        publish(client, job, begun, awaited).await?.end()?;
    }
    std::future::pending().await
}

/// Many clients, with a task for each.
async fn many(setup: &Setup, awaited: bool) -> Result<()> {
    let one = |id: String| async move {
        let client = setup.client(&id)?;
        client.connect().await?;
        let messages = match setup.job.work().receives() {
            true => Some(client.subscribe(FILTER, qos(&setup.job)).await?),
            false => None,
        };
        Ok((client, messages))
    };
    let start = |(client, messages): (Client, Option<Subscription>), job: Job| {
        (setup.spawn)(Box::pin(async move {
            let begun = Begun::default();
            let begun = match messages {
                Some(mut messages) => receive(&mut messages, &job, begun).await?,
                None => publish(&client, &job, begun, awaited).await?,
            };
            Ok((begun, client))
        }))
    };
    together(&setup.job, one, start).await
}

async fn connect(setup: &Setup) -> Result<()> {
    let one = |id: String| async move {
        let client = setup.client(&id)?;
        client.connect().await?;
        Ok(client)
    };
    let leave = |client: Client| async move {
        client.disconnect(PATIENCE).await;
        Ok(())
    };
    crowd(&setup.job, one, leave).await
}

/// Nothing is connected while all of it is published; the last is written when all are.
async fn queue(client: &Client, job: &Job, mut begun: Begun) -> Result<Begun> {
    let (topic, payload, qos) = (Topic::from_static(TOPIC)?, job.payload(), qos(job));
    for _ in 1..job.count {
        client.try_publish(topic.clone(), qos, payload.clone())?;
    }
    let last = client.try_publish(topic, qos, payload)?;
    client.connect().await?;
    last.await?;
    begun.published(job, job.count);
    Ok(begun)
}

const fn qos(job: &Job) -> QoS {
    match job.qos() {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

async fn publish(client: &Client, job: &Job, mut begun: Begun, awaited: bool) -> Result<Begun> {
    if awaited {
        return publish_awaited(client, job, begun).await;
    }
    let (topic, payload, qos) = (Topic::from_static(TOPIC)?, job.payload(), qos(job));
    for _ in 1..job.count {
        client.publish(topic.clone(), qos, payload.clone()).await?;
    }
    // Those before it are written, or acknowledged, when the last one is.
    client.publish(topic, qos, payload).await?.await?;
    begun.published(job, job.count);
    Ok(begun)
}

async fn publish_awaited(client: &Client, job: &Job, mut begun: Begun) -> Result<Begun> {
    let (topic, payload, qos) = (Topic::from_static(TOPIC)?, job.payload(), qos(job));
    let kept = match job.work() {
        Work::Publish1 { window } | Work::Publish2 { window } => window.into(),
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
    Ok(begun)
}

async fn latency(client: &Client, job: &Job, mut begun: Begun) -> Result<Begun> {
    let (topic, payload, qos) = (Topic::from_static(TOPIC)?, job.payload(), qos(job));
    let mut latencies = job.latencies();
    for _ in 0..job.count {
        let start = Instant::now();
        let delivery = client.publish(topic.clone(), qos, payload.clone()).await?;
        delivery.await?;
        latencies.push(start.elapsed().as_nanos() as u64);
    }
    begun.took(latencies);
    begun.published(job, job.count);
    Ok(begun)
}

async fn receive(messages: &mut Subscription, job: &Job, mut begun: Begun) -> Result<Begun> {
    while begun.messages() < job.count {
        let message = messages.next().await.ok_or("the session was closed")?;
        begun.received(message.topic().as_str().as_bytes(), message.payload());
    }
    Ok(begun)
}
