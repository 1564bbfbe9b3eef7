//! What a reconnect does to messages in flight and to subscriptions: with the session, and without it.

mod pair;

use std::time::Duration;

use mqtt_session::proto::{Packet, Publish};
use mqtt_session::proto::{
    PacketType, Properties, QoS, ReasonCode, SubAck, SubscribeOptions, UnsubAck, Version,
};
use mqtt_session::{ConfigBuilder, Event, Outcome, PublishRefused, QueueId, SessionLost};
use mqtt_testkit::Direction;
use pair::raw::{Raw, at_least_once, id};
use pair::{ACKNOWLEDGED, Pair, QOS, VERSIONS, config, message, numbers};

const NONE: Properties = Properties::new();

/// A configuration whose session outlives a connection in each version.
fn lasting(version: Version) -> ConfigBuilder {
    config(version).clean_start(false)
}

fn suback(number: u16, codes: &[u8]) -> Packet {
    let codes = codes.iter().map(|code| ReasonCode(*code)).collect();
    Packet::SubAck(SubAck {
        id: id(number),
        codes,
        properties: NONE,
    })
}

fn unsuback(number: u16) -> Packet {
    Packet::UnsubAck(UnsubAck {
        id: id(number),
        codes: vec![ReasonCode::SUCCESS],
        properties: NONE,
    })
}

/// Packet identifiers that begin at 1.
fn from_one(version: Version) -> ConfigBuilder {
    config(version)
}

#[test]
fn with_the_session_pubrels_go_first_then_publishes_with_dup_and_their_identifiers_then_what_is_new()
 {
    let mut raw = Raw::connected(from_one(Version::V5));
    for (qos, payload) in [
        QoS::ExactlyOnce,
        QoS::AtLeastOnce,
        QoS::ExactlyOnce,
        QoS::ExactlyOnce,
    ]
    .into_iter()
    .zip(numbers(0..4))
    {
        raw.publish(qos, &payload);
    }
    raw.packets();
    // The PUBRECs come in another order than the messages went.
    raw.feed_ack(PacketType::PubRec, 4);
    raw.feed_ack(PacketType::PubRec, 1);
    assert_eq!(raw.lines(), ["PUBREL 4", "PUBREL 1"]);
    raw.closed(mqtt_session::Cause::Eof);
    let new = raw.publish(QoS::AtLeastOnce, b"new");
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, NONE);
    assert_eq!(
        raw.lines(),
        [
            "PUBREL 4",
            "PUBREL 1",
            "PUBLISH 2 DUP",
            "PUBLISH 3 DUP",
            "PUBLISH 5"
        ]
    );
    assert_eq!(raw.session.stats().resent, 2);
    assert_eq!(raw.session.stats().republished, 0);
    raw.feed_ack(PacketType::PubAck, 5);
    assert_eq!(raw.outcome(new), Some(ACKNOWLEDGED));
}

