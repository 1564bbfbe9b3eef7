//! `mqtt-endpoint-tokio` 0.6 on `mqtt-protocol-core`, MQTT 3.1.1, as its examples show it: packets that the application builds, and a task that
//! receives. At QoS 1 permits keep the number in flight.

use std::sync::Arc;
use std::time::Instant;

use mqtt_endpoint_tokio::mqtt_ep::packet::v3_1_1::{Connect, Disconnect, Publish, Subscribe};
use mqtt_endpoint_tokio::mqtt_ep::packet::{Packet, Qos, SubEntry, SubOpts};
use mqtt_endpoint_tokio::mqtt_ep::transport::TcpTransport;
#[cfg(feature = "tls")]
use mqtt_endpoint_tokio::mqtt_ep::transport::{TlsTransport, connect_helper::connect_tcp_tls};
use mqtt_endpoint_tokio::mqtt_ep::{Endpoint, Mode, Version, role};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::case::Work;
use crate::clients::{at_work, spawned};
use crate::crowd::{crowd, together};
use crate::job::{Begun, Job};
use crate::wire::{FILTER, TOPIC};
use crate::{Error, Result};

type Client = Arc<Endpoint<role::Client>>;

pub(crate) fn run(job: &Job) -> Result<()> {
    spawned(work(job.clone()))
}

/// Its errors have no common trait.
fn failed(error: impl std::fmt::Debug) -> Error {
    format!("{error:?}").into()
}

async fn connect(job: &Job, id: &str) -> Result<Client> {
    let client: Client = Arc::new(Endpoint::new(Version::V3_1_1));
    attach(&client, job).await?;
    let connect = Connect::builder().client_id(id).map_err(failed)?;
    let connect = connect.clean_session(true).build().map_err(failed)?;
    client.send(connect).await.map_err(failed)?;
    match client.recv().await.map_err(failed)? {
        Packet::V3_1_1Connack(_) => {}
        other => return Err(format!("{other:?} instead of CONNACK").into()),
    }
    Ok(client)
}

async fn attach(client: &Client, job: &Job) -> Result<()> {
    #[cfg(feature = "tls")]
    if job.tls() {
        let (address, config) = (job.address(), crate::clients::tls_config(job)?);
        let stream = connect_tcp_tls(&address, "127.0.0.1", Some(config), None);
        let stream = stream.await.map_err(failed)?;
        stream.get_ref().0.set_nodelay(true)?;
        let transport = TlsTransport::from_stream(stream);
        let attached = client.attach(transport, Mode::Client).await;
        return attached.map_err(failed);
    }
    let socket = TcpStream::connect(job.address()).await?;
    socket.set_nodelay(true)?;
    let transport = TcpTransport::from_stream(socket);
    let attached = client.attach(transport, Mode::Client).await;
    attached.map_err(failed)
}

async fn work(job: Job) -> Result<()> {
    if job.work().connects() {
        let one = |id: String| {
            let job = &job;
            async move { connect(job, &id).await }
        };
        let leave = |client: Client| async move {
            client.send(Disconnect::new()).await.map_err(failed)?;
            client.close().await.map_err(failed)
        };
        return crowd(&job, one, leave).await;
    }
    if job.row.crowd.is_some() {
        return many(&job).await;
    }
    let client = connect(&job, "rival").await?;
    let begun = job.begin()?;
    if job.work() == Work::Latency {
        latency(&client, &job, begun).await?.end()?;
    } else if job.work().receives() {
        subscribe(&client, &job).await?;
        receive(&client, &job, begun).await?.end()?;
    } else {
        publish(&client, &job, begun).await?.end()?;
    }
    loop {
        client.recv().await.map_err(failed)?;
    }
}

/// Many clients, with a task for each.
async fn many(job: &Job) -> Result<()> {
    let one = |id: String| async move {
        let client = connect(job, &id).await?;
        if job.work().receives() {
            subscribe(&client, job).await?;
        }
        Ok(client)
    };
    let start = |client: Client, job: Job| {
        at_work(async move {
            let begun = Begun::default();
            let begun = match job.work().receives() {
                true => receive(&client, &job, begun).await?,
                false => publish(&client, &job, begun).await?,
            };
            let kept = client.clone();
            tokio::spawn(async move { while client.recv().await.is_ok() {} });
            Ok((begun, kept))
        })
    };
    together(job, one, start).await
}

