//! Our codec, translated like the others.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::{Bytes, BytesMut};
use mqtt_proto::{
    Ack as OurAck, Auth, ConnAck, Connect as OurConnect, Decoder, Disconnect, Encoder, Flow,
    Outbox, Packet as OurPacket, PacketId, Properties as OurProperties, PropertiesBuilder,
    PropertiesRef, PropertyValue, Publish as OurPublish, QoS, ReasonCode, RetainHandling, SubAck,
    Subscribe, SubscribeOptions, Text, Topic, TopicFilter, UnsubAck, Unsubscribe, Will as OurWill,
};

use crate::model::*;

pub fn encode(version: Version, sender: Sender, packet: &Packet) -> Vec<u8> {
    let encoder = Encoder::new(to_version(version), to_sender(sender));
    let mut outbox = Outbox::new();
    let len = match packet {
        Packet::Publish(publish) => encode_publish(&encoder, publish, &mut outbox),
        other => {
            let packet = to(version, other);
            let len = encoder
                .encode(&packet, &mut outbox)
                .expect("a packet that keeps the rules");
            assert_eq!(encoder.encoded_len(&packet), Ok(len));
            len
        }
    };
    assert_eq!(outbox.len(), len, "the length that the encoder told");
    outbox.to_vec()
}

/// Decodes exactly one packet.
pub fn decode(version: Version, sender: Sender, bytes: &[u8]) -> Result<Packet, String> {
    let mut input = BytesMut::from(bytes);
    let decoder = Decoder::new(to_version(version), to_sender(sender));
    let packet = decoder
        .decode(&mut input)
        .map_err(|e| e.to_string())?
        .ok_or("incomplete")?;
    assert!(input.is_empty(), "bytes are left");
    Ok(from(version, packet))
}

fn encode_publish(encoder: &Encoder, publish: &Publish, outbox: &mut Outbox) -> usize {
    let alias = publish
        .properties
        .get::<u16>(id::TOPIC_ALIAS)
        .and_then(NonZeroU16::new);
    let mut properties = publish.properties.clone();
    properties.remove(id::TOPIC_ALIAS);
    let flow = match (publish.qos, publish.id.and_then(PacketId::new)) {
        (1, Some(id)) => Flow::AtLeastOnce {
            id,
            dup: publish.dup,
        },
        (2, Some(id)) => Flow::ExactlyOnce {
            id,
            dup: publish.dup,
        },
        _ => Flow::AtMostOnce,
    };
    // Where the alias stands for the topic, our own type still has one.
    let topic = if publish.topic.is_empty() {
        "known/to/both"
    } else {
        &publish.topic
    };
    let message = OurPublish::new(to_topic(topic), publish.payload.clone())
        .with_retain(publish.retain)
        .with_properties(to_properties(&properties));
    let written = match alias {
        Some(alias) if publish.topic.is_empty() => {
            encoder.publish_by_alias(&message, flow, alias, outbox)
        }
        alias => {
            let written = encoder.publish(&message, flow, alias, outbox);
            assert_eq!(encoder.publish_len(&message, flow, alias), written);
            written
        }
    };
    written.expect("a PUBLISH that keeps the rules")
}

