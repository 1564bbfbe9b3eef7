use bytes::{Bytes, BytesMut};
use rumqttc::v5::mqttbytes::v5 as theirs;
use rumqttc::v5::mqttbytes::{QoS, qos};

use super::codes;
use super::v4::{from_login, login};
use crate::model::*;

pub(super) fn encode(packet: &Packet) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    to(packet)
        .write(&mut bytes, None)
        .expect("the rival encodes it");
    bytes.to_vec()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Packet, String> {
    let mut bytes = BytesMut::from(bytes);
    let packet = theirs::Packet::read(&mut bytes, None).map_err(|e| e.to_string())?;
    assert!(bytes.is_empty(), "bytes are left");
    Ok(from(packet))
}

/// Translates a reason string and user properties, which are all that acknowledgements have.
macro_rules! ack_properties {
    ($ty:ident, $properties:expr) => {
        some($properties, |p| theirs::$ty {
            reason_string: p.get(id::REASON_STRING),
            user_properties: p.user.clone(),
        })
    };
}

macro_rules! from_ack_properties {
    ($properties:expr) => {
        $properties.map_or_else(Properties::default, |p| {
            with(p.user_properties, p.reason_string)
        })
    };
}

fn to(packet: &Packet) -> theirs::Packet {
    match packet {
        Packet::Connect(connect) => to_connect(connect),
        Packet::ConnAck {
            session_present,
            code,
            properties,
        } => theirs::Packet::ConnAck(theirs::ConnAck {
            session_present: *session_present,
            code: codes::connect::to(*code),
            properties: some(properties, connack_properties),
        }),
        Packet::Publish(publish) => theirs::Packet::Publish(theirs::Publish {
            dup: publish.dup,
            qos: to_qos(publish.qos),
            retain: publish.retain,
            topic: publish.topic.clone().into(),
            pkid: publish.id.unwrap_or(0),
            payload: publish.payload.clone().into(),
            properties: some(&publish.properties, publish_properties),
        }),
        Packet::Ack(ack) => to_ack(ack),
        Packet::Subscribe {
            id,
            filters,
            properties,
        } => theirs::Packet::Subscribe(theirs::Subscribe {
            pkid: *id,
            filters: filters
                .iter()
                .map(|f| theirs::Filter {
                    path: f.filter.clone(),
                    qos: to_qos(f.qos),
                    nolocal: f.no_local,
                    preserve_retain: f.retain_as_published,
                    retain_forward_rule: codes::retain::to(f.retain_handling),
                })
                .collect(),
            properties: some(properties, |p| theirs::SubscribeProperties {
                id: p.subscription_ids.first().map(|id| *id as usize),
                user_properties: p.user.clone(),
            }),
        }),
        Packet::SubAck {
            id,
            codes,
            properties,
        } => theirs::Packet::SubAck(theirs::SubAck {
            pkid: *id,
            return_codes: codes.iter().map(|code| to_suback_code(*code)).collect(),
            properties: ack_properties!(SubAckProperties, properties),
        }),
        Packet::Unsubscribe {
            id,
            filters,
            properties,
        } => theirs::Packet::Unsubscribe(theirs::Unsubscribe {
            pkid: *id,
            filters: filters.clone(),
            properties: some(properties, |p| theirs::UnsubscribeProperties {
                user_properties: p.user.clone(),
            }),
        }),
        Packet::UnsubAck {
            id,
            codes,
            properties,
        } => theirs::Packet::UnsubAck(theirs::UnsubAck {
            pkid: *id,
            reasons: codes
                .iter()
                .map(|code| codes::unsuback::to(*code))
                .collect(),
            properties: ack_properties!(UnsubAckProperties, properties),
        }),
        Packet::PingReq => theirs::Packet::PingReq(theirs::PingReq),
        Packet::PingResp => theirs::Packet::PingResp(theirs::PingResp),
        Packet::Disconnect { code, properties } => theirs::Packet::Disconnect(theirs::Disconnect {
            reason_code: (*code).try_into().expect("a reason code"),
            properties: some(properties, |p| theirs::DisconnectProperties {
                session_expiry_interval: p.get(id::SESSION_EXPIRY_INTERVAL),
                reason_string: p.get(id::REASON_STRING),
                user_properties: p.user.clone(),
                server_reference: p.get(id::SERVER_REFERENCE),
            }),
        }),
        Packet::Auth { .. } => unreachable!("not among its kinds"),
    }
}

