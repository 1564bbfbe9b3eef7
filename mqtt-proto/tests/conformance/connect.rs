//! CONNECT (section 3.1).

use bytes::{Bytes, BytesMut};
use mqtt_proto::{
    Connect, DecodeError, Decoder, EncodeError, Packet, Properties, QoS, ReasonCode, Sender, Text,
    Topic, Version, Will,
};

use crate::common::packets::{connect, none};
use crate::common::{accepts, both_ways, encode, frame, hex, refuses, string};
use crate::runner::Cases;

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &["MQTT-3.1.2-1"],
        &["MQTT-3.1.2-1"],
        "the protocol name is MQTT, and another one is answered with unsupported protocol version",
        |version| {
            let bytes = encode(version, Sender::Client, &packet(plain(version))).unwrap();
            assert_eq!(bytes[2..8], hex("0004 4D515454"));
            assert_eq!(bytes[8], version.level());
            for name in [
                "MQTS", "mqtt", "MQT", "MQTTT", "", "MQIsdp", "HTTP", "MQTT\0",
            ] {
                let body = [
                    &string(name)[..],
                    &[version.level(), 2, 0, 60],
                    none(version),
                    &hex("0001 63"),
                ]
                .concat();
                let error = refuses(version, Sender::Client, &frame(0x10, &body));
                assert_eq!(
                    error,
                    DecodeError::UnknownProtocol {
                        level: version.level()
                    },
                    "{name:?}"
                );
                assert_eq!(error.reason(), ReasonCode::UNSUPPORTED_PROTOCOL_VERSION);
            }
        },
    );
    cases.both(
        &["MQTT-3.1.2-3"],
        &["MQTT-3.1.2-3"],
        "the reserved connect flag is malformed, and never written",
        |version| {
            for flags in (0..=255).filter(|flags| flags & 1 == 1) {
                refuses_flags(version, flags, &full_payload(version, flags));
            }
            for connect in every_kind(version) {
                assert_eq!(
                    encode(version, Sender::Client, &packet(connect)).unwrap()[9] & 1,
                    0
                );
            }
        },
    );
    cases.both(
        &["MQTT-3.1.2-9"],
        &["MQTT-3.1.2-9"],
        "a will flag of 1 comes with will properties, topic and payload",
        |version| {
            let payload = [
                &hex("0001 63")[..],
                none(version),
                &hex("0001 77 0002 6D6D"),
            ]
            .concat();
            let connect_with_will = Connect {
                will: Some(will()),
                ..plain(version)
            };
            both_ways(
                version,
                Sender::Client,
                &connect(version, 0b0000_0110, &payload),
                packet(connect_with_will),
            );
            for cut in 3..payload.len() {
                let error = refuses(
                    version,
                    Sender::Client,
                    &connect(version, 0b0000_0110, &payload[..cut]),
                );
                assert!(matches!(error, DecodeError::Truncated { .. }), "{error:?}");
                assert_eq!(error.reason(), ReasonCode::MALFORMED_PACKET);
            }
        },
    );
    cases.both(
        &["MQTT-3.1.2-11", "MQTT-3.1.2-13"],
        &["MQTT-3.1.2-11", "MQTT-3.1.2-13", "MQTT-3.1.2-15"],
        "a will flag of 0 comes with will QoS 0 and will retain 0, and without will fields",
        |version| {
            for flags in (0..=255).filter(|flags| flags & 0b100 == 0 && flags & 0b11_1000 != 0) {
                refuses_flags(version, flags, &full_payload(version, flags));
            }
            let bytes = encode(version, Sender::Client, &packet(plain(version))).unwrap();
            assert_eq!(bytes, connect(version, 0b10, &hex("0001 63")));
            let extra = [&hex("0001 63")[..], none(version), &hex("0001 77 0001 6D")].concat();
            let error = refuses(version, Sender::Client, &connect(version, 0b10, &extra));
            assert!(
                matches!(error, DecodeError::TrailingBytes { .. }),
                "{error:?}"
            );
        },
    );
    cases.both(
        &["MQTT-3.1.2-12"],
        &["MQTT-3.1.2-14"],
        "a will QoS of 3 is malformed; 0, 1 and 2 are carried",
        |version| {
            for retain in [0, 0b10_0000] {
                refuses_flags(version, 0b1_1110 | retain, &full_payload(version, 0b100));
            }
            for (bits, qos) in [
                (0, QoS::AtMostOnce),
                (1, QoS::AtLeastOnce),
                (2, QoS::ExactlyOnce),
            ] {
                for retain in [false, true] {
                    let will = Will {
                        qos,
                        retain,
                        ..will()
                    };
                    let flags = 0b110 | bits << 3 | u8::from(retain) << 5;
                    let payload = [
                        &hex("0001 63")[..],
                        none(version),
                        &hex("0001 77 0002 6D6D"),
                    ]
                    .concat();
                    let expected = Connect {
                        will: Some(will),
                        ..plain(version)
                    };
                    both_ways(
                        version,
                        Sender::Client,
                        &connect(version, flags, &payload),
                        packet(expected),
                    );
                }
            }
        },
    );
    cases.both(
        &["MQTT-3.1.2-16", "MQTT-3.1.2-17"],
        &["MQTT-3.1.2-18", "MQTT-3.1.2-19"],
        "the user name is in the payload if and only if its flag is 1",
        |version| {
            let named = Connect {
                user_name: text("u"),
                ..plain(version)
            };
            both_ways(
                version,
                Sender::Client,
                &connect(version, 0b1000_0010, &hex("0001 63 0001 75")),
                packet(named),
            );
            both_ways(
                version,
                Sender::Client,
                &connect(version, 0b10, &hex("0001 63")),
                packet(plain(version)),
            );
            let error = refuses(
                version,
                Sender::Client,
                &connect(version, 0b1000_0010, &hex("0001 63")),
            );
            assert_eq!(error, DecodeError::Truncated { field: "user name" });
            let error = refuses(
                version,
                Sender::Client,
                &connect(version, 0b10, &hex("0001 63 0001 75")),
            );
            assert!(
                matches!(error, DecodeError::TrailingBytes { extra: 3, .. }),
                "{error:?}"
            );
        },
    );
    cases.both(
        &["MQTT-3.1.2-18", "MQTT-3.1.2-19"],
        &["MQTT-3.1.2-20", "MQTT-3.1.2-21"],
        "the password is in the payload if and only if its flag is 1",
        |version| {
            let secret = Connect {
                user_name: text("u"),
                password: Some(Bytes::from_static(&[0, 255])),
                ..plain(version)
            };
            let bytes = connect(version, 0b1100_0010, &hex("0001 63 0001 75 0002 00FF"));
            both_ways(version, Sender::Client, &bytes, packet(secret));
            let error = refuses(
                version,
                Sender::Client,
                &connect(version, 0b1100_0010, &hex("0001 63 0001 75")),
            );
            assert_eq!(error, DecodeError::Truncated { field: "password" });
            let error = refuses(
                version,
                Sender::Client,
                &connect(version, 0b1000_0010, &hex("0001 63 0001 75 0002 00FF")),
            );
            assert!(
                matches!(error, DecodeError::TrailingBytes { extra: 4, .. }),
                "{error:?}"
            );
        },
    );
    cases.v5(&["MQTT-3.1.2-19"], "a password needs no user name", || {
        let version = Version::V5;
        let secret = Connect {
            password: Some(Bytes::from_static(b"p")),
            ..plain(version)
        };
        both_ways(
            version,
            Sender::Client,
            &connect(version, 0b0100_0010, &hex("0001 63 0001 70")),
            packet(secret),
        );
    });
    cases.v311(
        &["MQTT-3.1.2-22"],
        "a password without a user name is refused both ways",
        || {
            let version = Version::V3_1_1;
            refuses_flags(version, 0b0100_0010, &hex("0001 63 0001 70"));
            let secret = Connect {
                password: Some(Bytes::from_static(b"p")),
                ..plain(version)
            };
            assert_eq!(
                encode(version, Sender::Client, &packet(secret)),
                Err(EncodeError::PasswordWithoutUserName { version })
            );
        },
    );
    cases.both(
        &["MQTT-3.1.3-1", "MQTT-3.1.3-3"],
        &["MQTT-3.1.3-1", "MQTT-3.1.3-3"],
        "client identifier, will properties, will topic, will payload, user name and password come in this order",
        |version| {
            let all = Connect {
                will: Some(will()),
                user_name: text("u"),
                password: Some(Bytes::from_static(b"p")),
                ..plain(version)
            };
            let payload = [&hex("0001 63")[..], none(version), &hex("0001 77 0002 6D6D 0001 75 0001 70")].concat();
            both_ways(version, Sender::Client, &connect(version, 0b1100_0110, &payload), packet(all));
        },
    );
    cases.both(
        &["MQTT-3.1.3-3"],
        &["MQTT-3.1.3-3"],
        "a connect without a client identifier is malformed; an empty one is written as a length of zero",
        |version| {
            let error = refuses(version, Sender::Client, &connect(version, 0b10, b""));
            assert_eq!(error, DecodeError::Truncated { field: "client identifier" });
            let empty = Connect { client_id: Text::default(), ..plain(version) };
            both_ways(version, Sender::Client, &connect(version, 0b10, &hex("0000")), packet(empty));
        },
    );
    cases.v311(
        &["MQTT-3.1.3-7"],
        "an empty client identifier is only written with a clean session",
        || {
            let version = Version::V3_1_1;
            let empty = Connect {
                client_id: Text::default(),
                clean_start: false,
                ..plain(version)
            };
            assert_eq!(
                empty.check(),
                Err(EncodeError::BadClientId { version, len: 0 })
            );
            assert_eq!(
                encode(version, Sender::Client, &packet(empty)),
                Err(EncodeError::BadClientId { version, len: 0 })
            );
            // A server answers it with return code 2, so it can be read.
            accepts(version, Sender::Client, &connect(version, 0, &hex("0000")));
        },
    );
    cases.v5(
        &["MQTT-3.1.2-24"],
        "a packet above our Maximum Packet Size is answered with packet too large",
        || {
            let decoder = Decoder::new(Version::V5, Sender::Server).with_max_packet_size(10);
            // Ten bytes are taken, eleven are refused by their header, before the body is there.
            let mut input = BytesMut::from(&hex("30 08 0001 61 00 01020304")[..]);
            assert!(matches!(
                decoder.decode(&mut input),
                Ok(Some(Packet::Publish(_)))
            ));
            let mut input = BytesMut::from(&hex("30 09")[..]);
            let error = decoder.decode(&mut input).unwrap_err();
            assert_eq!(error, DecodeError::PacketTooLarge { size: 11, max: 10 });
            assert_eq!(error.reason(), ReasonCode::PACKET_TOO_LARGE);
        },
    );
}

