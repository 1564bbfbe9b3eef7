//! `rumqttc` 0.25, used as its documentation shows: an event loop that is polled, and a handle in a task; ten requests wait at most. Its
//! `publish_bytes` saves it a copy of each payload.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions, Outgoing, Packet, QoS};
use rumqttc::{TlsConfiguration, Transport};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::measure::{cpu, resident};
use crate::{PATIENCE, PAYLOAD, Pace, Result, SETTLE, Server, TOPIC, WARM, WINDOW, provider};

/// As in its documentation.
const REQUESTS: usize = 10;

fn transport(server: &Server) -> Result<Transport> {
    let Some(pem) = &server.certificate else {
        return Ok(Transport::Tcp);
    };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes())?)?;
    let config = ClientConfig::builder_with_provider(provider().into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = TlsConfiguration::Rustls(Arc::new(config));
    Ok(Transport::tls_with_config(config))
}

async fn connect(
    id: &str,
    server: &Server,
    transport: Transport,
    inflight: usize,
    prompt: bool,
) -> Result<(AsyncClient, EventLoop)> {
    let mut options = MqttOptions::new(id, "127.0.0.1", server.port);
    options
        .set_transport(transport)
        .set_inflight(inflight as u16);
    let (client, mut events) = AsyncClient::new(options, REQUESTS);
    if prompt {
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        events.set_network_options(network);
    }
    match events.poll().await? {
        Event::Incoming(Packet::ConnAck(_)) => Ok((client, events)),
        other => Err(format!("{other:?} instead of CONNACK").into()),
    }
}

/// The CPU time of so many messages, from CONNACK until all is said.
pub(crate) async fn publish(
    server: Server,
    pace: Pace,
    count: usize,
    prompt: bool,
) -> Result<Duration> {
    let (qos, inflight) = match pace {
        // Each is written before the next, whoever waits for it.
        Pace::Stream | Pace::Written => (QoS::AtMostOnce, WINDOW),
        Pace::Window => (QoS::AtLeastOnce, WINDOW),
        Pace::Acknowledged => (QoS::AtLeastOnce, 1),
    };
    let transport = transport(&server)?;
    let (client, mut events) = connect("rival", &server, transport, inflight, prompt).await?;
    let before = cpu()?;
    let publisher = client.clone();
    tokio::spawn(async move {
        for _ in 0..count {
            let payload = Bytes::from_static(&PAYLOAD);
            let published = publisher.publish_bytes(TOPIC, qos, false, payload).await;
            published.expect("an event loop");
        }
    });
    let mut done = 0;
    while done < count {
        done += usize::from(match events.poll().await? {
            Event::Outgoing(Outgoing::Publish(_)) => qos == QoS::AtMostOnce,
            Event::Incoming(Packet::PubAck(_)) => true,
            _ => false,
        });
    }
    client.disconnect().await?;
    while events.poll().await? != Event::Outgoing(Outgoing::Disconnect) {}
    drop(events);
    Ok(cpu()?.saturating_sub(before))
}

/// Prints the resident memory for each of so many idle clients, in bytes, and keeps them.
pub(crate) async fn idle(server: Server, count: usize) -> Result<()> {
    let transport = transport(&server)?;
    let mut clients = Vec::with_capacity(WARM + count);
    let mut before = 0;
    for at in 0..WARM + count {
        if at == WARM {
            tokio::time::sleep(SETTLE).await;
            before = resident()?;
        }
        let id = format!("rival-{at}");
        let (client, mut events) = connect(&id, &server, transport.clone(), WINDOW, false).await?;
        clients.push(client);
        tokio::spawn(async move { while events.poll().await.is_ok() {} });
    }
    tokio::time::sleep(SETTLE).await;
    let held = resident()?.saturating_sub(before);
    println!("{}", held / count);
    // The server looks at the connections before this process is ended.
    tokio::time::sleep(PATIENCE).await;
    drop(clients);
    Ok(())
}
