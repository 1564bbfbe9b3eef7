//! Entries 12 to 14 and 18: what is left of one connection on the next.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{Shutdown, TcpStream};

use mqtt_behaviour::Adapter;
use mqtt_session::client::Delivery;
use mqtt_session::proto::{Packet, Publish, PublishView, QoS, Topic, Version};
use mqtt_session::{
    ConfigError, ConnectionError, Durability, Limits, Outcome, PublishRefused, Violation,
};

use super::{About, List};
use crate::Result;
use crate::ground::{Near, Packets, Peer, accept, config, read_to_end, serve};

pub(super) fn add(list: &mut List) {
    list.add(
        About::Entry(12),
        "an alias of the connection before stands for nothing",
        old_alias,
    );
    list.add(
        About::Entry(12),
        "what went out by its alias alone is sent again with its topic",
        own_alias,
    );
    list.add(
        About::Entry(13),
        "identifiers that were in use when the session was lost do not collide",
        lost_session,
    );
    list.add(
        About::Entry(13),
        "with all 65,535 identifiers in use the next messages wait, and then go",
        all_identifiers,
    );
    list.add(
        About::Entry(14),
        "the window is whole again on the next connection",
        window,
    );
    list.add(
        About::Entry(18),
        "what a server can take no more ends as refused, and the rest goes",
        narrower,
    );
    list.add(
        About::Entry(20),
        "who asks for a store is refused before anything is opened: no adapter has one",
        no_store,
    );
}

/// There is nothing that could be corrupt, or full.
async fn no_store(adapter: &dyn Adapter) -> Result {
    let peer = Peer::new(|listener| serve(&listener))?;
    for durability in [Durability::Behind, Durability::WriteAhead] {
        let recorded = config(Version::V5).durability(durability).build()?;
        let refused = adapter.build(&peer.url(), recorded);
        assert_eq!(refused.err(), Some(ConfigError::NoStore.into()));
    }
    // The server is there, and was not asked.
    let near = Near::start(adapter, &peer.url(), config(Version::V5))?;
    near.works().await?;
    assert_eq!(near.client.stats().attempts, 1);
    near.leave().await?;
    peer.join()
}

/// CONNACK of 5.0 with these properties.
fn connack(stream: &mut TcpStream, session_present: bool, properties: &[u8]) -> Result {
    let len = properties.len() as u8;
    let head = [0x20, 3 + len, u8::from(session_present), 0, len];
    stream.write_all(&[&head[..], properties].concat())?;
    Ok(())
}

/// The next packet, which is a PUBLISH.
fn publish(packets: &mut Packets, stream: &mut TcpStream) -> Result<PublishView> {
    match packets.next(stream)? {
        Packet::Publish(publish) => Ok(publish),
        other => Err(format!("{other:?} came").into()),
    }
}

fn id(publish: &PublishView) -> Result<u16> {
    Ok(publish.packet_id().ok_or("no identifier")?.get())
}

fn puback(id: u16) -> Vec<u8> {
    [&[0x40, 2], &id.to_be_bytes()[..]].concat()
}

async fn old_alias(adapter: &dyn Adapter) -> Result {
    let peer = Peer::new(|listener| {
        let mut stream = accept(&listener)?;
        Packets::new(Version::V5).accept(&mut stream)?;
        // `a` is 3 from here on; and once more by that alone.
        stream.write_all(&[0x30, 8, 0, 1, b'a', 3, 0x23, 0, 3, b'x'])?;
        stream.write_all(&[0x30, 7, 0, 0, 3, 0x23, 0, 3, b'y'])?;
        stream.shutdown(Shutdown::Write)?;
        read_to_end(&mut stream)?;
        let mut stream = accept(&listener)?;
        Packets::new(Version::V5).accept(&mut stream)?;
        stream.write_all(&[0x30, 7, 0, 0, 3, 0x23, 0, 3, b'z'])?;
        assert_eq!(read_to_end(&mut stream)?, [0xE0, 1, 0x82]);
        drop(stream);
        serve(&listener)
    })?;
    let (mut near, mut messages) = Near::reading(adapter, &peer.url(), config(Version::V5))?;
    for payload in [b"x", b"y"] {
        let message = messages.next().await.ok_or("no message")?;
        assert_eq!(message.topic(), *"a");
        assert_eq!(message.payload(), payload);
    }
    near.lost().await?;
    let error = near.lost().await?;
    let ConnectionError::Protocol { violation, .. } = error else {
        return Err(error.into());
    };
    assert!(matches!(violation, Violation::UnknownTopicAlias { alias } if alias.get() == 3));
    near.works().await?;
    assert!(messages.try_next().is_none());
    drop(messages);
    near.leave().await?;
    peer.join()
}

