//! SUBSCRIBE and UNSUBSCRIBE.

use mqtt_behaviour::Result;
use mqtt_session::ConfigBuilder;
use mqtt_session::client::exports::QoS;

use crate::run::{Run, v3, v5};

pub(super) async fn at_most_once(run: &Run<'_>) -> Result {
    subscribe(run, "subscribe-qos0-test", "qos0/test", QoS::AtMostOnce).await
}

pub(super) async fn at_least_once(run: &Run<'_>) -> Result {
    subscribe(run, "subscribe-qos1-test", "qos1/test", QoS::AtLeastOnce).await
}

pub(super) async fn exactly_once(run: &Run<'_>) -> Result {
    subscribe(run, "subscribe-qos2-test", "qos2/test", QoS::ExactlyOnce).await
}

async fn subscribe(run: &Run<'_>, client_id: &str, filter: &str, qos: QoS) -> Result {
    let connected = run.connect(v3(client_id)).await?;
    let subscription = connected.client.subscribe(filter, qos).await?;
    connected.disconnect().await?;
    drop(subscription);
    Ok(())
}

pub(super) async fn and_not(run: &Run<'_>) -> Result {
    unsubscribe(run, v3("unsubscribe-test")).await
}

pub(super) async fn and_not_v5(run: &Run<'_>) -> Result {
    unsubscribe(run, v5("unsubscribe-test")).await
}

async fn unsubscribe(run: &Run<'_>, config: ConfigBuilder) -> Result {
    let connected = run.connect(config).await?;
    let filters = vec!["unsubscribe/test".try_into()?];
    connected.client.unsubscribe(filters).await?;
    connected.disconnect().await
}

pub(super) async fn and_from_several_not(run: &Run<'_>) -> Result {
    let connected = run.connect(v5("unsubscribe-test")).await?;
    let client = &connected.client;
    let subscription = client
        .subscribe("unsubscribe/test", QoS::ExactlyOnce)
        .await?;
    let filters = vec!["unsubscribe/test".try_into()?, "no-sub".try_into()?];
    client.unsubscribe(filters).await?;
    connected.disconnect().await?;
    drop(subscription);
    Ok(())
}
