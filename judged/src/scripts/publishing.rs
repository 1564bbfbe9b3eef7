//! PUBLISH from the client to the broker.

use mqtt_behaviour::Result;
use mqtt_session::client::exports::{Properties, Publish, PublishRefused, QoS, ReasonCode, Topic};
use mqtt_session::client::{Client, SendError};
use mqtt_session::{ConfigBuilder, Outcome};

use crate::run::{Run, v3, v5};

use super::expect;

/// Publishes, awaits the outcome, and disconnects.
async fn publish(run: &Run<'_>, config: ConfigBuilder, qos: QoS, message: Publish) -> Result {
    let connected = run.connect(config).await?;
    connected
        .client
        .publish_message(qos, message)
        .await?
        .await?;
    connected.disconnect().await
}

fn message(topic: &'static str, payload: &'static str) -> Result<Publish> {
    Ok(Publish::new(Topic::from_static(topic)?, payload))
}

pub(super) async fn at_most_once(run: &Run<'_>) -> Result {
    let message = message("pub/qos0/test", "message")?;
    publish(run, v3("publish-qos0-test"), QoS::AtMostOnce, message).await
}

pub(super) async fn nothing(run: &Run<'_>) -> Result {
    let message = message("pub/qos0/no-payload/test", "")?;
    publish(run, v3("publish-qos0-test-np"), QoS::AtMostOnce, message).await
}

pub(super) async fn retained(run: &Run<'_>) -> Result {
    let message = message("retain/qos0/test", "retained message")?.with_retain(true);
    publish(run, v3("retain-qos0-test"), QoS::AtMostOnce, message).await
}

pub(super) async fn at_least_once(run: &Run<'_>) -> Result {
    let message = message("pub/qos1/test", "message")?;
    publish(run, v3("publish-qos1-test"), QoS::AtLeastOnce, message).await
}

pub(super) async fn at_least_once_v5(run: &Run<'_>) -> Result {
    let message = message("pub/qos1/test", "message")?;
    publish(run, v5("publish-qos1-test"), QoS::AtLeastOnce, message).await
}

pub(super) async fn exactly_once(run: &Run<'_>) -> Result {
    let message = message("pub/qos2/test", "message")?;
    publish(run, v3("publish-qos2-test"), QoS::ExactlyOnce, message).await
}

pub(super) async fn exactly_once_v5(run: &Run<'_>) -> Result {
    let message = message("pub/qos2/test", "message")?;
    publish(run, v5("publish-qos2-test"), QoS::ExactlyOnce, message).await
}

pub(super) async fn six_at_least_once(run: &Run<'_>) -> Result {
    many(run, "publish-qos1-test", QoS::AtLeastOnce, 6).await
}

pub(super) async fn five_exactly_once(run: &Run<'_>) -> Result {
    many(run, "publish-qos2-test", QoS::ExactlyOnce, 5).await
}

/// All at once, however few the server takes at a time.
async fn many(run: &Run<'_>, client_id: &str, qos: QoS, count: usize) -> Result {
    let connected = run.connect(v5(client_id)).await?;
    let mut deliveries = Vec::new();
    for _ in 0..count {
        deliveries.push(connected.client.publish("topic", qos, "12345").await?);
    }
    for delivery in deliveries {
        delivery.await?;
    }
    connected.disconnect().await
}

pub(super) async fn one_that_is_refused(run: &Run<'_>) -> Result {
    let connected = run.connect(v5("publish-qos2-test")).await?;
    let publish = |payload: &'static str| {
        let client = &connected.client;
        client.publish("topic", QoS::ExactlyOnce, payload)
    };
    let (rejected, accepted) = (publish("rejected").await?, publish("accepted").await?);
    let Err(error) = rejected.await else {
        return Err("a message that the script refuses is told as taken".into());
    };
    let unspecified = Outcome::Rejected(ReasonCode::UNSPECIFIED_ERROR);
    expect("outcome", error.outcome, unspecified)?;
    accepted.await?;
    connected.disconnect().await
}

pub(super) async fn where_qos_0_is_the_most(run: &Run<'_>) -> Result {
    let connected = run.connect(v5("publish-qos2-test")).await?;
    let client = &connected.client;
    refused_above(
        client,
        QoS::AtMostOnce,
        "maximum/qos/qos2",
        QoS::ExactlyOnce,
    )
    .await?;
    refused_above(
        client,
        QoS::AtMostOnce,
        "maximum/qos/qos1",
        QoS::AtLeastOnce,
    )
    .await?;
    let publishing = client.publish("maximum/qos/qos0", QoS::AtMostOnce, "message");
    publishing.await?.await?;
    connected.disconnect().await
}

pub(super) async fn where_qos_1_is_the_most(run: &Run<'_>) -> Result {
    let connected = run.connect(v5("publish-qos2-test")).await?;
    let client = &connected.client;
    refused_above(
        client,
        QoS::AtLeastOnce,
        "maximum/qos/qos2",
        QoS::ExactlyOnce,
    )
    .await?;
    let publishing = client.publish("maximum/qos/qos1", QoS::AtLeastOnce, "message");
    let first = publishing.await?;
    let publishing = client.publish("maximum/qos/qos0", QoS::AtMostOnce, "message");
    let second = publishing.await?;
    first.await?;
    second.await?;
    connected.disconnect().await
}

async fn refused_above(client: &Client, max: QoS, topic: &'static str, qos: QoS) -> Result {
    match client.publish(topic, qos, "message").await {
        Err(SendError::Refused(error)) => {
            let reason = PublishRefused::QoSNotSupported { max };
            expect("reason", error.reason, reason)
        }
        Err(error) => Err(error.into()),
        Ok(_) => Err(format!("a message of QoS {} is accepted", qos.as_u8()).into()),
    }
}

/// The script's server takes 30 bytes.
pub(super) async fn too_much(run: &Run<'_>) -> Result {
    const FILTER: &str = "0123456789012345678901234567890";
    let connected = run.connect(v5("publish-qos0-test")).await?;
    let client = &connected.client;
    if client.subscribe(FILTER, QoS::AtMostOnce).await.is_ok() {
        return Err("a SUBSCRIBE is accepted that is too large".into());
    }
    if client.unsubscribe(vec![FILTER.try_into()?]).await.is_ok() {
        return Err("an UNSUBSCRIBE is accepted that is too large".into());
    }
    let publish = |payload: &'static str| client.publish("pub/test", QoS::AtMostOnce, payload);
    if publish("0123456789012345678").await.is_ok() {
        return Err("a message is accepted that is too large".into());
    }
    publish("012345678901234567").await?.await?;
    connected.disconnect().await
}

pub(super) async fn with_content_type(run: &Run<'_>) -> Result {
    let properties = Properties::builder().content_type("application/json");
    with_properties(run, properties.build()?).await
}

pub(super) async fn with_payload_format(run: &Run<'_>) -> Result {
    let properties = Properties::builder().payload_format_indicator(true);
    with_properties(run, properties.build()?).await
}

async fn with_properties(run: &Run<'_>, properties: Properties) -> Result {
    let message = message("prop/qos0", "message")?.with_properties(properties);
    publish(run, v5("prop-test"), QoS::AtMostOnce, message).await
}
