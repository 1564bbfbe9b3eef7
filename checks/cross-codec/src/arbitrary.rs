//! Arbitrary packets that keep every rule of the specification, and nothing beyond it.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::model::*;

/// A packet of one of these kinds, with the side that sends it.
pub fn packet(version: Version, kinds: Vec<Kind>) -> impl Strategy<Value = (Sender, Packet)> {
    (
        proptest::sample::select(kinds),
        prop_oneof![Just(Sender::Client), Just(Sender::Server)],
    )
        .prop_flat_map(move |(kind, side)| {
            let sender = sender(version, kind, side);
            (Just(sender), body(version, kind, sender))
        })
}

/// The only side that may send this kind, or `side` where both may.
fn sender(version: Version, kind: Kind, side: Sender) -> Sender {
    match kind {
        Kind::Connect | Kind::Subscribe | Kind::Unsubscribe | Kind::PingReq => Sender::Client,
        Kind::ConnAck | Kind::SubAck | Kind::UnsubAck | Kind::PingResp => Sender::Server,
        Kind::Disconnect if version == Version::V3_1_1 => Sender::Client,
        _ => side,
    }
}

fn body(version: Version, kind: Kind, sender: Sender) -> BoxedStrategy<Packet> {
    match kind {
        Kind::Connect => connect(version),
        Kind::ConnAck => connack(version),
        Kind::Publish => publish(version, sender),
        Kind::PubAck | Kind::PubRec | Kind::PubRel | Kind::PubComp => ack(version, kind, sender),
        Kind::Subscribe => subscribe(version),
        Kind::SubAck => suback(version),
        Kind::Unsubscribe => (packet_id(), vec(filter(), 1..5), properties(version, &[]))
            .prop_map(|(id, filters, properties)| Packet::Unsubscribe {
                id,
                filters,
                properties,
            })
            .boxed(),
        Kind::UnsubAck => unsuback(version),
        Kind::PingReq => Just(Packet::PingReq).boxed(),
        Kind::PingResp => Just(Packet::PingResp).boxed(),
        Kind::Disconnect => disconnect(version, sender),
        Kind::Auth => auth(sender),
    }
}

fn connect(version: Version) -> BoxedStrategy<Packet> {
    const IDS: &[u8] = &[
        id::SESSION_EXPIRY_INTERVAL,
        id::AUTHENTICATION_METHOD,
        id::AUTHENTICATION_DATA,
        id::REQUEST_PROBLEM_INFORMATION,
        id::REQUEST_RESPONSE_INFORMATION,
        id::RECEIVE_MAXIMUM,
        id::TOPIC_ALIAS_MAXIMUM,
        id::MAXIMUM_PACKET_SIZE,
    ];
    let credentials = (option::of(text()), option::of(binary()));
    (
        any::<bool>(),
        any::<u16>(),
        text(),
        option::of(will(version)),
        credentials,
        properties(version, IDS),
    )
        .prop_map(
            move |(
                clean_start,
                keep_alive,
                client_id,
                will,
                (user_name, password),
                mut properties,
            )| {
                method_for_data(&mut properties);
                let v3 = version == Version::V3_1_1;
                Packet::Connect(Connect {
                    // 3.1.1 has no empty client identifier with a kept session [MQTT-3.1.3-7]; 5.0 has (section 3.1.3.1).
                    clean_start: clean_start || (v3 && client_id.is_empty()),
                    keep_alive,
                    client_id,
                    will,
                    // In 3.1.1 a password needs a user name [MQTT-3.1.2-22]; not in 5.0 (section 3.1.2.9).
                    password: password.filter(|_| !v3 || user_name.is_some()),
                    user_name,
                    properties,
                })
            },
        )
        .boxed()
}

fn will(version: Version) -> impl Strategy<Value = Will> {
    const IDS: &[u8] = &[
        id::WILL_DELAY_INTERVAL,
        id::PAYLOAD_FORMAT_INDICATOR,
        id::MESSAGE_EXPIRY_INTERVAL,
        id::CONTENT_TYPE,
        id::RESPONSE_TOPIC,
        id::CORRELATION_DATA,
    ];
    (
        topic(),
        binary(),
        0..=2u8,
        any::<bool>(),
        properties(version, IDS),
    )
        .prop_map(|(topic, payload, qos, retain, properties)| Will {
            topic,
            payload: as_indicated(payload, &properties),
            qos,
            retain,
            properties,
        })
}