async fn own_alias(adapter: &dyn Adapter) -> Result {
    let peer = Peer::new(|listener| {
        for most in [10, 1, 0] {
            let mut stream = accept(&listener)?;
            let mut packets = Packets::new(Version::V5);
            packets.connect(&mut stream)?;
            connack(&mut stream, most < 10, &[0x22, 0, most])?;
            let mut known = false;
            for _ in 0..3 {
                let publish = publish(&mut packets, &mut stream)?;
                let alias = publish.topic_alias().map_or(0, |alias| alias.get());
                assert!(alias <= most.into(), "{alias}");
                assert!(publish.topic() == *"sensors/1" || (alias > 0 && known));
                known |= alias > 0;
                if most == 0 {
                    stream.write_all(&puback(id(&publish)?))?;
                }
            }
        }
        serve(&listener)
    })?;
    let near = Near::start(adapter, &peer.url(), config(Version::V5))?;
    near.connected().await?;
    let mut sent = Vec::new();
    for _ in 0..3 {
        let publishing = near.client.publish("sensors/1", QoS::AtLeastOnce, "x");
        sent.push(publishing.await?);
    }
    for delivery in sent {
        delivery.await?;
    }
    near.works().await?;
    near.leave().await?;
    peer.join()
}

async fn lost_session(adapter: &dyn Adapter) -> Result {
    const COUNT: usize = 40;
    let peer = Peer::new(|listener| {
        for _ in 0..3 {
            let mut stream = accept(&listener)?;
            let mut packets = Packets::new(Version::V5);
            packets.accept(&mut stream)?;
            let mut ids = BTreeSet::new();
            for _ in 0..COUNT {
                let publish = publish(&mut packets, &mut stream)?;
                assert!(!publish.dup(), "the session is another one");
                ids.insert(id(&publish)?);
            }
            assert_eq!(ids.len(), COUNT, "each has its own");
        }
        serve(&listener)
    })?;
    let near = Near::start(adapter, &peer.url(), config(Version::V5))?;
    near.connected().await?;
    let mut sent = Vec::new();
    for n in 0..COUNT {
        let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][n % 2];
        sent.push(near.client.publish("a", qos, n.to_string()).await?);
    }
    for mut delivery in sent {
        (&mut delivery).await?;
        let outcome = delivery.outcome();
        let again = matches!(
            outcome,
            Some(Outcome::Acknowledged {
                republished: true,
                ..
            })
        );
        assert!(again, "{outcome:?}");
    }
    near.works().await?;
    near.leave().await?;
    peer.join()
}

async fn all_identifiers(adapter: &dyn Adapter) -> Result {
    const ALL: usize = 65_535;
    const MORE: usize = 20;
    let peer = Peer::new(|listener| {
        let mut stream = accept(&listener)?;
        let mut packets = Packets::new(Version::V5);
        packets.accept(&mut stream)?;
        let mut ids = BTreeSet::new();
        let mut acks = Vec::new();
        for n in 0..ALL + MORE {
            if n == ALL {
                // Until now none is free.
                assert_eq!(ids.len(), ALL);
                stream.write_all(&acks)?;
                acks.clear();
            }
            let id = id(&publish(&mut packets, &mut stream)?)?;
            ids.insert(id);
            acks.extend(puback(id));
        }
        stream.write_all(&acks)?;
        assert!(matches!(packets.next(&mut stream)?, Packet::Disconnect(_)));
        Ok(())
    })?;
    let mut limits = Limits::default();
    limits.max_queued = ALL + MORE;
    let near = Near::start(adapter, &peer.url(), config(Version::V5).limits(limits))?;
    near.connected().await?;
    let mut sent = Vec::new();
    for _ in 0..ALL + MORE {
        sent.push(near.client.try_publish("a", QoS::AtLeastOnce, "")?);
    }
    for delivery in sent {
        delivery.await?;
    }
    near.leave().await?;
    peer.join()
}

