//! Several dials at a time, to addresses that a resolver is made to give.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

use std::future::ready;
use std::net::SocketAddr;
use std::time::Duration;

use mqtt_session::client::drive::{Opening, Runtime};
use mqtt_session::{Config, Endpoint, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::*;

/// Finds these addresses for any name.
struct Found(Tokio, Vec<SocketAddr>);

impl Runtime for Found {
    type Stream = <Tokio as Runtime>::Stream;

    fn resolve(&mut self, _host: String, _port: u16) -> Opening<Vec<SocketAddr>> {
        Box::pin(ready(Ok(self.1.clone())))
    }

    fn dial(&mut self, addr: SocketAddr) -> Opening<Self::Stream> {
        self.0.dial(addr)
    }

    fn set_timer(&mut self, at: Instant) {
        self.0.set_timer(at);
    }

    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_timer(context)
    }
}

async fn spawn_with(addrs: Vec<SocketAddr>) -> crate::Client {
    let config = Config::builder("client").build().unwrap();
    let server = Endpoint::parse("mqtt://several.invalid").unwrap();
    let epoch = tokio::time::Instant::now();
    let clock = move || Instant::ZERO + epoch.elapsed();
    let (client, port) = mqtt_session::client::build(config, server, 7, clock).unwrap();
    client.start();
    tokio::spawn(Drive::new(port, Found(Tokio::new(epoch, None), addrs)));
    client
}

/// CONNECT has come over the first stream that this takes.
async fn greeted(listener: &TcpListener) -> SocketAddr {
    let (mut stream, peer) = listener.accept().await.unwrap();
    let mut first = [0; 1];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(first, [0x10], "CONNECT");
    peer
}

/// A port that takes no more connections, and the streams that fill it.
async fn silent() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut streams = Vec::new();
    for _ in 0..64 {
        match tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(addr)).await {
            Ok(stream) => streams.push(stream.unwrap()),
            Err(_) => return (listener, streams),
        }
    }
    panic!("{addr} takes any number of connections")
}

#[tokio::test]
async fn an_address_that_is_silent_is_overtaken_by_the_next() {
    let (silent, _streams) = silent().await;
    let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addrs = vec![silent.local_addr().unwrap(), open.local_addr().unwrap()];
    let begin = std::time::Instant::now();
    let client = spawn_with(addrs).await;
    greeted(&open).await;
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(250), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(client.phase(), mqtt_session::Phase::Handshaking);
}

#[tokio::test]
async fn an_address_that_refuses_makes_room_for_the_next_at_once() {
    let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        gone.local_addr().unwrap()
    };
    let begin = std::time::Instant::now();
    let _client = spawn_with(vec![refusing, open.local_addr().unwrap()]).await;
    greeted(&open).await;
    assert!(begin.elapsed() < Duration::from_millis(250));
}
