use mqtt_proto::{Ack, Packet, PacketType, Properties, ReasonCode, Version};

use crate::common::{SENDERS, VERSIONS, accepts, both_ways, hex, id};

type ToPacket = fn(Ack) -> Packet;

const ACKS: [(u8, ToPacket); 4] = [
    (0x40, Packet::PubAck),
    (0x50, Packet::PubRec),
    (0x62, Packet::PubRel),
    (0x70, Packet::PubComp),
];

#[test]
fn two_bytes_are_enough_for_success() {
    for (first, packet) in ACKS {
        for version in VERSIONS {
            for sender in SENDERS {
                both_ways(
                    version,
                    sender,
                    &[first, 2, 0x12, 0x34],
                    packet(Ack::new(id(0x1234))),
                );
                both_ways(
                    version,
                    sender,
                    &[first, 2, 0xFF, 0xFF],
                    packet(Ack::new(id(65_535))),
                );
            }
        }
    }
}

#[test]
fn three_bytes_carry_a_reason_code() {
    for (first, packet) in ACKS {
        let code = if first < 0x60 {
            ReasonCode::NOT_AUTHORIZED
        } else {
            ReasonCode::PACKET_IDENTIFIER_NOT_FOUND
        };
        for sender in SENDERS {
            both_ways(
                Version::V5,
                sender,
                &[first, 3, 0, 7, code.0],
                packet(Ack::new(id(7)).with_reason(code)),
            );
        }
    }
}

#[test]
fn the_longer_forms_of_success_are_read() {
    for (first, packet) in ACKS {
        for sender in SENDERS {
            for bytes in [&[first, 3, 0, 7, 0][..], &[first, 4, 0, 7, 0, 0]] {
                assert_eq!(accepts(Version::V5, sender, bytes), packet(Ack::new(id(7))));
            }
        }
    }
}

#[test]
fn the_full_form_carries_properties_even_with_success() {
    let properties = Properties::builder()
        .reason_string("ok")
        .user_property("a", "b")
        .build()
        .unwrap();
    for (first, packet) in ACKS {
        for sender in SENDERS {
            let bytes = [
                &[first][..],
                &hex("10 0007 00 0C 1F 0002 6F6B 26 0001 61 0001 62"),
            ]
            .concat();
            both_ways(
                Version::V5,
                sender,
                &bytes,
                packet(Ack {
                    properties: properties.clone(),
                    ..Ack::new(id(7))
                }),
            );
        }
    }
}

#[test]
fn version_3_has_two_bytes_alone() {
    for (first, _) in ACKS {
        for version in [Version::V3_1, Version::V3_1_1] {
            for sender in SENDERS {
                crate::common::refuses(version, sender, &[first, 3, 0, 7, 0]);
                crate::common::refuses(version, sender, &[first, 4, 0, 7, 0, 0]);
            }
        }
    }
}

#[test]
fn pubrel_of_3_1_may_carry_dup() {
    for sender in SENDERS {
        let expected = Packet::PubRel(Ack::new(id(7)));
        assert_eq!(accepts(Version::V3_1, sender, &hex("6A 02 0007")), expected);
        for version in [Version::V3_1_1, Version::V5] {
            crate::common::refuses(version, sender, &hex("6A 02 0007"));
        }
    }
    assert_eq!(PacketType::PubRel.to_string(), "PUBREL");
}
