use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::num::NonZeroU16;

use bytes::Bytes;

use super::fields::properties_len;
use crate::outbox::CHAIN_FROM;
use crate::packet::{Ack, Packet, PacketType, Publish, PublishView};
use crate::property::{Place, PropertiesRef};
use crate::{
    EncodeError, Flow, Outbox, PacketId, Properties, PropertyId, ReasonCode, Sender, VARINT_MAX,
    Version, varint,
};

/// Writes packets into an [`Outbox`]. A plain value: it holds no state between calls.
///
/// Every method computes the exact length first, checks it against the peer's maximum, and writes once. On an error nothing is
/// written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoder {
    pub(crate) version: Version,
    pub(crate) sender: Sender,
    max_packet_size: u32,
}

impl Encoder {
    /// For packets of this version that `sender` sends, of any size. CONNECT is written in its own version.
    pub const fn new(version: Version, sender: Sender) -> Self {
        Self {
            version,
            sender,
            max_packet_size: VARINT_MAX + 5,
        }
    }

    /// With a limit on the size of a packet in bytes, fixed header included: the peer's Maximum Packet Size
    /// [MQTT-3.2.2-15].
    pub const fn with_max_packet_size(self, max_packet_size: u32) -> Self {
        Self {
            max_packet_size,
            ..self
        }
    }

    /// The limit on the size of a packet in bytes.
    pub const fn max_packet_size(&self) -> u32 {
        self.max_packet_size
    }

    /// The version that packets are written in.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Appends a PUBLISH and returns its length in bytes.
    ///
    /// With an `alias` that comes with the topic, the receiver learns what it stands for (section 3.3.2.3.4).
    #[inline]
    pub fn publish(
        &self,
        publish: &Publish,
        flow: Flow,
        alias: Option<NonZeroU16>,
        out: &mut Outbox,
    ) -> Result<usize, EncodeError> {
        let parts = Parts::of(publish, flow, publish.topic().as_bytes(), alias);
        self.put_publish(&parts, out)
    }

    /// Appends a PUBLISH whose topic the receiver already knows by `alias`: the topic itself is not sent.
    pub fn publish_by_alias(
        &self,
        publish: &Publish,
        flow: Flow,
        alias: NonZeroU16,
        out: &mut Outbox,
    ) -> Result<usize, EncodeError> {
        self.put_publish(&Parts::of(publish, flow, &[], Some(alias)), out)
    }

    /// The length that [`publish`](Self::publish) would write, or the error that it would return.
    pub fn publish_len(
        &self,
        publish: &Publish,
        flow: Flow,
        alias: Option<NonZeroU16>,
    ) -> Result<usize, EncodeError> {
        let parts = Parts::of(publish, flow, publish.topic().as_bytes(), alias);
        self.publish_body_len(&parts)
            .and_then(|body| self.whole_len(body))
    }

    /// Appends PUBACK, PUBREC, PUBREL or PUBCOMP, and returns its length in bytes.
    ///
    /// A Reason String or user properties that would make it larger than the peer's maximum are left out
    /// [MQTT-3.4.2-2], [MQTT-3.4.2-3].
    #[inline]
    pub fn ack(
        &self,
        packet_type: PacketType,
        ack: &Ack,
        out: &mut Outbox,
    ) -> Result<usize, EncodeError> {
        if ack.reason == ReasonCode::SUCCESS && ack.properties.is_empty() {
            return self.ack_success(packet_type, ack.id, out);
        }
        ack.encode(packet_type, self, out)
    }

    /// The same for one that tells success and nothing else, as nearly all do: four bytes.
    #[inline(always)]
    pub fn ack_success(
        &self,
        packet_type: PacketType,
        id: PacketId,
        out: &mut Outbox,
    ) -> Result<usize, EncodeError> {
        if !matches!(packet_type as u8, 4..=7) {
            return Ack::new(id).encode(packet_type, self, out);
        }
        let [high, low] = id.get().to_be_bytes();
        let flags = if packet_type as u8 == PacketType::PubRel as u8 {
            0b0010
        } else {
            0
        };
        let bytes = [(packet_type as u8) << 4 | flags, 2, high, low];
        let len = self.whole_len(2)?;
        out.buffer(len).extend_from_slice(&bytes);
        Ok(len)
    }