fn to_connect(connect: &Connect) -> theirs::Packet {
    let packet = theirs::Connect {
        keep_alive: connect.keep_alive,
        client_id: connect.client_id.clone(),
        clean_start: connect.clean_start,
        properties: some(&connect.properties, |p| theirs::ConnectProperties {
            session_expiry_interval: p.get(id::SESSION_EXPIRY_INTERVAL),
            receive_maximum: p.get(id::RECEIVE_MAXIMUM),
            max_packet_size: p.get(id::MAXIMUM_PACKET_SIZE),
            topic_alias_max: p.get(id::TOPIC_ALIAS_MAXIMUM),
            request_response_info: p.get(id::REQUEST_RESPONSE_INFORMATION),
            request_problem_info: p.get(id::REQUEST_PROBLEM_INFORMATION),
            user_properties: p.user.clone(),
            authentication_method: p.get(id::AUTHENTICATION_METHOD),
            authentication_data: binary(p, id::AUTHENTICATION_DATA),
        }),
    };
    let will = connect.will.as_ref().map(|will| theirs::LastWill {
        topic: will.topic.clone().into(),
        message: will.payload.clone().into(),
        qos: to_qos(will.qos),
        retain: will.retain,
        properties: some(&will.properties, |p| theirs::LastWillProperties {
            delay_interval: p.get(id::WILL_DELAY_INTERVAL),
            payload_format_indicator: p.get(id::PAYLOAD_FORMAT_INDICATOR),
            message_expiry_interval: p.get(id::MESSAGE_EXPIRY_INTERVAL),
            content_type: p.get(id::CONTENT_TYPE),
            response_topic: p.get(id::RESPONSE_TOPIC),
            correlation_data: binary(p, id::CORRELATION_DATA),
            user_properties: p.user.clone(),
        }),
    });
    let login = login(connect).map(|(username, password)| theirs::Login { username, password });
    theirs::Packet::Connect(packet, will, login)
}

fn connack_properties(p: &Properties) -> theirs::ConnAckProperties {
    theirs::ConnAckProperties {
        session_expiry_interval: p.get(id::SESSION_EXPIRY_INTERVAL),
        receive_max: p.get(id::RECEIVE_MAXIMUM),
        max_qos: p.get(id::MAXIMUM_QOS),
        retain_available: p.get(id::RETAIN_AVAILABLE),
        max_packet_size: p.get(id::MAXIMUM_PACKET_SIZE),
        assigned_client_identifier: p.get(id::ASSIGNED_CLIENT_IDENTIFIER),
        topic_alias_max: p.get(id::TOPIC_ALIAS_MAXIMUM),
        reason_string: p.get(id::REASON_STRING),
        user_properties: p.user.clone(),
        wildcard_subscription_available: p.get(id::WILDCARD_SUBSCRIPTION_AVAILABLE),
        subscription_identifiers_available: p.get(id::SUBSCRIPTION_IDENTIFIER_AVAILABLE),
        shared_subscription_available: p.get(id::SHARED_SUBSCRIPTION_AVAILABLE),
        server_keep_alive: p.get(id::SERVER_KEEP_ALIVE),
        response_information: p.get(id::RESPONSE_INFORMATION),
        server_reference: p.get(id::SERVER_REFERENCE),
        authentication_method: p.get(id::AUTHENTICATION_METHOD),
        authentication_data: binary(p, id::AUTHENTICATION_DATA),
    }
}

