//! Connecting, and the ways in which that fails.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use mqtt_session::client::exports::{
    BuildError, Cause, ClientEvent, Config, ConnectError, ConnectionError, Endpoint, PacketType,
    Phase, QoS, ReasonCode, Timeouts, Version,
};

use crate::block_on::poll_once;
use crate::{Adapter, Result, Server};

use super::{List, config};

pub(super) fn add(list: &mut List) {
    list.add_versions("connect waits for CONNACK", |version| {
        async move |adapter: &dyn Adapter| waits(adapter, version).await
    });
    list.add("a connect that is dropped is given up", dropped);
    list.add("start does not wait, and keeps trying", start);
    list.add("nothing happens before a built client is told", build);
    list.add("a host name is looked up", host_name);
    list.add("a name that does not exist is told as such", no_such_name);
    list.add("a port where nobody listens is told as such", nobody);
    list.add("the next server is tried where nobody listens", next_server);
    list.add_versions("a refusal names the reason", |version| {
        async move |adapter: &dyn Adapter| refusal(adapter, version).await
    });
    list.add("a silent server is given up in time", silence);
    list.add("a server that hangs up is told from a silent one", hang_up);
    list.add("a URL that is none opens nothing", bad_urls);
}

/// An address where nobody listens.
pub(super) fn deserted() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

async fn failure(adapter: &dyn Adapter, url: &str, config: Config) -> ConnectionError {
    match adapter.connect(url, config).await {
        Err(ConnectError::Connection(error)) => *error,
        other => panic!("{other:?}"),
    }
}

async fn waits(adapter: &dyn Adapter, version: Version) -> Result {
    let server = Server::start()?;
    server.with(|broker, _| broker.hold(PacketType::ConnAck));
    let mut connecting = adapter.connect(&server.url(), config("client").version(version).build()?);
    assert!(poll_once(&mut connecting).is_pending());
    server.until("CONNECT has come", |broker| {
        broker.held(PacketType::ConnAck) == 1
    });
    assert!(poll_once(&mut connecting).is_pending());
    server.with(|broker, now| broker.release(now, PacketType::ConnAck));
    let client = connecting.await?;
    assert_eq!(client.phase(), Phase::Connected);
    assert_eq!(client.version(), version);
    assert_eq!(client.server(), Endpoint::parse(&server.url())?);
    server.assert_no_violations();
    Ok(())
}

async fn dropped(adapter: &dyn Adapter) -> Result {
    let server = Server::start()?;
    server.with(|broker, _| broker.hold(PacketType::ConnAck));
    let mut connecting = adapter.connect(&server.url(), config("client").build()?);
    assert!(poll_once(&mut connecting).is_pending());
    server.until("CONNECT has come", |broker| {
        broker.held(PacketType::ConnAck) == 1
    });
    drop(connecting);
    server.until_alone();
    Ok(())
}

async fn start(adapter: &dyn Adapter) -> Result {
    let addr = deserted()?;
    let client = adapter.start(&format!("mqtt://{addr}"), config("client").build()?)?;
    let mut events = client.events();
    let delivery = client.publish("early", QoS::AtLeastOnce, "bird").await?;
    let Some(ClientEvent::Lost { error, retry_in }) = events.next().await else {
        panic!("no error told")
    };
    assert!(matches!(error, ConnectionError::Dial { .. }), "{error:?}");
    assert!(retry_in.is_some());
    let server = Server::on(addr)?;
    client.connected().await?;
    delivery.await?;
    assert_eq!(server.payloads(), [b"bird"]);
    server.assert_no_violations();
    Ok(())
}

async fn build(adapter: &dyn Adapter) -> Result {
    let server = Server::start()?;
    let (client, _driver) = adapter.build(&server.url(), config("client").build()?)?;
    let mut messages = client.declare("early", QoS::AtLeastOnce)?;
    assert_eq!(client.phase(), Phase::Idle);
    client.connect().await?;
    client.publish("early", QoS::AtLeastOnce, "bird").await?;
    assert_eq!(messages.next().await.unwrap().payload(), b"bird");
    // One connection, and none before it was told.
    assert_eq!(server.count(PacketType::Connect), 1);
    server.assert_no_violations();
    Ok(())
}

