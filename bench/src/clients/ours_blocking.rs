//! `mqtt-blocking`, used as its documentation shows, from the main thread, with default limits.

use std::future::ready;
use std::time::Instant;

use mqtt_blocking::transport::Tls;
use mqtt_blocking::{Client, Config, Delivery, Limits, QoS, Subscription, Topic, Version};

use crate::case::Work;
use crate::clients::ours::overruns;
use crate::crowd::crowd;
use crate::job::{Begun, Job};
use crate::wire::{FILTER, TOPIC};
use crate::{PATIENCE, Result};

pub(crate) fn run(job: &Job) -> Result<()> {
    let tls = || Tls::builder().authority_pem(job.certificate.as_str());
    let tls = job.tls().then(|| tls().build()).transpose()?;
    if job.work().connects() {
        // Each has a thread of its own; this one waits for each.
        let one = |id: String| {
            ready(
                config(job, &id, tls.as_ref())
                    .and_then(|config| Ok(mqtt_blocking::connect(job.url(), config)?)),
            )
        };
        let leave = |client: Client| {
            client.disconnect(PATIENCE);
            ready(Ok(()))
        };
        return smol::block_on(crowd(job, one, leave));
    }
    let config = config(job, "ours", tls.as_ref())?;
    if let Work::Queued { .. } = job.work() {
        let (client, driver) = mqtt_blocking::build(job.url(), config)?;
        std::thread::spawn(move || driver.run());
        let mut begun = job.begin()?;
        queue(&client, job, &mut begun)?;
        begun.end()?;
        loop {
            std::thread::park();
        }
    }
    if job.row.crowd.is_some() {
        return many(job);
    }
    let client = mqtt_blocking::connect(job.url(), config)?;
    let mut begun = job.begin()?;
    match job.work() {
        work if work.receives() => {
            let messages = client.subscribe(FILTER, qos(job))?;
            receive(messages, job, &mut begun);
        }
        Work::Latency => latency(&client, job, &mut begun)?,
        _ => {
            publish(&client, job)?.wait()?;
            begun.published(job, job.count);
        }
    }
    begun.end()?;
    // Until the process is told to end.
    loop {
        std::thread::park();
    }
}

/// Many clients, whose drivers have a thread each. This thread publishes the share of one after the other without waiting for any, or reads it.
fn many(job: &Job) -> Result<()> {
    let mut clients = Vec::new();
    let mut subscriptions = Vec::new();
    for at in 0..job.row.crowd.unwrap_or_default() {
        let config = config(job, &format!("client-{at}"), None)?;
        let client = mqtt_blocking::connect(job.url(), config)?;
        if job.work().receives() {
            subscriptions.push(client.subscribe(FILTER, qos(job))?);
        }
        clients.push(client);
    }
    let (mut begun, share) = (job.begin()?, job.share());
    if job.work().receives() {
        for messages in subscriptions {
            receive(messages, &share, &mut begun);
        }
    } else {
        let last: Vec<Delivery> = clients
            .iter()
            .map(|client| publish(client, &share))
            .collect::<Result<_>>()?;
        for last in last {
            last.wait()?;
            begun.published(&share, share.count);
        }
    }
    begun.end()?;
    // Until the process is told to end.
    loop {
        std::thread::park();
    }
}

fn config(job: &Job, id: &str, tls: Option<&Tls>) -> Result<Config> {
    let mut config = Config::builder(id);
    if let Some(tls) = tls {
        config = config.tls(tls.clone());
    }
    if overruns(job) {
        config = config.version(Version::V3_1_1);
    }
    if let Work::Queued { messages } = job.work() {
        let mut limits = Limits::default();
        limits.max_queued = limits.max_queued.max(messages as usize);
        limits.outgoing_bytes = 1 << 30;
        config = config.limits(limits);
    }
    Ok(config.build()?)
}

/// Nothing is connected while all of it is published; the last is written when all are.
fn queue(client: &Client, job: &Job, begun: &mut Begun) -> Result<()> {
    let (topic, payload, qos) = (Topic::from_static(TOPIC)?, job.payload(), qos(job));
    for _ in 1..job.count {
        client.try_publish(topic.clone(), qos, payload.clone())?;
    }
    let last = client.try_publish(topic, qos, payload)?;
    client.connect()?;
    last.wait()?;
    begun.published(job, job.count);
    Ok(())
}

const fn qos(job: &Job) -> QoS {
    match job.qos() {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

/// Those before it are written, or acknowledged, when the one that is returned is.
fn publish(client: &Client, job: &Job) -> Result<Delivery> {
    let (topic, payload, qos) = (Topic::from_static(TOPIC)?, job.payload(), qos(job));
    for _ in 1..job.count {
        client.publish(topic.clone(), qos, payload.clone())?;
    }
    Ok(client.publish(topic, qos, payload)?)
}

fn latency(client: &Client, job: &Job, begun: &mut Begun) -> Result<()> {
    let (topic, payload, qos) = (Topic::from_static(TOPIC)?, job.payload(), qos(job));
    let mut latencies = job.latencies();
    for _ in 0..job.count {
        let start = Instant::now();
        client
            .publish(topic.clone(), qos, payload.clone())?
            .wait()?;
        latencies.push(start.elapsed().as_nanos() as u64);
    }
    begun.took(latencies);
    begun.published(job, job.count);
    Ok(())
}

/// The last message counts as taken when the subscription is dropped, or asked for the next one.
fn receive(messages: Subscription, job: &Job, begun: &mut Begun) {
    for message in messages.take(job.count as usize) {
        begun.received(message.topic().as_str().as_bytes(), message.payload());
    }
}
