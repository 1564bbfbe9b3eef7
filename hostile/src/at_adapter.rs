//! A row over a socket, at a client on an adapter.

use std::io::Write;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};

use mqtt_behaviour::{Adapter, block_on};
use mqtt_session::client::{Client, Delivery};
use mqtt_session::proto::{Packet, PacketId, QoS, SubscribeOptions, TopicFilter};
use mqtt_session::{Limits, Outcome};

use crate::at_session::{ALIVE_ACK, alive};
use crate::ground::{Near, Packets, Peer, accept, config, poll_once, read_to_end, serve};
use crate::memory::Memory;
use crate::row::{Before, Row, Then};
use crate::{Failure, Result};

/// What a small input may allocate, in bytes, beside whatever other trials do meanwhile: less than the 256 MiB that some announce.
const SMALL: usize = 64 << 20;

/// Runs it.
///
/// # Errors
///
/// What went wrong, where it is none of what the row is about.
///
/// # Panics
///
/// When the client does not do what the row says, or the next connection is not clean.
pub fn run(adapter: &dyn Adapter, row: &Row) -> Result {
    let memory = Memory::begin();
    block_on(run_row(adapter, row))?;
    let (allocated, bound) = (memory.allocated(), SMALL + 64 * row.bytes.len());
    assert!(allocated <= bound, "{}: {allocated} bytes", row.title());
    Ok(())
}

async fn run_row(adapter: &dyn Adapter, row: &Row) -> Result {
    let (tell, told) = channel();
    let of_peer = row.clone();
    let peer = Peer::new(move |listener| far(&of_peer, &listener, &tell))?;
    let mut limits = Limits::default();
    limits.max_packet_size = row.limit.unwrap_or(limits.max_packet_size);
    let mut near = Near::start(adapter, &peer.url(), config(row.version).limits(limits))?;
    let client = near.client.clone();
    let mut messages = client.messages();
    let mut pending = None;
    if row.before != Before::Connecting {
        near.connected().await?;
        pending = begin(&client, row.before).await?;
    }
    if let Then::Stays { publishes, .. } = &row.then {
        // All have come before the first is taken: how they are answered depends on it.
        near.until_received(publishes + 1);
        while messages.next().await.ok_or("no message")?.payload() != b"in" {}
        // It is acknowledged when the application comes back.
        assert!(messages.try_next().is_none());
    }
    let error = near.lost().await?;
    row.check(&error, &peer.addr.to_string(), id(&told)?);
    near.works().await?;
    match pending {
        Some(Pending::Asked(asked)) => asked.await?,
        Some(Pending::Sent(sent)) => match sent.await {
            Ok(_) => {}
            Err(error) => assert!(matches!(error.outcome, Outcome::Rejected(_)), "{error:?}"),
        },
        None => {}
    }
    drop((messages, client));
    near.leave().await?;
    peer.join()
}

/// Of what was under way, as the peer saw it.
fn id(told: &Receiver<Option<PacketId>>) -> Result<Option<PacketId>> {
    Ok(told.recv()?)
}

/// What is under way.
enum Pending {
    Asked(Pin<Box<dyn Future<Output = Result>>>),
    Sent(Delivery),
}

/// Brings what the row is about under way.
async fn begin(client: &Client, before: Before) -> Result<Option<Pending>> {
    let filters = ["a", "b/#"].map(|filter| TopicFilter::try_from(filter).unwrap());
    let client = client.clone();
    let mut asked: Pin<Box<dyn Future<Output = Result>>> = match before {
        Before::Connecting | Before::Connected => return Ok(None),
        Before::Subscribing => Box::pin(async move {
            let asked = filters.map(|filter| (filter, SubscribeOptions::new(QoS::ExactlyOnce)));
            drop(client.subscribe_many(asked).await?);
            Ok(())
        }),
        Before::Unsubscribing => {
            Box::pin(async move { Ok(client.unsubscribe(filters.into()).await?) })
        }
        Before::Publishing(qos) => {
            let sent = client.publish("a", qos, "out").await?;
            return Ok(Some(Pending::Sent(sent)));
        }
        Before::Released => {
            let sent = client.publish("a", QoS::ExactlyOnce, "out").await?;
            return Ok(Some(Pending::Sent(sent)));
        }
    };
    assert!(poll_once(asked.as_mut()).is_pending());
    Ok(Some(Pending::Asked(asked)))
}

/// The other end: says what the row says, hears what comes of it, and is a good broker after that.
fn far(row: &Row, listener: &TcpListener, tell: &Sender<Option<PacketId>>) -> Result {
    let case = row.title();
    let mut stream = accept(listener)?;
    let mut packets = Packets::new(row.version);
    packets.connect(&mut stream)?;
    let mut id = None;
    if row.before != Before::Connecting {
        stream.write_all(crate::ground::connack(row.version))?;
        if row.before != Before::Connected {
            id = under_way(&packets.next(&mut stream)?)?;
        }
        if row.before == Before::Released {
            let id = id.ok_or("no identifier")?.get().to_be_bytes();
            stream.write_all(&[&[0x50, 2], &id[..]].concat())?;
            assert!(matches!(packets.next(&mut stream)?, Packet::PubRel(_)));
        }
    }
    tell.send(id)?;
    stream.write_all(&row.bytes.with(id))?;
    let mut answers = row.answers(id);
    match &row.then {
        Then::Ends(_) => {
            let said = [packets.rest(), read_to_end(&mut stream)?].concat();
            assert_eq!(said, answers, "{case}");
        }
        Then::Stays { .. } => {
            stream.write_all(&alive(row.version))?;
            answers.extend(ALIVE_ACK);
            let mut said = packets.rest();
            while said.len() < answers.len() {
                let mut chunk = vec![0; answers.len() - said.len()];
                match std::io::Read::read(&mut stream, &mut chunk)? {
                    0 => return Err(Failure::from(format!("{case}: the client has closed"))),
                    n => said.extend_from_slice(&chunk[..n]),
                }
            }
            assert_eq!(said, answers, "{case}");
        }
        Then::Waits => {}
    }
    drop(stream);
    serve(listener)
}

fn under_way(packet: &Packet) -> Result<Option<PacketId>> {
    match packet {
        Packet::Subscribe(subscribe) => Ok(Some(subscribe.id)),
        Packet::Unsubscribe(unsubscribe) => Ok(Some(unsubscribe.id)),
        Packet::Publish(publish) => Ok(publish.packet_id()),
        other => Err(format!("{other:?} came").into()),
    }
}
