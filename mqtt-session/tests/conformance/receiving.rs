//! Messages from the server, at each QoS (sections 3.3.4 and 4.3).

use mqtt_session::QueueId;
use mqtt_session::proto::{PacketType, Properties, QoS, Version};

use crate::pair::raw::Raw;
use crate::pair::{Pair, QOS, config, message};
use crate::runner::Cases;
use crate::support::{NONE, ack, flow, lasting, properties};

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &["MQTT-3.3.4-1"],
        &["MQTT-3.3.4-1"],
        "a PUBLISH is answered as its QoS demands: by nothing, PUBACK, or PUBREC",
        |version| {
            let answers: [&[&str]; 3] = [&[], &["PUBACK 7"], &["PUBREC 7"]];
            for (qos, expected) in QOS.into_iter().zip(answers) {
                let mut raw = Raw::connected(config(version));
                raw.feed_publish("a", flow(qos, 7, false), b"x");
                assert_eq!(raw.take_and_ack(), b"x");
                assert_eq!(raw.lines(), expected);
            }
        },
    );
    cases.both(
        &["MQTT-4.5.0-2"],
        &["MQTT-4.5.0-2"],
        "a message that no subscription asked for is acknowledged by its QoS when it is discarded unread",
        |version| {
            for (qos, expected) in [(QoS::AtLeastOnce, "PUBACK 7"), (QoS::ExactlyOnce, "PUBREC 7")] {
                let mut raw = Raw::connected(config(version));
                raw.feed_publish("never/asked/for", flow(qos, 7, false), b"x");
                let received = raw.take(QueueId::DEFAULT);
                drop(received.publish);
                raw.session
                    .ack(raw.now, received.ticket)
                    .expect("a fresh ticket");
                assert_eq!(raw.lines(), [expected]);
            }
        },
    );
    cases.both(
        &["MQTT-4.3.2-4", "MQTT-4.3.2-5"],
        &["MQTT-4.3.2-2"],
        "QoS 1: PUBACK when the application has the message, and then its identifier is new whatever DUP says",
        |version| {
            let mut raw = Raw::connected(config(version));
            for dup in [false, true, true, false] {
                raw.feed_publish("a", flow(QoS::AtLeastOnce, 7, dup), b"x");
                assert_eq!(raw.lines(), Vec::<String>::new(), "nobody owns it yet");
                assert_eq!(raw.take_and_ack(), b"x");
                assert_eq!(raw.lines(), ["PUBACK 7"]);
            }
        },
    );
    cases.both(
        &["MQTT-4.3.3-8", "MQTT-4.3.3-10", "MQTT-4.3.3-11", "MQTT-4.3.3-12"],
        &["MQTT-4.3.3-2"],
        "QoS 2: PUBREC when the application has it, PUBREC again for a repeated one, PUBCOMP for PUBREL, then it is new",
        |version| {
            let mut raw = Raw::connected(lasting(version));
            raw.feed_publish("a", flow(QoS::ExactlyOnce, 7, false), b"one");
            assert_eq!(raw.lines(), Vec::<String>::new(), "nobody owns it yet");
            assert_eq!(raw.take_and_ack(), b"one");
            assert_eq!(raw.lines(), ["PUBREC 7"]);
            for dup in [false, true] {
                raw.feed_publish("a", flow(QoS::ExactlyOnce, 7, dup), b"one");
                assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
                assert_eq!(raw.lines(), ["PUBREC 7"]);
            }
            // Also over a reconnect.
            raw.reconnect(true, NONE);
            raw.packets();
            raw.feed_publish("a", flow(QoS::ExactlyOnce, 7, true), b"one");
            assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
            assert_eq!(raw.lines(), ["PUBREC 7"]);
            raw.feed_ack(PacketType::PubRel, 7);
            assert_eq!(raw.lines(), ["PUBCOMP 7"]);
            for dup in [false, true] {
                raw.feed_publish("a", flow(QoS::ExactlyOnce, 7, dup), b"two");
                assert_eq!(raw.take_and_ack(), b"two");
                assert_eq!(raw.lines(), ["PUBREC 7"]);
                raw.feed_ack(PacketType::PubRel, 7);
                assert_eq!(raw.lines(), ["PUBCOMP 7"]);
            }
        },
    );
    cases.both(
        &["MQTT-4.3.3-10"],
        &["MQTT-4.3.3-2"],
        "QoS 2 reaches the application once when the connection is cut after any byte, in both directions",
        |version| {
            for to_client in [true, false] {
                for cut in 0..70 {
                    let mut pair = Pair::connected(lasting(version));
                    pair.subscribe("a", QoS::ExactlyOnce);
                    pair.run();
                    let direction = if to_client {
                        mqtt_testkit::Direction::ToClient
                    } else {
                        mqtt_testkit::Direction::ToBroker
                    };
                    pair.link().cut_after(direction, cut);
                    let mut taken = Vec::new();
                    for payload in [b"1", b"2", b"3"] {
                        let publish = message("a", payload);
                        pair.broker
                            .publish(pair.clock.now(), &publish, QoS::ExactlyOnce);
                        pair.run();
                        taken.extend(pair.take_all());
                    }
                    pair.run_for(std::time::Duration::from_secs(10));
                    taken.extend(pair.take_all());
                    assert_eq!(taken, [b"1", b"2", b"3"], "cut after {cut}");
                    pair.check();
                }
            }
        },
    );
    cases.v5(
        &["MQTT-4.3.3-13", "MQTT-3.3.2-6"],
        "a received message is handed over with the expiry that the server left it, and its handshake is finished after that has passed",
        || {
            let mut raw = Raw::connected(config(Version::V5));
            let expires = properties(|b| b.message_expiry_interval(5));
            feed_with(&mut raw, QoS::ExactlyOnce, 7, expires);
            raw.advance(std::time::Duration::from_secs(20));
            let received = raw.take(QueueId::DEFAULT);
            let left = received.publish.properties().message_expiry_interval();
            assert_eq!(left, Some(5));
            ack(&mut raw, received);
            assert_eq!(raw.lines(), ["PUBREC 7"]);
            raw.advance(std::time::Duration::from_secs(20));
            raw.feed_ack(PacketType::PubRel, 7);
            assert_eq!(raw.lines(), ["PUBCOMP 7"]);
        },
    );
    cases.both(
        &["MQTT-3.8.4-8"],
        &["MQTT-3.8.4-6"],
        "a message comes at the lower of the published and the granted QoS, and is answered by the QoS that it comes with",
        |version| {
            for granted in QOS {
                for published in QOS {
                    let mut pair = Pair::connected(config(version));
                    pair.subscribe("a", granted);
                    pair.run();
                    let publish = message("a", b"x");
                    pair.broker.publish(pair.clock.now(), &publish, published);
                    pair.run();
                    let received = pair.take().expect("a message");
                    let lower = granted.min(published);
                    assert_eq!(received.publish.qos(), lower);
                    pair.session
                        .ack(pair.now(), received.ticket)
                        .expect("a fresh ticket");
                    pair.run();
                    let delivered = pair.broker.counts("client").delivered;
                    assert_eq!(delivered[usize::from(lower.as_u8())], 1);
                    pair.check();
                }
            }
            // One that comes above what was granted is answered all the same: the server would send it again for ever.
            let mut raw = Raw::connected(config(version));
            raw.feed_publish("a", flow(QoS::ExactlyOnce, 3, false), b"x");
            raw.take_and_ack();
            assert_eq!(raw.lines(), ["PUBREC 3"]);
        },
    );
}

pub(crate) fn feed_with(raw: &mut Raw, qos: QoS, number: u16, properties: Properties) {
    use mqtt_session::proto::{Encoder, Outbox, Sender};
    let publish = message("a", b"x").with_properties(properties);
    let mut out = Outbox::new();
    Encoder::new(raw.version, Sender::Server)
        .publish(&publish, flow(qos, number, false), None, &mut out)
        .expect("a good message");
    raw.bytes_in(&out.to_vec());
}
