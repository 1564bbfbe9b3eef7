//! Subscribing, and messages as a stream.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mqtt_session::proto::PacketType;
use mqtt_tokio::{
    AckMode, Client, Limits, Message, Publish, QoS, ReasonCode, Stale, SubscribeFailed,
    SubscribeOptions, Subscription, Topic, TopicFilter,
};
use server::{Result, Server, VERSIONS, config, soon};

const ALL_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

fn message(topic: &str, payload: impl ToString) -> Publish {
    Publish::new(Topic::try_from(topic).unwrap(), payload.to_string())
}

impl Server {
    /// Sends messages to whoever subscribes.
    fn send(&self, topic: &str, qos: QoS, payloads: std::ops::Range<u32>) {
        self.with(|broker, now| {
            payloads.for_each(|n| broker.publish(now, &message(topic, n), qos))
        });
    }
}

async fn next(subscription: &mut Subscription) -> Message {
    soon(subscription.next()).await.expect("a message")
}

async fn assert_next(subscription: &mut Subscription, payloads: std::ops::Range<u32>) {
    for n in payloads {
        assert_eq!(next(subscription).await.payload(), n.to_string().as_bytes());
    }
}

async fn subscribe(client: &Client, filter: &str, qos: QoS) -> Result<Subscription> {
    Ok(soon(client.subscribe(filter, qos)).await?)
}

#[tokio::test]
async fn messages_of_each_qos_arrive_in_order_in_each_version() -> Result {
    for version in VERSIONS {
        let server = Server::start().await?;
        let client =
            mqtt_tokio::connect(&server.url, config("client").version(version).build()?).await?;
        for qos in ALL_QOS {
            let topic = format!("of/{}", qos.as_u8());
            let mut messages = subscribe(&client, &topic, qos).await?;
            assert_eq!(messages.filters(), [TopicFilter::try_from(&*topic)?]);
            server.send(&topic, qos, 0..1000);
            assert_next(&mut messages, 0..1000).await;
        }
        client.disconnect(Duration::from_secs(5)).await;
        server.assert_no_violations();
    }
    Ok(())
}

#[tokio::test]
async fn a_subscription_is_a_stream() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let mut messages = subscribe(&client, "a", QoS::AtLeastOnce).await?;
    server.send("a", QoS::AtLeastOnce, 0..1);
    let mut stream: Pin<Box<dyn futures_core::Stream<Item = Message> + Send>> = Box::pin(messages);
    let polled = std::future::poll_fn(|context| stream.as_mut().poll_next(context));
    assert_eq!(soon(polled).await.unwrap().payload(), b"0");
    drop(stream);

    messages = subscribe(&client, "a", QoS::AtLeastOnce).await?;
    assert!(messages.try_next().is_none());
    Ok(())
}

#[tokio::test]
async fn a_filter_that_the_server_refuses_is_an_error_with_its_code() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let (open, secret) = (
        TopicFilter::try_from("open")?,
        TopicFilter::try_from("secret")?,
    );
    server.with(|broker, _| broker.refuse_subscription(secret.clone(), ReasonCode::NOT_AUTHORIZED));
    let filters = [
        (open, SubscribeOptions::new(QoS::AtMostOnce)),
        (secret.clone(), QoS::AtMostOnce.into()),
    ];
    let error = soon(client.subscribe_many(filters)).await.unwrap_err();
    assert_eq!(
        error,
        SubscribeFailed::Refused {
            filter: secret,
            reason: ReasonCode::NOT_AUTHORIZED
        }
    );
    server
        .until("the other one is undone", |broker| {
            broker.session("client").unwrap().subscriptions.is_empty()
        })
        .await;

    let error = soon(client.subscribe("a/#/b", QoS::AtMostOnce))
        .await
        .unwrap_err();
    assert!(matches!(error, SubscribeFailed::Filter(_)), "{error:?}");
    server.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn a_message_is_acknowledged_when_the_application_comes_back() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let mut messages = subscribe(&client, "a", QoS::AtLeastOnce).await?;
    server.send("a", QoS::AtLeastOnce, 0..3);
    assert_next(&mut messages, 0..2).await;
    soon(client.publish("sync", QoS::AtLeastOnce, "").await?).await?;
    assert_eq!(
        server.received("PUBACK"),
        1,
        "the first, and not the second, which the application is at"
    );
    assert_next(&mut messages, 2..3).await;
    drop(messages);
    server
        .until("all are acknowledged", |broker| {
            broker.counts("client").delivered[1] == 3
        })
        .await;
    server.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn a_message_is_acknowledged_before_the_application_has_it_where_that_is_chosen() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let mut messages = subscribe(&client, "a", QoS::ExactlyOnce)
        .await?
        .with_ack_mode(AckMode::Queued);
    server.send("a", QoS::ExactlyOnce, 0..1);
    let _message = next(&mut messages).await;
    server
        .until("it is acknowledged", |broker| {
            broker.counts("client").delivered[2] == 1
        })
        .await;
    Ok(())
}