fn to(version: Version, packet: &Packet) -> OurPacket {
    match packet {
        Packet::Connect(connect) => OurPacket::Connect(Box::new(to_connect(version, connect))),
        Packet::ConnAck {
            session_present,
            code,
            properties,
        } => OurPacket::ConnAck(ConnAck {
            session_present: *session_present,
            reason: match version {
                Version::V3_1_1 => RETURN_CODES[usize::from(*code)],
                Version::V5 => ReasonCode(*code),
            },
            properties: to_properties(properties),
        }),
        Packet::Publish(_) => unreachable!("has a way of its own"),
        Packet::Ack(ack) => {
            let ours = OurAck {
                id: packet_id(ack.id),
                reason: ReasonCode(ack.code),
                properties: to_properties(&ack.properties),
            };
            match ack.kind {
                Kind::PubAck => OurPacket::PubAck(ours),
                Kind::PubRec => OurPacket::PubRec(ours),
                Kind::PubRel => OurPacket::PubRel(ours),
                _ => OurPacket::PubComp(ours),
            }
        }
        Packet::Subscribe {
            id,
            filters,
            properties,
        } => OurPacket::Subscribe(Subscribe {
            id: packet_id(*id),
            filters: filters
                .iter()
                .map(|f| (to_filter(&f.filter), to_options(f)))
                .collect(),
            properties: to_properties(properties),
        }),
        Packet::SubAck {
            id,
            codes,
            properties,
        } => OurPacket::SubAck(SubAck {
            id: packet_id(*id),
            codes: codes.iter().copied().map(ReasonCode).collect(),
            properties: to_properties(properties),
        }),
        Packet::Unsubscribe {
            id,
            filters,
            properties,
        } => OurPacket::Unsubscribe(Unsubscribe {
            id: packet_id(*id),
            filters: filters.iter().map(|f| to_filter(f)).collect(),
            properties: to_properties(properties),
        }),
        Packet::UnsubAck {
            id,
            codes,
            properties,
        } => OurPacket::UnsubAck(UnsubAck {
            id: packet_id(*id),
            codes: codes.iter().copied().map(ReasonCode).collect(),
            properties: to_properties(properties),
        }),
        Packet::PingReq => OurPacket::PingReq,
        Packet::PingResp => OurPacket::PingResp,
        Packet::Disconnect { code, properties } => OurPacket::Disconnect(Disconnect {
            reason: ReasonCode(*code),
            properties: to_properties(properties),
        }),
        Packet::Auth { code, properties } => OurPacket::Auth(Auth {
            reason: ReasonCode(*code),
            properties: to_properties(properties),
        }),
    }
}

fn to_connect(version: Version, connect: &Connect) -> OurConnect {
    OurConnect {
        version: to_version(version),
        client_id: to_text(&connect.client_id),
        clean_start: connect.clean_start,
        keep_alive: connect.keep_alive,
        will: connect.will.as_ref().map(|will| OurWill {
            topic: to_topic(&will.topic),
            payload: Bytes::from(will.payload.clone()),
            qos: qos(will.qos),
            retain: will.retain,
            properties: to_properties(&will.properties),
        }),
        user_name: connect.user_name.as_deref().map(to_text),
        password: connect.password.clone().map(Bytes::from),
        properties: to_properties(&connect.properties),
    }
}

fn to_options(filter: &Filter) -> SubscribeOptions {
    SubscribeOptions {
        qos: qos(filter.qos),
        no_local: filter.no_local,
        retain_as_published: filter.retain_as_published,
        retain_handling: match filter.retain_handling {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            _ => RetainHandling::DoNotSend,
        },
    }
}

fn to_properties(properties: &Properties) -> OurProperties {
    let mut builder = OurProperties::builder();
    for (id, value) in properties.iter() {
        builder = to_property(builder, id, value.clone());
    }
    for id in &properties.subscription_ids {
        builder = builder.subscription_identifier(*id);
    }
    for (name, value) in &properties.user {
        builder = builder.user_property(name, value);
    }
    builder.build().expect("properties that keep the rules")
}

