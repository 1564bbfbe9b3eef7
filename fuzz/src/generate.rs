//! Packets out of an unstructured input.

use std::num::NonZeroU16;

use arbitrary::Unstructured;
use mqtt_proto::{
    Ack, Auth, ConnAck, Connect, Disconnect, Flow, Packet, PacketId, PacketType, Properties,
    Publish, QoS, ReasonCode, RetainHandling, Sender, SubAck, Subscribe, SubscribeOptions,
    UnsubAck, Unsubscribe, Version, Will,
};

use crate::Codec;
use crate::generate::values::Values;
use crate::reference::Place;

mod values;

/// What shall be written.
pub(crate) struct Case {
    pub(crate) codec: Codec,
    /// Whether rules may be broken.
    pub(crate) wild: bool,
    /// A maximum packet size.
    pub(crate) limit: Option<u32>,
    pub(crate) item: Item,
}

pub(crate) enum Item {
    Packet(Packet),
    Publish(Delivery),
}

/// A message on its way: what `Encoder::publish` is given.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Publish,
    pub(crate) flow: Flow,
    pub(crate) alias: Option<NonZeroU16>,
    /// The alias alone, without the topic.
    pub(crate) by_alias: bool,
}

/// The first bytes choose packet type, version, sender and limit, and whether rules may be broken; the rest fills the fields.
pub(crate) fn case(data: &[u8]) -> Case {
    let mut u = Unstructured::new(data);
    let mut byte = || u.arbitrary::<u8>().unwrap_or(0);
    let packet_type = PacketType::ALL[usize::from(byte()) % PacketType::ALL.len()];
    let mut codec = Codec::ALL[usize::from(byte()) % Codec::ALL.len()];
    let wild = byte() % 4 == 3;
    let limit = match byte() {
        0..=127 => None,
        128..=223 => Some(u32::from(byte())),
        _ => Some(u32::from(byte()) << 8 | u32::from(byte())),
    };
    if !wild && !codec.may_send(packet_type) {
        codec = *Codec::ALL
            .iter()
            .rfind(|other| other.may_send(packet_type))
            .expect("somebody sends every packet");
    }
    let mut values = Values { u, codec, wild };
    let item = values.item(packet_type);
    Case {
        codec,
        wild,
        limit,
        item,
    }
}

