use std::num::{NonZeroU16, NonZeroU32};

use bytes::BytesMut;
use bytestring::ByteString;
use rmqtt_codec::types::{Publish as RivalPublish, QoS};
use rmqtt_codec::v5::{
    self, Codec, PublishProperties, RetainHandling, SubscriptionOptions, UserProperties,
};
use tokio_util::codec::{Decoder, Encoder};

use crate::model::*;

pub(super) fn encode(packet: &Packet) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    Codec::new(0, 0)
        .encode(to(packet), &mut bytes)
        .expect("the rival encodes it");
    bytes.to_vec()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Packet, String> {
    let mut bytes = BytesMut::from(bytes);
    let (packet, _) = Codec::new(0, 0)
        .decode(&mut bytes)
        .map_err(|e| e.to_string())?
        .ok_or("incomplete")?;
    assert!(bytes.is_empty(), "bytes are left");
    Ok(from(packet))
}

pub(super) fn packet_id(id: u16) -> NonZeroU16 {
    NonZeroU16::new(id).expect("never zero")
}

pub(super) fn qos(qos: u8) -> QoS {
    qos.try_into().expect("0, 1 or 2")
}

fn to(packet: &Packet) -> v5::Packet {
    match packet {
        Packet::Connect(connect) => v5::Packet::Connect(Box::new(to_connect(connect))),
        Packet::ConnAck {
            session_present,
            code,
            properties,
        } => v5::Packet::ConnectAck(Box::new(to_connack(*session_present, *code, properties))),
        Packet::Publish(publish) => v5::Packet::Publish(Box::new(to_publish(publish))),
        Packet::Ack(ack) => to_ack(ack),
        Packet::Subscribe {
            id,
            filters,
            properties,
        } => v5::Packet::Subscribe(v5::Subscribe {
            packet_id: packet_id(*id),
            id: properties
                .subscription_ids
                .first()
                .map(|id| NonZeroU32::new(*id).expect("never zero")),
            user_properties: user(properties),
            topic_filters: filters
                .iter()
                .map(|f| {
                    let options = SubscriptionOptions {
                        qos: qos(f.qos),
                        no_local: f.no_local,
                        retain_as_published: f.retain_as_published,
                        retain_handling: RetainHandling::try_from(f.retain_handling)
                            .expect("0, 1 or 2"),
                    };
                    (f.filter.clone().into(), options)
                })
                .collect(),
        }),
        Packet::SubAck {
            id,
            codes,
            properties,
        } => v5::Packet::SubscribeAck(v5::SubscribeAck {
            packet_id: packet_id(*id),
            properties: user(properties),
            reason_string: text(properties, id::REASON_STRING),
            status: codes
                .iter()
                .map(|code| (*code).try_into().expect("a reason code"))
                .collect(),
        }),
        Packet::Unsubscribe {
            id,
            filters,
            properties,
        } => v5::Packet::Unsubscribe(v5::Unsubscribe {
            packet_id: packet_id(*id),
            user_properties: user(properties),
            topic_filters: filters.iter().map(|f| f.clone().into()).collect(),
        }),
        Packet::UnsubAck {
            id,
            codes,
            properties,
        } => v5::Packet::UnsubscribeAck(v5::UnsubscribeAck {
            packet_id: packet_id(*id),
            properties: user(properties),
            reason_string: text(properties, id::REASON_STRING),
            status: codes
                .iter()
                .map(|code| (*code).try_into().expect("a reason code"))
                .collect(),
        }),
        Packet::PingReq => v5::Packet::PingRequest,
        Packet::PingResp => v5::Packet::PingResponse,
        Packet::Disconnect { code, properties } => v5::Packet::Disconnect(v5::Disconnect {
            reason_code: (*code).try_into().expect("a reason code"),
            session_expiry_interval_secs: properties.get(id::SESSION_EXPIRY_INTERVAL),
            server_reference: text(properties, id::SERVER_REFERENCE),
            reason_string: text(properties, id::REASON_STRING),
            user_properties: user(properties),
        }),
        Packet::Auth { code, properties } => v5::Packet::Auth(v5::Auth {
            reason_code: (*code).try_into().expect("a reason code"),
            auth_method: text(properties, id::AUTHENTICATION_METHOD),
            auth_data: binary(properties, id::AUTHENTICATION_DATA),
            reason_string: text(properties, id::REASON_STRING),
            user_properties: user(properties),
        }),
    }
}