#[test]
fn without_the_session_messages_are_published_anew_without_dup_in_their_order_ahead_of_what_was_unsent()
 {
    for version in [Version::V3_1_1, Version::V5] {
        let mut raw = Raw::connected(from_one(version));
        let first = raw.publish(QoS::AtLeastOnce, b"1");
        let second = raw.publish(QoS::ExactlyOnce, b"2");
        let recorded = raw.publish(QoS::ExactlyOnce, b"3");
        raw.packets();
        raw.feed_ack(PacketType::PubRec, 3);
        raw.packets();
        raw.closed(mqtt_session::Cause::ConnectionReset);
        let third = raw.publish(QoS::AtLeastOnce, b"4");
        raw.wait_for_dial();
        raw.open();
        raw.accept(false, NONE);
        let packets = raw.packets();
        let sent: Vec<_> = packets
            .iter()
            .map(|packet| match packet {
                Packet::Publish(publish) => (publish.payload().to_vec(), publish.dup()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            sent,
            [
                (b"1".to_vec(), false),
                (b"2".to_vec(), false),
                (b"4".to_vec(), false)
            ]
        );
        let incomplete = Outcome::Acknowledged {
            reason: ReasonCode::SUCCESS,
            republished: false,
            completed: false,
        };
        assert_eq!(raw.outcome(recorded), Some(incomplete));
        assert_eq!(raw.session.stats().republished, 2);
        assert_eq!(raw.session.stats().resent, 0);
        raw.feed_ack(PacketType::PubAck, 1);
        raw.feed_ack(PacketType::PubRec, 2);
        raw.feed_ack(PacketType::PubComp, 2);
        raw.feed_ack(PacketType::PubAck, 3);
        let republished = Outcome::Acknowledged {
            reason: ReasonCode::SUCCESS,
            republished: true,
            completed: true,
        };
        assert_eq!(raw.outcome(first), Some(republished));
        assert_eq!(raw.outcome(second), Some(republished));
        assert_eq!(raw.outcome(third), Some(ACKNOWLEDGED));
    }
}

#[test]
fn a_message_that_was_published_anew_says_so_also_when_the_session_is_lost_again_after_its_pubrec()
{
    let mut raw = Raw::connected(from_one(Version::V5));
    let token = raw.publish(QoS::ExactlyOnce, b"1");
    raw.packets();
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["PUBLISH 1"]);
    raw.feed_ack(PacketType::PubRec, 1);
    raw.reconnect(false, NONE);
    let outcome = Outcome::Acknowledged {
        reason: ReasonCode::SUCCESS,
        republished: true,
        completed: false,
    };
    assert_eq!(raw.outcome(token), Some(outcome));
}

#[test]
fn as_configured_messages_in_flight_fail_when_the_session_is_lost_and_unsent_ones_do_not() {
    let mut raw = Raw::connected(from_one(Version::V5).session_lost(SessionLost::Fail));
    let in_flight: Vec<_> = [QoS::AtLeastOnce, QoS::ExactlyOnce]
        .map(|qos| raw.publish(qos, b""))
        .into();
    raw.packets();
    raw.closed(mqtt_session::Cause::Eof);
    let unsent = raw.publish(QoS::AtLeastOnce, b"");
    raw.wait_for_dial();
    raw.open();
    raw.accept(false, NONE);
    assert_eq!(raw.lines(), ["PUBLISH 1"]);
    for token in in_flight {
        assert_eq!(raw.outcome(token), Some(Outcome::SessionLost));
    }
    raw.feed_ack(PacketType::PubAck, 1);
    assert_eq!(raw.outcome(unsent), Some(ACKNOWLEDGED));
}

#[test]
fn a_qos_0_message_of_which_no_byte_had_left_goes_back_to_the_queue_and_one_of_which_a_part_had_is_lost()
 {
    let mut raw = Raw::connected(config(Version::V5));
    let mut out = mqtt_session::proto::Outbox::new();
    let tokens: Vec<_> = (0..3u8)
        .map(|n| raw.publish(QoS::AtMostOnce, &[n; 10]))
        .collect();
    raw.session.poll_transmit(raw.now, &mut out);
    // All of the first message, and one byte of the second.
    raw.session.handle_written(raw.now, out.len() / 3 + 1);
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), ["PUBLISH"]);
    let outcomes: Vec<_> = tokens.into_iter().map(|token| raw.outcome(token)).collect();
    assert_eq!(
        outcomes,
        [
            Some(Outcome::Written),
            Some(Outcome::ConnectionLost),
            Some(Outcome::Written)
        ]
    );
}

#[test]
fn a_qos_0_message_that_the_driver_had_not_taken_survives_an_error_of_the_server() {
    let mut raw = Raw::connected(config(Version::V5));
    let token = raw.publish(QoS::AtMostOnce, b"payload");
    // Reserved: the session discards what it has encoded, and says DISCONNECT instead.
    raw.bytes_in(&[0x00, 0x00]);
    assert_eq!(raw.lines(), ["DISCONNECT 0x81"]);
    raw.hang_up();
    assert_eq!(raw.outcome(token), None);
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, NONE);
    assert_eq!(raw.lines(), ["PUBLISH"]);
    assert_eq!(raw.outcome(token), Some(Outcome::Written));
}

