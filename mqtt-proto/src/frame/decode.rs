use bytes::{Buf, BytesMut};

use crate::packet::{Ack, Auth, ConnAck, Connect, Disconnect, Packet, PacketType, PublishView};
use crate::packet::{SubAck, Subscribe, UnsubAck, Unsubscribe};
use crate::reader::Reader;
use crate::{DecodeError, PacketId, Sender, VARINT_MAX, Version, varint};

/// Takes packets from the front of a read buffer. A plain value: it holds no state between calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoder {
    pub(crate) version: Version,
    pub(crate) sender: Sender,
    max_packet_size: u32,
}

impl Decoder {
    /// For packets of this version that `sender` sent, of any size. CONNECT is read in the version that it names.
    pub const fn new(version: Version, sender: Sender) -> Self {
        Self {
            version,
            sender,
            max_packet_size: VARINT_MAX + 5,
        }
    }

    /// With a limit on the size of a packet in bytes, fixed header included: our own Maximum Packet Size [MQTT-3.1.2-24]. It is
    /// checked when the header is there, before the body is awaited.
    pub const fn with_max_packet_size(self, max_packet_size: u32) -> Self {
        Self {
            max_packet_size,
            ..self
        }
    }

    /// The version that packets are read in.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Takes one packet from the front of `input`, or leaves `input` alone and returns `None` where it holds no whole one yet.
    ///
    /// # Errors
    ///
    /// The bytes at the front are no packet that `sender` may send. There is no way to go on: the connection is to be closed,
    /// in 5.0 after a DISCONNECT with [`DecodeError::reason`].
    #[inline(always)]
    pub fn decode(&self, input: &mut BytesMut) -> Result<Option<Packet>, DecodeError> {
        match input.first() {
            None => Ok(None),
            // By far the most frequent, and on a path of its own: what is small is inlined.
            Some(first) if Self::begins_publish(input) => {
                // Made where the caller wants it: on its way through `?` it would be copied.
                match PublishView::decode(*first, input, self) {
                    Ok(Some(publish)) => Ok(Some(Packet::Publish(publish))),
                    Ok(None) => Ok(None),
                    Err(error) => Err(error),
                }
            }
            Some(first) => self.decode_other(*first, input),
        }
    }

    /// Takes a PUBLISH from the front of `input`, as [`decode`](Self::decode) does. `None` also where another packet stands there.
    ///
    /// For who is given many: a message that is no [`Packet`] need not be told from others, and is moved less.
    ///
    /// # Errors
    ///
    /// As for [`decode`](Self::decode), where a PUBLISH stands at the front.
    #[inline(always)]
    pub fn decode_publish(&self, input: &mut BytesMut) -> Result<Option<PublishView>, DecodeError> {
        match input.first() {
            Some(first) if Self::begins_publish(input) => PublishView::decode(*first, input, self),
            _ => Ok(None),
        }
    }

    /// Whether a PUBLISH stands at the front, whole or not.
    #[inline(always)]
    pub fn begins_publish(input: &[u8]) -> bool {
        input
            .first()
            .is_some_and(|first| first >> 4 == PacketType::Publish as u8)
    }

    /// Takes a PUBACK, PUBREC, PUBREL or PUBCOMP from the front of `input` that tells success in four bytes, without reason code and properties.
    /// `None` where something else stands there.
    #[inline(always)]
    pub fn decode_ack_success(&self, input: &mut BytesMut) -> Option<(PacketType, PacketId)> {
        let [first @ (0x40 | 0x50 | 0x62 | 0x70), 2, high, low, ..] = **input else {
            return None;
        };
        let id = PacketId::new(u16::from_be_bytes([high, low]))?;
        if self.max_packet_size < 4 {
            return None;
        }
        // Nothing of the frame is kept.
        input.advance(4);
        let packet_type = match first {
            0x40 => PacketType::PubAck,
            0x50 => PacketType::PubRec,
            0x62 => PacketType::PubRel,
            _ => PacketType::PubComp,
        };
        Some((packet_type, id))
    }

    /// The length of the fixed header and of the whole packet, where both are there.
    #[inline(always)]
    pub(crate) fn frame(&self, input: &[u8]) -> Result<Option<(usize, usize)>, DecodeError> {
        let Some((len, len_len)) = varint::read(input.get(1..).unwrap_or_default())? else {
            return Ok(None);
        };
        let header = 1 + len_len;
        let size = header as u32 + len;
        if size > self.max_packet_size {
            return Err(DecodeError::PacketTooLarge {
                size,
                max: self.max_packet_size,
            });
        }
        let size = size as usize;
        Ok((input.len() >= size).then_some((header, size)))
    }

