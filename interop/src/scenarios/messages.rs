//! Messages, and which of them a subscriber gets.

use std::collections::BTreeSet;

use mqtt_tokio::{Client, Publish, QoS, Subscription, Topic, TopicFilter};
use tokio::time::{Duration, timeout};

use crate::site::{Result, Site, part, same};

const COUNT: u32 = 200;

pub(super) async fn at_most_once(site: Site) -> Result {
    both_ways(site, QoS::AtMostOnce).await
}

pub(super) async fn at_least_once(site: Site) -> Result {
    both_ways(site, QoS::AtLeastOnce).await
}

pub(super) async fn exactly_once(site: Site) -> Result {
    both_ways(site, QoS::ExactlyOnce).await
}

/// From one client to another: each in order, once, at its QoS.
async fn both_ways(site: Site, qos: QoS) -> Result {
    let [from, to] = [site.client("a").await?, site.client("b").await?];
    exchange(&site, qos, &from, &to, COUNT).await?;
    part([from, to]).await;
    Ok(())
}

pub(super) async fn exchange(
    site: &Site,
    qos: QoS,
    from: &Client,
    to: &Client,
    count: u32,
) -> Result {
    let topic = site.topic("numbers");
    let mut messages = site.subscribe(to, &topic, qos).await?;
    let publishing = async {
        let mut deliveries = Vec::new();
        for n in 0..count {
            let publishing = from.publish(topic.as_str(), qos, n.to_string());
            deliveries.push(site.within("room to publish", publishing).await??);
        }
        for delivery in deliveries {
            site.delivered(delivery, qos).await?;
        }
        Result::Ok(())
    };
    let receiving = async {
        for n in 0..count {
            let message = site.next(&mut messages).await?;
            same("payload", message.payload(), n.to_string().as_bytes())?;
            same("topic", message.topic().as_str(), &topic)?;
            same("QoS of a message", message.qos(), qos)?;
            same("RETAIN", message.retain(), false)?;
        }
        Result::Ok(())
    };
    tokio::try_join!(publishing, receiving)?;
    same("connections", from.stats().connections, 1)?;
    same("connections", to.stats().connections, 1)
}

/// A message comes at the QoS that it was published at, or at that of the subscription where that is lower [MQTT-3.8.4-6] in 3.1.1, [MQTT-3.8.4-8] in 5.0.
pub(super) async fn lower_qos(site: Site) -> Result {
    const ALL: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
    let client = site.client("a").await?;
    for granted in ALL {
        let topic = site.topic(&format!("{granted:?}"));
        let mut messages = site.subscribe(&client, &topic, granted).await?;
        for published in ALL {
            site.publish(&client, &topic, published, "").await?;
            let message = site.next(&mut messages).await?;
            let what =
                format!("QoS of a message of {published:?} to a subscription of {granted:?}");
            same(&what, message.qos(), published.min(granted))?;
        }
    }
    part([client]).await;
    Ok(())
}

pub(super) async fn large(site: Site) -> Result {
    sized(site, 1 << 20).await
}

pub(super) async fn larger(site: Site) -> Result {
    sized(site, 8 << 20).await
}

async fn sized(site: Site, size: usize) -> Result {
    let client = site.client("a").await?;
    whole(&site, &client, size).await?;
    part([client]).await;
    Ok(())
}

/// A payload of this size comes back as it was.
pub(super) async fn whole(site: &Site, client: &Client, size: usize) -> Result {
    let topic = site.topic("large");
    let mut messages = site.subscribe(client, &topic, QoS::AtLeastOnce).await?;
    // One that no shift leaves the same.
    let payload: Vec<u8> = (0..size).map(|at| (at * 31 + at / 251) as u8).collect();
    let publishing = site.publish(client, &topic, QoS::AtLeastOnce, payload.clone());
    let receiving = site.next(&mut messages);
    let ((), message) = tokio::try_join!(publishing, receiving)?;
    if message.payload() == payload {
        Ok(())
    } else {
        Err(format!("another payload, of {} bytes", message.payload().len()).into())
    }
}

async fn retain(site: &Site, client: &Client, topic: &str, payload: &'static str) -> Result {
    let message = Publish::new(Topic::try_from(topic.to_owned())?, payload).with_retain(true);
    let publishing = client.publish_message(QoS::AtLeastOnce, message);
    let delivery = site.within("room to publish", publishing).await??;
    site.delivered(delivery, QoS::AtLeastOnce).await
}