#[test]
fn what_a_later_server_does_not_take_ends_as_refused_and_names_the_limit() {
    let mut raw = Raw::connected(config(Version::V5));
    let retained = raw
        .offer(QoS::AtLeastOnce, message("a", b"x").with_retain(true))
        .expect("accepted");
    let large = raw.publish(QoS::AtLeastOnce, &[0; 100]);
    let small = raw.publish(QoS::AtLeastOnce, b"x");
    raw.packets();
    raw.closed(mqtt_session::Cause::Eof);
    let queued = raw.publish(QoS::ExactlyOnce, b"x");
    let limits = Properties::builder()
        .retain_available(false)
        .maximum_qos(true)
        .maximum_packet_size(50u32.try_into().expect("not 0"))
        .build()
        .expect("good properties");
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, limits);
    assert_eq!(raw.lines(), ["PUBLISH 3 DUP"]);
    assert_eq!(
        raw.outcome(retained),
        Some(Outcome::Refused(PublishRefused::RetainNotAvailable))
    );
    assert!(matches!(
        raw.outcome(large),
        Some(Outcome::Refused(PublishRefused::Encode(_)))
    ));
    let refused = PublishRefused::QoSNotSupported {
        max: QoS::AtLeastOnce,
    };
    assert_eq!(raw.outcome(queued), Some(Outcome::Refused(refused)));
    raw.feed_ack(PacketType::PubAck, 3);
    assert_eq!(raw.outcome(small), Some(ACKNOWLEDGED));
}

#[test]
fn mixed_messages_both_ways_survive_a_cut_after_any_byte_in_either_direction() {
    for version in VERSIONS {
        for direction in Direction::BOTH {
            for cut_after in 0..150 {
                let mut pair = Pair::connected(lasting(version));
                for qos in QOS {
                    pair.subscribe(&format!("down/{}", qos.as_u8()), qos);
                }
                pair.run();
                pair.link().cut_after(direction, cut_after);
                let mut tokens = Vec::new();
                for (n, payload) in numbers(0..12).into_iter().enumerate() {
                    let qos = QOS[n % 3];
                    tokens.push((
                        pair.publish(&format!("up/{}", qos.as_u8()), qos, &payload),
                        qos,
                    ));
                    let publish = message(&format!("down/{}", qos.as_u8()), &payload);
                    pair.broker.publish(pair.clock.now(), &publish, qos);
                }
                pair.run();
                let mut taken = pair.take_all();
                pair.run_for(Duration::from_secs(5));
                taken.extend(pair.take_all());
                let case = format!(
                    "{version} {direction:?} cut after {cut_after}\n{}",
                    pair.broker.ladder()
                );
                for (token, qos) in tokens {
                    let outcome = pair.outcome(token).expect(&case);
                    let lost = qos == QoS::AtMostOnce && outcome == Outcome::ConnectionLost;
                    assert!(outcome.is_success() || lost, "{qos} {outcome:?} {case}");
                }
                for (what, got) in [("up", pair.accepted()), ("down", taken)] {
                    for (qos, n) in (0..12u32).map(|n| (QOS[n as usize % 3], n)) {
                        let count = got
                            .iter()
                            .filter(|payload| **payload == n.to_be_bytes())
                            .count();
                        let good = match qos {
                            QoS::AtMostOnce => count <= 1,
                            QoS::AtLeastOnce => count >= 1,
                            QoS::ExactlyOnce => count == 1,
                        };
                        assert!(good, "{what} {qos} {n}: {count} times, {case}");
                    }
                }
                pair.check();
            }
        }
    }
}