fn to_connect(connect: &Connect) -> v5::Connect {
    let p = &connect.properties;
    v5::Connect {
        clean_start: connect.clean_start,
        keep_alive: connect.keep_alive,
        session_expiry_interval_secs: p.get(id::SESSION_EXPIRY_INTERVAL).unwrap_or(0),
        auth_method: text(p, id::AUTHENTICATION_METHOD),
        auth_data: binary(p, id::AUTHENTICATION_DATA),
        request_problem_info: p.get::<u8>(id::REQUEST_PROBLEM_INFORMATION).unwrap_or(1) == 1,
        request_response_info: p.get::<u8>(id::REQUEST_RESPONSE_INFORMATION).unwrap_or(0) == 1,
        receive_max: p.get(id::RECEIVE_MAXIMUM).map(packet_id),
        topic_alias_max: p.get(id::TOPIC_ALIAS_MAXIMUM).unwrap_or(0),
        user_properties: user(p),
        max_packet_size: p
            .get(id::MAXIMUM_PACKET_SIZE)
            .map(|n| NonZeroU32::new(n).expect("never zero")),
        last_will: connect.will.as_ref().map(|will| v5::LastWill {
            qos: qos(will.qos),
            retain: will.retain,
            topic: will.topic.clone().into(),
            message: will.payload.clone().into(),
            will_delay_interval_sec: will.properties.get(id::WILL_DELAY_INTERVAL),
            correlation_data: binary(&will.properties, id::CORRELATION_DATA),
            message_expiry_interval: expiry(&will.properties),
            content_type: text(&will.properties, id::CONTENT_TYPE),
            user_properties: user(&will.properties),
            is_utf8_payload: will
                .properties
                .get(id::PAYLOAD_FORMAT_INDICATOR)
                .map(|b: u8| b == 1),
            response_topic: text(&will.properties, id::RESPONSE_TOPIC),
        }),
        client_id: connect.client_id.clone().into(),
        username: connect.user_name.clone().map(Into::into),
        password: connect.password.clone().map(Into::into),
        cert: None,
    }
}

fn to_connack(session_present: bool, code: u8, p: &Properties) -> v5::ConnectAck {
    let available = |id| p.get::<u8>(id).unwrap_or(1) == 1;
    v5::ConnectAck {
        session_present,
        reason_code: code.try_into().expect("a reason code"),
        session_expiry_interval_secs: p.get(id::SESSION_EXPIRY_INTERVAL),
        receive_max: packet_id(p.get(id::RECEIVE_MAXIMUM).unwrap_or(u16::MAX)),
        max_qos: qos(p.get(id::MAXIMUM_QOS).unwrap_or(2)),
        max_packet_size: p.get(id::MAXIMUM_PACKET_SIZE),
        assigned_client_id: text(p, id::ASSIGNED_CLIENT_IDENTIFIER),
        topic_alias_max: p.get(id::TOPIC_ALIAS_MAXIMUM).unwrap_or(0),
        retain_available: available(id::RETAIN_AVAILABLE),
        wildcard_subscription_available: available(id::WILDCARD_SUBSCRIPTION_AVAILABLE),
        subscription_identifiers_available: available(id::SUBSCRIPTION_IDENTIFIER_AVAILABLE),
        shared_subscription_available: available(id::SHARED_SUBSCRIPTION_AVAILABLE),
        server_keepalive_sec: p.get(id::SERVER_KEEP_ALIVE),
        response_info: text(p, id::RESPONSE_INFORMATION),
        server_reference: text(p, id::SERVER_REFERENCE),
        auth_method: text(p, id::AUTHENTICATION_METHOD),
        auth_data: binary(p, id::AUTHENTICATION_DATA),
        reason_string: text(p, id::REASON_STRING),
        user_properties: user(p),
    }
}

