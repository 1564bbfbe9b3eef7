//! Lengths: of packets, of fields, of what was received so far.

use bytes::BytesMut;

use super::*;
use crate::common::{SENDERS, frame, packets, string};
use mqtt_proto::{Ack, Decoder, Packet};

#[test]
fn a_topic_that_is_longer_than_its_packet() {
    for version in VERSIONS {
        for bytes in [
            "30 02 FFFF",
            "30 02 0001",
            "30 03 0005 61",
            "32 05 FFFF 61 0001",
            "30 04 0003 6162",
        ] {
            is_refused_in(version, bytes, truncated("topic name"), MALFORMED);
        }
        for bytes in ["30 00", "30 01 00"] {
            is_refused_in(version, bytes, truncated("topic name"), MALFORMED);
        }
        is_refused_in(
            version,
            "32 03 0001 61",
            truncated("packet identifier"),
            MALFORMED,
        );
        is_refused_in(
            version,
            "32 04 0001 61 00",
            truncated("packet identifier"),
            MALFORMED,
        );
    }
}

#[test]
fn a_refused_length_is_refused_as_well_when_it_comes_in_pieces_and_leaves_no_state() {
    let decoder = Decoder::new(Version::V5, Sender::Server);
    let bytes = hex("30 04 00FF 6162");
    for split in 0..bytes.len() {
        let mut input = BytesMut::from(&bytes[..split]);
        assert_eq!(decoder.decode(&mut input), Ok(None), "after {split} bytes");
        input.extend_from_slice(&bytes[split..]);
        assert_eq!(
            decoder.decode(&mut input),
            Err(truncated("topic name")),
            "split at {split}"
        );
        // The next connection begins with the same decoder and a buffer of its own.
        let mut input = BytesMut::from(&hex("20 03 00 00 00")[..]);
        assert!(matches!(
            decoder.decode(&mut input),
            Ok(Some(Packet::ConnAck(_)))
        ));
    }
}

#[test]
fn the_largest_length_is_awaited_without_reserving_anything() {
    for first in [0x20, 0x30, 0x40, 0x90, 0xB0, 0xE0, 0xF0] {
        let mut input = BytesMut::from(&[first, 0xFF, 0xFF, 0xFF, 0x7F, 1, 2, 3][..]);
        let (len, capacity) = (input.len(), input.capacity());
        let decoder = Decoder::new(Version::V5, Sender::Server);
        assert_eq!(decoder.decode(&mut input), Ok(None));
        assert_eq!((input.len(), input.capacity()), (len, capacity));
    }
}

#[test]
fn a_length_above_the_limit_is_refused_by_the_header_alone() {
    for (header, size) in [
        ("30 80 01", 131),
        ("30 FF FF FF 7F", 268_435_460),
        ("20 7F", 129),
    ] {
        for max in [0, 10, 128] {
            let decoder = Decoder::new(Version::V5, Sender::Server).with_max_packet_size(max);
            let mut input = BytesMut::from(&hex(header)[..]);
            let error = decoder.decode(&mut input).unwrap_err();
            assert_eq!(error, DecodeError::PacketTooLarge { size, max });
            assert_eq!(error.reason(), ReasonCode::PACKET_TOO_LARGE);
        }
        let at_the_limit = Decoder::new(Version::V5, Sender::Server).with_max_packet_size(size);
        assert_eq!(
            at_the_limit.decode(&mut BytesMut::from(&hex(header)[..])),
            Ok(None)
        );
    }
}

#[test]
fn a_connack_cut_at_every_byte_is_awaited() {
    for (version, bytes) in [
        (Version::V3_1_1, "20 02 00 00"),
        (Version::V5, "20 0A 00 00 07 26 0001 61 0001 62"),
    ] {
        let bytes = hex(bytes);
        for cut in 0..bytes.len() {
            let mut input = BytesMut::from(&bytes[..cut]);
            assert_eq!(
                Decoder::new(version, Sender::Server).decode(&mut input),
                Ok(None)
            );
            assert_eq!(input, bytes[..cut]);
        }
    }
}

