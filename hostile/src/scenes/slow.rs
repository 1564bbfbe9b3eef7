//! Peers that are slow: each is borne, or ends within its own timeout.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use mqtt_behaviour::Adapter;
use mqtt_session::client::ConnectError;
use mqtt_session::proto::{Packet, QoS, Version};
use mqtt_session::transport::{TlsError, WebSocketError};
use mqtt_session::{Cause, ConfigBuilder, ConnectionError};

use super::link::{assert_no_ping, with_keep_alive};
use super::{About, List, tls, websocket};
use crate::Result;
use crate::ground::{
    Near, Packets, Peer, accept, config, connack, hasty, impatient, read_to_end, serve,
};
use crate::rows::VERSIONS;

pub(super) fn add(list: &mut List) {
    let about = About::Slow;
    list.add(
        about,
        "one byte at a time is as good as all at once",
        dribble,
    );
    list.add(
        about,
        "a CONNACK that comes too slowly is none",
        slow_connack,
    );
    list.add(
        about,
        "a packet that never ends does not hide silence",
        endless_packet,
    );
    list.add(about, "a reader that stops reading is left", stops_reading);
    list.add(about, "a TLS handshake that stalls", tls_stalls);
    list.add(
        about,
        "a TLS handshake that comes a byte now and then",
        tls_dribbles,
    );
    list.add(about, "a TLS record that never ends", tls_record);
    list.add(about, "a WebSocket handshake that stalls", websocket_stalls);
    list.add(
        about,
        "a WebSocket handshake that comes a byte now and then",
        websocket_dribbles,
    );
    list.add(about, "a WebSocket frame that never ends", websocket_frame);
}

/// One byte at a time, as long as the client is there.
fn one_by_one(stream: &mut TcpStream, bytes: &[u8], pause: Duration) {
    for byte in bytes {
        if stream.write_all(&[*byte]).is_err() {
            return;
        }
        std::thread::sleep(pause);
    }
}

const NOW_AND_THEN: Duration = Duration::from_millis(10);

async fn dribble(adapter: &dyn Adapter) -> Result {
    for version in VERSIONS {
        let peer = Peer::new(move |listener| {
            let mut stream = accept(&listener)?;
            let mut packets = Packets::new(version);
            packets.connect(&mut stream)?;
            let pause = Duration::from_micros(50);
            one_by_one(&mut stream, connack(version), pause);
            one_by_one(&mut stream, &crate::at_session::alive(version), pause);
            assert!(matches!(packets.next(&mut stream)?, Packet::PubAck(_)));
            drop(stream);
            serve(&listener)
        })?;
        let (mut near, mut messages) = Near::reading(adapter, &peer.url(), config(version))?;
        assert_eq!(messages.next().await.ok_or("no message")?.payload(), b"in");
        assert!(messages.try_next().is_none());
        let error = near.lost().await?;
        assert!(matches!(error, ConnectionError::Closed { .. }), "{error:?}");
        near.works().await?;
        drop(messages);
        near.leave().await?;
        peer.join()?;
    }
    Ok(())
}

async fn slow_connack(adapter: &dyn Adapter) -> Result {
    let peer = Peer::new(|listener| {
        let mut stream = accept(&listener)?;
        Packets::new(Version::V5).connect(&mut stream)?;
        let mut connack = vec![0x20, 200, 1];
        connack.resize(203, 0);
        one_by_one(&mut stream, &connack, NOW_AND_THEN);
        assert_eq!(read_to_end(&mut stream)?, []);
        serve(&listener)
    })?;
    let mut near = Near::start(adapter, &peer.url(), hasty(Version::V5))?;
    let error = near.lost().await?;
    assert!(
        matches!(error, ConnectionError::NoConnAck { .. }),
        "{error:?}"
    );
    near.works().await?;
    near.leave().await?;
    peer.join()
}

/// Bytes extend the wait for PINGRESP, by one interval at most.
async fn endless_packet(adapter: &dyn Adapter) -> Result {
    let peer = Peer::new(|listener| {
        let mut stream = accept(&listener)?;
        Packets::new(Version::V5).accept(&mut stream)?;
        stream.write_all(&[0x30, 0xFF, 0x7F, 0, 1, b'a', 0])?;
        one_by_one(&mut stream, &[b'x'; 1500], NOW_AND_THEN);
        serve(&listener)
    })?;
    let mut near = Near::start(adapter, &peer.url(), with_keep_alive())?;
    assert_no_ping(&near.lost().await?, &peer);
    assert_eq!(near.client.stats().received, 0);
    near.works().await?;
    near.leave().await?;
    peer.join()
}

async fn stops_reading(adapter: &dyn Adapter) -> Result {
    let peer = Peer::new(|listener| {
        let mut stream = accept(&listener)?;
        Packets::new(Version::V5).accept(&mut stream)?;
        // It is there, and reads nothing, until the client has gone elsewhere.
        let next = accept(&listener)?;
        drop(stream);
        if !crate::ground::serve_one(&mut { next })? {
            serve(&listener)?;
        }
        Ok(())
    })?;
    let mut near = Near::start(adapter, &peer.url(), impatient(Version::V5))?;
    near.connected().await?;
    // More than sockets hold.
    for _ in 0..300 {
        let publishing = near.client.publish("a", QoS::AtMostOnce, vec![0; 64 << 10]);
        drop(publishing.await?);
    }
    assert_no_ping(&near.lost().await?, &peer);
    near.works().await?;
    near.leave().await?;
    peer.join()
}