fn connack(version: Version) -> BoxedStrategy<Packet> {
    const IDS: &[u8] = &[
        id::SESSION_EXPIRY_INTERVAL,
        id::RECEIVE_MAXIMUM,
        id::MAXIMUM_QOS,
        id::RETAIN_AVAILABLE,
        id::MAXIMUM_PACKET_SIZE,
        id::ASSIGNED_CLIENT_IDENTIFIER,
        id::TOPIC_ALIAS_MAXIMUM,
        id::REASON_STRING,
        id::WILDCARD_SUBSCRIPTION_AVAILABLE,
        id::SUBSCRIPTION_IDENTIFIER_AVAILABLE,
        id::SHARED_SUBSCRIPTION_AVAILABLE,
        id::SERVER_KEEP_ALIVE,
        id::RESPONSE_INFORMATION,
        id::SERVER_REFERENCE,
        id::AUTHENTICATION_METHOD,
        id::AUTHENTICATION_DATA,
    ];
    const V3: &[u8] = &[0, 0, 0, 1, 2, 3, 4, 5];
    const V5: &[u8] = &[
        0, 0, 0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90,
        0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
    ];
    (
        any::<bool>(),
        code(version, V3, V5),
        properties(version, IDS),
    )
        .prop_map(|(session_present, code, mut properties)| {
            method_for_data(&mut properties);
            // [MQTT-3.2.2-6]
            Packet::ConnAck {
                session_present: session_present && code == 0,
                code,
                properties,
            }
        })
        .boxed()
}

fn publish(version: Version, sender: Sender) -> BoxedStrategy<Packet> {
    const IDS: &[u8] = &[
        id::PAYLOAD_FORMAT_INDICATOR,
        id::MESSAGE_EXPIRY_INTERVAL,
        id::TOPIC_ALIAS,
        id::RESPONSE_TOPIC,
        id::CORRELATION_DATA,
        id::CONTENT_TYPE,
    ];
    // Only a server sends subscription identifiers [MQTT-3.3.4-6].
    let most = if version == Version::V5 && sender == Sender::Server {
        4
    } else {
        0
    };
    let subscription_ids = vec(subscription_id(), 0..=most);
    let flags = (any::<bool>(), 0..=2u8, any::<bool>(), any::<bool>());
    (
        flags,
        topic(),
        packet_id(),
        payload(),
        properties(version, IDS),
        subscription_ids,
    )
        .prop_map(
            |(
                (dup, qos, retain, by_alias),
                topic,
                id,
                payload,
                mut properties,
                subscription_ids,
            )| {
                properties.subscription_ids = subscription_ids;
                // An alias may stand for the topic (section 3.3.2.3.4).
                let by_alias = by_alias && properties.has(id::TOPIC_ALIAS);
                Packet::Publish(Publish {
                    // [MQTT-3.3.1-2]
                    dup: dup && qos > 0,
                    qos,
                    retain,
                    topic: if by_alias { String::new() } else { topic },
                    id: (qos > 0).then_some(id),
                    payload: as_indicated(payload, &properties),
                    properties,
                })
            },
        )
        .boxed()
}

