//! The order of messages and acknowledgements (section 4.6).

use std::time::Duration;

use mqtt_session::QueueId;
use mqtt_session::proto::{PacketType, QoS};

use crate::pair::raw::Raw;
use crate::pair::{Pair, QOS, config, message, numbers};
use crate::runner::Cases;
use crate::sessions::ids;
use crate::support::{NONE, flow, lasting};

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &["MQTT-4.6.0-1"],
        &["MQTT-4.6.0-1"],
        "messages are sent again in the order in which they were first sent, also after identifiers were used again",
        |version| {
            let mut raw = Raw::connected(lasting(version));
            let first: Vec<_> = (0..6)
                .map(|n| raw.publish([QoS::AtLeastOnce, QoS::ExactlyOnce][n % 2], b""))
                .collect();
            let sent = ids(&raw.lines());
            assert_eq!(sent.len(), first.len());
            // The next two take the identifiers of the first and the third, whatever these are.
            raw.feed_ack(PacketType::PubAck, sent[0]);
            raw.feed_ack(PacketType::PubAck, sent[2]);
            raw.publish(QoS::AtLeastOnce, b"");
            raw.publish(QoS::AtLeastOnce, b"");
            let later = ids(&raw.lines());
            assert!(later.iter().all(|id| sent.contains(id)), "{later:?}");
            let order = [&[sent[1], sent[3], sent[4], sent[5]][..], &later].concat();
            for _ in 0..3 {
                raw.reconnect(true, NONE);
                assert_eq!(ids(&raw.lines()), order);
            }
        },
    );
    for (v5, v311, name, qos, answer) in [
        (
            &["MQTT-4.6.0-2"][..],
            &["MQTT-4.6.0-2"][..],
            "PUBACKs go out in the order in which the messages came, whatever order they are dealt with in",
            QoS::AtLeastOnce,
            "PUBACK",
        ),
        (
            &["MQTT-4.6.0-3"],
            &["MQTT-4.6.0-3"],
            "PUBRECs go out in the order in which the messages came, whatever order they are dealt with in",
            QoS::ExactlyOnce,
            "PUBREC",
        ),
    ] {
        let run = move |version| {
            let mut raw = Raw::connected(config(version));
            let numbers = [9, 2, 700, 1, 30];
            for number in numbers {
                raw.feed_publish("a", flow(qos, number, false), b"");
            }
            let mut taken: Vec<_> = numbers
                .iter()
                .map(|_| Some(raw.take(QueueId::DEFAULT)))
                .collect();
            let mut answers = Vec::new();
            for at in [4, 1, 0, 3, 2] {
                let received = taken[at].take().expect("once");
                raw.session
                    .ack(raw.now, received.ticket)
                    .expect("a fresh ticket");
                answers.extend(raw.lines());
            }
            assert_eq!(answers, numbers.map(|number| format!("{answer} {number}")));
        };
        cases.v5(v5, name, move || run(mqtt_session::proto::Version::V5));
        cases.v311(v311, name, move || {
            run(mqtt_session::proto::Version::V3_1_1)
        });
    }
    cases.both(
        &["MQTT-4.6.0-4"],
        &["MQTT-4.6.0-4"],
        "PUBRELs go out in the order in which the PUBRECs came, also when they are sent again",
        |version| {
            let mut raw = Raw::connected(lasting(version));
            for _ in 0..5 {
                raw.publish(QoS::ExactlyOnce, b"");
            }
            let sent = ids(&raw.lines());
            let order = [3, 0, 4, 1, 2].map(|at| sent[at]);
            let pubrels = order.map(|id| format!("PUBREL {id}"));
            for id in order {
                raw.feed_ack(PacketType::PubRec, id);
            }
            assert_eq!(raw.lines(), pubrels);
            for _ in 0..2 {
                raw.reconnect(true, NONE);
                assert_eq!(raw.lines(), pubrels);
            }
        },
    );
    cases.both(
        &["MQTT-4.6.0-5"],
        &["MQTT-4.6.0-6"],
        "what comes in order on a topic is handed over in that order, at each QoS, over a slow link that splits it anywhere",
        |version| {
            for qos in QOS {
                let mut pair = Pair::connected(config(version));
                pair.subscribe("a", qos);
                pair.run();
                pair.link()
                    .set_delay(mqtt_testkit::Direction::ToClient, Duration::from_millis(3));
                let sent: Vec<_> = numbers(0..100).into();
                let mut taken = Vec::new();
                for payload in &sent {
                    pair.broker
                        .publish(pair.clock.now(), &message("a", payload), qos);
                    pair.run_for(Duration::from_millis(1));
                    taken.extend(pair.take_all());
                }
                pair.run_for(Duration::from_secs(1));
                taken.extend(pair.take_all());
                assert_eq!(taken, sent);
                pair.check();
            }
        },
    );
}
