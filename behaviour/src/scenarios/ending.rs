//! The end: by request, by the drop of handles, by the loss of the driver.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use mqtt_session::client::exports::{
    Backoff, Client, ClientEvent, ConnectionError, Outcome, PacketType, Phase, PublishRefused, QoS,
    ReasonCode, SubscribeFailed, Version,
};

use crate::block_on::{LONG, both};
use crate::{Bench, Result};

use super::{ALL_QOS, List, Scope};

pub(super) fn add(list: &mut List) {
    list.add_versions("disconnect sends what was accepted", |version| {
        async move |bench: &Bench<'_>| drains(bench, version).await
    });
    list.add("disconnect gives up in time", gives_up);
    list.add(
        "disconnect while it waits to reconnect ends at once",
        waiting,
    );
    list.add(
        "the last client's drop sends what was accepted",
        last_client,
    );
    list.add("a driver resolves when the session is closed", driver_ends);
    list.add(
        "a driver that is dropped leaves nobody waiting",
        driver_dropped,
    );
    list.add_tcp(
        "a server that stays after DISCONNECT delays the end but for a moment",
        stays,
    );
    list.add_for(
        Scope::Plain,
        "a reason that came before a reset is told",
        reason_before_reset,
    );
}

/// Nothing that waits may wait for ever once the session is closed, and nothing new is taken.
async fn assert_all_ended(client: &Client) {
    assert_eq!(client.phase(), Phase::Closed);
    client.closed().await;
    client.connected().await.unwrap_err();
    client.connect().await.unwrap_err();
    client.disconnect(Duration::from_secs(60)).await;
    let error = client.publish("a", QoS::AtMostOnce, "").await.unwrap_err();
    assert_eq!(error.refused(), Some(&PublishRefused::Closed));
    let error = client.subscribe("a", QoS::AtMostOnce).await.unwrap_err();
    assert!(matches!(error, SubscribeFailed::Closed(_)), "{error}");
    assert!(client.messages().next().await.is_none());
}

async fn drains(bench: &Bench<'_>, version: Version) -> Result {
    let server = bench.server()?;
    let config = bench.config("client").version(version).build()?;
    let client = bench.connect(&server.url(), config).await?;
    let mut events = client.events();
    for qos in ALL_QOS {
        for _ in 0..300 {
            client.publish("a", qos, "x").await?;
        }
    }
    client.disconnect(LONG).await;
    server.until_alone();
    assert_eq!(server.payloads().len(), 900);
    assert_eq!(server.count(PacketType::Disconnect), 1);
    assert!(matches!(events.next().await, Some(ClientEvent::Closed)));
    assert!(events.next().await.is_none());
    assert!(client.closed().await.error.is_none());
    assert_all_ended(&client).await;
    server.assert_no_violations();
    Ok(())
}

async fn gives_up(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let client = bench
        .connect(&server.url(), bench.config("client").build()?)
        .await?;
    server.with(|broker, _| broker.hold(PacketType::PubAck));
    let delivery = client.publish("a", QoS::AtLeastOnce, "x").await?;
    client.disconnect(Duration::from_millis(100)).await;
    assert_eq!(delivery.await.unwrap_err().outcome, Outcome::Closed);
    server.until_alone();
    assert_eq!(server.count(PacketType::Disconnect), 1);
    Ok(())
}

async fn waiting(bench: &Bench<'_>) -> Result {
    let backoff = Backoff {
        first: Duration::from_secs(3600),
        ..Backoff::default()
    };
    let url = format!("mqtt://{}", super::connecting::deserted()?);
    let (client, _driver) = bench.build(&url, bench.config("client").backoff(backoff).build()?)?;
    let mut events = client.events();
    client.start();
    let lost = events.next().await;
    assert!(matches!(lost, Some(ClientEvent::Lost { .. })), "{lost:?}");
    client.disconnect(Duration::from_secs(3600)).await;
    assert_all_ended(&client).await;
    Ok(())
}

