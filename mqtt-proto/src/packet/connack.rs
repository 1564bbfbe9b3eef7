use alloc::borrow::Cow;

use bytes::Bytes;

use crate::frame::{Fields, put_properties};
use crate::property::{Place, Properties};
use crate::reader::Reader;
use crate::{
    DecodeError, Decoder, EncodeError, Encoder, Outbox, PacketType, ReasonCode, Sender, Version,
};

/// CONNACK (section 3.2): the answer to CONNECT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnAck {
    /// Session Present: the server goes on with a session that it had. Always `false` in 3.1.
    pub session_present: bool,
    /// Whether the connection is accepted. In 3.x the return code, as the reason code that means the same.
    pub reason: ReasonCode,
    /// The properties, in 5.0.
    pub properties: Properties,
}

impl ConnAck {
    pub(crate) fn decode<'f>(
        frame: &'f Bytes,
        r: &mut Reader<'f>,
        decoder: &Decoder,
    ) -> Result<Self, DecodeError> {
        let flags = r.u8("connect acknowledge flags")?;
        let session_present = match (flags, decoder.version) {
            // 3.1 has an unused byte here.
            (_, Version::V3_1) => false,
            (0 | 1, _) => flags == 1,
            // [MQTT-3.2.2-1]
            _ => return Err(DecodeError::BadConnAckFlags { flags }),
        };
        let code = r.u8("reason code")?;
        let reason = match decoder.version {
            Version::V5 => Some(ReasonCode(code)),
            _ => ReasonCode::from_return_code(code),
        };
        // [MQTT-3.2.2-8]
        let (packet, sender) = (PacketType::ConnAck, decoder.sender);
        let reason = reason
            .filter(|reason| reason.allowed_in(packet, sender, decoder.version))
            .ok_or(DecodeError::BadReasonCode {
                packet,
                sender,
                code,
            })?;
        // [MQTT-3.2.2-6]
        if session_present && reason != ReasonCode::SUCCESS {
            return Err(DecodeError::SessionPresentOnRefusal { reason });
        }
        let properties =
            Fields { frame, r }.properties(decoder.version, Place::Packet(packet), sender)?;
        Ok(Self {
            session_present,
            reason,
            properties,
        })
    }

    pub(crate) fn plan(
        &self,
        encoder: &Encoder,
    ) -> Result<(usize, Cow<'_, Properties>), EncodeError> {
        encoder.check_sender(PacketType::ConnAck, Sender::Server)?;
        encoder.check_reason(PacketType::ConnAck, self.reason)?;
        if self.session_present && self.reason != ReasonCode::SUCCESS {
            return Err(EncodeError::SessionPresentOnRefusal);
        }
        if self.session_present && encoder.version == Version::V3_1 {
            return Err(EncodeError::NotInVersion {
                version: encoder.version,
                what: "session present",
            });
        }
        // Before any is left out: what may not stand here is an error, whatever the peer's maximum.
        encoder.properties_len(&self.properties, PacketType::ConnAck)?;
        let properties = encoder.fitting(&self.properties, 2);
        Ok((
            2 + encoder.properties_len(&properties, PacketType::ConnAck)?,
            properties,
        ))
    }

    pub(crate) fn encode(&self, encoder: &Encoder, out: &mut Outbox) -> Result<usize, EncodeError> {
        let (body, properties) = self.plan(encoder)?;
        let code = match encoder.version {
            Version::V5 => self.reason.0,
            // `plan` has checked that there is one.
            _ => self.reason.return_code().unwrap_or_default(),
        };
        encoder.put(PacketType::ConnAck, 0, body, out, |out| {
            out.extend_from_slice(&[u8::from(self.session_present), code]);
            put_properties(encoder.version, properties.view(), out);
        })
    }
}
