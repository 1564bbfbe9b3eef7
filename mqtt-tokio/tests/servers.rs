//! Several servers, and servers that send us on or speak another version.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::collections::BTreeSet;

use mqtt_tokio::{
    ClientEvent, ConnectionError, Disconnect, Endpoint, Properties, QoS, ReasonCode, Redirects,
    Servers, Version, connect, start,
};
use server::{Result, Server, config, soon};
use tokio::net::TcpListener;

/// How often messages are published in a row.
const MANY: u32 = 200;

#[tokio::test]
async fn the_next_server_is_tried_where_nobody_listens() -> Result {
    let nobody = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let server = Server::start().await?;
    let urls = format!("mqtt://{nobody}, {}", server.url);
    let client = soon(connect(urls, config("client").build()?)).await?;
    assert_eq!(format!("mqtt://{}", client.server()), server.url);
    server.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn where_no_server_accepts_what_each_said_is_told() -> Result {
    let nobody = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let (first, last) = (Server::start().await?, Server::start().await?);
    first.with(|broker, _| broker.refuse_next(ReasonCode::SERVER_BUSY));
    last.with(|broker, _| broker.refuse_next(ReasonCode::SERVER_UNAVAILABLE));
    let urls = format!("{}, mqtt://{nobody}, {}", first.url, last.url);
    let connecting = connect(urls, config("client").build()?);
    let error = soon(connecting).await.unwrap_err();
    let [busy, unreachable, unavailable] = error.attempts() else {
        panic!("{error:?}");
    };
    assert_eq!(busy.reason(), Some(ReasonCode::SERVER_BUSY));
    assert!(matches!(unreachable, ConnectionError::Dial { .. }));
    assert_eq!(unavailable.reason(), Some(ReasonCode::SERVER_UNAVAILABLE));
    let shown = error.to_string();
    assert!(shown.starts_with("no server accepted: "), "{shown}");
    for attempt in error.attempts() {
        assert!(shown.contains(&attempt.to_string()), "{shown}");
    }
    Ok(())
}

#[tokio::test]
async fn when_a_server_turns_us_away_everything_goes_on_at_the_other() -> Result {
    let (first, second) = (Server::start().await?, Server::start().await?);
    let servers = Servers::new(Endpoint::parse(&first.url)?).or(Endpoint::parse(&second.url)?);
    let client = soon(connect(servers, config("client").build()?)).await?;
    let mut own = soon(client.subscribe("n", QoS::AtLeastOnce)).await?;
    let mut deliveries = Vec::new();
    for number in 0..MANY {
        if number == MANY / 2 {
            first.with(|broker, _| broker.refuse_next(ReasonCode::SERVER_UNAVAILABLE));
            first.cut();
        }
        deliveries.push(
            soon(client.publish("n", QoS::AtLeastOnce, number.to_be_bytes().to_vec())).await?,
        );
        tokio::task::yield_now().await;
    }
    for delivery in deliveries {
        soon(delivery).await?;
    }
    let accepted: BTreeSet<Vec<u8>> = [&first, &second]
        .iter()
        .flat_map(|server| {
            server.with(|broker, _| {
                let received = broker.received().iter();
                received
                    .map(|received| received.message.payload().to_vec())
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    assert_eq!(accepted.len(), MANY as usize, "each at least once");
    assert_eq!(format!("mqtt://{}", client.server()), second.url);
    // The subscription is there, too.
    second
        .until("it is subscribed", |broker| {
            broker
                .session("client")
                .is_some_and(|session| !session.subscriptions.is_empty())
        })
        .await;
    soon(client.publish("n", QoS::AtLeastOnce, "last")).await?;
    loop {
        if soon(own.next()).await.unwrap().payload() == b"last" {
            break;
        }
    }
    first.assert_no_violations();
    second.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn a_server_that_has_moved_is_followed_to_a_listed_host_and_events_tell_it() -> Result {
    let (old, new) = (Server::start().await?, Server::start().await?);
    let config = config("client").redirects(Redirects::to(["127.0.0.1"]));
    let client = soon(connect(&old.url, config.build()?)).await?;
    let mut events = client.events();
    let moved = Disconnect {
        reason: ReasonCode::SERVER_MOVED,
        properties: Properties::builder().server_reference(&new.url).build()?,
    };
    old.with(|broker, now| {
        let conn = broker.connection_of("client").unwrap();
        broker.disconnect_with(now, conn, moved);
    });
    let Some(ClientEvent::Redirected {
        from,
        permanent: true,
        followed: Ok(to),
        ..
    }) = soon(events.next()).await
    else {
        panic!("not told")
    };
    assert_eq!(format!("mqtt://{from}"), old.url);
    assert_eq!(format!("mqtt://{to}"), new.url);
    assert!(matches!(
        soon(events.next()).await,
        Some(ClientEvent::Lost { .. })
    ));
    soon(client.connected()).await?;
    assert_eq!(format!("mqtt://{}", client.server()), new.url);
    new.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn a_server_that_refuses_5_0_is_spoken_to_in_3_1_1_where_that_is_asked_for() -> Result {
    let server = Server::start().await?;
    let refusal = ReasonCode::UNSUPPORTED_PROTOCOL_VERSION;
    server.with(|broker, _| broker.refuse_next(refusal));
    let client = start(&server.url, config("client").fall_back(true).build()?)?;
    soon(client.connected()).await?;
    assert_eq!(client.version(), Version::V3_1_1);
    assert_eq!(client.client_identifier(), "client");
    soon(soon(client.publish("a", QoS::ExactlyOnce, "x")).await?).await?;
    server.assert_no_violations();
    Ok(())
}
