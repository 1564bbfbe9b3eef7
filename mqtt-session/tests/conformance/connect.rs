//! CONNECT, and what the server may do with it (sections 3.1 and 4.1).

use std::time::Duration;

use mqtt_session::proto::{
    Disconnect, Packet, PacketType, PropertyId, PropertyValue, QoS, ReasonCode, Version, Will,
};
use mqtt_session::{Cause, Config, ConnectionError, Event, Phase, Violation};
use mqtt_testkit::BrokerConfig;

use crate::pair::exchange::{
    CONTINUE, METHOD, answer, auth, authenticating, challenge, connack, data_of, opened, with_data,
};
use crate::pair::raw::Raw;
use crate::pair::{Pair, config};
use crate::runner::Cases;
use crate::support::{
    NONE, answered, assert_violated, handshaking, lasting, open, properties, sent,
};

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &["MQTT-3.1.0-1"],
        &["MQTT-3.1.0-1"],
        "CONNECT goes out first on each connection, whatever was asked for before",
        |version| {
            let mut raw = Raw::new(config(version));
            raw.session.start(raw.now);
            for _ in 0..3 {
                raw.publish(QoS::AtMostOnce, b"");
                raw.publish(QoS::ExactlyOnce, b"");
                raw.subscribe("a", mqtt_session::QueueId::DEFAULT);
                // `open` asserts that it is CONNECT and nothing else.
                raw.open();
                raw.advance(Duration::from_secs(5));
                assert_eq!(raw.lines(), Vec::<String>::new());
                raw.closed(Cause::Eof);
                raw.wait_for_dial();
            }
        },
    );
    cases.both(
        &["MQTT-3.1.0-2", "MQTT-3.1.4-5"],
        &["MQTT-3.1.0-2", "MQTT-3.1.4-4"],
        "one CONNECT goes out on a connection, and one CONNACK makes it connected",
        |version| {
            let mut pair = Pair::new(config(version));
            pair.broker.hold(PacketType::ConnAck);
            pair.session.connect(pair.now());
            pair.run();
            assert_eq!(pair.session.phase(), Phase::Handshaking);
            pair.broker.release(pair.clock.now(), PacketType::ConnAck);
            pair.run();
            assert_eq!(pair.session.phase(), Phase::Connected);
            for _ in 0..10 {
                pair.session.connect(pair.now());
                pair.session.start(pair.now());
                pair.publish("a", QoS::AtLeastOnce, b"");
                pair.run_for(Duration::from_secs(30));
            }
            assert_eq!(sent(&pair, PacketType::Connect).len(), 1);
            pair.check();
        },
    );
    cases.both(
        &["MQTT-3.1.2-2"],
        &["MQTT-3.1.2-2"],
        "a refusal of the protocol version is told, and not asked for again",
        |version| {
            let code = if version.is_v5() { 0x84 } else { 1 };
            refused_for_good(version, code, ReasonCode::UNSUPPORTED_PROTOCOL_VERSION);
        },
    );
    cases.both(
        &["MQTT-3.1.3-8"],
        &["MQTT-3.1.3-8", "MQTT-3.1.3-9"],
        "a refusal of the client identifier is told, and not asked for again",
        |version| {
            let code = if version.is_v5() { 0x85 } else { 2 };
            refused_for_good(version, code, ReasonCode::CLIENT_IDENTIFIER_NOT_VALID);
        },
    );
    cases.v5(
        &["MQTT-3.1.4-2"],
        "a failed authentication and a failed check are told by their reason, and not asked for again",
        || {
            for code in [0x86, 0x87, 0x8A] {
                refused_for_good(Version::V5, code, ReasonCode(code));
            }
        },
    );
    cases.both(
        &["MQTT-3.1.4-6"],
        &["MQTT-3.1.4-5"],
        "nothing is sent before CONNACK, so a rejected CONNECT loses nothing",
        |version| {
            let mut raw = Raw::new(config(version));
            raw.session.start(raw.now);
            let tokens = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]
                .map(|qos| raw.publish(qos, b"early"));
            raw.open();
            assert_eq!(raw.lines(), Vec::<String>::new());
            let busy = if version.is_v5() { 0x89 } else { 3 };
            feed_refusal(&mut raw, busy);
            assert!(!raw.hang_up(), "nothing more is said");
            raw.wait_for_dial();
            raw.open();
            raw.accept(false, NONE);
            assert_eq!(raw.packets().len(), 3);
            for token in &tokens[1..] {
                assert_eq!(raw.outcome(*token), None);
            }
        },
    );
    cases.both(
        &["MQTT-3.1.4-3"],
        &["MQTT-3.1.4-2"],
        "a client that was pushed out does not push back, or not before a growing pause where it can't know",
        |version| {
            let mut pair = Pair::connected(config(version));
            let conn = pair.conn();
            if version.is_v5() {
                let reason = ReasonCode::SESSION_TAKEN_OVER;
                pair.broker.disconnect(pair.clock.now(), conn, reason);
                pair.run_for(Duration::from_secs(3600));
                assert!(pair.session.is_closed());
                assert_eq!(pair.dialled.len(), 1);
            } else {
                let mut pauses = Vec::new();
                for _ in 0..4 {
                    let conn = pair.conn();
                    pair.broker.drop_connection(pair.clock.now(), conn);
                    pair.run();
                    let at = pair.session.poll_timeout().expect("the next attempt");
                    pauses.push(at - pair.now());
                    pair.run_for(at - pair.now());
                }
                assert!(pauses[0] >= Duration::from_millis(500), "{pauses:?}");
                assert!(pauses.is_sorted() && pauses[3] > pauses[0], "{pauses:?}");
            }
            pair.check();
        },
    );
    cases.v5(
        &["MQTT-3.1.3-6", "MQTT-3.1.3-7", "MQTT-3.2.2-16"],
        "an empty client identifier is replaced by the assigned one, for the whole session",
        || {
            let mut pair = Pair::new(Config::builder(""));
            pair.connect();
            let conn = pair.conn();
            let assigned = pair.broker.client_id(conn).expect("one").to_owned();
            assert_ne!(assigned, "");
            pair.subscribe("a", QoS::AtLeastOnce);
            pair.run();
            pair.cut();
            pair.run_for(Duration::from_secs(10));
            let conn = pair.conn();
            assert_eq!(pair.broker.client_id(conn), Some(&assigned[..]));
            let session = pair.broker.session(&assigned).expect("a session");
            assert_eq!(session.subscriptions.len(), 1);
            assert_eq!(
                sent(&pair, PacketType::Subscribe).len(),
                1,
                "it was resumed"
            );
            pair.check();
        },
    );
    cases.v5(
        &["MQTT-3.1.3-7", "MQTT-3.2.2-16"],
        "a CONNACK that assigns no identifier for an empty one ends the connection",
        || {
            let mut raw = handshaking(Config::builder(""));
            raw.accept(false, NONE);
            let violation = assert_violated(&mut raw, 0x82);
            assert_eq!(violation, Violation::NoAssignedClientId);
        },
    );
    cases.v311(
        &["MQTT-3.1.3-6", "MQTT-3.1.3-7"],
        "an empty client identifier goes with Clean Session alone, and stays empty",
        || {
            let empty = || Config::builder("").version(Version::V3_1_1);
            empty().clean_start(false).build().expect_err("refused");
            let mut pair = Pair::new(empty());
            pair.connect();
            pair.cut();
            pair.run_for(Duration::from_secs(10));
            assert_eq!(pair.session.phase(), Phase::Connected);
            assert_eq!(sent(&pair, PacketType::Connect).len(), 2);
            pair.check();
            let mut raw = Raw::new(empty());
            raw.session.start(raw.now);
            let connect = open(&mut raw);
            assert!(connect.client_id.is_empty() && connect.clean_start);
        },
    );
    cases.both(
        &["MQTT-3.1.3-2"],
        &["MQTT-3.1.3-2"],
        "every connection of a session names the same client",
        |version| {
            let mut raw = Raw::new(lasting(version));
            raw.session.start(raw.now);
            for _ in 0..3 {
                let connect = open(&mut raw);
                assert_eq!(connect.client_id.as_str(), "client");
                raw.accept(true, NONE);
                raw.closed(Cause::Eof);
                raw.wait_for_dial();
            }
        },
    );
    cases.v5(
        &["MQTT-3.1.3-10"],
        "the will goes out with its user properties in their order, and they arrive so",
        || {
            let pairs = [("b", "1"), ("a", "2"), ("b", "0")];
            let properties = properties(|mut builder| {
                for (name, value) in pairs {
                    builder = builder.user_property(name, value);
                }
                builder
            });
            let will = Will {
                topic: "will".try_into().expect("a topic"),
                payload: "gone".into(),
                qos: QoS::AtMostOnce,
                retain: true,
                properties,
            };
            let mut pair = Pair::connected(config(Version::V5).will(will));
            let disconnect = Disconnect::new(ReasonCode::DISCONNECT_WITH_WILL);
            pair.session
                .disconnect(pair.now(), disconnect, Duration::ZERO)
                .expect("a good DISCONNECT");
            pair.run();
            let published = pair.broker.retained().next().expect("the will");
            let order: Vec<_> = published
                .properties()
                .into_iter()
                .filter_map(|(id, value)| match value {
                    PropertyValue::Pair(name, value) if id == PropertyId::USER_PROPERTY => {
                        Some((name.to_owned(), value.to_owned()))
                    }
                    _ => None,
                })
                .collect();
            assert_eq!(order, pairs.map(|(n, v)| (n.to_owned(), v.to_owned())));
            pair.check();
        },
    );
    cases.both(
        &["MQTT-3.1.2-4"],
        &["MQTT-3.1.2-6"],
        "a clean start throws away what the server and the client had",
        |version| {
            let mut pair = Pair::connected(lasting(version));
            pair.subscribe("a", QoS::AtLeastOnce);
            pair.run();
            pair.session
                .disconnect(pair.now(), Disconnect::default(), Duration::ZERO)
                .expect("a good DISCONNECT");
            pair.run();
            let endpoint = mqtt_session::Endpoint::new("192.0.2.1", 1883);
            let mut anew = config(version);
            if version.is_v5() {
                // With no expiry the session ends with its connection: every one starts clean.
                anew = anew.session_expiry(Duration::ZERO);
            }
            let anew = anew.build().expect("good");
            pair.session = mqtt_session::Session::new(anew, endpoint, 7);
            pair.connect();
            let session = pair.broker.session("client").expect("a session");
            assert_eq!(session.subscriptions, []);
            pair.broker.hold(PacketType::PubAck);
            pair.publish("a", QoS::AtLeastOnce, b"x");
            pair.run();
            pair.cut();
            pair.run_for(Duration::from_secs(10));
            let published = sent(&pair, PacketType::Publish);
            assert_eq!(published.len(), 2);
            assert!(!published[1].dup, "it is a new session's first");
            pair.check();
        },
    );
    cases.v5(
        &["MQTT-3.1.2-30", "MQTT-4.12.0-5"],
        "with a method nothing but AUTH goes out between CONNECT and CONNACK, and each names the method of CONNECT",
        || {
            let mut raw = opened(authenticating());
            answer(&mut raw, "me");
            let Packet::Connect(connect) = raw.packets().remove(0) else {
                panic!("no CONNECT")
            };
            assert_eq!(data_of(connect.properties.view()).0, Some(METHOD));
            raw.publish(QoS::AtMostOnce, b"");
            raw.publish(QoS::ExactlyOnce, b"");
            raw.subscribe("a", mqtt_session::QueueId::DEFAULT);
            for _ in 0..3 {
                raw.feed(&challenge("who?"));
                raw.advance(Duration::from_secs(1));
                answer(&mut raw, "me");
                assert_eq!(raw.packets(), [auth(CONTINUE, with_data("me"))]);
            }
            raw.feed(&connack(with_data("welcome")));
            assert_eq!(raw.lines(), Vec::<String>::new(), "not accepted yet");
            answer(&mut raw, "");
            assert_eq!(raw.packets().len(), 3);
        },
    );
    cases.v5(
        &["MQTT-3.1.2-28"],
        "Response Information that was not asked for ends the connection",
        || {
            let info = || properties(|b| b.response_information("answers/7"));
            let mut raw = handshaking(config(Version::V5));
            raw.accept(false, info());
            assert_violated(&mut raw, 0x82);
            let asked = properties(|b| b.request_response_information(true));
            let mut raw = handshaking(config(Version::V5).connect_properties(asked));
            raw.accept(false, info());
            assert_eq!(raw.session.phase(), Phase::Connected);
        },
    );
    cases.v5(
        &["MQTT-3.2.2-12", "MQTT-3.2.2-13"],
        "a will that the server can't keep is refused with the reason, and the reason is told",
        || {
            for (limits, retain, reason) in [
                (
                    BrokerConfig {
                        maximum_qos: QoS::AtMostOnce,
                        ..BrokerConfig::default()
                    },
                    false,
                    ReasonCode::QOS_NOT_SUPPORTED,
                ),
                (
                    BrokerConfig {
                        retain_available: false,
                        ..BrokerConfig::default()
                    },
                    true,
                    ReasonCode::RETAIN_NOT_SUPPORTED,
                ),
            ] {
                let will = Will {
                    topic: "will".try_into().expect("a topic"),
                    payload: "gone".into(),
                    qos: if retain {
                        QoS::AtMostOnce
                    } else {
                        QoS::AtLeastOnce
                    },
                    retain,
                    properties: NONE,
                };
                let mut pair = Pair::with_broker(config(Version::V5).will(will), limits);
                pair.session.connect(pair.now());
                pair.run();
                let told = pair.events.iter().any(|event| {
                    matches!(event, Event::Lost { error: ConnectionError::Refused { reason: told, .. }, .. }
                        if *told == reason)
                });
                assert!(told, "{:?}", pair.events);
                assert!(answered(&pair, PacketType::ConnAck)[0].reason == Some(reason));
                assert!(pair.wire.is_none(), "it is closed");
            }
        },
    );
}

fn feed_refusal(raw: &mut Raw, code: u8) {
    let v5 = [0x20, 3, 0, code, 0];
    let v3 = [0x20, 2, 0, code];
    raw.bytes_in(if raw.version.is_v5() { &v5 } else { &v3 });
}

/// The refusal is told, the stream closed without a word, and no attempt follows.
fn refused_for_good(version: Version, code: u8, expected: ReasonCode) {
    let mut raw = handshaking(config(version));
    feed_refusal(&mut raw, code);
    assert_eq!(raw.lines(), Vec::<String>::new());
    let (error, retry_in) = raw.losses().remove(0);
    let ConnectionError::Refused { reason, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(reason, expected);
    assert_eq!(retry_in, None);
    assert!(!raw.hang_up());
    assert!(raw.session.is_closed());
    raw.advance(Duration::from_secs(3600));
    assert_eq!(raw.lines(), Vec::<String>::new());
}
