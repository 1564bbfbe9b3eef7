use alloc::borrow::Cow;

use bytes::Bytes;

use crate::frame::{Fields, put_properties};
use crate::property::{Place, Properties};
use crate::reader::Reader;
use crate::{
    DecodeError, Decoder, EncodeError, Encoder, Outbox, PacketType, PropertyId, ReasonCode, Sender,
    Version,
};

/// DISCONNECT (section 3.14): the last packet of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disconnect {
    /// Why. Always success (normal disconnection) in 3.x.
    pub reason: ReasonCode,
    /// The properties, in 5.0.
    pub properties: Properties,
}

/// AUTH (section 3.15): a step of enhanced authentication, in 5.0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Auth {
    /// Success, continue authentication, or re-authenticate.
    pub reason: ReasonCode,
    /// The properties: the authentication method is required unless everything is left out.
    pub properties: Properties,
}

fn decode<'f>(
    packet: PacketType,
    frame: &'f Bytes,
    r: &mut Reader<'f>,
    decoder: &Decoder,
) -> Result<(ReasonCode, Properties), DecodeError> {
    if r.is_empty() {
        // Reason code and properties may be left out together (sections 3.14.2.1 and 3.15.2.1).
        let code = ReasonCode::SUCCESS;
        return if code.allowed_in(packet, decoder.sender, decoder.version) {
            Ok((code, Properties::new()))
        } else {
            Err(DecodeError::BadReasonCode {
                packet,
                sender: decoder.sender,
                code: code.0,
            })
        };
    }
    if !decoder.version.is_v5() {
        // 3.x has nothing here: what is left is reported as trailing bytes.
        return Ok((ReasonCode::SUCCESS, Properties::new()));
    }
    let code = r.u8("reason code")?;
    let sender = decoder.sender;
    // [MQTT-3.14.2-1], [MQTT-3.15.2-1]
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
    Ok((ReasonCode(code), properties))
}

impl Disconnect {
    /// This reason, without properties.
    pub const fn new(reason: ReasonCode) -> Self {
        Self {
            reason,
            properties: Properties::new(),
        }
    }

    pub(crate) fn decode<'f>(
        frame: &'f Bytes,
        r: &mut Reader<'f>,
        decoder: &Decoder,
    ) -> Result<Self, DecodeError> {
        let (reason, properties) = decode(PacketType::Disconnect, frame, r, decoder)?;
        Ok(Self { reason, properties })
    }

    pub(crate) fn plan(
        &self,
        encoder: &Encoder,
    ) -> Result<(usize, Cow<'_, Properties>), EncodeError> {
        let packet = PacketType::Disconnect;
        if encoder.version != Version::V5 {
            encoder.check_sender(packet, Sender::Client)?;
        }
        encoder.check_reason(packet, self.reason)?;
        // Before any is left out: what may not stand here is an error, whatever the peer's maximum.
        encoder.properties_len(&self.properties, packet)?;
        let properties = encoder.fitting(&self.properties, 1);
        let len = encoder.properties_len(&properties, packet)?;
        let body = match (properties.is_empty(), self.reason) {
            (true, ReasonCode::SUCCESS) => 0,
            (true, _) => 1,
            (false, _) => 1 + len,
        };
        Ok((body, properties))
    }

    pub(crate) fn encode(&self, encoder: &Encoder, out: &mut Outbox) -> Result<usize, EncodeError> {
        let (body, properties) = self.plan(encoder)?;
        encoder.put(PacketType::Disconnect, 0, body, out, |out| {
            if body > 0 {
                out.push(self.reason.0);
            }
            if body > 1 {
                put_properties(encoder.version, properties.view(), out);
            }
        })
    }
}

impl Auth {
    pub(crate) fn decode<'f>(
        frame: &'f Bytes,
        r: &mut Reader<'f>,
        decoder: &Decoder,
    ) -> Result<Self, DecodeError> {
        let short = r.is_empty();
        let (reason, properties) = decode(PacketType::Auth, frame, r, decoder)?;
        // Section 3.15.2.2.2
        if !short && !properties.view().has(PropertyId::AUTHENTICATION_METHOD) {
            return Err(DecodeError::NoAuthenticationMethod);
        }
        Ok(Self { reason, properties })
    }

    pub(crate) fn plan(
        &self,
        encoder: &Encoder,
    ) -> Result<(usize, Cow<'_, Properties>), EncodeError> {
        let packet = PacketType::Auth;
        if !encoder.version.is_v5() {
            return Err(EncodeError::NotInVersion {
                version: encoder.version,
                what: "AUTH",
            });
        }
        encoder.check_reason(packet, self.reason)?;
        if self.reason == ReasonCode::SUCCESS && self.properties.is_empty() {
            return Ok((0, Cow::Borrowed(&self.properties)));
        }
        if !self
            .properties
            .view()
            .has(PropertyId::AUTHENTICATION_METHOD)
        {
            return Err(EncodeError::NoAuthenticationMethod);
        }
        let properties = encoder.fitting(&self.properties, 1);
        Ok((1 + encoder.properties_len(&properties, packet)?, properties))
    }

    pub(crate) fn encode(&self, encoder: &Encoder, out: &mut Outbox) -> Result<usize, EncodeError> {
        let (body, properties) = self.plan(encoder)?;
        encoder.put(PacketType::Auth, 0, body, out, |out| {
            if body > 0 {
                out.push(self.reason.0);
                put_properties(encoder.version, properties.view(), out);
            }
        })
    }
}