#[test]
fn a_connack_whose_length_ends_it_at_every_byte_is_malformed() {
    let body = hex("00 00 07 26 0001 61 0001 62");
    for cut in 0..body.len() {
        let error = refuses(Version::V5, Sender::Server, &frame(0x20, &body[..cut]));
        assert!(
            matches!(error, DecodeError::Truncated { .. }),
            "{cut}: {error:?}"
        );
        assert_eq!(error.reason(), MALFORMED);
    }
}

#[test]
fn a_length_that_goes_on_is_awaited_up_to_four_bytes() {
    let decoder = Decoder::new(Version::V3_1_1, Sender::Server);
    for waiting in ["70", "70 80", "70 80 80", "70 FF FF FF"] {
        let mut input = BytesMut::from(&hex(waiting)[..]);
        assert_eq!(decoder.decode(&mut input), Ok(None), "{waiting}");
    }
    for version in VERSIONS {
        for bytes in [
            "70 80 00",
            "70 82 00 0007",
            "70 80 80 80 00",
            "70 FF FF FF FF",
            "70 80 80 80 80 01",
            "D0 80 00",
        ] {
            is_refused_in(version, bytes, DecodeError::BadVarInt, MALFORMED);
        }
    }
}

#[test]
fn property_lengths_in_the_wrong_form_or_beyond_the_packet() {
    for length in ["80 00", "FF FF FF FF 7F", "80 80 80 80 01"] {
        let body = [hex("00 00"), hex(length)].concat();
        let error = refuses(Version::V5, Sender::Server, &frame(0x20, &body));
        assert_eq!((error, error.reason()), (DecodeError::BadVarInt, MALFORMED));
    }
    is_refused("20 03 00 00 80", truncated("property length"), MALFORMED);
    for bytes in [
        "20 03 00 00 01",
        "20 03 00 00 7F",
        "20 06 00 00 FFFFFF7F",
        "30 04 0001 61 01",
        "40 04 0007 00 05",
        "E0 02 00 09",
    ] {
        is_refused(bytes, truncated("properties"), MALFORMED);
    }
}

#[test]
fn acknowledgements_of_every_length() {
    for (first, packet) in [
        (0x40, PacketType::PubAck),
        (0x50, PacketType::PubRec),
        (0x62, PacketType::PubRel),
        (0x70, PacketType::PubComp),
    ] {
        let refused =
            |version, body: &str| refuses(version, Sender::Server, &frame(first, &hex(body)));
        for version in VERSIONS {
            for body in ["", "01"] {
                assert_eq!(refused(version, body), truncated("packet identifier"));
            }
            assert_eq!(refused(version, "0000"), DecodeError::ZeroPacketId);
            assert_eq!(DecodeError::ZeroPacketId.reason(), PROTOCOL);
        }
        for version in [Version::V3_1, Version::V3_1_1] {
            assert_eq!(
                refused(version, "0001 00"),
                DecodeError::TrailingBytes { packet, extra: 1 }
            );
            assert_eq!(
                refused(version, "0001 00 00"),
                DecodeError::TrailingBytes { packet, extra: 2 }
            );
        }
        for whole in ["0001", "0001 00", "0001 00 00"] {
            let read =
                crate::common::accepts(Version::V5, Sender::Server, &frame(first, &hex(whole)));
            assert_eq!(read.packet_type(), packet);
            assert!(matches!(
                read,
                Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack)
                    if ack == Ack::new(crate::common::id(1))
            ));
        }
        assert_eq!(refused(Version::V5, "0000 00"), DecodeError::ZeroPacketId);
        assert_eq!(
            refused(Version::V5, "0001 00 00 00"),
            DecodeError::TrailingBytes { packet, extra: 1 }
        );
        assert_eq!(
            DecodeError::TrailingBytes { packet, extra: 1 }.reason(),
            MALFORMED
        );
        assert_eq!(
            refused(Version::V5, "0001 00 80"),
            truncated("property length")
        );
    }
}

