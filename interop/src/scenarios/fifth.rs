//! What 5.0 has and 3.x has not.

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::time::Duration;

use mqtt_tokio::{
    AckMode, Client, Limits, Properties, Publish, QoS, RetainHandling, SubscribeOptions,
    Subscription, Topic, Will,
};

use tokio::time::timeout;

use super::messages::texts;
use crate::site::{Result, Site, part, same};

async fn send(site: &Site, client: &Client, qos: QoS, message: Publish) -> Result {
    let publishing = client.publish_message(qos, message);
    let delivery = site.within("room to publish", publishing).await??;
    site.delivered(delivery, qos).await
}

fn message(topic: &str, payload: &'static str) -> Result<Publish> {
    Ok(Publish::new(Topic::try_from(topic.to_owned())?, payload))
}

pub(super) async fn properties(site: Site) -> Result {
    let topic = site.topic("request");
    let client = site.client("a").await?;
    let mut messages = site.subscribe(&client, &topic, QoS::AtLeastOnce).await?;
    let users = [("name", "first"), ("name", "second"), ("", "empty")];
    let builder = Properties::builder()
        .payload_format_indicator(true)
        .content_type("text/plain")
        .response_topic("answers/here")
        .correlation_data(b"\x00\x01\xff");
    let builder = users.iter().fold(builder, |builder, (name, value)| {
        builder.user_property(name, value)
    });
    let request = message(&topic, "grüß dich")?.with_properties(builder.build()?);
    send(&site, &client, QoS::AtLeastOnce, request).await?;
    let message = site.next(&mut messages).await?;
    let properties = message.properties();
    same("payload", message.payload(), "grüß dich".as_bytes())?;
    same(
        "Payload Format Indicator",
        properties.payload_format_indicator(),
        Some(true),
    )?;
    same(
        "Content Type",
        properties.content_type(),
        Some("text/plain"),
    )?;
    same(
        "Response Topic",
        properties.response_topic(),
        Some("answers/here"),
    )?;
    same(
        "Correlation Data",
        properties.correlation_data(),
        Some(b"\x00\x01\xff".as_slice()),
    )?;
    // In order; a broker may add some of its own.
    let seen = properties.user_properties().take(users.len());
    same("user properties", seen.collect(), users.to_vec())?;
    drop(message);
    part([client]).await;
    Ok(())
}

pub(super) async fn no_local(site: Site) -> Result {
    let options = SubscribeOptions {
        no_local: true,
        ..SubscribeOptions::new(QoS::AtLeastOnce)
    };
    let [client, other] = [site.client("a").await?, site.client("b").await?];
    let topic = site.topic("news");
    let mut messages = subscribe(&site, &client, &topic, options).await?;
    site.publish(&client, &topic, QoS::AtLeastOnce, "own")
        .await?;
    site.publish(&other, &topic, QoS::AtLeastOnce, "other")
        .await?;
    same("payload", site.text(&mut messages).await?, "other".into())?;
    part([client, other]).await;
    Ok(())
}

pub(super) async fn retain_as_published(site: Site) -> Result {
    let options = SubscribeOptions {
        retain_as_published: true,
        ..SubscribeOptions::new(QoS::AtLeastOnce)
    };
    let client = site.client("a").await?;
    let topic = site.topic("state");
    let mut messages = subscribe(&site, &client, &topic, options).await?;
    for retain in [true, false] {
        let message = message(&topic, "on")?.with_retain(retain);
        send(&site, &client, QoS::AtLeastOnce, message).await?;
        same("RETAIN", site.next(&mut messages).await?.retain(), retain)?;
    }
    part([client]).await;
    Ok(())
}

