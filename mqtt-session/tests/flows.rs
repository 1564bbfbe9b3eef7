//! Messages of every QoS, both ways, in every version, over a link that loses nothing.

mod pair;

use mqtt_session::proto::{QoS, ReasonCode};
use mqtt_session::{Event, Outcome};
use pair::{ACKNOWLEDGED, Pair, QOS, VERSIONS, config};

#[test]
fn a_message_of_each_qos_reaches_the_broker_and_has_its_outcome_in_each_version() {
    for version in VERSIONS {
        for qos in QOS {
            let mut pair = Pair::connected(config(version));
            // With nobody subscribed, a 5.0 broker says so.
            pair.subscribe("a", QoS::AtMostOnce);
            pair.run();
            let token = pair.publish("a", qos, b"payload");
            pair.run();
            let expected = if qos == QoS::AtMostOnce {
                Outcome::Written
            } else {
                ACKNOWLEDGED
            };
            assert_eq!(
                pair.outcome(token),
                Some(expected),
                "{version} {qos}\n{}",
                pair.broker.ladder()
            );
            assert_eq!(pair.accepted(), [b"payload"]);
            pair.check();
        }
    }
}

#[test]
fn a_message_of_each_qos_reaches_the_application_once_in_each_version() {
    for version in VERSIONS {
        for qos in QOS {
            let mut pair = Pair::connected(config(version));
            let token = pair.subscribe("a/+", qos);
            pair.run();
            let granted = pair.events.iter().find_map(|event| match event {
                Event::Subscribed {
                    token: t,
                    result: Ok(codes),
                } if *t == token => Some(codes.clone()),
                _ => None,
            });
            assert_eq!(granted, Some(vec![ReasonCode(qos.as_u8())]));
            pair.broker.publish(
                pair.clock.now(),
                &pair::message("a/b", b"hello"),
                QoS::ExactlyOnce,
            );
            pair.run();
            let received = pair.take().expect("a message");
            assert_eq!(received.publish.qos(), qos);
            assert_eq!(received.publish.topic(), "a/b");
            assert!(pair.take().is_none());
            pair.session
                .ack(pair.now(), received.ticket)
                .expect("a fresh ticket");
            pair.run();
            assert_eq!(
                pair.broker.counts("client").delivered.iter().sum::<u64>(),
                1,
                "{}",
                pair.broker.ladder()
            );
            pair.check();
        }
    }
}

#[test]
fn what_was_published_before_connecting_is_sent_in_order() {
    for version in VERSIONS {
        let mut pair = Pair::new(config(version));
        let sent: Vec<_> = pair::numbers(0..50).into();
        let tokens: Vec<_> = sent
            .iter()
            .map(|payload| pair.publish("a", QoS::AtLeastOnce, payload))
            .collect();
        pair.connect();
        pair.run();
        assert_eq!(pair.accepted(), sent);
        for token in tokens {
            assert!(
                pair.outcome(token)
                    .is_some_and(|outcome| outcome.is_success())
            );
        }
        pair.check();
    }
}

#[test]
fn messages_in_flight_when_the_connection_is_cut_arrive_once_at_qos_2_and_at_least_once_at_qos_1() {
    for version in VERSIONS {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for cut_after in 0..120 {
                let mut pair = Pair::connected(config(version).clean_start(false));
                let sent: Vec<_> = pair::numbers(0..10).into();
                let tokens: Vec<_> = sent
                    .iter()
                    .map(|payload| pair.publish("a", qos, payload))
                    .collect();
                pair.link()
                    .cut_after(mqtt_testkit::Direction::ToBroker, cut_after);
                pair.run_for(std::time::Duration::from_secs(10));
                let mut accepted = pair.accepted();
                if qos == QoS::AtLeastOnce {
                    accepted.sort();
                    accepted.dedup();
                }
                assert_eq!(
                    accepted,
                    sent,
                    "{version} {qos} cut after {cut_after}\n{}",
                    pair.broker.ladder()
                );
                for token in tokens {
                    assert!(
                        pair.outcome(token)
                            .is_some_and(|outcome| outcome.is_success())
                    );
                }
                pair.check();
            }
        }
    }
}

#[test]
fn messages_to_the_application_survive_a_cut_at_any_byte() {
    for version in VERSIONS {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for cut_after in 0..120 {
                let mut pair = Pair::connected(config(version).clean_start(false));
                pair.subscribe("a", qos);
                pair.run();
                let sent: Vec<_> = pair::numbers(0..10).into();
                pair.link()
                    .cut_after(mqtt_testkit::Direction::ToClient, cut_after);
                for payload in &sent {
                    pair.broker
                        .publish(pair.clock.now(), &pair::message("a", payload), qos);
                }
                pair.run();
                let mut taken = pair.take_all();
                pair.run_for(std::time::Duration::from_secs(10));
                taken.extend(pair.take_all());
                if qos == QoS::AtLeastOnce {
                    taken.sort();
                    taken.dedup();
                }
                assert_eq!(
                    taken,
                    sent,
                    "{version} {qos} cut after {cut_after}\n{}",
                    pair.broker.ladder()
                );
                pair.check();
            }
        }
    }
}