    fn decode_other(&self, first: u8, input: &mut BytesMut) -> Result<Option<Packet>, DecodeError> {
        if let Some((packet_type, id)) = self.decode_ack_success(input) {
            return Ok(Some(ack(packet_type, Ack::new(id))));
        }
        let packet_type = self.other_type(first)?;
        let Some((header, size)) = self.frame(input)? else {
            return Ok(None);
        };
        self.decode_body(packet_type, input.split_to(size), header)
    }

    fn decode_body(
        &self,
        packet_type: PacketType,
        frame: BytesMut,
        header: usize,
    ) -> Result<Option<Packet>, DecodeError> {
        let frame = frame.freeze();
        let mut r = Reader::new(&frame, header);
        let packet = match packet_type {
            PacketType::Connect => Packet::Connect(Connect::decode(&frame, &mut r)?.into()),
            PacketType::ConnAck => Packet::ConnAck(ConnAck::decode(&frame, &mut r, self)?),
            PacketType::PubAck | PacketType::PubRec | PacketType::PubRel | PacketType::PubComp => {
                ack(packet_type, Ack::decode(packet_type, &frame, &mut r, self)?)
            }
            PacketType::Subscribe => Packet::Subscribe(Subscribe::decode(&frame, &mut r, self)?),
            PacketType::SubAck => Packet::SubAck(SubAck::decode(&frame, &mut r, self)?),
            PacketType::Unsubscribe => {
                Packet::Unsubscribe(Unsubscribe::decode(&frame, &mut r, self)?)
            }
            PacketType::UnsubAck => Packet::UnsubAck(UnsubAck::decode(&frame, &mut r, self)?),
            PacketType::PingReq => Packet::PingReq,
            PacketType::PingResp => Packet::PingResp,
            PacketType::Disconnect => Packet::Disconnect(Disconnect::decode(&frame, &mut r, self)?),
            PacketType::Auth => Packet::Auth(Auth::decode(&frame, &mut r, self)?),
            PacketType::Publish => {
                let publish = PublishView::decode(frame[0], &mut BytesMut::from(frame), self)?;
                return Ok(publish.map(Packet::Publish));
            }
        };
        r.expect_empty(packet_type)?;
        Ok(Some(packet))
    }

    /// Type and flags of the first byte: wrong ones are found before a length is awaited.
    fn other_type(&self, first: u8) -> Result<PacketType, DecodeError> {
        use PacketType as P;
        let v5 = self.version.is_v5();
        let unknown = DecodeError::UnknownType {
            packet_type: first >> 4,
            version: self.version,
        };
        let packet = P::from_u8(first >> 4).ok_or(unknown)?;
        let may_send = match packet {
            P::Publish | P::PubAck | P::PubRec | P::PubRel | P::PubComp => true,
            P::Connect | P::Subscribe | P::Unsubscribe | P::PingReq => {
                self.sender == Sender::Client
            }
            P::ConnAck | P::SubAck | P::UnsubAck | P::PingResp => self.sender == Sender::Server,
            P::Disconnect => v5 || self.sender == Sender::Client,
            P::Auth if v5 => true,
            P::Auth => return Err(unknown),
        };
        if !may_send {
            return Err(DecodeError::WrongSender {
                packet,
                sender: self.sender,
            });
        }
        // [MQTT-2.1.3-1], [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1]
        let flags = first & 0x0F;
        let wanted = match packet {
            P::PubRel | P::Subscribe | P::Unsubscribe => 0b0010,
            _ => 0,
        };
        let dup_in_3_1 = self.version == Version::V3_1 && wanted != 0 && flags == 0b1010;
        if flags != wanted && !dup_in_3_1 {
            return Err(DecodeError::BadFlags { packet, flags });
        }
        Ok(packet)
    }
}

const fn ack(packet_type: PacketType, ack: Ack) -> Packet {
    match packet_type {
        PacketType::PubAck => Packet::PubAck(ack),
        PacketType::PubRec => Packet::PubRec(ack),
        PacketType::PubRel => Packet::PubRel(ack),
        _ => Packet::PubComp(ack),
    }
}