pub(super) async fn retain_handling(site: Site) -> Result {
    let client = site.client("a").await?;
    let topic = site.topic("state");
    let mut own = site.subscribe(&client, &topic, QoS::AtLeastOnce).await?;
    let kept = message(&topic, "kept")?.with_retain(true);
    send(&site, &client, QoS::AtLeastOnce, kept).await?;
    site.next(&mut own).await?;
    for (retain_handling, end, wanted) in [
        (RetainHandling::Send, "b", "kept"),
        (RetainHandling::SendIfNew, "c", "kept"),
        (RetainHandling::DoNotSend, "d", "end"),
    ] {
        let options = SubscribeOptions {
            retain_handling,
            ..SubscribeOptions::new(QoS::AtLeastOnce)
        };
        let later = site.client(end).await?;
        let mut messages = subscribe(&site, &later, &topic, options).await?;
        site.publish(&client, &topic, QoS::AtLeastOnce, "end")
            .await?;
        let what = format!("with {retain_handling:?}");
        same(&what, site.text(&mut messages).await?, wanted.into())?;
        part([later]).await;
    }
    part([client]).await;
    Ok(())
}

async fn subscribe(
    site: &Site,
    client: &Client,
    filter: &str,
    options: SubscribeOptions,
) -> Result<Subscription> {
    let subscription = site
        .within("SUBACK", client.subscribe(filter, options))
        .await??;
    Ok(subscription.with_ack_mode(AckMode::Manual))
}

/// Each stream gets a message once, whether the broker sends a copy for each subscription or one with both identifiers.
pub(super) async fn overlapping(site: Site) -> Result {
    let client = site.client("a").await?;
    let filters = ["a/+", "a/#"].map(|end| site.topic(end));
    let mut one = site
        .subscribe(&client, &filters[0], QoS::AtLeastOnce)
        .await?;
    let mut all = site
        .subscribe(&client, &filters[1], QoS::AtLeastOnce)
        .await?;
    let ends = ["a/1", "a/2", "a/3", "a/4"];
    for end in ends {
        site.publish(&client, &site.topic(end), QoS::AtLeastOnce, end)
            .await?;
    }
    tokio::try_join!(texts(&site, &mut one, &ends), texts(&site, &mut all, &ends))?;
    same("more by +", one.try_next().is_some(), false)?;
    part([client]).await;
    Ok(())
}

/// A client that takes two at a time gets no third before it has acknowledged one [MQTT-3.3.4-9]: the session would close the connection.
pub(super) async fn receive_maximum(site: Site) -> Result {
    let topic = site.topic("many");
    let mut limits = Limits::default();
    limits.receive_maximum = NonZeroU16::new(2).ok_or("it is two")?;
    let slow = site.connect(site.config("a").limits(limits)).await?;
    let mut messages = site.subscribe(&slow, &topic, QoS::AtLeastOnce).await?;
    let other = site.client("b").await?;
    for n in 0..20 {
        site.publish(&other, &topic, QoS::AtLeastOnce, n.to_string())
            .await?;
    }
    let mut held = VecDeque::from([site.take(&mut messages).await?]);
    for n in 0..20 {
        // Some send one at a time.
        while let Ok(Some(message)) = timeout(Duration::from_millis(100), messages.next()).await {
            held.push_back(message);
        }
        if !(1..=2).contains(&held.len()) {
            return Err(format!("{} messages are unacknowledged", held.len()).into());
        }
        let message = held.pop_front().ok_or("no message")?;
        same(
            "payload",
            String::from_utf8_lossy(message.payload()).into_owned(),
            n.to_string(),
        )?;
        message.ack()?;
        if held.is_empty() && n < 19 {
            held.push_back(site.take(&mut messages).await?);
        }
    }
    same("connections", slow.stats().connections, 1)?;
    part([slow, other]).await;
    Ok(())
}

