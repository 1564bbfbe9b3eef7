//! What careless applications and hostile servers do: nothing hangs, nothing grows.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mqtt_session::proto::PacketType;
use mqtt_tokio::{AckMode, Client, Limits, Outcome, QoS, build};
use server::{Result, Server, VERSIONS, config, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn publishing_in_the_receive_loop_goes_on_with_all_limits_at_1() -> Result {
    for version in VERSIONS {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let server = Server::start().await?;
            let mut limits = Limits::default();
            limits.max_queued = 1;
            limits.max_in_flight = 1.try_into()?;
            limits.max_in_flight_v3 = 1.try_into()?;
            limits.receive_maximum = 1.try_into()?;
            limits.outbox_bytes = 1;
            limits.max_requests = 1;
            let config = config("client").version(version).limits(limits);
            let client = mqtt_tokio::connect(&server.url, config.build()?).await?;
            let mut subscription = client.subscribe("a", qos).await?;
            client.publish("a", qos, "x").await?;
            for _ in 0..100 {
                let message = soon(subscription.next()).await.unwrap();
                soon(client.publish("a", qos, message.payload_bytes())).await?;
            }
            server.assert_no_violations();
        }
    }
    Ok(())
}

/// Accepts a client and its subscription, sends QoS 0 without an end, and counts the PINGREQs of the next moments.
async fn flood(stream: TcpStream) -> Result<usize> {
    let (mut read, mut write) = stream.into_split();
    let mut bytes = [0; 1024];
    assert!(read.read(&mut bytes).await? > 0, "CONNECT");
    write.write_all(&[0x20, 3, 0, 0, 0]).await?;
    assert!(read.read(&mut bytes).await? > 0, "SUBSCRIBE");
    let suback = [0x90, 4, bytes[2], bytes[3], 0, 0];
    write.write_all(&suback).await?;
    let publish = *b"\x30\x0E\0\x01a\0ten bytes.";
    let mut some = publish.repeat(1000);
    // PINGRESP, asked for or not.
    some.extend_from_slice(&[0xD0, 0]);
    let flooding = tokio::spawn(async move { while write.write_all(&some).await.is_ok() {} });
    let mut pings = 0;
    let counting = async {
        while let Ok(n @ 1..) = read.read(&mut bytes).await {
            pings += bytes[..n].iter().filter(|byte| **byte == 0xC0).count();
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(1700), counting).await;
    flooding.abort();
    Ok(pings)
}

#[tokio::test]
async fn a_flood_of_qos_0_that_nobody_reads_is_bounded_and_does_not_stop_the_keep_alive() -> Result
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("mqtt://{}", listener.local_addr()?);
    let flooding = tokio::spawn(async move { flood(listener.accept().await?.0).await });
    let mut limits = Limits::default();
    limits.inbox_bytes = 100_000;
    let config = config("client")
        .keep_alive(Duration::from_secs(1))
        .limits(limits);
    let client = mqtt_tokio::connect(&url, config.build()?).await?;
    let mut subscription = client.subscribe("a", QoS::AtMostOnce).await?;
    let pings = soon(flooding).await??;
    assert!(pings >= 2, "{pings}");
    client.disconnect(Duration::ZERO).await;
    let mut held = 0;
    while subscription.next().await.is_some() {
        held += 1;
    }
    assert!(held <= 100_000 / 16 + 1, "{held} messages of 16 bytes");
    Ok(())
}

/// What a test holds, to be dropped in the order of `steps`.
fn orders(steps: usize) -> Vec<Vec<usize>> {
    let Some(last) = steps.checked_sub(1) else {
        return vec![Vec::new()];
    };
    let shorter = orders(last);
    let longer = shorter.iter().flat_map(|order| {
        (0..steps).map(move |at| {
            let mut order = order.clone();
            order.insert(at, last);
            order
        })
    });
    longer.collect()
}

#[tokio::test]
async fn handles_and_driver_may_go_in_any_order_with_messages_unacknowledged() -> Result {
    for order in orders(4) {
        let server = Server::start().await?;
        let (client, driver) = build(&server.url, config("client").build()?)?;
        let driver = tokio::spawn(driver);
        soon(client.connect()).await?;
        let subscription = client.subscribe("a", QoS::AtLeastOnce).await?;
        let mut subscription = subscription.with_ack_mode(AckMode::Manual);
        client.publish("a", QoS::AtLeastOnce, "x").await?.await?;
        let acker = soon(subscription.next()).await.unwrap().take_acker();
        server.with(|broker, _| broker.hold(PacketType::PubRec));
        let delivery = client.publish("a", QoS::ExactlyOnce, "y").await?;
        let (mut client, mut subscription, mut acker) = (Some(client), Some(subscription), acker);
        let abort = driver.abort_handle();
        for step in &order {
            match step {
                0 => drop(client.take()),
                1 => drop(subscription.take()),
                2 => drop(acker.take().map(|acker| acker.ack())),
                _ => abort.abort(),
            }
            tokio::task::yield_now().await;
        }
        let error = soon(delivery).await.unwrap_err();
        assert_eq!(error.outcome, Outcome::Closed, "{order:?}");
        let _ = soon(driver).await;
    }
    Ok(())
}

