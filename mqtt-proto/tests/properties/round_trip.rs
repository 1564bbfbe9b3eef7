//! From packets to bytes and back.

use bytes::BytesMut;
use mqtt_proto::{Decoder, Encoder, Outbox, Packet};
use proptest::prelude::*;

use crate::arbitrary::messages;
use crate::common::accepts;

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_to_the_same((side, messages) in messages(1..4)) {
        for message in messages {
            let bytes = message.bytes(side);
            let read = accepts(side.0, side.1, &bytes);
            message.assert_is(&read);
            // What was read is written as the same bytes.
            prop_assert_eq!(crate::common::encode(side.0, side.1, &read), Ok(bytes));
        }
    }

    #[test]
    fn the_announced_length_is_that_of_the_bytes((side, messages) in messages(1..4), limit in prop::option::of(0..200_u32)) {
        let mut encoder = Encoder::new(side.0, side.1);
        if let Some(limit) = limit {
            encoder = encoder.with_max_packet_size(limit);
        }
        for message in messages {
            let mut out = Outbox::new();
            let written = message.encode(&encoder, &mut out);
            prop_assert_eq!(written.unwrap_or(0), out.to_vec().len(), "{:?}: {:?}", &message, written);
            prop_assert_eq!(written.unwrap_or(0), out.len());
            prop_assert!(written.is_err() || limit.is_none_or(|limit| out.len() <= limit as usize));
            if let Some(announced) = message.announced(&encoder) {
                prop_assert_eq!(announced, written, "{:?}", &message);
            }
        }
    }

    #[test]
    fn any_split_gives_the_same_packets((side, messages) in messages(1..6), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let bytes: Vec<u8> = messages.iter().flat_map(|message| message.bytes(side)).collect();
        let decoder = Decoder::new(side.0, side.1);
        let mut whole = BytesMut::from(&bytes[..]);
        let mut packets = Vec::new();
        while let Some(packet) = decoder.decode(&mut whole).unwrap() {
            packets.push(packet);
        }
        prop_assert!(whole.is_empty());
        prop_assert_eq!(packets.len(), messages.len());

        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        prop_assert_eq!(&in_pieces(&decoder, &bytes, &cuts), &packets);
        if bytes.len() < 300 {
            let every_byte: Vec<_> = (0..bytes.len()).collect();
            prop_assert_eq!(&in_pieces(&decoder, &bytes, &every_byte), &packets);
        }
    }

    #[test]
    fn a_packet_that_is_cut_anywhere_is_awaited((side, messages) in messages(1..3)) {
        let decoder = Decoder::new(side.0, side.1);
        for message in messages {
            let bytes = message.bytes(side);
            // Every cut of a short packet, and those at the ends of a long one.
            for cut in (0..bytes.len()).filter(|cut| *cut < 300 || cut + 3 > bytes.len()) {
                let mut input = BytesMut::from(&bytes[..cut]);
                let capacity = input.capacity();
                prop_assert_eq!(decoder.decode(&mut input), Ok(None), "{} of {:02X?}", cut, &bytes);
                prop_assert_eq!(&input[..], &bytes[..cut]);
                prop_assert_eq!(input.capacity(), capacity, "nothing is reserved");
            }
        }
    }
}

fn in_pieces(decoder: &Decoder, bytes: &[u8], cuts: &[usize]) -> Vec<Packet> {
    let mut input = BytesMut::new();
    let mut packets = Vec::new();
    let mut from = 0;
    for cut in cuts.iter().copied().chain([bytes.len()]) {
        input.extend_from_slice(&bytes[from..cut]);
        from = cut;
        while let Some(packet) = decoder.decode(&mut input).unwrap() {
            packets.push(packet);
        }
    }
    assert!(input.is_empty());
    packets
}