/// A message that the client can't take is not sent to it, and the others are [MQTT-3.1.2-24, -25].
pub(super) async fn packet_size(site: Site) -> Result {
    let topic = site.topic("sizes");
    let mut limits = Limits::default();
    limits.max_packet_size = 500;
    let small = site.connect(site.config("a").limits(limits)).await?;
    let mut messages = site.subscribe(&small, &topic, QoS::AtLeastOnce).await?;
    let other = site.client("b").await?;
    site.publish(&other, &topic, QoS::AtLeastOnce, vec![b'x'; 1_000])
        .await?;
    site.publish(&other, &topic, QoS::AtLeastOnce, "small")
        .await?;
    same("payload", site.text(&mut messages).await?, "small".into())?;
    same("connections", small.stats().connections, 1)?;
    part([small, other]).await;
    Ok(())
}

pub(super) async fn message_expiry(site: Site) -> Result {
    let topic = site.topic("kept");
    let filters = [(topic.as_str(), QoS::AtLeastOnce)];
    let (mortal, _) = site.mortal(site.lasting("a"), &filters).await?;
    mortal.cut().await;
    let other = site.client("b").await?;
    for (payload, seconds) in [("short", 1), ("long", 100)] {
        let expiring = Properties::builder()
            .message_expiry_interval(seconds)
            .build()?;
        send(
            &site,
            &other,
            QoS::AtLeastOnce,
            message(&topic, payload)?.with_properties(expiring),
        )
        .await?;
    }
    site.pause(2_500).await;
    let (again, mut messages) = site.mortal(site.lasting("a"), &filters).await?;
    let message = site.next(&mut messages[0]).await?;
    same(
        "payload",
        String::from_utf8_lossy(message.payload()).as_ref(),
        "long",
    )?;
    // Less the time that it waited [MQTT-3.3.2-6].
    let left = message.properties().message_expiry_interval();
    if !left.is_some_and(|left| (60..100).contains(&left)) {
        return Err(format!("Message Expiry Interval after 2.5 of 100 s: {left:?}").into());
    }
    drop(message);
    part([again.client, other]).await;
    Ok(())
}

pub(super) async fn session_expiry(site: Site) -> Result {
    for (seconds, end, pause, present) in [
        (0, "a", 100, false),
        (1, "b", 3_000, false),
        (60, "c", 3_000, true),
    ] {
        let config = || {
            site.lasting(end)
                .session_expiry(Duration::from_secs(seconds))
        };
        let (mortal, _) = site.mortal(config(), &[]).await?;
        mortal.cut().await;
        site.pause(pause).await;
        let (again, _) = site.mortal(config(), &[]).await?;
        same(
            &format!("session present, {seconds} s after which it expires"),
            again.connack.session_present,
            present,
        )?;
        part([again.client]).await;
    }
    Ok(())
}

/// A will that is delayed is not published where the client is back in time, and is published where it is not.
pub(super) async fn will_delay(site: Site) -> Result {
    let topic = site.topic("gone");
    let watcher = site.client("a").await?;
    let mut wills = site.subscribe(&watcher, &topic, QoS::AtLeastOnce).await?;
    let config = || -> Result<_> {
        Ok(site.lasting("b").will(Will {
            topic: Topic::try_from(topic.clone())?,
            payload: "good-bye".into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Properties::builder().will_delay_interval(2).build()?,
        }))
    };
    let (mortal, _) = site.mortal(config()?, &[]).await?;
    mortal.cut().await;
    site.pause(300).await;
    let (again, _) = site.mortal(config()?, &[]).await?;
    site.pause(3_000).await;
    site.publish(&watcher, &topic, QoS::AtLeastOnce, "back in time")
        .await?;
    same(
        "after the return",
        site.text(&mut wills).await?,
        "back in time".into(),
    )?;
    again.cut().await;
    same(
        "after the delay",
        site.text(&mut wills).await?,
        "good-bye".into(),
    )?;
    part([watcher]).await;
    Ok(())
}

pub(super) async fn assigned(site: Site) -> Result {
    let client = site.connect(site.anonymous()).await?;
    if client.client_identifier().is_empty() {
        return Err("the server assigned none".into());
    }
    site.publish(&client, &site.topic("a"), QoS::AtLeastOnce, "")
        .await?;
    part([client]).await;
    Ok(())
}
