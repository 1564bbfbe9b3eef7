//! The end: by request, by the drop of handles, by the loss of the driver.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::time::Duration;

use mqtt_session::proto::{PacketType, Sender};
use mqtt_tokio::{
    Client, ClientEvent, ConnectError, ConnectionError, Disconnect, Outcome, Phase, PublishRefused,
    QoS, ReasonCode, SubscribeFailed, Version, build,
};
use server::{Result, Server, VERSIONS, config, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Nothing that waits may wait for ever once the session is closed, and nothing new is taken.
async fn assert_all_ended(client: &Client) {
    assert_eq!(client.phase(), Phase::Closed);
    soon(client.closed()).await;
    soon(client.connected()).await.unwrap_err();
    soon(client.connect()).await.unwrap_err();
    soon(client.disconnect(Duration::from_secs(60))).await;
    let error = soon(client.publish("a", QoS::AtMostOnce, ""))
        .await
        .unwrap_err();
    assert_eq!(error.refused(), Some(&PublishRefused::Closed));
    let error = soon(client.subscribe("a", QoS::AtMostOnce))
        .await
        .unwrap_err();
    assert!(matches!(error, SubscribeFailed::Closed(_)), "{error}");
    let error = soon(client.unsubscribe(vec!["a".try_into().unwrap()]))
        .await
        .unwrap_err();
    assert!(matches!(error, SubscribeFailed::Closed(_)), "{error}");
    assert!(soon(client.messages().next()).await.is_none());
}

#[tokio::test]
async fn disconnect_sends_what_was_accepted_and_says_goodbye() -> Result {
    for version in VERSIONS {
        let server = Server::start().await?;
        let client =
            mqtt_tokio::connect(&server.url, config("client").version(version).build()?).await?;
        let mut events = client.events();
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for _ in 0..500 {
                client.publish("a", qos, "x").await?;
            }
        }
        soon(client.disconnect(Duration::from_secs(10))).await;
        server
            .until("the server knows", |broker| {
                broker.connections().next().is_none()
            })
            .await;
        assert_eq!(server.with(|broker, _| broker.received().len()), 1500);
        assert_eq!(server.received("DISCONNECT"), 1);
        assert!(matches!(
            soon(events.next()).await,
            Some(ClientEvent::Closed)
        ));
        assert!(soon(events.next()).await.is_none());
        assert!(client.closed().await.error.is_none());
        assert_all_ended(&client).await;
        server.assert_no_violations();
    }
    Ok(())
}

#[tokio::test]
async fn disconnect_gives_up_draining_in_time_and_the_rest_ends_as_closed() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    server.with(|broker, _| broker.hold(PacketType::PubAck));
    let delivery = client.publish("a", QoS::AtLeastOnce, "x").await?;
    let begin = std::time::Instant::now();
    soon(client.disconnect(Duration::from_millis(100))).await;
    assert!(begin.elapsed() >= Duration::from_millis(100));
    assert_eq!(soon(delivery).await.unwrap_err().outcome, Outcome::Closed);
    server
        .until("DISCONNECT has come", |broker| {
            broker.connections().next().is_none()
        })
        .await;
    assert_eq!(server.received("DISCONNECT"), 1);
    Ok(())
}

#[tokio::test]
async fn disconnect_may_carry_a_reason() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let disconnect = Disconnect::new(ReasonCode::DISCONNECT_WITH_WILL);
    soon(client.disconnect_with(disconnect, Duration::ZERO)).await?;
    server
        .until("the server knows", |broker| {
            broker.connections().next().is_none()
        })
        .await;
    server.with(|broker, _| {
        let mut packets = broker
            .log()
            .iter()
            .filter_map(|entry| entry.packet(mqtt_testkit::Direction::ToBroker));
        let last = packets.next_back().unwrap();
        assert_eq!(last.packet_type, PacketType::Disconnect);
        assert_eq!(last.reason, Some(ReasonCode::DISCONNECT_WITH_WILL));
        let allowed = ReasonCode::DISCONNECT_WITH_WILL.allowed_in(
            PacketType::Disconnect,
            Sender::Client,
            Version::V5,
        );
        assert!(allowed);
    });
    Ok(())
}

