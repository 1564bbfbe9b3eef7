//! What 3.1 and 3.1.1 can't carry.

use crate::*;

#[test]
fn version_3_carries_no_properties_in_any_packet() {
    let user_property = properties(|p| p.user_property("n", "v"));
    for version in V3 {
        let expected = EncodeError::NotInVersion {
            version,
            what: "properties",
        };
        for (sender, packet) in with_properties(version, &user_property) {
            let encoder = Encoder::new(version, sender);
            assert_eq!(fails(encoder, &packet), expected, "{packet:?}");
        }
        let publish = Publish::new(topic("t"), "").with_properties(user_property.clone());
        assert_eq!(
            publish_fails(Encoder::new(version, Sender::Client), &publish, None),
            expected
        );
    }
}

#[test]
fn a_small_maximum_does_not_hide_what_version_3_cannot_carry() {
    let user_property = properties(|p| p.user_property("n", "v"));
    for version in V3 {
        for (sender, packet) in with_properties(version, &user_property) {
            let encoder = Encoder::new(version, sender).with_max_packet_size(5);
            assert_eq!(
                fails(encoder, &packet),
                EncodeError::NotInVersion {
                    version,
                    what: "properties"
                },
                "{packet:?}"
            );
        }
    }
}

#[test]
fn version_3_carries_no_topic_alias() {
    for version in V3 {
        let publish = Publish::new(topic("t"), "p");
        let encoder = Encoder::new(version, Sender::Client);
        let expected = EncodeError::NotInVersion {
            version,
            what: "topic aliases",
        };
        assert_eq!(publish_fails(encoder, &publish, Some(ALIAS)), expected);
        let mut out = Outbox::new();
        assert_eq!(
            encoder.publish_by_alias(&publish, Flow::AtMostOnce, ALIAS, &mut out),
            Err(expected)
        );
        assert!(out.is_empty());
    }
}

#[test]
fn version_3_has_no_auth() {
    for version in V3 {
        for sender in SENDERS {
            let auth = Packet::Auth(Auth {
                reason: ReasonCode::CONTINUE_AUTHENTICATION,
                properties: Properties::new(),
            });
            let expected = EncodeError::NotInVersion {
                version,
                what: "AUTH",
            };
            assert_eq!(fails(Encoder::new(version, sender), &auth), expected);
        }
    }
}

#[test]
fn version_3_acknowledges_with_success_alone() {
    for version in V3 {
        for code in ReasonCode::ALL
            .iter()
            .filter(|code| **code != ReasonCode::SUCCESS)
        {
            let ack = Ack::new(id(7)).with_reason(*code);
            for (packet_type, packet) in [
                (PacketType::PubAck, Packet::PubAck(ack.clone())),
                (PacketType::PubRec, Packet::PubRec(ack.clone())),
                (PacketType::PubRel, Packet::PubRel(ack.clone())),
                (PacketType::PubComp, Packet::PubComp(ack.clone())),
                (
                    PacketType::Disconnect,
                    Packet::Disconnect(Disconnect::new(*code)),
                ),
            ] {
                let sender = Sender::Client;
                let error = fails(Encoder::new(version, sender), &packet);
                assert_eq!(
                    error,
                    EncodeError::ReasonNotAllowed {
                        packet: packet_type,
                        sender,
                        code: *code
                    }
                );
            }
        }
        let codes = vec![ReasonCode::SUCCESS];
        let unsuback = Packet::UnsubAck(UnsubAck {
            id: id(7),
            codes,
            properties: Properties::new(),
        });
        let expected = EncodeError::NotInVersion {
            version,
            what: "reason codes in UNSUBACK",
        };
        assert_eq!(
            fails(Encoder::new(version, Sender::Server), &unsuback),
            expected
        );
    }
}

