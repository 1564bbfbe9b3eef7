//! What passes, and how.

use std::time::Duration;

use bytes::BufMut;
use mqtt_session::proto::{
    Encoder, Flow, Outbox, Packet, Properties, Publish, QoS, Sender, Version,
};
use mqtt_session::{Config, Endpoint, Limits, Outcome, Phase};

use super::far::{Record, Scripted, Server, header, upgrade};
use super::tower::Tower;
use super::*;

#[test]
fn messages_pass_both_ways_however_bytes_and_messages_are_cut() {
    for fragments in [false, true] {
        for (pieces, sizes) in [
            (usize::MAX, &[][..]),
            (1, &[]),
            (1, &[1]),
            (7, &[1, 2, 1000]),
            (usize::MAX, &[3]),
            (1500, &[126, 65_536, 5]),
        ] {
            let (mut tower, record) = pair();
            record.with(|seen| {
                seen.sizes = sizes.to_vec();
                seen.fragments = fragments;
            });
            tower.pieces = pieces;
            tower.start();
            assert_connected(&tower);
            tower.subscribe();
            let long = vec![8; if pieces == 1 { 5_000 } else { 70_000 }];
            let payloads = [&b""[..], b"short", &[7; 200], &long];
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                for payload in payloads {
                    tower.publish(qos, payload);
                }
                tower.run();
                assert_eq!(tower.take_all(), payloads);
            }
            assert_eq!(tower.accepted().len(), 12);
            tower.check();
            assert_eq!(tower.losses(), []);
        }
    }
}

#[test]
fn many_packets_come_in_one_message() {
    let (mut tower, _) = connected();
    tower.subscribe();
    let mut packets = Vec::new();
    for n in 0..100_u16 {
        packets.extend(message(&n.to_string()));
    }
    feed(&mut tower, &binary(&packets));
    assert_eq!(tower.take_all().len(), 100);
}

#[test]
fn payload_reaches_the_session_before_its_frame_is_there_as_a_whole() {
    let (mut tower, _) = connected();
    tower.subscribe();
    // A frame of a terabyte: nothing is reserved for it.
    let mut bytes = vec![0x82, 127];
    bytes.put_u64(1 << 40);
    bytes.extend_from_slice(&message("early"));
    feed(&mut tower, &bytes);
    assert_eq!(tower.take_all(), [b"early"]);
    assert_eq!(tower.losses(), []);
    // What is in it is limited as anywhere: by the size of a packet.
    feed(&mut tower, &[0x30, 0xFF, 0xFF, 0xFF, 0x7F]);
    let [ConnectionError::Decode { .. }] = &tower.losses()[..] else {
        panic!("{:?}", tower.losses())
    };
}

#[test]
fn a_ping_is_answered_with_its_payload_also_within_a_message_and_only_the_latest_of_many() {
    let (mut tower, record) = connected();
    feed(&mut tower, &[0x89, 2, b'h', b'i']);
    feed(&mut tower, &[0x89, 0]);
    // Between the fragments of a PINGRESP.
    feed(&mut tower, &[0x02, 1, 0xD0, 0x89, 1, b'x', 0x80, 1, 0x00]);
    let many = [0x89, 1, b'y'].repeat(100_000);
    feed(&mut tower, &many);
    let pongs = record.with(|seen| std::mem::take(&mut seen.pongs));
    assert_eq!(pongs[..3], [&b"hi"[..], b"", b"x"]);
    assert_eq!(pongs.last().unwrap(), b"y");
    // Nobody needs them all.
    assert!(pongs.len() < 100, "{}", pongs.len());
    assert_eq!(tower.losses(), []);
    // Unasked, and of no consequence.
    feed(&mut tower, &[0x8A, 1, b'z']);
    assert_eq!(tower.losses(), []);
}

#[test]
fn pings_do_not_pile_up_while_nothing_is_written() {
    let (mut tower, record) = connected();
    tower.takes = 0;
    for _ in 0..1000 {
        feed(&mut tower, &[&[0x89, 125][..], &[b'p'; 125]].concat());
    }
    assert!(tower.output.len() < 1000, "{}", tower.output.len());
    tower.takes = usize::MAX;
    tower.run();
    let pongs = record.with(|seen| seen.pongs.len());
    assert!((1..=2).contains(&pongs), "{pongs}");
}