fn ack(version: Version, kind: Kind, sender: Sender) -> BoxedStrategy<Packet> {
    const FIRST: &[u8] = &[0, 0, 0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
    const SECOND: &[u8] = &[0, 0x92];
    let codes = if matches!(kind, Kind::PubAck | Kind::PubRec) {
        FIRST
    } else {
        SECOND
    };
    (
        packet_id(),
        code(version, &[0], codes),
        properties(version, &[id::REASON_STRING]),
    )
        .prop_map(move |(id, code, properties)| {
            // Only a server knows that nobody subscribes (sections 3.4.2.1 and 3.5.2.1).
            let code = if code == 0x10 && sender == Sender::Client {
                0
            } else {
                code
            };
            Packet::Ack(Ack {
                kind,
                id,
                code,
                properties,
            })
        })
        .boxed()
}

fn subscribe(version: Version) -> BoxedStrategy<Packet> {
    let v5 = version == Version::V5;
    let options = (0..=2u8, any::<bool>(), any::<bool>(), 0..=2u8);
    let filter = (filter(), options).prop_map(
        move |(filter, (qos, no_local, retain_as_published, retain_handling))| {
            Filter {
                qos,
                // [MQTT-3.8.3-4]
                no_local: v5 && no_local && !filter.starts_with("$share/"),
                retain_as_published: v5 && retain_as_published,
                retain_handling: if v5 { retain_handling } else { 0 },
                filter,
            }
        },
    );
    let subscription_id = vec(subscription_id(), 0..=usize::from(v5));
    (
        packet_id(),
        vec(filter, 1..5),
        properties(version, &[]),
        subscription_id,
    )
        .prop_map(|(id, filters, mut properties, subscription_ids)| {
            properties.subscription_ids = subscription_ids;
            Packet::Subscribe {
                id,
                filters,
                properties,
            }
        })
        .boxed()
}

fn suback(version: Version) -> BoxedStrategy<Packet> {
    const V5: &[u8] = &[
        0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2,
    ];
    let codes = vec(code(version, &[0, 1, 2, 0x80], V5), 1..6);
    (
        packet_id(),
        codes,
        properties(version, &[id::REASON_STRING]),
    )
        .prop_map(|(id, codes, properties)| Packet::SubAck {
            id,
            codes,
            properties,
        })
        .boxed()
}

fn unsuback(version: Version) -> BoxedStrategy<Packet> {
    const V5: &[u8] = &[0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];
    let codes = if version == Version::V5 {
        vec(code(version, &[], V5), 1..6).boxed()
    } else {
        Just(Vec::new()).boxed()
    };
    (
        packet_id(),
        codes,
        properties(version, &[id::REASON_STRING]),
    )
        .prop_map(|(id, codes, properties)| Packet::UnsubAck {
            id,
            codes,
            properties,
        })
        .boxed()
}

fn disconnect(version: Version, sender: Sender) -> BoxedStrategy<Packet> {
    // Without 0x8C: table 2-6 of section 2.4 gives it to DISCONNECT, table 3-10 of section 3.14.2.1 does not.
    const CLIENT: &[u8] = &[
        0, 0, 4, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
    ];
    const SERVER: &[u8] = &[
        0, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95,
        0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
    ];
    // The session expiry is the client's to change [MQTT-3.14.2-2]; another server is the server's to name (section 3.14.2.2.5).
    let (codes, ids): (_, &[u8]) = match sender {
        Sender::Client => (CLIENT, &[id::SESSION_EXPIRY_INTERVAL, id::REASON_STRING]),
        Sender::Server => (SERVER, &[id::SERVER_REFERENCE, id::REASON_STRING]),
    };
    (code(version, &[0], codes), properties(version, ids))
        .prop_map(|(code, properties)| Packet::Disconnect { code, properties })
        .boxed()
}

fn auth(sender: Sender) -> BoxedStrategy<Packet> {
    // Who sends which: section 3.15.2.1.
    let codes: &[u8] = match sender {
        Sender::Client => &[0x18, 0x19],
        Sender::Server => &[0, 0x18],
    };
    let ids = &[id::AUTHENTICATION_DATA, id::REASON_STRING];
    (
        code(Version::V5, &[], codes),
        text(),
        properties(Version::V5, ids),
    )
        .prop_map(|(code, method, mut properties)| {
            // Never without a method (section 3.15.2.2.2).
            properties.set(id::AUTHENTICATION_METHOD, Some(method));
            Packet::Auth { code, properties }
        })
        .boxed()
}

fn code(version: Version, v3: &'static [u8], v5: &'static [u8]) -> impl Strategy<Value = u8> {
    proptest::sample::select(if version == Version::V5 { v5 } else { v3 })
}

/// Any subset of these properties, and user properties, which every packet with properties may have.
fn properties(version: Version, ids: &'static [u8]) -> BoxedStrategy<Properties> {
    if version == Version::V3_1_1 {
        return Just(Properties::default()).boxed();
    }
    let single: Vec<_> = ids
        .iter()
        .map(|id| option::weighted(0.3, (Just(*id), value(*id))))
        .collect();
    (single, vec((text(), text()), 0..4))
        .prop_map(|(single, user)| {
            let mut properties = Properties {
                user,
                ..Properties::default()
            };
            for (id, value) in single.into_iter().flatten() {
                properties.set(id, Some(value));
            }
            properties
        })
        .boxed()
}

fn value(id: u8) -> BoxedStrategy<Value> {
    match id {
        id::PAYLOAD_FORMAT_INDICATOR
        | id::REQUEST_PROBLEM_INFORMATION
        | id::REQUEST_RESPONSE_INFORMATION
        | id::MAXIMUM_QOS
        | id::RETAIN_AVAILABLE
        | id::WILDCARD_SUBSCRIPTION_AVAILABLE
        | id::SUBSCRIPTION_IDENTIFIER_AVAILABLE
        | id::SHARED_SUBSCRIPTION_AVAILABLE => (0..=1u8).prop_map(Value::Byte).boxed(),
        id::SERVER_KEEP_ALIVE | id::TOPIC_ALIAS_MAXIMUM => number_of_two(0),
        // Not zero: sections 3.1.2.11.3 and 3.3.2.3.4.
        id::RECEIVE_MAXIMUM | id::TOPIC_ALIAS => number_of_two(1),
        id::MESSAGE_EXPIRY_INTERVAL | id::SESSION_EXPIRY_INTERVAL | id::WILL_DELAY_INTERVAL => {
            number_of_four(0)
        }
        // Not zero: section 3.1.2.11.4.
        id::MAXIMUM_PACKET_SIZE => number_of_four(1),
        id::CONTENT_TYPE
        | id::ASSIGNED_CLIENT_IDENTIFIER
        | id::AUTHENTICATION_METHOD
        | id::RESPONSE_INFORMATION
        | id::SERVER_REFERENCE
        | id::REASON_STRING => text().prop_map(Value::Text).boxed(),
        // [MQTT-3.3.2-14]
        id::RESPONSE_TOPIC => topic().prop_map(Value::Text).boxed(),
        id::CORRELATION_DATA | id::AUTHENTICATION_DATA => binary().prop_map(Value::Binary).boxed(),
        _ => unreachable!("no property has the identifier {id:#04x}"),
    }
}

fn number_of_two(from: u16) -> BoxedStrategy<Value> {
    prop_oneof![Just(from), Just(u16::MAX), from..]
        .prop_map(Value::Two)
        .boxed()
}

fn number_of_four(from: u32) -> BoxedStrategy<Value> {
    prop_oneof![Just(from), Just(u32::MAX), from..]
        .prop_map(Value::Four)
        .boxed()
}

/// Authentication data goes with a method (section 3.1.2.11.10).
fn method_for_data(properties: &mut Properties) {
    if properties.has(id::AUTHENTICATION_DATA) && !properties.has(id::AUTHENTICATION_METHOD) {
        properties.set(id::AUTHENTICATION_METHOD, Some("method".to_owned()));
    }
}

/// UTF-8 where the payload format indicator says so (section 3.3.2.3.2).
fn as_indicated(payload: Vec<u8>, properties: &Properties) -> Vec<u8> {
    match properties.get::<u8>(id::PAYLOAD_FORMAT_INDICATOR) {
        Some(1) => String::from_utf8_lossy(&payload).into_owned().into_bytes(),
        _ => payload,
    }
}

fn packet_id() -> impl Strategy<Value = u16> {
    prop_oneof![Just(1), Just(u16::MAX), 1..=u16::MAX]
}

/// Variable byte integers of one to four bytes.
fn subscription_id() -> impl Strategy<Value = u32> {
    prop_oneof![
        1..=127u32,
        128..=16_383u32,
        16_384..=2_097_151u32,
        2_097_152..=268_435_455u32
    ]
}

/// A string without U+0000 [MQTT-1.5.4-2], sometimes of more bytes than one length byte can count.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[ -~]{0,20}",
        4 => "\\PC{0,12}",
        1 => ("[a-zäß漢🙂]", 40..200usize).prop_map(|(c, n)| c.repeat(n)),
    ]
}

