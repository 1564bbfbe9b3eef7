//! The fixed header, packet identifiers and the property length (chapter 2).

use bytes::BytesMut;
use mqtt_proto::{
    Ack, Auth, ConnAck, DecodeError, Decoder, Disconnect, Encoder, Flow, Outbox, Packet, PacketId,
    PacketType, Properties, Publish, QoS, ReasonCode, Sender, SubAck, Subscribe, SubscribeOptions,
    Topic, TopicFilter, UnsubAck, Unsubscribe, Version,
};

use crate::common::{SENDERS, accepts, encode, frame, hex, id, refuses};
use crate::runner::Cases;

/// Packet types with the flags that table 2-2 lists; PUBLISH has its own.
const FLAGS: [(u8, u8); 14] = [
    (1, 0),
    (2, 0),
    (4, 0),
    (5, 0),
    (6, 2),
    (7, 0),
    (8, 2),
    (9, 0),
    (10, 2),
    (11, 0),
    (12, 0),
    (13, 0),
    (14, 0),
    (15, 0),
];

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &[
            "MQTT-2.1.3-1",
            "MQTT-3.6.1-1",
            "MQTT-3.8.1-1",
            "MQTT-3.10.1-1",
            "MQTT-3.14.1-1",
            "MQTT-3.15.1-1",
        ],
        &[
            "MQTT-2.2.2-2",
            "MQTT-3.6.1-1",
            "MQTT-3.8.1-1",
            "MQTT-3.10.1-1",
            "MQTT-3.14.1-1",
        ],
        "flags other than the listed ones are malformed, which the first byte tells",
        |version| {
            for (packet, listed) in FLAGS {
                for flags in (0..16).filter(|flags| *flags != listed) {
                    let mut refused = 0;
                    for sender in SENDERS {
                        let mut input = BytesMut::from(&[packet << 4 | flags][..]);
                        match Decoder::new(version, sender).decode(&mut input) {
                            Err(error @ DecodeError::BadFlags { flags: told, .. }) => {
                                assert_eq!(told, flags);
                                assert_eq!(error.reason(), ReasonCode::MALFORMED_PACKET);
                                refused += 1;
                            }
                            Err(
                                DecodeError::WrongSender { .. } | DecodeError::UnknownType { .. },
                            ) => {}
                            other => panic!("type {packet} with the flags {flags}: {other:?}"),
                        }
                    }
                    assert!(
                        refused > 0 || (packet == 15 && version != Version::V5),
                        "type {packet}"
                    );
                }
            }
        },
    );
    cases.both(
        &[
            "MQTT-2.1.3-1",
            "MQTT-3.6.1-1",
            "MQTT-3.8.1-1",
            "MQTT-3.10.1-1",
            "MQTT-3.15.1-1",
        ],
        &[
            "MQTT-2.2.2-1",
            "MQTT-3.6.1-1",
            "MQTT-3.8.1-1",
            "MQTT-3.10.1-1",
        ],
        "every packet is written with the listed flags",
        |version| {
            for (sender, packet) in one_of_each(version) {
                let number = packet.packet_type() as u8;
                let listed = FLAGS
                    .iter()
                    .find(|(packet, _)| *packet == number)
                    .unwrap()
                    .1;
                assert_eq!(
                    encode(version, sender, &packet).unwrap()[0],
                    number << 4 | listed
                );
            }
        },
    );
    cases.both(
        &["MQTT-2.2.1-2"],
        &["MQTT-2.3.1-5"],
        "a publish of QoS 0 has no packet identifier",
        |version| {
            let none = crate::common::packets::none(version);
            let bytes = frame(0x30, &[&hex("0001 61")[..], none, &hex("0007")].concat());
            let Packet::Publish(publish) = accepts(version, Sender::Server, &bytes) else {
                panic!("no PUBLISH")
            };
            assert_eq!(publish.packet_id(), None);
            assert_eq!(publish.payload(), [0, 7], "what follows is payload");
            let publish = Publish::new(Topic::try_from("a").unwrap(), hex("0007"));
            let mut out = Outbox::new();
            Encoder::new(version, Sender::Client)
                .publish(&publish, Flow::AtMostOnce, None, &mut out)
                .unwrap();
            assert_eq!(out.to_vec(), bytes);
        },
    );
    cases.both(
        &["MQTT-2.2.1-3", "MQTT-2.2.1-4"],
        &["MQTT-2.3.1-1"],
        "a packet identifier of zero is refused where one is needed, and can't be held",
        |version| {
            assert_eq!(PacketId::new(0), None);
            let none = crate::common::packets::none(version);
            let zero = hex("0000");
            let client = [
                frame(0x32, &[&hex("0001 61")[..], &zero, none].concat()),
                frame(0x34, &[&hex("0001 61")[..], &zero, none].concat()),
                frame(0x82, &[&zero, none, &hex("0001 61 00")].concat()),
                frame(0xA2, &[&zero, none, &hex("0001 61")].concat()),
                frame(0x40, &zero),
                frame(0x50, &zero),
                frame(0x62, &zero),
                frame(0x70, &zero),
            ];
            let server = [
                frame(0x32, &[&hex("0001 61")[..], &zero, none].concat()),
                frame(0x90, &[&zero, none, &hex("00")].concat()),
                frame(
                    0xB0,
                    &[&zero[..], none, if none.is_empty() { &[] } else { &[0] }].concat(),
                ),
            ];
            let all = client
                .map(|bytes| (Sender::Client, bytes))
                .into_iter()
                .chain(server.map(|bytes| (Sender::Server, bytes)));
            for (sender, bytes) in all {
                let error = refuses(version, sender, &bytes);
                assert_eq!(error, DecodeError::ZeroPacketId, "{bytes:02X?}");
                assert_eq!(error.reason(), ReasonCode::PROTOCOL_ERROR);
            }
        },
    );
    cases.v5(
        &["MQTT-2.2.2-1"],
        "no properties are written as a length of zero",
        || {
            let with_length = [
                (
                    Packet::ConnAck(ConnAck::default()),
                    Sender::Server,
                    "20 03 00 00 00",
                ),
                (subscribe(), Sender::Client, "82 07 0007 00 0001 66 01"),
                (
                    Packet::Unsubscribe(unsubscribe()),
                    Sender::Client,
                    "A2 06 0007 00 0001 66",
                ),
                (suback(), Sender::Server, "90 04 0007 00 00"),
                (unsuback(Version::V5), Sender::Server, "B0 04 0007 00 00"),
            ];
            for (packet, sender, bytes) in with_length {
                assert_eq!(encode(Version::V5, sender, &packet).unwrap(), hex(bytes));
            }
            let publish = Publish::new(Topic::try_from("a").unwrap(), "p");
            let mut out = Outbox::new();
            Encoder::new(Version::V5, Sender::Client)
                .publish(&publish, Flow::AtMostOnce, None, &mut out)
                .unwrap();
            assert_eq!(out.to_vec(), hex("30 05 0001 61 00 70"));
        },
    );
}

