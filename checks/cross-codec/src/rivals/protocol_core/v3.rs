use mqtt_protocol_core::mqtt::connection::{PacketData, RawPacket};
use mqtt_protocol_core::mqtt::packet::v3_1_1 as theirs;
use mqtt_protocol_core::mqtt::packet::{SubEntry, SubOpts};
use mqtt_protocol_core::mqtt::result_code::{ConnectReturnCode, MqttError, SubackReturnCode};

use super::qos;
use crate::model::*;

pub(super) fn encode(packet: &Packet) -> Vec<u8> {
    to(packet).expect("the rival encodes it")
}

fn to(packet: &Packet) -> Result<Vec<u8>, MqttError> {
    Ok(match packet {
        Packet::Connect(connect) => {
            let mut builder = theirs::Connect::builder()
                .client_id(&connect.client_id)?
                .clean_session(connect.clean_start)
                .keep_alive(connect.keep_alive);
            if let Some(will) = &connect.will {
                builder =
                    builder.will_message(&will.topic, &will.payload, qos(will.qos), will.retain)?;
            }
            if let Some(user_name) = &connect.user_name {
                builder = builder.user_name(user_name)?;
            }
            if let Some(password) = &connect.password {
                builder = builder.password(password)?;
            }
            builder.build()?.to_continuous_buffer()
        }
        Packet::ConnAck {
            session_present,
            code,
            ..
        } => theirs::Connack::builder()
            .session_present(*session_present)
            .return_code(ConnectReturnCode::try_from(*code).expect("a return code"))
            .build()?
            .to_continuous_buffer(),
        Packet::Publish(publish) => {
            let builder = theirs::Publish::builder()
                .topic_name(&publish.topic)?
                .qos(qos(publish.qos))
                .dup(publish.dup)
                .retain(publish.retain)
                .payload(&publish.payload);
            match publish.id {
                Some(id) => builder.packet_id(id).build()?.to_continuous_buffer(),
                None => builder.build()?.to_continuous_buffer(),
            }
        }
        Packet::Ack(Ack { kind, id, .. }) => match kind {
            Kind::PubAck => theirs::Puback::builder()
                .packet_id(*id)
                .build()?
                .to_continuous_buffer(),
            Kind::PubRec => theirs::Pubrec::builder()
                .packet_id(*id)
                .build()?
                .to_continuous_buffer(),
            Kind::PubRel => theirs::Pubrel::builder()
                .packet_id(*id)
                .build()?
                .to_continuous_buffer(),
            _ => theirs::Pubcomp::builder()
                .packet_id(*id)
                .build()?
                .to_continuous_buffer(),
        },
        Packet::Subscribe { id, filters, .. } => {
            let entries = filters
                .iter()
                .map(|f| SubEntry::new(&f.filter, SubOpts::new().set_qos(qos(f.qos))));
            let entries = entries.collect::<Result<Vec<_>, _>>()?;
            theirs::Subscribe::builder()
                .packet_id(*id)
                .entries(entries)
                .build()?
                .to_continuous_buffer()
        }
        Packet::SubAck { id, codes, .. } => {
            let codes = codes
                .iter()
                .map(|code| SubackReturnCode::try_from(*code).expect("a return code"));
            theirs::Suback::builder()
                .packet_id(*id)
                .return_codes(codes.collect())
                .build()?
                .to_continuous_buffer()
        }
        Packet::Unsubscribe { id, filters, .. } => theirs::Unsubscribe::builder()
            .packet_id(*id)
            .entries(filters)?
            .build()?
            .to_continuous_buffer(),
        Packet::UnsubAck { id, .. } => theirs::Unsuback::builder()
            .packet_id(*id)
            .build()?
            .to_continuous_buffer(),
        Packet::PingReq => theirs::Pingreq::builder().build()?.to_continuous_buffer(),
        Packet::PingResp => theirs::Pingresp::builder().build()?.to_continuous_buffer(),
        Packet::Disconnect { .. } => theirs::Disconnect::builder()
            .build()?
            .to_continuous_buffer(),
        Packet::Auth { .. } => unreachable!("3.1.1 has no AUTH"),
    })
}

