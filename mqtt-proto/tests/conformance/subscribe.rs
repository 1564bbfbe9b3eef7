//! SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK (sections 3.8 to 3.11).

use mqtt_proto::{
    DecodeError, EncodeError, Packet, PacketType, Properties, QoS, ReasonCode, RetainHandling,
    Sender, SubAck, Subscribe, SubscribeOptions, TopicFilter, UnsubAck, Unsubscribe, Version,
};

use crate::common::packets::{self, none};
use crate::common::{VERSIONS, accepts, both_ways, encode, frame, hex, id, refuses, tables};
use crate::runner::Cases;

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &["MQTT-3.8.3-2", "MQTT-3.10.3-2"],
        &["MQTT-3.8.3-3", "MQTT-3.10.3-2"],
        "SUBSCRIBE and UNSUBSCRIBE without a filter are a protocol error, and are not written",
        |version| {
            for (first, packet) in [
                (0x82, PacketType::Subscribe),
                (0xA2, PacketType::Unsubscribe),
            ] {
                let bytes = frame(first, &[&hex("0007")[..], none(version)].concat());
                let error = refuses(version, Sender::Client, &bytes);
                assert_eq!(error, DecodeError::NoEntries { packet });
                assert_eq!(error.reason(), ReasonCode::PROTOCOL_ERROR);
            }
            let (id, properties) = (id(7), Properties::new());
            let subscribe = Packet::Subscribe(Subscribe {
                id,
                filters: Vec::new(),
                properties: properties.clone(),
            });
            let error = encode(version, Sender::Client, &subscribe);
            assert_eq!(
                error,
                Err(EncodeError::NoEntries {
                    packet: PacketType::Subscribe
                })
            );
            let unsubscribe = Packet::Unsubscribe(Unsubscribe {
                id,
                filters: Vec::new(),
                properties,
            });
            let error = encode(version, Sender::Client, &unsubscribe);
            assert_eq!(
                error,
                Err(EncodeError::NoEntries {
                    packet: PacketType::Unsubscribe
                })
            );
        },
    );
    cases.both(
        &["MQTT-3.8.3-1", "MQTT-3.10.3-1"],
        &["MQTT-3.8.3-1", "MQTT-3.10.3-1"],
        "filters stand back to back as strings, each with its options in SUBSCRIBE",
        |version| {
            let filter = |filter: &str| TopicFilter::try_from(filter).unwrap();
            let filters = vec![
                (filter("a/+"), SubscribeOptions::new(QoS::AtLeastOnce)),
                (filter("\u{e9}/#"), SubscribeOptions::new(QoS::ExactlyOnce)),
            ];
            let unsubscribe = filters.iter().map(|(filter, _)| filter.clone()).collect();
            let subscribe = Packet::Subscribe(Subscribe {
                id: id(7),
                filters,
                properties: Properties::new(),
            });
            let bytes = [
                &hex("0007")[..],
                none(version),
                &hex("0003 612F2B 01 0004 C3A92F23 02"),
            ]
            .concat();
            both_ways(version, Sender::Client, &frame(0x82, &bytes), subscribe);
            let unsubscribe = Packet::Unsubscribe(Unsubscribe {
                id: id(7),
                filters: unsubscribe,
                properties: Properties::new(),
            });
            let bytes = [
                &hex("0007")[..],
                none(version),
                &hex("0003 612F2B 0004 C3A92F23"),
            ]
            .concat();
            both_ways(version, Sender::Client, &frame(0xA2, &bytes), unsubscribe);
        },
    );
    cases.v5(
        &["MQTT-3.8.3-4"],
        "No Local on a shared subscription is a protocol error, and is not written",
        || {
            for options in [0b0100, 0b0101, 0b10_1110] {
                let error = refuses(
                    Version::V5,
                    Sender::Client,
                    &packets::subscribe(Version::V5, "$share/g/f", options),
                );
                assert_eq!(error, DecodeError::NoLocalOnShared);
                assert_eq!(error.reason(), ReasonCode::PROTOCOL_ERROR);
                accepts(
                    Version::V5,
                    Sender::Client,
                    &packets::subscribe(Version::V5, "$share/g/f", options & !0b100),
                );
                accepts(
                    Version::V5,
                    Sender::Client,
                    &packets::subscribe(Version::V5, "$shared/g/f", options),
                );
            }
            let options = SubscribeOptions {
                no_local: true,
                ..SubscribeOptions::default()
            };
            let subscribe = |filter: &str| {
                let filters = vec![(TopicFilter::try_from(filter).unwrap(), options)];
                Packet::Subscribe(Subscribe {
                    id: id(7),
                    filters,
                    properties: Properties::new(),
                })
            };
            assert_eq!(
                encode(Version::V5, Sender::Client, &subscribe("$share/g/f")),
                Err(EncodeError::NoLocalOnShared)
            );
            assert!(encode(Version::V5, Sender::Client, &subscribe("g/f")).is_ok());
        },
    );
    cases.v5(
        &["MQTT-3.8.3-5"],
        "of all 256 bytes exactly the subscription options that exist are taken, and come back",
        || {
            for byte in 0..=255_u8 {
                let bytes = packets::subscribe(Version::V5, "f", byte);
                let (reserved, qos, retain_handling) = (byte >> 6, byte & 3, byte >> 4 & 3);
                if reserved == 0 && qos != 3 && retain_handling != 3 {
                    let options = SubscribeOptions {
                        qos: QoS::from_u8(qos).unwrap(),
                        no_local: byte & 4 != 0,
                        retain_as_published: byte & 8 != 0,
                        retain_handling: [
                            RetainHandling::Send,
                            RetainHandling::SendIfNew,
                            RetainHandling::DoNotSend,
                        ][usize::from(retain_handling)],
                    };
                    let filters = vec![(TopicFilter::try_from("f").unwrap(), options)];
                    let packet = Packet::Subscribe(Subscribe {
                        id: id(7),
                        filters,
                        properties: Properties::new(),
                    });
                    both_ways(Version::V5, Sender::Client, &bytes, packet);
                } else {
                    let error = refuses(Version::V5, Sender::Client, &bytes);
                    assert_eq!(error, DecodeError::BadSubscriptionOptions { options: byte });
                    // Section 3.8.3.1: reserved bits are malformed, a QoS or a Retain Handling of 3 is a protocol error.
                    let reason = if reserved != 0 {
                        ReasonCode::MALFORMED_PACKET
                    } else {
                        ReasonCode::PROTOCOL_ERROR
                    };
                    assert_eq!(error.reason(), reason, "{byte:#010b}");
                }
            }
        },
    );
    cases.v311(
        &["MQTT-3-8.3-4"],
        "a requested QoS other than 0, 1 and 2 is refused, and so is any other bit",
        || {
            for byte in 0..=255 {
                let bytes = packets::subscribe(Version::V3_1_1, "f", byte);
                if byte < 3 {
                    accepts(Version::V3_1_1, Sender::Client, &bytes);
                } else {
                    let error = refuses(Version::V3_1_1, Sender::Client, &bytes);
                    assert_eq!(error, DecodeError::BadSubscriptionOptions { options: byte });
                }
            }
        },
    );
    cases.v5(
        &["MQTT-3.8.4-7", "MQTT-3.9.3-2"],
        "SUBACK takes and writes the listed reason codes alone, for each filter",
        || {
            listed_codes(PacketType::SubAck);
        },
    );
    cases.v5(
        &["MQTT-3.11.3-2"],
        "UNSUBACK takes and writes the listed reason codes alone, for each filter",
        || {
            listed_codes(PacketType::UnsubAck);
        },
    );
    cases.v311(
        &["MQTT-3.9.3-2"],
        "SUBACK takes and writes 0, 1, 2 and 0x80 alone",
        || {
            for version in VERSIONS
                .into_iter()
                .filter(|version| *version != Version::V5)
            {
                for code in 0..=255 {
                    let bytes = frame(0x90, &[0, 7, 0, code]);
                    let codes = vec![ReasonCode::SUCCESS, ReasonCode(code)];
                    let packet = Packet::SubAck(SubAck {
                        id: id(7),
                        codes,
                        properties: Properties::new(),
                    });
                    if [0, 1, 2, 0x80].contains(&code) {
                        both_ways(version, Sender::Server, &bytes, packet);
                    } else {
                        refuses_code(version, PacketType::SubAck, code, &bytes, &packet);
                    }
                }
            }
        },
    );
}

