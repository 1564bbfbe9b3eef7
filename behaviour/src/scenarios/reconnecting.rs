//! Connections that are lost.

use std::time::Duration;

use mqtt_session::client::exports::{ClientEvent, Outcome, PacketType, QoS, Version};

use crate::block_on::both;
use crate::{Bench, Result};

use super::List;

pub(super) fn add(list: &mut List) {
    list.add("a cut is told, and mended", told);
    list.add_versions("a message in flight survives a cut", |version| {
        async move |bench: &Bench<'_>| in_flight(bench, version).await
    });
    list.add_versions(
        "cut again and again, nothing is lost or doubled",
        |version| async move |bench: &Bench<'_>| again_and_again(bench, version).await,
    );
    list.add(
        "subscriptions come back where the server lost them",
        subscriptions,
    );
}

async fn told(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let client = bench
        .connect(&server.url(), bench.config("client").build()?)
        .await?;
    let mut events = client.events();
    server.cut();
    let lost = events.next().await;
    let retries = matches!(
        lost,
        Some(ClientEvent::Lost {
            retry_in: Some(_),
            ..
        })
    );
    assert!(retries, "{lost:?}");
    let back = events.next().await;
    assert!(
        matches!(back, Some(ClientEvent::Connected { .. })),
        "{back:?}"
    );
    assert_eq!(client.stats().connections, 2);
    server.assert_no_violations();
    Ok(())
}

async fn in_flight(bench: &Bench<'_>, version: Version) -> Result {
    let server = bench.server()?;
    let config = bench.config("client").version(version).clean_start(false);
    let client = bench.connect(&server.url(), config.build()?).await?;
    server.with(|broker, _| broker.hold(PacketType::PubRec));
    let delivery = client.publish("a", QoS::ExactlyOnce, "once").await?;
    server.until("it has come", |broker| broker.held(PacketType::PubRec) == 1);
    server.cut();
    server.with(|broker, now| broker.release(now, PacketType::PubRec));
    let outcome = delivery.await?;
    let acknowledged = matches!(
        outcome,
        Outcome::Acknowledged {
            republished: false,
            completed: true,
            ..
        }
    );
    assert!(acknowledged, "{outcome:?}");
    assert_eq!(server.payloads(), [b"once"]);
    server.assert_no_violations();
    Ok(())
}

async fn again_and_again(bench: &Bench<'_>, version: Version) -> Result {
    const COUNT: u32 = 1000;
    let server = bench.server()?;
    let config = bench.config("client").version(version).clean_start(false);
    let client = bench.connect(&server.url(), config.build()?).await?;
    let mut messages = client.subscribe("echo", QoS::ExactlyOnce).await?;
    let publishing = async {
        for n in 0..COUNT {
            if n % 250 == 100 {
                // Here, since what is accepted after a cut can't have gone before it.
                server.cut();
            }
            client
                .publish("echo", QoS::ExactlyOnce, n.to_string())
                .await?;
        }
        Result::Ok(())
    };
    let receiving = async {
        for n in 0..COUNT {
            let message = messages.next().await.expect("a message");
            assert_eq!(message.payload(), n.to_string().as_bytes());
        }
    };
    both(publishing, receiving).await.0?;
    assert!(client.stats().connections > 1, "{:?}", client.stats());
    client.disconnect(Duration::from_secs(10)).await;
    assert_eq!(server.payloads().len(), COUNT as usize);
    server.assert_no_violations();
    Ok(())
}

async fn subscriptions(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let client = bench
        .connect(&server.url(), bench.config("client").build()?)
        .await?;
    let mut messages = client.subscribe("a/+", QoS::AtLeastOnce).await?;
    server.with(|broker, now| broker.restart(now, false));
    server.cut();
    server.until("it is subscribed again", |broker| {
        let session = broker.session("client");
        session.is_some_and(|session| session.subscriptions.len() == 1)
    });
    server.send("a/b", QoS::AtLeastOnce, 0..2)?;
    for n in 0..2 {
        let message = messages.next().await.expect("a message");
        assert_eq!(message.payload(), n.to_string().as_bytes());
    }
    server.assert_no_violations();
    Ok(())
}