#[test]
fn the_request_says_what_the_url_does() {
    let bare = request("ws://broker.example.org", config());
    assert!(bare.starts_with("GET / HTTP/1.1\r\n"), "{bare}");
    assert_eq!(header(&bare, "host"), Some("broker.example.org"));
    assert_eq!(header(&bare, "upgrade"), Some("websocket"));
    assert_eq!(header(&bare, "connection"), Some("Upgrade"));
    assert_eq!(header(&bare, "sec-websocket-version"), Some("13"));
    assert_eq!(header(&bare, "sec-websocket-protocol"), Some("mqtt"));
    assert_eq!(header(&bare, "sec-websocket-key").unwrap().len(), 24);

    let full = request(
        "ws://me:secret@[2001:db8::1]:8083/a/b?token=x&y=%20",
        config(),
    );
    let line = "GET /a/b?token=x&y=%20 HTTP/1.1\r\n";
    assert!(full.starts_with(line), "{full}");
    assert_eq!(header(&full, "host"), Some("[2001:db8::1]:8083"));
    // They are for the broker.
    assert!(!full.contains("secret"), "{full}");
    let no_path = request("ws://a?q=1", config());
    assert!(no_path.starts_with("GET /?q=1 HTTP/1.1\r\n"), "{no_path}");

    // Unforeseeable, and new each time.
    let again = request("ws://broker.example.org", config());
    let key = |request| header(request, "sec-websocket-key").unwrap().to_owned();
    assert_ne!(key(&bare), key(&again));
}

/// What a server is asked.
pub(super) fn request(url: &str, config: Config) -> String {
    let record = Record::default();
    let seen = record.clone();
    let server = Endpoint::parse(url).unwrap();
    let mut tower = Tower::new(config, server, move || Box::new(Server::new(seen.clone())));
    tower.start();
    if let Some(mqtt_session::Action::Resolve { attempt, .. }) = tower.actions.first().cloned() {
        let now = tower.at();
        let address = "192.0.2.1:80".parse().unwrap();
        tower
            .connection
            .handle_resolved(now, attempt, Ok(vec![address]));
        tower.run();
    }
    assert_connected(&tower);
    record.requests().remove(0)
}

#[test]
fn every_version_asks_for_the_same_subprotocol() {
    for version in [Version::V3_1, Version::V3_1_1, Version::V5] {
        let config = Config::builder("client").version(version).build().unwrap();
        let request = request("ws://192.0.2.1", config);
        assert_eq!(header(&request, "sec-websocket-protocol"), Some("mqtt"));
    }
}

#[test]
fn an_answer_may_be_written_in_other_ways() {
    for change in [
        |answer: String| answer.replace("Upgrade: websocket", "uPgRaDe: WebSocket"),
        |answer: String| answer.replace("Connection: Upgrade", "Connection: keep-alive, upgrade"),
        |answer: String| answer.replace("Connection:", "Connection: keep-alive\r\nConnection:"),
        |answer: String| answer.replace("\r\n", "\n"),
        |answer: String| answer.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions:\r\n\r\n"),
        |answer: String| answer.replace("Switching Protocols", ""),
    ] {
        for pieces in [1, usize::MAX] {
            let answer = move |request: &str| change(upgrade(request)).into_bytes();
            let mut tower = Tower::new(config(), Endpoint::parse(URL).unwrap(), move || {
                Box::new(Scripted::new(answer))
            });
            tower.pieces = pieces;
            tower.start();
            let phase = tower.connection.session().phase();
            assert_eq!(phase, Phase::Handshaking, "{:?}", tower.losses());
        }
    }
}

