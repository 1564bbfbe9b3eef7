use std::hint::black_box;

use bytes::BytesMut;
use mqttbytes::QoS;
use mqttbytes::v5::{Publish, PublishProperties, read};

use crate::case::{CONTENT_TYPE, CORRELATION, Case, MESSAGE_EXPIRY, PACKET_ID, TOPIC, USER};
use crate::decode::{Decode, read_buffer};
use crate::encode::Encode;

pub struct Mqttbytes;

impl Decode for Mqttbytes {
    const NAME: &'static str = "mqttbytes 0.6.0";
    type Input = BytesMut;

    fn input(stream: &[u8]) -> BytesMut {
        read_buffer(stream)
    }

    fn decode(input: &mut BytesMut) -> usize {
        let mut count = 0;
        while !input.is_empty() {
            black_box(read(input, usize::MAX).expect("a valid packet"));
            count += 1;
        }
        count
    }
}

impl Encode for Mqttbytes {
    const NAME: &'static str = "mqttbytes 0.6.0";
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
                payload_format_indicator: None,
                topic_alias: None,
                response_topic: None,
                subscription_identifiers: Vec::new(),
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
