//! Connecting, and every way in which that fails.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::time::Duration;

use mqtt_session::Durability;
use mqtt_testkit::BrokerConfig;
use mqtt_tokio::{
    Cause, ClientEvent, Config, ConfigError, ConnectError, ConnectionError, Phase, QoS, ReasonCode,
    Timeouts, connect, start,
};
use server::{Result, Server, VERSIONS, config, soon};
use tokio::net::TcpListener;

async fn failure(url: &str, config: Config) -> ConnectionError {
    match soon(connect(url, config)).await {
        Err(ConnectError::Connection(error)) => *error,
        other => panic!("{other:?}"),
    }
}

fn quick() -> Timeouts {
    let mut timeouts = Timeouts::default();
    timeouts.connack = Duration::from_millis(50);
    timeouts.resolve = Duration::from_secs(2);
    timeouts
}

#[tokio::test]
async fn connect_resolves_when_the_server_has_accepted() -> Result {
    for version in VERSIONS {
        let server = Server::start().await?;
        let client = soon(connect(
            &server.url,
            config("client").version(version).build()?,
        ))
        .await?;
        assert_eq!(client.phase(), Phase::Connected);
        assert!(server.with(|broker, _| broker.connection_of("client").is_some()));
        server.assert_no_violations();
    }
    Ok(())
}

#[tokio::test]
async fn a_host_name_is_looked_up() -> Result {
    let server = Server::start().await?;
    let url = server.url.replace("127.0.0.1", "localhost");
    let client = soon(connect(&url, config("client").build()?)).await?;
    assert_eq!(client.phase(), Phase::Connected);
    Ok(())
}

#[tokio::test]
async fn a_url_without_meaning_is_refused_before_anything_is_opened() -> Result {
    for url in [
        "localhost",
        "ftp://localhost",
        "mqtt://",
        "mqtt://localhost:0",
        "mqtt://user:secret@localhost?what",
    ] {
        let error = connect(url, config("client").build()?).await.unwrap_err();
        assert!(
            matches!(error, ConnectError::Endpoint(_)),
            "{url}: {error:?}"
        );
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(start(url, config("client").build()?).is_err(), "{url}");
    }
    Ok(())
}

/// There is no store here: nothing would ever be told as stored.
#[tokio::test]
async fn durability_is_refused_before_anything_is_opened() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("mqtt://{}", listener.local_addr()?);
    for durability in [Durability::Behind, Durability::WriteAhead] {
        let config = || config("client").durability(durability).build();
        let error = soon(connect(&url, config()?)).await.unwrap_err();
        assert!(
            matches!(error, ConnectError::Config(ConfigError::NoStore)),
            "{error:?}"
        );
        assert!(error.to_string().starts_with("durability: "), "{error}");
        assert!(start(&url, config()?).is_err());
    }
    let accepted = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(accepted.is_err(), "{accepted:?}");
    Ok(())
}

#[tokio::test]
async fn a_refusal_names_the_address_and_the_reason() -> Result {
    for version in VERSIONS {
        let server = Server::start().await?;
        server.with(|broker, _| broker.refuse_next(ReasonCode::NOT_AUTHORIZED));
        let error = failure(&server.url, config("client").version(version).build()?).await;
        let ConnectionError::Refused { addr, reason, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(format!("mqtt://{addr}"), server.url);
        assert_eq!(*reason, ReasonCode::NOT_AUTHORIZED);
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_sends_no_connack_is_given_up_in_time() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let error = failure(
        &format!("mqtt://{addr}"),
        config("client").timeouts(quick()).build()?,
    )
    .await;
    let ConnectionError::NoConnAck { addr: named, after } = error else {
        panic!("{error:?}")
    };
    assert_eq!(named, addr);
    assert!(after >= Duration::from_millis(50), "{after:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_hangs_up_before_connack_is_told_from_one_that_is_silent() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("mqtt://{}", listener.local_addr()?);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // With nothing left unread, closing is an end of file and no reset.
        tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 256])
            .await
            .unwrap();
    });
    let error = failure(&url, config("client").build()?).await;
    assert!(
        matches!(
            error,
            ConnectionError::Unanswered {
                cause: Cause::Eof,
                ..
            }
        ),
        "{error:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_told_as_such() -> Result {
    let addr = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let error = failure(&format!("mqtt://{addr}"), config("client").build()?).await;
    let ConnectionError::Dial {
        addr: named, cause, ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!((named, cause), (&addr.into(), &Cause::ConnectionRefused));
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_told_as_such() -> Result {
    let error = failure(
        "mqtt://host.invalid",
        config("client").timeouts(quick()).build()?,
    )
    .await;
    let ConnectionError::Resolve { host, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(host, "host.invalid");
    Ok(())
}

#[tokio::test]
async fn start_keeps_trying_until_there_is_a_server() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    drop(listener);
    let client = start(format!("mqtt://{addr}"), config("client").build()?)?;
    let mut events = client.events();
    let delivery = client.publish("early", QoS::AtLeastOnce, "bird").await?;
    let Some(ClientEvent::Lost { error, retry_in }) = soon(events.next()).await else {
        panic!("no error told")
    };
    assert!(matches!(error, ConnectionError::Dial { .. }), "{error:?}");
    assert!(retry_in.is_some());

    let server = Server::on(TcpListener::bind(addr).await?, BrokerConfig::default())?;
    soon(client.connected()).await?;
    soon(delivery).await?;
    server.with(|broker, _| assert_eq!(broker.received()[0].message.payload(), b"bird"));
    server.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn a_connection_that_is_cut_is_made_again_and_events_tell_it() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let mut events = client.events();
    server.cut();
    let lost = soon(events.next()).await;
    assert!(
        matches!(
            lost,
            Some(ClientEvent::Lost {
                retry_in: Some(_),
                ..
            })
        ),
        "{lost:?}"
    );
    let connected = soon(events.next()).await;
    assert!(
        matches!(connected, Some(ClientEvent::Connected { .. })),
        "{connected:?}"
    );
    soon(client.connected()).await?;
    assert_eq!(client.stats().connections, 2);
    server.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn a_stream_of_events_that_lags_is_told_how_many_it_missed() -> Result {
    let addr = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let backoff = mqtt_tokio::Backoff {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(1),
        ..Default::default()
    };
    let client = start(
        format!("mqtt://{addr}"),
        config("client").backoff(backoff).build()?,
    )?;
    let (mut lagging, mut reading) = (client.events(), client.events());
    for _ in 0..100 {
        soon(reading.next()).await.unwrap();
    }
    let Some(ClientEvent::Missed { count }) = soon(lagging.next()).await else {
        panic!("nothing missed")
    };
    assert!(count >= 36, "{count}");
    assert!(matches!(
        soon(lagging.next()).await,
        Some(ClientEvent::Lost { .. })
    ));
    Ok(())
}
