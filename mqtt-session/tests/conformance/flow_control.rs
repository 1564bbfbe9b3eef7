//! Receive Maximum in both directions (section 4.9).

use std::num::NonZeroU16;
use std::time::Duration;

use mqtt_session::proto::{PacketType, QoS, ReasonCode, Version};
use mqtt_session::{Limits, QueueId, Violation};
use mqtt_testkit::BrokerConfig;

use crate::pair::raw::Raw;
use crate::pair::{Pair, config};
use crate::runner::Cases;
use crate::support::{assert_violated, flow, lasting, properties};

pub(crate) fn add(cases: &mut Cases) {
    cases.v5(
        &["MQTT-3.3.4-7", "MQTT-4.9.0-1", "MQTT-4.9.0-2"],
        "unacknowledged messages never exceed the server's Receive Maximum, whichever of the two limits is lower",
        || {
            for (theirs, ours) in [(1, 10), (3, 10), (10, 3), (65_535, 7)] {
                let mut limits = Limits::default();
                limits.max_in_flight = NonZeroU16::new(ours).expect("not 0");
                let theirs_max = NonZeroU16::new(theirs).expect("not 0");
                let mut raw = Raw::connected_with(
                    config(Version::V5).limits(limits),
                    properties(|b| b.receive_maximum(theirs_max)),
                );
                for n in 0..20 {
                    raw.publish([QoS::AtLeastOnce, QoS::ExactlyOnce][n % 2], b"");
                }
                let window = usize::from(theirs.min(ours));
                assert_eq!(raw.packets().len(), window);
                // Each end makes room for one: PUBACK, PUBCOMP, or a PUBREC that refuses.
                raw.feed_ack(PacketType::PubAck, 1);
                assert_eq!(raw.packets().len(), 1);
            }
        },
    );
    cases.v5(
        &["MQTT-4.9.0-2"],
        "PUBREC of success makes no room, PUBCOMP and a PUBREC that refuses do, what nobody waits for does not",
        || {
            let one = NonZeroU16::MIN;
            let mut raw = Raw::connected_with(
                config(Version::V5),
                properties(|b| b.receive_maximum(one)),
            );
            for _ in 0..4 {
                raw.publish(QoS::ExactlyOnce, b"");
            }
            assert_eq!(raw.lines(), ["PUBLISH 1"]);
            raw.feed_ack(PacketType::PubAck, 77);
            raw.feed_ack(PacketType::PubComp, 78);
            assert_eq!(raw.lines(), Vec::<String>::new());
            raw.feed_ack(PacketType::PubRec, 1);
            assert_eq!(raw.lines(), ["PUBREL 1"]);
            raw.feed_ack(PacketType::PubComp, 1);
            assert_eq!(raw.lines(), ["PUBLISH 1"]);
            raw.feed_ack_with(PacketType::PubRec, 1, ReasonCode::QUOTA_EXCEEDED);
            assert_eq!(raw.lines(), ["PUBLISH 1"]);
        },
    );
    cases.v5(
        &["MQTT-3.3.4-7", "MQTT-4.9.0-1"],
        "a strict broker never sees more in flight than it takes, over reconnects that change the limit",
        || {
            let broker = BrokerConfig {
                receive_maximum: 5,
                ..BrokerConfig::default()
            };
            let mut pair = Pair::with_broker(lasting(Version::V5), broker);
            pair.connect();
            pair.broker.hold(PacketType::PubAck);
            pair.broker.hold(PacketType::PubRec);
            for n in 0..30 {
                pair.publish("a", [QoS::AtLeastOnce, QoS::ExactlyOnce][n % 2], b"");
            }
            pair.run();
            for max in [2, 9, 1, 65_535] {
                pair.broker.config_mut().receive_maximum = max;
                pair.cut();
                pair.run_for(Duration::from_secs(200));
                let held = pair.broker.session("client").expect("a session").receiving;
                assert!(held.len() >= usize::from(max).min(5), "{held:?}");
            }
            pair.broker.release(pair.clock.now(), PacketType::PubAck);
            pair.broker.release(pair.clock.now(), PacketType::PubRec);
            pair.run();
            assert_eq!(pair.session.publish_capacity().messages, Limits::default().max_queued);
            pair.check();
        },
    );
    cases.v5(
        &["MQTT-3.3.4-8", "MQTT-4.9.0-3"],
        "with no quota left everything but PUBLISH of QoS 1 and 2 goes on, in both directions",
        || {
            let one = NonZeroU16::MIN;
            let mut raw =
                Raw::connected_with(config(Version::V5), properties(|b| b.receive_maximum(one)));
            raw.publish(QoS::AtLeastOnce, b"");
            raw.publish(QoS::AtLeastOnce, b"waits");
            assert_eq!(raw.lines(), ["PUBLISH 1"]);
            raw.subscribe("a", QueueId::DEFAULT);
            assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
            raw.session
                .unsubscribe(
                    raw.now,
                    vec!["b".try_into().expect("a filter")],
                    crate::support::NONE,
                )
                .expect("accepted");
            assert_eq!(raw.lines(), ["UNSUBSCRIBE 65534 b"]);
            raw.feed_publish("a", flow(QoS::AtLeastOnce, 1, false), b"x");
            raw.take_and_ack();
            raw.feed_publish("a", flow(QoS::ExactlyOnce, 2, false), b"x");
            raw.take_and_ack();
            raw.feed_ack(PacketType::PubRel, 2);
            assert_eq!(raw.lines(), ["PUBACK 1", "PUBREC 2", "PUBCOMP 2"]);
            raw.advance(Duration::from_secs(46));
            assert_eq!(raw.lines(), ["PINGREQ"]);
        },
    );
    cases.v5(
        &["MQTT-3.3.4-9"],
        "a server that exceeds our Receive Maximum is told so, at QoS 1 and 2, and QoS 0 does not count",
        || {
            for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                let mut limits = Limits::default();
                limits.receive_maximum = NonZeroU16::new(3).expect("not 0");
                let mut raw = Raw::connected(config(Version::V5).limits(limits));
                for number in 1..=3 {
                    raw.feed_publish("a", flow(qos, number, false), b"");
                    raw.feed_publish("a", flow(QoS::AtMostOnce, 1, false), b"");
                }
                assert_eq!(raw.lines(), Vec::<String>::new());
                raw.feed_publish("a", flow(qos, 4, false), b"");
                let violation = assert_violated(&mut raw, 0x93);
                assert_eq!(violation, Violation::ReceiveMaximum { max: 3 });
            }
        },
    );
}
