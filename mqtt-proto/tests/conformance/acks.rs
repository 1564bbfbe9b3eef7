//! PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7), and what all packets with a Reason String share.

use mqtt_proto::{
    Ack, Auth, DecodeError, Disconnect, EncodeError, Encoder, Outbox, Packet, PacketType,
    Properties, PropertyId, ReasonCode, Sender, Version,
};

use crate::common::tables::{self, reason_codes};
use crate::common::{SENDERS, accepts, encode, frame, hex, id, refuses};
use crate::runner::Cases;

pub(crate) fn add(cases: &mut Cases) {
    for (ids, packet, name) in [
        (
            &["MQTT-3.4.2-1"][..],
            4,
            "PUBACK takes and writes the listed reason codes alone",
        ),
        (
            &["MQTT-3.5.2-1"],
            5,
            "PUBREC takes and writes the listed reason codes alone",
        ),
        (
            &["MQTT-3.6.2-1"],
            6,
            "PUBREL takes and writes the listed reason codes alone",
        ),
        (
            &["MQTT-3.7.2-1"],
            7,
            "PUBCOMP takes and writes the listed reason codes alone",
        ),
        (
            &["MQTT-3.14.2-1"],
            14,
            "DISCONNECT takes and writes the listed reason codes of its direction alone",
        ),
        (
            &["MQTT-3.15.2-1"],
            15,
            "AUTH takes and writes the listed reason codes of its direction alone",
        ),
    ] {
        cases.v5(ids, name, move || listed_codes(packet));
    }
    for (ids, packet, name) in [
        (
            &["MQTT-3.4.2-2", "MQTT-3.4.2-3"][..],
            4,
            "PUBACK goes without what only explains where the peer's maximum asks for it",
        ),
        (
            &["MQTT-3.5.2-2", "MQTT-3.5.2-3"],
            5,
            "PUBREC goes without what only explains where the peer's maximum asks for it",
        ),
        (
            &["MQTT-3.6.2-2", "MQTT-3.6.2-3"],
            6,
            "PUBREL goes without what only explains where the peer's maximum asks for it",
        ),
        (
            &["MQTT-3.7.2-2", "MQTT-3.7.2-3"],
            7,
            "PUBCOMP goes without what only explains where the peer's maximum asks for it",
        ),
        (
            &["MQTT-3.14.2-3", "MQTT-3.14.2-4"],
            14,
            "DISCONNECT goes without what only explains where the peer's maximum asks for it",
        ),
        (
            &["MQTT-3.15.2-2", "MQTT-3.15.2-3"],
            15,
            "AUTH goes without what only explains where the peer's maximum asks for it",
        ),
    ] {
        cases.v5(ids, name, move || goes_without(packet));
    }
    cases.v311(
        &["MQTT-3.6.1-1"],
        "PUBREL is read with the flags 0010 alone",
        || {
            for flags in 0..16 {
                let bytes = frame(0x60 | flags, &hex("0007"));
                if flags == 2 {
                    let packet = accepts(Version::V3_1_1, Sender::Server, &bytes);
                    assert_eq!(packet, Packet::PubRel(Ack::new(id(7))));
                    assert_eq!(
                        encode(Version::V3_1_1, Sender::Client, &packet).unwrap(),
                        bytes
                    );
                } else {
                    let error = refuses(Version::V3_1_1, Sender::Server, &bytes);
                    assert_eq!(
                        error,
                        DecodeError::BadFlags {
                            packet: PacketType::PubRel,
                            flags
                        }
                    );
                }
            }
        },
    );
}

fn packet_of(packet: u8, reason: ReasonCode, properties: Properties) -> Packet {
    let ack = Ack {
        id: id(7),
        reason,
        properties: properties.clone(),
    };
    match packet {
        4 => Packet::PubAck(ack),
        5 => Packet::PubRec(ack),
        6 => Packet::PubRel(ack),
        7 => Packet::PubComp(ack),
        14 => Packet::Disconnect(Disconnect { reason, properties }),
        15 => Packet::Auth(Auth { reason, properties }),
        other => panic!("packet type {other}"),
    }
}

fn needed(packet: u8) -> Properties {
    match packet {
        15 => Properties::builder()
            .authentication_method("m")
            .build()
            .unwrap(),
        _ => Properties::new(),
    }
}

fn listed_codes(packet: u8) {
    let packet_type = PacketType::from_u8(packet).unwrap();
    for sender in SENDERS {
        let listed = reason_codes(packet, sender).unwrap();
        for code in 0..=255 {
            let bytes = tables::with_reason_code(packet, code);
            let ours = packet_of(packet, ReasonCode(code), needed(packet));
            let written = encode(Version::V5, sender, &ours);
            if listed.contains(&code) {
                assert_eq!(accepts(Version::V5, sender, &bytes), ours);
                let read = accepts(Version::V5, sender, &written.unwrap());
                assert_eq!(read, ours);
            } else {
                let error = refuses(Version::V5, sender, &bytes);
                assert_eq!(
                    error,
                    DecodeError::BadReasonCode {
                        packet: packet_type,
                        sender,
                        code
                    }
                );
                assert_eq!(error.reason(), ReasonCode::PROTOCOL_ERROR);
                let code = ReasonCode(code);
                assert_eq!(
                    written,
                    Err(EncodeError::ReasonNotAllowed {
                        packet: packet_type,
                        sender,
                        code
                    })
                );
            }
        }
    }
}

/// With ever smaller maxima: everything, then no user properties, then no Reason String, then an error.
fn goes_without(packet: u8) {
    let sender = Sender::Client;
    let reason = ReasonCode(*reason_codes(packet, sender).unwrap().last().unwrap());
    let needed = needed(packet);
    let with = |reason_string: bool, user: bool| {
        let mut properties = Properties::builder().extend(needed.view());
        if user {
            properties = properties.user_property("where", "there");
        }
        if reason_string {
            properties = properties.reason_string("because");
        }
        if user {
            properties = properties.user_property("when", "then");
        }
        packet_of(packet, reason, properties.build().unwrap())
    };
    let steps = [with(true, true), with(true, false), with(false, false)];
    let lengths = steps
        .clone()
        .map(|step| encode(Version::V5, sender, &step).unwrap().len());
    assert!(lengths[0] > lengths[1] && lengths[1] > lengths[2]);
    for max in (0..=lengths[0]).rev() {
        let encoder = Encoder::new(Version::V5, sender).with_max_packet_size(max as u32);
        let mut out = Outbox::new();
        let result = encoder.encode(&steps[0], &mut out);
        assert_eq!(encoder.encoded_len(&steps[0]), result);
        match lengths.iter().position(|len| *len <= max) {
            Some(step) => {
                assert_eq!(result, Ok(lengths[step]), "at most {max} bytes");
                assert_eq!(
                    accepts(Version::V5, sender, &out.to_vec()),
                    steps[step],
                    "at most {max} bytes"
                );
            }
            None => {
                let too_large = Err(EncodeError::PacketTooLarge {
                    size: lengths[2],
                    max: max as u32,
                });
                assert_eq!(result, too_large);
                assert!(out.is_empty());
            }
        }
    }
    let has = |packet: &Packet, property| match packet {
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            ack.properties.view().has(property)
        }
        Packet::Disconnect(disconnect) => disconnect.properties.view().has(property),
        Packet::Auth(auth) => auth.properties.view().has(property),
        other => panic!("{other:?}"),
    };
    assert!(
        has(&steps[1], PropertyId::REASON_STRING) && !has(&steps[1], PropertyId::USER_PROPERTY)
    );
}
