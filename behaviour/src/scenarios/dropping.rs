//! Futures that are dropped before they have resolved: after no poll, after each one, and when they were woken and not polled again.

use std::future::poll_fn;
use std::num::NonZeroU16;
use std::pin::pin;
use std::task::Poll;

use mqtt_session::client::Client;
use mqtt_session::client::exports::{Limits, PacketType, Phase, QoS, TopicFilter};

use crate::block_on::{LONG, both};
use crate::{Bench, Result, Server};

use super::List;

pub(super) fn add(list: &mut List) {
    list.add(
        "a connect that is dropped goes on, or was never begun",
        connect,
    );
    list.add(
        "a connect that is dropped with its client leaves no connection",
        whole_connect,
    );
    list.add("a subscribe that is dropped is undone", subscribe);
    list.add("an unsubscribe that is dropped goes its way", unsubscribe);
    list.add(
        "a publish that is dropped was not accepted, and takes nobody's turn",
        publish,
    );
    list.add("a delivery that is dropped loses no message", delivery);
    list.add("a next that is dropped loses no message", next);
    list.add(
        "a disconnect that is dropped loses nothing that was accepted",
        disconnect,
    );
}

/// When a future is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dropped {
    /// After so many polls.
    After(usize),
    /// When it was woken after so many polls, without another one.
    Woken(usize),
}

/// Each time at which a future can be dropped: `try_it` tells whether it had resolved by then, which ends it.
async fn each(mut try_it: impl AsyncFnMut(Dropped) -> Result<bool>) -> Result {
    // None of them takes more: it waits for one thing.
    const MOST: usize = 16;
    let (mut polls, mut at_once) = (0, 0);
    while polls < MOST {
        if try_it(Dropped::After(polls)).await? {
            if polls > 1 {
                return Ok(());
            }
            // Where another thread is quicker, all may be over before the first poll.
            at_once += 1;
            assert!(at_once < MOST, "it has nothing to wait for");
            continue;
        }
        if polls > 0 {
            try_it(Dropped::Woken(polls)).await?;
        }
        polls += 1;
    }
    panic!("it has not resolved after {MOST} polls")
}

/// Polls when it is woken, and drops at that time; `between` is run after the first poll, to bring about what is waited for. What came of it.
async fn dropped<F: Future>(future: F, when: Dropped, between: impl Fn()) -> Option<F::Output> {
    let mut future = pin!(future);
    let (polls, woken) = match when {
        Dropped::After(polls) => (polls, false),
        Dropped::Woken(polls) => (polls, true),
    };
    let mut polled = 0;
    poll_fn(|context| {
        if polled == polls {
            return Poll::Ready(None);
        }
        polled += 1;
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if polled == 1 && (polls > 1 || woken) {
            between();
        }
        if polled == polls && !woken {
            return Poll::Ready(None);
        }
        Poll::Pending
    })
    .await
}

/// Keeps the server from sending these until what this gives is called, which may be more than once.
fn hold(server: &Server, packet_type: PacketType) -> impl Fn() + '_ {
    server.with(|broker, _| broker.hold(packet_type));
    move || server.with(|broker, now| broker.release(now, packet_type))
}

/// Both directions, with a topic of its own.
async fn works(client: &Client, topic: &str) -> Result {
    let mut own = client.subscribe(topic, QoS::AtLeastOnce).await?;
    client
        .publish(topic, QoS::ExactlyOnce, "works")
        .await?
        .await?;
    let message = own.next().await.ok_or("no message")?;
    assert_eq!(message.payload(), b"works");
    drop(own);
    client.unsubscribe(vec![topic.try_into()?]).await?;
    Ok(())
}

async fn connect(bench: &Bench<'_>) -> Result {
    each(async |when| {
        let server = bench.server()?;
        let (client, running) = bench.build(&server.url(), bench.config("client").build()?)?;
        let release = hold(&server, PacketType::ConnAck);
        let connected = dropped(client.connect(), when, &release).await;
        release();
        let resolved = connected.transpose()?.is_some();
        if when == Dropped::After(0) {
            assert_eq!(client.phase(), Phase::Idle);
            client.start();
        }
        client.connected().await?;
        works(&client, "works").await?;
        client.disconnect(LONG).await;
        running.ended().await;
        server.assert_no_violations();
        Ok(resolved)
    })
    .await
}

/// The adapter's own: the client that it would give is gone with it.
async fn whole_connect(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    each(async |when| {
        let connecting = bench.connect(&server.url(), bench.config("client").build()?);
        let release = hold(&server, PacketType::ConnAck);
        let connected = dropped(connecting, when, &release).await.transpose()?;
        release();
        let resolved = connected.is_some();
        drop(connected);
        server.until_alone();
        let next = bench
            .connect(&server.url(), bench.config("next").build()?)
            .await?;
        works(&next, "works").await?;
        next.disconnect(LONG).await;
        Ok(resolved)
    })
    .await
}

async fn connected(bench: &Bench<'_>, server: &Server) -> Result<Client> {
    let config = bench.config("client").build()?;
    Ok(bench.connect(&server.url(), config).await?)
}

/// How many subscriptions the server has.
fn subscriptions(server: &Server) -> usize {
    server.with(|broker, _| {
        broker
            .session("client")
            .map_or(0, |session| session.subscriptions.len())
    })
}

