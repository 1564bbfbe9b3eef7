use std::hint::black_box;
use std::num::{NonZeroU16, NonZeroU32};

use bytes::BytesMut;
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v5::{Codec, Packet, PublishProperties};
use tokio_util::codec::{Decoder, Encoder};

use crate::case::{CONTENT_TYPE, CORRELATION, Case, MESSAGE_EXPIRY, PACKET_ID, TOPIC, USER};
use crate::decode::{Decode, read_buffer};
use crate::encode::Encode;

pub struct Rmqtt;

impl Decode for Rmqtt {
    const NAME: &'static str = "rmqtt-codec 0.3.1";
    type Input = BytesMut;

    fn input(stream: &[u8]) -> BytesMut {
        read_buffer(stream)
    }

    fn decode(input: &mut BytesMut) -> usize {
        let mut codec = Codec::new(0, 0);
        let mut count = 0;
        while let Some(packet) = codec.decode(input).expect("a valid packet") {
            black_box(packet);
            count += 1;
        }
        count
    }
}

/// It takes packets by value, in a box.
impl Encode for Rmqtt {
    const NAME: &'static str = "rmqtt-codec 0.3.1";
    type Packets = Vec<Packet>;
    type Output = BytesMut;

    fn packets(case: Case) -> Vec<Packet> {
        let publish = Publish {
            dup: false,
            retain: false,
            qos: QoS::AtLeastOnce,
            topic: TOPIC.into(),
            packet_id: NonZeroU16::new(PACKET_ID),
            payload: case.payload().into(),
            properties: case.properties.then(|| PublishProperties {
                message_expiry_interval: NonZeroU32::new(MESSAGE_EXPIRY),
                content_type: Some(CONTENT_TYPE.into()),
                correlation_data: Some(CORRELATION.into()),
                user_properties: USER.map(|(name, value)| (name.into(), value.into())).into(),
                ..PublishProperties::default()
            }),
        };
        (0..case.packets())
            .map(|_| Packet::Publish(Box::new(publish.clone())))
            .collect()
    }

    fn output() -> BytesMut {
        BytesMut::new()
    }

    fn encode(packets: &mut Vec<Packet>, count: usize, output: &mut BytesMut) {
        let mut codec = Codec::new(0, 0);
        for packet in packets.drain(..count) {
            codec
                .encode(black_box(packet), output)
                .expect("a valid packet");
        }
        black_box(&output);
    }

    fn clear(output: &mut BytesMut) -> usize {
        let length = output.len();
        output.clear();
        length
    }
}
