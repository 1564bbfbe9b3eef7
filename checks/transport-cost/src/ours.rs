//! `mqtt-tokio`, used as its documentation shows.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use mqtt_tokio::transport::Tls;
use mqtt_tokio::{Client, Config, QoS, Topic, Version};

use crate::measure::{cpu, resident};
use crate::{PATIENCE, PAYLOAD, Pace, Result, SETTLE, Server, TOPIC, WARM, WINDOW};

fn config(id: &str, tls: Option<&Tls>) -> Result<Config> {
    let config = Config::builder(id).version(Version::V3_1_1);
    Ok(match tls {
        Some(tls) => config.tls(tls.clone()).build()?,
        None => config.build()?,
    })
}

fn tls(server: &Server) -> Result<Option<Tls>> {
    let authority = |pem: &String| Tls::builder().authority_pem(pem.as_str()).build();
    Ok(server.certificate.as_ref().map(authority).transpose()?)
}

fn url(server: &Server) -> String {
    let scheme = server.certificate.as_ref().map_or("mqtt", |_| "mqtts");
    format!("{scheme}://127.0.0.1:{}", server.port)
}

/// The CPU time of so many messages, from CONNACK until all is said.
pub(crate) async fn publish(server: Server, pace: Pace, count: usize) -> Result<Duration> {
    let tls = tls(&server)?;
    let client = mqtt_tokio::connect(url(&server).as_str(), config("ours", tls.as_ref())?).await?;
    let before = cpu()?;
    let (topic, payload) = (Topic::try_from(TOPIC)?, Bytes::from_static(&PAYLOAD));
    let publish = |qos| client.publish(topic.clone(), qos, payload.clone());
    match pace {
        Pace::Stream => {
            for _ in 1..count {
                publish(QoS::AtMostOnce).await?;
            }
            publish(QoS::AtMostOnce).await?.await?;
        }
        Pace::Written => {
            for _ in 0..count {
                publish(QoS::AtMostOnce).await?.await?;
            }
        }
        Pace::Window => {
            let mut deliveries = VecDeque::with_capacity(WINDOW);
            for _ in 0..count {
                if deliveries.len() == WINDOW
                    && let Some(oldest) = deliveries.pop_front()
                {
                    let oldest: mqtt_tokio::Delivery = oldest;
                    oldest.await?;
                }
                deliveries.push_back(publish(QoS::AtLeastOnce).await?);
            }
            for delivery in deliveries {
                delivery.await?;
            }
        }
        Pace::Acknowledged => {
            for _ in 0..count {
                publish(QoS::AtLeastOnce).await?.await?;
            }
        }
    }
    client.disconnect(Duration::from_secs(5)).await;
    Ok(cpu()?.saturating_sub(before))
}

/// Prints the resident memory for each of so many idle clients, in bytes, and keeps them.
pub(crate) async fn idle(server: Server, count: usize) -> Result<()> {
    let (tls, url) = (tls(&server)?, url(&server));
    let mut clients: Vec<Client> = Vec::with_capacity(WARM + count);
    let mut before = 0;
    for at in 0..WARM + count {
        if at == WARM {
            tokio::time::sleep(SETTLE).await;
            before = resident()?;
        }
        let config = config(&format!("ours-{at}"), tls.as_ref())?;
        clients.push(mqtt_tokio::connect(url.as_str(), config).await?);
    }
    tokio::time::sleep(SETTLE).await;
    let held = resident()?.saturating_sub(before);
    println!("{}", held / count);
    // The server looks at the connections before this process is ended.
    tokio::time::sleep(PATIENCE).await;
    drop(clients);
    Ok(())
}
