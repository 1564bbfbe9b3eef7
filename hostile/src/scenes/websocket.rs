//! Entry 22: frames that no server should send, and some that a client must bear.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use bytes::BytesMut;
use mqtt_behaviour::Adapter;
use mqtt_session::client::ConnectError;
use mqtt_session::proto::Version;
use mqtt_session::transport::WebSocketError;
use mqtt_session::{Cause, ConnectionError, Fault};
use mqtt_testkit::{Broker, BrokerConfig};
use tungstenite::handshake::derive_accept_key;

use super::{About, List};
use crate::Result;
use crate::ground::{Near, Peer, accept, config, has_left, read_to_end};

pub(super) fn add(list: &mut List) {
    let about = About::Entry(22);
    list.add(
        about,
        "frames that break the protocol end the connection",
        broken,
    );
    list.add(about, "frames of every other kind are borne", borne);
    list.add(about, "answers to the handshake that are none", refused);
}

/// What one side sends behind the mask, and what it is.
const BINARY: u8 = 0x82;
const PONG: u8 = 0x8A;
const CLOSE: u8 = 0x88;

pub(super) fn url(peer: &Peer) -> String {
    format!("ws://{}/mqtt", peer.addr)
}

/// The request, up to the empty line.
pub(super) fn request(stream: &mut TcpStream) -> Result<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.extend(byte);
    }
    Ok(String::from_utf8(request)?)
}

/// The answer of a good server.
pub(super) fn upgrade(request: &str) -> Result<String> {
    let mut lines = request.lines();
    let key = lines.find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key")
            .then_some(value)
    });
    let key = derive_accept_key(key.ok_or("no key")?.as_bytes());
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {key}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
    ))
}

fn shake(stream: &mut TcpStream) -> Result {
    let answer = upgrade(&request(stream)?)?;
    Ok(stream.write_all(answer.as_bytes())?)
}

/// The client's next frame: its kind, and its payload without the mask. All are short here.
fn frame(stream: &mut TcpStream) -> Result<(u8, Vec<u8>)> {
    let mut head = [0; 6];
    stream.read_exact(&mut head[..2])?;
    let len = head[1] & 0x7F;
    assert!(head[1] & 0x80 != 0 && len < 126, "{head:x?}");
    stream.read_exact(&mut head[2..])?;
    let mut payload = vec![0; len.into()];
    stream.read_exact(&mut payload)?;
    for (at, byte) in payload.iter_mut().enumerate() {
        *byte ^= head[2 + at % 4];
    }
    Ok((head[0], payload))
}

/// Shakes hands, and accepts CONNECT.
pub(super) fn connected(stream: &mut TcpStream) -> Result {
    shake(stream)?;
    let (kind, connect) = frame(stream)?;
    assert_eq!((kind, connect[0]), (BINARY, 0x10));
    Ok(stream.write_all(&[BINARY, 5, 0x20, 3, 0, 0, 0])?)
}

/// As [`ground::serve`](crate::ground::serve), behind WebSocket.
pub(super) fn serve(listener: &TcpListener) -> Result {
    while !serve_one(&mut accept(listener)?)? {}
    Ok(())
}

fn serve_one(stream: &mut TcpStream) -> Result<bool> {
    shake(stream)?;
    let mut broker = Broker::new(BrokerConfig::default());
    let begin = Instant::now();
    let conn = broker.open(begin.elapsed());
    let mut input = BytesMut::new();
    while let Ok((kind, payload)) = frame(stream) {
        if kind == CLOSE {
            break;
        }
        assert_eq!(kind, BINARY);
        input.extend_from_slice(&payload);
        broker.input(begin.elapsed(), conn, &mut input);
        let mut output = Vec::new();
        broker.output(conn, &mut output);
        for part in output.chunks(100) {
            stream.write_all(&[&[BINARY, part.len() as u8], part].concat())?;
        }
    }
    Ok(has_left(&broker))
}

async fn broken(adapter: &dyn Adapter) -> Result {
    let breach = |what| (WebSocketError::Protocol(what), 1002_u16);
    let large = |len| (WebSocketError::FrameTooLarge { len }, 1009);
    let by_peer = |code, reason: &str| {
        let reason = reason.into();
        (WebSocketError::ClosedByPeer { code, reason }, code)
    };
    for (bytes, (wanted, code)) in [
        (&[0x81, 1, b'x'][..], (WebSocketError::TextFrame, 1003)),
        (&[0x01, 0], (WebSocketError::TextFrame, 1003)),
        (
            &[BINARY, 0x81, 1, 2, 3, 4, 5],
            (WebSocketError::MaskedFrame, 1002),
        ),
        (
            &[0x80, 0],
            breach("it went on with a message that has not begun"),
        ),
        (
            &[0x02, 0, BINARY, 0],
            breach("it began a message within another one"),
        ),
        (&[0xC2, 0], breach("it sent a frame with reserved bits")),
        (&[0x83, 0], breach("it sent a frame of an unknown kind")),
        (&[0x09, 0], breach("it sent a control frame in fragments")),
        (
            &[CLOSE, 1, 3],
            breach("it sent a Close frame with half a code"),
        ),
        (&[0x89, 126, 0, 126], large(126)),
        (&[BINARY, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], large(1 << 63)),
        (&[CLOSE, 5, 3, 0xE9, b'b', b'y', b'e'], by_peer(1001, "bye")),
        (&[CLOSE, 2, 0x0F, 0xA1], by_peer(4001, "")),
    ] {
        let sent = bytes.to_vec();
        let peer = Peer::new(move |listener| {
            let mut stream = accept(&listener)?;
            connected(&mut stream)?;
            stream.write_all(&sent)?;
            let (kind, payload) = frame(&mut stream)?;
            assert_eq!(
                (kind, payload),
                (CLOSE, code.to_be_bytes().to_vec()),
                "{sent:x?}"
            );
            assert_eq!(read_to_end(&mut stream)?, []);
            drop(stream);
            serve(&listener)
        })?;
        let mut near = Near::start(adapter, &url(&peer), config(Version::V5))?;
        let error = near.lost().await?;
        let ConnectionError::Closed { addr, cause, .. } = &error else {
            return Err(error.into());
        };
        assert_eq!(
            (addr, cause),
            (&peer.addr.into(), &Cause::WebSocket(wanted))
        );
        assert_eq!(error.fault(), Fault::Peer);
        near.works().await?;
        near.leave().await?;
        peer.join()?;
    }
    Ok(())
}

