//! Arbitrary packets that can be sent.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;
use mqtt_proto::{
    Ack, Auth, ConnAck, Connect, Disconnect, Flow, Packet, PacketId, Properties, PropertyId,
    Publish, QoS, ReasonCode, RetainHandling, Sender, SubAck, Subscribe, SubscribeOptions, Text,
    Topic, TopicFilter, UnsubAck, Unsubscribe, Version, Will,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::common::packets::Place;
use crate::common::tables::{PROPERTIES, reason_codes};
use crate::common::{SENDERS, VERSIONS};
use crate::message::{Alias, Message, Side};

pub(crate) fn side() -> impl Strategy<Value = Side> {
    (select(&VERSIONS[..]), select(&SENDERS[..]))
}

/// A side and some packets that it may send.
pub(crate) fn messages(
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = (Side, Vec<Message>)> {
    side().prop_flat_map(move |side| (Just(side), vec(message(side), count.clone())))
}

pub(crate) fn message(side: Side) -> BoxedStrategy<Message> {
    let (version, sender) = side;
    let mut kinds = vec![publish(side), acks(side).prop_map(Message::Packet).boxed()];
    let own = match sender {
        Sender::Client => client_packets(version),
        Sender::Server => server_packets(version),
    };
    kinds.extend(
        own.into_iter()
            .map(|packet| packet.prop_map(Message::Packet).boxed()),
    );
    if version == Version::V5 {
        kinds.push(auth(sender).prop_map(Message::Packet).boxed());
    }
    prop::strategy::Union::new(kinds).boxed()
}

fn client_packets(version: Version) -> Vec<BoxedStrategy<Packet>> {
    vec![
        connect(version)
            .prop_map(|connect| Packet::Connect(Box::new(connect)))
            .boxed(),
        subscribe(version).prop_map(Packet::Subscribe).boxed(),
        unsubscribe(version).prop_map(Packet::Unsubscribe).boxed(),
        Just(Packet::PingReq).boxed(),
        disconnect((version, Sender::Client)),
    ]
}

fn server_packets(version: Version) -> Vec<BoxedStrategy<Packet>> {
    let side = (version, Sender::Server);
    let mut packets = vec![
        connack(version).prop_map(Packet::ConnAck).boxed(),
        suback(version).prop_map(Packet::SubAck).boxed(),
        unsuback(version).prop_map(Packet::UnsubAck).boxed(),
        Just(Packet::PingResp).boxed(),
    ];
    if version == Version::V5 {
        packets.push(disconnect(side));
    }
    packets
}

fn chars(len: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let char = prop_oneof![4 => (b' '..=b'~').prop_map(char::from), 1 => any::<char>()];
    vec(
        char.prop_map(|c| if c == '\0' { '\u{FEFF}' } else { c }),
        len,
    )
    .prop_map(String::from_iter)
}

fn text(len: std::ops::Range<usize>) -> impl Strategy<Value = Text> {
    chars(len).prop_map(|text| Text::try_from(text).unwrap())
}

fn topic_name() -> impl Strategy<Value = String> {
    chars(1..16).prop_map(|name| name.replace(['+', '#'], "/"))
}

fn topic() -> impl Strategy<Value = Topic> {
    topic_name().prop_map(|name| Topic::try_from(name).unwrap())
}

fn filter() -> impl Strategy<Value = TopicFilter> {
    let levels = vec(prop_oneof![Just("+".to_owned()), topic_name()], 1..4);
    (levels, any::<bool>(), any::<bool>()).prop_map(|(mut levels, multi, shared)| {
        if multi {
            levels.push("#".to_owned());
        }
        let pattern = levels.join("/");
        // What looks like the prefix by chance may be no valid share.
        let filter = if shared {
            format!("$share/group/{pattern}")
        } else {
            pattern
        };
        TopicFilter::try_from(filter).unwrap_or_else(|_| TopicFilter::try_from("a/+").unwrap())
    })
}

fn binary(len: std::ops::Range<usize>) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), len).prop_map(Bytes::from)
}

fn id() -> impl Strategy<Value = PacketId> {
    any::<NonZeroU16>().prop_map(PacketId::from)
}

fn qos() -> impl Strategy<Value = QoS> {
    (0..3_u8).prop_map(|qos| QoS::from_u8(qos).unwrap())
}

/// A value for a property of each type.
fn values() -> impl Strategy<Value = Values> {
    let numbers = (
        any::<bool>(),
        any::<NonZeroU16>(),
        any::<NonZeroU32>(),
        1..=268_435_455_u32,
    );
    (
        numbers,
        chars(0..8),
        topic_name(),
        vec(any::<u8>(), 0..8),
        chars(0..4),
    )
        .prop_map(
            |((bool, u16, u32, varint), text, topic, binary, name)| Values {
                bool,
                u16,
                u32,
                varint,
                text,
                topic,
                binary,
                name,
            },
        )
}

#[derive(Clone, Debug)]
struct Values {
    bool: bool,
    u16: NonZeroU16,
    u32: NonZeroU32,
    varint: u32,
    text: String,
    topic: String,
    binary: Vec<u8>,
    name: String,
}