fn subscribe() -> Packet {
    let filter = TopicFilter::try_from("f").unwrap();
    let filters = vec![(filter, SubscribeOptions::new(QoS::AtLeastOnce))];
    Packet::Subscribe(Subscribe {
        id: id(7),
        filters,
        properties: Properties::new(),
    })
}

fn unsubscribe() -> Unsubscribe {
    Unsubscribe {
        id: id(7),
        filters: vec![TopicFilter::try_from("f").unwrap()],
        properties: Properties::new(),
    }
}

fn suback() -> Packet {
    Packet::SubAck(SubAck {
        id: id(7),
        codes: vec![ReasonCode::SUCCESS],
        properties: Properties::new(),
    })
}

fn unsuback(version: Version) -> Packet {
    let codes = if version == Version::V5 {
        vec![ReasonCode::SUCCESS]
    } else {
        Vec::new()
    };
    Packet::UnsubAck(UnsubAck {
        id: id(7),
        codes,
        properties: Properties::new(),
    })
}

fn one_of_each(version: Version) -> Vec<(Sender, Packet)> {
    let connect = crate::common::packets::connect(version, 2, &hex("0001 63"));
    let mut all = vec![
        (Sender::Client, accepts(version, Sender::Client, &connect)),
        (Sender::Server, Packet::ConnAck(ConnAck::default())),
        (Sender::Client, Packet::PubAck(Ack::new(id(7)))),
        (Sender::Server, Packet::PubRec(Ack::new(id(7)))),
        (Sender::Client, Packet::PubRel(Ack::new(id(7)))),
        (Sender::Server, Packet::PubComp(Ack::new(id(7)))),
        (Sender::Client, subscribe()),
        (Sender::Server, suback()),
        (Sender::Client, Packet::Unsubscribe(unsubscribe())),
        (Sender::Server, unsuback(version)),
        (Sender::Client, Packet::PingReq),
        (Sender::Server, Packet::PingResp),
        (Sender::Client, Packet::Disconnect(Disconnect::default())),
    ];
    if version == Version::V5 {
        let properties = Properties::builder()
            .authentication_method("m")
            .build()
            .unwrap();
        all.push((
            Sender::Server,
            Packet::Auth(Auth {
                reason: ReasonCode::CONTINUE_AUTHENTICATION,
                properties,
            }),
        ));
        let reason = |reason| Ack::new(id(7)).with_reason(reason);
        all.push((
            Sender::Client,
            Packet::PubRel(reason(ReasonCode::PACKET_IDENTIFIER_NOT_FOUND)),
        ));
        all.push((
            Sender::Client,
            Packet::PubRec(reason(ReasonCode::QUOTA_EXCEEDED)),
        ));
    }
    for packet in PacketType::ALL
        .iter()
        .filter(|packet| !matches!(packet, PacketType::Publish | PacketType::Auth))
    {
        assert!(
            all.iter().any(|(_, p)| p.packet_type() == *packet),
            "no {packet}"
        );
    }
    all
}