fn to_property(builder: PropertiesBuilder, id: u8, value: Value) -> PropertiesBuilder {
    let flag = |value: Value| u8::from(value) == 1;
    let two = |value: Value| NonZeroU16::new(value.into()).expect("never zero");
    match id {
        id::PAYLOAD_FORMAT_INDICATOR => builder.payload_format_indicator(flag(value)),
        id::MESSAGE_EXPIRY_INTERVAL => builder.message_expiry_interval(value.into()),
        id::CONTENT_TYPE => builder.content_type(&String::from(value)),
        id::RESPONSE_TOPIC => builder.response_topic(&String::from(value)),
        id::CORRELATION_DATA => builder.correlation_data(Vec::<u8>::from(value)),
        id::SESSION_EXPIRY_INTERVAL => builder.session_expiry_interval(value.into()),
        id::ASSIGNED_CLIENT_IDENTIFIER => builder.assigned_client_identifier(&String::from(value)),
        id::SERVER_KEEP_ALIVE => builder.server_keep_alive(value.into()),
        id::AUTHENTICATION_METHOD => builder.authentication_method(&String::from(value)),
        id::AUTHENTICATION_DATA => builder.authentication_data(Vec::<u8>::from(value)),
        id::REQUEST_PROBLEM_INFORMATION => builder.request_problem_information(flag(value)),
        id::WILL_DELAY_INTERVAL => builder.will_delay_interval(value.into()),
        id::REQUEST_RESPONSE_INFORMATION => builder.request_response_information(flag(value)),
        id::RESPONSE_INFORMATION => builder.response_information(&String::from(value)),
        id::SERVER_REFERENCE => builder.server_reference(&String::from(value)),
        id::REASON_STRING => builder.reason_string(&String::from(value)),
        id::RECEIVE_MAXIMUM => builder.receive_maximum(two(value)),
        id::TOPIC_ALIAS_MAXIMUM => builder.topic_alias_maximum(value.into()),
        id::TOPIC_ALIAS => builder.topic_alias(two(value)),
        id::MAXIMUM_QOS => builder.maximum_qos(flag(value)),
        id::RETAIN_AVAILABLE => builder.retain_available(flag(value)),
        id::MAXIMUM_PACKET_SIZE => {
            builder.maximum_packet_size(NonZeroU32::new(value.into()).expect("never zero"))
        }
        id::WILDCARD_SUBSCRIPTION_AVAILABLE => builder.wildcard_subscription_available(flag(value)),
        id::SUBSCRIPTION_IDENTIFIER_AVAILABLE => {
            builder.subscription_identifier_available(flag(value))
        }
        id::SHARED_SUBSCRIPTION_AVAILABLE => builder.shared_subscription_available(flag(value)),
        _ => unreachable!("no property has the identifier {id:#04x}"),
    }
}

fn from(version: Version, packet: OurPacket) -> Packet {
    let ack = |kind, ack: OurAck| {
        let properties = from_properties(ack.properties.view());
        Packet::Ack(Ack {
            kind,
            id: ack.id.get(),
            code: ack.reason.0,
            properties,
        })
    };
    match packet {
        OurPacket::Connect(connect) => {
            assert_eq!(connect.version, to_version(version));
            Packet::Connect(from_connect(&connect))
        }
        OurPacket::ConnAck(connack) => Packet::ConnAck {
            session_present: connack.session_present,
            code: match version {
                Version::V3_1_1 => {
                    let code = RETURN_CODES.iter().position(|code| *code == connack.reason);
                    code.expect("a return code of 3.1.1") as u8
                }
                Version::V5 => connack.reason.0,
            },
            properties: from_properties(connack.properties.view()),
        },
        OurPacket::Publish(publish) => Packet::Publish(Publish {
            dup: publish.dup(),
            qos: publish.qos().as_u8(),
            retain: publish.retain(),
            topic: publish.topic().as_str().to_owned(),
            id: publish.packet_id().map(PacketId::get),
            payload: publish.payload().to_vec(),
            properties: from_properties(publish.properties()),
        }),
        OurPacket::PubAck(ours) => ack(Kind::PubAck, ours),
        OurPacket::PubRec(ours) => ack(Kind::PubRec, ours),
        OurPacket::PubRel(ours) => ack(Kind::PubRel, ours),
        OurPacket::PubComp(ours) => ack(Kind::PubComp, ours),
        OurPacket::Subscribe(subscribe) => {
            let filters = subscribe.filters.iter().map(|(filter, options)| Filter {
                filter: filter.as_str().to_owned(),
                qos: options.qos.as_u8(),
                no_local: options.no_local,
                retain_as_published: options.retain_as_published,
                retain_handling: options.retain_handling as u8,
            });
            let properties = from_properties(subscribe.properties.view());
            Packet::Subscribe {
                id: subscribe.id.get(),
                filters: filters.collect(),
                properties,
            }
        }
        OurPacket::SubAck(suback) => Packet::SubAck {
            id: suback.id.get(),
            codes: suback.codes.iter().map(|code| code.0).collect(),
            properties: from_properties(suback.properties.view()),
        },
        OurPacket::Unsubscribe(unsubscribe) => Packet::Unsubscribe {
            id: unsubscribe.id.get(),
            filters: unsubscribe
                .filters
                .iter()
                .map(|f| f.as_str().to_owned())
                .collect(),
            properties: from_properties(unsubscribe.properties.view()),
        },
        OurPacket::UnsubAck(unsuback) => Packet::UnsubAck {
            id: unsuback.id.get(),
            codes: unsuback.codes.iter().map(|code| code.0).collect(),
            properties: from_properties(unsuback.properties.view()),
        },
        OurPacket::PingReq => Packet::PingReq,
        OurPacket::PingResp => Packet::PingResp,
        OurPacket::Disconnect(disconnect) => Packet::Disconnect {
            code: disconnect.reason.0,
            properties: from_properties(disconnect.properties.view()),
        },
        OurPacket::Auth(auth) => Packet::Auth {
            code: auth.reason.0,
            properties: from_properties(auth.properties.view()),
        },
    }
}