#[test]
fn a_runtime_that_is_dropped_ends_what_is_awaited_elsewhere() -> Result {
    let runtime = tokio::runtime::Runtime::new()?;
    let server = runtime.block_on(Server::start())?;
    let client = runtime.block_on(server.connect())?;
    let mut subscription = runtime.block_on(client.subscribe("a", QoS::AtLeastOnce))?;
    server.with(|broker, _| broker.hold(PacketType::PubAck));
    let delivery = runtime.block_on(client.publish("a", QoS::AtLeastOnce, "x"))?;
    drop(runtime);
    let mut other = tokio::runtime::Builder::new_current_thread();
    other.enable_time().build()?.block_on(async {
        let error = soon(delivery).await.unwrap_err();
        assert_eq!(error.outcome, Outcome::Closed);
        while soon(subscription.next()).await.is_some() {}
        soon(client.closed()).await;
        soon(client.disconnect(Duration::MAX)).await;
    });
    Ok(())
}

#[tokio::test]
async fn a_drain_without_end_ends_when_all_is_acknowledged() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let delivery = client.publish("a", QoS::AtLeastOnce, "x").await?;
    soon(client.disconnect(Duration::MAX)).await;
    delivery.await?;
    Ok(())
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Waits until the client has heard more from the server than it had.
async fn heard_more(client: &Client, before: u64) {
    soon(async {
        while client.stats().bytes_received == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_subscribe_that_is_dropped_between_its_answer_and_the_next_poll_is_unsubscribed() -> Result
{
    for version in VERSIONS {
        let server = Server::start().await?;
        let client =
            mqtt_tokio::connect(&server.url, config("client").version(version).build()?).await?;
        {
            let before = client.stats().bytes_received;
            let mut subscribe = pin!(client.subscribe("a", QoS::AtLeastOnce));
            assert!(poll_once(subscribe.as_mut()).is_pending());
            heard_more(&client, before).await;
        }
        client
            .publish("b", QoS::AtLeastOnce, "behind it")
            .await?
            .await?;
        assert_eq!(server.received("SUBSCRIBE"), 1);
        assert_eq!(server.received("UNSUBSCRIBE"), 1, "{version:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_subscribe_that_is_dropped_after_its_answer_leaves_another_handle_on_the_filter_alone()
-> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let mut other = client.subscribe("a", QoS::AtLeastOnce).await?;
    {
        let before = client.stats().bytes_received;
        let mut subscribe = pin!(client.replace_subscription("a", QoS::AtLeastOnce));
        assert!(poll_once(subscribe.as_mut()).is_pending());
        heard_more(&client, before).await;
    }
    client.publish("a", QoS::AtLeastOnce, "x").await?.await?;
    assert!(soon(other.next()).await.is_some());
    assert_eq!(server.received("UNSUBSCRIBE"), 0);
    Ok(())
}

#[tokio::test]
async fn what_a_dropped_subscription_had_not_read_goes_to_the_next_one_on_its_filter() -> Result {
    let server = Server::start().await?;
    let client = server.connect().await?;
    let mut first = client.subscribe("a", QoS::AtLeastOnce).await?;
    for n in 0..3u8 {
        client
            .publish("a", QoS::AtLeastOnce, vec![n])
            .await?
            .await?;
    }
    assert_eq!(first.next().await.unwrap().payload(), [0]);
    drop(first);
    let mut second = client.subscribe("a", QoS::AtLeastOnce).await?;
    for n in 1..3u8 {
        let message = tokio::time::timeout(Duration::from_millis(500), second.next()).await;
        assert_eq!(message.expect("in time").unwrap().payload(), [n]);
    }
    Ok(())
}

#[tokio::test]
async fn subscriptions_dropped_unread_and_made_again_do_not_stall_the_session() -> Result {
    let server = Server::start().await?;
    let mut limits = Limits::default();
    limits.receive_maximum = 4.try_into()?;
    let client = mqtt_tokio::connect(&server.url, config("client").limits(limits).build()?).await?;
    for _ in 0..3 {
        let mut subscription = client.subscribe("a", QoS::AtLeastOnce).await?;
        for _ in 0..3 {
            client.publish("a", QoS::AtLeastOnce, "x").await?.await?;
        }
        let next = tokio::time::timeout(Duration::from_millis(500), subscription.next()).await;
        assert!(next.is_ok(), "stalled");
    }
    Ok(())
}
