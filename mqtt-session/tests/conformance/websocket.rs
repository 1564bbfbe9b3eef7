//! MQTT over WebSocket (section 6).

use mqtt_session::proto::{QoS, Version};
use mqtt_session::transport::WebSocketError;
use mqtt_session::{Cause, Config, ConnectionError, Endpoint, Phase};

use crate::far::{Record, Scripted, Server, header, upgrade};
use crate::runner::Cases;
use crate::tower::{Far, Tower};

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &["MQTT-6.0.0-1"],
        &["MQTT-6.0.0-1"],
        "packets go out in binary frames alone, and a text frame closes the connection, with the code that says why",
        |version| {
            let (mut tower, record) = connected(version);
            tower.publish(QoS::AtLeastOnce, b"x");
            tower.run();
            // The server fails on any other frame.
            assert!(record.with(|seen| seen.messages.len()) >= 2);
            for text in [&[0x81, 2, 0xD0, 0][..], &[0x01, 1, 0xD0]] {
                let (mut tower, record) = connected(version);
                tower.wire().coming.extend_from_slice(text);
                tower.run();
                let [ConnectionError::Closed { cause, .. }] = &tower.losses()[..] else {
                    panic!("{:?}", tower.losses())
                };
                assert_eq!(*cause, Cause::WebSocket(WebSocketError::TextFrame));
                assert_eq!(record.closes(), [1003]);
                assert!(tower.wire.is_none());
            }
        },
    );
    cases.both(
        &["MQTT-6.0.0-2"],
        &["MQTT-6.0.0-2"],
        "a packet comes in any number of frames, many packets come in one, and a long one goes out in several",
        |version| {
            for (sizes, fragments) in [(&[1][..], false), (&[2, 3], true), (&[usize::MAX], false)] {
                let (mut tower, record) = connected(version);
                record.with(|seen| {
                    seen.sizes = sizes.to_vec();
                    seen.fragments = fragments;
                });
                tower.subscribe();
                let payloads = [&b"first"[..], b"second", &[3; 40_000]];
                for payload in payloads {
                    tower.publish(QoS::ExactlyOnce, payload);
                }
                tower.run();
                assert_eq!(tower.take_all(), payloads);
                tower.check();
                let largest = record.with(|seen| seen.messages.iter().copied().max());
                assert!(largest.is_some_and(|size| size < 40_000), "{largest:?}");
            }
        },
    );
    cases.both(
        &["MQTT-6.0.0-3"],
        &["MQTT-6.0.0-3"],
        "the handshake offers the subprotocol mqtt",
        |version| {
            let (_, record) = connected(version);
            let request = record.requests().remove(0);
            assert_eq!(header(&request, "Sec-WebSocket-Protocol"), Some("mqtt"));
        },
    );
    cases.both(
        &["MQTT-6.0.0-4"],
        &["MQTT-6.0.0-4"],
        "a server that chooses no subprotocol or another one is told, and gets no packet",
        |version| {
            let line = "Sec-WebSocket-Protocol: mqtt\r\n";
            for (instead, expected) in [
                ("", WebSocketError::NoSubprotocol),
                (
                    "Sec-WebSocket-Protocol: amqp\r\n",
                    WebSocketError::OtherSubprotocol("amqp".into()),
                ),
            ] {
                let mut tower = tower(version, move || {
                    Box::new(Scripted::new(move |request: &str| {
                        upgrade(request).replace(line, instead).into_bytes()
                    }))
                });
                tower.start();
                let [ConnectionError::Handshake { cause, .. }] = &tower.losses()[..] else {
                    panic!("{:?}", tower.losses())
                };
                assert_eq!(*cause, Cause::WebSocket(expected));
                assert!(tower.wire.is_none());
                assert_eq!(tower.connection.session().stats().connections, 0);
            }
        },
    );
}

fn tower(version: Version, make: impl FnMut() -> Box<dyn Far> + 'static) -> Tower {
    let config = Config::builder("client").version(version);
    let server = Endpoint::parse("ws://192.0.2.1/mqtt").expect("a good URL");
    Tower::new(config.build().expect("good"), server, make)
}

fn connected(version: Version) -> (Tower, Record) {
    let record = Record::default();
    let seen = record.clone();
    let mut tower = tower(version, move || Box::new(Server::new(seen.clone())));
    tower.start();
    let phase = tower.connection.session().phase();
    assert_eq!(phase, Phase::Connected, "{:?}", tower.events);
    (tower, record)
}
