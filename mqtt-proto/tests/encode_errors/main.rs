//! What can't be sent is an error, never silently dropped; and a failed call leaves the outbox as it was.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[path = "../common/mod.rs"]
mod common;

mod limits;
mod rules;
mod version3;

use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;
use common::{SENDERS, VERSIONS, encode, hex, id};
use mqtt_proto::{
    Ack, Auth, ConnAck, Connect, DecodeError, Disconnect, EncodeError, Encoder, Flow, Outbox,
    Packet, PacketType, Properties, PropertiesBuilder, PropertyError, PropertyId, Publish, QoS,
    ReasonCode, RetainHandling, Sender, SubAck, Subscribe, SubscribeOptions, Text, Topic,
    TopicFilter, UnsubAck, Unsubscribe, VARINT_MAX, Version, Will,
};

const V3: [Version; 2] = [Version::V3_1, Version::V3_1_1];
const ALIAS: NonZeroU16 = NonZeroU16::MIN;

/// Encodes into an outbox that holds something already, and checks that it holds just that afterwards.
#[track_caller]
fn fails(encoder: Encoder, packet: &Packet) -> EncodeError {
    let mut out = Outbox::new();
    let before = filled(&mut out);
    let error = encoder
        .encode(packet, &mut out)
        .expect_err("this can't be sent");
    assert_eq!(
        encoder.encoded_len(packet),
        Err(error),
        "encoded_len tells the same"
    );
    assert_eq!(out.to_vec(), before);
    assert_eq!(out.len(), before.len());
    error
}

#[track_caller]
fn publish_fails(encoder: Encoder, publish: &Publish, alias: Option<NonZeroU16>) -> EncodeError {
    let mut out = Outbox::new();
    let before = filled(&mut out);
    let error = encoder
        .publish(publish, Flow::AtMostOnce, alias, &mut out)
        .expect_err("this can't be sent");
    assert_eq!(
        encoder.publish_len(publish, Flow::AtMostOnce, alias),
        Err(error),
        "publish_len tells the same"
    );
    assert_eq!(out.to_vec(), before);
    error
}

/// A packet whose payload is copied and one whose payload is chained.
fn filled(out: &mut Outbox) -> Vec<u8> {
    let encoder = Encoder::new(Version::V3_1_1, Sender::Client);
    for payload in [3, 10_000] {
        let publish = Publish::new(topic("before"), vec![7; payload]);
        encoder
            .publish(&publish, Flow::AtMostOnce, None, out)
            .unwrap();
    }
    out.to_vec()
}

fn topic(topic: &str) -> Topic {
    Topic::try_from(topic).unwrap()
}

fn properties(build: impl FnOnce(PropertiesBuilder) -> PropertiesBuilder) -> Properties {
    build(Properties::builder()).build().unwrap()
}

fn connect(version: Version) -> Connect {
    Connect {
        version,
        client_id: Text::try_from("c").unwrap(),
        clean_start: true,
        keep_alive: 0,
        will: None,
        user_name: None,
        password: None,
        properties: Properties::new(),
    }
}

fn will() -> Will {
    Will {
        topic: topic("w"),
        payload: Bytes::new(),
        qos: QoS::AtMostOnce,
        retain: false,
        properties: Properties::new(),
    }
}

fn connect_packet(connect: Connect) -> Packet {
    Packet::Connect(Box::new(connect))
}

fn subscribe(filter: &str, options: SubscribeOptions, properties: Properties) -> Packet {
    let filters = vec![(TopicFilter::try_from(filter).unwrap(), options)];
    Packet::Subscribe(Subscribe {
        id: id(7),
        filters,
        properties,
    })
}

/// A packet of each type that has properties, with these; by who sends it.
fn with_properties(version: Version, properties: &Properties) -> Vec<(Sender, Packet)> {
    let p = || properties.clone();
    let ack = || Ack {
        properties: p(),
        ..Ack::new(id(7))
    };
    let codes = vec![ReasonCode::SUCCESS];
    vec![
        (
            Sender::Client,
            connect_packet(Connect {
                properties: p(),
                ..connect(version)
            }),
        ),
        (
            Sender::Client,
            connect_packet(Connect {
                will: Some(Will {
                    properties: p(),
                    ..will()
                }),
                ..connect(version)
            }),
        ),
        (
            Sender::Server,
            Packet::ConnAck(ConnAck {
                properties: p(),
                ..ConnAck::default()
            }),
        ),
        (Sender::Client, Packet::PubAck(ack())),
        (Sender::Server, Packet::PubRec(ack())),
        (Sender::Client, Packet::PubRel(ack())),
        (Sender::Server, Packet::PubComp(ack())),
        (Sender::Client, subscribe("f", QoS::AtMostOnce.into(), p())),
        (
            Sender::Server,
            Packet::SubAck(SubAck {
                id: id(7),
                codes,
                properties: p(),
            }),
        ),
        (
            Sender::Client,
            Packet::Unsubscribe(Unsubscribe {
                id: id(7),
                filters: vec![TopicFilter::try_from("f").unwrap()],
                properties: p(),
            }),
        ),
        (
            Sender::Client,
            Packet::Disconnect(Disconnect {
                properties: p(),
                ..Disconnect::default()
            }),
        ),
    ]
}
