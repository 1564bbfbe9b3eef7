//! Handshakes that fail, in the layers between the socket and MQTT.

use std::net::TcpListener;
use std::time::Duration;

use mqtt_session::Cause;
use mqtt_session::client::exports::{Config, ConnectError, ConnectionError, PacketType, Timeouts};
use mqtt_session::transport::{TlsError, WebSocketError};

use crate::{Bench, Certificates, Result, Server, Transport};

use super::{List, Scope};

pub(super) const WITHOUT_CERTIFICATE: &str =
    "a client without the certificate that the server asks for is told so";

pub(super) fn add(list: &mut List) {
    list.add_for(
        Scope::Tls,
        "a server of an authority that is not trusted gets nothing of ours",
        stranger,
    );
    list.add_for(
        Scope::Tls,
        "a server whose certificate is for another name gets nothing of ours",
        other_name,
    );
    list.add_for(Scope::MutualTls, WITHOUT_CERTIFICATE, uncertified);
    list.add_for(
        Scope::Layered,
        "a port for plain MQTT is told as such",
        plain_port,
    );
    list.add_for(
        Scope::Layered,
        "a server that is silent in the handshake is given up in time",
        silence,
    );
}

/// What the handshake fails with.
async fn cause(bench: &Bench<'_>, url: &str, config: Config) -> Cause {
    match bench.connect(url, config).await {
        Err(ConnectError::Connection(error)) => match *error {
            ConnectionError::Handshake { cause, .. } => cause,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

async fn stranger(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let others = Certificates::make("another authority")?;
    let config = bench.config("client").tls(others.tls(true)).build()?;
    let cause = cause(bench, &server.url(), config).await;
    assert_eq!(cause, Cause::Tls(TlsError::UnknownIssuer));
    assert_eq!(server.count(PacketType::Connect), 0);
    Ok(())
}

async fn other_name(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let tls = Certificates::get().tls(true);
    let tls = tls.with_server_name("other.example")?;
    let config = bench.config("client").tls(tls).build()?;
    let cause = cause(bench, &server.url(), config).await;
    assert!(
        matches!(cause, Cause::Tls(TlsError::WrongName(_))),
        "{cause:?}"
    );
    assert_eq!(server.count(PacketType::Connect), 0);
    Ok(())
}

async fn uncertified(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    without_certificate(bench, &server.url()).await?;
    assert_eq!(server.count(PacketType::Connect), 0);
    Ok(())
}

/// Of any server that asks for one.
pub(super) async fn without_certificate(bench: &Bench<'_>, url: &str) -> Result {
    let tls = Certificates::get().tls(false);
    let config = bench.config("client").tls(tls).build()?;
    let cause = cause(bench, url, config).await;
    assert_eq!(cause, Cause::Tls(TlsError::CertificateRequired));
    Ok(())
}

async fn plain_port(bench: &Bench<'_>) -> Result {
    let server = Server::on(([127, 0, 0, 1], 0).into())?;
    let url = bench.transport().url(server.addr());
    let cause = cause(bench, &url, bench.config("client").build()?).await;
    let expected = match bench.transport() {
        Transport::WebSocket => Cause::WebSocket(WebSocketError::Closed),
        _ => Cause::Tls(TlsError::Closed),
    };
    assert_eq!(cause, expected);
    Ok(())
}

async fn silence(bench: &Bench<'_>) -> Result {
    // The system accepts for it.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = bench.transport().url(listener.local_addr()?);
    let mut timeouts = Timeouts::default();
    timeouts.handshake = Duration::from_millis(50);
    let config = bench.config("client").timeouts(timeouts).build()?;
    let expected = match bench.transport() {
        Transport::WebSocket => Cause::WebSocket(WebSocketError::TimedOut),
        _ => Cause::Tls(TlsError::TimedOut),
    };
    assert_eq!(cause(bench, &url, config).await, expected);
    Ok(())
}
