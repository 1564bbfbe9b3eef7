//! Bytes that nobody checked.

use bytes::BytesMut;
use mqtt_proto::{Decoder, EncodeError, Packet};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::arbitrary::{messages, side};
use crate::common::{accepts, encode};
use crate::message::Side;

/// Decodes until there is no whole packet left or an error. Each call consumes, fails, or leaves everything alone.
fn drain((version, sender): Side, bytes: &[u8]) -> Vec<Packet> {
    let decoder = Decoder::new(version, sender);
    let mut input = BytesMut::from(bytes);
    let mut packets = Vec::new();
    loop {
        let before = input.len();
        match decoder.decode(&mut input) {
            Ok(Some(packet)) => {
                assert!(input.len() < before, "a packet of no bytes: {packet:?}");
                packets.push(packet);
            }
            Ok(None) => {
                assert_eq!(input.len(), before);
                assert_eq!(
                    decoder.decode(&mut input),
                    Ok(None),
                    "asked again, it tells the same"
                );
                return packets;
            }
            Err(error) => {
                // Both have words for a log.
                assert!(!error.to_string().is_empty());
                assert!(error.reason().is_error());
                return packets;
            }
        }
    }
}

/// What was taken can be sent, and is then read as the same.
fn can_be_sent((version, sender): Side, packet: &Packet) {
    match encode(version, sender, packet) {
        Ok(bytes) => assert_eq!(&accepts(version, sender, &bytes), packet),
        // A server reads such a CONNECT to refuse it with a CONNACK.
        Err(EncodeError::BadClientId { .. }) => assert!(matches!(packet, Packet::Connect(_))),
        Err(error) => panic!("{packet:?} was taken in {version} and can't be sent: {error:?}"),
    }
    assert!(!format!("{packet:?}").is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn arbitrary_bytes_are_taken_refused_or_awaited(side in side(), bytes in vec(any::<u8>(), 0..64)) {
        for packet in drain(side, &bytes) {
            can_be_sent(side, &packet);
        }
    }

    #[test]
    fn a_first_byte_and_a_right_length_before_arbitrary_bytes(side in side(), first in any::<u8>(), body in vec(small(), 0..40)) {
        for packet in drain(side, &crate::common::frame(first, &body)) {
            can_be_sent(side, &packet);
        }
    }

    #[test]
    fn packets_with_some_bytes_changed((side, messages) in messages(1..3), changes in vec((any::<Index>(), small()), 1..4)) {
        let mut bytes: Vec<u8> = messages.iter().flat_map(|message| message.bytes(side)).collect();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for packet in drain(side, &bytes) {
            can_be_sent(side, &packet);
        }
    }

    #[test]
    fn packets_of_another_version_or_sender((side, messages) in messages(1..3), other in crate::arbitrary::side()) {
        let bytes: Vec<u8> = messages.iter().flat_map(|message| message.bytes(side)).collect();
        for packet in drain(other, &bytes) {
            can_be_sent(other, &packet);
        }
    }
}

/// Bytes of which lengths, flags and identifiers are made come more often.
fn small() -> impl Strategy<Value = u8> {
    prop_oneof![3 => 0..8_u8, 2 => 0..0x30_u8, 1 => any::<u8>()]
}
