use alloc::vec::Vec;

use bytes::Bytes;

use crate::frame::{Fields, put_binary, put_properties};
use crate::property::{Place, Properties};
use crate::reader::Reader;
use crate::{
    DecodeError, Decoder, EncodeError, Encoder, Outbox, PacketId, PacketType, PropertyId, QoS,
    Sender,
};
use crate::{TopicFilter, Version};

/// SUBSCRIBE (section 3.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// The packet identifier, which SUBACK repeats.
    pub id: PacketId,
    /// At least one filter, each with its options.
    pub filters: Vec<(TopicFilter, SubscribeOptions)>,
    /// The properties, in 5.0.
    pub properties: Properties,
}

/// UNSUBSCRIBE (section 3.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    /// The packet identifier, which UNSUBACK repeats.
    pub id: PacketId,
    /// At least one filter.
    pub filters: Vec<TopicFilter>,
    /// The properties, in 5.0.
    pub properties: Properties,
}

/// Subscription options (section 3.8.3.1). 3.x has the QoS alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SubscribeOptions {
    /// Maximum QoS at which the server shall send.
    pub qos: QoS,
    /// No Local: do not send back what this client itself publishes.
    pub no_local: bool,
    /// Retain As Published: forward the RETAIN flag as it was published.
    pub retain_as_published: bool,
    /// Which retained messages to send when subscribing.
    pub retain_handling: RetainHandling,
}

/// Retain Handling (section 3.8.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RetainHandling {
    /// Send retained messages at each SUBSCRIBE.
    #[default]
    Send = 0,
    /// Send them only if the subscription did not exist.
    SendIfNew = 1,
    /// Do not send them.
    DoNotSend = 2,
}

impl SubscribeOptions {
    /// This QoS, and everything else as in 3.x.
    pub const fn new(qos: QoS) -> Self {
        Self {
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        }
    }

    fn decode(byte: u8, version: Version) -> Option<Self> {
        // [MQTT-3.8.3-5], in 3.1.1 [MQTT-3-8.3-4]
        let reserved = if version.is_v5() {
            0b1100_0000
        } else {
            0b1111_1100
        };
        if byte & reserved != 0 {
            return None;
        }
        let retain_handling = match byte >> 4 & 0b11 {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return None,
        };
        let (no_local, retain_as_published) = (byte & 1 << 2 != 0, byte & 1 << 3 != 0);
        Some(Self {
            qos: QoS::from_u8(byte & 0b11)?,
            no_local,
            retain_as_published,
            retain_handling,
        })
    }

    const fn encode(self) -> u8 {
        self.qos as u8
            | (self.no_local as u8) << 2
            | (self.retain_as_published as u8) << 3
            | (self.retain_handling as u8) << 4
    }
}

impl From<QoS> for SubscribeOptions {
    fn from(qos: QoS) -> Self {
        Self::new(qos)
    }
}

fn filter(f: &mut Fields<'_, '_>) -> Result<TopicFilter, DecodeError> {
    let field = "topic filter";
    TopicFilter::from_bytes(f.binary(field)?).map_err(|error| DecodeError::topic(field, error))
}