#[test]
fn disconnect_and_auth_of_length_0_and_1() {
    for bytes in ["E0 00", "E0 01 00", "E0 01 8B", "E0 02 8B 00"] {
        crate::common::accepts(Version::V5, Sender::Server, &hex(bytes));
    }
    is_refused(
        "E0 03 8B 00 00",
        DecodeError::TrailingBytes {
            packet: PacketType::Disconnect,
            extra: 1,
        },
        MALFORMED,
    );
    let (packet, sender) = (PacketType::Disconnect, Sender::Server);
    is_refused(
        "E0 01 04",
        DecodeError::BadReasonCode {
            packet,
            sender,
            code: 4,
        },
        PROTOCOL,
    );
    crate::common::accepts(Version::V5, Sender::Server, &hex("F0 00"));
    for bytes in ["F0 01 00", "F0 01 18", "F0 02 18 00"] {
        is_refused(bytes, DecodeError::NoAuthenticationMethod, PROTOCOL);
    }
    let packet = PacketType::Auth;
    is_refused(
        "F0 01 19",
        DecodeError::BadReasonCode {
            packet,
            sender,
            code: 0x19,
        },
        PROTOCOL,
    );
    is_refused(
        "F0 01 01",
        DecodeError::BadReasonCode {
            packet,
            sender,
            code: 1,
        },
        PROTOCOL,
    );
    is_refused(
        "F0 09 18 07 26 0001 61 0001 62",
        DecodeError::NoAuthenticationMethod,
        PROTOCOL,
    );
    is_refused(
        "F0 07 18 05 16 0002 0001",
        DecodeError::NoAuthenticationMethod,
        PROTOCOL,
    );
}

#[test]
fn connect_with_authentication_data_and_no_method() {
    let bytes = packets::Place::Packet(1).packet(Sender::Client, &hex("16 0002 0001"));
    let error = refuses(Version::V5, Sender::Client, &bytes);
    assert_eq!(
        (error, error.reason()),
        (DecodeError::NoAuthenticationMethod, PROTOCOL)
    );
}

/// Every first byte before every short body of a few values: each call consumes, fails or awaits more.
#[test]
fn every_call_consumes_or_fails() {
    for version in VERSIONS {
        for sender in SENDERS {
            let decoder = Decoder::new(version, sender);
            for first in 0..=255 {
                for len in 0..=8 {
                    for fill in [0, 1, 2, 0x26, 0x7F, 0x80, 0xFF] {
                        let mut input = BytesMut::from(&frame(first, &vec![fill; len])[..]);
                        input.extend_from_slice(&frame(first, &vec![fill; len]));
                        let mut calls = 0;
                        while let Ok(Some(_)) = decoder.decode(&mut input) {
                            calls += 1;
                            assert!(calls <= 2, "{first:#04X} {len} {fill}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_topic_of_65_535_slashes_takes_no_stack_per_level() {
    let slashes = "/".repeat(65_535);
    // A small stack: recursion for each of the 65,536 levels would not fit.
    let small = std::thread::Builder::new().stack_size(256 * 1024);
    #[allow(
        clippy::disallowed_methods,
        reason = "the size of a stack can be chosen for a thread alone"
    )]
    let thread = small.spawn(move || {
        let bytes = packets::publish(Version::V5, 0x30, &slashes, b"");
        let Packet::Publish(publish) = crate::common::accepts(Version::V5, Sender::Server, &bytes)
        else {
            panic!("no PUBLISH")
        };
        assert_eq!(publish.topic().levels().count(), 65_536);
        let bytes = packets::subscribe(Version::V5, &slashes, 0);
        let Packet::Subscribe(subscribe) =
            crate::common::accepts(Version::V5, Sender::Client, &bytes)
        else {
            panic!("no SUBSCRIBE")
        };
        assert!(subscribe.filters[0].0.matches(publish.topic()));
        let mut deep = string("+/".repeat(32_767));
        deep.push(0);
        crate::common::accepts(
            Version::V3_1_1,
            Sender::Client,
            &frame(0x82, &[&[0, 7], &deep[..]].concat()),
        );
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn the_shortest_packets_are_held_to_a_maximum_as_well() {
    for first in ["40", "50", "62", "70"] {
        let bytes = hex(&format!("{first} 02 0007"));
        for version in VERSIONS {
            let decoder = Decoder::new(version, Sender::Server);
            let too_large = DecodeError::PacketTooLarge { size: 4, max: 3 };
            assert_eq!(
                decoder
                    .with_max_packet_size(3)
                    .decode(&mut bytes[..].into()),
                Err(too_large)
            );
            let taken = decoder
                .with_max_packet_size(4)
                .decode(&mut bytes[..].into());
            assert!(matches!(taken, Ok(Some(_))), "{taken:?}");
        }
    }
}