#[tokio::test]
async fn messages_may_be_acknowledged_by_hand_in_any_order() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let mut messages = subscribe(&client, "a", QoS::AtLeastOnce)
        .await?
        .with_ack_mode(AckMode::Manual);
    server.send("a", QoS::AtLeastOnce, 0..3);
    let (first, mut second, third) = (
        next(&mut messages).await,
        next(&mut messages).await,
        next(&mut messages).await,
    );
    third.ack()?;
    let second = second.take_acker().expect("an acker");
    tokio::task::spawn_blocking(move || second.ack()).await??;
    soon(client.publish("sync", QoS::AtLeastOnce, "").await?).await?;
    // [MQTT-4.6.0-2]
    assert_eq!(server.received("PUBACK"), 0, "they wait for the first");
    first.ack()?;
    server
        .until("all are acknowledged", |broker| {
            broker.counts("client").delivered[1] == 3
        })
        .await;
    server.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn an_acknowledgement_for_a_session_that_is_gone_says_so() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let mut messages = subscribe(&client, "a", QoS::AtLeastOnce)
        .await?
        .with_ack_mode(AckMode::Manual);
    server.send("a", QoS::AtLeastOnce, 0..1);
    let message = next(&mut messages).await;
    let mut events = client.events();
    server.with(|broker, now| broker.restart(now, false));
    server.cut();
    while !matches!(
        soon(events.next()).await,
        Some(mqtt_tokio::ClientEvent::Connected { .. })
    ) {}
    assert_eq!(message.ack(), Err(Stale));
    Ok(())
}

#[tokio::test]
async fn publishing_in_the_receive_loop_can_not_deadlock_with_room_for_one_message() -> Result {
    for qos in ALL_QOS {
        let server = Server::start().await?;
        let mut limits = Limits::default();
        limits.max_queued = 1;
        limits.outbox_bytes = 1;
        limits.inbox_bytes = 100;
        limits.max_in_flight = std::num::NonZeroU16::MIN;
        limits.receive_maximum = std::num::NonZeroU16::MIN;
        let client =
            mqtt_tokio::connect(&server.url, config("client").limits(limits).build()?).await?;
        let mut messages = subscribe(&client, "in", qos).await?;
        let feeder = mqtt_tokio::connect(&server.url, config("feeder").build()?).await?;
        // QoS 0 that the inbox has no room for may be dropped while something is in flight: so there is no last message.
        let feed = tokio::spawn(async move {
            for n in 0.. {
                let publish = feeder.publish("in", QoS::AtLeastOnce, n.to_string());
                publish.await.unwrap().await.unwrap();
            }
        });
        for n in 0..500 {
            let message = next(&mut messages).await;
            soon(client.publish("out", QoS::AtLeastOnce, message.payload_bytes())).await?;
            if qos != QoS::AtMostOnce {
                assert_eq!(message.payload(), n.to_string().as_bytes());
            }
        }
        feed.abort();
        drop(messages);
        soon(client.disconnect(Duration::ZERO)).await;
        server.assert_no_violations();
    }
    Ok(())
}

