//! A server that a trial plays by hand, and a client of it.

use std::future::Future;
use std::time::Duration;

use bytes::BytesMut;
use mqtt_proto::{Decoder, Packet, Sender, Version};
use mqtt_tokio::{Answers, Client, Config, ConfigBuilder, ConnectError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a trial in a runtime of its own, for a limited time.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(PATIENCE, future)
            .await
            .expect("it takes too long")
    })
}

/// The server's end of one connection.
pub(crate) struct Peer {
    pub(crate) version: Version,
    pub(crate) stream: TcpStream,
    input: BytesMut,
}

/// A client that is connecting, and the stream that it has opened; its CONNECT is read.
pub(crate) async fn connecting(
    config: ConfigBuilder,
) -> (Peer, JoinHandle<Result<Client, ConnectError>>) {
    connecting_with(config, Answers::new()).await
}

/// The same for a client that is asked for more than its configuration tells.
pub(crate) async fn connecting_with(
    config: ConfigBuilder,
    answers: Answers,
) -> (Peer, JoinHandle<Result<Client, ConnectError>>) {
    let config = config.build().unwrap();
    let version = config.version();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    let client = tokio::spawn(async move { mqtt_tokio::connect_with(&url, config, answers).await });
    let (stream, _) = listener.accept().await.unwrap();
    let mut peer = Peer {
        version,
        stream,
        input: BytesMut::new(),
    };
    let connect = peer.read().await;
    assert!(matches!(connect, Some(Packet::Connect(_))), "{connect:?}");
    (peer, client)
}

/// A client that the server has accepted.
pub(crate) async fn connected(config: ConfigBuilder) -> (Peer, Client) {
    let (mut peer, client) = connecting(config).await;
    peer.connack(0).await;
    let client = client.await.unwrap().unwrap();
    (peer, client)
}

pub(crate) fn config(version: Version) -> ConfigBuilder {
    Config::builder("client").version(version)
}

impl Peer {
    /// CONNACK with this reason code or return code.
    pub(crate) async fn connack(&mut self, code: u8) {
        let v5 = [0x20, 3, 0, code, 0];
        let v3 = [0x20, 2, 0, code];
        let bytes: &[u8] = if self.version.is_v5() { &v5 } else { &v3 };
        self.write(bytes).await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next packet from the client; nothing at the end of the stream.
    pub(crate) async fn read(&mut self) -> Option<Packet> {
        let decoder = Decoder::new(self.version, Sender::Client);
        loop {
            if let Some(packet) = decoder.decode(&mut self.input).unwrap() {
                return Some(packet);
            }
            if self.stream.read_buf(&mut self.input).await.unwrap() == 0 {
                assert!(self.input.is_empty(), "a part of a packet");
                return None;
            }
        }
    }

    /// What the client says until it closes the stream. The server does not close it first.
    pub(crate) async fn rest(&mut self) -> Vec<Packet> {
        let mut packets = Vec::new();
        while let Some(packet) = self.read().await {
            packets.push(packet);
        }
        packets
    }
}
