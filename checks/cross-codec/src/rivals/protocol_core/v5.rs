use mqtt_protocol_core::mqtt::connection::{PacketData, RawPacket};
use mqtt_protocol_core::mqtt::packet::v5_0 as theirs;
use mqtt_protocol_core::mqtt::packet::{RetainHandling, SubEntry, SubOpts};
use mqtt_protocol_core::mqtt::result_code::{
    AuthReasonCode, ConnectReasonCode, DisconnectReasonCode, MqttError, PubackReasonCode,
    PubcompReasonCode, PubrecReasonCode, PubrelReasonCode, SubackReasonCode, UnsubackReasonCode,
};

use super::{properties, qos};
use crate::model::*;

const CODE: &str = "a reason code";

pub(super) fn encode(packet: &Packet) -> Vec<u8> {
    to(packet).expect("the rival encodes it")
}

fn to(packet: &Packet) -> Result<Vec<u8>, MqttError> {
    Ok(match packet {
        Packet::Connect(connect) => {
            let mut builder = theirs::Connect::builder()
                .client_id(&connect.client_id)?
                .clean_start(connect.clean_start)
                .keep_alive(connect.keep_alive)
                .props(properties::to(&connect.properties));
            if let Some(will) = &connect.will {
                builder = builder
                    .will_message(&will.topic, &will.payload, qos(will.qos), will.retain)?
                    .will_props(properties::to(&will.properties));
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
            properties,
        } => theirs::Connack::builder()
            .session_present(*session_present)
            .reason_code(ConnectReasonCode::try_from(*code).expect(CODE))
            .props(properties::to(properties))
            .build()?
            .to_continuous_buffer(),
        Packet::Publish(publish) => {
            let builder = theirs::Publish::builder()
                .topic_name(&publish.topic)?
                .qos(qos(publish.qos))
                .dup(publish.dup)
                .retain(publish.retain)
                .payload(&publish.payload)
                .props(properties::to(&publish.properties));
            match publish.id {
                Some(id) => builder.packet_id(id).build()?.to_continuous_buffer(),
                None => builder.build()?.to_continuous_buffer(),
            }
        }
        Packet::Ack(ack) => to_ack(ack)?,
        Packet::Subscribe {
            id,
            filters,
            properties,
        } => {
            let entries = filters.iter().map(|f| {
                let options = SubOpts::new()
                    .set_qos(qos(f.qos))
                    .set_nl(f.no_local)
                    .set_rap(f.retain_as_published)
                    .set_rh(RetainHandling::try_from(f.retain_handling).expect("0, 1 or 2"));
                SubEntry::new(&f.filter, options)
            });
            let entries = entries.collect::<Result<Vec<_>, _>>()?;
            let builder = theirs::Subscribe::builder().packet_id(*id).entries(entries);
            builder
                .props(properties::to(properties))
                .build()?
                .to_continuous_buffer()
        }
        Packet::SubAck {
            id,
            codes,
            properties,
        } => {
            let codes = codes
                .iter()
                .map(|code| SubackReasonCode::try_from(*code).expect(CODE))
                .collect();
            let builder = theirs::Suback::builder().packet_id(*id).reason_codes(codes);
            builder
                .props(properties::to(properties))
                .build()?
                .to_continuous_buffer()
        }
        Packet::Unsubscribe {
            id,
            filters,
            properties,
        } => {
            let builder = theirs::Unsubscribe::builder()
                .packet_id(*id)
                .entries(filters)?;
            builder
                .props(properties::to(properties))
                .build()?
                .to_continuous_buffer()
        }
        Packet::UnsubAck {
            id,
            codes,
            properties,
        } => {
            let codes = codes
                .iter()
                .map(|code| UnsubackReasonCode::try_from(*code).expect(CODE))
                .collect();
            let builder = theirs::Unsuback::builder()
                .packet_id(*id)
                .reason_codes(codes);
            builder
                .props(properties::to(properties))
                .build()?
                .to_continuous_buffer()
        }
        Packet::PingReq => theirs::Pingreq::builder().build()?.to_continuous_buffer(),
        Packet::PingResp => theirs::Pingresp::builder().build()?.to_continuous_buffer(),
        Packet::Disconnect { code, properties } => theirs::Disconnect::builder()
            .reason_code(DisconnectReasonCode::try_from(*code).expect(CODE))
            .props(properties::to(properties))
            .build()?
            .to_continuous_buffer(),
        Packet::Auth { code, properties } => theirs::Auth::builder()
            .reason_code(AuthReasonCode::try_from(*code).expect(CODE))
            .props(properties::to(properties))
            .build()?
            .to_continuous_buffer(),
    })
}

macro_rules! ack {
    ($packet:ident, $code:ident, $ack:expr) => {
        theirs::$packet::builder()
            .packet_id($ack.id)
            .reason_code($code::try_from($ack.code).expect(CODE))
            .props(properties::to(&$ack.properties))
            .build()?
            .to_continuous_buffer()
    };
}

fn to_ack(ack: &Ack) -> Result<Vec<u8>, MqttError> {
    Ok(match ack.kind {
        Kind::PubAck => ack!(Puback, PubackReasonCode, ack),
        Kind::PubRec => ack!(Pubrec, PubrecReasonCode, ack),
        Kind::PubRel => ack!(Pubrel, PubrelReasonCode, ack),
        _ => ack!(Pubcomp, PubcompReasonCode, ack),
    })
}

macro_rules! from_ack {
    ($packet:ident, $kind:ident, $raw:expr) => {{
        let ack = $raw.parse_exact(theirs::$packet::parse)?;
        Packet::Ack(Ack {
            kind: Kind::$kind,
            id: ack.packet_id(),
            code: ack.reason_code().map_or(0, |code| code as u8),
            properties: ack
                .props()
                .as_ref()
                .map_or_else(Properties::default, |p| properties::from(p)),
        })
    }};
}

pub(super) fn decode(raw: &RawPacket) -> Result<Packet, MqttError> {
    Ok(match raw.packet_type() {
        1 => Packet::Connect(from_connect(&raw.parse_exact(theirs::Connect::parse)?)),
        2 => {
            let connack = raw.parse_exact(theirs::Connack::parse)?;
            Packet::ConnAck {
                session_present: connack.session_present(),
                code: connack.reason_code() as u8,
                properties: properties::from(connack.props()),
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
                properties: properties::from(publish.props()),
            })
        }
        4 => from_ack!(Puback, PubAck, raw),
        5 => from_ack!(Pubrec, PubRec, raw),
        6 => from_ack!(Pubrel, PubRel, raw),
        7 => from_ack!(Pubcomp, PubComp, raw),
        8 => {
            let subscribe = raw.parse_exact(theirs::Subscribe::parse)?;
            let filters = subscribe.entries().iter().map(|entry| Filter {
                filter: entry.topic_filter().to_owned(),
                qos: entry.sub_opts().qos() as u8,
                no_local: entry.sub_opts().nl(),
                retain_as_published: entry.sub_opts().rap(),
                retain_handling: entry.sub_opts().rh() as u8,
            });
            let properties = properties::from(subscribe.props());
            Packet::Subscribe {
                id: subscribe.packet_id(),
                filters: filters.collect(),
                properties,
            }
        }
        9 => {
            let suback = raw.parse_exact(theirs::Suback::parse)?;
            let codes = suback
                .reason_codes()
                .into_iter()
                .map(|code| code as u8)
                .collect();
            Packet::SubAck {
                id: suback.packet_id(),
                codes,
                properties: properties::from(suback.props()),
            }
        }
        10 => {
            let unsubscribe = raw.parse_exact(theirs::Unsubscribe::parse)?;
            let filters = unsubscribe
                .entries()
                .iter()
                .map(|filter| filter.as_str().to_owned())
                .collect();
            let properties = properties::from(unsubscribe.props());
            Packet::Unsubscribe {
                id: unsubscribe.packet_id(),
                filters,
                properties,
            }
        }
        11 => {
            let unsuback = raw.parse_exact(theirs::Unsuback::parse)?;
            let codes = unsuback
                .reason_codes()
                .into_iter()
                .map(|code| code as u8)
                .collect();
            Packet::UnsubAck {
                id: unsuback.packet_id(),
                codes,
                properties: properties::from(unsuback.props()),
            }
        }
        12 => raw
            .parse_exact(theirs::Pingreq::parse)
            .map(|_| Packet::PingReq)?,
        13 => raw
            .parse_exact(theirs::Pingresp::parse)
            .map(|_| Packet::PingResp)?,
        14 => {
            let disconnect = raw.parse_exact(theirs::Disconnect::parse)?;
            Packet::Disconnect {
                code: disconnect.reason_code().map_or(0, |code| code as u8),
                properties: disconnect
                    .props()
                    .as_ref()
                    .map_or_else(Properties::default, |p| properties::from(p)),
            }
        }
        15 => {
            let auth = raw.parse_exact(theirs::Auth::parse)?;
            Packet::Auth {
                code: auth.reason_code().map_or(0, |code| code as u8),
                properties: auth
                    .props()
                    .as_ref()
                    .map_or_else(Properties::default, |p| properties::from(p)),
            }
        }
        other => panic!("our encoder wrote packet type {other}"),
    })
}

fn from_connect(connect: &theirs::Connect) -> Connect {
    Connect {
        clean_start: connect.clean_start(),
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
            properties: properties::from(connect.will_props()),
        }),
        user_name: connect.user_name().map(str::to_owned),
        password: connect.password().map(<[u8]>::to_vec),
        properties: properties::from(connect.props()),
    }
}
