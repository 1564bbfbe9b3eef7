//! Publishing: outcomes, room, and futures that are dropped.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mqtt_session::proto::PacketType;
use mqtt_tokio::{
    Client, Limits, Offline, Outcome, Publish, PublishOptions, PublishRefused, QoS, ReasonCode,
    SendError, Topic, build,
};
use server::{Result, Server, VERSIONS, config, soon};

/// A client that is not connected, whose queue holds `max_queued` messages.
fn offline(max_queued: usize) -> Result<(Client, mqtt_tokio::Driver)> {
    let mut limits = Limits::default();
    limits.max_queued = max_queued;
    Ok(build(
        "mqtt://127.0.0.1:1",
        config("client").limits(limits).build()?,
    )?)
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn each_qos_has_its_outcome_in_each_version() -> Result {
    for version in VERSIONS {
        let server = Server::start().await?;
        let client =
            mqtt_tokio::connect(&server.url, config("client").version(version).build()?).await?;
        let outcome = soon(client.publish("a", QoS::AtMostOnce, "0").await?).await?;
        assert_eq!(outcome, Outcome::Written);
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let outcome = soon(client.publish("a", qos, "12").await?).await?;
            assert!(
                matches!(
                    outcome,
                    Outcome::Acknowledged {
                        republished: false,
                        completed: true,
                        ..
                    }
                ),
                "{outcome:?}"
            );
        }
        server
            .until("all three have come", |broker| broker.received().len() == 3)
            .await;
        server.assert_no_violations();
    }
    Ok(())
}

#[tokio::test]
async fn a_rejected_message_fails_with_the_servers_reason() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    server.with(|broker, _| broker.answer_next_publish(ReasonCode::QUOTA_EXCEEDED));
    let error = soon(client.publish("a", QoS::AtLeastOnce, "x").await?)
        .await
        .unwrap_err();
    assert_eq!(error.outcome, Outcome::Rejected(ReasonCode::QUOTA_EXCEEDED));
    Ok(())
}

#[tokio::test]
async fn a_topic_with_a_wildcard_is_refused() -> Result {
    let (client, _driver) = offline(1)?;
    let error = client
        .publish("a/#", QoS::AtMostOnce, "")
        .await
        .unwrap_err();
    assert!(matches!(error, SendError::Topic(_)), "{error:?}");
    assert!(matches!(
        client.try_publish("", QoS::AtMostOnce, ""),
        Err(SendError::Topic(_))
    ));
    Ok(())
}

#[tokio::test]
async fn a_full_queue_gives_the_message_back() -> Result {
    let (client, _driver) = offline(1)?;
    let _first = client.try_publish("a", QoS::AtLeastOnce, "first")?;
    let message = Publish::new(Topic::try_from("b")?, "second").with_retain(true);
    let error = client
        .try_publish_message(QoS::ExactlyOnce, message.clone())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the message was not accepted: the queue is full: limits.max_queued is 1"
    );
    assert!(error.refused().is_some_and(PublishRefused::is_full));
    assert_eq!(error.into_publish(), Some(message));
    Ok(())
}

#[tokio::test]
async fn qos_0_without_a_connection_is_refused_where_that_is_configured() -> Result {
    let (client, _driver) = build(
        "mqtt://127.0.0.1:1",
        config("client").offline(Offline::Refuse).build()?,
    )?;
    let error = client.publish("a", QoS::AtMostOnce, "x").await.unwrap_err();
    assert_eq!(error.refused(), Some(&PublishRefused::Offline));
    client.publish("a", QoS::AtLeastOnce, "x").await?;
    Ok(())
}

#[tokio::test]
async fn a_message_ends_as_expired_when_its_time_to_live_is_over() -> Result {
    let (client, driver) = offline(10)?;
    client.start();
    tokio::spawn(driver);
    let short = PublishOptions::new().with_time_to_live(Duration::from_millis(10));
    let publish = Publish::new(Topic::try_from("a")?, "x");
    let waited = client.publish_with(QoS::AtLeastOnce, publish.clone(), short.clone());
    let tried = client.try_publish_with(QoS::AtMostOnce, publish, &short)?;
    for delivery in [waited.await?, tried] {
        let error = soon(delivery).await.expect_err("there is no server");
        assert_eq!(error.outcome, Outcome::Expired);
    }
    Ok(())
}

#[tokio::test]
async fn a_publisher_waits_for_room_and_goes_on_when_there_is() -> Result {
    let server = Server::start().await?;
    let mut limits = Limits::default();
    limits.max_queued = 1;
    limits.max_in_flight = std::num::NonZeroU16::MIN;
    let client = mqtt_tokio::connect(&server.url, config("client").limits(limits).build()?).await?;
    server.with(|broker, _| broker.hold(PacketType::PubAck));
    let publisher = tokio::spawn({
        let client = client.clone();
        async move {
            for n in 0..100 {
                client.publish("a", QoS::AtLeastOnce, n.to_string()).await?;
            }
            Ok::<_, SendError>(())
        }
    });
    server
        .until("the first is in flight", |broker| {
            broker.received().len() == 1
        })
        .await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!publisher.is_finished());
    server.with(|broker, now| broker.release(now, PacketType::PubAck));
    soon(publisher).await??;
    client.disconnect(Duration::from_secs(5)).await;
    server.with(|broker, _| {
        let payloads: Vec<_> = broker
            .received()
            .iter()
            .map(|received| received.message.payload().to_vec())
            .collect();
        let wanted: Vec<_> = (0..100).map(|n| n.to_string().into_bytes()).collect();
        assert_eq!(payloads, wanted);
    });
    server.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn many_publishers_with_room_for_one_all_get_through() -> Result {
    let server = Server::start().await?;
    let mut limits = Limits::default();
    limits.max_queued = 1;
    let client = mqtt_tokio::connect(&server.url, config("client").limits(limits).build()?).await?;
    let publishers: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    client.publish("a", QoS::ExactlyOnce, "x").await.unwrap();
                }
            })
        })
        .collect();
    for publisher in publishers {
        soon(publisher).await?;
    }
    client.disconnect(Duration::from_secs(5)).await;
    assert_eq!(server.with(|broker, _| broker.received().len()), 1000);
    server.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn a_publish_that_is_dropped_while_it_waits_was_not_accepted() -> Result {
    let (client, _driver) = offline(1)?;
    client.publish("a", QoS::AtLeastOnce, "first").await?;
    let never_polled = client.publish("a", QoS::AtLeastOnce, "second");
    drop(never_polled);
    let mut waiting = client.publish("a", QoS::AtLeastOnce, "third");
    assert!(poll(&mut waiting).is_pending());
    drop(waiting);
    assert_eq!(client.stats().accepted, 1);
    Ok(())
}