fn listed_codes(packet: PacketType) {
    let listed = tables::reason_codes(packet as u8, Sender::Server).unwrap();
    for code in 0..=255 {
        let bytes = frame((packet as u8) << 4, &[0, 7, 0, 0, code, 0]);
        let codes = vec![ReasonCode::SUCCESS, ReasonCode(code), ReasonCode::SUCCESS];
        let (id, properties) = (id(7), Properties::new());
        let value = match packet {
            PacketType::SubAck => Packet::SubAck(SubAck {
                id,
                codes,
                properties,
            }),
            _ => Packet::UnsubAck(UnsubAck {
                id,
                codes,
                properties,
            }),
        };
        if listed.contains(&code) {
            both_ways(Version::V5, Sender::Server, &bytes, value);
        } else {
            refuses_code(Version::V5, packet, code, &bytes, &value);
        }
    }
}

fn refuses_code(version: Version, packet: PacketType, code: u8, bytes: &[u8], value: &Packet) {
    let sender = Sender::Server;
    let error = refuses(version, sender, bytes);
    assert_eq!(
        error,
        DecodeError::BadReasonCode {
            packet,
            sender,
            code
        }
    );
    assert_eq!(error.reason(), ReasonCode::PROTOCOL_ERROR);
    let code = ReasonCode(code);
    assert_eq!(
        encode(version, sender, value),
        Err(EncodeError::ReasonNotAllowed {
            packet,
            sender,
            code
        })
    );
}