/// A topic name [MQTT-4.7.0-1], [MQTT-4.7.3-1].
fn topic() -> impl Strategy<Value = String> {
    text().prop_map(|s| {
        if s.is_empty() {
            "/".to_owned()
        } else {
            s.replace(['+', '#'], "/")
        }
    })
}

/// A topic filter, shared or not [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.8.2-1].
fn filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![3 => text().prop_map(|s| s.replace(['+', '#', '/'], "_")), 1 => Just("+".to_owned())];
    let share = option::weighted(0.2, "[a-z0-9]{1,8}");
    (share, vec(level, 1..5), any::<bool>()).prop_map(|(share, mut levels, all)| {
        if all {
            levels.push("#".to_owned());
        }
        let mut filter = levels.join("/");
        // A filter has at least one character [MQTT-4.7.3-1], and `$share` alone is none.
        if filter.is_empty() || filter.starts_with("$share") {
            filter.insert(0, '_');
        }
        match share {
            Some(name) => format!("$share/{name}/{filter}"),
            None => filter,
        }
    })
}

fn binary() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => vec(any::<u8>(), 0..24), 1 => vec(any::<u8>(), 100..400)]
}

/// Payloads on both sides of every limit: a remaining length of one, two and three bytes, copied and chained.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        12 => vec(any::<u8>(), 0..200),
        2 => (any::<u8>(), 200..5_000usize).prop_map(|(b, n)| vec![b; n]),
        1 => (any::<u8>(), 15_000..70_000usize).prop_map(|(b, n)| vec![b; n]),
    ]
}