fn publish_properties(p: &Properties) -> theirs::PublishProperties {
    theirs::PublishProperties {
        payload_format_indicator: p.get(id::PAYLOAD_FORMAT_INDICATOR),
        message_expiry_interval: p.get(id::MESSAGE_EXPIRY_INTERVAL),
        topic_alias: p.get(id::TOPIC_ALIAS),
        response_topic: p.get(id::RESPONSE_TOPIC),
        correlation_data: binary(p, id::CORRELATION_DATA),
        user_properties: p.user.clone(),
        subscription_identifiers: p.subscription_ids.iter().map(|id| *id as usize).collect(),
        content_type: p.get(id::CONTENT_TYPE),
    }
}

fn to_ack(ack: &Ack) -> theirs::Packet {
    let (pkid, code, p) = (ack.id, ack.code, &ack.properties);
    match ack.kind {
        Kind::PubAck => theirs::Packet::PubAck(theirs::PubAck {
            pkid,
            reason: codes::puback::to(code),
            properties: ack_properties!(PubAckProperties, p),
        }),
        Kind::PubRec => theirs::Packet::PubRec(theirs::PubRec {
            pkid,
            reason: codes::pubrec::to(code),
            properties: ack_properties!(PubRecProperties, p),
        }),
        Kind::PubRel => theirs::Packet::PubRel(theirs::PubRel {
            pkid,
            reason: codes::pubrel::to(code),
            properties: ack_properties!(PubRelProperties, p),
        }),
        _ => theirs::Packet::PubComp(theirs::PubComp {
            pkid,
            reason: codes::pubcomp::to(code),
            properties: ack_properties!(PubCompProperties, p),
        }),
    }
}

fn from(packet: theirs::Packet) -> Packet {
    match packet {
        theirs::Packet::Connect(connect, will, login) => from_connect(connect, will, login),
        theirs::Packet::ConnAck(ack) => Packet::ConnAck {
            session_present: ack.session_present,
            code: codes::connect::from(ack.code),
            properties: ack
                .properties
                .map_or_else(Properties::default, from_connack_properties),
        },
        theirs::Packet::Publish(publish) => Packet::Publish(Publish {
            dup: publish.dup,
            qos: publish.qos as u8,
            retain: publish.retain,
            topic: from_text(publish.topic),
            id: Some(publish.pkid).filter(|id| *id != 0),
            payload: publish.payload.to_vec(),
            properties: publish
                .properties
                .map_or_else(Properties::default, from_publish_properties),
        }),
        theirs::Packet::PubAck(ack) => {
            let properties = from_ack_properties!(ack.properties);
            Packet::Ack(Ack {
                kind: Kind::PubAck,
                id: ack.pkid,
                code: codes::puback::from(ack.reason),
                properties,
            })
        }
        theirs::Packet::PubRec(ack) => {
            let properties = from_ack_properties!(ack.properties);
            Packet::Ack(Ack {
                kind: Kind::PubRec,
                id: ack.pkid,
                code: codes::pubrec::from(ack.reason),
                properties,
            })
        }
        theirs::Packet::PubRel(ack) => {
            let properties = from_ack_properties!(ack.properties);
            Packet::Ack(Ack {
                kind: Kind::PubRel,
                id: ack.pkid,
                code: codes::pubrel::from(ack.reason),
                properties,
            })
        }
        theirs::Packet::PubComp(ack) => {
            let properties = from_ack_properties!(ack.properties);
            Packet::Ack(Ack {
                kind: Kind::PubComp,
                id: ack.pkid,
                code: codes::pubcomp::from(ack.reason),
                properties,
            })
        }
        theirs::Packet::Subscribe(subscribe) => {
            let filters = subscribe.filters.into_iter().map(|f| Filter {
                filter: f.path,
                qos: f.qos as u8,
                no_local: f.nolocal,
                retain_as_published: f.preserve_retain,
                retain_handling: codes::retain::from(f.retain_forward_rule),
            });
            let properties = subscribe.properties.map_or_else(Properties::default, |p| {
                let subscription_ids = p.id.into_iter().map(|id| id as u32).collect();
                Properties {
                    subscription_ids,
                    ..with(p.user_properties, None)
                }
            });
            Packet::Subscribe {
                id: subscribe.pkid,
                filters: filters.collect(),
                properties,
            }
        }
        theirs::Packet::SubAck(ack) => Packet::SubAck {
            id: ack.pkid,
            codes: ack.return_codes.into_iter().map(from_suback_code).collect(),
            properties: from_ack_properties!(ack.properties),
        },
        theirs::Packet::Unsubscribe(unsubscribe) => Packet::Unsubscribe {
            id: unsubscribe.pkid,
            filters: unsubscribe.filters,
            properties: unsubscribe
                .properties
                .map_or_else(Properties::default, |p| with(p.user_properties, None)),
        },
        theirs::Packet::UnsubAck(ack) => Packet::UnsubAck {
            id: ack.pkid,
            codes: ack.reasons.into_iter().map(codes::unsuback::from).collect(),
            properties: from_ack_properties!(ack.properties),
        },
        theirs::Packet::PingReq(_) => Packet::PingReq,
        theirs::Packet::PingResp(_) => Packet::PingResp,
        theirs::Packet::Disconnect(disconnect) => {
            let properties = disconnect
                .properties
                .map_or_else(Properties::default, |theirs| {
                    let mut p = with(theirs.user_properties, theirs.reason_string);
                    p.set(id::SESSION_EXPIRY_INTERVAL, theirs.session_expiry_interval);
                    p.set(id::SERVER_REFERENCE, theirs.server_reference);
                    p
                });
            Packet::Disconnect {
                code: disconnect.reason_code as u8,
                properties,
            }
        }
        theirs::Packet::Auth(_) => unreachable!("it has no decoder for AUTH"),
    }
}

