//! PUBLISH from the broker to the client, and acknowledgements of nothing.

use std::time::Duration;

use mqtt_behaviour::Result;
use mqtt_session::ConfigBuilder;
use mqtt_session::client::Message;
use mqtt_session::client::exports::{PacketType, QoS};

use crate::run::{Connected, Run, v3, v5};

use super::{expect, some};

pub(super) async fn at_least_once(run: &Run<'_>) -> Result {
    let config = v3("publish-qos1-test");
    let (connected, message) = take(run, config, QoS::AtLeastOnce, "pub/qos1/receive", 123).await?;
    message.ack()?;
    connected.sent(PacketType::PubAck).await?;
    connected.disconnect().await
}

pub(super) async fn exactly_once(run: &Run<'_>) -> Result {
    let config = v3("publish-qos2-test");
    let (connected, message) =
        take(run, config, QoS::ExactlyOnce, "pub/qos2/receive", 13423).await?;
    message.ack()?;
    connected.sent(PacketType::PubComp).await?;
    connected.disconnect().await
}

pub(super) async fn exactly_once_v5(run: &Run<'_>) -> Result {
    let config = v5("publish-qos2-test");
    let (connected, message) = take(run, config, QoS::ExactlyOnce, "len/qos2/test", 56).await?;
    message.ack()?;
    connected.sent(PacketType::PubComp).await?;
    connected.disconnect().await
}

/// The first message, which nobody has subscribed to, to be acknowledged by hand.
async fn take(
    run: &Run<'_>,
    config: ConfigBuilder,
    qos: QoS,
    topic: &str,
    id: u16,
) -> Result<(Connected, Message)> {
    let (connected, mut messages) = run.connect_to_receive(config).await?;
    let message = some(messages.next().await)?;
    check(&message, qos, topic, id)?;
    Ok((connected, message))
}

fn check(message: &Message, qos: QoS, topic: &str, id: u16) -> Result {
    expect("QoS", message.qos(), qos)?;
    expect("topic", message.topic().as_str(), topic)?;
    expect("payload", message.payload(), &b"message"[..])?;
    expect("RETAIN", message.retain(), false)?;
    let number = message.packet_id().map(|id| id.get());
    expect("packet identifier", number, Some(id))
}

pub(super) async fn unexpected_puback(run: &Run<'_>) -> Result {
    unexpected(run, "publish-qos1-test").await
}

pub(super) async fn unexpected_pubcomp(run: &Run<'_>) -> Result {
    unexpected(run, "publish-qos2-test").await
}

/// The connection lives, and is kept alive.
async fn unexpected(run: &Run<'_>, client_id: &str) -> Result {
    let config = v3(client_id).keep_alive(Duration::from_secs(5));
    let connected = run.connect(config).await?;
    connected.sent(PacketType::PingReq).await?;
    connected.lost().await
}

pub(super) async fn unexpected_pubrel(run: &Run<'_>) -> Result {
    let config = v3("publish-qos2-test");
    // It lives to the end.
    let (_connected, mut messages) = run.connect_to_receive(config).await?;
    let message = some(messages.next().await)?;
    check(&message, QoS::ExactlyOnce, "pub/qos2/receive", 13423)?;
    message.ack()?;
    let message = some(messages.next().await)?;
    expect("topic", message.topic().as_str(), "quit")
}

pub(super) async fn properties_at_most_once(run: &Run<'_>) -> Result {
    let (connected, _) = take_properties(run, QoS::AtMostOnce).await?;
    say_ok(connected).await
}

pub(super) async fn properties_at_least_once(run: &Run<'_>) -> Result {
    let (connected, message) = take_properties(run, QoS::AtLeastOnce).await?;
    message.ack()?;
    say_ok(connected).await
}

pub(super) async fn properties_exactly_once(run: &Run<'_>) -> Result {
    let (connected, message) = take_properties(run, QoS::ExactlyOnce).await?;
    message.ack()?;
    connected.sent(PacketType::PubComp).await?;
    say_ok(connected).await
}

async fn take_properties(run: &Run<'_>, qos: QoS) -> Result<(Connected, Message)> {
    let (connected, mut messages) = run.connect_to_receive(v5("prop-test")).await?;
    let message = some(messages.next().await)?;
    expect("QoS", message.qos(), qos)?;
    let properties = message.properties();
    expect(
        "content type",
        properties.content_type(),
        Some("plain/text"),
    )?;
    let topic = properties.response_topic();
    expect("response topic", topic, Some("msg/123"))?;
    Ok((connected, message))
}

async fn say_ok(connected: Connected) -> Result {
    let publishing = connected.client.publish("ok", QoS::AtMostOnce, "ok");
    publishing.await?.await?;
    connected.disconnect().await
}
