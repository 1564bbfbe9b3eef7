//! Fields at the front of a byte slice. A field that ends past the slice is an error that names it; the slice is one whole
//! packet, so more bytes will not come.

use crate::text;
use crate::{DecodeError, PacketId, PacketType, varint};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// The offset of what comes next.
    #[inline(always)]
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    #[inline(always)]
    pub(crate) const fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    #[inline(always)]
    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        let byte = *self
            .bytes
            .get(self.at)
            .ok_or(DecodeError::Truncated { field })?;
        self.at += 1;
        Ok(byte)
    }

    #[inline(always)]
    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        let bytes = self.bytes.get(self.at..).and_then(|b| b.first_chunk::<2>());
        let bytes = bytes.ok_or(DecodeError::Truncated { field })?;
        self.at += 2;
        Ok(u16::from_be_bytes(*bytes))
    }

    #[inline(always)]
    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let bytes = self.bytes.get(self.at..).and_then(|b| b.first_chunk::<4>());
        let bytes = bytes.ok_or(DecodeError::Truncated { field })?;
        self.at += 4;
        Ok(u32::from_be_bytes(*bytes))
    }

    #[inline(always)]
    pub(crate) fn varint(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let (value, len) =
            varint::read(&self.bytes[self.at..])?.ok_or(DecodeError::Truncated { field })?;
        self.at += len;
        Ok(value)
    }

    #[inline(always)]
    pub(crate) fn take(
        &mut self,
        len: usize,
        field: &'static str,
    ) -> Result<&'a [u8], DecodeError> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..len));
        let taken = taken.ok_or(DecodeError::Truncated { field })?;
        self.at += len;
        Ok(taken)
    }

    /// Binary data (section 1.5.6): two bytes of length, then the bytes.
    #[inline(always)]
    pub(crate) fn binary(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.u16(field)?;
        self.take(usize::from(len), field)
    }

    /// A string (section 1.5.4), checked.
    #[inline(always)]
    pub(crate) fn text(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let bytes = self.binary(field)?;
        text::check(bytes).map_err(|error| DecodeError::BadText { field, error })?;
        Ok(bytes)
    }

    /// [MQTT-2.2.1-3], [MQTT-2.2.1-4]
    #[inline(always)]
    pub(crate) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        PacketId::new(self.u16("packet identifier")?).ok_or(DecodeError::ZeroPacketId)
    }

    /// What is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at = self.bytes.len();
        rest
    }

    pub(crate) const fn expect_empty(&self, packet: PacketType) -> Result<(), DecodeError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            extra => Err(DecodeError::TrailingBytes { packet, extra }),
        }
    }
}
