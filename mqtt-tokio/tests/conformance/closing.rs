//! Who closes the network connection, and when (sections 3.2.2, 3.14.4, 4.8 of 3.1.1, and 4.13).

use std::time::Duration;

use mqtt_proto::{Disconnect, Packet, QoS, ReasonCode, Version};
use mqtt_tokio::{Cause, ClientEvent, ConnectError, ConnectionError, Limits};

use crate::peer::{block_on, config, connected, connecting};
use crate::runner::Cases;

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &["MQTT-3.2.2-7", "MQTT-4.13.2-1"],
        &["MQTT-3.2.2-5"],
        "a CONNACK that refuses makes the client close, even where the server does not",
        |version| {
            block_on(async {
                let code = if version.is_v5() { 0x87 } else { 5 };
                let (mut peer, client) = connecting(config(version)).await;
                peer.connack(code).await;
                assert_eq!(peer.rest().await, []);
                let error = failure(client.await.unwrap().unwrap_err());
                let ConnectionError::Refused { reason, .. } = error else {
                    panic!("{error}")
                };
                assert_eq!(reason, ReasonCode::NOT_AUTHORIZED);
            });
        },
    );
    cases.v311(
        &["MQTT-3.2.2-6"],
        "a server that closes without CONNACK is told as one that did",
        || {
            block_on(async {
                let (peer, client) = connecting(config(Version::V3_1_1)).await;
                drop(peer);
                let error = failure(client.await.unwrap().unwrap_err());
                let ConnectionError::Unanswered { cause, .. } = error else {
                    panic!("{error}")
                };
                assert_eq!(cause, Cause::Eof);
            });
        },
    );
    cases.both(
        &["MQTT-3.14.4-2"],
        &["MQTT-3.14.4-1"],
        "the client closes after DISCONNECT, and says nothing between",
        |version| {
            block_on(async {
                let (mut peer, client) = connected(config(version)).await;
                let leaving = client.disconnect(Duration::from_secs(1));
                let (rest, ()) = tokio::join!(peer.rest(), leaving);
                assert_eq!(rest, [Packet::Disconnect(Disconnect::default())]);
            });
        },
    );
    cases.both(
        &["MQTT-4.13.1-1"],
        &["MQTT-4.8.0-1"],
        "a malformed packet and a breach of the protocol make the client close, in 5.0 with the reason",
        |version| {
            block_on(async {
                let breaches: [(&[u8], u8); 4] = [
                    (&[0x36, 6, 0, 1, b'a', 0, 1, 0], 0x81),
                    (&[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], 0x81),
                    (&[0xC0, 0], 0x82),
                    (if version.is_v5() { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] }, 0x82),
                ];
                for (bytes, reason) in breaches {
                    let (mut peer, client) = connected(config(version)).await;
                    let mut events = client.events();
                    peer.write(bytes).await;
                    let said = Packet::Disconnect(Disconnect::new(ReasonCode(reason)));
                    let expected: &[Packet] = if version.is_v5() { &[said] } else { &[] };
                    assert_eq!(peer.rest().await, expected);
                    let event = events.next().await;
                    assert!(matches!(event, Some(ClientEvent::Lost { .. })), "{event:?}");
                }
            });
        },
    );
    cases.v5(
        &["MQTT-4.13.2-1", "MQTT-4.12.1-2"],
        "a DISCONNECT of the server, as after a re-authentication that failed, makes the client close, without an answer",
        || {
            block_on(async {
                for reason in [0x8B, 0x87, 0x8C] {
                    let (mut peer, _client) = connected(config(Version::V5)).await;
                    peer.write(&[0xE0, 1, reason]).await;
                    assert_eq!(peer.rest().await, []);
                }
            });
        },
    );
    cases.v311(
        &["MQTT-4.8.0-2"],
        "a message that there is no room for makes the client close",
        || {
            block_on(async {
                let mut limits = Limits::default();
                limits.inbox_bytes = 1000;
                let (mut peer, client) = connected(config(Version::V3_1_1).limits(limits)).await;
                let mut events = client.events();
                // While it waits for an answer it has to read on.
                let _waits = client.publish("a", QoS::AtLeastOnce, "").await.unwrap();
                let publish = peer.read().await;
                assert!(matches!(publish, Some(Packet::Publish(_))), "{publish:?}");
                for number in 1..=3 {
                    let mut message = vec![0x32, 0xE5, 0x06, 0, 1, b'a', 0, number];
                    message.resize(3 + 0x365, 0);
                    peer.write(&message).await;
                }
                assert_eq!(peer.rest().await, []);
                let event = events.next().await;
                assert!(matches!(event, Some(ClientEvent::Unclaimed { .. })));
                let event = events.next().await;
                let Some(ClientEvent::Lost { error, .. }) = event else {
                    panic!("{event:?}")
                };
                assert!(
                    matches!(error, ConnectionError::InboxFull { .. }),
                    "{error}"
                );
            });
        },
    );
}

fn failure(error: ConnectError) -> ConnectionError {
    match error {
        ConnectError::Connection(error) => *error,
        other => panic!("{other}"),
    }
}
