//! Properties (section 2.2.2). They keep their encoded bytes: validated once, read on demand.

use alloc::sync::Arc;
use core::fmt;

use bytes::Bytes;

use crate::reader::Reader;
use crate::{DecodeError, PacketType, Sender, text, topic, varint};

mod builder;
mod table;

pub use builder::{PropertiesBuilder, PropertyError};
pub use table::PropertyId;
use table::{Kind, repeatable};
pub(crate) use table::{Place, allowed, forbidden};

/// A set of properties: those of a packet that was received, or those that shall be sent.
///
/// Made with [`Properties::builder`]. Cloning shares the bytes.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Properties(
    /// Elsewhere, as most packets have none: so a message is small where it waits. None where there are no properties.
    Option<Arc<Block>>,
);

#[derive(Clone, PartialEq, Eq, Hash)]
struct Block {
    bytes: Bytes,
    present: u64,
}

impl Properties {
    /// No properties.
    pub const fn new() -> Self {
        Self(None)
    }

    /// A builder, whose setters carry the names of the specification.
    pub fn builder() -> PropertiesBuilder {
        PropertiesBuilder::default()
    }

    pub(crate) fn checked_before(bytes: Bytes, present: u64) -> Self {
        Self((!bytes.is_empty()).then(|| Arc::new(Block { bytes, present })))
    }

    /// The properties as a view, which has the getters.
    #[inline]
    pub fn view(&self) -> PropertiesRef<'_> {
        self.0.as_ref().map_or(PropertiesRef::EMPTY, |block| {
            PropertiesRef::checked_before(&block.bytes, block.present)
        })
    }

    /// Whether there is none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The same with another Message Expiry Interval, where there is one.
    pub(crate) fn expiring_in(&self, seconds: u32) -> Self {
        let mut bytes = self.view().as_bytes().to_vec();
        let mut properties = self.view().iter();
        let mut at = 0;
        while let Some((id, _)) = properties.next() {
            if id == PropertyId::MESSAGE_EXPIRY_INTERVAL
                && let Some(value) = bytes.get_mut(at + 1..at + 5)
            {
                value.copy_from_slice(&seconds.to_be_bytes());
            }
            at = properties.rest.at();
        }
        Self::checked_before(bytes.into(), self.view().present)
    }

    /// Copies them into memory of their own, so that they do not keep the packet alive that they came in.
    pub fn detach(&mut self) {
        let view = self.view();
        *self = Self::checked_before(Bytes::copy_from_slice(view.bytes), view.present);
    }

    /// A part of these properties (correlation data, say) as bytes of its own that share the memory.
    ///
    /// Copies where `part` is not a part of them.
    pub fn share(&self, part: &[u8]) -> Bytes {
        match &self.0 {
            Some(block) => share(&block.bytes, part),
            None => Bytes::copy_from_slice(part),
        }
    }
}

/// Shares `part` of `whole`, or copies it where it is not a part.
pub(crate) fn share(whole: &Bytes, part: &[u8]) -> Bytes {
    let outer = whole.as_ptr_range();
    let inner = part.as_ptr_range();
    if outer.start <= inner.start && inner.end <= outer.end {
        whole.slice_ref(part)
    } else {
        Bytes::copy_from_slice(part)
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

/// Properties that are borrowed from a packet or from [`Properties`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PropertiesRef<'a> {
    bytes: &'a [u8],
    present: u64,
}

impl<'a> PropertiesRef<'a> {
    const EMPTY: Self = Self::checked_before(&[], 0);

    pub(crate) const fn checked_before(bytes: &'a [u8], present: u64) -> Self {
        Self { bytes, present }
    }

    /// Whether a property with this identifier is there. Costs one bit test.
    pub const fn has(self, id: PropertyId) -> bool {
        self.present & id.bit() != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// The encoded properties, without their length.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// A bit for each identifier that is there.
    pub(crate) const fn present(self) -> u64 {
        self.present
    }

    /// All properties in the order in which they were sent [MQTT-3.3.2-18].
    pub const fn iter(self) -> PropertyIter<'a> {
        PropertyIter {
            rest: Reader::new(self.bytes, 0),
        }
    }

    /// The user properties in order; a name may stand more than once (section 3.3.2.3.7).
    pub fn user_properties(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let any = self.has(PropertyId::USER_PROPERTY);
        self.iter()
            .filter(move |_| any)
            .filter_map(|(_, value)| match value {
                PropertyValue::Pair(name, value) => Some((name, value)),
                _ => None,
            })
    }

    /// The subscription identifiers: one in SUBSCRIBE, several where a PUBLISH matches several subscriptions [MQTT-3.3.4-4].
    pub fn subscription_identifiers(self) -> impl Iterator<Item = u32> {
        let any = self.has(PropertyId::SUBSCRIPTION_IDENTIFIER);
        self.iter()
            .filter(move |_| any)
            .filter_map(|(id, value)| match value {
                PropertyValue::VarInt(value) if id == PropertyId::SUBSCRIPTION_IDENTIFIER => {
                    Some(value)
                }
                _ => None,
            })
    }

    /// The first property with this identifier.
    pub fn get(self, id: PropertyId) -> Option<PropertyValue<'a>> {
        if self.has(id) {
            self.iter().find(|(i, _)| *i == id).map(|(_, value)| value)
        } else {
            None
        }
    }
}

