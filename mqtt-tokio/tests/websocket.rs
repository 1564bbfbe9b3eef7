//! WebSocket over sockets.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod gateway;
mod server;

use std::sync::Arc;
use std::time::Duration;

use mqtt_tokio::transport::{Tls, WebSocket, WebSocketError};
use mqtt_tokio::{
    Cause, ConfigBuilder, ConnectError, ConnectionError, QoS, Scheme, Timeouts, connect,
};
use rcgen::CertifiedKey;
use server::{Result, Server, config, soon};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, crypto};

#[tokio::test]
async fn messages_pass_over_websocket_and_it_is_opened_again() -> Result {
    let server = Arc::new(Server::start().await?);
    let url = serve(&server).await?;
    pass(&server, url, Scheme::Ws, config("client")).await
}

#[tokio::test]
async fn messages_pass_over_websocket_in_tls_and_it_is_opened_again() -> Result {
    let server = Arc::new(Server::start().await?);
    let (url, tls) = serve_tls(&server).await?;
    pass(&server, url, Scheme::Wss, config("client").tls(tls)).await
}

async fn pass(server: &Server, url: String, scheme: Scheme, config: ConfigBuilder) -> Result {
    let client = soon(connect(url, config.build()?)).await?;
    assert_eq!(client.server().scheme(), scheme);
    let mut all = soon(client.subscribe("#", QoS::ExactlyOnce)).await?;
    for round in 0..2 {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let payload = vec![round; 300_000];
            soon(soon(client.publish("a", qos, payload.clone())).await?).await?;
            // What was not acknowledged before the cut comes again.
            while soon(all.next()).await.unwrap().payload() != payload {}
        }
        let mut events = client.events();
        server.cut();
        soon(events.next()).await;
        soon(client.connected()).await?;
    }
    assert_eq!(client.stats().connections, 3);
    soon(client.disconnect(Duration::from_secs(5))).await;
    server.assert_no_violations();
    Ok(())
}

/// Serves those who come over WebSocket, too, at this URL.
async fn serve(server: &Arc<Server>) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/mqtt", listener.local_addr()?);
    let server = Arc::clone(server);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(carry(Arc::clone(&server), stream));
        }
    });
    Ok(url)
}

/// The same over TLS, and what the client must trust.
async fn serve_tls(server: &Arc<Server>) -> Result<(String, Tls)> {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(signing_key.serialize_der())?;
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let tls = Tls::builder().authority_pem(cert.pem()).build()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("wss://localhost:{}/mqtt", listener.local_addr()?.port());
    let server = Arc::clone(server);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), Arc::clone(&server));
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    carry(server, stream).await;
                }
            });
        }
    });
    Ok((url, tls))
}

async fn carry(server: Arc<Server>, stream: impl AsyncRead + AsyncWrite + Unpin) {
    // More than ever is under way: neither side waits for the other to take something.
    let (inside, outside) = tokio::io::duplex(16 << 20);
    let ((), _) = tokio::join!(server.serve(inside), gateway::carry(stream, outside));
}

/// Why nothing came of it.
async fn failure(url: &str, config: ConfigBuilder) -> Result<ConnectionError> {
    match soon(connect(url, config.build()?)).await {
        Err(ConnectError::Connection(error)) => Ok(*error),
        other => panic!("{other:?}"),
    }
}

/// The same, by a fault of the handshake.
async fn refused(url: &str, config: ConfigBuilder) -> Result<WebSocketError> {
    match failure(url, config).await? {
        ConnectionError::Handshake {
            cause: Cause::WebSocket(error),
            ..
        } => Ok(error),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn another_path_is_told_as_the_status_of_the_server() -> Result {
    let server = Arc::new(Server::start().await?);
    let url = serve(&server).await?.replace("/mqtt", "/other");
    let error = refused(&url, config("client")).await?;
    let location = None;
    assert_eq!(
        error,
        WebSocketError::Refused {
            status: 404,
            location
        }
    );
    Ok(())
}

#[tokio::test]
async fn a_port_for_plain_mqtt_is_told() -> Result {
    let server = Arc::new(Server::start().await?);
    let url = server.url.replace("mqtt://", "ws://");
    let error = refused(&url, config("client")).await?;
    // As the model broker takes the request for a bad CONNECT.
    let is_told = matches!(error, WebSocketError::Closed | WebSocketError::NotHttp);
    assert!(is_told, "{error:?}");
    Ok(())
}

/// Takes one connection, answers the request with this, and stays.
async fn answering(answer: &'static [u8]) -> Result<(String, tokio::task::JoinHandle<Vec<u8>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/mqtt", listener.local_addr()?);
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"\r\n\r\n") {
            assert!(stream.read_buf(&mut heard).await.unwrap() > 0);
        }
        stream.write_all(answer).await.unwrap();
        // Until the client hangs up.
        let _ = stream.read_to_end(&mut heard).await;
        heard
    });
    Ok((url, task))
}

#[tokio::test]
async fn a_server_that_stays_silent_is_given_up_in_time_and_the_socket_closed() -> Result {
    let (url, heard) = answering(b"HTTP/1.1 101 Switch").await?;
    let mut timeouts = Timeouts::default();
    timeouts.handshake = Duration::from_millis(100);
    let error = refused(&url, config("client").timeouts(timeouts)).await?;
    assert_eq!(error, WebSocketError::TimedOut);
    assert!(soon(heard).await?.ends_with(b"\r\n\r\n"));
    Ok(())
}

#[tokio::test]
async fn who_answers_in_another_protocol_is_told_and_the_socket_closed() -> Result {
    let (url, heard) = answering(b"220 mail ESMTP\r\n").await?;
    let error = refused(&url, config("client")).await?;
    assert_eq!(error, WebSocketError::NotHttp);
    soon(heard).await?;
    Ok(())
}

#[tokio::test]
async fn headers_of_ones_own_reach_the_server() -> Result {
    let (url, heard) = answering(b"HTTP/1.1 401 Unauthorized\r\n\r\n").await?;
    let websocket = WebSocket::new().header("Authorization", "Bearer xyz")?;
    let error = refused(&url, config("client").websocket(websocket)).await?;
    let told = "the server refused with the HTTP status 401 (it wants to know who asks)";
    assert_eq!(error.to_string(), told);
    let heard = String::from_utf8(soon(heard).await?)?;
    assert!(
        heard.contains("\r\nAuthorization: Bearer xyz\r\n"),
        "{heard}"
    );
    Ok(())
}
