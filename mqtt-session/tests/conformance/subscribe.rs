//! SUBSCRIBE, UNSUBSCRIBE and their answers (sections 3.8 to 3.11).

use mqtt_session::proto::{
    Packet, PacketId, Properties, QoS, ReasonCode, RetainHandling, SubAck, SubscribeOptions,
    TopicFilter, UnsubAck, Version,
};
use mqtt_session::{Event, QueueId, SubscribeError, Token, Violation};

use crate::pair::raw::Raw;
use crate::pair::{Pair, config, message};
use crate::runner::Cases;
use crate::support::{NONE, ack, assert_violated, flow, properties, unsuback};

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &[
            "MQTT-3.8.4-1",
            "MQTT-3.8.4-5",
            "MQTT-3.8.4-6",
            "MQTT-3.9.3-1",
        ],
        &[
            "MQTT-3.8.4-1",
            "MQTT-3.8.4-4",
            "MQTT-3.8.4-5",
            "MQTT-3.9.3-1",
        ],
        "many filters go out in one SUBSCRIBE, and one SUBACK has a code for each, in their order",
        |version| {
            let mut pair = Pair::connected(config(version));
            let refused = if version.is_v5() {
                ReasonCode::NOT_AUTHORIZED
            } else {
                ReasonCode::UNSPECIFIED_ERROR
            };
            pair.broker
                .refuse_subscription("b".try_into().expect("a filter"), refused);
            let asked = filters(&[("a", 0), ("b", 1), ("c/#", 2), ("d", 1)]);
            let token = pair
                .session
                .subscribe(pair.now(), asked, NONE, QueueId::DEFAULT)
                .expect("accepted");
            pair.run();
            let codes = [0, refused.0, 2, 1].map(ReasonCode).to_vec();
            assert_eq!(subscribed(&pair.events, token), Some(Ok(codes)));
            let granted = pair.broker.session("client").expect("a session");
            assert_eq!(granted.subscriptions.len(), 3);
            for topic in ["a", "b", "c/d", "d"] {
                pair.broker
                    .publish(pair.clock.now(), &message(topic, b"x"), QoS::AtMostOnce);
            }
            assert_eq!(
                pair.take_all().len() + {
                    pair.run();
                    pair.take_all().len()
                },
                3
            );
            pair.check();
        },
    );
    cases.both(
        &["MQTT-3.8.4-6", "MQTT-3.9.3-1"],
        &["MQTT-3.8.4-5", "MQTT-3.9.3-1"],
        "a SUBACK with another number of codes than filters ends the connection, and the request waits on",
        |version| {
            for count in [1, 2, 4, 9] {
                let mut raw = Raw::connected(config(version));
                let token = raw
                    .session
                    .subscribe(
                        raw.now,
                        filters(&[("a", 0), ("b", 1), ("c", 2)]),
                        NONE,
                        QueueId::DEFAULT,
                    )
                    .expect("accepted");
                let id = request(&mut raw);
                raw.feed(&suback(id, &vec![0; count]));
                let violation = assert_violated(&mut raw, 0x82);
                let wrong = Violation::CodeCount {
                    packet: mqtt_session::proto::PacketType::SubAck,
                    got: count,
                    wanted: 3,
                };
                assert_eq!(violation, wrong);
                assert_eq!(subscribed(&raw.events, token), None);
            }
        },
    );
    cases.both(
        &["MQTT-3.10.4-4", "MQTT-3.10.4-6", "MQTT-3.11.3-1", "MQTT-3.10.4-5"],
        &["MQTT-3.10.4-4", "MQTT-3.10.4-5", "MQTT-3.10.4-6"],
        "many filters go out in one UNSUBSCRIBE, and one UNSUBACK answers, also where nothing matched",
        |version| {
            let mut pair = Pair::connected(config(version));
            pair.subscribe("a", QoS::AtLeastOnce);
            pair.subscribe("b", QoS::AtLeastOnce);
            pair.run();
            for (names, codes) in [(["a", "x", "b"], [0, 0x11, 0]), (["a", "x", "b"], [0x11; 3])] {
                let token = pair
                    .session
                    .unsubscribe(pair.now(), names.map(filter).to_vec(), NONE)
                    .expect("accepted");
                pair.run();
                let told = unsubscribed(&pair.events, token).expect("answered");
                let codes = codes.map(ReasonCode).to_vec();
                let expected = if version.is_v5() { codes } else { Vec::new() };
                assert_eq!(told, Ok(expected));
            }
            assert_eq!(pair.broker.session("client").expect("one").subscriptions, []);
            pair.check();
        },
    );
    cases.v5(
        &["MQTT-3.11.3-1"],
        "an UNSUBACK with another number of codes than filters ends the connection",
        || {
            for count in [0, 1, 3] {
                let mut raw = Raw::connected(config(Version::V5));
                raw.session
                    .unsubscribe(raw.now, ["a", "b"].map(filter).to_vec(), NONE)
                    .expect("accepted");
                let id = request(&mut raw);
                let codes = vec![ReasonCode::SUCCESS; count];
                let unsuback = UnsubAck {
                    id,
                    codes,
                    properties: NONE,
                };
                if count == 0 {
                    let [high, low] = id.get().to_be_bytes();
                    raw.bytes_in(&[0xB0, 3, high, low, 0]);
                    crate::support::assert_ended(&mut raw, 0x82);
                } else {
                    raw.feed(&Packet::UnsubAck(unsuback));
                    assert_violated(&mut raw, 0x82);
                }
            }
        },
    );
    cases.both(
        &["MQTT-3.10.4-2"],
        &["MQTT-3.10.4-2"],
        "after UNSUBACK nothing reaches the queue of what was unsubscribed, even if the server sends on",
        |version| {
            let mut raw = Raw::connected(config(version));
            let queue = raw.session.open_queue();
            raw.subscribe("a", queue);
            let id = request(&mut raw);
            raw.feed(&suback(id, &[1]));
            raw.feed_publish("a", flow(QoS::AtLeastOnce, 1, false), b"asked for");
            let received = raw.take(queue);
            ack(&mut raw, received);
            raw.session
                .unsubscribe(raw.now, vec![filter("a")], NONE)
                .expect("accepted");
            raw.packets();
            raw.feed(&unsuback(version, id));
            raw.feed_publish("a", flow(QoS::AtLeastOnce, 2, false), b"not asked for");
            assert!(raw.session.poll_message(queue).is_none());
            assert_eq!(raw.take_and_ack(), b"not asked for");
            assert_eq!(raw.lines(), ["PUBACK 2"]);
        },
    );
    cases.both(
        &["MQTT-3.10.4-3"],
        &["MQTT-3.10.4-3"],
        "deliveries that had begun are finished after UNSUBACK",
        |version| {
            let mut pair = Pair::connected(config(version));
            pair.subscribe("a", QoS::ExactlyOnce);
            pair.run();
            for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                pair.broker
                    .publish(pair.clock.now(), &message("a", b"x"), qos);
            }
            pair.run();
            pair.session
                .unsubscribe(pair.now(), vec![filter("a")], NONE)
                .expect("accepted");
            pair.run();
            assert_eq!(
                pair.broker.session("client").expect("one").subscriptions,
                []
            );
            assert_eq!(pair.take_all().len(), 2);
            pair.run();
            let delivered = pair.broker.counts("client").delivered;
            assert_eq!(delivered, [0, 1, 1]);
            pair.check();
        },
    );
    cases.both(
        &["MQTT-3.3.2-3"],
        &["MQTT-3.3.2-3"],
        "a message on a topic that no subscription matches reaches none of them",
        |version| {
            let mut raw = Raw::connected(config(version));
            let queue = raw.session.open_queue();
            raw.subscribe("a/+", queue);
            let id = request(&mut raw);
            raw.feed(&suback(id, &[2]));
            for topic in ["a", "a/b/c", "b/c", "a/b"] {
                raw.feed_publish(topic, flow(QoS::AtMostOnce, 1, false), topic.as_bytes());
            }
            assert_eq!(raw.take(queue).publish.topic(), "a/b");
            assert!(raw.session.poll_message(queue).is_none());
        },
    );
    cases.v5(
        &["MQTT-3.8.4-1"],
        "subscription options go out as they were asked for, and the server minds them",
        || {
            let mut pair = Pair::connected(config(Version::V5));
            let options = SubscribeOptions {
                no_local: true,
                retain_as_published: true,
                retain_handling: RetainHandling::DoNotSend,
                ..SubscribeOptions::new(QoS::AtLeastOnce)
            };
            let asked = vec![(filter("a"), options)];
            pair.session
                .subscribe(pair.now(), asked.clone(), NONE, QueueId::DEFAULT)
                .expect("accepted");
            pair.run();
            assert_eq!(
                pair.broker.session("client").expect("one").subscriptions,
                asked
            );
            pair.publish("a", QoS::AtLeastOnce, b"our own");
            pair.run();
            assert_eq!(pair.take_all(), Vec::<Vec<u8>>::new());
            pair.check();
        },
    );
    cases.v311(
        &["MQTT-3.8.3-2"],
        "a wildcard filter that the server does not take is told as refused, and the others stand",
        || {
            let mut pair = Pair::connected(config(Version::V3_1_1));
            pair.broker
                .refuse_subscription(filter("a/#"), ReasonCode::UNSPECIFIED_ERROR);
            let token = pair
                .session
                .subscribe(
                    pair.now(),
                    filters(&[("a/#", 1), ("b", 1)]),
                    NONE,
                    QueueId::DEFAULT,
                )
                .expect("accepted");
            pair.run();
            let codes = vec![ReasonCode(0x80), ReasonCode(1)];
            assert_eq!(subscribed(&pair.events, token), Some(Ok(codes)));
            // Nor is the refused one asked for when the session is lost.
            pair.broker.restart(pair.clock.now(), false);
            pair.run_for(std::time::Duration::from_secs(10));
            let subscriptions = pair.broker.session("client").expect("one").subscriptions;
            assert_eq!(subscriptions.len(), 1);
            pair.check();
        },
    );
    cases.v5(
        &["MQTT-3.8.4-1"],
        "what the server said it can't serve is refused at the call, and nothing is sent",
        || {
            let limits = properties(|b| {
                b.wildcard_subscription_available(false)
                    .shared_subscription_available(false)
            });
            let mut raw = Raw::connected_with(config(Version::V5), limits);
            let mut ask = |name: &str| {
                let asked = filters(&[("fine", 1), (name, 1)]);
                raw.session
                    .subscribe(raw.now, asked, NONE, QueueId::DEFAULT)
                    .expect_err("refused")
            };
            assert!(matches!(
                ask("a/#"),
                SubscribeError::WildcardNotAvailable { .. }
            ));
            assert!(matches!(
                ask("$share/g/a"),
                SubscribeError::SharedNotAvailable { .. }
            ));
            assert_eq!(raw.lines(), Vec::<String>::new());
        },
    );
}

