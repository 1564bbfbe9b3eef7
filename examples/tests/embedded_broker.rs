//! The embedded broker, spoken to in bytes that were written by hand from the specifications: so
//! these tests fail only for the broker's reasons.

#![allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]

use std::time::Duration;
use std::{fs, io};

use mqtt_examples::embedded_broker::EmbeddedBroker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);

const CLEAN: bool = true;
const KEPT: bool = false;

/// What differs between the versions: the protocol level, and the empty property lengths.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    V3_1_1,
    V5,
}

impl Level {
    fn properties(self) -> &'static [u8] {
        match self {
            Self::V3_1_1 => &[],
            Self::V5 => &[0],
        }
    }
}

struct Raw {
    stream: TcpStream,
    level: Level,
}

impl Raw {
    /// Connects, and returns the CONNACK's session present flag with the connection.
    async fn connect(broker: &EmbeddedBroker, level: Level, id: &str, clean: bool) -> (Self, bool) {
        let stream = TcpStream::connect(broker.addr()).await.unwrap();
        let mut raw = Self { stream, level };
        let (number, properties): (u8, &[u8]) = match level {
            Level::V3_1_1 => (4, &[]),
            // Session Expiry Interval: 600 s.
            Level::V5 => (5, &[5, 0x11, 0, 0, 0x02, 0x58]),
        };
        let flags = if clean { 0x02 } else { 0x00 };
        let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', number, flags, 0, 60];
        body.extend_from_slice(properties);
        body.extend(string(id));
        raw.send(0x10, &body).await;
        let (header, body) = raw.receive().await.unwrap();
        assert_eq!((header, body[1]), (0x20, 0), "CONNACK with success");
        (raw, body[0] == 1)
    }

    async fn subscribe(&mut self, filter: &str, qos: u8) {
        let body = [&[0, 1], self.level.properties(), &string(filter), &[qos]].concat();
        self.send(0x82, &body).await;
        let (header, body) = self.receive().await.unwrap();
        assert_eq!(
            (header, body.last()),
            (0x90, Some(&qos)),
            "SUBACK with the QoS asked for"
        );
    }

    async fn publish(&mut self, qos: u8, id: u16, topic: &str, payload: &[u8]) {
        let body = [
            &string(topic),
            &id.to_be_bytes()[..],
            self.level.properties(),
            payload,
        ]
        .concat();
        self.send(0x30 | qos << 1, &body).await;
    }

    async fn send(&mut self, header: u8, body: &[u8]) {
        assert!(body.len() < 128, "one byte of remaining length");
        let packet = [&[header, body.len() as u8], body].concat();
        self.stream.write_all(&packet).await.unwrap();
    }

    /// The next packet: its first byte and what follows the remaining length.
    async fn receive(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let read = async {
            let header = self.stream.read_u8().await?;
            let length = self.stream.read_u8().await?;
            assert!(length < 128, "one byte of remaining length");
            let mut body = vec![0; length.into()];
            self.stream.read_exact(&mut body).await?;
            Ok((header, body))
        };
        timeout(LIMIT, read)
            .await
            .expect("a packet within the limit")
    }

