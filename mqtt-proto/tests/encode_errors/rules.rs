//! What breaks a rule of the packet, and what belongs to another connection.

use crate::*;

#[test]
fn only_one_side_sends_some_packets() {
    for version in VERSIONS {
        let codes = if version == Version::V5 {
            vec![ReasonCode::SUCCESS]
        } else {
            Vec::new()
        };
        let none = Properties::new;
        let filter = TopicFilter::try_from("f").unwrap();
        let client_only = [
            connect_packet(connect(version)),
            subscribe("f", QoS::AtMostOnce.into(), none()),
            Packet::Unsubscribe(Unsubscribe {
                id: id(7),
                filters: vec![filter],
                properties: none(),
            }),
            Packet::PingReq,
        ];
        let server_only = [
            Packet::ConnAck(ConnAck::default()),
            Packet::SubAck(SubAck {
                id: id(7),
                codes: vec![ReasonCode::SUCCESS],
                properties: none(),
            }),
            Packet::UnsubAck(UnsubAck {
                id: id(7),
                codes,
                properties: none(),
            }),
            Packet::PingResp,
        ];
        let disconnect = [Packet::Disconnect(Disconnect::default())];
        let client_only = client_only.iter().chain(if version == Version::V5 {
            &[]
        } else {
            &disconnect[..]
        });
        let all = client_only
            .map(|packet| (Sender::Client, packet))
            .chain(server_only.iter().map(|packet| (Sender::Server, packet)));
        for (owner, packet) in all {
            assert!(encode(version, owner, packet).is_ok(), "{packet:?}");
            let sender = if owner == Sender::Client {
                Sender::Server
            } else {
                Sender::Client
            };
            let error = fails(Encoder::new(version, sender), packet);
            assert_eq!(
                error,
                EncodeError::WrongSender {
                    packet: packet.packet_type(),
                    sender
                }
            );
        }
    }
}

#[test]
fn a_property_in_a_packet_that_it_does_not_belong_into_is_an_error() {
    let receive_maximum = properties(|p| p.receive_maximum(ALIAS));
    for (sender, packet) in with_properties(Version::V5, &receive_maximum) {
        let encoder = Encoder::new(Version::V5, sender);
        let will = matches!(&packet, Packet::Connect(connect) if connect.will.is_some());
        if matches!(packet, Packet::Connect(_) | Packet::ConnAck(_)) && !will {
            assert!(encode(Version::V5, sender, &packet).is_ok());
        } else {
            let (property, packet_type) = (PropertyId::RECEIVE_MAXIMUM, packet.packet_type());
            assert_eq!(
                fails(encoder, &packet),
                EncodeError::PropertyNotAllowed {
                    property,
                    packet: packet_type,
                    sender
                }
            );
        }
    }
    let publish = Publish::new(topic("t"), "").with_properties(receive_maximum);
    let (property, packet, sender) = (
        PropertyId::RECEIVE_MAXIMUM,
        PacketType::Publish,
        Sender::Client,
    );
    let error = publish_fails(Encoder::new(Version::V5, sender), &publish, None);
    assert_eq!(
        error,
        EncodeError::PropertyNotAllowed {
            property,
            packet,
            sender
        }
    );
}

#[test]
fn a_small_maximum_does_not_hide_a_property_in_the_wrong_packet() {
    let wrong = properties(|p| {
        p.user_property("n", "v")
            .maximum_packet_size(NonZeroU32::MIN)
    });
    for (sender, packet) in with_properties(Version::V5, &wrong) {
        let encoder = Encoder::new(Version::V5, sender).with_max_packet_size(2);
        let right_place = matches!(&packet, Packet::Connect(connect) if connect.will.is_none())
            || matches!(packet, Packet::ConnAck(_));
        let error = fails(encoder, &packet);
        assert_eq!(
            matches!(error, EncodeError::PacketTooLarge { .. }),
            right_place,
            "{packet:?}: {error:?}"
        );
        assert_eq!(
            matches!(error, EncodeError::PropertyNotAllowed { .. }),
            !right_place,
            "{packet:?}: {error:?}"
        );
    }
}

#[test]
fn two_subscription_identifiers_in_subscribe_are_an_error() {
    let (packet, sender) = (PacketType::Subscribe, Sender::Client);
    let one = properties(|p| p.subscription_identifier(1));
    assert!(
        encode(
            Version::V5,
            sender,
            &subscribe("f", QoS::AtMostOnce.into(), one)
        )
        .is_ok()
    );
    let two = properties(|p| p.subscription_identifier(1).subscription_identifier(2));
    let error = fails(
        Encoder::new(Version::V5, sender),
        &subscribe("f", QoS::AtMostOnce.into(), two),
    );
    assert_eq!(
        error,
        EncodeError::PropertyNotAllowed {
            property: PropertyId::SUBSCRIPTION_IDENTIFIER,
            packet,
            sender
        }
    );
}