async fn window(adapter: &dyn Adapter) -> Result {
    const WINDOW: u8 = 2;
    let peer = Peer::new(|listener| {
        for present in [false, true, true] {
            let mut stream = accept(&listener)?;
            let mut packets = Packets::new(Version::V5);
            packets.connect(&mut stream)?;
            connack(&mut stream, present, &[0x21, 0, WINDOW])?;
            for _ in 0..WINDOW {
                assert_eq!(publish(&mut packets, &mut stream)?.dup(), present);
            }
        }
        serve(&listener)
    })?;
    let near = Near::start(adapter, &peer.url(), config(Version::V5))?;
    near.connected().await?;
    let mut sent = Vec::new();
    for n in 0..7 {
        let publishing = near.client.publish("a", QoS::AtLeastOnce, n.to_string());
        sent.push(publishing.await?);
    }
    for delivery in sent {
        delivery.await?;
    }
    near.works().await?;
    near.leave().await?;
    peer.join()
}

async fn narrower(adapter: &dyn Adapter) -> Result {
    let peer = Peer::new(|listener| {
        let mut stream = accept(&listener)?;
        let mut packets = Packets::new(Version::V5);
        packets.accept(&mut stream)?;
        for _ in 0..4 {
            packets.next(&mut stream)?;
        }
        drop(stream);
        // Maximum QoS 1, no retained messages, packets of 100 bytes, and one at a time.
        let mut stream = accept(&listener)?;
        let mut packets = Packets::new(Version::V5);
        packets.connect(&mut stream)?;
        let narrow = [0x24, 1, 0x25, 0, 0x27, 0, 0, 0, 100, 0x21, 0, 1];
        connack(&mut stream, true, &narrow)?;
        let publish = publish(&mut packets, &mut stream)?;
        assert_eq!(publish.payload(), b"fits");
        stream.write_all(&puback(id(&publish)?))?;
        drop(stream);
        serve(&listener)
    })?;
    let mut near = Near::start(adapter, &peer.url(), config(Version::V5))?;
    near.connected().await?;
    let client = &near.client;
    let exactly = client.publish("a", QoS::ExactlyOnce, "x").await?;
    let retained = Publish::new(Topic::try_from("a")?, "x").with_retain(true);
    let retained = client.publish_message(QoS::AtLeastOnce, retained).await?;
    let large = client.publish("a", QoS::AtLeastOnce, vec![7; 200]).await?;
    let fits = client.publish("a", QoS::AtLeastOnce, "fits").await?;
    let max = QoS::AtLeastOnce;
    let not_supported = PublishRefused::QoSNotSupported { max };
    assert_eq!(refusal(exactly).await?, not_supported);
    assert_eq!(refusal(retained).await?, PublishRefused::RetainNotAvailable);
    let too_large = refusal(large).await?;
    assert!(
        matches!(too_large, PublishRefused::Encode(_)),
        "{too_large:?}"
    );
    fits.await?;
    near.lost().await?;
    near.works().await?;
    near.leave().await?;
    peer.join()
}

async fn refusal(delivery: Delivery) -> Result<PublishRefused> {
    match delivery.await {
        Err(error) => match error.outcome {
            Outcome::Refused(refused) => Ok(refused),
            other => Err(format!("{other:?}").into()),
        },
        Ok(_) => Err("it was taken".into()),
    }
}