fn from_connect(connect: &OurConnect) -> Connect {
    Connect {
        clean_start: connect.clean_start,
        keep_alive: connect.keep_alive,
        client_id: connect.client_id.as_str().to_owned(),
        will: connect.will.as_ref().map(|will| Will {
            topic: will.topic.as_str().to_owned(),
            payload: will.payload.to_vec(),
            qos: will.qos.as_u8(),
            retain: will.retain,
            properties: from_properties(will.properties.view()),
        }),
        user_name: connect.user_name.as_ref().map(|s| s.as_str().to_owned()),
        password: connect.password.as_ref().map(|b| b.to_vec()),
        properties: from_properties(connect.properties.view()),
    }
}

fn from_properties(ours: PropertiesRef<'_>) -> Properties {
    let mut properties = Properties::default();
    for (id, value) in ours {
        match value {
            PropertyValue::Byte(value) => properties.set(id.get(), Some(value)),
            PropertyValue::TwoByte(value) => properties.set(id.get(), Some(value)),
            PropertyValue::FourByte(value) => properties.set(id.get(), Some(value)),
            PropertyValue::VarInt(value) => properties.subscription_ids.push(value),
            PropertyValue::Text(value) => properties.set(id.get(), Some(value.to_owned())),
            PropertyValue::Binary(value) => properties.set(id.get(), Some(value.to_vec())),
            PropertyValue::Pair(name, value) => {
                properties.user.push((name.to_owned(), value.to_owned()))
            }
            other => panic!("a property of an unknown type: {other:?}"),
        }
        assert!(ours.has(id));
    }
    properties
}

/// The return codes of CONNACK in 3.1.1 (section 3.2.2.3), in the order of their numbers.
const RETURN_CODES: [ReasonCode; 6] = [
    ReasonCode::SUCCESS,
    ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
    ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
    ReasonCode::SERVER_UNAVAILABLE,
    ReasonCode::BAD_USER_NAME_OR_PASSWORD,
    ReasonCode::NOT_AUTHORIZED,
];

fn to_version(version: Version) -> mqtt_proto::Version {
    match version {
        Version::V3_1_1 => mqtt_proto::Version::V3_1_1,
        Version::V5 => mqtt_proto::Version::V5,
    }
}

fn to_sender(sender: Sender) -> mqtt_proto::Sender {
    match sender {
        Sender::Client => mqtt_proto::Sender::Client,
        Sender::Server => mqtt_proto::Sender::Server,
    }
}

fn to_text(text: &str) -> Text {
    Text::try_from(text).expect("a string that keeps the rules")
}

fn to_topic(topic: &str) -> Topic {
    Topic::try_from(topic).expect("a topic that keeps the rules")
}

fn to_filter(filter: &str) -> TopicFilter {
    TopicFilter::try_from(filter).expect("a filter that keeps the rules")
}

fn packet_id(id: u16) -> PacketId {
    PacketId::new(id).expect("never zero")
}

fn qos(qos: u8) -> QoS {
    QoS::from_u8(qos).expect("0, 1 or 2")
}
