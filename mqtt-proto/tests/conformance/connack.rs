//! CONNACK (section 3.2).

use mqtt_proto::{
    ConnAck, DecodeError, EncodeError, Encoder, Flow, Outbox, Packet, PacketType, Properties,
    Publish, ReasonCode, Sender, Topic, Version,
};

use crate::common::{accepts, encode, frame, refuses, tables};
use crate::runner::Cases;

pub(crate) fn add(cases: &mut Cases) {
    cases.v5(
        &["MQTT-3.2.2-1"],
        "flag bits 7 to 1 of CONNACK are malformed",
        || {
            for version in [Version::V3_1_1, Version::V5] {
                for flags in 2..=255 {
                    let error = refuses(version, Sender::Server, &connack(version, flags, 0));
                    assert_eq!(error, DecodeError::BadConnAckFlags { flags });
                    assert_eq!(error.reason(), ReasonCode::MALFORMED_PACKET);
                }
            }
        },
    );
    cases.both(
        &["MQTT-3.2.2-6"],
        &["MQTT-3.2.2-4"],
        "session present on a refusal is a protocol error, and can't be written",
        |version| {
            let codes: Vec<u8> = match version {
                Version::V5 => tables::reason_codes(2, Sender::Server).unwrap().to_vec(),
                _ => (0..=5).collect(),
            };
            for code in codes.into_iter().filter(|code| *code != 0) {
                let Packet::ConnAck(refusal) =
                    accepts(version, Sender::Server, &connack(version, 0, code))
                else {
                    panic!("no CONNACK")
                };
                assert!(refusal.reason.is_error());
                let error = refuses(version, Sender::Server, &connack(version, 1, code));
                assert_eq!(
                    error,
                    DecodeError::SessionPresentOnRefusal {
                        reason: refusal.reason
                    }
                );
                assert_eq!(error.reason(), ReasonCode::PROTOCOL_ERROR);
                let both = ConnAck {
                    session_present: true,
                    ..refusal
                };
                assert_eq!(
                    encode(version, Sender::Server, &Packet::ConnAck(both)),
                    Err(EncodeError::SessionPresentOnRefusal)
                );
            }
        },
    );
    cases.v5(
        &["MQTT-3.2.2-8"],
        "a reason code that is not listed is refused",
        || {
            let listed = tables::reason_codes(2, Sender::Server).unwrap();
            for code in 0..=255 {
                let bytes = connack(Version::V5, 0, code);
                if listed.contains(&code) {
                    let packet = accepts(Version::V5, Sender::Server, &bytes);
                    assert_eq!(encode(Version::V5, Sender::Server, &packet).unwrap(), bytes);
                } else {
                    let error = refuses(Version::V5, Sender::Server, &bytes);
                    let (packet, sender) = (PacketType::ConnAck, Sender::Server);
                    assert_eq!(
                        error,
                        DecodeError::BadReasonCode {
                            packet,
                            sender,
                            code
                        }
                    );
                    assert_eq!(error.reason(), ReasonCode::PROTOCOL_ERROR);
                }
            }
        },
    );
    cases.v5(
        &["MQTT-3.2.2-15"],
        "a packet above the server's Maximum Packet Size is not written",
        || {
            let publish = Publish::new(Topic::try_from("a").unwrap(), "0123");
            let mut out = Outbox::new();
            let fits = Encoder::new(Version::V5, Sender::Client).with_max_packet_size(10);
            assert_eq!(
                fits.publish(&publish, Flow::AtMostOnce, None, &mut out),
                Ok(10)
            );
            let tight = fits.with_max_packet_size(9);
            let too_large = Err(EncodeError::PacketTooLarge { size: 10, max: 9 });
            assert_eq!(
                tight.publish(&publish, Flow::AtMostOnce, None, &mut out),
                too_large
            );
            assert_eq!(
                tight.publish_len(&publish, Flow::AtMostOnce, None),
                too_large
            );
            assert_eq!(out.len(), 10, "nothing was added");
            // What carries more than an explanation is never cut to fit.
            let properties = Properties::builder()
                .user_property("name", "value")
                .build()
                .unwrap();
            let publish =
                Publish::new(Topic::try_from("a").unwrap(), "").with_properties(properties);
            let error = tight.publish(&publish, Flow::AtMostOnce, None, &mut out);
            assert_eq!(error, Err(EncodeError::PacketTooLarge { size: 20, max: 9 }));
        },
    );
}

fn connack(version: Version, flags: u8, code: u8) -> Vec<u8> {
    let body: &[u8] = if version == Version::V5 {
        &[flags, code, 0]
    } else {
        &[flags, code]
    };
    frame(0x20, body)
}