fn filter(name: &str) -> TopicFilter {
    name.try_into().expect("a filter")
}

fn filters(asked: &[(&str, u8)]) -> Vec<(TopicFilter, SubscribeOptions)> {
    asked
        .iter()
        .map(|(name, qos)| (filter(name), QoS::from_u8(*qos).expect("a QoS").into()))
        .collect()
}

/// The identifier of the request that was just sent.
fn request(raw: &mut Raw) -> PacketId {
    match raw.packets().pop() {
        Some(Packet::Subscribe(subscribe)) => subscribe.id,
        Some(Packet::Unsubscribe(unsubscribe)) => unsubscribe.id,
        other => panic!("{other:?}"),
    }
}

fn suback(id: PacketId, codes: &[u8]) -> Packet {
    let codes = codes.iter().copied().map(ReasonCode).collect();
    Packet::SubAck(SubAck {
        id,
        codes,
        properties: Properties::new(),
    })
}

type Answer = Result<Vec<ReasonCode>, SubscribeError>;

fn subscribed(events: &[Event], wanted: Token) -> Option<Answer> {
    events.iter().find_map(|event| match event {
        Event::Subscribed { token, result } if *token == wanted => Some(result.clone()),
        _ => None,
    })
}

fn unsubscribed(events: &[Event], wanted: Token) -> Option<Answer> {
    events.iter().find_map(|event| match event {
        Event::Unsubscribed { token, result } if *token == wanted => Some(result.clone()),
        _ => None,
    })
}