#[test]
fn messages_survive_several_cuts_in_a_row_in_their_order() {
    for version in VERSIONS {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for bytes in [1, 7, 20, 33, 60] {
                let mut pair = Pair::connected(lasting(version));
                let sent: Vec<_> = numbers(0..20).into();
                for payload in &sent {
                    pair.publish("a", qos, payload);
                }
                for cut in 0..6 {
                    let direction = Direction::BOTH[cut % 2];
                    // CONNECT and CONNACK always pass.
                    let passed = if direction == Direction::ToBroker {
                        40
                    } else {
                        10
                    };
                    pair.link().cut_after(direction, bytes + passed);
                    pair.run_for(Duration::from_secs(130));
                }
                pair.on_open = |_| {};
                pair.run_for(Duration::from_secs(130));
                let mut accepted = pair.accepted();
                if qos == QoS::AtLeastOnce {
                    let mut firsts: Vec<Vec<u8>> = Vec::new();
                    accepted.retain(|payload| {
                        let first = !firsts.contains(payload);
                        firsts.push(payload.clone());
                        first
                    });
                }
                assert_eq!(
                    accepted,
                    sent,
                    "{version} {qos} {bytes}\n{}",
                    pair.broker.ladder()
                );
                pair.check();
            }
        }
    }
}

#[test]
fn granted_subscriptions_are_asked_for_again_when_the_server_has_no_session_and_only_then() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.subscribe("a/+", QueueId::DEFAULT);
    raw.subscribe("refused", QueueId::DEFAULT);
    assert_eq!(
        raw.lines(),
        ["SUBSCRIBE 65535 a/+", "SUBSCRIBE 65534 refused"]
    );
    raw.feed(&suback(65535, &[2]));
    raw.feed(&suback(65534, &[0x87]));
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), Vec::<String>::new());
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a/+"]);
    raw.feed(&suback(65535, &[2]));
    let subscribed = raw
        .events
        .iter()
        .filter(|event| matches!(event, Event::Subscribed { .. }))
        .count();
    assert_eq!(subscribed, 2, "nobody asked for the third");
}

#[test]
fn a_subscription_that_the_server_refuses_anew_is_reported() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.subscribe("a", QueueId::DEFAULT);
    raw.feed(&suback(65535, &[1]));
    raw.reconnect(false, NONE);
    raw.packets();
    raw.feed(&suback(65535, &[0x87]));
    let lost = raw.events.iter().find_map(|event| match event {
        Event::SubscriptionLost { filter, reason } => Some((filter.to_string(), *reason)),
        _ => None,
    });
    assert_eq!(lost, Some(("a".to_owned(), ReasonCode::NOT_AUTHORIZED)));
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), Vec::<String>::new());
}

#[test]
fn subscribing_anew_goes_on_when_the_connection_is_lost_before_its_suback() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.subscribe("a", QueueId::DEFAULT);
    raw.feed(&suback(65535, &[1]));
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
    // The server has a session now, and perhaps never got the SUBSCRIBE.
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
    // And once is enough when it has lost it again.
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
    raw.feed(&suback(65535, &[1]));
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), Vec::<String>::new());
}

#[test]
fn subscriptions_that_changed_while_offline_are_right_after_the_reconnect() {
    for session_present in [true, false] {
        let mut pair = Pair::connected(lasting(Version::V5));
        pair.subscribe("kept", QoS::AtLeastOnce);
        pair.subscribe("dropped", QoS::AtLeastOnce);
        pair.run();
        pair.network = pair::Network::Refuses;
        pair.cut();
        pair.subscribe("new", QoS::AtLeastOnce);
        let filters = vec!["dropped".try_into().expect("a filter")];
        pair.session
            .unsubscribe(pair.now(), filters, NONE)
            .expect("accepted");
        if !session_present {
            pair.broker.restart(pair.clock.now(), false);
        }
        pair.network = pair::Network::Up;
        pair.run_for(Duration::from_secs(10));
        let subscriptions = pair
            .broker
            .session("client")
            .expect("a session")
            .subscriptions;
        let mut filters: Vec<_> = subscriptions
            .iter()
            .map(|(filter, _)| filter.to_string())
            .collect();
        filters.sort();
        assert_eq!(filters, ["kept", "new"], "{}", pair.broker.ladder());
        pair.check();
    }
}

#[test]
fn a_subscribe_that_is_withdrawn_unsent_vanishes() {
    let mut raw = Raw::new(config(Version::V5));
    let token = raw.subscribe("a", QueueId::DEFAULT);
    raw.session.withdraw(raw.now, token);
    raw.session.connect(raw.now);
    raw.open();
    raw.accept(false, NONE);
    assert_eq!(raw.lines(), Vec::<String>::new());
    assert!(
        !raw.events
            .iter()
            .any(|event| matches!(event, Event::Subscribed { .. }))
    );
}