    /// Appends a packet and returns its length in bytes.
    ///
    /// From CONNACK, SUBACK, UNSUBACK, DISCONNECT, AUTH and the acknowledgements of a PUBLISH, a Reason String or user properties
    /// that would make them larger than the peer's maximum are left out.
    pub fn encode(&self, packet: &Packet, out: &mut Outbox) -> Result<usize, EncodeError> {
        let packet_type = packet.packet_type();
        match packet {
            Packet::Connect(connect) => connect.encode(self, out),
            Packet::ConnAck(connack) => connack.encode(self, out),
            Packet::Publish(view) => self.put_publish(&Parts::of_view(view), out),
            Packet::PubAck(ack)
            | Packet::PubRec(ack)
            | Packet::PubRel(ack)
            | Packet::PubComp(ack) => self.ack(packet_type, ack, out),
            Packet::Subscribe(subscribe) => subscribe.encode(self, out),
            Packet::SubAck(suback) => suback.encode(self, out),
            Packet::Unsubscribe(unsubscribe) => unsubscribe.encode(self, out),
            Packet::UnsubAck(unsuback) => unsuback.encode(self, out),
            Packet::PingReq => {
                self.check_sender(packet_type, Sender::Client)?;
                self.put(packet_type, 0, 0, out, |_| {})
            }
            Packet::PingResp => {
                self.check_sender(packet_type, Sender::Server)?;
                self.put(packet_type, 0, 0, out, |_| {})
            }
            Packet::Disconnect(disconnect) => disconnect.encode(self, out),
            Packet::Auth(auth) => auth.encode(self, out),
        }
    }

    /// The length that [`encode`](Self::encode) would write, or the error that it would return.
    pub fn encoded_len(&self, packet: &Packet) -> Result<usize, EncodeError> {
        let packet_type = packet.packet_type();
        let body = match packet {
            Packet::Connect(connect) => {
                self.check_sender(packet_type, Sender::Client)?;
                connect.body_len()?
            }
            Packet::ConnAck(connack) => connack.plan(self)?.0,
            Packet::Publish(view) => self.publish_body_len(&Parts::of_view(view))?,
            Packet::PubAck(ack)
            | Packet::PubRec(ack)
            | Packet::PubRel(ack)
            | Packet::PubComp(ack) => ack.plan(packet_type, self)?.0,
            Packet::Subscribe(subscribe) => subscribe.body_len(self)?,
            Packet::SubAck(suback) => suback.plan(self)?.0,
            Packet::Unsubscribe(unsubscribe) => unsubscribe.body_len(self)?,
            Packet::UnsubAck(unsuback) => unsuback.plan(self)?.0,
            Packet::PingReq => self.check_sender(packet_type, Sender::Client).map(|()| 0)?,
            Packet::PingResp => self.check_sender(packet_type, Sender::Server).map(|()| 0)?,
            Packet::Disconnect(disconnect) => disconnect.plan(self)?.0,
            Packet::Auth(auth) => auth.plan(self)?.0,
        };
        self.whole_len(body)
    }

    #[inline]
    fn put_publish(&self, parts: &Parts<'_>, out: &mut Outbox) -> Result<usize, EncodeError> {
        let body = self.publish_body_len(parts)?;
        let len = self.whole_len(body)?;
        let copy = parts.payload.len() < CHAIN_FROM;
        let buffer = out.buffer(if copy { len } else { len - parts.payload.len() });
        let (flow_bits, id) = match parts.flow {
            Flow::AtMostOnce => (0, None),
            Flow::AtLeastOnce { id, dup } => (0b0010 | u8::from(dup) << 3, Some(id)),
            Flow::ExactlyOnce { id, dup } => (0b0100 | u8::from(dup) << 3, Some(id)),
        };
        let first = (PacketType::Publish as u8) << 4 | flow_bits | u8::from(parts.retain);
        let [high, low] = (parts.topic.len() as u16).to_be_bytes();
        // Each append to the buffer has a price: fields of a length that the compiler knows go together.
        match body {
            0..=0x7F => buffer.extend_from_slice(&[first, body as u8, high, low]),
            0x80..=0x3FFF => {
                buffer.extend_from_slice(&[first, body as u8 | 0x80, (body >> 7) as u8, high, low]);
            }
            _ => {
                buffer.push(first);
                varint::write(body as u32, buffer);
                buffer.extend_from_slice(&[high, low]);
            }
        }
        buffer.extend_from_slice(parts.topic);
        if let Some(id) = id {
            buffer.extend_from_slice(&id.get().to_be_bytes());
        }
        if self.version.is_v5() {
            let properties = parts.properties.as_bytes();
            match parts.alias {
                None if properties.is_empty() => buffer.push(0),
                None => varint::write(properties.len() as u32, buffer),
                Some(alias) => {
                    varint::write((ALIAS_LEN + properties.len()) as u32, buffer);
                    let [high, low] = alias.get().to_be_bytes();
                    buffer.extend_from_slice(&[PropertyId::TOPIC_ALIAS.get(), high, low]);
                }
            }
            if !properties.is_empty() {
                buffer.extend_from_slice(properties);
            }
        }
        if copy {
            buffer.extend_from_slice(parts.payload);
        } else {
            out.chain(parts.owner.slice_ref(parts.payload));
        }
        Ok(len)
    }