    /// The next PUBLISH as (first byte, packet id, payload), for a topic of three bytes.
    async fn receive_publish(&mut self) -> (u8, [u8; 2], Vec<u8>) {
        let (header, body) = self.receive().await.unwrap();
        assert_eq!(header >> 4, 3, "a PUBLISH");
        assert_eq!(&body[..5], b"\x00\x03a/b");
        let payload_at = match self.level {
            Level::V3_1_1 => 7,
            Level::V5 => 8 + usize::from(body[7]),
        };
        (header, [body[5], body[6]], body[payload_at..].to_vec())
    }
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

#[tokio::test]
async fn a_message_of_qos_1_comes_back_in_both_versions() {
    let broker = EmbeddedBroker::start().await.unwrap();
    for level in [Level::V3_1_1, Level::V5] {
        let (mut client, _) = Raw::connect(&broker, level, "c", CLEAN).await;
        client.subscribe("a/b", 1).await;
        client.publish(1, 7, "a/b", b"hi").await;

        // The broker may acknowledge before or after it delivers.
        let (mut acknowledged, mut delivered) = (false, false);
        while !(acknowledged && delivered) {
            let (header, body) = client.receive().await.unwrap();
            match header {
                0x40 => acknowledged = body.starts_with(&[0, 7]),
                0x32 => delivered = body.ends_with(b"hi"),
                other => panic!("neither PUBACK nor PUBLISH: {other:#x}"),
            }
        }
    }
    broker.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_of_3_1_1_and_one_of_5_0_talk_at_qos_2() {
    let broker = EmbeddedBroker::start().await.unwrap();
    for (from, to) in [(Level::V3_1_1, Level::V5), (Level::V5, Level::V3_1_1)] {
        let (mut receiver, _) = Raw::connect(&broker, to, "receiver", CLEAN).await;
        receiver.subscribe("a/b", 2).await;
        let (mut sender, _) = Raw::connect(&broker, from, "sender", CLEAN).await;

        sender.publish(2, 9, "a/b", b"once").await;
        assert_eq!(sender.receive().await.unwrap().0, 0x50, "PUBREC");
        sender.send(0x62, &[0, 9]).await;
        assert_eq!(sender.receive().await.unwrap().0, 0x70, "PUBCOMP");

        let (header, id, payload) = receiver.receive_publish().await;
        assert_eq!((header, payload.as_slice()), (0x34, &b"once"[..]));
        receiver.send(0x50, &id).await;
        assert_eq!(receiver.receive().await.unwrap().0, 0x62, "PUBREL");
        receiver.send(0x70, &id).await;
    }
    broker.stop().await.unwrap();
}

#[tokio::test]
async fn a_session_outlives_its_connection_and_redelivers_what_was_not_acknowledged() {
    let broker = EmbeddedBroker::start().await.unwrap();
    for level in [Level::V3_1_1, Level::V5] {
        let id = if level == Level::V5 { "five" } else { "three" };
        let (mut receiver, present) = Raw::connect(&broker, level, id, KEPT).await;
        assert!(!present);
        receiver.subscribe("a/b", 1).await;
        let (mut sender, _) = Raw::connect(&broker, level, "sender", CLEAN).await;
        sender.publish(1, 1, "a/b", b"before").await;
        assert_eq!(receiver.receive_publish().await.0, 0x32);
        drop(receiver);
        sender.publish(1, 2, "a/b", b"after").await;

        let (mut receiver, present) = Raw::connect(&broker, level, id, KEPT).await;
        assert!(present, "session present");
        let (header, _, payload) = receiver.receive_publish().await;
        assert_eq!(
            (header, payload.as_slice()),
            (0x3a, &b"before"[..]),
            "DUP is set"
        );
        assert_eq!(receiver.receive_publish().await.2, b"after");
        // The next round's messages are not for this session.
        drop(receiver);
        Raw::connect(&broker, level, id, CLEAN).await;
    }
    broker.stop().await.unwrap();
}

#[tokio::test]
async fn five_hundred_messages_can_wait_for_one_client() {
    let broker = EmbeddedBroker::start().await.unwrap();
    let (mut receiver, _) = Raw::connect(&broker, Level::V5, "receiver", CLEAN).await;
    receiver.subscribe("a/b", 1).await;
    let (mut sender, _) = Raw::connect(&broker, Level::V5, "sender", CLEAN).await;
    for id in 1..=500_u16 {
        sender.publish(1, id, "a/b", &id.to_be_bytes()).await;
    }
    for id in 1..=500_u16 {
        assert_eq!(receiver.receive_publish().await.2, id.to_be_bytes());
    }
    broker.stop().await.unwrap();
}

#[tokio::test]
async fn two_brokers_in_one_process_have_ports_of_their_own() {
    let (one, two) = (
        EmbeddedBroker::start().await.unwrap(),
        EmbeddedBroker::start().await.unwrap(),
    );
    assert_ne!(one.addr(), two.addr());
    assert!(one.addr().ip().is_loopback());
}

#[tokio::test]
async fn no_file_is_written_into_the_current_folder() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("no_file_is_written");
    // Left over from an earlier run, if that failed.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    std::env::set_current_dir(&folder).unwrap();

    let broker = EmbeddedBroker::start().await.unwrap();
    let (mut client, _) = Raw::connect(&broker, Level::V5, "c", KEPT).await;
    client.subscribe("a/b", 1).await;
    client.publish(1, 7, "a/b", b"hi").await;
    client.receive().await.unwrap();
    client.receive().await.unwrap();
    drop(client);
    broker.stop().await.unwrap();

    let left: Vec<_> = fs::read_dir(&folder).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
