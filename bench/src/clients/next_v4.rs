//! `rumqttc-v4-next` 0.34, MQTT 3.1.1, as its examples show it, with room for a thousand requests, of which a turn takes as many as there
//! are.

use std::time::Instant;

use next_v4::{
    AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions, Outgoing, Packet, PublishOptions,
    QoS, TlsConfiguration, Transport,
};
use tokio::task::JoinSet;

use crate::Result;
use crate::case::Work;
use crate::clients::{at_work, spawned, tls_config};
use crate::crowd::{crowd, together};
use crate::job::{Begun, Job};
use crate::wire::{FILTER, TOPIC};

const REQUESTS: usize = 1000;
/// Packets where messages are large; by default it takes 10 KiB.
const LARGEST: usize = 128 * 1024;
/// Requests that one turn of its event loop takes; by default it is one.
const BATCH: usize = 1000;

pub(crate) fn run(job: &Job) -> Result<()> {
    spawned(work(job.clone()))
}

async fn connect(job: &Job, id: &str) -> Result<(AsyncClient, EventLoop)> {
    let mut options = MqttOptions::new(id, ("127.0.0.1", job.port));
    options.set_inflight(job.window());
    options.set_transport(transport(job)?);
    if job.row.size > 8 * 1024 {
        options.set_max_packet_size(LARGEST, LARGEST);
    }
    options.set_max_request_batch(BATCH);
    let (client, mut events) = AsyncClient::builder(options).capacity(REQUESTS).build();
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
        return Ok(Transport::tcp());
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
    if job.row.crowd.is_some() {
        return many(&job).await;
    }
    let (client, mut events) = connect(&job, "rival").await?;
    let begun = job.begin()?;
    if job.work() == Work::Latency {
        latency(&client, &mut events, &job, begun).await?.end()?;
    } else if job.work().receives() {
        subscribe(&client, &mut events, &job).await?;
        receive(&mut events, &job, begun).await?.end()?;
    } else {
        publish(&client, &mut events, &job, begun).await?.end()?;
    }
    loop {
        events.poll().await?;
    }
}

/// Many clients, with a task for each event loop.
async fn many(job: &Job) -> Result<()> {
    let one = |id: String| async {
        let (client, mut events) = connect(job, &{ id }).await?;
        if job.work().receives() {
            subscribe(&client, &mut events, job).await?;
        }
        Ok((client, events))
    };
    let start = |(client, mut events): (AsyncClient, EventLoop), job: Job| {
        at_work(async move {
            let begun = Begun::default();
            let begun = match job.work().receives() {
                true => receive(&mut events, &job, begun).await?,
                false => publish(&client, &mut events, &job, begun).await?,
            };
            // What it still has to say.
            tokio::spawn(async move { while events.poll().await.is_ok() {} });
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

async fn publish(
    client: &AsyncClient,
    events: &mut EventLoop,
    job: &Job,
    mut begun: Begun,
) -> Result<Begun> {
    let (client, payload, qos, count) = (client.clone(), job.payload(), qos(job), job.count);
    tokio::spawn(async move {
        for _ in 0..count {
            let payload = payload.clone();
            let published = client
                .publish(TOPIC, payload, PublishOptions::new(qos))
                .await;
            published.expect("an event loop");
        }
    });
    while begun.messages() < count {
        match events.poll().await? {
            Event::Outgoing(Outgoing::Publish(_)) if qos == QoS::AtMostOnce => {
                begun.published(job, 1);
            }
            Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_)) => begun.published(job, 1),
            _ => {}
        }
    }
    Ok(begun)
}

async fn latency(
    client: &AsyncClient,
    events: &mut EventLoop,
    job: &Job,
    mut begun: Begun,
) -> Result<Begun> {
    let (payload, qos, mut latencies) = (job.payload(), qos(job), job.latencies());
    for _ in 0..job.count {
        let start = Instant::now();
        let payload = payload.clone();
        client
            .publish(TOPIC, payload, PublishOptions::new(qos))
            .await?;
        while !matches!(events.poll().await?, Event::Incoming(Packet::PubAck(_))) {}
        latencies.push(start.elapsed().as_nanos() as u64);
    }
    begun.took(latencies);
    begun.published(job, job.count);
    Ok(begun)
}

async fn subscribe(client: &AsyncClient, events: &mut EventLoop, job: &Job) -> Result<()> {
    client.subscribe(FILTER, qos(job)).await?;
    while !matches!(events.poll().await?, Event::Incoming(Packet::SubAck(_))) {}
    Ok(())
}

async fn receive(events: &mut EventLoop, job: &Job, mut begun: Begun) -> Result<Begun> {
    while begun.messages() < job.count {
        if let Event::Incoming(Packet::Publish(message)) = events.poll().await? {
            begun.received(&message.topic, &message.payload);
        }
    }
    Ok(begun)
}
