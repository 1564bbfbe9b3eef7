use std::hint::black_box;
use std::num::{NonZeroU16, NonZeroU32};

use ntex_bytes::{BytePageSize, BytePages, Bytes, BytesMut};
use ntex_codec::{Decoder, Encoder};
use ntex_mqtt::QoS;
use ntex_mqtt::v5::codec::{Codec, Encoded, Publish, PublishProperties};

use crate::case::{CONTENT_TYPE, CORRELATION, Case, MESSAGE_EXPIRY, PACKET_ID, TOPIC, USER};
use crate::decode::Decode;
use crate::encode::Encode;

pub struct Ntex;

impl Decode for Ntex {
    const NAME: &'static str = "ntex-mqtt 9.0.0";
    type Input = BytesMut;

    fn input(stream: &[u8]) -> BytesMut {
        let mut buffer = BytesMut::with_capacity(stream.len() + 4096);
        buffer.extend_from_slice(stream);
        buffer
    }

    fn decode(input: &mut BytesMut) -> usize {
        let codec = Codec::new();
        let mut count = 0;
        while let Some(packet) = codec.decode(input).expect("a valid packet") {
            black_box(packet);
            count += 1;
        }
        count
    }
}

/// It takes packets by value, and chains the payload.
impl Encode for Ntex {
    const NAME: &'static str = "ntex-mqtt 9.0.0";
    type Packets = Vec<Encoded>;
    type Output = BytePages;

    fn packets(case: Case) -> Vec<Encoded> {
        let payload = Bytes::from(case.payload());
        let mut publish = Publish {
            dup: false,
            retain: false,
            qos: QoS::AtLeastOnce,
            packet_id: NonZeroU16::new(PACKET_ID),
            topic: TOPIC.into(),
            payload_size: case.payload as u32,
            properties: PublishProperties::default(),
        };
        if case.properties {
            publish.properties = PublishProperties {
                message_expiry_interval: NonZeroU32::new(MESSAGE_EXPIRY),
                content_type: Some(CONTENT_TYPE.into()),
                correlation_data: Some(Bytes::copy_from_slice(CORRELATION)),
                user_properties: USER.map(|(name, value)| (name.into(), value.into())).into(),
                ..PublishProperties::default()
            };
        }
        (0..case.packets())
            .map(|_| Encoded::Publish(publish.clone(), Some(payload.clone())))
            .collect()
    }

    fn output() -> BytePages {
        BytePages::new(BytePageSize::default())
    }

    fn encode(packets: &mut Vec<Encoded>, count: usize, output: &mut BytePages) {
        let codec = Codec::new();
        for packet in packets.drain(..count) {
            codec
                .encodev(black_box(packet), output)
                .expect("a valid packet");
        }
        black_box(&output);
    }

    fn clear(output: &mut BytePages) -> usize {
        let length = output.len();
        output.clear();
        length
    }
}
