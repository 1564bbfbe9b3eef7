use std::hint::black_box;

use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{PacketBuildResult, PacketBuilder, PacketData};
use mqtt_protocol_core::mqtt::packet::v5_0::Publish;
use mqtt_protocol_core::mqtt::packet::{
    ContentType, CorrelationData, MessageExpiryInterval, Property, Qos, UserProperty,
};

use crate::case::{CONTENT_TYPE, CORRELATION, Case, MESSAGE_EXPIRY, PACKET_ID, TOPIC, USER};
use crate::decode::Decode;
use crate::encode::Encode;

/// Encodes to bytes of its own.
pub struct ProtocolCore;

/// Encodes to slices for a vectored write.
pub struct ProtocolCoreSlices;

impl Decode for ProtocolCore {
    const NAME: &'static str = "mqtt-protocol-core 0.7.9";
    type Input = Vec<u8>;

    fn input(stream: &[u8]) -> Vec<u8> {
        stream.to_vec()
    }

    fn decode(input: &mut Vec<u8>) -> usize {
        let mut builder = PacketBuilder::new();
        let mut input = Cursor::new(&input[..]);
        let mut count = 0;
        while let PacketBuildResult::Complete(raw) = builder.feed(&mut input) {
            let flags = raw.flags();
            let PacketData::Publish(body) = raw.data else {
                panic!("no PUBLISH")
            };
            black_box(Publish::parse(flags, body).expect("a valid packet"));
            count += 1;
        }
        count
    }
}

impl Encode for ProtocolCore {
    const NAME: &'static str = "mqtt-protocol-core 0.7.9";
    type Packets = Publish;
    type Output = usize;

    fn packets(case: Case) -> Publish {
        publish(case)
    }

    fn output() -> usize {
        0
    }

    fn encode(publish: &mut Publish, count: usize, output: &mut usize) {
        for _ in 0..count {
            *output += black_box(black_box(&*publish).to_continuous_buffer()).len();
        }
    }

    fn clear(output: &mut usize) -> usize {
        std::mem::take(output)
    }
}

impl Encode for ProtocolCoreSlices {
    const NAME: &'static str = "mqtt-protocol-core (slices)";
    type Packets = Publish;
    type Output = usize;

    fn packets(case: Case) -> Publish {
        publish(case)
    }

    fn output() -> usize {
        0
    }

    fn encode(publish: &mut Publish, count: usize, output: &mut usize) {
        for _ in 0..count {
            *output += black_box(black_box(&*publish).to_buffers())
                .iter()
                .map(|slice| slice.len())
                .sum::<usize>();
        }
    }

    fn clear(output: &mut usize) -> usize {
        std::mem::take(output)
    }
}

fn publish(case: Case) -> Publish {
    let mut properties = Vec::new();
    if case.properties {
        properties.push(Property::from(
            MessageExpiryInterval::new(MESSAGE_EXPIRY).expect("valid"),
        ));
        properties.push(ContentType::new(CONTENT_TYPE).expect("valid").into());
        properties.push(
            CorrelationData::new(CORRELATION.to_vec())
                .expect("valid")
                .into(),
        );
        for (name, value) in USER {
            properties.push(UserProperty::new(name, value).expect("valid").into());
        }
    }
    Publish::builder()
        .topic_name(TOPIC)
        .expect("a topic")
        .qos(Qos::AtLeastOnce)
        .packet_id(PACKET_ID)
        .props(properties)
        .payload(case.payload())
        .build()
        .expect("a valid packet")
}
