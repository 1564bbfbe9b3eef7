//! What the broker keeps of a client that is not there.

use std::time::Duration;

use mqtt_tokio::{Backoff, Client, ClientEvent, QoS, Subscription, Version};

use crate::site::{Result, Site, part, same};

const WAITING: u32 = 20;

pub(super) async fn will(site: Site) -> Result {
    let topic = site.topic("gone");
    let watcher = site.client("a").await?;
    let mut wills = site.subscribe(&watcher, &topic, QoS::AtLeastOnce).await?;
    let config = || {
        site.config("b")
            .will_message(topic.as_str(), QoS::AtLeastOnce, "good-bye")
    };
    let (mortal, _) = site.mortal(config(), &[]).await?;
    mortal.cut().await;
    same("will", site.text(&mut wills).await?, "good-bye".into())?;

    let orderly = site.connect(config()).await?;
    part([orderly]).await;
    site.pause(300).await;
    site.publish(&watcher, &topic, QoS::AtLeastOnce, "end")
        .await?;
    same(
        "after DISCONNECT",
        site.text(&mut wills).await?,
        "end".into(),
    )?;
    part([watcher]).await;
    Ok(())
}

pub(super) async fn resumed_at_least_once(site: Site) -> Result {
    resumed(site, QoS::AtLeastOnce).await
}

pub(super) async fn resumed_exactly_once(site: Site) -> Result {
    resumed(site, QoS::ExactlyOnce).await
}

/// As after the end of a process: messages that came meanwhile wait for the next one.
async fn resumed(site: Site, qos: QoS) -> Result {
    let topic = site.topic("kept");
    let filters = [(topic.as_str(), qos)];
    let (mortal, mut messages) = site.mortal(site.lasting("a"), &filters).await?;
    same(
        "session present at first",
        mortal.connack.session_present,
        false,
    )?;
    let publisher = site.client("b").await?;
    site.publish(&publisher, &topic, QoS::AtLeastOnce, "first")
        .await?;
    same(
        "payload",
        site.text(&mut messages[0]).await?,
        "first".into(),
    )?;
    // Behind the acknowledgement, so that it is written, too.
    site.publish(&mortal.client, &site.topic("other"), QoS::AtLeastOnce, "")
        .await?;
    mortal.cut().await;
    // The broker has to notice.
    site.pause(100).await;
    publish_numbers(&site, &publisher, &topic, qos).await?;

    let (again, mut messages) = site.mortal(site.lasting("a"), &filters).await?;
    present(&site, again.connack.session_present)?;
    read_numbers(&site, &mut messages[0], qos).await?;
    part([again.client, publisher]).await;
    Ok(())
}

/// 3.1 does not tell.
pub(super) fn present(site: &Site, seen: bool) -> Result {
    same("session present", seen, site.version() != Version::V3_1)
}

pub(super) async fn publish_numbers(site: &Site, client: &Client, topic: &str, qos: QoS) -> Result {
    for n in 0..WAITING {
        site.publish(client, topic, qos, n.to_string()).await?;
    }
    Ok(())
}

/// In order, each once: nobody has seen them before.
pub(super) async fn read_numbers(site: &Site, messages: &mut Subscription, qos: QoS) -> Result {
    let (mut seen, wanted) = (Vec::new(), (0..WAITING).map(|n| n.to_string()).collect());
    for _ in 0..WAITING {
        let message = site.next(messages).await?;
        seen.push(String::from_utf8_lossy(message.payload()).into_owned());
        same("QoS of what waited", message.qos(), qos)?;
    }
    same("what waited", seen, wanted)
}

pub(super) async fn cleaned(site: Site) -> Result {
    let topic = site.topic("kept");
    let (mortal, _) = site
        .mortal(site.lasting("a"), &[(&topic, QoS::AtLeastOnce)])
        .await?;
    mortal.cut().await;
    site.pause(100).await;
    let (clean, _) = site.mortal(site.config("a"), &[]).await?;
    same("session present", clean.connack.session_present, false)?;
    let mut any = clean.client.messages();
    site.publish(&clean.client, &topic, QoS::AtLeastOnce, "")
        .await?;
    let own = site.topic("own");
    let mut end = site
        .subscribe(&clean.client, &own, QoS::AtLeastOnce)
        .await?;
    site.publish(&clean.client, &own, QoS::AtLeastOnce, "end")
        .await?;
    same("payload", site.text(&mut end).await?, "end".into())?;
    same(
        "a message of the session before",
        any.try_next().is_some(),
        false,
    )?;
    part([clean.client]).await;
    Ok(())
}

/// The older of two clients with one identifier is disconnected, in 5.0 with the reason [MQTT-3.1.4-3].
pub(super) async fn taken_over(site: Site) -> Result {
    let backoff = Backoff {
        first: Duration::from_secs(60),
        longest: Duration::from_secs(60),
        ..Backoff::default()
    };
    let older = site.connect(site.config("a").backoff(backoff)).await?;
    let mut events = older.events();
    let newer = site.client("a").await?;
    let lost = async {
        loop {
            match events.next().await {
                Some(ClientEvent::Lost { error, .. }) => return Ok(error.to_string()),
                Some(_) => {}
                None => return Result::Ok(format!("{:?}", older.closed().await)),
            }
        }
    };
    let error = site.within("end of the older one", lost).await??;
    // It lives.
    site.publish(&newer, &site.topic("a"), QoS::AtLeastOnce, "")
        .await?;
    part([newer, older]).await;
    let told = error.contains("0x8E") || error.contains("0x8e") || error.contains("taken over");
    if site.version() == Version::V5 && !told {
        return Err(format!("the older one was not told why: {error}").into());
    }
    Ok(())
}

pub(super) async fn idle(site: Site) -> Result {
    let client = site
        .connect(site.config("a").keep_alive(Duration::from_secs(3)))
        .await?;
    // A broker closes the connection after 4.5 s.
    site.pause(6_500).await;
    same("connections", client.stats().connections, 1)?;
    site.publish(&client, &site.topic("a"), QoS::AtLeastOnce, "")
        .await?;
    same("connections", client.stats().connections, 1)?;
    part([client]).await;
    Ok(())
}
