//! Every reason code in every packet and direction.

use mqtt_proto::{PacketType, ReasonCode, Sender, Version};

use crate::common::tables::{reason_codes, with_reason_code};
use crate::common::{SENDERS, accepts, encode, refuses};

#[test]
fn of_all_256_codes_each_packet_takes_the_listed_ones() {
    for packet in [2, 4, 5, 6, 7, 9, 11, 14, 15] {
        for sender in SENDERS {
            let listed = reason_codes(packet, sender).unwrap_or_default();
            for code in 0..=255 {
                let bytes = with_reason_code(packet, code);
                if listed.contains(&code) {
                    let packet = accepts(Version::V5, sender, &bytes);
                    assert!(encode(Version::V5, sender, &packet).is_ok());
                } else {
                    let error = refuses(Version::V5, sender, &bytes);
                    assert_eq!(
                        error.reason(),
                        ReasonCode::PROTOCOL_ERROR,
                        "{packet} {code:#04X}"
                    );
                }
                let packet = PacketType::from_u8(packet).unwrap();
                let allowed = ReasonCode(code).allowed_in(packet, sender, Version::V5);
                assert_eq!(
                    allowed,
                    listed.contains(&code),
                    "{packet} {sender} {code:#04X}"
                );
            }
        }
    }
}

#[test]
fn other_packets_carry_no_reason_code() {
    for packet in [1, 3, 8, 10, 12, 13].map(|packet| PacketType::from_u8(packet).unwrap()) {
        for sender in SENDERS {
            for code in 0..=255 {
                assert!(
                    !ReasonCode(code).allowed_in(packet, sender, Version::V5),
                    "{packet} {code:#04X}"
                );
            }
        }
    }
}

#[test]
fn the_library_names_exactly_the_codes_of_section_2_4() {
    let mut listed: Vec<u8> = [2, 4, 5, 6, 7, 9, 11, 14, 15]
        .into_iter()
        .flat_map(|packet| SENDERS.map(|sender| reason_codes(packet, sender).unwrap_or_default()))
        .flatten()
        .copied()
        .collect();
    listed.sort_unstable();
    listed.dedup();
    let named: Vec<u8> = ReasonCode::ALL.iter().map(|code| code.0).collect();
    assert_eq!(named, listed);
    for code in 0..=255 {
        assert_eq!(
            ReasonCode(code).name().is_some(),
            listed.contains(&code),
            "{code:#04X}"
        );
        assert_eq!(ReasonCode(code).is_error(), code >= 0x80);
    }
    assert_eq!(ReasonCode::BANNED.to_string(), "0x8A Banned");
    assert_eq!(ReasonCode(0xFF).to_string(), "0xFF (unknown)");
    assert!(ReasonCode::BANNED.allowed_in(PacketType::ConnAck, Sender::Server, Version::V5));
}
