//! The network connection as a stream of bytes (section 4.2).

use mqtt_proto::{Encoder, Flow, Outbox, Packet, Publish, QoS, Sender, Topic, Version};

use crate::peer::{block_on, config, connected};
use crate::runner::Cases;

const COUNT: usize = 40;

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &["MQTT-4.2-1"],
        &["MQTT-7.1.2-1"],
        "bytes pass in order and without loss in both directions, however they are cut",
        |version| block_on(both_ways(version)),
    );
}

/// A payload that no other is like, of a size that fits no buffer.
fn payload(n: usize) -> Vec<u8> {
    (0..n * 7919 + 1).map(|at| (at * 31 + n) as u8).collect()
}

async fn both_ways(version: Version) {
    let (mut peer, client) = connected(config(version)).await;
    let mut messages = client.messages();
    for n in 0..COUNT {
        client
            .publish("up", QoS::AtMostOnce, payload(n))
            .await
            .unwrap();
    }
    for n in 0..COUNT {
        let Some(Packet::Publish(publish)) = peer.read().await else {
            panic!("no PUBLISH")
        };
        assert_eq!(publish.payload(), payload(n));
    }
    let mut out = Outbox::new();
    for n in 0..COUNT {
        let publish = Publish::new(Topic::try_from("down").unwrap(), payload(n));
        Encoder::new(version, Sender::Server)
            .publish(&publish, Flow::AtMostOnce, None, &mut out)
            .unwrap();
    }
    let sending = tokio::spawn(async move {
        for piece in out.to_vec().chunks(65_521) {
            peer.write(piece).await;
        }
        peer
    });
    for n in 0..COUNT {
        let message = messages.next().await.unwrap();
        assert_eq!(message.payload(), payload(n));
    }
    drop(sending.await.unwrap());
}
