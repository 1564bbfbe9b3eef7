//! Session state: how long both sides have it, and what is sent again (sections 3.1.2.4, 3.2.2.1.1, 4.1, 4.4).

use std::time::Duration;

use mqtt_session::proto::{PacketType, QoS, ReasonCode, Version};
use mqtt_session::{Cause, Outcome, Phase, QueueId};

use crate::pair::raw::{Raw, at_least_once};
use crate::pair::{ACKNOWLEDGED, Pair, config};
use crate::runner::Cases;
use crate::support::{NONE, ack, flow, handshaking, lasting, open, sent};

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &["MQTT-3.1.2-5", "MQTT-3.2.2-3", "MQTT-3.1.2-23"],
        &["MQTT-3.1.2-4", "MQTT-3.1.2-5", "MQTT-3.2.2-2"],
        "a session that the server kept goes on: subscriptions, messages that came meanwhile, and messages in flight",
        |version| {
            let mut pair = Pair::connected(lasting(version));
            pair.subscribe("down", QoS::AtLeastOnce);
            pair.run();
            pair.broker.hold(PacketType::PubAck);
            let token = pair.publish("up", QoS::AtLeastOnce, b"up");
            pair.run();
            pair.network = crate::pair::Network::Refuses;
            pair.cut();
            let down = crate::pair::message("down", b"meanwhile");
            pair.broker
                .publish(pair.clock.now(), &down, QoS::AtLeastOnce);
            pair.broker.release(pair.clock.now(), PacketType::PubAck);
            pair.network = crate::pair::Network::Up;
            pair.run_for(Duration::from_secs(30));
            assert_eq!(pair.take_all(), [b"meanwhile"]);
            let outcome = pair.outcome(token);
            assert!(outcome.is_some_and(|outcome| outcome.is_success()), "{outcome:?}");
            assert_eq!(sent(&pair, PacketType::Subscribe).len(), 1);
            let published = sent(&pair, PacketType::Publish);
            assert_eq!(published.len(), 2);
            assert_eq!(published[0].id, published[1].id);
            assert!(published[1].dup);
            pair.check();
        },
    );
    cases.both(
        &["MQTT-3.1.2-6", "MQTT-3.2.2-3", "MQTT-3.2.2-5"],
        &["MQTT-3.2.2-3"],
        "where the server has no session, ours is discarded: fresh messages, subscriptions asked for anew, stale tickets",
        |version| {
            let mut pair = Pair::connected(lasting(version));
            pair.subscribe("a", QoS::ExactlyOnce);
            pair.run();
            let down = crate::pair::message("a", b"held");
            pair.broker
                .publish(pair.clock.now(), &down, QoS::ExactlyOnce);
            pair.run();
            let held = pair.take().expect("a message");
            pair.broker.hold(PacketType::PubAck);
            let token = pair.publish("up", QoS::AtLeastOnce, b"up");
            pair.run();
            pair.broker.restart(pair.clock.now(), false);
            pair.broker.release(pair.clock.now(), PacketType::PubAck);
            pair.run_for(Duration::from_secs(30));
            let published = sent(&pair, PacketType::Publish);
            assert_eq!(published.len(), 2);
            assert!(!published[1].dup, "it is another session's message");
            let outcome = pair.outcome(token);
            let republished = matches!(
                outcome,
                Some(Outcome::Acknowledged {
                    republished: true,
                    ..
                })
            );
            assert!(republished, "{outcome:?}");
            assert_eq!(sent(&pair, PacketType::Subscribe).len(), 2);
            pair.session
                .ack(pair.now(), held.ticket)
                .expect_err("its session is gone");
            pair.run();
            assert_eq!(sent(&pair, PacketType::PubRec).len(), 0);
            pair.check();
        },
    );
    cases.v5(
        &["MQTT-3.2.2-4"],
        "a session present is closed on by who asked for a clean start, and taken by who may hold state",
        || {
            let mut raw = handshaking(config(Version::V5));
            raw.accept(true, NONE);
            assert_eq!(raw.session.phase(), Phase::Closing);
            assert!(raw.hang_up(), "DISCONNECT goes out");
            let mut raw = handshaking(lasting(Version::V5));
            raw.accept(true, NONE);
            assert_eq!(raw.session.phase(), Phase::Connected);
            // So does who is told to require local state, and has none.
            let strict = lasting(Version::V5).require_local_state(true);
            let mut raw = handshaking(strict);
            raw.accept(true, NONE);
            let error = raw.last_loss();
            assert!(
                matches!(error, mqtt_session::ConnectionError::NoLocalState { .. }),
                "{error}"
            );
            raw.hang_up();
            assert_ne!(raw.session.phase(), Phase::Connected);
        },
    );
    cases.v5(
        &["MQTT-4.1.0-2"],
        "a session without expiry ends with its connection on both sides",
        || {
            let mut pair = Pair::connected(config(Version::V5).session_expiry(Duration::ZERO));
            pair.subscribe("a", QoS::AtLeastOnce);
            pair.run();
            pair.cut();
            assert!(pair.broker.session("client").is_none());
            pair.run_for(Duration::from_secs(30));
            assert_eq!(pair.session.phase(), Phase::Connected);
            let asked: Vec<_> = sent(&pair, PacketType::Connect)
                .iter()
                .map(|connect| connect.notes.contains("clean start"))
                .collect();
            assert_eq!(asked, [true, true]);
            assert_eq!(sent(&pair, PacketType::Subscribe).len(), 2);
            pair.check();
        },
    );
    cases.v5(
        &["MQTT-4.1.0-2"],
        "a session whose expiry has passed while offline is gone at the server, and ours goes with it",
        || {
            let expiry = Duration::from_secs(60);
            let mut pair = Pair::connected(lasting(Version::V5).session_expiry(expiry));
            pair.subscribe("a", QoS::AtLeastOnce);
            pair.run();
            pair.broker.hold(PacketType::PubAck);
            pair.publish("up", QoS::AtLeastOnce, b"");
            pair.run();
            pair.network = crate::pair::Network::Refuses;
            pair.cut();
            pair.run_for(Duration::from_secs(100));
            assert!(pair.broker.session("client").is_none());
            pair.broker.release(pair.clock.now(), PacketType::PubAck);
            pair.network = crate::pair::Network::Up;
            pair.run_for(Duration::from_secs(200));
            assert_eq!(pair.session.phase(), Phase::Connected);
            assert!(sent(&pair, PacketType::Publish).iter().all(|p| !p.dup));
            assert_eq!(sent(&pair, PacketType::Subscribe).len(), 2);
            pair.check();
        },
    );
    cases.both(
        &["MQTT-4.1.0-1"],
        &["MQTT-4.1.0-1", "MQTT-4.1.0-2"],
        "session state is kept while the connection is open, however long",
        |version| {
            let mut pair = Pair::connected(config(version));
            pair.subscribe("a", QoS::ExactlyOnce);
            pair.run();
            pair.broker.hold(PacketType::PubComp);
            let token = pair.publish("up", QoS::ExactlyOnce, b"");
            pair.run();
            let down = crate::pair::message("a", b"x");
            pair.broker
                .publish(pair.clock.now(), &down, QoS::ExactlyOnce);
            pair.run();
            let received = pair.take().expect("a message");
            // Longer than any session expiry.
            pair.run_for(Duration::from_secs(10 * 3600));
            assert_eq!(pair.session.phase(), Phase::Connected);
            pair.session
                .ack(pair.now(), received.ticket)
                .expect("the session lasts");
            pair.broker.release(pair.clock.now(), PacketType::PubComp);
            pair.run();
            assert!(pair.outcome(token).is_some_and(|o| o.is_success()));
            assert_eq!(pair.broker.counts("client").delivered[2], 1);
            pair.check();
        },
    );
    cases.both(
        &["MQTT-4.4.0-1", "MQTT-3.3.1-1"],
        &["MQTT-4.4.0-1", "MQTT-3.3.1-1", "MQTT-2.3.1-3"],
        "PUBLISH and PUBREL without an answer are sent again on resumption, with their identifiers, and at no other time",
        |version| {
            let mut raw = Raw::connected(lasting(version));
            raw.publish(QoS::AtLeastOnce, b"1");
            raw.publish(QoS::ExactlyOnce, b"2");
            raw.publish(QoS::ExactlyOnce, b"3");
            let ids = ids(&raw.lines());
            raw.feed_ack(PacketType::PubRec, ids[2]);
            assert_eq!(raw.lines(), [format!("PUBREL {}", ids[2])]);
            // Hours of silence, but for pings, bring nothing again.
            for _ in 0..100 {
                raw.next_timer();
                let lines = raw.lines();
                assert!(lines.iter().all(|line| line == "PINGREQ"), "{lines:?}");
                raw.feed(&mqtt_session::proto::Packet::PingResp);
            }
            raw.reconnect(true, NONE);
            let again = [
                format!("PUBREL {}", ids[2]),
                format!("PUBLISH {} DUP", ids[0]),
                format!("PUBLISH {} DUP", ids[1]),
            ];
            assert_eq!(raw.lines(), again);
            // Once, until the next reconnect.
            raw.feed_ack(PacketType::PubAck, ids[0]);
            raw.reconnect(true, NONE);
            let packets = raw.lines();
            assert_eq!(packets.len(), 2, "{packets:?}");
            // A new one does not take an identifier that still waits for its last answer.
            raw.feed_ack(PacketType::PubRec, ids[1]);
            raw.packets();
            raw.publish(QoS::AtLeastOnce, b"new");
            let line = raw.lines().remove(0);
            for id in &ids[1..] {
                assert_ne!(line, format!("PUBLISH {id}"));
            }
        },
    );
    cases.v5(
        &["MQTT-4.4.0-2", "MQTT-4.3.3-9"],
        "what was refused in PUBACK or PUBREC is not sent again, and its identifier is free",
        || {
            let mut raw = Raw::connected(lasting(Version::V5));
            let tokens = [QoS::AtLeastOnce, QoS::ExactlyOnce].map(|qos| raw.publish(qos, b""));
            let sent = ids(&raw.lines());
            let reason = ReasonCode::NOT_AUTHORIZED;
            raw.feed_ack_with(PacketType::PubAck, sent[0], reason);
            raw.feed_ack_with(PacketType::PubRec, sent[1], reason);
            assert_eq!(raw.lines(), Vec::<String>::new(), "no PUBREL for a refusal");
            for token in tokens {
                assert_eq!(raw.outcome(token), Some(Outcome::Rejected(reason)));
            }
            raw.reconnect(true, NONE);
            assert_eq!(raw.lines(), Vec::<String>::new());
            raw.publish(QoS::ExactlyOnce, b"");
            raw.publish(QoS::ExactlyOnce, b"");
            let lines = raw.lines();
            assert!(lines.iter().all(|line| !line.contains("DUP")), "{lines:?}");
            let mut again = ids(&lines);
            again.sort_unstable();
            assert_eq!(again, sent);
        },
    );
    cases.both(
        &["MQTT-4.3.3-6"],
        &["MQTT-4.3.3-1"],
        "no PUBLISH follows its PUBREL, over any number of reconnects",
        |version| {
            let mut raw = Raw::connected(lasting(version));
            let token = raw.publish(QoS::ExactlyOnce, b"");
            let id = ids(&raw.lines())[0];
            raw.feed_ack(PacketType::PubRec, id);
            assert_eq!(raw.lines(), [format!("PUBREL {id}")]);
            for _ in 0..3 {
                raw.reconnect(true, NONE);
                assert_eq!(raw.lines(), [format!("PUBREL {id}")]);
            }
            raw.feed_ack(PacketType::PubComp, id);
            assert_eq!(raw.outcome(token), Some(ACKNOWLEDGED));
            raw.reconnect(true, NONE);
            assert_eq!(raw.lines(), Vec::<String>::new());
        },
    );
    cases.v5(
        &["MQTT-3.1.2-23", "MQTT-4.1.0-1"],
        "what the application holds over a reconnect is still acknowledged when it comes again",
        || {
            let mut raw = Raw::connected(lasting(Version::V5));
            raw.feed_publish("a", at_least_once(5), b"x");
            let held = raw.take(QueueId::DEFAULT);
            raw.closed(Cause::ConnectionReset);
            raw.wait_for_dial();
            let connect = open(&mut raw);
            assert!(!connect.clean_start);
            let expiry = connect.properties.view().session_expiry_interval();
            assert!(expiry.is_some_and(|expiry| expiry > 0), "{expiry:?}");
            raw.accept(true, NONE);
            raw.feed_publish("a", flow(QoS::AtLeastOnce, 5, true), b"x");
            ack(&mut raw, held);
            assert_eq!(raw.lines(), ["PUBACK 5"]);
            assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
        },
    );
}

pub(crate) fn ids(lines: &[String]) -> Vec<u16> {
    lines
        .iter()
        .map(|line| {
            let word = line.split(' ').nth(1).expect("an identifier");
            word.parse().expect("a number")
        })
        .collect()
}
