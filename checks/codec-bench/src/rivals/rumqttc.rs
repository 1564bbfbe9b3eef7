use std::hint::black_box;

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish, PublishProperties};

use crate::case::{CONTENT_TYPE, CORRELATION, Case, MESSAGE_EXPIRY, PACKET_ID, TOPIC, USER};
use crate::decode::{Decode, read_buffer};
use crate::encode::Encode;

pub struct Rumqttc;

impl Decode for Rumqttc {
    const NAME: &'static str = "rumqttc 0.25.1";
    type Input = BytesMut;

    fn input(stream: &[u8]) -> BytesMut {
        read_buffer(stream)
    }

    fn decode(input: &mut BytesMut) -> usize {
        let mut count = 0;
        while !input.is_empty() {
            black_box(Packet::read(input, None).expect("a valid packet"));
            count += 1;
        }
        count
    }
}

impl Encode for Rumqttc {
    const NAME: &'static str = "rumqttc 0.25.1";
    type Packets = Publish;
    type Output = BytesMut;

    fn packets(case: Case) -> Publish {
        Publish {
            dup: false,
            qos: QoS::AtLeastOnce,
            retain: false,
            topic: TOPIC.into(),
            pkid: PACKET_ID,
            payload: case.payload().into(),
            properties: case.properties.then(|| PublishProperties {
                message_expiry_interval: Some(MESSAGE_EXPIRY),
                content_type: Some(CONTENT_TYPE.to_owned()),
                correlation_data: Some(CORRELATION.into()),
                user_properties: USER
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
                ..PublishProperties::default()
            }),
        }
    }

    fn output() -> BytesMut {
        BytesMut::new()
    }

    fn encode(publish: &mut Publish, count: usize, output: &mut BytesMut) {
        for _ in 0..count {
            black_box(&*publish).write(output).expect("a valid packet");
        }
        black_box(&output);
    }

    fn clear(output: &mut BytesMut) -> usize {
        let length = output.len();
        output.clear();
        length
    }
}