impl Values<'_> {
    fn item(&mut self, packet_type: PacketType) -> Item {
        Item::Packet(match packet_type {
            PacketType::Publish => return Item::Publish(self.delivery()),
            PacketType::Connect => Packet::Connect(self.connect().into()),
            PacketType::ConnAck => Packet::ConnAck(self.connack()),
            PacketType::PubAck => Packet::PubAck(self.ack(packet_type)),
            PacketType::PubRec => Packet::PubRec(self.ack(packet_type)),
            PacketType::PubRel => Packet::PubRel(self.ack(packet_type)),
            PacketType::PubComp => Packet::PubComp(self.ack(packet_type)),
            PacketType::Subscribe => Packet::Subscribe(self.subscribe()),
            PacketType::SubAck => {
                let (id, codes, properties) = self.codes(packet_type);
                Packet::SubAck(SubAck {
                    id,
                    codes,
                    properties,
                })
            }
            PacketType::Unsubscribe => Packet::Unsubscribe(Unsubscribe {
                id: self.packet_id(),
                filters: (0..self.entries()).map(|_| self.filter()).collect(),
                properties: self.properties(Place::Packet(packet_type)),
            }),
            PacketType::UnsubAck => {
                let (id, codes, properties) = self.codes(packet_type);
                Packet::UnsubAck(UnsubAck {
                    id,
                    codes,
                    properties,
                })
            }
            PacketType::PingReq => Packet::PingReq,
            PacketType::PingResp => Packet::PingResp,
            PacketType::Disconnect => Packet::Disconnect(Disconnect {
                reason: self.reason(packet_type),
                properties: self.properties(Place::Packet(packet_type)),
            }),
            PacketType::Auth => Packet::Auth(Auth {
                reason: self.reason(packet_type),
                properties: self.properties(Place::Packet(packet_type)),
            }),
        })
    }

    fn delivery(&mut self) -> Delivery {
        let v5 = self.codec.version == Version::V5;
        let id = self.packet_id();
        let dup = self.flag();
        let flow = match self.qos() {
            QoS::AtMostOnce => Flow::AtMostOnce,
            QoS::AtLeastOnce => Flow::AtLeastOnce { id, dup },
            QoS::ExactlyOnce => Flow::ExactlyOnce { id, dup },
        };
        let mut properties = self.properties(Place::Packet(PacketType::Publish));
        let alias = NonZeroU16::new(self.two()).filter(|_| v5 || self.wild);
        if alias.is_some() && !self.wild && properties.view().topic_alias().is_some() {
            properties = Properties::new();
        }
        Delivery {
            message: Publish::new(self.topic(), self.payload())
                .with_retain(self.flag())
                .with_properties(properties),
            flow,
            alias,
            by_alias: alias.is_some() && self.flag(),
        }
    }

    fn connect(&mut self) -> Connect {
        let version = self.codec.version;
        let mut client_id = self.text();
        let mut clean_start = self.flag();
        if !self.wild && version == Version::V3_1 {
            let short: String = client_id.as_str().chars().take(22).chain(['i']).collect();
            client_id = short.try_into().expect("a part of a text");
        }
        if !self.wild && version == Version::V3_1_1 && client_id.is_empty() {
            clean_start = true;
        }
        let user_name = self.flag().then(|| self.text());
        let may_have_password = self.wild || version == Version::V5 || user_name.is_some();
        Connect {
            version,
            client_id,
            clean_start,
            keep_alive: self.two(),
            will: self.flag().then(|| self.will()),
            password: (may_have_password && self.flag()).then(|| self.binary()),
            user_name,
            properties: self.properties(Place::Packet(PacketType::Connect)),
        }
    }

    fn will(&mut self) -> Will {
        Will {
            topic: self.topic(),
            payload: self.binary(),
            qos: self.qos(),
            retain: self.flag(),
            properties: self.properties(Place::Will),
        }
    }

    fn connack(&mut self) -> ConnAck {
        let reason = self.reason(PacketType::ConnAck);
        let may_be_present =
            reason == ReasonCode::SUCCESS && self.codec.version != Version::V3_1 || self.wild;
        ConnAck {
            session_present: may_be_present && self.flag(),
            reason,
            properties: self.properties(Place::Packet(PacketType::ConnAck)),
        }
    }

    fn ack(&mut self, packet_type: PacketType) -> Ack {
        Ack {
            id: self.packet_id(),
            reason: self.reason(packet_type),
            properties: self.properties(Place::Packet(packet_type)),
        }
    }

    fn codes(&mut self, packet_type: PacketType) -> (PacketId, Vec<ReasonCode>, Properties) {
        let none = packet_type == PacketType::UnsubAck && self.codec.version != Version::V5;
        let count = if none && !self.wild {
            0
        } else {
            self.entries()
        };
        (
            self.packet_id(),
            (0..count).map(|_| self.reason(packet_type)).collect(),
            self.properties(Place::Packet(packet_type)),
        )
    }

    fn subscribe(&mut self) -> Subscribe {
        let v5 = self.codec.version == Version::V5;
        let mut filters = Vec::new();
        for _ in 0..self.entries() {
            let filter = self.filter();
            let mut options = SubscribeOptions::new(self.qos());
            if v5 || self.wild {
                let shared = filter.share_name().is_some();
                options.no_local = self.flag() && (!shared || self.wild);
                options.retain_as_published = self.flag();
                options.retain_handling = match self.byte() % 3 {
                    0 => RetainHandling::Send,
                    1 => RetainHandling::SendIfNew,
                    _ => RetainHandling::DoNotSend,
                };
            }
            filters.push((filter, options));
        }
        Subscribe {
            id: self.packet_id(),
            filters,
            properties: self.properties(Place::Packet(PacketType::Subscribe)),
        }
    }

    /// Any code where rules may be broken, else one that the packet may carry.
    fn reason(&mut self, packet: PacketType) -> ReasonCode {
        let Codec { version, sender } = self.codec;
        let code = self.byte();
        if self.wild && code.is_multiple_of(4) {
            return ReasonCode(code);
        }
        let codes = ReasonCode::ALL;
        let mut from_there = codes
            .iter()
            .cycle()
            .skip(usize::from(code))
            .take(codes.len());
        let allowed = from_there.find(|code| code.allowed_in(packet, sender, version));
        allowed.copied().unwrap_or_default()
    }

    fn entries(&mut self) -> usize {
        let least = usize::from(!self.wild);
        least + usize::from(self.byte() % 5)
    }

    pub(crate) fn sender(&self) -> Sender {
        self.codec.sender
    }
}
