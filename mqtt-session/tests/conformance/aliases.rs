//! Topic aliases (section 3.3.2.3.4).

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use mqtt_session::proto::{Encoder, Outbox, Packet, Publish, QoS, Sender, Version};
use mqtt_session::{ConfigBuilder, Limits, QueueId, Violation};
use mqtt_testkit::BrokerConfig;

use crate::pair::raw::Raw;
use crate::pair::{Pair, config, message};
use crate::runner::Cases;
use crate::support::{NONE, assert_ended, assert_violated, flow, lasting, open, properties};

pub(crate) fn add(cases: &mut Cases) {
    cases.v5(
        &["MQTT-3.2.2-17", "MQTT-3.3.2-9"],
        "aliases go out from 1 to the server's maximum and never above it",
        || {
            for max in [1, 3, 16] {
                let said = properties(|b| b.topic_alias_maximum(max));
                let mut raw = Raw::connected_with(config(Version::V5), said);
                let used = aliases_of_many_topics(&mut raw);
                assert!(!used.is_empty(), "{max}");
                assert!(
                    used.iter().all(|alias| (1..=max).contains(alias)),
                    "{used:?}"
                );
            }
            // As a strict broker sees it, over reconnects that change the maximum.
            let mut pair = Pair::new(lasting(Version::V5));
            for max in [5, 2, 0, 9] {
                pair.broker.config_mut().topic_alias_maximum = max;
                pair.session.start(pair.now());
                pair.run_for(std::time::Duration::from_secs(200));
                for n in 0..60 {
                    let topic = format!("sensors/{}", n % 8);
                    pair.publish(&topic, QoS::AtLeastOnce, b"");
                }
                pair.run();
                pair.check();
                pair.cut();
            }
            assert_eq!(pair.accepted().len(), 4 * 60);
        },
    );
    cases.v5(
        &["MQTT-3.2.2-18"],
        "no alias goes out where CONNACK has no Topic Alias Maximum, or one of 0",
        || {
            for said in [NONE, properties(|b| b.topic_alias_maximum(0))] {
                let mut raw = Raw::connected_with(config(Version::V5), said);
                assert_eq!(aliases_of_many_topics(&mut raw), BTreeSet::new());
            }
        },
    );
    cases.v5(
        &["MQTT-3.3.2-7"],
        "our aliases die with their connection: each topic is said in full again, also of what is sent again",
        || {
            let said = || properties(|b| b.topic_alias_maximum(10));
            let mut raw = Raw::connected_with(lasting(Version::V5), said());
            for _ in 0..3 {
                raw.publish_to("sensors/1", QoS::AtLeastOnce, b"");
            }
            let topics = topics(&mut raw);
            assert_eq!(topics, ["sensors/1", "", ""], "the others go by the alias");
            for _ in 0..2 {
                raw.reconnect(true, said());
                let again = self::topics(&mut raw);
                assert_eq!(again[0], "sensors/1");
                raw.reconnect(true, NONE);
                let again = self::topics(&mut raw);
                assert_eq!(again, ["sensors/1", "sensors/1", "sensors/1"]);
            }
        },
    );
    cases.v5(
        &["MQTT-3.3.2-7"],
        "the server's aliases die with their connection: one of before is unknown",
        || {
            let mut raw = Raw::connected(lasting(Version::V5));
            feed(&mut raw, "sensors/1", 4, Said::Both);
            feed(&mut raw, "sensors/1", 4, Said::Alias);
            raw.reconnect(true, NONE);
            raw.packets();
            raw.events.clear();
            feed(&mut raw, "sensors/1", 4, Said::Alias);
            let violation = assert_violated(&mut raw, 0x82);
            let alias = NonZeroU16::new(4).expect("not 0");
            assert_eq!(violation, Violation::UnknownTopicAlias { alias });
        },
    );
    cases.v5(
        &["MQTT-3.1.2-26", "MQTT-3.3.2-11"],
        "an alias above our maximum ends the connection, whether or not the topic is there",
        || {
            for said in [Said::Both, Said::Alias] {
                let mut raw = Raw::connected(takes(7));
                feed(&mut raw, "sensors/1", 7, Said::Both);
                feed(&mut raw, "sensors/1", 8, said);
                let violation = assert_violated(&mut raw, 0x94);
                assert_eq!(violation, Violation::TopicAlias { alias: 8, max: 7 });
                assert_eq!(raw.take_and_ack(), b"x", "what came before is there");
                assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
            }
        },
    );
    cases.v5(
        &["MQTT-3.1.2-27"],
        "with a maximum of 0 CONNECT announces none, and any alias ends the connection",
        || {
            let mut raw = Raw::new(takes(0));
            raw.session.start(raw.now);
            let connect = open(&mut raw);
            assert_eq!(connect.properties.view().topic_alias_maximum(), None);
            raw.accept(false, NONE);
            feed(&mut raw, "sensors/1", 1, Said::Both);
            let violation = assert_violated(&mut raw, 0x94);
            assert_eq!(violation, Violation::TopicAlias { alias: 1, max: 0 });
        },
    );
    cases.v5(
        &["MQTT-3.3.2-10"],
        "every alias from 1 to the maximum that we announced is taken, used, and given a new topic",
        || {
            let max = 300;
            let mut raw = Raw::new(takes(max));
            raw.session.start(raw.now);
            let connect = open(&mut raw);
            assert_eq!(connect.properties.view().topic_alias_maximum(), Some(max));
            raw.accept(false, NONE);
            for round in 0..2 {
                let topic = |alias| format!("round/{round}/{alias}");
                for alias in 1..=max {
                    feed(&mut raw, &topic(alias), alias, Said::Both);
                }
                for alias in (1..=max).rev() {
                    feed(&mut raw, &topic(alias), alias, Said::Alias);
                }
                for alias in (1..=max).chain((1..=max).rev()) {
                    let received = raw.take(QueueId::DEFAULT);
                    assert_eq!(received.publish.topic(), &topic(alias)[..]);
                    raw.session
                        .ack(raw.now, received.ticket)
                        .expect("a fresh ticket");
                }
            }
        },
    );
    cases.v5(
        &["MQTT-3.3.2-10"],
        "a strict broker's aliases are resolved, at every QoS",
        || {
            let broker = BrokerConfig {
                send_topic_aliases: true,
                ..BrokerConfig::default()
            };
            let mut pair = Pair::with_broker(config(Version::V5), broker);
            pair.connect();
            pair.subscribe("#", QoS::ExactlyOnce);
            pair.run();
            for n in 0..40 {
                let topic = format!("sensors/{}", n % 4);
                let qos = crate::pair::QOS[n % 3];
                pair.broker
                    .publish(pair.clock.now(), &message(&topic, topic.as_bytes()), qos);
            }
            pair.run();
            for n in 0..40 {
                let received = pair.take().expect("a message");
                let topic = format!("sensors/{}", n % 4);
                assert_eq!(received.publish.topic(), &topic[..]);
                assert_eq!(received.publish.payload(), topic.as_bytes());
                pair.session
                    .ack(pair.now(), received.ticket)
                    .expect("a fresh ticket");
            }
            pair.check();
        },
    );
    cases.v5(
        &["MQTT-3.1.2-26"],
        "alias 0 ends the connection with the reason that is its own",
        || {
            let mut raw = Raw::connected(takes(7));
            raw.bytes_in(&[0x30, 7, 0, 1, b'a', 3, 0x23, 0, 0]);
            assert_ended(&mut raw, 0x94);
        },
    );
}

