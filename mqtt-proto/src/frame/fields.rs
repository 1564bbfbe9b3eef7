//! What the packets' readers and writers share.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::property::{self, Place, Properties, PropertiesRef};
use crate::reader::Reader;
use crate::{DecodeError, EncodeError, PacketType, Sender, Text, Version, varint};

/// Reads fields as shared parts of their frame.
pub(crate) struct Fields<'r, 'f> {
    pub(crate) frame: &'f Bytes,
    pub(crate) r: &'r mut Reader<'f>,
}

impl<'f> Fields<'_, 'f> {
    pub(crate) fn text(&mut self, field: &'static str) -> Result<Text, DecodeError> {
        self.r
            .text(field)
            .map(|bytes| Text::checked_before(self.frame.slice_ref(bytes)))
    }

    pub(crate) fn binary(&mut self, field: &'static str) -> Result<Bytes, DecodeError> {
        self.r
            .binary(field)
            .map(|bytes| self.frame.slice_ref(bytes))
    }

    pub(crate) fn properties(
        &mut self,
        version: Version,
        place: Place,
        sender: Sender,
    ) -> Result<Properties, DecodeError> {
        if !version.is_v5() {
            return Ok(Properties::new());
        }
        let (bytes, present) = read_properties(self.r, place, sender)?;
        Ok(if bytes.is_empty() {
            Properties::new()
        } else {
            Properties::checked_before(self.frame.slice_ref(bytes), present)
        })
    }
}

/// The encoded properties, and which are there.
fn read_properties<'f>(
    r: &mut Reader<'f>,
    place: Place,
    sender: Sender,
) -> Result<(&'f [u8], u64), DecodeError> {
    let len = r.varint("property length")?;
    let bytes = r.take(len as usize, "properties")?;
    Ok((bytes, property::validate(bytes, place, sender)?))
}

/// The same for a PUBLISH, inlined there: where the properties begin, and which are there.
#[inline(always)]
pub(crate) fn read_publish_properties(
    r: &mut Reader<'_>,
    sender: Sender,
) -> Result<(usize, u64), DecodeError> {
    let place = Place::Packet(PacketType::Publish);
    let len = r.varint("property length")?;
    let at = r.at();
    if len == 0 {
        return Ok((at, 0));
    }
    let bytes = r.take(len as usize, "properties")?;
    match property::plain(bytes, place, sender) {
        Some(present) => Ok((at, present)),
        None => Ok((at, property::validate_slow(bytes, place, sender)?)),
    }
}

/// The bytes that properties take with their length: none in 3.x, where there must be none.
#[inline]
pub(crate) fn properties_len(
    version: Version,
    properties: PropertiesRef<'_>,
    place: Place,
    sender: Sender,
) -> Result<usize, EncodeError> {
    if properties.is_empty() {
        return Ok(usize::from(version.is_v5()));
    }
    if !version.is_v5() {
        return Err(EncodeError::NotInVersion {
            version,
            what: "properties",
        });
    }
    if let Some(property) = property::forbidden(properties.present(), place, sender) {
        return Err(EncodeError::PropertyNotAllowed {
            property,
            packet: place.packet(),
            sender,
        });
    }
    let len = properties.as_bytes().len();
    Ok(varint::len(len as u32) + len)
}

/// [MQTT-2.2.2-1]: no properties are written as length zero.
#[inline]
pub(crate) fn put_properties(version: Version, properties: PropertiesRef<'_>, out: &mut Vec<u8>) {
    if version.is_v5() {
        varint::write(properties.as_bytes().len() as u32, out);
        out.extend_from_slice(properties.as_bytes());
    }
}

/// Appends a string or binary data, whose length was checked to fit.
#[inline]
pub(crate) fn put_binary(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

pub(crate) fn check_binary(field: &'static str, bytes: &[u8]) -> Result<(), EncodeError> {
    match u16::try_from(bytes.len()) {
        Ok(_) => Ok(()),
        Err(_) => Err(EncodeError::FieldTooLong {
            field,
            len: bytes.len(),
        }),
    }
}