impl<'a> IntoIterator for PropertiesRef<'a> {
    type Item = (PropertyId, PropertyValue<'a>);
    type IntoIter = PropertyIter<'a>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// By the names of the specification: `{Receive Maximum: 10}`. Authentication Data is not shown.
impl fmt::Debug for PropertiesRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (id, value) in *self {
            map.key(&id);
            match value {
                _ if id == PropertyId::AUTHENTICATION_DATA => map.value(&"(secret)"),
                PropertyValue::Byte(value) => map.value(&value),
                PropertyValue::TwoByte(value) => map.value(&value),
                PropertyValue::FourByte(value) | PropertyValue::VarInt(value) => map.value(&value),
                PropertyValue::Text(value) => map.value(&value),
                PropertyValue::Binary(value) => {
                    map.value(&format_args!("b\"{}\"", value.escape_ascii()))
                }
                PropertyValue::Pair(name, value) => map.value(&(name, value)),
            };
        }
        map.finish()
    }
}

/// The value of a property, by its type on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PropertyValue<'a> {
    /// A byte; 0 or 1 in all properties of this type.
    Byte(u8),
    /// A two byte integer.
    TwoByte(u16),
    /// A four byte integer.
    FourByte(u32),
    /// A variable byte integer.
    VarInt(u32),
    /// A string.
    Text(&'a str),
    /// Binary data.
    Binary(&'a [u8]),
    /// A user property: name and value.
    Pair(&'a str, &'a str),
}

/// The properties one by one, in the order in which they were sent.
#[derive(Clone, Debug)]
pub struct PropertyIter<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for PropertyIter<'a> {
    type Item = (PropertyId, PropertyValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let r = &mut self.rest;
        // The bytes were validated when they were read or built: `ok()?` ends the iteration where that were not so.
        let id = PropertyId(r.u8("").ok()?);
        let value = match id.kind()? {
            Kind::Bool => PropertyValue::Byte(r.u8("").ok()?),
            Kind::TwoByte | Kind::TwoByteNonZero => PropertyValue::TwoByte(r.u16("").ok()?),
            Kind::FourByte | Kind::FourByteNonZero => PropertyValue::FourByte(r.u32("").ok()?),
            Kind::VarIntNonZero => PropertyValue::VarInt(r.varint("").ok()?),
            Kind::Text | Kind::Topic => PropertyValue::Text(text::as_str(r.binary("").ok()?)),
            Kind::Binary => PropertyValue::Binary(r.binary("").ok()?),
            Kind::Pair => PropertyValue::Pair(
                text::as_str(r.binary("").ok()?),
                text::as_str(r.binary("").ok()?),
            ),
        };
        Some((id, value))
    }
}

/// Checks all properties of one place and tells which are there.
pub(crate) fn validate(bytes: &[u8], place: Place, sender: Sender) -> Result<u64, DecodeError> {
    match plain(bytes, place, sender) {
        Some(present) => Ok(present),
        None => validate_slow(bytes, place, sender),
    }
}

/// The way of nearly all properties: which are there, or `None` where one needs a closer look, right or wrong.
#[inline(always)]
pub(crate) fn plain(bytes: &[u8], place: Place, sender: Sender) -> Option<u64> {
    let (mut open, repeatable) = (allowed(place, sender), repeatable(place));
    let mut present = 0;
    let mut rest = bytes;
    while let [id, value @ ..] = rest {
        let id = PropertyId(*id);
        // Taken out of the set where it may stand once.
        if id.0 >= 64 || open >> id.0 & 1 == 0 {
            return None;
        }
        present |= id.bit();
        open &= !id.bit() | repeatable;
        // By far the most frequent, and the only one of its type.
        if id == PropertyId::USER_PROPERTY {
            rest = plain_text(plain_text(value)?)?;
            continue;
        }
        // It is allowed, so it exists.
        rest = match id.kind_if_known() {
            Kind::Text => plain_text(value)?,
            Kind::Binary => {
                let (len, value) = value.split_first_chunk::<2>()?;
                value.get(usize::from(u16::from_be_bytes(*len))..)?
            }
            Kind::FourByte => value.get(4..)?,
            Kind::TwoByte => value.get(2..)?,
            Kind::Bool if *value.first()? <= 1 => &value[1..],
            _ => return None,
        };
    }
    // Authentication data needs a method.
    (present & PropertyId::AUTHENTICATION_DATA.bit() == 0).then_some(present)
}

/// What follows a string that needs no closer look.
#[inline(always)]
fn plain_text(bytes: &[u8]) -> Option<&[u8]> {
    let (len, bytes) = bytes.split_first_chunk::<2>()?;
    let (text, rest) = bytes.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    text::is_plain(text).then_some(rest)
}