async fn borne(adapter: &dyn Adapter) -> Result {
    let peer = Peer::new(|listener| {
        let mut stream = accept(&listener)?;
        connected(&mut stream)?;
        // A message in three frames, of which one is empty, with a ping in the middle of its packet.
        stream.write_all(&[0x02, 3, 0x30, 9, 0])?;
        stream.write_all(&[0x89, 2, b'h', b'i', 0x00, 0])?;
        assert_eq!(frame(&mut stream)?, (PONG, b"hi".to_vec()));
        stream.write_all(&[0x80, 8, 1, b'a', 0, b'w', b'h', b'o', b'l', b'e'])?;
        // A pong that nobody asked for, empty frames, and a frame of 2^40 bytes of which a packet comes.
        stream.write_all(&[PONG, 1, b'x'])?;
        stream.write_all(&[BINARY, 0].repeat(1000))?;
        stream.write_all(&[BINARY, 127, 0, 0, 1, 0, 0, 0, 0, 0])?;
        stream.write_all(&[0x30, 8, 0, 1, b'a', 0, b'p', b'a', b'r', b't'])?;
        // A close is answered with its own code, and is no error.
        drop(frame(&mut stream)?);
        drop(stream);
        serve(&listener)
    })?;
    let (mut near, mut messages) = Near::reading(adapter, &url(&peer), config(Version::V5))?;
    for payload in ["whole", "part"] {
        let message = messages.next().await.ok_or("no message")?;
        assert_eq!(message.payload(), payload.as_bytes());
    }
    // The peer waits for this, and cuts the connection.
    near.client
        .publish("a", mqtt_session::proto::QoS::AtMostOnce, "x")
        .await?;
    let error = near.lost().await?;
    let ConnectionError::Closed { cause, .. } = &error else {
        return Err(error.into());
    };
    assert_eq!(cause, &Cause::WebSocket(WebSocketError::Truncated));
    near.works().await?;
    drop(messages);
    near.leave().await?;
    peer.join()
}

async fn refused(adapter: &dyn Adapter) -> Result {
    type Answer = fn(&str) -> Result<String>;
    let cases: [(Answer, WebSocketError); 5] = [
        (
            |request| Ok(upgrade(request)?.replace("Sec-WebSocket-Protocol: mqtt\r\n", "")),
            WebSocketError::NoSubprotocol,
        ),
        (
            |request| Ok(upgrade(request)?.replace("mqtt", "chat")),
            WebSocketError::OtherSubprotocol("chat".into()),
        ),
        (
            |_| upgrade("Sec-WebSocket-Key: another"),
            WebSocketError::NotUpgraded("Sec-WebSocket-Accept"),
        ),
        (
            |_| Ok("HTTP/1.1 404 Not Found\r\n\r\n".into()),
            WebSocketError::Refused {
                status: 404,
                location: None,
            },
        ),
        (
            |_| Ok("220 smtp.example ready\r\n".into()),
            WebSocketError::NotHttp,
        ),
    ];
    for (answer, wanted) in cases {
        let peer = Peer::new(move |listener| {
            let mut stream = accept(&listener)?;
            let answer = answer(&request(&mut stream)?)?;
            stream.write_all(answer.as_bytes())?;
            assert_eq!(read_to_end(&mut stream)?, [], "nothing is said to it");
            drop(stream);
            serve(&listener)
        })?;
        let connecting = adapter.connect(&url(&peer), config(Version::V5).build()?);
        let error = match connecting.await {
            Err(ConnectError::Connection(error)) => *error,
            other => return Err(format!("{other:?}").into()),
        };
        let ConnectionError::Handshake { addr, cause, .. } = &error else {
            return Err(error.into());
        };
        assert_eq!(
            (addr, cause),
            (&peer.addr.into(), &Cause::WebSocket(wanted))
        );
        assert_eq!(error.fault(), Fault::Peer);
        let near = Near::start(adapter, &url(&peer), config(Version::V5))?;
        near.works().await?;
        near.leave().await?;
        peer.join()?;
    }
    Ok(())
}