#[test]
fn version_3_refuses_a_connection_with_one_of_five_codes() {
    for version in V3 {
        let mut carried = Vec::new();
        for code in (0..=255).map(ReasonCode) {
            let connack = Packet::ConnAck(ConnAck {
                reason: code,
                ..ConnAck::default()
            });
            match encode(version, Sender::Server, &connack) {
                Ok(bytes) => carried.push((code.0, bytes[3])),
                Err(error) => {
                    let (packet, sender) = (PacketType::ConnAck, Sender::Server);
                    assert_eq!(
                        error,
                        EncodeError::ReasonNotAllowed {
                            packet,
                            sender,
                            code
                        }
                    );
                }
            }
        }
        assert_eq!(
            carried,
            [
                (0, 0),
                (0x84, 1),
                (0x85, 2),
                (0x86, 4),
                (0x87, 5),
                (0x88, 3)
            ]
        );
    }
}

#[test]
fn version_3_1_has_no_session_present() {
    let version = Version::V3_1;
    let connack = Packet::ConnAck(ConnAck {
        session_present: true,
        ..ConnAck::default()
    });
    let error = fails(Encoder::new(version, Sender::Server), &connack);
    assert_eq!(
        error,
        EncodeError::NotInVersion {
            version,
            what: "session present"
        }
    );
}

#[test]
fn version_3_subscribes_with_a_qos_alone() {
    let qos = SubscribeOptions::new(QoS::ExactlyOnce);
    for options in [
        SubscribeOptions {
            no_local: true,
            ..qos
        },
        SubscribeOptions {
            retain_as_published: true,
            ..qos
        },
        SubscribeOptions {
            retain_handling: RetainHandling::SendIfNew,
            ..qos
        },
        SubscribeOptions {
            retain_handling: RetainHandling::DoNotSend,
            ..qos
        },
    ] {
        for version in V3 {
            let error = fails(
                Encoder::new(version, Sender::Client),
                &subscribe("f", options, Properties::new()),
            );
            assert_eq!(
                error,
                EncodeError::NotInVersion {
                    version,
                    what: "subscription options other than the QoS"
                }
            );
        }
        assert!(
            encode(
                Version::V5,
                Sender::Client,
                &subscribe("f", options, Properties::new())
            )
            .is_ok()
        );
    }
}

#[test]
fn version_3_has_no_password_without_a_user_name() {
    for version in V3 {
        let connect = Connect {
            password: Some(Bytes::from_static(b"secret")),
            ..connect(version)
        };
        assert_eq!(
            connect.check(),
            Err(EncodeError::PasswordWithoutUserName { version })
        );
        let error = fails(
            Encoder::new(version, Sender::Client),
            &connect_packet(connect),
        );
        assert_eq!(error, EncodeError::PasswordWithoutUserName { version });
    }
}

#[test]
fn version_3_1_takes_client_identifiers_of_1_to_23_characters() {
    let version = Version::V3_1;
    for (client_id, fits) in [
        ("", false),
        ("c", true),
        (&"\u{e9}".repeat(23)[..], true),
        (&"c".repeat(24)[..], false),
    ] {
        for clean_start in [false, true] {
            let connect = Connect {
                client_id: Text::try_from(client_id).unwrap(),
                clean_start,
                ..connect(version)
            };
            let expected = if fits {
                Ok(())
            } else {
                Err(EncodeError::BadClientId {
                    version,
                    len: client_id.len(),
                })
            };
            assert_eq!(connect.check(), expected, "{client_id:?}");
            assert_eq!(
                encode(version, Sender::Client, &connect_packet(connect)).map(|_| ()),
                expected
            );
        }
    }
}

#[test]
fn an_empty_client_identifier_needs_a_clean_session_in_3_1_1_and_not_in_5() {
    for (version, clean_start, fits) in [
        (Version::V3_1_1, true, true),
        (Version::V3_1_1, false, false),
        (Version::V5, true, true),
        (Version::V5, false, true),
    ] {
        let connect = Connect {
            client_id: Text::default(),
            clean_start,
            ..connect(version)
        };
        assert_eq!(connect.check().is_ok(), fits, "{version} {clean_start}");
        assert_eq!(
            encode(version, Sender::Client, &connect_packet(connect)).is_ok(),
            fits
        );
    }
}