#[tokio::test]
async fn dropping_the_last_client_sends_what_was_accepted_and_says_goodbye() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let mut messages = client.subscribe("a", QoS::AtMostOnce).await?;
    let mut events = client.events();
    let other = client.clone();
    drop(client);
    let mut delivery = other.publish("b", QoS::ExactlyOnce, "last words").await?;
    drop(other);
    assert!(soon(&mut delivery).await.is_ok());
    assert!(soon(messages.next()).await.is_none());
    assert!(matches!(
        soon(events.next()).await,
        Some(ClientEvent::Closed)
    ));
    server
        .until("the server knows", |broker| {
            broker.connections().next().is_none()
        })
        .await;
    assert_eq!(server.received("DISCONNECT"), 1);
    assert_eq!(server.with(|broker, _| broker.received().len()), 1);
    server.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn a_stream_ends_after_what_was_received_before_the_end() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let mut messages = client.subscribe("a", QoS::AtMostOnce).await?;
    for n in 0..200 {
        client.publish("a", QoS::AtMostOnce, n.to_string()).await?;
    }
    soon(client.publish("sync", QoS::AtLeastOnce, "").await?).await?;
    soon(client.disconnect(Duration::from_secs(5))).await;
    let mut taken = 0;
    while let Some(message) = soon(messages.next()).await {
        assert_eq!(message.payload(), taken.to_string().as_bytes());
        taken += 1;
    }
    assert_eq!(taken, 200);
    assert!(soon(messages.next()).await.is_none());
    Ok(())
}

#[tokio::test]
async fn a_driver_that_is_aborted_leaves_nobody_waiting() -> Result {
    let server = Server::start().await?;
    let (client, driver) = build(&server.url, config("client").build()?)?;
    let driver = tokio::spawn(driver);
    soon(client.connect()).await?;
    let mut messages = client.subscribe("a", QoS::AtMostOnce).await?;
    server.with(|broker, _| {
        broker.hold(PacketType::PubAck);
        broker.hold(PacketType::SubAck);
    });
    let delivery = client.publish("b", QoS::AtLeastOnce, "x").await?;
    let tasks = (
        tokio::spawn(delivery),
        tokio::spawn(async move { messages.next().await.is_none() }),
        tokio::spawn({
            let client = client.clone();
            async move { client.subscribe("b", QoS::AtMostOnce).await.map(|_| ()) }
        }),
        tokio::spawn({
            let client = client.clone();
            async move { client.closed().await }
        }),
    );
    server
        .until("they wait", |broker| broker.held(PacketType::SubAck) == 1)
        .await;
    driver.abort();
    assert_eq!(soon(tasks.0).await?.unwrap_err().outcome, Outcome::Closed);
    assert!(soon(tasks.1).await?);
    let error = soon(tasks.2).await?.unwrap_err();
    assert!(matches!(error, SubscribeFailed::Closed(_)), "{error}");
    soon(tasks.3).await?;
    assert_all_ended(&client).await;
    server
        .until("the server knows", |broker| {
            broker.connections().next().is_none()
        })
        .await;
    Ok(())
}

#[tokio::test]
async fn a_driver_that_never_ran_leaves_nobody_waiting() -> Result {
    let (client, driver) = build("mqtt://127.0.0.1:1", config("client").build()?)?;
    let delivery = client.publish("a", QoS::AtMostOnce, "x").await?;
    drop(driver);
    assert_eq!(soon(delivery).await.unwrap_err().outcome, Outcome::Closed);
    assert_all_ended(&client).await;
    Ok(())
}

#[tokio::test]
async fn a_driver_resolves_when_the_session_is_closed() -> Result {
    let (client, driver) = build("mqtt://127.0.0.1:1", config("client").build()?)?;
    let driver = tokio::spawn(driver);
    drop(client);
    soon(driver).await?;

    let server = Server::start().await?;
    let (client, driver) = build(&server.url, config("client").build()?)?;
    let driver = tokio::spawn(driver);
    soon(client.connect()).await?;
    drop(client);
    soon(driver).await?;
    Ok(())
}

#[tokio::test]
async fn disconnect_while_it_waits_to_reconnect_closes_at_once() -> Result {
    let addr = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let backoff = mqtt_tokio::Backoff {
        first: Duration::from_secs(3600),
        ..mqtt_tokio::Backoff::default()
    };
    let client = mqtt_tokio::start(
        format!("mqtt://{addr}"),
        config("client").backoff(backoff).build()?,
    )?;
    let mut events = client.events();
    assert!(matches!(
        soon(events.next()).await,
        Some(ClientEvent::Lost { .. })
    ));
    soon(client.disconnect(Duration::from_secs(3600))).await;
    assert_all_ended(&client).await;
    Ok(())
}

