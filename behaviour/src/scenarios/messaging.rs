//! Messages both ways.

use std::time::Duration;

use mqtt_session::client::exports::{Client, Limits, Outcome, QoS, Version};

use crate::block_on::both;
use crate::{Bench, Result};

use super::{ALL_QOS, List, VERSIONS};

const MANY: u32 = 500;

pub(super) fn add(list: &mut List) {
    for version in VERSIONS {
        for qos in ALL_QOS {
            let name = format!(
                "messages pass both ways at QoS {} in {version}",
                qos.as_u8()
            );
            list.add(name, async move |bench: &Bench<'_>| {
                both_ways(bench, version, qos).await
            });
        }
    }
    list.add("payloads of every size pass whole", sizes);
}

async fn both_ways(bench: &Bench<'_>, version: Version, qos: QoS) -> Result {
    let server = bench.server()?;
    let client = exchange(bench, &server.url(), version, qos, "a", MANY).await?;
    server.until_alone();
    assert_eq!(server.payloads().len(), MANY as usize);
    assert_eq!(client.stats().dropped, 0);
    server.assert_no_violations();
    Ok(())
}

/// Sends messages to itself by way of a server, whichever it is, under a name that nobody else there has. The client has disconnected then.
pub(super) async fn exchange(
    bench: &Bench<'_>,
    url: &str,
    version: Version,
    qos: QoS,
    name: &str,
    count: u32,
) -> Result<Client> {
    let config = bench.config(name).version(version).build()?;
    let client = bench.connect(url, config).await?;
    let mut messages = client.subscribe(format!("{name}/+"), qos).await?;
    let topic = format!("{name}/b");
    let publishing = async {
        let mut deliveries = Vec::new();
        for n in 0..count {
            deliveries.push(client.publish(topic.as_str(), qos, n.to_string()).await?);
        }
        for delivery in deliveries {
            let outcome = delivery.await?;
            let fits = match outcome {
                Outcome::Written => qos == QoS::AtMostOnce,
                Outcome::Acknowledged { completed, .. } => qos != QoS::AtMostOnce && completed,
                _ => false,
            };
            assert!(fits, "{outcome:?}");
        }
        Result::Ok(())
    };
    let receiving = async {
        for n in 0..count {
            let message = messages.next().await.expect("a message");
            assert_eq!(message.payload(), n.to_string().as_bytes());
            assert_eq!(message.topic().as_str(), topic);
        }
    };
    both(publishing, receiving).await.0?;
    drop(messages);
    client.disconnect(Duration::from_secs(10)).await;
    Ok(client)
}

/// A payload that no other is like.
fn payload(size: usize) -> Vec<u8> {
    (0..size)
        .map(|at| (at * 31 + at / 251 + size) as u8)
        .collect()
}

async fn sizes(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let mut limits = Limits::default();
    limits.max_packet_size = 8 << 20;
    let config = bench.config("client").limits(limits).build()?;
    let client = bench.connect(&server.url(), config).await?;
    let mut messages = client.subscribe("a", QoS::AtLeastOnce).await?;
    let sizes = [0, 1, 127, 128, 4095, 4096, 4097, 65_536, 1 << 20, 5 << 20];
    let publishing = async {
        for size in sizes {
            client.publish("a", QoS::AtLeastOnce, payload(size)).await?;
        }
        Result::Ok(())
    };
    let receiving = async {
        for size in sizes {
            let message = messages.next().await.expect("a message");
            assert!(message.payload() == payload(size), "{size} bytes");
        }
    };
    both(publishing, receiving).await.0?;
    let sent: Vec<_> = server.payloads().iter().map(Vec::len).collect();
    assert_eq!(sent, sizes);
    server.assert_no_violations();
    Ok(())
}
