use alloc::borrow::Cow;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::frame::{Fields, put_properties};
use crate::property::{Place, Properties};
use crate::reader::Reader;
use crate::{
    DecodeError, Decoder, EncodeError, Encoder, Outbox, PacketId, PacketType, ReasonCode, Sender,
};

/// SUBACK (section 3.9): the answer to SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubAck {
    /// The packet identifier of the SUBSCRIBE.
    pub id: PacketId,
    /// One code for each filter, in their order: the granted QoS, or a failure.
    pub codes: Vec<ReasonCode>,
    /// The properties, in 5.0.
    pub properties: Properties,
}

/// UNSUBACK (section 3.11): the answer to UNSUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsubAck {
    /// The packet identifier of the UNSUBSCRIBE.
    pub id: PacketId,
    /// One code for each filter, in their order. Empty in 3.x, which has none.
    pub codes: Vec<ReasonCode>,
    /// The properties, in 5.0.
    pub properties: Properties,
}

type Parts = (PacketId, Vec<ReasonCode>, Properties);

fn decode<'f>(
    packet: PacketType,
    frame: &'f Bytes,
    r: &mut Reader<'f>,
    decoder: &Decoder,
) -> Result<Parts, DecodeError> {
    let id = r.packet_id()?;
    let properties =
        Fields { frame, r }.properties(decoder.version, Place::Packet(packet), decoder.sender)?;
    // UNSUBACK of 3.x ends here.
    if packet == PacketType::UnsubAck && !decoder.version.is_v5() {
        return Ok((id, Vec::new(), properties));
    }
    let (sender, version) = (decoder.sender, decoder.version);
    let mut codes = Vec::new();
    for code in r.rest().iter().copied() {
        // [MQTT-3.9.3-2], [MQTT-3.11.3-2]
        if !ReasonCode(code).allowed_in(packet, sender, version) {
            return Err(DecodeError::BadReasonCode {
                packet,
                sender,
                code,
            });
        }
        codes.push(ReasonCode(code));
    }
    if codes.is_empty() {
        Err(DecodeError::NoEntries { packet })
    } else {
        Ok((id, codes, properties))
    }
}

fn plan<'p>(
    packet: PacketType,
    codes: &[ReasonCode],
    properties: &'p Properties,
    encoder: &Encoder,
) -> Result<(usize, Cow<'p, Properties>), EncodeError> {
    encoder.check_sender(packet, Sender::Server)?;
    if packet == PacketType::UnsubAck && !encoder.version.is_v5() {
        if !codes.is_empty() {
            let what = "reason codes in UNSUBACK";
            return Err(EncodeError::NotInVersion {
                version: encoder.version,
                what,
            });
        }
    } else if codes.is_empty() {
        return Err(EncodeError::NoEntries { packet });
    }
    codes
        .iter()
        .try_for_each(|code| encoder.check_reason(packet, *code))?;
    let fixed = 2 + codes.len();
    encoder.properties_len(properties, packet)?;
    let properties = encoder.fitting(properties, fixed);
    Ok((
        fixed + encoder.properties_len(&properties, packet)?,
        properties,
    ))
}

fn encode(
    packet: PacketType,
    (id, codes): (PacketId, &[ReasonCode]),
    (body, properties): (usize, Cow<'_, Properties>),
    encoder: &Encoder,
    out: &mut Outbox,
) -> Result<usize, EncodeError> {
    encoder.put(packet, 0, body, out, |out| {
        out.extend_from_slice(&id.get().to_be_bytes());
        put_properties(encoder.version, properties.view(), out);
        out.extend(codes.iter().map(|code| code.0));
    })
}

macro_rules! both {
    ($($name:ident),*) => {$(
        impl $name {
            pub(crate) fn decode<'f>(
                frame: &'f Bytes,
                r: &mut Reader<'f>,
                decoder: &Decoder,
            ) -> Result<Self, DecodeError> {
                let (id, codes, properties) = decode(PacketType::$name, frame, r, decoder)?;
                Ok(Self { id, codes, properties })
            }

            pub(crate) fn plan(&self, encoder: &Encoder) -> Result<(usize, Cow<'_, Properties>), EncodeError> {
                plan(PacketType::$name, &self.codes, &self.properties, encoder)
            }

            pub(crate) fn encode(&self, encoder: &Encoder, out: &mut Outbox) -> Result<usize, EncodeError> {
                let plan = self.plan(encoder)?;
                encode(PacketType::$name, (self.id, &self.codes), plan, encoder, out)
            }
        }
    )*};
}

both!(SubAck, UnsubAck);
