use bytes::BytesMut;
use rumqttc::Protocol;
use rumqttc::mqttbytes::v4::{self, ConnectReturnCode, SubscribeReasonCode};

use crate::model::{Ack, Connect, Filter, Kind, Packet, Properties, Publish, Will};

pub(super) fn encode(packet: &Packet) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    to(packet)
        .write(&mut bytes, usize::MAX)
        .expect("the rival encodes it");
    bytes.to_vec()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Packet, String> {
    let mut bytes = BytesMut::from(bytes);
    let packet = v4::Packet::read(&mut bytes, usize::MAX).map_err(|e| e.to_string())?;
    assert!(bytes.is_empty(), "bytes are left");
    Ok(from(packet))
}

fn to(packet: &Packet) -> v4::Packet {
    match packet {
        Packet::Connect(connect) => v4::Packet::Connect(v4::Connect {
            protocol: Protocol::V4,
            keep_alive: connect.keep_alive,
            client_id: connect.client_id.clone(),
            clean_session: connect.clean_start,
            last_will: connect.will.as_ref().map(|will| v4::LastWill {
                topic: will.topic.clone(),
                message: will.payload.clone().into(),
                qos: to_qos(will.qos),
                retain: will.retain,
            }),
            login: login(connect).map(|(username, password)| v4::Login { username, password }),
        }),
        Packet::ConnAck {
            session_present,
            code,
            ..
        } => v4::Packet::ConnAck(v4::ConnAck::new(
            RETURN_CODES[usize::from(*code)],
            *session_present,
        )),
        Packet::Publish(publish) => v4::Packet::Publish(v4::Publish {
            dup: publish.dup,
            qos: to_qos(publish.qos),
            retain: publish.retain,
            topic: publish.topic.clone(),
            pkid: publish.id.unwrap_or(0),
            payload: publish.payload.clone().into(),
        }),
        Packet::Ack(Ack { kind, id, .. }) => match kind {
            Kind::PubAck => v4::Packet::PubAck(v4::PubAck::new(*id)),
            Kind::PubRec => v4::Packet::PubRec(v4::PubRec::new(*id)),
            Kind::PubRel => v4::Packet::PubRel(v4::PubRel::new(*id)),
            _ => v4::Packet::PubComp(v4::PubComp::new(*id)),
        },
        Packet::Subscribe { id, filters, .. } => v4::Packet::Subscribe(v4::Subscribe {
            pkid: *id,
            filters: filters
                .iter()
                .map(|f| v4::SubscribeFilter::new(f.filter.clone(), to_qos(f.qos)))
                .collect(),
        }),
        Packet::SubAck { id, codes, .. } => {
            let code = |code: &u8| match code {
                0x80 => SubscribeReasonCode::Failure,
                qos => SubscribeReasonCode::Success(to_qos(*qos)),
            };
            v4::Packet::SubAck(v4::SubAck::new(*id, codes.iter().map(code).collect()))
        }
        Packet::Unsubscribe { id, filters, .. } => v4::Packet::Unsubscribe(v4::Unsubscribe {
            pkid: *id,
            topics: filters.clone(),
        }),
        Packet::UnsubAck { id, .. } => v4::Packet::UnsubAck(v4::UnsubAck::new(*id)),
        Packet::PingReq => v4::Packet::PingReq,
        Packet::PingResp => v4::Packet::PingResp,
        Packet::Disconnect { .. } => v4::Packet::Disconnect,
        Packet::Auth { .. } => unreachable!("3.1.1 has no AUTH"),
    }
}

