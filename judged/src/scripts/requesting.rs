//! A request and its response, by two clients.

use mqtt_behaviour::Result;
use mqtt_session::client::exports::{Properties, Publish, QoS, Topic};

use crate::run::{Run, v5};

use super::{expect, some};

const RESPONSES: &str = "response/topic";
const REQUESTS: &str = "request/topic";

pub(super) async fn asking(run: &Run<'_>) -> Result {
    let properties = Properties::builder().response_topic(RESPONSES);
    ask(run, properties.build()?).await
}

pub(super) async fn asking_with_correlation(run: &Run<'_>) -> Result {
    let properties = Properties::builder()
        .response_topic(RESPONSES)
        .correlation_data(b"corridor");
    ask(run, properties.build()?).await
}

async fn ask(run: &Run<'_>, properties: Properties) -> Result {
    let connected = run.connect(v5("request-test")).await?;
    let client = &connected.client;
    let responses = client.subscribe(RESPONSES, QoS::AtMostOnce).await?;
    let request = Publish::new(Topic::from_static(REQUESTS)?, "action");
    let request = request.with_properties(properties);
    client
        .publish_message(QoS::AtMostOnce, request)
        .await?
        .await?;
    // The scripts send no response, and close.
    connected.lost().await?;
    drop(responses);
    Ok(())
}

pub(super) async fn answering(run: &Run<'_>) -> Result {
    let connected = run.connect(v5("response-test")).await?;
    let client = &connected.client;
    let mut requests = client.subscribe(REQUESTS, QoS::AtMostOnce).await?;
    let request = some(requests.next().await)?;
    expect("topic", request.topic().as_str(), REQUESTS)?;
    let properties = request.properties();
    let to = properties
        .response_topic()
        .ok_or("the request has no response topic")?;
    let to = Topic::try_from(to)?;
    let mut answer = Properties::builder();
    if let Some(correlation) = properties.correlation_data() {
        answer = answer.correlation_data(correlation);
    }
    let answer = Publish::new(to, "a response").with_properties(answer.build()?);
    client
        .publish_message(QoS::AtMostOnce, answer)
        .await?
        .await?;
    connected.lost().await
}