#[tokio::test]
async fn a_slow_reader_of_qos_0_stops_the_socket_and_loses_nothing() -> Result {
    let server = Server::start().await?;
    let mut limits = Limits::default();
    limits.inbox_bytes = 4096;
    let client = mqtt_tokio::connect(&server.url, config("client").limits(limits).build()?).await?;
    let mut messages = subscribe(&client, "a", QoS::AtMostOnce).await?;
    server.send("a", QoS::AtMostOnce, 0..20_000);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(client.stats().received < 20_000, "{:?}", client.stats());
    assert_next(&mut messages, 0..20_000).await;
    assert_eq!(client.stats().dropped, 0);
    Ok(())
}

#[tokio::test]
async fn subscriptions_hold_after_a_server_has_lost_the_session() -> Result {
    for version in VERSIONS {
        let server = Server::start().await?;
        let client =
            mqtt_tokio::connect(&server.url, config("client").version(version).build()?).await?;
        let mut messages = subscribe(&client, "a/+", QoS::AtLeastOnce).await?;
        server.with(|broker, now| broker.restart(now, false));
        server.cut();
        let back = |broker: &mqtt_testkit::Broker| {
            broker
                .session("client")
                .is_some_and(|s| s.subscriptions.len() == 1)
        };
        server.until("it is subscribed again", back).await;
        server.send("a/b", QoS::AtLeastOnce, 0..2);
        assert_next(&mut messages, 0..2).await;
        server.assert_no_violations();
    }
    Ok(())
}

#[tokio::test]
async fn unsubscribe_waits_for_the_servers_answer() -> Result {
    for version in VERSIONS {
        let server = Server::start().await?;
        let client =
            mqtt_tokio::connect(&server.url, config("client").version(version).build()?).await?;
        let messages = subscribe(&client, "a", QoS::AtLeastOnce).await?;
        soon(messages.unsubscribe()).await?;
        server
            .with(|broker, _| assert!(broker.session("client").unwrap().subscriptions.is_empty()));
        let _messages = subscribe(&client, "a", QoS::AtLeastOnce).await?;
        soon(client.unsubscribe(vec!["a".try_into()?])).await?;
        server
            .with(|broker, _| assert!(broker.session("client").unwrap().subscriptions.is_empty()));
        server.assert_no_violations();
    }
    Ok(())
}

#[tokio::test]
async fn what_no_subscription_claims_comes_in_the_default_stream() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let messages = subscribe(&client, "a", QoS::AtLeastOnce).await?;
    // The server goes on sending.
    drop(messages);
    server.send("a", QoS::AtLeastOnce, 0..2);
    let mut unclaimed = client.messages();
    assert_next(&mut unclaimed, 0..2).await;
    server.send("a", QoS::AtMostOnce, 2..4);
    assert_next(&mut unclaimed, 2..4).await;
    assert!(unclaimed.filters().is_empty());
    Ok(())
}

#[tokio::test]
async fn what_a_dropped_subscription_has_not_handed_out_comes_in_the_default_stream() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let mut messages = subscribe(&client, "a", QoS::AtLeastOnce).await?;
    server.send("a", QoS::AtLeastOnce, 0..200);
    assert_next(&mut messages, 0..2).await;
    drop(messages);
    assert_next(&mut client.messages(), 2..102).await;
    // The second stream takes over where the first has stopped.
    assert_next(&mut client.messages(), 102..200).await;
    server
        .until("all are acknowledged", |broker| {
            broker.counts("client").delivered[1] == 200
        })
        .await;
    server.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn a_panic_while_a_message_is_handled_does_not_lose_it() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let mut messages = subscribe(&client, "a", QoS::AtLeastOnce).await?;
    server.send("a", QoS::AtLeastOnce, 0..2);
    let handler = tokio::spawn(async move {
        let message = next(&mut messages).await;
        assert_eq!(
            message.payload(),
            b"something else",
            "the panic of this test"
        );
    });
    assert!(soon(handler).await.is_err());
    assert_eq!(server.received("PUBACK"), 0);
    assert_next(&mut client.messages(), 0..2).await;
    server
        .until("both are acknowledged", |broker| {
            broker.counts("client").delivered[1] == 2
        })
        .await;
    Ok(())
}

