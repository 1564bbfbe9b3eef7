//! Through proxies, over sockets: a small one of the test's own, for what can't be had of a real one.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

#[path = "../server/mod.rs"]
mod server;
mod small;

use std::time::Duration;

use mqtt_tokio::transport::{Proxy, ProxyError};
use mqtt_tokio::{Cause, ConnectError, ConnectionError, QoS, Timeouts, connect};
use server::{Result, Server, config, soon};
use small::{Kind, SmallProxy};

const KINDS: [Kind; 2] = [Kind::Http, Kind::Socks5];
/// Known to the proxy alone.
const URL: &str = "mqtt://broker.test:1883";

fn of_kind(kind: Kind, port: u16) -> Proxy {
    // Its name is looked up here.
    match kind {
        Kind::Http => Proxy::http("localhost", port),
        Kind::Socks5 => Proxy::socks5("localhost", port),
    }
}

#[tokio::test]
async fn messages_pass_through_a_proxy_that_knows_the_server_and_it_is_asked_again() -> Result {
    for kind in KINDS {
        for login in [None, Some(("me", "hunter2"))] {
            let server = Server::start().await?;
            let small = SmallProxy::start(kind, login, &server.url).await?;
            let mut proxy = of_kind(kind, small.port());
            if let Some((user_name, password)) = login {
                proxy = proxy.credentials(user_name, password);
            }
            let config = config("client").proxy(proxy).build()?;
            let client = soon(connect(URL, config)).await?;
            let mut all = soon(client.subscribe("#", QoS::ExactlyOnce)).await?;
            for round in 0..2 {
                for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                    let payload = vec![round; 300_000];
                    soon(soon(client.publish("a", qos, payload.clone())).await?).await?;
                    // What was not acknowledged before the cut comes again.
                    while soon(all.next()).await.ok_or("no message")?.payload() != payload {}
                }
                let mut events = client.events();
                server.cut();
                soon(events.next()).await;
                soon(client.connected()).await?;
            }
            assert_eq!(client.stats().connections, 3);
            assert_eq!(small.asked(), ["broker.test:1883"; 3]);
            server.assert_no_violations();
        }
    }
    Ok(())
}

async fn failure(proxy: Proxy, url: &str) -> Result<ProxyError> {
    let mut timeouts = Timeouts::default();
    timeouts.handshake = Duration::from_millis(500);
    let config = config("client").proxy(proxy).timeouts(timeouts).build()?;
    match soon(connect(url, config)).await {
        Err(ConnectError::Connection(error)) => match *error {
            ConnectionError::Handshake {
                cause: Cause::Proxy(error),
                ..
            } => Ok(error),
            error => Err(error.into()),
        },
        other => Err(format!("{other:?}").into()),
    }
}

#[tokio::test]
async fn a_server_that_the_proxy_does_not_know_is_its_answer() -> Result {
    let server = Server::start().await?;
    let url = "mqtt://other.test";
    let http = SmallProxy::start(Kind::Http, None, &server.url).await?;
    let error = failure(of_kind(Kind::Http, http.port()), url).await?;
    let words = "Bad Gateway".into();
    assert_eq!(error, ProxyError::Refused { status: 502, words });
    let socks5 = SmallProxy::start(Kind::Socks5, None, &server.url).await?;
    let error = failure(of_kind(Kind::Socks5, socks5.port()), url).await?;
    assert_eq!(error, ProxyError::SocksRefused { reply: 4 });
    Ok(())
}

#[tokio::test]
async fn what_is_no_such_proxy_is_given_up_in_time() -> Result {
    let silent = tokio::net::TcpListener::bind("localhost:0").await?;
    for kind in KINDS {
        let error = failure(of_kind(kind, silent.local_addr()?.port()), URL).await?;
        assert_eq!(error, ProxyError::TimedOut);
    }
    // An MQTT server takes either for a broken client.
    let server = Server::start().await?;
    let port = server.url.rsplit_once(':').ok_or("a port")?.1.parse()?;
    for proxy in [
        Proxy::http("127.0.0.1", port),
        Proxy::socks5("127.0.0.1", port),
    ] {
        assert_eq!(failure(proxy, URL).await?, ProxyError::Closed);
    }
    Ok(())
}