fn to_publish(publish: &Publish) -> RivalPublish {
    let p = &publish.properties;
    RivalPublish {
        dup: publish.dup,
        retain: publish.retain,
        qos: qos(publish.qos),
        topic: publish.topic.clone().into(),
        packet_id: publish.id.map(packet_id),
        payload: publish.payload.clone().into(),
        properties: Some(PublishProperties {
            topic_alias: p.get(id::TOPIC_ALIAS).map(packet_id),
            correlation_data: binary(p, id::CORRELATION_DATA),
            message_expiry_interval: expiry(p),
            content_type: text(p, id::CONTENT_TYPE),
            user_properties: user(p),
            is_utf8_payload: p.get::<u8>(id::PAYLOAD_FORMAT_INDICATOR).unwrap_or(0) == 1,
            response_topic: text(p, id::RESPONSE_TOPIC),
            subscription_ids: p
                .subscription_ids
                .iter()
                .map(|id| NonZeroU32::new(*id).expect("never zero"))
                .collect(),
        }),
    }
}

fn to_ack(ack: &Ack) -> v5::Packet {
    let first = || v5::PublishAck {
        packet_id: packet_id(ack.id),
        reason_code: ack.code.try_into().expect("a reason code"),
        properties: user(&ack.properties),
        reason_string: text(&ack.properties, id::REASON_STRING),
    };
    let second = || v5::PublishAck2 {
        packet_id: packet_id(ack.id),
        reason_code: ack.code.try_into().expect("a reason code"),
        properties: user(&ack.properties),
        reason_string: text(&ack.properties, id::REASON_STRING),
    };
    match ack.kind {
        Kind::PubAck => v5::Packet::PublishAck(first()),
        Kind::PubRec => v5::Packet::PublishReceived(first()),
        Kind::PubRel => v5::Packet::PublishRelease(second()),
        _ => v5::Packet::PublishComplete(second()),
    }
}

fn text(properties: &Properties, id: u8) -> Option<ByteString> {
    properties.get::<String>(id).map(Into::into)
}

fn binary(properties: &Properties, id: u8) -> Option<bytes::Bytes> {
    properties.get::<Vec<u8>>(id).map(Into::into)
}

fn expiry(properties: &Properties) -> Option<NonZeroU32> {
    properties
        .get(id::MESSAGE_EXPIRY_INTERVAL)
        .map(|n| NonZeroU32::new(n).expect("see the gaps"))
}

fn user(properties: &Properties) -> UserProperties {
    properties
        .user
        .iter()
        .map(|(k, v)| (k.clone().into(), v.clone().into()))
        .collect()
}

fn from(packet: v5::Packet) -> Packet {
    match packet {
        v5::Packet::Connect(connect) => Packet::Connect(from_connect(*connect)),
        v5::Packet::ConnectAck(ack) => from_connack(*ack),
        v5::Packet::Publish(publish) => Packet::Publish(from_publish(*publish)),
        v5::Packet::PublishAck(ack) => from_first(Kind::PubAck, ack),
        v5::Packet::PublishReceived(ack) => from_first(Kind::PubRec, ack),
        v5::Packet::PublishRelease(ack) => from_second(Kind::PubRel, ack),
        v5::Packet::PublishComplete(ack) => from_second(Kind::PubComp, ack),
        v5::Packet::Subscribe(subscribe) => {
            let mut properties = from_user(subscribe.user_properties, None);
            properties.subscription_ids = subscribe.id.into_iter().map(NonZeroU32::get).collect();
            let filters = subscribe
                .topic_filters
                .into_iter()
                .map(|(filter, options)| Filter {
                    filter: filter.to_string(),
                    qos: options.qos.value(),
                    no_local: options.no_local,
                    retain_as_published: options.retain_as_published,
                    retain_handling: options.retain_handling.into(),
                });
            Packet::Subscribe {
                id: subscribe.packet_id.get(),
                filters: filters.collect(),
                properties,
            }
        }
        v5::Packet::SubscribeAck(ack) => Packet::SubAck {
            id: ack.packet_id.get(),
            codes: ack.status.into_iter().map(Into::into).collect(),
            properties: from_user(ack.properties, ack.reason_string),
        },
        v5::Packet::Unsubscribe(unsubscribe) => Packet::Unsubscribe {
            id: unsubscribe.packet_id.get(),
            filters: unsubscribe
                .topic_filters
                .into_iter()
                .map(|f| f.to_string())
                .collect(),
            properties: from_user(unsubscribe.user_properties, None),
        },
        v5::Packet::UnsubscribeAck(ack) => Packet::UnsubAck {
            id: ack.packet_id.get(),
            codes: ack.status.into_iter().map(Into::into).collect(),
            properties: from_user(ack.properties, ack.reason_string),
        },
        v5::Packet::PingRequest => Packet::PingReq,
        v5::Packet::PingResponse => Packet::PingResp,
        v5::Packet::Disconnect(disconnect) => {
            let mut properties = from_user(disconnect.user_properties, disconnect.reason_string);
            properties.set(
                id::SESSION_EXPIRY_INTERVAL,
                disconnect.session_expiry_interval_secs,
            );
            set_text(
                &mut properties,
                id::SERVER_REFERENCE,
                disconnect.server_reference,
            );
            Packet::Disconnect {
                code: disconnect.reason_code.into(),
                properties,
            }
        }
        v5::Packet::Auth(auth) => {
            let mut properties = from_user(auth.user_properties, auth.reason_string);
            set_text(&mut properties, id::AUTHENTICATION_METHOD, auth.auth_method);
            set_binary(&mut properties, id::AUTHENTICATION_DATA, auth.auth_data);
            Packet::Auth {
                code: auth.reason_code.into(),
                properties,
            }
        }
    }
}