fn packet(connect: Connect) -> Packet {
    Packet::Connect(Box::new(connect))
}

fn text(s: &str) -> Option<Text> {
    Some(Text::try_from(s).unwrap())
}

fn plain(version: Version) -> Connect {
    Connect {
        version,
        client_id: Text::try_from("c").unwrap(),
        clean_start: true,
        keep_alive: 60,
        will: None,
        user_name: None,
        password: None,
        properties: Properties::new(),
    }
}

fn will() -> Will {
    Will {
        topic: Topic::try_from("w").unwrap(),
        payload: Bytes::from_static(b"mm"),
        qos: QoS::AtMostOnce,
        retain: false,
        properties: Properties::new(),
    }
}

fn every_kind(version: Version) -> Vec<Connect> {
    let mut all = Vec::new();
    for n in 0..16 {
        let user_name = (n & 1 != 0).then(|| Text::try_from("u").unwrap());
        all.push(Connect {
            clean_start: n & 2 != 0,
            will: (n & 4 != 0).then(will),
            password: (n & 8 != 0 && user_name.is_some()).then(|| Bytes::from_static(b"p")),
            user_name,
            ..plain(version)
        });
    }
    all
}

/// A payload with the fields that the flags announce.
fn full_payload(version: Version, flags: u8) -> Vec<u8> {
    let mut payload = hex("0001 63");
    if flags & 0b100 != 0 {
        payload.extend([none(version), &hex("0001 77 0002 6D6D")].concat());
    }
    for bit in [0b1000_0000, 0b0100_0000] {
        if flags & bit != 0 {
            payload.extend(hex("0001 75"));
        }
    }
    payload
}

#[track_caller]
fn refuses_flags(version: Version, flags: u8, payload: &[u8]) {
    let error = refuses(version, Sender::Client, &connect(version, flags, payload));
    assert_eq!(error, DecodeError::BadConnectFlags { flags });
    assert_eq!(error.reason(), ReasonCode::MALFORMED_PACKET);
}