#[test]
fn a_subscribe_that_is_withdrawn_after_it_was_sent_is_unsubscribed_after_its_suback() {
    let mut raw = Raw::connected(config(Version::V5));
    let token = raw.subscribe("a", QueueId::DEFAULT);
    raw.packets();
    raw.session.withdraw(raw.now, token);
    assert_eq!(raw.lines(), Vec::<String>::new());
    raw.feed(&suback(65535, &[1]));
    assert_eq!(raw.lines(), ["UNSUBSCRIBE 65535 a"]);
    assert!(
        !raw.events
            .iter()
            .any(|event| matches!(event, Event::Subscribed { .. }))
    );
}

#[test]
fn a_withdrawn_subscribe_is_undone_also_when_the_connection_is_lost_before_its_suback() {
    let mut raw = Raw::connected(config(Version::V5));
    let token = raw.subscribe("a", QueueId::DEFAULT);
    raw.packets();
    raw.session.withdraw(raw.now, token);
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), ["UNSUBSCRIBE 65535 a"]);
    // The same before the UNSUBACK.
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), ["UNSUBSCRIBE 65535 a"]);
    raw.feed(&unsuback(65535));
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), Vec::<String>::new());
}

#[test]
fn subscribing_again_before_the_unsuback_came_keeps_the_new_subscription() {
    let mut raw = Raw::connected(config(Version::V5));
    let queue = raw.session.open_queue();
    raw.subscribe("a", queue);
    raw.feed(&suback(65535, &[1]));
    raw.session
        .unsubscribe(raw.now, vec!["a".try_into().expect("a filter")], NONE)
        .expect("accepted");
    raw.subscribe("a", queue);
    raw.packets();
    raw.feed(&unsuback(65535));
    raw.feed(&suback(65534, &[1]));
    raw.feed_publish("a", at_least_once(1), b"x");
    assert_eq!(raw.take(queue).publish.payload(), b"x");
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
}

#[test]
fn an_unsubscribe_that_is_not_accepted_leaves_the_subscription_alone() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.subscribe("a", QueueId::DEFAULT);
    raw.feed(&suback(65535, &[1]));
    let long = Properties::builder()
        .user_property("name", &"x".repeat(60_000))
        .build()
        .expect("good properties");
    let small = Properties::builder()
        .maximum_packet_size(1000u32.try_into().expect("not 0"))
        .build()
        .expect("good");
    raw.reconnect(true, small);
    let filter = vec!["a".try_into().expect("a filter")];
    assert!(raw.session.unsubscribe(raw.now, filter, long).is_err());
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
}

#[test]
fn a_subscription_keeps_its_options_when_it_is_made_anew() {
    let mut raw = Raw::connected(config(Version::V5));
    let options = SubscribeOptions {
        no_local: true,
        ..SubscribeOptions::new(QoS::AtLeastOnce)
    };
    let filters = vec![("a".try_into().expect("a filter"), options)];
    raw.session
        .subscribe(raw.now, filters, NONE, QueueId::DEFAULT)
        .expect("accepted");
    raw.packets();
    raw.feed(&suback(65535, &[1]));
    raw.reconnect(false, NONE);
    let packets = raw.packets();
    let [Packet::Subscribe(subscribe)] = packets.as_slice() else {
        panic!("{packets:?}")
    };
    assert_eq!(subscribe.filters[0].1, options);
}

#[test]
fn nothing_is_resent_before_connack() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.publish(QoS::AtLeastOnce, b"1");
    raw.packets();
    raw.closed(mqtt_session::Cause::Eof);
    raw.wait_for_dial();
    raw.open();
    raw.offer(
        QoS::AtMostOnce,
        Publish::new("a".try_into().expect("a topic"), "x"),
    )
    .expect("accepted");
    assert_eq!(raw.lines(), Vec::<String>::new());
}