fn message(job: &Job, payload: &[u8], id: Option<u16>) -> Result<Publish> {
    let message = Publish::builder().topic_name(TOPIC).map_err(failed)?;
    let message = message.payload(payload);
    match id {
        None => message.qos(Qos::AtMostOnce).build(),
        Some(id) => message.qos(qos(job)).packet_id(id).build(),
    }
    .map_err(failed)
}

const fn qos(job: &Job) -> Qos {
    match job.qos() {
        0 => Qos::AtMostOnce,
        1 => Qos::AtLeastOnce,
        _ => Qos::ExactlyOnce,
    }
}

async fn publish(client: &Client, job: &Job, begun: Begun) -> Result<Begun> {
    match job.work() {
        Work::Publish0 => publish0(client, job, begun).await,
        _ => publish_acknowledged(client, job, begun).await,
    }
}

async fn publish0(client: &Client, job: &Job, mut begun: Begun) -> Result<Begun> {
    let payload = job.payload();
    for _ in 0..job.count {
        let message = message(job, &payload, None)?;
        client.send(message).await.map_err(failed)?;
    }
    begun.published(job, job.count);
    Ok(begun)
}

async fn publish_acknowledged(client: &Client, job: &Job, mut begun: Begun) -> Result<Begun> {
    let permits = Arc::new(Semaphore::new(job.window().into()));
    let (publisher, free, count) = (client.clone(), permits.clone(), job.count);
    let work = job.clone();
    tokio::spawn(async move {
        let job = work;
        let payload = job.payload();
        for _ in 0..job.count {
            free.acquire().await?.forget();
            let id = publisher.acquire_packet_id_when_available().await;
            let message = message(&job, &payload, Some(id.map_err(failed)?))?;
            publisher.send(message).await.map_err(failed)?;
        }
        Result::Ok(())
    });
    while begun.messages() < count {
        if let Packet::V3_1_1Puback(_) | Packet::V3_1_1Pubcomp(_) =
            client.recv().await.map_err(failed)?
        {
            permits.add_permits(1);
            begun.published(job, 1);
        }
    }
    Ok(begun)
}

async fn latency(client: &Client, job: &Job, mut begun: Begun) -> Result<Begun> {
    let (payload, mut latencies) = (job.payload(), job.latencies());
    for _ in 0..job.count {
        let start = Instant::now();
        let id = client.acquire_packet_id().await.map_err(failed)?;
        let message = message(job, &payload, Some(id))?;
        client.send(message).await.map_err(failed)?;
        while !matches!(
            client.recv().await.map_err(failed)?,
            Packet::V3_1_1Puback(_)
        ) {}
        latencies.push(start.elapsed().as_nanos() as u64);
    }
    begun.took(latencies);
    begun.published(job, job.count);
    Ok(begun)
}

async fn subscribe(client: &Client, job: &Job) -> Result<()> {
    let id = client.acquire_packet_id().await.map_err(failed)?;
    let entry = SubEntry::new(FILTER, SubOpts::new().set_qos(qos(job))).map_err(failed)?;
    let subscribe = Subscribe::builder().packet_id(id).entries(vec![entry]);
    let subscribe = subscribe.build().map_err(failed)?;
    client.send(subscribe).await.map_err(failed)?;
    match client.recv().await.map_err(failed)? {
        Packet::V3_1_1Suback(_) => Ok(()),
        other => Err(format!("{other:?} instead of SUBACK").into()),
    }
}

async fn receive(client: &Client, job: &Job, mut begun: Begun) -> Result<Begun> {
    while begun.messages() < job.count {
        if let Packet::V3_1_1Publish(message) = client.recv().await.map_err(failed)? {
            let payload = message.payload();
            begun.received(message.topic_name().as_bytes(), payload.as_slice());
        }
    }
    Ok(begun)
}
