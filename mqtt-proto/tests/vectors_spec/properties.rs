//! All 27 properties, in every packet and by both senders (table 2-4).

use mqtt_proto::{
    DecodeError, Packet, PacketType, PropertiesRef, PropertyId, ReasonCode, Sender, Version,
};

use crate::common::packets::{PLACES, Place};
use crate::common::tables::PROPERTIES;
use crate::common::{accepts, encode, refuses};

const V5: Version = Version::V5;

/// The properties at this place of a packet.
fn at(packet: &Packet, place: Place) -> PropertiesRef<'_> {
    match packet {
        Packet::Connect(connect) if place == Place::Will => {
            connect.will.as_ref().unwrap().properties.view()
        }
        Packet::Connect(connect) => connect.properties.view(),
        Packet::ConnAck(connack) => connack.properties.view(),
        Packet::Publish(publish) => publish.properties(),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            ack.properties.view()
        }
        Packet::Subscribe(subscribe) => subscribe.properties.view(),
        Packet::SubAck(suback) => suback.properties.view(),
        Packet::Unsubscribe(unsubscribe) => unsubscribe.properties.view(),
        Packet::UnsubAck(unsuback) => unsuback.properties.view(),
        Packet::Disconnect(disconnect) => disconnect.properties.view(),
        Packet::Auth(auth) => auth.properties.view(),
        Packet::PingReq | Packet::PingResp => panic!("no properties"),
    }
}

fn everywhere() -> impl Iterator<Item = (Place, Sender)> {
    PLACES
        .into_iter()
        .flat_map(|place| place.senders().iter().map(move |sender| (place, *sender)))
}

fn packet_type(place: Place) -> PacketType {
    match place {
        Place::Will => PacketType::Connect,
        Place::Packet(number) => PacketType::from_u8(number).unwrap(),
    }
}

#[test]
fn there_are_27_and_the_library_names_them_as_the_specification() {
    assert_eq!(PROPERTIES.len(), 27);
    let ours: Vec<_> = PropertyId::ALL
        .iter()
        .map(|id| (id.get(), id.to_string()))
        .collect();
    let theirs: Vec<_> = PROPERTIES
        .iter()
        .map(|row| (row.id, row.name.to_owned()))
        .collect();
    assert_eq!(ours, theirs);
}

#[test]
fn each_is_taken_where_it_belongs_and_refused_elsewhere() {
    for row in PROPERTIES {
        for (place, sender) in everywhere() {
            let bytes = row.packet(place, sender, &row.encoded());
            if row.allowed(place, sender) {
                let packet = accepts(V5, sender, &bytes);
                let id = PropertyId::ALL
                    .iter()
                    .find(|id| id.get() == row.id)
                    .unwrap();
                let properties = at(&packet, place);
                assert!(properties.has(*id), "{row:?} {place:?}");
                assert!(properties.as_bytes().ends_with(&row.encoded()));
                assert_eq!(properties.iter().last().map(|(id, _)| id), Some(*id));
                assert_eq!(
                    encode(V5, sender, &packet).unwrap(),
                    bytes,
                    "{row:?} {place:?}"
                );
            } else {
                let bytes = place.packet(sender, &row.encoded());
                let error = refuses(V5, sender, &bytes);
                let property = *PropertyId::ALL
                    .iter()
                    .find(|id| id.get() == row.id)
                    .unwrap();
                let packet = packet_type(place);
                assert_eq!(
                    error,
                    DecodeError::PropertyNotAllowed {
                        property,
                        packet,
                        sender
                    },
                    "{place:?}"
                );
                assert_eq!(error.reason(), ReasonCode::MALFORMED_PACKET);
            }
        }
    }
}

