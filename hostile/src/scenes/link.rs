//! Entries 16, 17 and 19: links that are half open, servers that do not let us in, and readers that do not read.

use std::io::{self, ErrorKind, Write};
use std::time::{Duration, Instant};

use mqtt_behaviour::Adapter;
use mqtt_session::client::{ClientEvent, Events};
use mqtt_session::proto::{Packet, PacketType, QoS, ReasonCode, Version};
use mqtt_session::{
    Backoff, ConfigBuilder, ConnectionError, Fault, InboxFull, Limits, RedirectRefused, Redirects,
};

use super::{About, List};
use crate::Result;
use crate::ground::{
    LONG, Near, Packets, Peer, SHORT, accept, config, connack, hasty, impatient, read_to_end, serve,
};
use crate::rows::VERSIONS;

pub(super) fn add(list: &mut List) {
    let half_open = About::Entry(16);
    list.add(
        half_open,
        "a server that answers no PINGREQ is left, and the next one asked anew",
        swallows,
    );
    list.add(
        half_open,
        "publishing all the time does not hide that nothing comes",
        publishing,
    );
    list.add(
        half_open,
        "receiving all the time does not stop our PINGREQ",
        receiving,
    );
    let refusing = About::Entry(17);
    list.add(
        refusing,
        "a server that accepts and closes is asked with growing pauses",
        closes,
    );
    list.add(
        refusing,
        "a server that accepts and is silent is given up in time, again and again",
        silent,
    );
    list.add(
        refusing,
        "a server that is full or busy is asked with growing pauses",
        busy,
    );
    list.add(
        refusing,
        "a client that was pushed out does not push back",
        pushed_out,
    );
    list.add(
        refusing,
        "servers that send us round are not followed for ever",
        round,
    );
    list.add(
        About::Entry(9),
        "a CONNACK that was sent ahead of CONNECT is the answer to it",
        early_connack,
    );
    let reading = About::Entry(19);
    list.add(
        reading,
        "a server that asks and does not read is left",
        asks,
    );
    list.add(
        reading,
        "an application that reads nothing keeps its connection, in either way to be full",
        unread,
    );
}

pub(super) fn assert_no_ping(error: &ConnectionError, peer: &Peer) {
    assert!(
        matches!(error, ConnectionError::NoPingResp { .. }),
        "{error:?}"
    );
    assert_eq!(error.fault(), Fault::Network);
    let begin = format!("{} did not answer a PINGREQ within ", peer.addr);
    assert!(error.to_string().starts_with(&begin), "{error}");
}

async fn swallows(adapter: &dyn Adapter) -> Result {
    for version in VERSIONS {
        let peer = Peer::new(move |listener| {
            let mut stream = accept(&listener)?;
            Packets::new(version).accept(&mut stream)?;
            let said = read_to_end(&mut stream)?;
            assert_eq!(said, [0xC0, 0], "one PINGREQ, and the end");
            let mut stream = accept(&listener)?;
            let mut packets = Packets::new(version);
            packets.accept(&mut stream)?;
            for _ in 0..3 {
                assert!(matches!(packets.next(&mut stream)?, Packet::PingReq));
                stream.write_all(&[0xD0, 0])?;
            }
            drop(stream);
            serve(&listener)
        })?;
        let mut near = Near::start(adapter, &peer.url(), impatient(version))?;
        assert_no_ping(&near.lost().await?, &peer);
        let error = near.lost().await?;
        assert!(matches!(error, ConnectionError::Closed { .. }), "{error:?}");
        // One, and three that were answered; where the peer is slow to hang up, another.
        assert!(near.client.stats().pings >= 4);
        near.works().await?;
        near.leave().await?;
        peer.join()?;
    }
    Ok(())
}

/// The shortest keep-alive that there is: a PINGREQ goes out after three quarters of it.
pub(super) fn with_keep_alive() -> ConfigBuilder {
    impatient(Version::V5).keep_alive(Duration::from_secs(1))
}