#[cold]
#[inline(never)]
pub(crate) fn validate_slow(
    bytes: &[u8],
    place: Place,
    sender: Sender,
) -> Result<u64, DecodeError> {
    let allowed = allowed(place, sender);
    let mut once = 0;
    let mut present = 0;
    let mut r = Reader::new(bytes, 0);
    while !r.is_empty() {
        let id = PropertyId(r.u8("property identifier")?);
        if id.bit() & allowed == 0 {
            return Err(refuse(bytes, r.at() - 1, place, sender));
        }
        if id.bit() & once != 0 {
            return Err(DecodeError::DuplicateProperty { property: id });
        }
        present |= id.bit();
        once |= id.bit() & !repeatable(place);
        validate_value(&mut r, id)?;
    }
    // Section 3.1.2.11.10. AUTH needs the method with or without data; for CONNACK there is no such rule.
    let needs_method = PropertyId::AUTHENTICATION_DATA.bit();
    if present & needs_method != 0
        && present & PropertyId::AUTHENTICATION_METHOD.bit() == 0
        && matches!(place, Place::Packet(PacketType::Connect))
    {
        return Err(DecodeError::NoAuthenticationMethod);
    }
    Ok(present)
}

#[inline]
fn validate_value(r: &mut Reader<'_>, id: PropertyId) -> Result<(), DecodeError> {
    let field = id.field();
    let bad = |value| {
        Err(DecodeError::BadPropertyValue {
            property: id,
            value,
        })
    };
    match id.kind() {
        Some(Kind::Pair) => {
            // [MQTT-1.5.7-1]
            r.text(field)?;
            r.text(field)?;
        }
        Some(Kind::Text) => {
            r.text(field)?;
        }
        Some(Kind::Binary) => {
            r.binary(field)?;
        }
        Some(Kind::FourByte) => {
            r.u32(field)?;
        }
        Some(Kind::TwoByte) => {
            r.u16(field)?;
        }
        Some(Kind::Bool) => {
            let value = r.u8(field)?;
            if value > 1 {
                return bad(u32::from(value));
            }
        }
        Some(Kind::TwoByteNonZero) => {
            if r.u16(field)? == 0 {
                return bad(0);
            }
        }
        Some(Kind::FourByteNonZero) => {
            if r.u32(field)? == 0 {
                return bad(0);
            }
        }
        Some(Kind::VarIntNonZero) => {
            if r.varint(field)? == 0 {
                return bad(0);
            }
        }
        Some(Kind::Topic) => {
            // [MQTT-3.3.2-13], [MQTT-3.3.2-14]
            let bytes = r.binary(field)?;
            topic::check_topic(bytes).map_err(|error| DecodeError::topic(field, error))?;
        }
        None => {
            return Err(DecodeError::UnknownProperty {
                id: u32::from(id.0),
            });
        }
    }
    Ok(())
}

/// Why the property at `at` may not stand there.
#[cold]
fn refuse(bytes: &[u8], at: usize, place: Place, sender: Sender) -> DecodeError {
    // The identifier is a variable byte integer, though all that exist take one byte.
    match varint::read(&bytes[at..]) {
        Err(error) => error,
        Ok(None) => DecodeError::Truncated {
            field: "property identifier",
        },
        Ok(Some((id, _))) => match u8::try_from(id)
            .ok()
            .map(PropertyId)
            .filter(|id| id.kind().is_some())
        {
            Some(property) => DecodeError::PropertyNotAllowed {
                property,
                packet: place.packet(),
                sender,
            },
            None => DecodeError::UnknownProperty { id },
        },
    }
}

impl Place {
    /// The packet of this place: will properties stand in CONNECT.
    pub(crate) const fn packet(self) -> PacketType {
        match self {
            Self::Will => PacketType::Connect,
            Self::Packet(packet) => packet,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_short_way_accepts_the_long_way_accepts_with_the_same_result() {
        let properties = Properties::builder()
            .payload_format_indicator(true)
            .message_expiry_interval(60)
            .content_type("text/plain")
            .response_topic("answers/7")
            .correlation_data([0xFF, 0, 1])
            .subscription_identifier(300)
            .user_property("region", "eu-west")
            .user_property(
                "",
                "a value of more than two times sixteen bytes, to be sure",
            )
            .build()
            .unwrap();
        let bytes = properties.view().as_bytes();
        let place = Place::Packet(PacketType::Publish);
        let mut accepted = 0;
        for sender in [Sender::Client, Sender::Server] {
            for at in 0..bytes.len() {
                for byte in 0..=255 {
                    let mut changed = bytes.to_vec();
                    changed[at] = byte;
                    for changed in [&changed[..], &changed[..at], &changed[at..]] {
                        if let Some(present) = plain(changed, place, sender) {
                            assert_eq!(
                                validate_slow(changed, place, sender),
                                Ok(present),
                                "{changed:02x?}"
                            );
                            accepted += 1;
                        }
                    }
                }
            }
        }
        assert!(
            accepted > 1000,
            "the short way is hardly ever taken: {accepted}"
        );
    }
}
