use bytes::BytesMut;
use rmqtt_codec::types::{Protocol, Publish, QoS};
use rmqtt_codec::v3::{self, Codec, SubscribeReturnCode};
use tokio_util::codec::{Decoder, Encoder};

use super::v5::{packet_id, qos};
use crate::model::{Ack, Connect, Filter, Kind, Packet, Properties, Will};

pub(super) fn encode(packet: &Packet) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    Codec::new(0)
        .encode(to(packet), &mut bytes)
        .expect("the rival encodes it");
    bytes.to_vec()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Packet, String> {
    let mut bytes = BytesMut::from(bytes);
    let (packet, _) = Codec::new(0)
        .decode(&mut bytes)
        .map_err(|e| e.to_string())?
        .ok_or("incomplete")?;
    assert!(bytes.is_empty(), "bytes are left");
    Ok(from(packet))
}

fn to(packet: &Packet) -> v3::Packet {
    match packet {
        Packet::Connect(connect) => v3::Packet::from(v3::Connect {
            protocol: Protocol(4),
            clean_session: connect.clean_start,
            keep_alive: connect.keep_alive,
            last_will: connect.will.as_ref().map(|will| v3::LastWill {
                qos: qos(will.qos),
                retain: will.retain,
                topic: will.topic.clone().into(),
                message: will.payload.clone().into(),
            }),
            client_id: connect.client_id.clone().into(),
            username: connect.user_name.clone().map(Into::into),
            password: connect.password.clone().map(Into::into),
            cert: None,
        }),
        Packet::ConnAck {
            session_present,
            code,
            ..
        } => v3::Packet::ConnectAck(v3::ConnectAck {
            return_code: (*code).try_into().expect("a return code"),
            session_present: *session_present,
        }),
        Packet::Publish(publish) => v3::Packet::Publish(Box::new(Publish {
            dup: publish.dup,
            retain: publish.retain,
            qos: qos(publish.qos),
            topic: publish.topic.clone().into(),
            packet_id: publish.id.map(packet_id),
            payload: publish.payload.clone().into(),
            properties: None,
        })),
        Packet::Ack(Ack { kind, id, .. }) => {
            let packet_id = packet_id(*id);
            match kind {
                Kind::PubAck => v3::Packet::PublishAck { packet_id },
                Kind::PubRec => v3::Packet::PublishReceived { packet_id },
                Kind::PubRel => v3::Packet::PublishRelease { packet_id },
                _ => v3::Packet::PublishComplete { packet_id },
            }
        }
        Packet::Subscribe { id, filters, .. } => v3::Packet::Subscribe {
            packet_id: packet_id(*id),
            topic_filters: filters
                .iter()
                .map(|f| (f.filter.clone().into(), qos(f.qos)))
                .collect(),
        },
        Packet::SubAck { id, codes, .. } => v3::Packet::SubscribeAck {
            packet_id: packet_id(*id),
            status: codes
                .iter()
                .map(|code| {
                    QoS::try_from(*code)
                        .map_or(SubscribeReturnCode::Failure, SubscribeReturnCode::Success)
                })
                .collect(),
        },
        Packet::Unsubscribe { id, filters, .. } => v3::Packet::Unsubscribe {
            packet_id: packet_id(*id),
            topic_filters: filters.iter().map(|f| f.clone().into()).collect(),
        },
        Packet::UnsubAck { id, .. } => v3::Packet::UnsubscribeAck {
            packet_id: packet_id(*id),
        },
        Packet::PingReq => v3::Packet::PingRequest,
        Packet::PingResp => v3::Packet::PingResponse,
        Packet::Disconnect { .. } => v3::Packet::Disconnect,
        Packet::Auth { .. } => unreachable!("3.1.1 has no AUTH"),
    }
}

fn from(packet: v3::Packet) -> Packet {
    let properties = Properties::default();
    let ack = |kind, id: std::num::NonZeroU16| {
        Packet::Ack(Ack {
            kind,
            id: id.get(),
            code: 0,
            properties: Properties::default(),
        })
    };
    match packet {
        v3::Packet::Connect(connect) => Packet::Connect(Connect {
            clean_start: connect.clean_session,
            keep_alive: connect.keep_alive,
            client_id: connect.client_id.to_string(),
            will: connect.last_will.map(|will| Will {
                topic: will.topic.to_string(),
                payload: will.message.to_vec(),
                qos: will.qos.value(),
                retain: will.retain,
                properties: Properties::default(),
            }),
            user_name: connect.username.map(|s| s.to_string()),
            password: connect.password.map(|b| b.to_vec()),
            properties,
        }),
        v3::Packet::ConnectAck(ack) => Packet::ConnAck {
            session_present: ack.session_present,
            code: ack.return_code.into(),
            properties,
        },
        v3::Packet::Publish(publish) => Packet::Publish(crate::model::Publish {
            dup: publish.dup,
            qos: publish.qos.value(),
            retain: publish.retain,
            topic: publish.topic.to_string(),
            id: publish.packet_id.map(|id| id.get()),
            payload: publish.payload.to_vec(),
            properties,
        }),
        v3::Packet::PublishAck { packet_id } => ack(Kind::PubAck, packet_id),
        v3::Packet::PublishReceived { packet_id } => ack(Kind::PubRec, packet_id),
        v3::Packet::PublishRelease { packet_id } => ack(Kind::PubRel, packet_id),
        v3::Packet::PublishComplete { packet_id } => ack(Kind::PubComp, packet_id),
        v3::Packet::Subscribe {
            packet_id,
            topic_filters,
        } => Packet::Subscribe {
            id: packet_id.get(),
            filters: topic_filters
                .into_iter()
                .map(|(filter, qos)| Filter {
                    filter: filter.to_string(),
                    qos: qos.value(),
                    no_local: false,
                    retain_as_published: false,
                    retain_handling: 0,
                })
                .collect(),
            properties,
        },
        v3::Packet::SubscribeAck { packet_id, status } => Packet::SubAck {
            id: packet_id.get(),
            codes: status
                .into_iter()
                .map(|status| match status {
                    SubscribeReturnCode::Success(qos) => qos.value(),
                    SubscribeReturnCode::Failure => 0x80,
                })
                .collect(),
            properties,
        },
        v3::Packet::Unsubscribe {
            packet_id,
            topic_filters,
        } => Packet::Unsubscribe {
            id: packet_id.get(),
            filters: topic_filters.into_iter().map(|f| f.to_string()).collect(),
            properties,
        },
        v3::Packet::UnsubscribeAck { packet_id } => Packet::UnsubAck {
            id: packet_id.get(),
            codes: Vec::new(),
            properties,
        },
        v3::Packet::PingRequest => Packet::PingReq,
        v3::Packet::PingResponse => Packet::PingResp,
        v3::Packet::Disconnect => Packet::Disconnect {
            code: 0,
            properties,
        },
    }
}
