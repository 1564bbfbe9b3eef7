//! `rumqttc` 0.25, MQTT 3.1.1, as its examples show it: an event loop that is polled, and requests from a task of its own. `publish_bytes`
//! saves it a copy of each payload, and its channel has room for a thousand requests, where its examples have ten.

use std::time::Instant;

use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions, Outgoing, Packet, QoS,
    TlsConfiguration, Transport,
};
use tokio::task::JoinSet;

use crate::Result;
use crate::case::Work;
use crate::clients::{spawned, tls_config};
use crate::crowd::crowd;
use crate::job::{Begun, Job};
use crate::wire::{FILTER, TOPIC};

const REQUESTS: usize = 1000;

pub(crate) fn run(job: &Job) -> Result<()> {
    spawned(work(job.clone()))
}

async fn connect(job: &Job, id: &str) -> Result<(AsyncClient, EventLoop)> {
    let mut options = MqttOptions::new(id, "127.0.0.1", job.port);
    options.set_inflight(job.window());
    options.set_transport(transport(job)?);
    let (client, mut events) = AsyncClient::new(options, REQUESTS);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    match events.poll().await? {
        Event::Incoming(Packet::ConnAck(_)) => {}
        other => return Err(format!("{other:?} instead of CONNACK").into()),
    }
    Ok((client, events))
}

fn transport(job: &Job) -> Result<Transport> {
    if !job.tls() {
        return Ok(Transport::Tcp);
    }
    Ok(Transport::tls_with_config(TlsConfiguration::Rustls(
        tls_config(job)?,
    )))
}

async fn work(job: Job) -> Result<()> {
    if job.work().connects() {
        // Its event loop is polled in a task, which ends with the set.
        let one = |id: String| async {
            let (client, mut events) = connect(&job, &{ id }).await?;
            let mut task = JoinSet::new();
            task.spawn(async move { while events.poll().await.is_ok() {} });
            Ok((client, task))
        };
        let leave = |(client, mut task): (AsyncClient, JoinSet<()>)| async move {
            client.disconnect().await?;
            task.join_next().await;
            Ok(())
        };
        return crowd(&job, one, leave).await;
    }
    let (client, mut events) = connect(&job, "rival").await?;
    let begun = job.begin()?;
    match job.work() {
        Work::Publish0 | Work::Publish1 { .. } => {
            publish(&client, &mut events, &job, begun).await?
        }
        Work::Receive0 | Work::Receive1 => receive(&client, &mut events, &job, begun).await?,
        _ => latency(&client, &mut events, &job, begun).await?,
    }
    loop {
        events.poll().await?;
    }
}

const fn qos(job: &Job) -> QoS {
    match job.qos() {
        0 => QoS::AtMostOnce,
        _ => QoS::AtLeastOnce,
    }
}

async fn publish(
    client: &AsyncClient,
    events: &mut EventLoop,
    job: &Job,
    mut begun: Begun,
) -> Result<()> {
    let (client, payload, qos, count) = (client.clone(), job.payload(), qos(job), job.count);
    tokio::spawn(async move {
        for _ in 0..count {
            let payload = payload.clone();
            let published = client.publish_bytes(TOPIC, qos, false, payload).await;
            published.expect("an event loop");
        }
    });
    while begun.messages() < count {
        match events.poll().await? {
            Event::Outgoing(Outgoing::Publish(_)) if qos == QoS::AtMostOnce => {
                begun.published(job, 1);
            }
            Event::Incoming(Packet::PubAck(_)) => begun.published(job, 1),
            _ => {}
        }
    }
    begun.end()
}

async fn latency(
    client: &AsyncClient,
    events: &mut EventLoop,
    job: &Job,
    mut begun: Begun,
) -> Result<()> {
    let (payload, qos, mut latencies) = (job.payload(), qos(job), job.latencies());
    for _ in 0..job.count {
        let start = Instant::now();
        let payload = payload.clone();
        client.publish_bytes(TOPIC, qos, false, payload).await?;
        while !matches!(events.poll().await?, Event::Incoming(Packet::PubAck(_))) {}
        latencies.push(start.elapsed().as_nanos() as u64);
    }
    begun.took(latencies);
    begun.published(job, job.count);
    begun.end()
}

async fn receive(
    client: &AsyncClient,
    events: &mut EventLoop,
    job: &Job,
    mut begun: Begun,
) -> Result<()> {
    client.subscribe(FILTER, qos(job)).await?;
    while begun.messages() < job.count {
        if let Event::Incoming(Packet::Publish(message)) = events.poll().await? {
            begun.received(message.topic.as_bytes(), &message.payload);
        }
    }
    begun.end()
}