#[tokio::test]
async fn dropping_a_next_loses_no_message() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let mut messages = subscribe(&client, "a", QoS::AtLeastOnce).await?;
    for n in 0..20 {
        {
            let next = std::pin::pin!(messages.next());
            let polled = next.poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(polled, Poll::Pending));
        }
        server.send("a", QoS::AtLeastOnce, n..n + 1);
        if n % 2 == 0 {
            // The message has come when this future is dropped unpolled.
            soon(client.publish("sync", QoS::AtLeastOnce, "").await?).await?;
            drop(messages.next());
        }
        assert_next(&mut messages, n..n + 1).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_subscribe_that_is_dropped_is_withdrawn_at_each_point() -> Result {
    let server = Server::start().await?;
    let (client, driver) = mqtt_tokio::build(&server.url, config("client").build()?)?;
    let poll_once = async |client: &Client, filter: &str| {
        let subscribing = std::pin::pin!(client.subscribe(filter, QoS::AtMostOnce));
        assert!(
            subscribing
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
    };
    // Before it is sent: it never is.
    poll_once(&client, "unsent").await;
    drop(client.subscribe("unpolled", QoS::AtMostOnce));
    tokio::spawn(driver);
    soon(client.connect()).await?;
    // Sent, and not answered: it is unsubscribed after the answer.
    server.with(|broker, _| broker.hold(PacketType::SubAck));
    {
        let mut subscribing = std::pin::pin!(client.subscribe("sent", QoS::AtMostOnce));
        assert!(
            subscribing
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        server
            .until("it has come", |broker| broker.held(PacketType::SubAck) == 1)
            .await;
        assert!(
            subscribing
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
    }
    server.with(|broker, now| broker.release(now, PacketType::SubAck));
    server
        .until("it is unsubscribed", |broker| {
            broker.session("client").unwrap().subscriptions.is_empty()
        })
        .await;
    // Answered, and not polled again.
    {
        let mut subscribing = std::pin::pin!(client.subscribe("answered", QoS::AtMostOnce));
        assert!(
            subscribing
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        soon(client.unsubscribe(vec!["sync".try_into()?])).await?;
    }
    assert_eq!(
        server.received("SUBSCRIBE"),
        2,
        "neither the unsent nor the unpolled one"
    );
    server.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn a_subscription_unsubscribes_on_drop_where_that_is_chosen() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    drop(subscribe(&client, "kept", QoS::AtMostOnce).await?);
    drop(
        subscribe(&client, "left", QoS::AtMostOnce)
            .await?
            .unsubscribe_on_drop(true),
    );
    let left = |broker: &mqtt_testkit::Broker| broker.session("client").unwrap().subscriptions;
    server
        .until("one is left", |broker| left(broker).len() == 1)
        .await;
    server.with(|broker, _| assert_eq!(left(broker)[0].0, "kept"));
    Ok(())
}

#[tokio::test]
async fn a_subscription_declared_before_connecting_is_sent_then() -> Result {
    let server = Server::start().await?;
    let (client, driver) = mqtt_tokio::build(&server.url, config("client").build()?)?;
    tokio::spawn(driver);
    let subscribing = tokio::spawn({
        let client = client.clone();
        async move { client.subscribe("a", QoS::AtLeastOnce).await }
    });
    tokio::task::yield_now().await;
    client.start();
    let mut messages = soon(subscribing).await??;
    server.send("a", QoS::AtLeastOnce, 0..1);
    assert_next(&mut messages, 0..1).await;
    Ok(())
}
