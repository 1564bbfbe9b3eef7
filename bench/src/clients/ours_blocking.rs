//! `mqtt-blocking`, used as its documentation shows, from the main thread, with default limits.

use std::time::Instant;

use mqtt_blocking::{Client, Config, QoS, Topic};

use crate::Result;
use crate::case::Work;
use crate::job::{Begun, Job};
use crate::wire::{FILTER, TOPIC};

pub(crate) fn run(job: &Job) -> Result<()> {
    let client = mqtt_blocking::connect(&job.url(), Config::builder("ours").build()?)?;
    let mut begun = job.begin()?;
    match job.work() {
        Work::Publish0 | Work::Publish1 { .. } => publish(&client, job, &mut begun)?,
        Work::Latency => latency(&client, job, &mut begun)?,
        Work::Receive0 | Work::Receive1 => receive(&client, job, &mut begun)?,
    }
    begun.end()?;
    // Until the process is told to end.
    loop {
        std::thread::park();
    }
}

const fn qos(job: &Job) -> QoS {
    match job.qos() {
        0 => QoS::AtMostOnce,
        _ => QoS::AtLeastOnce,
    }
}

fn publish(client: &Client, job: &Job, begun: &mut Begun) -> Result<()> {
    let (topic, payload, qos) = (Topic::try_from(TOPIC)?, job.payload(), qos(job));
    for _ in 1..job.count {
        client.publish(topic.clone(), qos, payload.clone())?;
    }
    // Those before it are written, or acknowledged, when the last one is.
    client.publish(topic, qos, payload)?.wait()?;
    begun.published(job, job.count);
    Ok(())
}

fn latency(client: &Client, job: &Job, begun: &mut Begun) -> Result<()> {
    let (topic, payload, qos) = (Topic::try_from(TOPIC)?, job.payload(), qos(job));
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

fn receive(client: &Client, job: &Job, begun: &mut Begun) -> Result<()> {
    // The last message counts as taken when the subscription is dropped, or asked for the next one.
    let messages = client.subscribe(FILTER, qos(job))?;
    for message in messages.take(job.count as usize) {
        begun.received(message.topic().as_str().as_bytes(), message.payload());
    }
    Ok(())
}