fn takes(max: u16) -> ConfigBuilder {
    let mut limits = Limits::default();
    limits.topic_alias_maximum = max;
    config(Version::V5).limits(limits)
}

/// The aliases in what goes out for many topics, some of them again and again.
fn aliases_of_many_topics(raw: &mut Raw) -> BTreeSet<u16> {
    for n in 0..200 {
        for topic in [format!("sensors/{}", n % 5), format!("rooms/{}", n % 40)] {
            raw.publish_to(&topic, QoS::AtMostOnce, b"");
        }
    }
    let packets = raw.packets();
    let aliases = packets.iter().filter_map(|packet| match packet {
        Packet::Publish(publish) => publish.topic_alias().map(NonZeroU16::get),
        _ => None,
    });
    aliases.collect()
}

fn topics(raw: &mut Raw) -> Vec<String> {
    let packets = raw.packets();
    let topics = packets.iter().filter_map(|packet| match packet {
        Packet::Publish(publish) => Some(publish.topic().as_str().to_owned()),
        _ => None,
    });
    topics.collect()
}

#[derive(Clone, Copy)]
enum Said {
    Both,
    Alias,
}

fn feed(raw: &mut Raw, topic: &str, alias: u16, said: Said) {
    let publish: Publish = message(topic, b"x");
    let alias = NonZeroU16::new(alias).expect("not 0");
    let encoder = Encoder::new(Version::V5, Sender::Server);
    let (mut out, flow) = (Outbox::new(), flow(QoS::AtMostOnce, 1, false));
    match said {
        Said::Both => encoder.publish(&publish, flow, Some(alias), &mut out),
        Said::Alias => encoder.publish_by_alias(&publish, flow, alias, &mut out),
    }
    .expect("a good message");
    raw.bytes_in(&out.to_vec());
}
