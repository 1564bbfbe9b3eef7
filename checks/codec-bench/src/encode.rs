//! How each codec encodes: into the output type that it writes to.

use std::hint::black_box;

use bytes::Buf;
use mqtt_proto::{Encoder, Flow, Outbox, PacketId, Properties, Publish, Sender, Topic, Version};

use crate::case::{CONTENT_TYPE, CORRELATION, Case, MESSAGE_EXPIRY, PACKET_ID, TOPIC, USER};

/// A codec that encodes.
pub trait Encode {
    const NAME: &'static str;

    /// The packets to encode: one for all times where it is borrowed, as many as are asked for where each is consumed.
    type Packets;

    /// What it writes to.
    type Output;

    fn packets(case: Case) -> Self::Packets;

    fn output() -> Self::Output;

    /// Encodes the packet as many times as the case says.
    fn encode(packets: &mut Self::Packets, count: usize, output: &mut Self::Output);

    /// Empties the output, which keeps its memory; tells how many bytes there were.
    fn clear(output: &mut Self::Output) -> usize;
}

pub struct Ours;

impl Encode for Ours {
    const NAME: &'static str = "mqtt-proto (ours)";
    type Packets = Publish;
    type Output = Outbox;

    fn packets(case: Case) -> Publish {
        let publish = Publish::new(Topic::from_static(TOPIC).expect("a topic"), case.payload());
        if !case.properties {
            return publish;
        }
        let mut properties = Properties::builder()
            .message_expiry_interval(MESSAGE_EXPIRY)
            .content_type(CONTENT_TYPE)
            .correlation_data(CORRELATION);
        for (name, value) in USER {
            properties = properties.user_property(name, value);
        }
        publish.with_properties(properties.build().expect("valid properties"))
    }

    fn output() -> Outbox {
        Outbox::new()
    }

    fn encode(publish: &mut Publish, count: usize, output: &mut Outbox) {
        let encoder = Encoder::new(Version::V5, Sender::Client);
        let flow = Flow::AtLeastOnce {
            id: PacketId::new(PACKET_ID).expect("not zero"),
            dup: false,
        };
        for _ in 0..count {
            encoder
                .publish(black_box(publish), black_box(flow), None, output)
                .expect("a valid packet");
        }
        black_box(&output);
    }

    fn clear(output: &mut Outbox) -> usize {
        let length = output.remaining();
        output.clear();
        length
    }
}

/// The least that could be done where everything is copied: bytes that were encoded before.
pub struct Floor;

impl Encode for Floor {
    const NAME: &'static str = "floor: copy encoded bytes";
    type Packets = Vec<u8>;
    type Output = Vec<u8>;

    fn packets(case: Case) -> Vec<u8> {
        case.frame()
    }

    fn output() -> Vec<u8> {
        Vec::new()
    }

    fn encode(frame: &mut Vec<u8>, count: usize, output: &mut Vec<u8>) {
        for _ in 0..count {
            output.extend_from_slice(black_box(frame));
        }
        black_box(&output);
    }

    fn clear(output: &mut Vec<u8>) -> usize {
        let length = output.len();
        output.clear();
        length
    }
}
