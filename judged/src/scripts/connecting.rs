//! CONNECT, keep-alive and DISCONNECT.

use std::time::Duration;

use mqtt_behaviour::Result;
use mqtt_session::client::exports::{Properties, QoS, Topic, Will};

use crate::run::{Run, v3, v5};

pub(super) async fn and_disconnecting(run: &Run<'_>) -> Result {
    let config = v3("01-con-discon-success");
    run.connect(config).await?.disconnect().await
}

pub(super) async fn keeping_alive(run: &Run<'_>) -> Result {
    let config = v3("01-keepalive-pingreq").keep_alive(Duration::from_secs(5));
    run.connect(config).await?.lost().await
}

pub(super) async fn keeping_alive_as_told(run: &Run<'_>) -> Result {
    let config = v5("01-server-keepalive-pingreq");
    run.connect(config).await?.lost().await
}

pub(super) async fn resuming(run: &Run<'_>) -> Result {
    let config = v3("01-no-clean-session").clean_start(false);
    run.say_connect(config).await
}

pub(super) async fn with_credentials(run: &Run<'_>) -> Result {
    let config = v3("01-unpwd-set").credentials("uname", ";'[08gn=#");
    run.say_connect(config).await
}

pub(super) async fn with_will(run: &Run<'_>) -> Result {
    let will = Will {
        topic: Topic::try_from("topic/on/unexpected/disconnect")?,
        payload: "will message".into(),
        qos: QoS::AtLeastOnce,
        retain: true,
        properties: Properties::new(),
    };
    run.say_connect(v3("01-will-set").will(will)).await
}

pub(super) async fn with_both(run: &Run<'_>) -> Result {
    let config = v3("01-will-unpwd-set")
        .credentials("oibvvwqw", "#'^2hg9a&nm38*us")
        .will_message("will-topic", QoS::ExactlyOnce, "will message");
    run.say_connect(config).await
}