pub(super) async fn retained(site: Site) -> Result {
    let topic = site.topic("state");
    let keeper = site.client("a").await?;
    // An acknowledgement does not say that others see it already; a copy does.
    let mut own = site.subscribe(&keeper, &topic, QoS::AtLeastOnce).await?;
    for payload in ["first", "second"] {
        retain(&site, &keeper, &topic, payload).await?;
        let message = site.next(&mut own).await?;
        same("payload", message.payload(), payload.as_bytes())?;
        same(
            "RETAIN to a subscriber that was there",
            message.retain(),
            false,
        )?;
    }
    let later = site.client("b").await?;
    let mut states = site.subscribe(&later, &topic, QoS::AtLeastOnce).await?;
    let message = site.next(&mut states).await?;
    same("payload", message.payload(), b"second".as_slice())?;
    same("RETAIN of what was kept", message.retain(), true)?;
    drop(message);

    retain(&site, &keeper, &topic, "").await?;
    same("the removal", site.text(&mut own).await?, String::new())?;
    let last = site.client("c").await?;
    let mut states = site.subscribe(&last, &topic, QoS::AtLeastOnce).await?;
    site.publish(&keeper, &topic, QoS::AtLeastOnce, "end")
        .await?;
    same(
        "after the removal",
        site.text(&mut states).await?,
        "end".into(),
    )?;
    part([keeper, later, last]).await;
    Ok(())
}

pub(super) async fn unsubscribing(site: Site) -> Result {
    let client = site.client("a").await?;
    let [wanted, unwanted] = [site.topic("wanted"), site.topic("unwanted")];
    let mut first = site.subscribe(&client, &wanted, QoS::AtLeastOnce).await?;
    let mut second = site.subscribe(&client, &unwanted, QoS::AtLeastOnce).await?;
    site.publish(&client, &unwanted, QoS::AtLeastOnce, "1")
        .await?;
    same("payload", site.text(&mut second).await?, "1".into())?;
    let filter = TopicFilter::try_from(unwanted.clone())?;
    site.within("UNSUBACK", client.unsubscribe(vec![filter]))
        .await??;
    site.publish(&client, &unwanted, QoS::AtLeastOnce, "2")
        .await?;
    site.publish(&client, &wanted, QoS::AtLeastOnce, "3")
        .await?;
    same("payload", site.text(&mut first).await?, "3".into())?;
    same("after UNSUBACK", second.try_next().is_some(), false)?;
    part([client]).await;
    Ok(())
}

pub(super) async fn wildcards(site: Site) -> Result {
    let from = site.client("a").await?;
    let to = site.client("b").await?;
    let filters = ["one/+", "+/all/#"].map(|end| site.topic(end));
    let mut one = site.subscribe(&to, &filters[0], QoS::AtLeastOnce).await?;
    let mut all = site.subscribe(&to, &filters[1], QoS::AtLeastOnce).await?;
    for end in [
        "one",
        "one/a",
        "one/b/c",
        "x/all",
        "x/all/y/z",
        "x/y/all",
        "one/",
        "end/all",
    ] {
        site.publish(&from, &site.topic(end), QoS::AtLeastOnce, end)
            .await?;
    }
    // At the same time: a broker may hold back what comes behind an unacknowledged message.
    tokio::try_join!(
        texts(&site, &mut one, &["one/a", "one/"]),
        texts(&site, &mut all, &["x/all", "x/all/y/z", "end/all"]),
    )?;
    same("by + without a match", one.try_next().is_some(), false)?;
    part([from, to]).await;
    Ok(())
}

/// These come, in this order.
pub(super) async fn texts(site: &Site, messages: &mut Subscription, wanted: &[&str]) -> Result {
    for text in wanted {
        same("payload", site.text(messages).await?.as_str(), text)?;
    }
    Ok(())
}

/// Each message goes to one of the group, and to those outside it.
pub(super) async fn shared(site: Site) -> Result {
    let topic = site.topic("jobs");
    let filter = format!("$share/{}/{topic}", site.topic("group").replace('/', "-"));
    let from = site.client("a").await?;
    let [first, second, outside] = [
        site.client("b").await?,
        site.client("c").await?,
        site.client("d").await?,
    ];
    let mut group = Vec::new();
    for client in [&first, &second] {
        group.push(site.subscribe(client, &filter, QoS::AtLeastOnce).await?);
    }
    let mut whole = site.subscribe(&outside, &topic, QoS::AtLeastOnce).await?;
    for n in 0..COUNT {
        site.publish(&from, &topic, QoS::AtLeastOnce, n.to_string())
            .await?;
    }
    for n in 0..COUNT {
        same(
            "outside the group",
            site.text(&mut whole).await?,
            n.to_string(),
        )?;
    }
    let (mut seen, mut shares) = (BTreeSet::new(), Vec::new());
    for member in &mut group {
        let share = drain(member).await?;
        shares.push(share.len());
        for text in share {
            let n: u32 = text.parse()?;
            if !seen.insert(n) {
                return Err(format!("{n} came twice in the group").into());
            }
        }
    }
    same("messages in the group", seen.len(), COUNT as usize)?;
    if shares.contains(&0) {
        return Err(format!("the shares of the group were {shares:?}").into());
    }
    part([from, first, second, outside]).await;
    Ok(())
}

/// What comes until nothing more does for a second.
async fn drain(subscription: &mut Subscription) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    while let Ok(next) = timeout(Duration::from_secs(1), subscription.next()).await {
        let message = next.ok_or("the subscription ended")?;
        texts.push(String::from_utf8_lossy(message.payload()).into_owned());
        message.ack()?;
    }
    Ok(texts)
}