#[tokio::test]
async fn dropping_a_connect_closes_what_it_had_opened() -> Result {
    let server = Server::start().await?;
    server.with(|broker, _| broker.hold(PacketType::ConnAck));
    {
        let connecting = mqtt_tokio::connect(&server.url, config("client").build()?);
        let mut connecting = std::pin::pin!(connecting);
        tokio::select! {
            result = &mut connecting => panic!("{result:?}"),
            () = server.until("CONNECT has come", |broker| broker.held(PacketType::ConnAck) == 1) => {}
        }
    }
    server
        .until("the server knows", |broker| {
            broker.connections().next().is_none()
        })
        .await;
    Ok(())
}

#[tokio::test]
async fn a_session_that_the_server_ends_for_good_says_why() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let usurper = server.connect().await?;
    let closed = soon(client.closed()).await;
    let error = closed.error.expect("a reason");
    assert!(error.to_string().contains("taken over"), "{error}");
    drop(usurper);

    let addr = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let error = mqtt_tokio::connect(format!("mqtt://{addr}"), config("client").build()?)
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Connection(_)), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_runtime_that_shuts_down_ends_everything() -> Result {
    let server = Server::start().await?;
    let url = server.url.clone();
    let client = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        Ok::<_, server::Failure>(
            runtime.block_on(mqtt_tokio::connect(&url, config("client").build()?))?,
        )
    })
    .await??;
    assert_all_ended(&client).await;
    drop(client);
    Ok(())
}

#[tokio::test]
async fn publishers_that_wait_for_room_are_told_of_the_end() -> Result {
    let mut limits = mqtt_tokio::Limits::default();
    limits.max_queued = 1;
    let (client, driver) = build(
        "mqtt://127.0.0.1:1",
        config("client").limits(limits).build()?,
    )?;
    client
        .publish("a", QoS::AtLeastOnce, "fills the queue")
        .await?;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move {
            client
                .publish("a", QoS::AtLeastOnce, "waits")
                .await
                .unwrap_err()
        }
    });
    tokio::task::yield_now().await;
    drop(driver);
    let error = soon(waiting).await?;
    assert_eq!(error.refused(), Some(&PublishRefused::Closed));
    assert_eq!(error.into_publish().unwrap().payload(), b"waits");
    Ok(())
}

/// Accepts one client with CONNACK of 5.0 and gives its stream.
async fn accept(listener: &TcpListener) -> Result<TcpStream> {
    let (mut stream, _) = listener.accept().await?;
    let _ = stream.read(&mut [0; 256]).await?;
    stream.write_all(&[0x20, 3, 0, 0, 0]).await?;
    Ok(stream)
}

#[tokio::test]
async fn a_server_that_stays_after_disconnect_delays_the_end_only_for_a_moment() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("mqtt://{}", listener.local_addr()?);
    let server = tokio::spawn(async move { accept(&listener).await });
    let client = mqtt_tokio::connect(&url, config("client").build()?).await?;
    let mut stream = server.await??;
    let begin = std::time::Instant::now();
    soon(client.disconnect(Duration::from_secs(60))).await;
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
    // DISCONNECT, and then the end of what the client has to say.
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await?;
    assert_eq!(rest, [0xE0, 0]);
    Ok(())
}

#[tokio::test]
async fn the_reason_that_a_server_gave_before_it_reset_the_connection_is_told() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("mqtt://{}", listener.local_addr()?);
    let server = tokio::spawn(async move { accept(&listener).await });
    let client = mqtt_tokio::connect(&url, config("client").build()?).await?;
    let mut events = client.events();
    let mut stream = server.await??;
    // More than the sockets take: a write is always under way.
    for _ in 0..64 {
        client
            .publish("a", QoS::AtLeastOnce, vec![0; 256 * 1024])
            .await?;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    stream.write_all(&[0xE0, 2, 0x97, 0]).await?;
    // With input unread this is a reset.
    drop(stream);
    let Some(ClientEvent::Lost { error, .. }) = soon(events.next()).await else {
        panic!("not lost")
    };
    let ConnectionError::Disconnected { reason, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(reason, ReasonCode::QUOTA_EXCEEDED);
    Ok(())
}