impl Subscribe {
    pub(crate) fn decode<'f>(
        frame: &'f Bytes,
        r: &mut Reader<'f>,
        decoder: &Decoder,
    ) -> Result<Self, DecodeError> {
        let packet = PacketType::Subscribe;
        let id = r.packet_id()?;
        let mut f = Fields { frame, r };
        let properties = f.properties(decoder.version, Place::Packet(packet), decoder.sender)?;
        let mut filters = Vec::new();
        while !f.r.is_empty() {
            let filter = filter(&mut f)?;
            let byte = f.r.u8("subscription options")?;
            let options = SubscribeOptions::decode(byte, decoder.version)
                .ok_or(DecodeError::BadSubscriptionOptions { options: byte })?;
            // [MQTT-3.8.3-4]
            if options.no_local && filter.share_name().is_some() {
                return Err(DecodeError::NoLocalOnShared);
            }
            filters.push((filter, options));
        }
        // [MQTT-3.8.3-2]
        if filters.is_empty() {
            return Err(DecodeError::NoEntries { packet });
        }
        Ok(Self {
            id,
            filters,
            properties,
        })
    }

    pub(crate) fn body_len(&self, encoder: &Encoder) -> Result<usize, EncodeError> {
        let packet = PacketType::Subscribe;
        encoder.check_sender(packet, Sender::Client)?;
        if self.filters.is_empty() {
            return Err(EncodeError::NoEntries { packet });
        }
        let mut body = 2 + encoder.properties_len(&self.properties, packet)?;
        if self.properties.view().subscription_identifiers().count() > 1 {
            let (property, sender) = (PropertyId::SUBSCRIPTION_IDENTIFIER, Sender::Client);
            return Err(EncodeError::PropertyNotAllowed {
                property,
                packet,
                sender,
            });
        }
        for (filter, options) in &self.filters {
            if !encoder.version.is_v5() && *options != SubscribeOptions::new(options.qos) {
                let what = "subscription options other than the QoS";
                return Err(EncodeError::NotInVersion {
                    version: encoder.version,
                    what,
                });
            }
            // [MQTT-3.8.3-4]
            if options.no_local && filter.share_name().is_some() {
                return Err(EncodeError::NoLocalOnShared);
            }
            body += 2 + filter.as_bytes().len() + 1;
        }
        Ok(body)
    }

    pub(crate) fn encode(&self, encoder: &Encoder, out: &mut Outbox) -> Result<usize, EncodeError> {
        let body = self.body_len(encoder)?;
        // [MQTT-3.8.1-1]
        encoder.put(PacketType::Subscribe, 0b0010, body, out, |out| {
            out.extend_from_slice(&self.id.get().to_be_bytes());
            put_properties(encoder.version, self.properties.view(), out);
            for (filter, options) in &self.filters {
                put_binary(filter.as_bytes(), out);
                out.push(options.encode());
            }
        })
    }
}

impl Unsubscribe {
    pub(crate) fn decode<'f>(
        frame: &'f Bytes,
        r: &mut Reader<'f>,
        decoder: &Decoder,
    ) -> Result<Self, DecodeError> {
        let packet = PacketType::Unsubscribe;
        let id = r.packet_id()?;
        let mut f = Fields { frame, r };
        let properties = f.properties(decoder.version, Place::Packet(packet), decoder.sender)?;
        let mut filters = Vec::new();
        while !f.r.is_empty() {
            filters.push(filter(&mut f)?);
        }
        // [MQTT-3.10.3-2]
        if filters.is_empty() {
            return Err(DecodeError::NoEntries { packet });
        }
        Ok(Self {
            id,
            filters,
            properties,
        })
    }

    pub(crate) fn body_len(&self, encoder: &Encoder) -> Result<usize, EncodeError> {
        let packet = PacketType::Unsubscribe;
        encoder.check_sender(packet, Sender::Client)?;
        if self.filters.is_empty() {
            return Err(EncodeError::NoEntries { packet });
        }
        let filters: usize = self
            .filters
            .iter()
            .map(|filter| 2 + filter.as_bytes().len())
            .sum();
        Ok(2 + encoder.properties_len(&self.properties, packet)? + filters)
    }

    pub(crate) fn encode(&self, encoder: &Encoder, out: &mut Outbox) -> Result<usize, EncodeError> {
        let body = self.body_len(encoder)?;
        // [MQTT-3.10.1-1]
        encoder.put(PacketType::Unsubscribe, 0b0010, body, out, |out| {
            out.extend_from_slice(&self.id.get().to_be_bytes());
            put_properties(encoder.version, self.properties.view(), out);
            for filter in &self.filters {
                put_binary(filter.as_bytes(), out);
            }
        })
    }
}
