//! CONNACK: when it may come, and what it says of the server (section 3.2).

use std::num::{NonZeroU16, NonZeroU32};

use mqtt_session::proto::{
    Auth, Disconnect, EncodeError, Flow, Packet, PacketType, QoS, ReasonCode, SubscribeOptions,
    Version,
};
use mqtt_session::{
    Cause, ConnectionError, Outcome, Phase, PublishRefused, QueueId, ReauthenticateError, Violation,
};

use crate::pair::exchange::{CONTINUE, answer, auth, authenticating, opened, with_data};
use crate::pair::raw::{Raw, ack};
use crate::pair::{config, message};
use crate::runner::Cases;
use crate::support::{
    NONE, assert_ended, assert_violated, flow, handshaking, lasting, open, properties,
};

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &["MQTT-3.2.0-1", "MQTT-3.14.0-1"],
        &["MQTT-3.2.0-1"],
        "a packet ahead of CONNACK ends the connection",
        |version| {
            let mut packets = vec![
                Packet::PingResp,
                ack(PacketType::PubAck, 1, ReasonCode::SUCCESS),
                ack(PacketType::PubRel, 1, ReasonCode::SUCCESS),
            ];
            if version.is_v5() {
                packets.push(Packet::Disconnect(Disconnect::default()));
            }
            for packet in packets {
                let mut raw = handshaking(config(version));
                raw.feed(&packet);
                let violation = assert_violated(&mut raw, 0x82);
                let packet = packet.packet_type();
                assert_eq!(violation, Violation::BeforeConnAck { packet });
            }
            let mut raw = handshaking(config(version));
            raw.feed_publish("a", Flow::AtMostOnce, b"");
            assert_violated(&mut raw, 0x82);
            assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
        },
    );
    cases.v5(
        &["MQTT-3.2.0-2"],
        "a second CONNACK ends the connection, and changes nothing before",
        || {
            let mut raw = Raw::connected(config(Version::V5));
            raw.accept(
                false,
                properties(|b| b.receive_maximum(NonZeroU16::MIN).maximum_qos(false)),
            );
            assert_eq!(assert_violated(&mut raw, 0x82), Violation::SecondConnAck);
        },
    );
    cases.both(
        &["MQTT-3.2.2-2"],
        &["MQTT-3.2.2-1"],
        "a session that is present against a clean start ends the connection",
        |version| {
            let mut raw = handshaking(config(version));
            raw.accept(true, NONE);
            assert_eq!(assert_violated(&mut raw, 0x82), Violation::SessionPresent);
        },
    );
    cases.both(
        &["MQTT-3.2.2-6"],
        &["MQTT-3.2.2-4"],
        "a refusal that claims a session ends the connection as one that makes no sense",
        |version| {
            let mut raw = handshaking(lasting(version));
            raw.bytes_in(if version.is_v5() {
                &[0x20, 3, 1, 0x89, 0]
            } else {
                &[0x20, 2, 1, 3]
            });
            let error = assert_ended(&mut raw, 0x82);
            assert!(matches!(error, ConnectionError::Decode { .. }), "{error}");
        },
    );
    cases.both(
        &["MQTT-3.2.2-7", "MQTT-4.13.2-1"],
        &["MQTT-3.2.2-5"],
        "a refusal is followed by the close of the stream, and nothing is sent before it",
        |version| {
            let mut raw = Raw::new(config(version));
            raw.session.start(raw.now);
            raw.publish(QoS::AtLeastOnce, b"early");
            raw.open();
            raw.bytes_in(if version.is_v5() {
                &[0x20, 3, 0, 0x89, 0]
            } else {
                &[0x20, 2, 0, 3]
            });
            assert!(matches!(raw.last_loss(), ConnectionError::Refused { .. }));
            // What the server says behind it means nothing.
            raw.bytes_in(&[0x20, 2, 0, 0]);
            assert_eq!(raw.session.phase(), Phase::Closing);
            assert!(!raw.hang_up());
            assert_eq!(raw.lines(), Vec::<String>::new());
            assert_eq!(raw.session.phase(), Phase::Waiting);
        },
    );
    cases.v311(
        &["MQTT-3.2.2-6"],
        "an end of file before CONNACK is told as such, and tried again after a pause",
        || {
            let mut raw = handshaking(config(Version::V3_1_1));
            raw.closed(Cause::Eof);
            let (error, retry_in) = raw.losses().remove(0);
            let ended = matches!(
                error,
                ConnectionError::Unanswered {
                    cause: Cause::Eof,
                    ..
                }
            );
            assert!(ended, "{error}");
            assert!(retry_in.is_some());
            raw.wait_for_dial();
            raw.open();
        },
    );
    cases.v5(
        &["MQTT-3.2.2-9", "MQTT-3.2.2-11"],
        "nothing goes out above Maximum QoS: refused at the call, or with its turn",
        || {
            for (max, told) in [(QoS::AtMostOnce, false), (QoS::AtLeastOnce, true)] {
                let mut raw = Raw::new(config(Version::V5));
                raw.session.start(raw.now);
                let early = raw.publish(QoS::ExactlyOnce, b"early");
                raw.open();
                raw.accept(false, properties(|b| b.maximum_qos(told)));
                let refused = PublishRefused::QoSNotSupported { max };
                assert_eq!(raw.outcome(early), Some(Outcome::Refused(refused)));
                let error = raw
                    .offer(QoS::ExactlyOnce, message("a", b""))
                    .expect_err("above");
                assert_eq!(error.reason, refused);
                assert_eq!(raw.lines(), Vec::<String>::new());
                raw.publish(max, b"");
                assert_eq!(raw.packets().len(), 1);
                // Subscribing may ask for any QoS.
                raw.subscribe("a", QueueId::DEFAULT);
                assert_eq!(raw.packets().len(), 1);
            }
        },
    );
    cases.v5(
        &["MQTT-3.2.2-14"],
        "RETAIN does not go out where it is not available: refused at the call, or with its turn",
        || {
            let retained = || message("a", b"x").with_retain(true);
            let mut raw = Raw::new(config(Version::V5));
            raw.session.start(raw.now);
            let early = raw.offer(QoS::AtLeastOnce, retained()).expect("accepted");
            raw.open();
            raw.accept(false, properties(|b| b.retain_available(false)));
            let refused = PublishRefused::RetainNotAvailable;
            assert_eq!(raw.outcome(early), Some(Outcome::Refused(refused)));
            let error = raw.offer(QoS::AtMostOnce, retained()).expect_err("refused");
            assert_eq!(error.reason, refused);
            assert_eq!(raw.lines(), Vec::<String>::new());
        },
    );
    cases.v5(
        &["MQTT-3.2.2-15"],
        "no packet goes out above the server's Maximum Packet Size, to the byte",
        || {
            let max = NonZeroU32::new(40).expect("not 0");
            let limit = properties(|b| {
                b.maximum_packet_size(max)
                    .subscription_identifier_available(false)
            });
            let mut raw = Raw::connected_with(config(Version::V5), limit);
            // Header 2, topic 2 + 1, identifier 2, no properties 1.
            let fits = message("a", &[0; 32]);
            raw.offer(QoS::AtLeastOnce, fits).expect("40 bytes");
            let mut before = raw.wire.len();
            raw.poll();
            assert_eq!(raw.wire.len() - before, 40);
            let error = raw
                .offer(QoS::AtLeastOnce, message("a", &[0; 33]))
                .expect_err("41 bytes");
            let too_large = EncodeError::PacketTooLarge { size: 41, max: 40 };
            assert_eq!(error.reason, PublishRefused::Encode(too_large));
            // The same for requests: header 2, identifier 2, no properties 1, filter 2 + n, options 1.
            let filter = |len: usize| {
                vec![(
                    "f".repeat(len).as_str().try_into().expect("a filter"),
                    SubscribeOptions::default(),
                )]
            };
            let mut ask = |len| {
                raw.session
                    .subscribe(raw.now, filter(len), NONE, QueueId::DEFAULT)
            };
            ask(33).expect_err("41 bytes");
            ask(32).expect("40 bytes");
            before = raw.wire.len();
            raw.poll();
            assert_eq!(raw.wire.len() - before, 40);
            let names = |len: usize| vec!["f".repeat(len).as_str().try_into().expect("a filter")];
            raw.session
                .unsubscribe(raw.now, names(34), NONE)
                .expect_err("41 bytes");
            // What explains a DISCONNECT is left out rather than too large.
            let words = properties(|b| b.reason_string("x".repeat(50).as_str()));
            let disconnect = Disconnect {
                reason: ReasonCode::SUCCESS,
                properties: words,
            };
            raw.packets();
            raw.session
                .disconnect(raw.now, disconnect, std::time::Duration::ZERO)
                .expect("a good DISCONNECT");
            assert_eq!(raw.lines(), ["DISCONNECT 0x00"]);
        },
    );
    cases.v5(
        &["MQTT-3.1.2-29"],
        "a reason or user property that was not to be sent ends the connection, but for PUBLISH, CONNACK and DISCONNECT",
        || {
            let quiet = || properties(|b| b.request_problem_information(false));
            let words = || {
                [
                    properties(|b| b.reason_string("because")),
                    properties(|b| b.user_property("why", "so")),
                ]
            };
            for properties in words() {
                let config = || config(Version::V5).connect_properties(quiet());
                let code = vec![ReasonCode::SUCCESS];
                let mut raw = Raw::connected_with(config(), properties.clone());
                raw.subscribe("a", QueueId::DEFAULT);
                raw.publish(QoS::AtLeastOnce, b"");
                raw.publish(QoS::ExactlyOnce, b"");
                raw.publish(QoS::ExactlyOnce, b"");
                raw.session
                    .unsubscribe(raw.now, vec!["b".try_into().expect("a filter")], NONE)
                    .expect("accepted");
                raw.feed_ack(PacketType::PubRec, 3);
                raw.feed_publish("a", flow(QoS::ExactlyOnce, 9, false), b"");
                raw.take_and_ack();
                assert_eq!(raw.session.phase(), Phase::Connected, "in CONNACK");
                let ack = |number| mqtt_session::proto::Ack {
                    properties: properties.clone(),
                    ..mqtt_session::proto::Ack::new(crate::pair::raw::id(number))
                };
                let packets = [
                    Packet::PubAck(ack(1)),
                    Packet::PubRec(ack(2)),
                    Packet::PubComp(ack(3)),
                    Packet::PubRel(ack(9)),
                    Packet::SubAck(mqtt_session::proto::SubAck {
                        id: crate::pair::raw::id(65535),
                        codes: code.clone(),
                        properties: properties.clone(),
                    }),
                    Packet::UnsubAck(mqtt_session::proto::UnsubAck {
                        id: crate::pair::raw::id(65534),
                        codes: code,
                        properties: properties.clone(),
                    }),
                ];
                let sent = raw.wire.clone();
                for packet in packets {
                    let mut raw = Raw::connected(config());
                    raw.subscribe("a", QueueId::DEFAULT);
                    raw.publish(QoS::AtLeastOnce, b"");
                    raw.publish(QoS::ExactlyOnce, b"");
                    raw.publish(QoS::ExactlyOnce, b"");
                    raw.session
                        .unsubscribe(raw.now, vec!["b".try_into().expect("a filter")], NONE)
                        .expect("accepted");
                    raw.feed_ack(PacketType::PubRec, 3);
                    raw.feed_publish("a", flow(QoS::ExactlyOnce, 9, false), b"");
                    raw.take_and_ack();
                    assert_eq!(raw.wire, sent);
                    raw.packets();
                    raw.feed(&packet);
                    let violation = assert_violated(&mut raw, 0x82);
                    let packet = packet.packet_type();
                    assert_eq!(violation, Violation::ProblemInformation { packet });
                }
                let mut raw = opened(authenticating().connect_properties(quiet()));
                answer(&mut raw, "me");
                raw.packets();
                let asks = properties.view();
                let explained = with_data("who?");
                let explained = mqtt_session::proto::Properties::builder()
                    .extend(explained.view())
                    .extend(asks);
                raw.feed(&auth(CONTINUE, explained.build().expect("good")));
                let violation = assert_violated(&mut raw, 0x82);
                let packet = PacketType::Auth;
                assert_eq!(violation, Violation::ProblemInformation { packet });
                let mut raw = Raw::connected(config());
                let disconnect = Disconnect {
                    reason: ReasonCode::SERVER_BUSY,
                    properties: properties.clone(),
                };
                raw.feed(&Packet::Disconnect(disconnect));
                let error = raw.last_loss();
                assert!(
                    matches!(error, ConnectionError::Disconnected { .. }),
                    "{error}"
                );
            }
        },
    );
    cases.v5(
        &["MQTT-4.12.0-6"],
        "AUTH, and a CONNACK with an authentication method, end a connection whose CONNECT named none",
        || {
            let method = || properties(|b| b.authentication_method("SCRAM-SHA-256"));
            let auth = Packet::Auth(Auth {
                reason: ReasonCode::CONTINUE_AUTHENTICATION,
                properties: method(),
            });
            let mut raw = handshaking(config(Version::V5));
            raw.feed(&auth);
            assert_violated(&mut raw, 0x82);
            let mut raw = Raw::connected(config(Version::V5));
            raw.feed(&auth);
            assert_violated(&mut raw, 0x82);
            let mut raw = handshaking(config(Version::V5));
            raw.accept(false, method());
            let packet = PacketType::ConnAck;
            let violation = assert_violated(&mut raw, 0x82);
            assert_eq!(violation, Violation::AuthenticationMethod { packet });
        },
    );
    cases.v5(
        &["MQTT-4.12.0-7"],
        "without a method in CONNECT no AUTH goes out",
        || {
            let mut raw = Raw::new(config(Version::V5));
            raw.session.start(raw.now);
            let connect = open(&mut raw);
            assert_eq!(connect.properties.view().authentication_method(), None);
            raw.accept(false, NONE);
            raw.advance(std::time::Duration::from_secs(600));
            raw.feed(&Packet::PingResp);
            let refused = raw.session.reauthenticate(raw.now);
            assert_eq!(refused, Err(ReauthenticateError::NoMethod));
            assert!(
                raw.packets()
                    .iter()
                    .all(|p| p.packet_type() != PacketType::Auth)
            );
        },
    );
}