fn from_connect(connect: v5::Connect) -> Connect {
    let mut p = from_user(connect.user_properties, None);
    p.set(
        id::SESSION_EXPIRY_INTERVAL,
        Some(connect.session_expiry_interval_secs).filter(|n| *n != 0),
    );
    p.set(
        id::RECEIVE_MAXIMUM,
        connect.receive_max.map(NonZeroU16::get),
    );
    p.set(
        id::MAXIMUM_PACKET_SIZE,
        connect.max_packet_size.map(NonZeroU32::get),
    );
    p.set(
        id::TOPIC_ALIAS_MAXIMUM,
        Some(connect.topic_alias_max).filter(|n| *n != 0),
    );
    p.set(
        id::REQUEST_PROBLEM_INFORMATION,
        (!connect.request_problem_info).then_some(0u8),
    );
    p.set(
        id::REQUEST_RESPONSE_INFORMATION,
        connect.request_response_info.then_some(1u8),
    );
    set_text(&mut p, id::AUTHENTICATION_METHOD, connect.auth_method);
    set_binary(&mut p, id::AUTHENTICATION_DATA, connect.auth_data);
    Connect {
        clean_start: connect.clean_start,
        keep_alive: connect.keep_alive,
        client_id: connect.client_id.to_string(),
        will: connect.last_will.map(|will| {
            let mut p = from_user(will.user_properties, None);
            p.set(id::WILL_DELAY_INTERVAL, will.will_delay_interval_sec);
            p.set(
                id::PAYLOAD_FORMAT_INDICATOR,
                will.is_utf8_payload.map(u8::from),
            );
            p.set(
                id::MESSAGE_EXPIRY_INTERVAL,
                will.message_expiry_interval.map(NonZeroU32::get),
            );
            set_text(&mut p, id::CONTENT_TYPE, will.content_type);
            set_text(&mut p, id::RESPONSE_TOPIC, will.response_topic);
            set_binary(&mut p, id::CORRELATION_DATA, will.correlation_data);
            Will {
                topic: will.topic.to_string(),
                payload: will.message.to_vec(),
                qos: will.qos.value(),
                retain: will.retain,
                properties: p,
            }
        }),
        user_name: connect.username.map(|s| s.to_string()),
        password: connect.password.map(|b| b.to_vec()),
        properties: p,
    }
}

