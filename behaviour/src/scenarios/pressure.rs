//! More than there is room for.

use mqtt_session::client::exports::{
    Limits, PacketType, Publish, PublishRefused, QoS, SendError, Topic,
};

use crate::block_on::{both, poll_once};
use crate::{Bench, Result};

use super::{ALL_QOS, List, cramped};

pub(super) fn add(list: &mut List) {
    list.add("a publisher waits for room, and goes on", publisher_waits);
    list.add("a full queue gives the message back", gives_back);
    list.add("a slow consumer stops the socket, and loses nothing", slow);
    for qos in ALL_QOS {
        let name = format!(
            "publishing in the receive loop goes on with room for one at QoS {}",
            qos.as_u8()
        );
        list.add(name, async move |bench: &Bench<'_>| echo(bench, qos).await);
    }
}

async fn publisher_waits(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let config = bench.config("client").limits(cramped()).build()?;
    let client = bench.connect(&server.url(), config).await?;
    server.with(|broker, _| broker.hold(PacketType::PubAck));
    // One in flight, one in the queue; the third has no room while PUBACK is held.
    client.publish("a", QoS::AtLeastOnce, "0").await?;
    server.until("the first has come", |broker| broker.received().len() == 1);
    client.publish("a", QoS::AtLeastOnce, "1").await?;
    let mut third = client.publish("a", QoS::AtLeastOnce, "2");
    assert!(poll_once(&mut third).is_pending());
    server.with(|broker, now| broker.release(now, PacketType::PubAck));
    third.await?;
    for n in 3..100 {
        client.publish("a", QoS::AtLeastOnce, n.to_string()).await?;
    }
    server.until("all have come", |broker| broker.received().len() == 100);
    let wanted: Vec<_> = (0..100).map(|n| n.to_string().into_bytes()).collect();
    assert_eq!(server.payloads(), wanted);
    server.assert_no_violations();
    Ok(())
}

async fn gives_back(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let config = bench.config("client").limits(cramped()).build()?;
    let client = bench.connect(&server.url(), config).await?;
    server.with(|broker, _| broker.hold(PacketType::PubAck));
    let first = client.publish("a", QoS::AtLeastOnce, "0").await?;
    server.until("the first has come", |broker| broker.received().len() == 1);
    let second = client.try_publish("a", QoS::AtLeastOnce, "1")?;
    let message = Publish::new(Topic::try_from("a")?, "2").with_retain(true);
    let error: SendError = client
        .try_publish_message(QoS::AtLeastOnce, message.clone())
        .expect_err("there is no room");
    assert!(error.refused().is_some_and(PublishRefused::is_full));
    assert_eq!(error.into_publish(), Some(message));
    server.with(|broker, now| broker.release(now, PacketType::PubAck));
    first.await?;
    second.await?;
    server.assert_no_violations();
    Ok(())
}

async fn slow(bench: &Bench<'_>) -> Result {
    const SIZE: usize = 64 * 1024;
    const COUNT: usize = 400;
    let server = bench.server()?;
    let mut limits = Limits::default();
    limits.inbox_bytes = 100_000;
    let config = bench.config("client").limits(limits).build()?;
    let client = bench.connect(&server.url(), config).await?;
    let mut messages = client.subscribe("a", QoS::AtMostOnce).await?;
    let topic = Topic::try_from("a")?;
    // More than the sockets hold.
    server.with(|broker, now| {
        for n in 0..COUNT {
            let publish = Publish::new(topic.clone(), vec![n as u8; SIZE]);
            broker.publish(now, &publish, QoS::AtMostOnce);
        }
    });
    server.until_stalled();
    let received = client.stats().received;
    assert!(
        received <= 3,
        "{received} received that nobody has asked for"
    );
    for n in 0..COUNT {
        let message = messages.next().await.expect("a message");
        assert!(message.payload() == vec![n as u8; SIZE], "message {n}");
    }
    assert_eq!(client.stats().dropped, 0);
    server.assert_no_violations();
    Ok(())
}

async fn echo(bench: &Bench<'_>, qos: QoS) -> Result {
    const COUNT: usize = 100;
    let server = bench.server()?;
    let config = bench.config("client").limits(cramped()).build()?;
    let client = bench.connect(&server.url(), config).await?;
    let mut messages = client.subscribe("a", qos).await?;
    client.publish("a", qos, "x").await?;
    for _ in 0..COUNT {
        let message = messages.next().await.expect("a message");
        client.publish("a", qos, message.payload_bytes()).await?;
    }
    // The last one's echo, while another client watches nothing: both at once end, too.
    let (sent, message) = both(client.publish("b", qos, "y"), messages.next()).await;
    sent?;
    assert_eq!(message.expect("a message").payload(), b"x");
    server.assert_no_violations();
    Ok(())
}