/// Properties that may stand there, in any order, some more than once where they may.
fn properties(place: Place, (version, sender): Side) -> BoxedStrategy<Properties> {
    if version != Version::V5 {
        return Just(Properties::new()).boxed();
    }
    let rows: Vec<_> = PROPERTIES
        .iter()
        .filter(|row| row.allowed(place, sender) && row.id != TOPIC_ALIAS)
        .collect();
    let repeated: Vec<_> = rows
        .iter()
        .copied()
        .filter(|row| row.repeats(place))
        .collect();
    let most = rows.len().min(5);
    let chosen = (subsequence(rows, 0..=most), vec(select(repeated), 0..3))
        .prop_map(|(once, more)| [once, more].concat());
    chosen
        .prop_shuffle()
        .prop_flat_map(|rows| {
            vec(values(), rows.len()).prop_map(move |values| (rows.clone(), values))
        })
        .prop_map(move |(rows, values)| {
            let ids = rows.iter().map(|row| row.id);
            let built = ids
                .zip(values)
                .fold(Properties::builder(), |builder, (id, value)| {
                    set(builder, id, &value)
                });
            let properties = built.build().unwrap();
            let view = properties.view();
            let lonely = view.has(PropertyId::AUTHENTICATION_DATA)
                && !view.has(PropertyId::AUTHENTICATION_METHOD);
            if lonely {
                Properties::builder()
                    .extend(view)
                    .authentication_method("m")
                    .build()
                    .unwrap()
            } else {
                properties
            }
        })
        .boxed()
}

/// The alias belongs to a delivery, which [`Alias`] stands for.
const TOPIC_ALIAS: u8 = 0x23;

fn set(b: mqtt_proto::PropertiesBuilder, id: u8, v: &Values) -> mqtt_proto::PropertiesBuilder {
    match id {
        0x01 => b.payload_format_indicator(v.bool),
        0x02 => b.message_expiry_interval(v.u32.get()),
        0x03 => b.content_type(&v.text),
        0x08 => b.response_topic(&v.topic),
        0x09 => b.correlation_data(&v.binary),
        0x0B => b.subscription_identifier(v.varint),
        0x11 => b.session_expiry_interval(v.u32.get()),
        0x12 => b.assigned_client_identifier(&v.text),
        0x13 => b.server_keep_alive(v.u16.get()),
        0x15 => b.authentication_method(&v.text),
        0x16 => b.authentication_data(&v.binary),
        0x17 => b.request_problem_information(v.bool),
        0x18 => b.will_delay_interval(v.u32.get()),
        0x19 => b.request_response_information(v.bool),
        0x1A => b.response_information(&v.text),
        0x1C => b.server_reference(&v.text),
        0x1F => b.reason_string(&v.text),
        0x21 => b.receive_maximum(v.u16),
        0x22 => b.topic_alias_maximum(v.u16.get()),
        0x24 => b.maximum_qos(v.bool),
        0x25 => b.retain_available(v.bool),
        0x26 => b.user_property(&v.name, &v.text),
        0x27 => b.maximum_packet_size(v.u32),
        0x28 => b.wildcard_subscription_available(v.bool),
        0x29 => b.subscription_identifier_available(v.bool),
        0x2A => b.shared_subscription_available(v.bool),
        other => panic!("no setter for {other:#04X}"),
    }
}

fn code(packet: u8, (version, sender): Side) -> impl Strategy<Value = ReasonCode> {
    let codes = match (packet, version) {
        (_, Version::V5) => reason_codes(packet, sender).unwrap(),
        (2, _) => &[0, 0x84, 0x85, 0x86, 0x87, 0x88],
        (9, _) => &[0, 1, 2, 0x80],
        _ => &[0],
    };
    select(codes).prop_map(ReasonCode)
}

fn connect(version: Version) -> impl Strategy<Value = Connect> {
    let side = (version, Sender::Client);
    let shortest = usize::from(version == Version::V3_1);
    let will = (
        topic(),
        binary(0..20),
        qos(),
        any::<bool>(),
        properties(Place::Will, side),
    )
        .prop_map(|(topic, payload, qos, retain, properties)| Will {
            topic,
            payload,
            qos,
            retain,
            properties,
        });
    let start = (text(shortest..24), any::<bool>(), any::<u16>());
    let login = (prop::option::of(text(0..8)), prop::option::of(binary(0..8)));
    (
        start,
        prop::option::of(will),
        login,
        properties(Place::Packet(1), side),
    )
        .prop_map(
            move |((client_id, clean, keep_alive), will, (user_name, password), properties)| {
                Connect {
                    version,
                    clean_start: clean || (client_id.is_empty() && version == Version::V3_1_1),
                    client_id,
                    keep_alive,
                    will,
                    password: password.filter(|_| version == Version::V5 || user_name.is_some()),
                    user_name,
                    properties,
                }
            },
        )
}

fn connack(version: Version) -> impl Strategy<Value = ConnAck> {
    let side = (version, Sender::Server);
    (
        any::<bool>(),
        code(2, side),
        properties(Place::Packet(2), side),
    )
        .prop_map(move |(present, reason, properties)| ConnAck {
            session_present: present && reason == ReasonCode::SUCCESS && version != Version::V3_1,
            reason,
            properties,
        })
}

