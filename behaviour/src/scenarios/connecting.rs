//! Connecting, and the ways in which that fails.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use mqtt_session::client::exports::{
    BuildError, Cause, ClientEvent, Config, ConnectError, ConnectionError, Endpoint, PacketType,
    Peer, Phase, QoS, ReasonCode, Timeouts, Version,
};

use crate::block_on::poll_once;
use crate::{Bench, Result, Server};

use super::List;

pub(super) fn add(list: &mut List) {
    list.add_versions("connect waits for CONNACK", |version| {
        async move |bench: &Bench<'_>| waits(bench, version).await
    });
    list.add("a connect that is dropped is given up", dropped);
    list.add_tcp("start does not wait, and keeps trying", start);
    list.add("nothing happens before a built client is told", build);
    list.add_tcp("a host name is looked up", host_name);
    list.add_tcp("a name that does not exist is told as such", no_such_name);
    list.add("a place where nobody listens is told as such", nobody);
    list.add_tcp("the next server is tried where nobody listens", next_server);
    list.add_versions("a refusal names the reason", |version| {
        async move |bench: &Bench<'_>| refusal(bench, version).await
    });
    list.add_tcp("a silent server is given up in time", silence);
    list.add("a server that hangs up is told from a silent one", hang_up);
    list.add_tcp("a URL that is none opens nothing", bad_urls);
}

/// An address where nobody listens.
pub(super) fn deserted() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A port that nobody listens on, and that the system gives to nobody else while this lives: that of the near end of a connection.
struct Held {
    near: TcpStream,
    _far: TcpListener,
}

impl Held {
    fn new() -> Result<Self> {
        let far = TcpListener::bind("127.0.0.1:0")?;
        let near = TcpStream::connect(far.local_addr()?)?;
        Ok(Self { near, _far: far })
    }

    fn addr(&self) -> Result<SocketAddr> {
        Ok(self.near.local_addr()?)
    }
}

async fn failure(bench: &Bench<'_>, url: &str, config: Config) -> ConnectionError {
    match bench.connect(url, config).await {
        Err(ConnectError::Connection(error)) => *error,
        other => panic!("{other:?}"),
    }
}

async fn waits(bench: &Bench<'_>, version: Version) -> Result {
    let server = bench.server()?;
    server.with(|broker, _| broker.hold(PacketType::ConnAck));
    let mut connecting = bench.connect(
        &server.url(),
        bench.config("client").version(version).build()?,
    );
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

async fn dropped(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    server.with(|broker, _| broker.hold(PacketType::ConnAck));
    let mut connecting = bench.connect(&server.url(), bench.config("client").build()?);
    assert!(poll_once(&mut connecting).is_pending());
    server.until("CONNECT has come", |broker| {
        broker.held(PacketType::ConnAck) == 1
    });
    drop(connecting);
    server.until_alone();
    Ok(())
}

async fn start(bench: &Bench<'_>) -> Result {
    let addr = deserted()?;
    let client = bench.start(&format!("mqtt://{addr}"), bench.config("client").build()?)?;
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

async fn build(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let (client, _driver) = bench.build(&server.url(), bench.config("client").build()?)?;
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

async fn host_name(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let url = format!("mqtt://localhost:{}", server.addr().port());
    let client = bench.connect(&url, bench.config("client").build()?).await?;
    assert_eq!(client.phase(), Phase::Connected);
    Ok(())
}

async fn no_such_name(bench: &Bench<'_>) -> Result {
    let mut timeouts = Timeouts::default();
    timeouts.resolve = Duration::from_secs(2);
    let config = bench.config("client").timeouts(timeouts).build()?;
    let error = failure(bench, "mqtt://host.invalid", config).await;
    let ConnectionError::Resolve { host, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(host, "host.invalid");
    Ok(())
}

async fn nobody(bench: &Bench<'_>) -> Result {
    // One that was there.
    let server = bench.server()?;
    let (mut url, mut peer) = (server.url(), bench.peer(&server)?);
    drop(server);
    // Its port is anybody's now, as those of other trials: a port of our own instead.
    let held = Held::new()?;
    if let Some(addr) = url.split('/').nth(2).filter(|addr| !addr.is_empty()) {
        url = url.replacen(addr, &held.addr()?.to_string(), 1);
        peer = match peer {
            Peer::Addr(_) => Peer::Addr(held.addr()?),
            _ => Peer::Server(Box::new(Endpoint::parse(&url)?)),
        };
    }
    let error = failure(bench, &url, bench.config("client").build()?).await;
    let ConnectionError::Dial {
        addr: named, cause, ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(named, &peer);
    if !url.starts_with("unix") {
        assert_eq!(cause, &Cause::ConnectionRefused);
    }
    assert!(error.to_string().contains(&peer.to_string()), "{error}");
    Ok(())
}

async fn next_server(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let urls = format!("mqtt://{}, {}", deserted()?, server.url());
    let client = bench
        .connect(&urls, bench.config("client").build()?)
        .await?;
    assert_eq!(client.server(), Endpoint::parse(&server.url())?);
    server.assert_no_violations();
    Ok(())
}

async fn refusal(bench: &Bench<'_>, version: Version) -> Result {
    let server = bench.server()?;
    server.with(|broker, _| broker.refuse_next(ReasonCode::NOT_AUTHORIZED));
    let config = bench.config("client").version(version).build()?;
    let error = failure(bench, &server.url(), config).await;
    let ConnectionError::Refused { addr, reason, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (addr, reason),
        (&bench.peer(&server)?, &ReasonCode::NOT_AUTHORIZED)
    );
    server.until_alone();
    server.assert_no_violations();
    Ok(())
}

async fn silence(bench: &Bench<'_>) -> Result {
    // The system accepts for it.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let mut timeouts = Timeouts::default();
    timeouts.connack = Duration::from_millis(50);
    let config = bench.config("client").timeouts(timeouts).build()?;
    let error = failure(bench, &format!("mqtt://{addr}"), config).await;
    let ConnectionError::NoConnAck { addr: named, after } = error else {
        panic!("{error:?}")
    };
    assert_eq!(named, addr);
    assert!(after >= Duration::from_millis(50), "{after:?}");
    Ok(())
}

async fn hang_up(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    server.with(|broker, _| broker.hold(PacketType::ConnAck));
    let mut connecting = bench.connect(&server.url(), bench.config("client").build()?);
    assert!(poll_once(&mut connecting).is_pending());
    server.until("CONNECT has come", |broker| {
        broker.held(PacketType::ConnAck) == 1
    });
    server.cut();
    let Err(ConnectError::Connection(error)) = connecting.await else {
        panic!("connected")
    };
    let ConnectionError::Unanswered { cause, .. } = &*error else {
        panic!("{error:?}")
    };
    assert_eq!(*cause, bench.cut());
    Ok(())
}

async fn bad_urls(bench: &Bench<'_>) -> Result {
    for url in [
        "localhost",
        "ftp://localhost",
        "mqtt://",
        "mqtt://localhost:0",
    ] {
        let error = bench.connect(url, bench.config("client").build()?).await;
        let refused = matches!(error, Err(ConnectError::Endpoint(_)));
        assert!(refused, "{url}: {error:?}");
        let error = bench.start(url, bench.config("client").build()?);
        let refused = matches!(error, Err(BuildError::Endpoint(_)));
        assert!(refused, "{url}: {error:?}");
    }
    Ok(())
}