fn from_connect(
    connect: theirs::Connect,
    will: Option<theirs::LastWill>,
    login: Option<theirs::Login>,
) -> Packet {
    let (user_name, password) = from_login(login.map(|login| (login.username, login.password)));
    Packet::Connect(Connect {
        clean_start: connect.clean_start,
        keep_alive: connect.keep_alive,
        client_id: connect.client_id,
        will: will.map(|will| Will {
            topic: from_text(will.topic),
            payload: will.message.to_vec(),
            qos: will.qos as u8,
            retain: will.retain,
            properties: will.properties.map_or_else(Properties::default, |theirs| {
                let mut p = with(theirs.user_properties, None);
                p.set(id::WILL_DELAY_INTERVAL, theirs.delay_interval);
                p.set(
                    id::PAYLOAD_FORMAT_INDICATOR,
                    theirs.payload_format_indicator,
                );
                p.set(id::MESSAGE_EXPIRY_INTERVAL, theirs.message_expiry_interval);
                p.set(id::CONTENT_TYPE, theirs.content_type);
                p.set(id::RESPONSE_TOPIC, theirs.response_topic);
                p.set(
                    id::CORRELATION_DATA,
                    theirs.correlation_data.map(|b| b.to_vec()),
                );
                p
            }),
        }),
        user_name,
        password,
        properties: connect
            .properties
            .map_or_else(Properties::default, |theirs| {
                let mut p = with(theirs.user_properties, None);
                p.set(id::SESSION_EXPIRY_INTERVAL, theirs.session_expiry_interval);
                p.set(id::RECEIVE_MAXIMUM, theirs.receive_maximum);
                p.set(id::MAXIMUM_PACKET_SIZE, theirs.max_packet_size);
                p.set(id::TOPIC_ALIAS_MAXIMUM, theirs.topic_alias_max);
                p.set(
                    id::REQUEST_RESPONSE_INFORMATION,
                    theirs.request_response_info,
                );
                p.set(id::REQUEST_PROBLEM_INFORMATION, theirs.request_problem_info);
                p.set(id::AUTHENTICATION_METHOD, theirs.authentication_method);
                p.set(
                    id::AUTHENTICATION_DATA,
                    theirs.authentication_data.map(|b| b.to_vec()),
                );
                p
            }),
    })
}

