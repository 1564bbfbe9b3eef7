use alloc::borrow::Cow;

use bytes::Bytes;

use crate::frame::{Fields, put_properties};
use crate::property::{Place, Properties};
use crate::reader::Reader;
use crate::{DecodeError, Decoder, EncodeError, Encoder, Outbox, PacketId, PacketType, ReasonCode};

/// PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7), which differ in their type alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The packet identifier of the PUBLISH that this belongs to [MQTT-2.2.1-5].
    pub id: PacketId,
    /// Always success in 3.x, which has no reason codes here.
    pub reason: ReasonCode,
    /// The properties, in 5.0.
    pub properties: Properties,
}

impl Ack {
    /// Success, without properties.
    pub const fn new(id: PacketId) -> Self {
        Self {
            id,
            reason: ReasonCode::SUCCESS,
            properties: Properties::new(),
        }
    }

    /// With a reason code, which only 5.0 can carry.
    pub fn with_reason(self, reason: ReasonCode) -> Self {
        Self { reason, ..self }
    }

    pub(crate) fn decode<'f>(
        packet: PacketType,
        frame: &'f Bytes,
        r: &mut Reader<'f>,
        decoder: &Decoder,
    ) -> Result<Self, DecodeError> {
        let id = r.packet_id()?;
        // Reason code and property length may be left out (section 3.4.2.1).
        if !decoder.version.is_v5() || r.is_empty() {
            return Ok(Self::new(id));
        }
        let code = r.u8("reason code")?;
        let sender = decoder.sender;
        if !ReasonCode(code).allowed_in(packet, sender, decoder.version) {
            return Err(DecodeError::BadReasonCode {
                packet,
                sender,
                code,
            });
        }
        let properties = if r.is_empty() {
            Properties::new()
        } else {
            Fields { frame, r }.properties(decoder.version, Place::Packet(packet), sender)?
        };
        Ok(Self {
            id,
            reason: ReasonCode(code),
            properties,
        })
    }

    pub(crate) fn plan(
        &self,
        packet: PacketType,
        encoder: &Encoder,
    ) -> Result<(usize, Cow<'_, Properties>), EncodeError> {
        if !matches!(packet as u8, 4..=7) {
            // Only a caller of `Encoder::ack` can name another type.
            return Err(EncodeError::ReasonNotAllowed {
                packet,
                sender: encoder.sender,
                code: self.reason,
            });
        }
        encoder.check_reason(packet, self.reason)?;
        encoder.properties_len(&self.properties, packet)?;
        let properties = encoder.fitting(&self.properties, 3);
        let body = match (properties.is_empty(), self.reason) {
            (true, ReasonCode::SUCCESS) => 2,
            (true, _) => 3,
            (false, _) => 3 + encoder.properties_len(&properties, packet)?,
        };
        Ok((body, properties))
    }

    pub(crate) fn encode(
        &self,
        packet: PacketType,
        encoder: &Encoder,
        out: &mut Outbox,
    ) -> Result<usize, EncodeError> {
        let (body, properties) = self.plan(packet, encoder)?;
        let flags = if packet == PacketType::PubRel {
            0b0010
        } else {
            0
        };
        encoder.put(packet, flags, body, out, |out| {
            out.extend_from_slice(&self.id.get().to_be_bytes());
            if body > 2 {
                out.push(self.reason.0);
            }
            if body > 3 {
                put_properties(encoder.version, properties.view(), out);
            }
        })
    }
}
