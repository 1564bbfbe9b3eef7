//! The outbox: whatever is done with it, the bytes that leave it are those that were put in, in their order.

use std::io::IoSlice;

use bytes::Buf;
use mqtt_proto::{Encoder, Flow, Outbox, Packet, Publish, Sender, Topic, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

#[derive(Clone, Debug)]
enum Step {
    /// Encodes a PUBLISH with a payload of this length.
    Publish(usize),
    /// Encodes a packet that fails: nothing may change.
    Fail,
    Ping,
    /// Takes this share of what waits, in 1/256.
    Advance(u8),
    /// Takes what one vectored write with so many slices gets, all of it or this share.
    Write(usize, u8),
    /// Appends another outbox with such payloads, of which this share was taken.
    Append(Vec<usize>, u8),
    ShrinkTo(usize),
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = || select(&[0, 1, 50, 2_000, 4_000, 4_095, 4_096, 4_097, 9_000, 40_000][..]);
    let step = prop_oneof![
        8 => len().prop_map(Step::Publish),
        1 => Just(Step::Fail),
        2 => Just(Step::Ping),
        3 => any::<u8>().prop_map(Step::Advance),
        3 => (0..6_usize, any::<u8>()).prop_map(|(slots, share)| Step::Write(slots, share)),
        2 => (vec(len(), 0..4), any::<u8>()).prop_map(|(lens, taken)| Step::Append(lens, taken)),
        1 => (0..10_000_usize).prop_map(Step::ShrinkTo),
        1 => Just(Step::Clear),
    ];
    vec(step, 1..60)
}

/// An outbox beside the plain bytes that it should hold.
#[derive(Default)]
struct Pair {
    outbox: Outbox,
    model: Vec<u8>,
    /// Makes the payloads differ.
    next: u8,
}

impl Pair {
    const ENCODER: Encoder = Encoder::new(Version::V3_1_1, Sender::Client);

    fn publish(&mut self, len: usize) {
        self.next = self.next.wrapping_add(1);
        let payload: Vec<u8> = (0..len)
            .map(|n| self.next ^ n as u8 ^ (n >> 8) as u8)
            .collect();
        let publish = Publish::new(Topic::try_from("t").unwrap(), payload.clone());
        let written = Self::ENCODER
            .publish(&publish, Flow::AtMostOnce, None, &mut self.outbox)
            .unwrap();
        let expected = crate::common::packets::publish(Version::V3_1_1, 0x30, "t", &payload);
        assert_eq!(written, expected.len());
        self.model.extend(expected);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Publish(len) => self.publish(*len),
            Step::Fail => {
                let tight = Self::ENCODER.with_max_packet_size(10);
                let publish = Publish::new(Topic::try_from("t").unwrap(), vec![1; 10_000]);
                assert!(
                    tight
                        .publish(&publish, Flow::AtMostOnce, None, &mut self.outbox)
                        .is_err()
                );
                assert!(tight.encode(&Packet::PingResp, &mut self.outbox).is_err());
            }
            Step::Ping => {
                Self::ENCODER
                    .encode(&Packet::PingReq, &mut self.outbox)
                    .unwrap();
                self.model.extend([0xC0, 0]);
            }
            Step::Advance(share) => self.advance(share_of(self.model.len(), *share)),
            Step::Write(slots, share) => {
                let mut slices = vec![IoSlice::new(&[]); *slots];
                let filled = self.outbox.chunks_vectored(&mut slices);
                let written: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
                self.advance(share_of(written, *share));
            }
            Step::Append(lens, taken) => {
                let mut other = Self {
                    next: self.next,
                    ..Self::default()
                };
                lens.iter().for_each(|len| other.publish(*len));
                other.advance(share_of(other.model.len(), *taken));
                self.outbox.append(&mut other.outbox);
                self.model.extend(&other.model);
                assert!(other.outbox.is_empty());
                other.model.clear();
                other.publish(5);
                other.check();
                self.next = other.next;
            }
            Step::ShrinkTo(capacity) => self.outbox.shrink_to(*capacity),
            Step::Clear => {
                self.outbox.clear();
                self.model.clear();
            }
        }
    }

    fn advance(&mut self, count: usize) {
        self.outbox.advance(count);
        self.model.drain(..count);
    }

    fn check(&self) {
        let (outbox, model) = (&self.outbox, &self.model[..]);
        assert_eq!(outbox.len(), model.len());
        assert_eq!(outbox.remaining(), model.len());
        assert_eq!(outbox.is_empty(), model.is_empty());
        assert!(outbox.to_vec() == model, "the bytes differ");
        assert!(model.starts_with(outbox.chunk()));
        assert_eq!(outbox.chunk().is_empty(), model.is_empty());
        for slots in [0, 1, 2, 3, 300] {
            let mut slices = vec![IoSlice::new(&[]); slots];
            let filled = outbox.chunks_vectored(&mut slices);
            let joined: Vec<u8> = slices[..filled]
                .iter()
                .flat_map(|slice| slice.iter().copied())
                .collect();
            assert!(slices[..filled].iter().all(|slice| !slice.is_empty()));
            assert!(model.starts_with(&joined));
            assert_eq!(joined.is_empty(), model.is_empty() || slots == 0);
            assert!(
                slots < 300 || joined.len() == model.len(),
                "all of it in {filled} slices"
            );
        }
    }
}

/// 0 is nothing, 255 is everything.
fn share_of(len: usize, share: u8) -> usize {
    len * usize::from(share) / 255
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_interleaving_keeps_the_order_of_the_bytes(steps in steps()) {
        let mut pair = Pair::default();
        for step in &steps {
            pair.step(step);
            pair.check();
        }
        let mut left = pair.model.clone();
        let drained = pair.outbox.copy_to_bytes(left.len());
        prop_assert!(drained[..] == left[..]);
        left.clear();
        prop_assert!(pair.outbox.is_empty());
    }
}

#[test]
#[should_panic(expected = "cannot advance by 3 of 2 bytes")]
fn to_take_more_than_waits_is_a_mistake_of_the_caller() {
    let mut pair = Pair::default();
    pair.step(&Step::Ping);
    pair.outbox.advance(3);
}