fn from(packet: v4::Packet) -> Packet {
    let properties = Properties::default();
    let ack = |kind, id| {
        Packet::Ack(Ack {
            kind,
            id,
            code: 0,
            properties: Properties::default(),
        })
    };
    match packet {
        v4::Packet::Connect(connect) => {
            let (user_name, password) =
                from_login(connect.login.map(|login| (login.username, login.password)));
            Packet::Connect(Connect {
                clean_start: connect.clean_session,
                keep_alive: connect.keep_alive,
                client_id: connect.client_id,
                will: connect.last_will.map(|will| Will {
                    topic: will.topic,
                    payload: will.message.to_vec(),
                    qos: will.qos as u8,
                    retain: will.retain,
                    properties: Properties::default(),
                }),
                user_name,
                password,
                properties,
            })
        }
        v4::Packet::ConnAck(ack) => Packet::ConnAck {
            session_present: ack.session_present,
            code: ack.code as u8,
            properties,
        },
        v4::Packet::Publish(publish) => Packet::Publish(Publish {
            dup: publish.dup,
            qos: publish.qos as u8,
            retain: publish.retain,
            topic: publish.topic,
            id: Some(publish.pkid).filter(|id| *id != 0),
            payload: publish.payload.to_vec(),
            properties,
        }),
        v4::Packet::PubAck(theirs) => ack(Kind::PubAck, theirs.pkid),
        v4::Packet::PubRec(theirs) => ack(Kind::PubRec, theirs.pkid),
        v4::Packet::PubRel(theirs) => ack(Kind::PubRel, theirs.pkid),
        v4::Packet::PubComp(theirs) => ack(Kind::PubComp, theirs.pkid),
        v4::Packet::Subscribe(subscribe) => {
            let filters = subscribe.filters.into_iter().map(|f| Filter {
                filter: f.path,
                qos: f.qos as u8,
                no_local: false,
                retain_as_published: false,
                retain_handling: 0,
            });
            Packet::Subscribe {
                id: subscribe.pkid,
                filters: filters.collect(),
                properties,
            }
        }
        v4::Packet::SubAck(ack) => {
            let code = |code: &SubscribeReasonCode| match code {
                SubscribeReasonCode::Success(qos) => *qos as u8,
                SubscribeReasonCode::Failure => 0x80,
            };
            Packet::SubAck {
                id: ack.pkid,
                codes: ack.return_codes.iter().map(code).collect(),
                properties,
            }
        }
        v4::Packet::Unsubscribe(unsubscribe) => Packet::Unsubscribe {
            id: unsubscribe.pkid,
            filters: unsubscribe.topics,
            properties,
        },
        v4::Packet::UnsubAck(ack) => Packet::UnsubAck {
            id: ack.pkid,
            codes: Vec::new(),
            properties,
        },
        v4::Packet::PingReq => Packet::PingReq,
        v4::Packet::PingResp => Packet::PingResp,
        v4::Packet::Disconnect => Packet::Disconnect {
            code: 0,
            properties,
        },
    }
}

/// The return codes of CONNACK in the order of their numbers.
const RETURN_CODES: [ConnectReturnCode; 6] = [
    ConnectReturnCode::Success,
    ConnectReturnCode::RefusedProtocolVersion,
    ConnectReturnCode::BadClientId,
    ConnectReturnCode::ServiceUnavailable,
    ConnectReturnCode::BadUserNamePassword,
    ConnectReturnCode::NotAuthorized,
];

fn to_qos(qos: u8) -> rumqttc::QoS {
    rumqttc::qos(qos).expect("0, 1 or 2")
}

/// User name and password, where this codec has an empty string for none.
pub(super) fn login(connect: &Connect) -> Option<(String, String)> {
    let password = connect
        .password
        .clone()
        .map(|b| String::from_utf8(b).expect("see the gaps"));
    let none = connect.user_name.is_none() && password.is_none();
    (!none).then(|| {
        (
            connect.user_name.clone().unwrap_or_default(),
            password.unwrap_or_default(),
        )
    })
}

pub(super) fn from_login(login: Option<(String, String)>) -> (Option<String>, Option<Vec<u8>>) {
    let (user_name, password) = login.unwrap_or_default();
    (
        Some(user_name).filter(|s| !s.is_empty()),
        Some(password.into_bytes()).filter(|b| !b.is_empty()),
    )
}