pub(super) fn decode(raw: &RawPacket) -> Result<Packet, MqttError> {
    let properties = Properties::default();
    let ack = |kind, id| {
        Packet::Ack(Ack {
            kind,
            id,
            code: 0,
            properties: Properties::default(),
        })
    };
    Ok(match raw.packet_type() {
        1 => Packet::Connect(from_connect(&raw.parse_exact(theirs::Connect::parse)?)),
        2 => {
            let connack = raw.parse_exact(theirs::Connack::parse)?;
            Packet::ConnAck {
                session_present: connack.session_present(),
                code: connack.return_code() as u8,
                properties,
            }
        }
        3 => {
            let PacketData::Publish(body) = &raw.data else {
                unreachable!("it is a PUBLISH")
            };
            let (publish, consumed) = theirs::Publish::parse(raw.flags(), body.clone())?;
            assert_eq!(consumed, body.len(), "bytes are left");
            Packet::Publish(Publish {
                dup: publish.dup(),
                qos: publish.qos() as u8,
                retain: publish.retain(),
                topic: publish.topic_name().to_owned(),
                id: publish.packet_id(),
                payload: publish.payload().as_slice().to_vec(),
                properties,
            })
        }
        4 => ack(
            Kind::PubAck,
            raw.parse_exact(theirs::Puback::parse)?.packet_id(),
        ),
        5 => ack(
            Kind::PubRec,
            raw.parse_exact(theirs::Pubrec::parse)?.packet_id(),
        ),
        6 => ack(
            Kind::PubRel,
            raw.parse_exact(theirs::Pubrel::parse)?.packet_id(),
        ),
        7 => ack(
            Kind::PubComp,
            raw.parse_exact(theirs::Pubcomp::parse)?.packet_id(),
        ),
        8 => {
            let subscribe = raw.parse_exact(theirs::Subscribe::parse)?;
            let filters = subscribe.entries().iter().map(|entry| Filter {
                filter: entry.topic_filter().to_owned(),
                qos: entry.sub_opts().qos() as u8,
                no_local: false,
                retain_as_published: false,
                retain_handling: 0,
            });
            Packet::Subscribe {
                id: subscribe.packet_id(),
                filters: filters.collect(),
                properties,
            }
        }
        9 => {
            let suback = raw.parse_exact(theirs::Suback::parse)?;
            let codes = suback
                .return_codes()
                .into_iter()
                .map(|code| code as u8)
                .collect();
            Packet::SubAck {
                id: suback.packet_id(),
                codes,
                properties,
            }
        }
        10 => {
            let unsubscribe = raw.parse_exact(theirs::Unsubscribe::parse)?;
            let filters = unsubscribe
                .entries()
                .iter()
                .map(|filter| filter.as_str().to_owned())
                .collect();
            Packet::Unsubscribe {
                id: unsubscribe.packet_id(),
                filters,
                properties,
            }
        }
        11 => {
            let id = raw.parse_exact(theirs::Unsuback::parse)?.packet_id();
            Packet::UnsubAck {
                id,
                codes: Vec::new(),
                properties,
            }
        }
        12 => raw
            .parse_exact(theirs::Pingreq::parse)
            .map(|_| Packet::PingReq)?,
        13 => raw
            .parse_exact(theirs::Pingresp::parse)
            .map(|_| Packet::PingResp)?,
        14 => raw
            .parse_exact(theirs::Disconnect::parse)
            .map(|_| Packet::Disconnect {
                code: 0,
                properties,
            })?,
        other => panic!("our encoder wrote packet type {other}"),
    })
}

fn from_connect(connect: &theirs::Connect) -> Connect {
    Connect {
        clean_start: connect.clean_session(),
        keep_alive: connect.keep_alive(),
        client_id: connect.client_id().to_owned(),
        will: connect.will_flag().then(|| Will {
            topic: connect.will_topic().expect("a will has a topic").to_owned(),
            payload: connect
                .will_payload()
                .expect("a will has a payload")
                .to_vec(),
            qos: connect.will_qos() as u8,
            retain: connect.will_retain(),
            properties: Properties::default(),
        }),
        user_name: connect.user_name().map(str::to_owned),
        password: connect.password().map(<[u8]>::to_vec),
        properties: Properties::default(),
    }
}