async fn publishing(adapter: &dyn Adapter) -> Result {
    let peer = Peer::new(|listener| {
        let mut stream = accept(&listener)?;
        Packets::new(Version::V5).accept(&mut stream)?;
        read_to_end(&mut stream)?;
        serve(&listener)
    })?;
    let mut near = Near::start(adapter, &peer.url(), with_keep_alive())?;
    near.connected().await?;
    let deadline = Instant::now() + LONG;
    while near.client.stats().connections < 2 {
        assert!(Instant::now() < deadline, "the link is not found out");
        near.client.publish("a", QoS::AtMostOnce, "x").await?;
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_no_ping(&near.lost().await?, &peer);
    near.works().await?;
    near.leave().await?;
    peer.join()
}

async fn receiving(adapter: &dyn Adapter) -> Result {
    let peer = Peer::new(|listener| {
        let mut stream = accept(&listener)?;
        let mut packets = Packets::new(Version::V5);
        packets.accept(&mut stream)?;
        stream.set_read_timeout(Some(Duration::from_millis(5)))?;
        // The scene's own bound is shorter than this.
        for _ in 0..10_000 {
            stream.write_all(&[0x30, 5, 0, 1, b'a', 0, b'x'])?;
            let error = match packets.next(&mut stream) {
                Ok(packet) => {
                    assert_eq!(packet.packet_type(), PacketType::PingReq);
                    stream.write_all(&[0xD0, 0])?;
                    drop(stream);
                    return serve(&listener);
                }
                Err(error) => error,
            };
            let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
            if !matches!(kind, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut)) {
                return Err(error);
            }
        }
        Err("no PINGREQ".into())
    })?;
    let mut near = Near::start(adapter, &peer.url(), with_keep_alive())?;
    let error = near.lost().await?;
    assert!(matches!(error, ConnectionError::Closed { .. }), "{error:?}");
    near.works().await?;
    near.leave().await?;
    peer.join()
}

const COUNT: usize = 5;

fn growing() -> Backoff {
    Backoff {
        first: Duration::from_millis(4),
        longest: Duration::from_secs(1),
        jitter_percent: 0,
        ..Backoff::default()
    }
}

/// So many losses, after each of which the pause is longer.
async fn patiently(events: &mut Events, right: impl Fn(&ConnectionError) -> bool) -> Result {
    let mut wanted = growing().first;
    for _ in 0..COUNT {
        let lost = events.next().await;
        let Some(ClientEvent::Lost { error, retry_in }) = lost else {
            return Err(format!("{lost:?}").into());
        };
        assert!(right(&error), "{error:?}");
        assert_eq!(retry_in, Some(wanted));
        wanted *= 2;
    }
    Ok(())
}

async fn closes(adapter: &dyn Adapter) -> Result {
    for reads in [false, true] {
        let peer = Peer::new(move |listener| {
            for _ in 0..COUNT {
                let mut stream = accept(&listener)?;
                if reads {
                    Packets::new(Version::V5).connect(&mut stream)?;
                }
            }
            serve(&listener)
        })?;
        let config = config(Version::V5).backoff(growing());
        let mut near = Near::start(adapter, &peer.url(), config)?;
        let right = |error: &ConnectionError| matches!(error, ConnectionError::Unanswered { .. });
        patiently(&mut near.events, right).await?;
        near.works().await?;
        near.leave().await?;
        peer.join()?;
    }
    Ok(())
}

async fn silent(adapter: &dyn Adapter) -> Result {
    let peer = Peer::new(|listener| {
        for _ in 0..COUNT {
            let mut stream = accept(&listener)?;
            Packets::new(Version::V5).connect(&mut stream)?;
            assert_eq!(read_to_end(&mut stream)?, [], "nothing is said to it");
        }
        serve(&listener)
    })?;
    let config = hasty(Version::V5).backoff(growing());
    let mut near = Near::start(adapter, &peer.url(), config)?;
    let right = |error: &ConnectionError| {
        matches!(error, ConnectionError::NoConnAck { after, .. } if *after >= SHORT)
            && error.to_string().contains("sent no CONNACK within ")
    };
    patiently(&mut near.events, right).await?;
    near.works().await?;
    near.leave().await?;
    peer.join()
}

async fn busy(adapter: &dyn Adapter) -> Result {
    for code in [0x97, 0x88, 0x89] {
        let peer = Peer::new(move |listener| {
            for _ in 0..COUNT {
                let mut stream = accept(&listener)?;
                Packets::new(Version::V5).connect(&mut stream)?;
                stream.write_all(&[0x20, 3, 0, code, 0])?;
                assert_eq!(read_to_end(&mut stream)?, []);
            }
            serve(&listener)
        })?;
        let config = config(Version::V5).backoff(growing());
        let mut near = Near::start(adapter, &peer.url(), config)?;
        let right = |error: &ConnectionError| {
            matches!(error, ConnectionError::Refused { .. })
                && error.reason() == Some(ReasonCode(code))
        };
        patiently(&mut near.events, right).await?;
        near.works().await?;
        near.leave().await?;
        peer.join()?;
    }
    Ok(())
}

async fn pushed_out(adapter: &dyn Adapter) -> Result {
    let peer = Peer::new(|listener| {
        let mut stream = accept(&listener)?;
        Packets::new(Version::V5).accept(&mut stream)?;
        stream.write_all(&[0xE0, 1, 0x8E])?;
        assert_eq!(read_to_end(&mut stream)?, []);
        // The next one is another client.
        serve(&listener)
    })?;
    let near = Near::start(adapter, &peer.url(), config(Version::V5))?;
    let closed = near.client.closed().await;
    let error = closed.error.ok_or("no error")?;
    assert_eq!(error.reason(), Some(ReasonCode::SESSION_TAKEN_OVER));
    near.leave().await?;
    let other = Near::start(adapter, &peer.url(), config(Version::V5))?;
    other.works().await?;
    other.leave().await?;
    peer.join()
}