fn publish(side: Side) -> BoxedStrategy<Message> {
    let len = prop_oneof![6 => 0..100_usize, 1 => 4_090..4_100_usize, 1 => 16_370..16_390_usize];
    let payload = (any::<u8>(), len).prop_map(|(first, len)| {
        (0..len)
            .map(|n| first.wrapping_add(n as u8))
            .collect::<Vec<_>>()
    });
    let flow = (qos(), id(), any::<bool>()).prop_map(|(qos, id, dup)| match qos {
        QoS::AtMostOnce => Flow::AtMostOnce,
        QoS::AtLeastOnce => Flow::AtLeastOnce { id, dup },
        QoS::ExactlyOnce => Flow::ExactlyOnce { id, dup },
    });
    let alias = if side.0 == Version::V5 {
        let some = any::<NonZeroU16>();
        prop_oneof![
            Just(Alias::None),
            some.clone().prop_map(Alias::BesideTopic),
            some.prop_map(Alias::InsteadOfTopic)
        ]
        .boxed()
    } else {
        Just(Alias::None).boxed()
    };
    (
        topic(),
        payload,
        any::<bool>(),
        properties(Place::Packet(3), side),
        flow,
        alias,
    )
        .prop_map(
            |(topic, payload, retain, properties, flow, alias)| Message::Publish {
                publish: Publish::new(topic, payload)
                    .with_retain(retain)
                    .with_properties(properties),
                flow,
                alias,
            },
        )
        .boxed()
}

fn acks(side: Side) -> impl Strategy<Value = Packet> {
    (4..8_u8).prop_flat_map(move |packet| {
        (
            id(),
            code(packet, side),
            properties(Place::Packet(packet), side),
        )
            .prop_map(move |(id, reason, properties)| {
                let ack = Ack {
                    id,
                    reason,
                    properties,
                };
                match packet {
                    4 => Packet::PubAck(ack),
                    5 => Packet::PubRec(ack),
                    6 => Packet::PubRel(ack),
                    _ => Packet::PubComp(ack),
                }
            })
    })
}

fn subscribe(version: Version) -> impl Strategy<Value = Subscribe> {
    let options = (qos(), any::<bool>(), any::<bool>(), 0..3_usize).prop_map(
        move |(qos, no_local, retain, handling)| {
            if version != Version::V5 {
                return SubscribeOptions::new(qos);
            }
            let all = [
                RetainHandling::Send,
                RetainHandling::SendIfNew,
                RetainHandling::DoNotSend,
            ];
            SubscribeOptions {
                qos,
                no_local,
                retain_as_published: retain,
                retain_handling: all[handling],
            }
        },
    );
    let pair = (filter(), options).prop_map(|(filter, options)| {
        let no_local = options.no_local && filter.share_name().is_none();
        (
            filter,
            SubscribeOptions {
                no_local,
                ..options
            },
        )
    });
    (
        id(),
        vec(pair, 1..4),
        properties(Place::Packet(8), (version, Sender::Client)),
    )
        .prop_map(|(id, filters, properties)| Subscribe {
            id,
            filters,
            properties,
        })
}

fn suback(version: Version) -> impl Strategy<Value = SubAck> {
    let side = (version, Sender::Server);
    (
        id(),
        vec(code(9, side), 1..5),
        properties(Place::Packet(9), side),
    )
        .prop_map(|(id, codes, properties)| SubAck {
            id,
            codes,
            properties,
        })
}

fn unsubscribe(version: Version) -> impl Strategy<Value = Unsubscribe> {
    (
        id(),
        vec(filter(), 1..4),
        properties(Place::Packet(10), (version, Sender::Client)),
    )
        .prop_map(|(id, filters, properties)| Unsubscribe {
            id,
            filters,
            properties,
        })
}

fn unsuback(version: Version) -> impl Strategy<Value = UnsubAck> {
    let side = (version, Sender::Server);
    let count = if version == Version::V5 { 1..5 } else { 0..1 };
    (
        id(),
        vec(code(11, side), count),
        properties(Place::Packet(11), side),
    )
        .prop_map(|(id, codes, properties)| UnsubAck {
            id,
            codes,
            properties,
        })
}

fn disconnect(side: Side) -> BoxedStrategy<Packet> {
    (code(14, side), properties(Place::Packet(14), side))
        .prop_map(|(reason, properties)| Packet::Disconnect(Disconnect { reason, properties }))
        .boxed()
}

fn auth(sender: Sender) -> impl Strategy<Value = Packet> {
    let side = (Version::V5, sender);
    (code(15, side), properties(Place::Packet(15), side)).prop_map(|(reason, properties)| {
        let view = properties.view();
        let enough = view.has(PropertyId::AUTHENTICATION_METHOD)
            || (reason == ReasonCode::SUCCESS && view.is_empty());
        let properties = if enough {
            properties
        } else {
            Properties::builder()
                .extend(view)
                .authentication_method("m")
                .build()
                .unwrap()
        };
        Packet::Auth(Auth { reason, properties })
    })
}