#[test]
fn what_comes_right_behind_the_answer_is_not_lost() {
    let connack = Packet::ConnAck(mqtt_session::proto::ConnAck {
        session_present: false,
        reason: mqtt_session::proto::ReasonCode::SUCCESS,
        properties: Properties::new(),
    });
    let behind = binary(&encoded(&connack));
    // A server does not know what it answers to, but a client must not mind how fast it is: CONNECT has not left when this comes.
    let (mut tower, _) = pair();
    tower.make = Box::new(move || {
        let behind = behind.clone();
        Box::new(Scripted::new(move |request: &str| {
            [upgrade(request).into_bytes(), behind].concat()
        }))
    });
    tower.start();
    // It is the session that decides what a CONNACK before CONNECT means, so it has seen it.
    let phase = tower.connection.session().phase();
    assert_ne!(phase, Phase::Handshaking, "{:?}", tower.losses());
}

#[test]
fn a_message_is_written_when_the_last_byte_of_its_frame_is() {
    let (mut tower, record) = connected();
    tower.takes = 0;
    let token = tower.publish(QoS::AtMostOnce, b"payload");
    tower.run();
    let whole = tower.output.len();
    tower.takes = whole - 1;
    tower.run();
    assert_eq!(tower.outcome(token), None);
    tower.takes = 1;
    tower.run();
    assert_eq!(tower.outcome(token), Some(Outcome::Written));
    assert!(record.with(|seen| seen.messages.len()) >= 2);
}

#[test]
fn at_most_64_kib_and_a_unit_are_ahead_of_the_socket() {
    let (mut tower, record) = pair();
    let config = Config::builder("client").limits({
        let mut limits = Limits::default();
        limits.max_packet_size = 16 << 20;
        limits
    });
    tower.connection = mqtt_session::Connection::new(mqtt_session::Session::new(
        config.build().unwrap(),
        Endpoint::parse(URL).unwrap(),
        7,
    ));
    tower.start();
    assert_connected(&tower);
    tower.takes = 0;
    let payload = vec![5; 2 << 20];
    let token = tower.publish(QoS::AtLeastOnce, &payload);
    tower.run();
    let ahead = tower.output.len();
    assert!((64 * 1024..=81 * 1024).contains(&ahead), "{ahead}");
    tower.takes = usize::MAX;
    tower.run();
    assert!(matches!(
        tower.outcome(token),
        Some(Outcome::Acknowledged { .. })
    ));
    assert_eq!(tower.accepted(), [payload]);
    // A packet may span messages, and this one did.
    assert!(record.with(|seen| seen.messages.len()) > 100);
}

#[test]
fn frames_are_hidden_by_masks_that_differ() {
    let (mut tower, _) = connected();
    let mut frames = std::collections::BTreeSet::new();
    for _ in 0..20 {
        tower.wire().sent.clear();
        tower.publish(QoS::AtMostOnce, b"the same each time");
        tower.run();
        frames.insert(tower.wire().sent.clone());
    }
    assert_eq!(frames.len(), 20);
    let plain = |frame: &Vec<u8>| frame.windows(8).any(|part| part == b"the same");
    assert!(!frames.iter().any(plain));
}

#[test]
fn a_lost_connection_comes_back_with_a_handshake_of_its_own() {
    let (mut tower, record) = connected();
    tower.end(mqtt_session::Cause::ConnectionReset);
    tower.run_for(Duration::from_secs(10));
    assert_connected(&tower);
    let keys: Vec<_> = record.requests();
    let keys: std::collections::BTreeSet<_> = keys
        .iter()
        .map(|request| header(request, "sec-websocket-key"))
        .collect();
    assert_eq!(keys.len(), 2);
    tower.check();
}

/// A PUBLISH of QoS 0.
pub(super) fn message(payload: &str) -> Vec<u8> {
    let publish = Publish::new("a".try_into().unwrap(), payload.to_owned());
    let mut out = Outbox::new();
    encoder()
        .publish(&publish, Flow::AtMostOnce, None, &mut out)
        .unwrap();
    out.to_vec()
}

fn encoded(packet: &Packet) -> Vec<u8> {
    let mut out = Outbox::new();
    encoder().encode(packet, &mut out).unwrap();
    out.to_vec()
}

const fn encoder() -> Encoder {
    Encoder::new(Version::V5, Sender::Server)
}

/// A message in one frame.
pub(super) fn binary(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x82, 126];
    frame.put_u16(payload.len().try_into().unwrap());
    frame.extend_from_slice(payload);
    frame
}