#[test]
fn twice_is_a_protocol_error_unless_it_may_repeat() {
    for row in PROPERTIES {
        for (place, sender) in row.places() {
            let twice = row.encoded().repeat(2);
            let bytes = row.packet(place, sender, &twice);
            if row.repeats(place) {
                let packet = accepts(V5, sender, &bytes);
                assert!(at(&packet, place).as_bytes().ends_with(&twice));
                assert_eq!(encode(V5, sender, &packet).unwrap(), bytes);
            } else {
                let error = refuses(V5, sender, &bytes);
                let property = *PropertyId::ALL
                    .iter()
                    .find(|id| id.get() == row.id)
                    .unwrap();
                assert_eq!(
                    error,
                    DecodeError::DuplicateProperty { property },
                    "{place:?}"
                );
                assert_eq!(error.reason(), ReasonCode::PROTOCOL_ERROR);
            }
        }
    }
}

#[test]
fn a_value_that_is_cut_is_malformed() {
    for row in PROPERTIES {
        for (place, sender) in row.places() {
            let whole = row.encoded();
            for cut in 1..whole.len() {
                let error = refuses(V5, sender, &row.packet(place, sender, &whole[..cut]));
                assert_eq!(
                    error,
                    DecodeError::Truncated { field: row.name },
                    "{place:?} {cut}"
                );
                assert_eq!(error.reason(), ReasonCode::MALFORMED_PACKET);
            }
        }
    }
}

#[test]
fn identifiers_that_do_not_exist_are_malformed() {
    let known: Vec<_> = PROPERTIES.iter().map(|row| row.id).collect();
    for (place, sender) in everywhere() {
        for id in (0..=127).filter(|id| !known.contains(id)) {
            let error = refuses(V5, sender, &place.packet(sender, &[id, 1, 0, 0, 0]));
            assert_eq!(error, DecodeError::UnknownProperty { id: u32::from(id) });
            assert_eq!(error.reason(), ReasonCode::MALFORMED_PACKET);
        }
        for (bytes, id) in [
            (&[0x80, 1][..], 128),
            (&[0xFF, 0x7F], 16_383),
            (&[0x81, 0x80, 0x80, 1], 2_097_153),
        ] {
            assert_eq!(
                refuses(V5, sender, &place.packet(sender, bytes)),
                DecodeError::UnknownProperty { id }
            );
        }
    }
}

#[test]
fn values_have_the_range_of_their_property() {
    for row in PROPERTIES {
        let bad: &[(&[u8], u32)] = match row.kind {
            "bool" => &[(&[2], 2), (&[255], 255)],
            "u16 above 0" => &[(&[0, 0], 0)],
            "u32 above 0" => &[(&[0, 0, 0, 0], 0)],
            "varint" => &[(&[0], 0)],
            _ => &[],
        };
        let good: &[&[u8]] = match row.kind {
            "bool" => &[&[0], &[1]],
            "u16" => &[&[0, 0], &[255, 255]],
            "u16 above 0" => &[&[0, 1], &[255, 255]],
            "u32" => &[&[0, 0, 0, 0], &[255, 255, 255, 255]],
            "u32 above 0" => &[&[0, 0, 0, 1], &[255, 255, 255, 255]],
            "varint" => &[&[1], &[0xFF, 0xFF, 0xFF, 0x7F]],
            "string" | "binary" => &[&[0, 0]],
            "pair" => &[&[0, 0, 0, 0]],
            "topic" => &[&[0, 1, b'/']],
            other => panic!("{other}"),
        };
        for (place, sender) in row.places() {
            for (value, number) in bad {
                let error = refuses(
                    V5,
                    sender,
                    &row.packet(place, sender, &[&[row.id], *value].concat()),
                );
                let property = *PropertyId::ALL
                    .iter()
                    .find(|id| id.get() == row.id)
                    .unwrap();
                assert_eq!(
                    error,
                    DecodeError::BadPropertyValue {
                        property,
                        value: *number
                    }
                );
                let reason = if row.id == 0x23 {
                    ReasonCode::TOPIC_ALIAS_INVALID
                } else {
                    ReasonCode::PROTOCOL_ERROR
                };
                assert_eq!(error.reason(), reason, "{row:?}");
            }
            for value in good {
                let bytes = row.packet(place, sender, &[&[row.id], *value].concat());
                assert_eq!(
                    encode(V5, sender, &accepts(V5, sender, &bytes)).unwrap(),
                    bytes
                );
            }
        }
    }
}
