//! What outlives a restart of the broker, in order: it is told to end, and started anew with what it has stored.

use mqtt_tokio::{Publish, QoS, Topic};

use super::After;
use super::sessions::{present, publish_numbers, read_numbers};
use crate::site::{Result, Site, part, same};

/// Whatever the broker keeps: a client that was connected goes on.
pub(super) async fn comes_back(site: Site) -> Result<After> {
    let topic = site.topic("on");
    let client = site.client("a").await?;
    let mut messages = site.subscribe(&client, &topic, QoS::AtLeastOnce).await?;
    site.publish(&client, &topic, QoS::AtLeastOnce, "before")
        .await?;
    same("payload", site.text(&mut messages).await?, "before".into())?;
    Ok(Box::pin(async move {
        site.within("connection", client.connected()).await??;
        // Accepted as ever; the subscription is asked for first.
        site.publish(&client, &topic, QoS::AtLeastOnce, "behind")
            .await?;
        same("payload", site.text(&mut messages).await?, "behind".into())?;
        part([client]).await;
        Ok(())
    }))
}

pub(super) async fn at_least_once(site: Site) -> Result<After> {
    session(site, QoS::AtLeastOnce).await
}

pub(super) async fn exactly_once(site: Site) -> Result<After> {
    session(site, QoS::ExactlyOnce).await
}

async fn session(site: Site, qos: QoS) -> Result<After> {
    let topic = site.topic("kept");
    let (mortal, _) = site.mortal(site.lasting("a"), &[(&topic, qos)]).await?;
    mortal.cut().await;
    site.pause(100).await;
    let publisher = site.client("b").await?;
    publish_numbers(&site, &publisher, &topic, qos).await?;
    part([publisher]).await;
    Ok(Box::pin(async move {
        let filters = [(topic.as_str(), qos)];
        let (again, mut messages) = site.mortal(site.lasting("a"), &filters).await?;
        present(&site, again.connack.session_present)?;
        read_numbers(&site, &mut messages[0], qos).await?;
        part([again.client]).await;
        Ok(())
    }))
}

pub(super) async fn retained(site: Site) -> Result<After> {
    let topic = site.topic("state");
    let client = site.client("a").await?;
    let message = Publish::new(Topic::try_from(topic.clone())?, "on").with_retain(true);
    let publishing = client.publish_message(QoS::AtLeastOnce, message);
    let delivery = site.within("room to publish", publishing).await??;
    site.delivered(delivery, QoS::AtLeastOnce).await?;
    part([client]).await;
    Ok(Box::pin(async move {
        let later = site.client("b").await?;
        let mut states = site.subscribe(&later, &topic, QoS::AtLeastOnce).await?;
        same("payload", site.text(&mut states).await?, "on".into())?;
        part([later]).await;
        Ok(())
    }))
}
