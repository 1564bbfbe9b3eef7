//! Messages to the server, at each QoS (section 4.3).

use mqtt_session::Outcome;
use mqtt_session::proto::{Packet, PacketType, QoS, ReasonCode};

use crate::pair::raw::Raw;
use crate::pair::{ACKNOWLEDGED, Pair, QOS, config, message};
use crate::runner::Cases;
use crate::support::{NONE, lasting, properties, sent, sent_id};

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &["MQTT-4.3.1-1"],
        &["MQTT-4.3.1-1"],
        "QoS 0 goes out with QoS 0 and DUP 0, also after it went back to the queue",
        |version| {
            let mut raw = Raw::connected(lasting(version));
            raw.publish(QoS::AtMostOnce, b"1");
            assert_eq!(raw.lines(), ["PUBLISH"]);
            let mut pair = Pair::connected(lasting(version));
            pair.link().cut_after(mqtt_testkit::Direction::ToBroker, 0);
            pair.publish("a", QoS::AtMostOnce, b"2");
            pair.run_for(std::time::Duration::from_secs(10));
            let published = sent(&pair, PacketType::Publish);
            assert!(
                published
                    .iter()
                    .all(|p| p.qos == Some(QoS::AtMostOnce) && !p.dup)
            );
            pair.check();
        },
    );
    cases.both(
        &["MQTT-4.3.2-2", "MQTT-4.3.3-2"],
        &["MQTT-4.3.2-1", "MQTT-4.3.3-1"],
        "a message goes out first with DUP 0, whether at once or after it had waited offline",
        |version| {
            for qos in QOS {
                let mut raw = Raw::new(lasting(version));
                raw.session.start(raw.now);
                raw.publish(qos, b"early");
                // Attempts that came to nothing are no first send.
                raw.open();
                raw.closed(mqtt_session::Cause::Eof);
                raw.wait_for_dial();
                raw.open();
                raw.accept(true, NONE);
                raw.publish(qos, b"late");
                for packet in raw.packets() {
                    let Packet::Publish(publish) = packet else {
                        panic!("{packet:?}")
                    };
                    assert!(!publish.dup(), "{publish:?}");
                    assert_eq!(publish.qos(), qos);
                }
            }
        },
    );
    cases.both(
        &["MQTT-4.3.2-3"],
        &["MQTT-4.3.2-1"],
        "a QoS 1 message is unacknowledged until its own PUBACK",
        |version| {
            let mut raw = Raw::connected(lasting(version));
            let token = raw.publish(QoS::AtLeastOnce, b"");
            let id = sent_id(&mut raw);
            raw.feed_ack(PacketType::PubAck, id ^ 1);
            assert_eq!(raw.outcome(token), None);
            raw.reconnect(true, NONE);
            assert_eq!(raw.lines(), [format!("PUBLISH {id} DUP")]);
            assert_eq!(raw.outcome(token), None);
            raw.feed_ack(PacketType::PubAck, id);
            assert_eq!(raw.outcome(token), Some(ACKNOWLEDGED));
            raw.reconnect(true, NONE);
            assert_eq!(raw.lines(), Vec::<String>::new());
        },
    );
    cases.both(
        &["MQTT-4.3.3-3", "MQTT-4.3.3-4", "MQTT-4.3.3-5"],
        &["MQTT-4.3.3-1"],
        "a QoS 2 message is unacknowledged until PUBREC, its PUBREL until PUBCOMP, each with its identifier",
        |version| {
            let mut raw = Raw::connected(lasting(version));
            let token = raw.publish(QoS::ExactlyOnce, b"");
            let id = sent_id(&mut raw);
            raw.reconnect(true, NONE);
            assert_eq!(raw.lines(), [format!("PUBLISH {id} DUP")]);
            raw.feed_ack(PacketType::PubRec, id);
            assert_eq!(raw.lines(), [format!("PUBREL {id}")]);
            assert_eq!(raw.outcome(token), None);
            raw.reconnect(true, NONE);
            assert_eq!(raw.lines(), [format!("PUBREL {id}")]);
            raw.feed_ack(PacketType::PubComp, id);
            assert_eq!(raw.outcome(token), Some(ACKNOWLEDGED));
            raw.reconnect(true, NONE);
            assert_eq!(raw.lines(), Vec::<String>::new());
        },
    );
    cases.v5(
        &["MQTT-4.3.3-4"],
        "a PUBREC of each reason below 0x80 is answered with PUBREL, of each other with nothing",
        || {
            for code in [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99] {
                let reason = ReasonCode(code);
                let mut raw = Raw::connected(config(mqtt_session::proto::Version::V5));
                let token = raw.publish(QoS::ExactlyOnce, b"");
                let id = sent_id(&mut raw);
                raw.feed_ack_with(PacketType::PubRec, id, reason);
                if code < 0x80 {
                    assert_eq!(raw.lines(), [format!("PUBREL {id}")]);
                    raw.feed_ack(PacketType::PubComp, id);
                    let outcome = raw.outcome(token);
                    let told = matches!(outcome, Some(Outcome::Acknowledged { reason: told, .. }) if told == reason);
                    assert!(told, "{outcome:?}");
                } else {
                    assert_eq!(raw.lines(), Vec::<String>::new());
                    assert_eq!(raw.outcome(token), Some(Outcome::Rejected(reason)));
                }
            }
        },
    );
    cases.v5(
        &["MQTT-4.3.3-7", "MQTT-4.3.3-13"],
        "a QoS 2 message that was sent does not expire: it is sent again, and its handshake is finished",
        || {
            let expires = properties(|b| b.message_expiry_interval(5));
            let publish = message("a", b"x").with_properties(expires);
            let mut raw = Raw::connected(lasting(mqtt_session::proto::Version::V5));
            let token = raw.offer(QoS::ExactlyOnce, publish).expect("accepted");
            let id = sent_id(&mut raw);
            for _ in 0..2 {
                raw.advance(std::time::Duration::from_secs(20));
                raw.reconnect(true, NONE);
                assert_eq!(raw.lines(), [format!("PUBLISH {id} DUP")]);
            }
            raw.advance(std::time::Duration::from_secs(20));
            assert_eq!(raw.outcome(token), None);
            raw.feed_ack(PacketType::PubRec, id);
            assert_eq!(raw.lines(), [format!("PUBREL {id}")]);
            raw.advance(std::time::Duration::from_secs(20));
            raw.reconnect(true, NONE);
            assert_eq!(raw.lines(), [format!("PUBREL {id}")]);
            raw.feed_ack(PacketType::PubComp, id);
            assert_eq!(raw.outcome(token), Some(ACKNOWLEDGED));
        },
    );
    cases.v311(
        &["MQTT-3.3.5-2"],
        "a server that may not take a message acknowledges it or closes: the one is an outcome, the other a reconnect",
        || {
            let version = mqtt_session::proto::Version::V3_1_1;
            let mut pair = Pair::connected(lasting(version));
            pair.broker.answer_next_publish(ReasonCode::NOT_AUTHORIZED);
            let token = pair.publish("secret", QoS::AtLeastOnce, b"");
            pair.run();
            assert_eq!(pair.outcome(token), Some(ACKNOWLEDGED));
            assert_eq!(pair.accepted(), Vec::<Vec<u8>>::new());
            pair.broker.hold(PacketType::PubAck);
            let token = pair.publish("secret", QoS::AtLeastOnce, b"");
            pair.run();
            let conn = pair.conn();
            pair.broker.drop_connection(pair.clock.now(), conn);
            pair.run();
            assert_eq!(pair.outcome(token), None);
            pair.broker.release(pair.clock.now(), PacketType::PubAck);
            pair.run_for(std::time::Duration::from_secs(30));
            assert_eq!(pair.outcome(token), Some(ACKNOWLEDGED));
            pair.check();
        },
    );
    cases.v311(
        &["MQTT-7.0.0-2"],
        "everything is done with the packets of the specification, as a strict broker sees it",
        || {
            let mut pair = Pair::connected(config(mqtt_session::proto::Version::V3_1_1));
            pair.subscribe("#", QoS::ExactlyOnce);
            pair.run();
            for qos in QOS {
                pair.publish("a", qos, b"x");
            }
            pair.run_for(std::time::Duration::from_secs(100));
            assert_eq!(pair.take_all().len(), 3);
            pair.session
                .disconnect(
                    pair.now(),
                    mqtt_session::proto::Disconnect::default(),
                    std::time::Duration::ZERO,
                )
                .expect("a good DISCONNECT");
            pair.run();
            assert!(pair.session.is_closed());
            pair.check();
        },
    );
}