    #[inline]
    fn publish_body_len(&self, parts: &Parts<'_>) -> Result<usize, EncodeError> {
        let place = Place::Packet(PacketType::Publish);
        let mut len = 2 + parts.topic.len() + parts.payload.len();
        if !matches!(parts.flow, Flow::AtMostOnce) {
            len += 2;
        }
        let aliased = parts.alias.is_some() || parts.properties.has(PropertyId::TOPIC_ALIAS);
        if parts.topic.is_empty() && !aliased {
            return Err(EncodeError::NoTopic);
        }
        len += properties_len(self.version, parts.properties, place, self.sender)?;
        if parts.alias.is_some() {
            if !self.version.is_v5() {
                return Err(EncodeError::NotInVersion {
                    version: self.version,
                    what: "topic aliases",
                });
            }
            if parts.properties.has(PropertyId::TOPIC_ALIAS) {
                let (property, sender) = (PropertyId::TOPIC_ALIAS, self.sender);
                return Err(EncodeError::PropertyNotAllowed {
                    property,
                    packet: PacketType::Publish,
                    sender,
                });
            }
            let without = parts.properties.as_bytes().len();
            len +=
                ALIAS_LEN + varint::len((without + ALIAS_LEN) as u32) - varint::len(without as u32);
        }
        Ok(len)
    }

    /// Writes the fixed header, then the body.
    pub(crate) fn put(
        &self,
        packet_type: PacketType,
        flags: u8,
        body: usize,
        out: &mut Outbox,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<usize, EncodeError> {
        let len = self.whole_len(body)?;
        let buffer = out.buffer(len);
        let before = buffer.len();
        buffer.push((packet_type as u8) << 4 | flags);
        varint::write(body as u32, buffer);
        write(buffer);
        debug_assert_eq!(
            buffer.len() - before,
            len,
            "the length of {packet_type} was computed wrongly"
        );
        Ok(len)
    }

    /// The length with the fixed header, where the peer takes it [MQTT-3.2.2-15].
    #[inline]
    pub(crate) fn whole_len(&self, body: usize) -> Result<usize, EncodeError> {
        let too_large = |size| EncodeError::PacketTooLarge {
            size,
            max: self.max_packet_size,
        };
        match u32::try_from(body) {
            Ok(short) if short <= VARINT_MAX => {
                let size = 1 + varint::len(short) + body;
                if size <= self.max_packet_size as usize {
                    Ok(size)
                } else {
                    Err(too_large(size))
                }
            }
            _ => Err(too_large(body)),
        }
    }

    pub(crate) const fn check_sender(
        &self,
        packet: PacketType,
        only: Sender,
    ) -> Result<(), EncodeError> {
        if self.sender as u8 == only as u8 {
            Ok(())
        } else {
            Err(EncodeError::WrongSender {
                packet,
                sender: self.sender,
            })
        }
    }

    pub(crate) const fn check_reason(
        &self,
        packet: PacketType,
        code: ReasonCode,
    ) -> Result<(), EncodeError> {
        if code.allowed_in(packet, self.sender, self.version) {
            Ok(())
        } else {
            Err(EncodeError::ReasonNotAllowed {
                packet,
                sender: self.sender,
                code,
            })
        }
    }

    pub(crate) fn properties_len(
        &self,
        properties: &Properties,
        packet: PacketType,
    ) -> Result<usize, EncodeError> {
        properties_len(
            self.version,
            properties.view(),
            Place::Packet(packet),
            self.sender,
        )
    }

    /// The properties, without those that only explain where a body of `fixed` bytes beside them would be too large for the
    /// peer: user properties go first, then the Reason String.
    pub(crate) fn fitting<'p>(
        &self,
        properties: &'p Properties,
        fixed: usize,
    ) -> Cow<'p, Properties> {
        let fits = |properties: &Properties| {
            let len = properties.view().as_bytes().len();
            self.whole_len(fixed + varint::len(len as u32) + len)
                .is_ok()
        };
        if properties.is_empty() || fits(properties) {
            return Cow::Borrowed(properties);
        }
        let fewer = properties.without(&[PropertyId::USER_PROPERTY]);
        if fits(&fewer) {
            return Cow::Owned(fewer);
        }
        Cow::Owned(fewer.without(&[PropertyId::REASON_STRING]))
    }
}

/// Property identifier and value of a topic alias.
const ALIAS_LEN: usize = 3;

/// What a PUBLISH is written from.
struct Parts<'a> {
    flow: Flow,
    retain: bool,
    topic: &'a [u8],
    alias: Option<NonZeroU16>,
    properties: PropertiesRef<'a>,
    payload: &'a [u8],
    /// What shares the payload when it is too large to copy.
    owner: &'a Bytes,
}

impl<'a> Parts<'a> {
    #[inline]
    fn of(publish: &'a Publish, flow: Flow, topic: &'a [u8], alias: Option<NonZeroU16>) -> Self {
        let (payload, owner) = (publish.payload(), publish.payload_bytes());
        Self {
            flow,
            retain: publish.retain(),
            topic,
            alias,
            properties: publish.properties(),
            payload,
            owner,
        }
    }

    fn of_view(view: &'a PublishView) -> Self {
        Self {
            flow: view.flow(),
            retain: view.retain(),
            topic: view.topic().as_bytes(),
            alias: None,
            properties: view.properties(),
            payload: view.payload(),
            owner: view.frame(),
        }
    }
}