fn from_connack(ack: v5::ConnectAck) -> Packet {
    let mut p = from_user(ack.user_properties, ack.reason_string);
    p.set(
        id::SESSION_EXPIRY_INTERVAL,
        ack.session_expiry_interval_secs,
    );
    p.set(
        id::RECEIVE_MAXIMUM,
        Some(ack.receive_max.get()).filter(|n| *n != u16::MAX),
    );
    p.set(
        id::MAXIMUM_QOS,
        Some(ack.max_qos.value()).filter(|n| *n != 2),
    );
    p.set(id::MAXIMUM_PACKET_SIZE, ack.max_packet_size);
    p.set(
        id::TOPIC_ALIAS_MAXIMUM,
        Some(ack.topic_alias_max).filter(|n| *n != 0),
    );
    p.set(id::RETAIN_AVAILABLE, (!ack.retain_available).then_some(0u8));
    p.set(
        id::WILDCARD_SUBSCRIPTION_AVAILABLE,
        (!ack.wildcard_subscription_available).then_some(0u8),
    );
    p.set(
        id::SUBSCRIPTION_IDENTIFIER_AVAILABLE,
        (!ack.subscription_identifiers_available).then_some(0u8),
    );
    p.set(
        id::SHARED_SUBSCRIPTION_AVAILABLE,
        (!ack.shared_subscription_available).then_some(0u8),
    );
    p.set(id::SERVER_KEEP_ALIVE, ack.server_keepalive_sec);
    set_text(
        &mut p,
        id::ASSIGNED_CLIENT_IDENTIFIER,
        ack.assigned_client_id,
    );
    set_text(&mut p, id::RESPONSE_INFORMATION, ack.response_info);
    set_text(&mut p, id::SERVER_REFERENCE, ack.server_reference);
    set_text(&mut p, id::AUTHENTICATION_METHOD, ack.auth_method);
    set_binary(&mut p, id::AUTHENTICATION_DATA, ack.auth_data);
    Packet::ConnAck {
        session_present: ack.session_present,
        code: ack.reason_code.into(),
        properties: p,
    }
}

fn from_publish(publish: RivalPublish) -> Publish {
    let theirs = publish.properties.expect("5.0 has properties");
    let mut p = from_user(theirs.user_properties, None);
    p.subscription_ids = theirs
        .subscription_ids
        .into_iter()
        .map(NonZeroU32::get)
        .collect();
    p.set(id::TOPIC_ALIAS, theirs.topic_alias.map(NonZeroU16::get));
    p.set(
        id::MESSAGE_EXPIRY_INTERVAL,
        theirs.message_expiry_interval.map(NonZeroU32::get),
    );
    p.set(
        id::PAYLOAD_FORMAT_INDICATOR,
        theirs.is_utf8_payload.then_some(1u8),
    );
    set_text(&mut p, id::CONTENT_TYPE, theirs.content_type);
    set_text(&mut p, id::RESPONSE_TOPIC, theirs.response_topic);
    set_binary(&mut p, id::CORRELATION_DATA, theirs.correlation_data);
    Publish {
        dup: publish.dup,
        qos: publish.qos.value(),
        retain: publish.retain,
        topic: publish.topic.to_string(),
        id: publish.packet_id.map(NonZeroU16::get),
        payload: publish.payload.to_vec(),
        properties: p,
    }
}

fn from_first(kind: Kind, ack: v5::PublishAck) -> Packet {
    let properties = from_user(ack.properties, ack.reason_string);
    Packet::Ack(Ack {
        kind,
        id: ack.packet_id.get(),
        code: ack.reason_code.into(),
        properties,
    })
}

fn from_second(kind: Kind, ack: v5::PublishAck2) -> Packet {
    let properties = from_user(ack.properties, ack.reason_string);
    Packet::Ack(Ack {
        kind,
        id: ack.packet_id.get(),
        code: ack.reason_code.into(),
        properties,
    })
}

fn from_user(user: UserProperties, reason_string: Option<ByteString>) -> Properties {
    let user = user
        .into_iter()
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect();
    let mut properties = Properties {
        user,
        ..Properties::default()
    };
    set_text(&mut properties, id::REASON_STRING, reason_string);
    properties
}

fn set_text(properties: &mut Properties, id: u8, text: Option<ByteString>) {
    properties.set(id, text.map(|s| s.to_string()));
}

fn set_binary(properties: &mut Properties, id: u8, binary: Option<bytes::Bytes>) {
    properties.set(id, binary.map(|b| b.to_vec()));
}