async fn host_name(adapter: &dyn Adapter) -> Result {
    let server = Server::start()?;
    let url = format!("mqtt://localhost:{}", server.addr().port());
    let client = adapter.connect(&url, config("client").build()?).await?;
    assert_eq!(client.phase(), Phase::Connected);
    Ok(())
}

async fn no_such_name(adapter: &dyn Adapter) -> Result {
    let mut timeouts = Timeouts::default();
    timeouts.resolve = Duration::from_secs(2);
    let config = config("client").timeouts(timeouts).build()?;
    let error = failure(adapter, "mqtt://host.invalid", config).await;
    let ConnectionError::Resolve { host, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(host, "host.invalid");
    Ok(())
}

async fn nobody(adapter: &dyn Adapter) -> Result {
    let addr = deserted()?;
    let error = failure(
        adapter,
        &format!("mqtt://{addr}"),
        config("client").build()?,
    )
    .await;
    let ConnectionError::Dial {
        addr: named, cause, ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!((named, cause), (&addr.into(), &Cause::ConnectionRefused));
    Ok(())
}

async fn next_server(adapter: &dyn Adapter) -> Result {
    let server = Server::start()?;
    let urls = format!("mqtt://{}, {}", deserted()?, server.url());
    let client = adapter.connect(&urls, config("client").build()?).await?;
    assert_eq!(client.server(), Endpoint::parse(&server.url())?);
    server.assert_no_violations();
    Ok(())
}

async fn refusal(adapter: &dyn Adapter, version: Version) -> Result {
    let server = Server::start()?;
    server.with(|broker, _| broker.refuse_next(ReasonCode::NOT_AUTHORIZED));
    let config = config("client").version(version).build()?;
    let error = failure(adapter, &server.url(), config).await;
    let ConnectionError::Refused { addr, reason, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (addr, reason),
        (&server.addr().into(), &ReasonCode::NOT_AUTHORIZED)
    );
    server.until_alone();
    server.assert_no_violations();
    Ok(())
}

async fn silence(adapter: &dyn Adapter) -> Result {
    // The system accepts for it.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let mut timeouts = Timeouts::default();
    timeouts.connack = Duration::from_millis(50);
    let config = config("client").timeouts(timeouts).build()?;
    let error = failure(adapter, &format!("mqtt://{addr}"), config).await;
    let ConnectionError::NoConnAck { addr: named, after } = error else {
        panic!("{error:?}")
    };
    assert_eq!(named, addr);
    assert!(after >= Duration::from_millis(50), "{after:?}");
    Ok(())
}

async fn hang_up(adapter: &dyn Adapter) -> Result {
    let server = Server::start()?;
    server.with(|broker, _| broker.hold(PacketType::ConnAck));
    let mut connecting = adapter.connect(&server.url(), config("client").build()?);
    assert!(poll_once(&mut connecting).is_pending());
    server.until("CONNECT has come", |broker| {
        broker.held(PacketType::ConnAck) == 1
    });
    server.cut();
    let Err(ConnectError::Connection(error)) = connecting.await else {
        panic!("connected")
    };
    let eof = matches!(
        *error,
        ConnectionError::Unanswered {
            cause: Cause::Eof,
            ..
        }
    );
    assert!(eof, "{error:?}");
    Ok(())
}

async fn bad_urls(adapter: &dyn Adapter) -> Result {
    for url in [
        "localhost",
        "ftp://localhost",
        "mqtt://",
        "mqtt://localhost:0",
    ] {
        let error = adapter.connect(url, config("client").build()?).await;
        let refused = matches!(error, Err(ConnectError::Endpoint(_)));
        assert!(refused, "{url}: {error:?}");
        let error = adapter.start(url, config("client").build()?);
        let refused = matches!(error, Err(BuildError::Endpoint(_)));
        assert!(refused, "{url}: {error:?}");
    }
    Ok(())
}