/// Which of them was first can't be told.
async fn early_connack(adapter: &dyn Adapter) -> Result {
    for version in VERSIONS {
        let peer = Peer::new(move |listener| {
            let mut stream = accept(&listener)?;
            stream.write_all(connack(version))?;
            let mut packets = Packets::new(version);
            packets.connect(&mut stream)?;
            assert!(matches!(packets.next(&mut stream)?, Packet::Publish(_)));
            drop(stream);
            serve(&listener)
        })?;
        let mut near = Near::start(adapter, &peer.url(), config(version))?;
        near.connected().await?;
        let delivery = near.client.publish("a", QoS::AtLeastOnce, "x").await?;
        let error = near.lost().await?;
        assert!(matches!(error, ConnectionError::Closed { .. }), "{error:?}");
        delivery.await?;
        near.works().await?;
        near.leave().await?;
        peer.join()?;
    }
    Ok(())
}

async fn round(adapter: &dyn Adapter) -> Result {
    let peer = Peer::new(|listener| {
        let here = listener.local_addr()?.to_string();
        // One that was dialled, and three to which it was sent.
        for _ in 0..4 {
            let mut stream = accept(&listener)?;
            Packets::new(Version::V5).connect(&mut stream)?;
            let reference = [&[0x1C, 0, here.len() as u8], here.as_bytes()].concat();
            let len = reference.len() as u8;
            let head = [0x20, 3 + len, 0, 0x9C, len];
            stream.write_all(&[&head[..], &reference].concat())?;
        }
        serve(&listener)
    })?;
    let config = config(Version::V5).redirects(Redirects::to(["127.0.0.1"]));
    let mut near = Near::start(adapter, &peer.url(), config)?;
    let mut refused = Vec::new();
    while refused.len() < 4 {
        if let Some(ClientEvent::Redirected { followed, .. }) = near.events.next().await {
            refused.push(followed.err());
        }
    }
    let too_many = RedirectRefused::TooMany { max: 3 };
    assert_eq!(refused, [None, None, None, Some(too_many)]);
    near.works().await?;
    near.leave().await?;
    peer.join()
}

/// Its questions are answered as long as it reads; then it is not read any more, and keep-alive finds it out.
async fn asks(adapter: &dyn Adapter) -> Result {
    for version in VERSIONS {
        let peer = Peer::new(move |listener| {
            let mut stream = accept(&listener)?;
            Packets::new(version).accept(&mut stream)?;
            let questions = [0x62, 2, 0, 7].repeat(10_000);
            // Until the client has closed.
            while stream.write_all(&questions).is_ok() {}
            serve(&listener)
        })?;
        let mut near = Near::start(adapter, &peer.url(), impatient(version))?;
        assert_no_ping(&near.lost().await?, &peer);
        near.works().await?;
        near.leave().await?;
        peer.join()?;
    }
    Ok(())
}

/// The server answers each PINGREQ, and sends in between.
async fn unread(adapter: &dyn Adapter) -> Result {
    for full in [InboxFull::Pause, InboxFull::DropOldest] {
        const PINGS: usize = 4;
        let peer = Peer::new(|listener| {
            let mut stream = accept(&listener)?;
            let mut packets = Packets::new(Version::V5);
            packets.accept(&mut stream)?;
            let message = [&[0x30, 0xEC, 7, 0, 1, b'a', 0][..], &[7; 1000]].concat();
            for _ in 0..PINGS {
                stream.write_all(&message.repeat(100))?;
                assert!(matches!(packets.next(&mut stream)?, Packet::PingReq));
                stream.write_all(&[0xD0, 0])?;
            }
            drop(stream);
            serve(&listener)
        })?;
        let mut limits = Limits::default();
        limits.inbox_bytes = 20_000;
        let config = impatient(Version::V5).limits(limits).inbox_full(full);
        let (mut near, mut messages) = Near::reading(adapter, &peer.url(), config)?;
        let error = near.lost().await?;
        assert!(matches!(error, ConnectionError::Closed { .. }), "{error:?}");
        assert!(near.client.stats().dropped_full > 0);
        let mut held = 0;
        while messages.try_next().is_some() {
            held += 1;
        }
        assert!((1..=21).contains(&held), "{held} messages of 1,000 bytes");
        near.works().await?;
        drop(messages);
        near.leave().await?;
        peer.join()?;
    }
    Ok(())
}