fn from_connack_properties(theirs: theirs::ConnAckProperties) -> Properties {
    let mut p = with(theirs.user_properties, theirs.reason_string);
    p.set(id::SESSION_EXPIRY_INTERVAL, theirs.session_expiry_interval);
    p.set(id::RECEIVE_MAXIMUM, theirs.receive_max);
    p.set(id::MAXIMUM_QOS, theirs.max_qos);
    p.set(id::RETAIN_AVAILABLE, theirs.retain_available);
    p.set(id::MAXIMUM_PACKET_SIZE, theirs.max_packet_size);
    p.set(
        id::ASSIGNED_CLIENT_IDENTIFIER,
        theirs.assigned_client_identifier,
    );
    p.set(id::TOPIC_ALIAS_MAXIMUM, theirs.topic_alias_max);
    p.set(
        id::WILDCARD_SUBSCRIPTION_AVAILABLE,
        theirs.wildcard_subscription_available,
    );
    p.set(
        id::SUBSCRIPTION_IDENTIFIER_AVAILABLE,
        theirs.subscription_identifiers_available,
    );
    p.set(
        id::SHARED_SUBSCRIPTION_AVAILABLE,
        theirs.shared_subscription_available,
    );
    p.set(id::SERVER_KEEP_ALIVE, theirs.server_keep_alive);
    p.set(id::RESPONSE_INFORMATION, theirs.response_information);
    p.set(id::SERVER_REFERENCE, theirs.server_reference);
    p.set(id::AUTHENTICATION_METHOD, theirs.authentication_method);
    p.set(
        id::AUTHENTICATION_DATA,
        theirs.authentication_data.map(|b| b.to_vec()),
    );
    p
}

fn from_publish_properties(theirs: theirs::PublishProperties) -> Properties {
    let mut p = with(theirs.user_properties, None);
    p.subscription_ids = theirs
        .subscription_identifiers
        .into_iter()
        .map(|id| id as u32)
        .collect();
    p.set(
        id::PAYLOAD_FORMAT_INDICATOR,
        theirs.payload_format_indicator,
    );
    p.set(id::MESSAGE_EXPIRY_INTERVAL, theirs.message_expiry_interval);
    p.set(id::TOPIC_ALIAS, theirs.topic_alias);
    p.set(id::RESPONSE_TOPIC, theirs.response_topic);
    p.set(
        id::CORRELATION_DATA,
        theirs.correlation_data.map(|b| b.to_vec()),
    );
    p.set(id::CONTENT_TYPE, theirs.content_type);
    p
}

/// It has `None` for an empty property block.
fn some<T>(properties: &Properties, to: impl FnOnce(&Properties) -> T) -> Option<T> {
    (!properties.is_empty()).then(|| to(properties))
}

fn with(user: Vec<(String, String)>, reason_string: Option<String>) -> Properties {
    let mut properties = Properties {
        user,
        ..Properties::default()
    };
    properties.set(id::REASON_STRING, reason_string);
    properties
}

fn binary(properties: &Properties, id: u8) -> Option<Bytes> {
    properties.get::<Vec<u8>>(id).map(Into::into)
}

fn from_text(bytes: Bytes) -> String {
    String::from_utf8(bytes.to_vec()).expect("it was encoded as UTF-8")
}

fn to_qos(n: u8) -> QoS {
    qos(n).expect("0, 1 or 2")
}

fn to_suback_code(code: u8) -> theirs::SubscribeReasonCode {
    qos(code).map_or_else(
        || codes::suback::to(code),
        theirs::SubscribeReasonCode::Success,
    )
}

fn from_suback_code(code: theirs::SubscribeReasonCode) -> u8 {
    match code {
        theirs::SubscribeReasonCode::Success(qos) => qos as u8,
        other => codes::suback::from(other),
    }
}