#[tokio::test]
async fn a_publisher_that_is_dropped_takes_nobodys_turn() -> Result {
    let server = Server::start().await?;
    let mut limits = Limits::default();
    limits.max_queued = 1;
    let (client, driver) = build(&server.url, config("client").limits(limits).build()?)?;
    client.publish("a", QoS::AtLeastOnce, "first").await?;
    let mut dropped = client.publish("a", QoS::AtLeastOnce, "second");
    assert!(poll(&mut dropped).is_pending());
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.publish("a", QoS::AtLeastOnce, "third").await }
    });
    tokio::task::yield_now().await;
    tokio::spawn(driver);
    // Its turn may have come by then, or not.
    soon(client.connect()).await?;
    drop(dropped);
    soon(soon(waiting).await??).await?;
    Ok(())
}

#[tokio::test]
async fn a_delivery_tells_its_outcome_however_late_and_often_it_is_asked() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    server.with(|broker, _| broker.hold(PacketType::PubAck));
    let mut delivery = client.publish("a", QoS::AtLeastOnce, "x").await?;
    assert_eq!(delivery.outcome(), None);
    assert!(poll(&mut delivery).is_pending());
    server
        .until("it has come", |broker| broker.held(PacketType::PubAck) == 1)
        .await;
    server.with(|broker, now| broker.release(now, PacketType::PubAck));
    // Another one's outcome comes after it.
    soon(client.publish("a", QoS::AtLeastOnce, "y").await?).await?;
    client.disconnect(Duration::from_secs(5)).await;
    let outcome = delivery.outcome().unwrap();
    assert!(outcome.is_success(), "{outcome:?}");
    assert_eq!((&mut delivery).await, Ok(outcome));
    assert_eq!(delivery.await, Ok(outcome));
    Ok(())
}

#[tokio::test]
async fn a_message_in_flight_survives_a_cut() -> Result {
    for version in VERSIONS {
        let server = Server::start().await?;
        let config = config("client")
            .version(version)
            .clean_start(false)
            .build()?;
        let client = mqtt_tokio::connect(&server.url, config).await?;
        server.with(|broker, _| broker.hold(PacketType::PubRec));
        let delivery = client.publish("a", QoS::ExactlyOnce, "once").await?;
        server
            .until("it has come", |broker| broker.held(PacketType::PubRec) == 1)
            .await;
        server.cut();
        server.with(|broker, now| broker.release(now, PacketType::PubRec));
        let outcome = soon(delivery).await?;
        assert!(
            matches!(
                outcome,
                Outcome::Acknowledged {
                    republished: false,
                    completed: true,
                    ..
                }
            ),
            "{outcome:?}"
        );
        assert_eq!(server.with(|broker, _| broker.received().len()), 1);
        server.assert_no_violations();
    }
    Ok(())
}

#[tokio::test]
async fn payloads_of_every_size_arrive_whole() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let sizes = [0, 1, 127, 128, 4095, 4096, 4097, 65_536, 1 << 20, 5 << 20];
    for size in sizes {
        client
            .publish("a", QoS::AtLeastOnce, vec![b'x'; size])
            .await?;
    }
    client.disconnect(server::LONG).await;
    let received: Vec<_> = server.with(|broker, _| {
        broker
            .received()
            .iter()
            .map(|m| m.message.payload().len())
            .collect()
    });
    assert_eq!(received, sizes);
    Ok(())
}

/// A payload that asks the client something when it is dropped.
struct Curious(Client);

impl AsRef<[u8]> for Curious {
    fn as_ref(&self) -> &[u8] {
        b"curious"
    }
}

impl Drop for Curious {
    fn drop(&mut self) {
        self.0.stats();
    }
}

#[tokio::test]
async fn a_payload_whose_drop_uses_the_client_is_dropped_without_the_lock() -> Result {
    let server = Server::start().await?;
    let client = mqtt_tokio::connect(&server.url, config("client").build()?).await?;
    let curious = || bytes::Bytes::from_owner(Curious(client.clone()));
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        soon(client.publish("a", qos, curious()).await?).await?;
    }
    // What has no outcome yet is dropped at the end.
    server.with(|broker, _| broker.hold(PacketType::PubAck));
    let held = client.publish("a", QoS::AtLeastOnce, curious()).await?;
    soon(client.disconnect(Duration::ZERO)).await;
    assert_eq!(soon(held).await.unwrap_err().outcome, Outcome::Closed);
    Ok(())
}