/// What the attempt at a server ends with that does as it is told, and that the next one is accepted.
async fn attempt(
    adapter: &dyn Adapter,
    url: impl Fn(&Peer) -> String,
    (hasty, patient): (ConfigBuilder, ConfigBuilder),
    say: impl FnOnce(TcpStream) -> Result + Send + 'static,
    serve: fn(&TcpListener) -> Result,
) -> Result<Cause> {
    let peer = Peer::new(move |listener| {
        say(accept(&listener)?)?;
        serve(&listener)
    })?;
    let connecting = adapter.connect(&url(&peer), hasty.build()?);
    let error = match connecting.await {
        Err(ConnectError::Connection(error)) => *error,
        other => return Err(format!("{other:?}").into()),
    };
    let ConnectionError::Handshake { addr, cause, .. } = &error else {
        return Err(error.into());
    };
    assert_eq!(*addr, peer.addr);
    let cause = cause.clone();
    let near = Near::start(adapter, &url(&peer), patient)?;
    near.works().await?;
    near.leave().await?;
    peer.join()?;
    Ok(cause)
}

async fn tls_attempt(
    adapter: &dyn Adapter,
    say: impl FnOnce(&mut TcpStream, &[u8]) + Send + 'static,
) -> Result {
    let hello = move |mut stream: TcpStream| -> Result {
        let mut server = tls::Certificates::get().connection()?;
        while server.is_handshaking() && !server.wants_write() {
            server.read_tls(&mut stream)?;
            server.process_new_packets()?;
        }
        let mut flight = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut flight)?;
        }
        say(&mut stream, &flight);
        read_to_end(&mut stream)?;
        Ok(())
    };
    let [hasty, patient] = [hasty(Version::V5), config(Version::V5)].map(tls::trusting);
    let cause = attempt(adapter, tls::url, (hasty, patient), hello, tls::serve).await?;
    assert_eq!(cause, Cause::Tls(TlsError::TimedOut));
    Ok(())
}

async fn tls_stalls(adapter: &dyn Adapter) -> Result {
    tls_attempt(adapter, |stream, flight| {
        // The client may have given up already.
        let _ = stream.write_all(&flight[..flight.len() / 2]);
    })
    .await
}

async fn tls_dribbles(adapter: &dyn Adapter) -> Result {
    tls_attempt(adapter, |stream, flight| {
        one_by_one(stream, flight, NOW_AND_THEN)
    })
    .await
}

async fn tls_record(adapter: &dyn Adapter) -> Result {
    let peer = Peer::new(|listener| {
        let mut stream = tls::connected(&listener)?;
        // Application data of 16,000 bytes, of which ten come.
        let begin = [&[0x17, 3, 3, 0x3E, 0x80][..], &[7; 10]].concat();
        stream.sock.write_all(&begin)?;
        read_to_end(&mut stream.sock)?;
        tls::serve(&listener)
    })?;
    let impatient = tls::trusting(impatient(Version::V5));
    let mut near = Near::start(adapter, &tls::url(&peer), impatient)?;
    assert_no_ping(&near.lost().await?, &peer);
    near.works().await?;
    near.leave().await?;
    peer.join()
}

async fn websocket_attempt(
    adapter: &dyn Adapter,
    say: impl FnOnce(&mut TcpStream, &[u8]) + Send + 'static,
) -> Result {
    let answer = move |mut stream: TcpStream| -> Result {
        let answer = websocket::upgrade(&websocket::request(&mut stream)?)?;
        say(&mut stream, answer.as_bytes());
        read_to_end(&mut stream)?;
        Ok(())
    };
    let configs = (hasty(Version::V5), config(Version::V5));
    let cause = attempt(adapter, websocket::url, configs, answer, websocket::serve).await?;
    assert_eq!(cause, Cause::WebSocket(WebSocketError::TimedOut));
    Ok(())
}

async fn websocket_stalls(adapter: &dyn Adapter) -> Result {
    websocket_attempt(adapter, |stream, answer| {
        let _ = stream.write_all(&answer[..answer.len() / 2]);
    })
    .await
}

async fn websocket_dribbles(adapter: &dyn Adapter) -> Result {
    websocket_attempt(adapter, |stream, answer| {
        one_by_one(stream, answer, NOW_AND_THEN)
    })
    .await
}

async fn websocket_frame(adapter: &dyn Adapter) -> Result {
    let peer = Peer::new(|listener| {
        let mut stream = accept(&listener)?;
        websocket::connected(&mut stream)?;
        // 2^62 bytes, of which a packet and a half come.
        stream.write_all(&[0x82, 127, 0x40, 0, 0, 0, 0, 0, 0, 0])?;
        stream.write_all(&[0x30, 5, 0, 1, b'a', 0, b'x', 0x30, 100, 0])?;
        read_to_end(&mut stream)?;
        websocket::serve(&listener)
    })?;
    let (mut near, mut messages) =
        Near::reading(adapter, &websocket::url(&peer), impatient(Version::V5))?;
    assert_eq!(messages.next().await.ok_or("no message")?.payload(), b"x");
    drop(messages);
    assert_no_ping(&near.lost().await?, &peer);
    near.works().await?;
    near.leave().await?;
    peer.join()
}