async fn subscribe(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let client = connected(bench, &server).await?;
    each(async |when| {
        let release = hold(&server, PacketType::SubAck);
        let subscribed = dropped(client.subscribe("a", QoS::AtLeastOnce), when, &release).await;
        release();
        let resolved = subscribed.transpose()?.map(drop).is_some();
        // One that has come about is dropped, too, and the server is not told of that.
        let left = usize::from(resolved);
        server.until("it is undone", |broker| {
            broker
                .session("client")
                .is_some_and(|session| session.subscriptions.len() == left)
        });
        if resolved {
            client.unsubscribe(vec!["a".try_into()?]).await?;
        }
        works(&client, "a").await?;
        assert_eq!(subscriptions(&server), 0);
        Ok(resolved)
    })
    .await?;
    client.disconnect(LONG).await;
    server.assert_no_violations();
    Ok(())
}

async fn unsubscribe(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let client = connected(bench, &server).await?;
    let filter = TopicFilter::try_from("a")?;
    each(async |when| {
        let held = client.subscribe(filter.clone(), QoS::AtLeastOnce).await?;
        let release = hold(&server, PacketType::UnsubAck);
        let unsubscribed = dropped(client.unsubscribe(vec![filter.clone()]), when, &release).await;
        release();
        let resolved = unsubscribed.transpose()?.is_some();
        if when == Dropped::After(0) {
            assert_eq!(subscriptions(&server), 1);
            client.unsubscribe(vec![filter.clone()]).await?;
        }
        server.until("it has gone its way", |broker| {
            broker
                .session("client")
                .is_some_and(|session| session.subscriptions.is_empty())
        });
        drop(held);
        works(&client, "a").await?;
        Ok(resolved)
    })
    .await?;
    client.disconnect(LONG).await;
    server.assert_no_violations();
    Ok(())
}

async fn publish(bench: &Bench<'_>) -> Result {
    let mut limits = Limits::default();
    limits.max_queued = 1;
    limits.max_in_flight = NonZeroU16::MIN;
    each(async |when| {
        let server = bench.server()?;
        let config = bench.config("client").limits(limits).build()?;
        let (client, running) = bench.build(&server.url(), config)?;
        // Without a connection: this fills the queue.
        let first = client.publish("a", QoS::AtLeastOnce, "first").await?;
        let waits = client.publish("a", QoS::AtLeastOnce, "dropped");
        let (waited, behind) = both(
            async {
                let waited = dropped(waits, when, || client.start()).await;
                client.start();
                waited
            },
            async {
                Result::Ok(
                    client
                        .publish("a", QoS::AtLeastOnce, "behind")
                        .await?
                        .await?,
                )
            },
        )
        .await;
        behind?;
        first.await?;
        let resolved = match waited.transpose()? {
            Some(delivery) => {
                delivery.await?;
                true
            }
            None => false,
        };
        works(&client, "works").await?;
        client.disconnect(LONG).await;
        running.ended().await;
        let mut payloads = server.payloads();
        payloads.sort();
        let expected: &[&[u8]] = match resolved {
            true => &[b"behind", b"dropped", b"first", b"works"],
            false => &[b"behind", b"first", b"works"],
        };
        assert_eq!(payloads, expected, "{when:?}");
        server.assert_no_violations();
        Ok(resolved)
    })
    .await
}

async fn delivery(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let client = connected(bench, &server).await?;
    let mut sent = 0;
    each(async |when| {
        let release = hold(&server, PacketType::PubComp);
        let delivery = client.publish("a", QoS::ExactlyOnce, "x").await?;
        sent += 1;
        let delivered = dropped(delivery, when, &release).await;
        release();
        let resolved = delivered.transpose()?.is_some();
        server.until("it has come", |broker| broker.received().len() == sent);
        Ok(resolved)
    })
    .await?;
    works(&client, "works").await?;
    client.disconnect(LONG).await;
    assert_eq!(server.payloads().len(), sent + 1);
    server.assert_no_violations();
    Ok(())
}

async fn next(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let client = connected(bench, &server).await?;
    let mut messages = client.subscribe("a", QoS::ExactlyOnce).await?;
    let mut number = 0;
    each(async |when| {
        let send = || {
            server
                .send("a", QoS::ExactlyOnce, number..number + 1)
                .expect("a good topic")
        };
        let message = dropped(messages.next(), when, send).await;
        let resolved = message.is_some();
        if matches!(when, Dropped::After(0 | 1)) {
            send();
        }
        let message = match message {
            Some(message) => message,
            None => messages.next().await,
        };
        let message = message.ok_or("no message")?;
        assert_eq!(message.payload(), number.to_string().as_bytes(), "{when:?}");
        number += 1;
        Ok(resolved)
    })
    .await?;
    drop(messages);
    works(&client, "works").await?;
    client.disconnect(LONG).await;
    server.assert_no_violations();
    Ok(())
}

async fn disconnect(bench: &Bench<'_>) -> Result {
    each(async |when| {
        let server = bench.server()?;
        let (client, running) = bench.build(&server.url(), bench.config("client").build()?)?;
        client.connect().await?;
        let release = hold(&server, PacketType::PubAck);
        let delivery = client.publish("a", QoS::AtLeastOnce, "accepted").await?;
        let resolved = dropped(client.disconnect(LONG), when, &release)
            .await
            .is_some();
        if when == Dropped::After(0) {
            // It was never begun.
            release();
            works(&client, "works").await?;
            client.disconnect(LONG).await;
        }
        release();
        client.closed().await;
        running.ended().await;
        delivery.await?;
        assert!(
            server.payloads().contains(&b"accepted".to_vec()),
            "{when:?}"
        );
        server.until_alone();
        assert_eq!(server.count(PacketType::Disconnect), 1, "{when:?}");
        server.assert_no_violations();
        Ok(resolved)
    })
    .await
}