#[test]
fn authentication_data_needs_a_method_in_connect_and_auth() {
    let data = properties(|p| p.authentication_data(b"d"));
    let connect = connect_packet(Connect {
        properties: data.clone(),
        ..connect(Version::V5)
    });
    assert_eq!(
        fails(Encoder::new(Version::V5, Sender::Client), &connect),
        EncodeError::NoAuthenticationMethod
    );
    for (sender, reason) in [
        (Sender::Client, ReasonCode::RE_AUTHENTICATE),
        (Sender::Server, ReasonCode::SUCCESS),
    ] {
        let auth = Packet::Auth(Auth {
            reason,
            properties: data.clone(),
        });
        assert_eq!(
            fails(Encoder::new(Version::V5, sender), &auth),
            EncodeError::NoAuthenticationMethod
        );
    }
    let auth = Packet::Auth(Auth {
        reason: ReasonCode::CONTINUE_AUTHENTICATION,
        properties: Properties::new(),
    });
    assert_eq!(
        fails(Encoder::new(Version::V5, Sender::Client), &auth),
        EncodeError::NoAuthenticationMethod
    );
}

#[test]
fn an_alias_is_given_once() {
    let publish =
        Publish::new(topic("t"), "").with_properties(properties(|p| p.topic_alias(ALIAS)));
    let (property, packet, sender) = (PropertyId::TOPIC_ALIAS, PacketType::Publish, Sender::Client);
    let error = publish_fails(Encoder::new(Version::V5, sender), &publish, Some(ALIAS));
    assert_eq!(
        error,
        EncodeError::PropertyNotAllowed {
            property,
            packet,
            sender
        }
    );
}

#[test]
fn a_suback_without_codes_is_an_error() {
    for version in VERSIONS {
        let suback = Packet::SubAck(SubAck {
            id: id(7),
            codes: Vec::new(),
            properties: Properties::new(),
        });
        let error = fails(Encoder::new(version, Sender::Server), &suback);
        assert_eq!(
            error,
            EncodeError::NoEntries {
                packet: PacketType::SubAck
            }
        );
    }
    let unsuback = Packet::UnsubAck(UnsubAck {
        id: id(7),
        codes: Vec::new(),
        properties: Properties::new(),
    });
    let error = fails(Encoder::new(Version::V5, Sender::Server), &unsuback);
    assert_eq!(
        error,
        EncodeError::NoEntries {
            packet: PacketType::UnsubAck
        }
    );
}

#[test]
fn ack_writes_the_four_acknowledgements_and_nothing_else() {
    for version in VERSIONS {
        let encoder = Encoder::new(version, Sender::Client);
        for packet in PacketType::ALL {
            let mut out = Outbox::new();
            let result = encoder.ack(*packet, &Ack::new(id(7)), &mut out);
            if (4..=7).contains(&(*packet as u8)) {
                assert_eq!(result, Ok(4));
            } else {
                let (code, sender) = (ReasonCode::SUCCESS, Sender::Client);
                assert_eq!(
                    result,
                    Err(EncodeError::ReasonNotAllowed {
                        packet: *packet,
                        sender,
                        code
                    }),
                    "{version}"
                );
                assert!(out.is_empty());
            }
        }
    }
}

#[test]
fn a_received_message_can_be_published_again_without_its_alias_and_subscription_identifiers() {
    let bytes = hex("30 15 0001 74 10  0B 05  23 0009  26 0001 6E 0001 76  01 01  0B 06 70");
    let Packet::Publish(view) = common::accepts(Version::V5, Sender::Server, &bytes) else {
        panic!("no PUBLISH")
    };
    let publish = view.to_publish().unwrap();
    let mut out = Outbox::new();
    let encoder = Encoder::new(Version::V5, Sender::Client);
    assert!(
        encoder
            .publish(&publish, Flow::AtMostOnce, None, &mut out)
            .is_ok(),
        "they belong to the connection it came on"
    );
    assert_eq!(
        out.to_vec(),
        hex("30 0E 0001 74 09  26 0001 6E 0001 76  01 01 70")
    );
}

#[test]
fn a_message_whose_topic_is_an_alias_is_not_one_to_publish() {
    let Packet::Publish(view) =
        common::accepts(Version::V5, Sender::Server, &hex("30 06 0000 03 23 0005"))
    else {
        panic!("no PUBLISH")
    };
    assert_eq!(view.to_publish(), None);
    // A proxy may pass the packet on as it is; 3.x can't carry it.
    assert!(encode(Version::V5, Sender::Server, &Packet::Publish(view.clone())).is_ok());
    let error = encode(Version::V3_1_1, Sender::Server, &Packet::Publish(view));
    assert!(
        matches!(error, Err(EncodeError::NotInVersion { .. })),
        "{error:?}"
    );
}

#[test]
fn errors_name_the_culprit() {
    let too_large = EncodeError::PacketTooLarge { size: 10, max: 9 };
    assert_eq!(
        too_large.to_string(),
        "a packet of 10 bytes is above the peer's maximum of 9"
    );
    let bad = DecodeError::BadReasonCode {
        packet: PacketType::SubAck,
        sender: Sender::Server,
        code: 3,
    };
    assert_eq!(
        bad.to_string(),
        "SUBACK from the server may not carry the reason code 0x03"
    );
}
