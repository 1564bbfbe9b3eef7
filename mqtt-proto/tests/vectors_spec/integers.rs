//! Integers and strings of section 1.5, by the examples of the specification.

use bytes::BytesMut;
use mqtt_proto::{
    DecodeError, Decoder, Encoder, Flow, Outbox, Packet, Publish, Sender, Text, Topic, VARINT_MAX,
    Version,
};

use crate::common::{hex, varint};

/// Table 1-1: the largest and the smallest value of each length.
const SIZES: [(u32, &str); 8] = [
    (0, "00"),
    (127, "7F"),
    (128, "80 01"),
    (16_383, "FF 7F"),
    (16_384, "80 80 01"),
    (2_097_151, "FF FF 7F"),
    (2_097_152, "80 80 80 01"),
    (268_435_455, "FF FF FF 7F"),
];

#[test]
fn remaining_lengths_are_read_as_in_the_table() {
    for (value, bytes) in SIZES {
        assert_eq!(varint(value as usize), hex(bytes));
        // A maximum of 0 makes the decoder tell the size that it read.
        let decoder = Decoder::new(Version::V5, Sender::Server).with_max_packet_size(0);
        let header = [&[0x30][..], &hex(bytes)].concat();
        let error = decoder
            .decode(&mut BytesMut::from(&header[..]))
            .unwrap_err();
        assert_eq!(
            error,
            DecodeError::PacketTooLarge {
                size: header.len() as u32 + value,
                max: 0
            }
        );
        // Of the header alone, nothing can be said.
        for cut in 0..header.len() {
            let mut input = BytesMut::from(&header[..cut]);
            assert_eq!(decoder.decode(&mut input), Ok(None));
            assert_eq!(input.len(), cut, "left alone");
        }
    }
    assert_eq!(VARINT_MAX, 268_435_455);
}

#[test]
fn remaining_lengths_are_written_as_in_the_table() {
    let encoder = Encoder::new(Version::V3_1_1, Sender::Client);
    for (value, bytes) in SIZES
        .into_iter()
        .filter(|(value, _)| (3..3_000_000).contains(value))
    {
        let publish = Publish::new(Topic::try_from("t").unwrap(), vec![0; value as usize - 3]);
        let mut out = Outbox::new();
        encoder
            .publish(&publish, Flow::AtMostOnce, None, &mut out)
            .unwrap();
        let bytes = hex(bytes);
        assert_eq!(out.to_vec()[1..=bytes.len()], bytes);
    }
}

/// The example of section 1.5.5: 321 is 193 and 2.
#[test]
fn three_hundred_and_twenty_one() {
    assert_eq!(varint(321), [193, 2]);
    let publish = Publish::new(Topic::try_from("t").unwrap(), vec![7; 318]);
    let mut out = Outbox::new();
    let encoder = Encoder::new(Version::V3_1_1, Sender::Client);
    assert_eq!(
        encoder.publish(&publish, Flow::AtMostOnce, None, &mut out),
        Ok(324)
    );
    let bytes = out.to_vec();
    assert_eq!(bytes[..6], [0x30, 193, 2, 0, 1, b't']);
    let packet =
        Decoder::new(Version::V3_1_1, Sender::Client).decode(&mut BytesMut::from(&bytes[..]));
    assert!(matches!(packet, Ok(Some(Packet::Publish(view))) if view.payload().len() == 318));
}

/// The example of section 1.5.4: the letter A and U+2A6D4.
#[test]
fn the_string_of_the_example() {
    let text = Text::from_bytes(hex("41 F0 AA 9B 94").into()).unwrap();
    assert_eq!(text, "A\u{2A6D4}");
    assert_eq!(text.len(), 5);
}