async fn last_client(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let client = bench
        .connect(&server.url(), bench.config("client").build()?)
        .await?;
    let mut messages = client.subscribe("a", QoS::AtMostOnce).await?;
    let mut events = client.events();
    let other = client.clone();
    drop(client);
    let mut delivery = other.publish("b", QoS::ExactlyOnce, "last words").await?;
    drop(other);
    assert!((&mut delivery).await.is_ok());
    assert!(messages.next().await.is_none());
    assert!(matches!(events.next().await, Some(ClientEvent::Closed)));
    server.until_alone();
    assert_eq!(server.count(PacketType::Disconnect), 1);
    assert_eq!(server.payloads(), [b"last words"]);
    server.assert_no_violations();
    Ok(())
}

async fn driver_ends(bench: &Bench<'_>) -> Result {
    // Before there was a connection,
    let (client, driver) = bench.build("mqtt://127.0.0.1:1", bench.config("client").build()?)?;
    drop(client);
    driver.ended().await;
    // and after it.
    let server = bench.server()?;
    let (client, driver) = bench.build(&server.url(), bench.config("client").build()?)?;
    client.connect().await?;
    drop(client);
    driver.ended().await;
    server.until_alone();
    assert_eq!(server.count(PacketType::Disconnect), 1);
    Ok(())
}

async fn driver_dropped(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let (client, driver) = bench.build(&server.url(), bench.config("client").build()?)?;
    client.connect().await?;
    let mut messages = client.subscribe("a", QoS::AtMostOnce).await?;
    server.with(|broker, _| {
        broker.hold(PacketType::PubAck);
        broker.hold(PacketType::SubAck);
    });
    let delivery = client.publish("b", QoS::AtLeastOnce, "x").await?;
    let subscribing = async { client.subscribe("b", QoS::AtMostOnce).await };
    let dropping = async {
        server.until("both wait", |broker| {
            broker.held(PacketType::PubAck) == 1 && broker.held(PacketType::SubAck) == 1
        });
        drop(driver);
    };
    let error = both(subscribing, dropping).await.0.unwrap_err();
    assert!(matches!(error, SubscribeFailed::Closed(_)), "{error}");
    assert_eq!(delivery.await.unwrap_err().outcome, Outcome::Closed);
    assert!(messages.next().await.is_none());
    client.closed().await;
    assert_all_ended(&client).await;
    server.until_alone();
    assert_eq!(server.count(PacketType::Disconnect), 0);
    Ok(())
}

/// A client that is connected to a peer of the test's own.
async fn with_peer(bench: &Bench<'_>) -> Result<(Client, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("mqtt://{}", listener.local_addr()?);
    let peer = thread::spawn(move || -> Result<TcpStream> {
        let (mut stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(LONG))?;
        assert!(stream.read(&mut [0; 256])? > 0, "CONNECT");
        // CONNACK of 5.0.
        stream.write_all(&[0x20, 3, 0, 0, 0])?;
        Ok(stream)
    });
    let client = bench.connect(&url, bench.config("client").build()?).await?;
    let stream = peer.join().map_err(|_| "the peer has panicked")??;
    Ok((client, stream))
}

async fn stays(bench: &Bench<'_>) -> Result {
    let (client, mut stream) = with_peer(bench).await?;
    // The scenario's own bound is shorter than this.
    client.disconnect(Duration::from_secs(60)).await;
    // DISCONNECT, and then the end of what the client has to say.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    assert_eq!(rest, [0xE0, 0]);
    Ok(())
}

async fn reason_before_reset(bench: &Bench<'_>) -> Result {
    let (client, mut stream) = with_peer(bench).await?;
    let mut events = client.events();
    // More than the sockets take: a write is always under way.
    for _ in 0..64 {
        client
            .publish("a", QoS::AtLeastOnce, vec![0; 256 * 1024])
            .await?;
    }
    stream.peek(&mut [0; 1])?;
    stream.write_all(&[0xE0, 2, 0x97, 0])?;
    // With input unread this is a reset.
    drop(stream);
    let Some(ClientEvent::Lost { error, .. }) = events.next().await else {
        panic!("not lost")
    };
    let ConnectionError::Disconnected { reason, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(reason, ReasonCode::QUOTA_EXCEEDED);
    Ok(())
}
