//! Variable byte integers (section 1.5.5): seven bits a byte, the lowest first, at most four bytes.

use alloc::vec::Vec;

use crate::DecodeError;

/// The largest value that four bytes can carry: 268,435,455.
pub const VARINT_MAX: u32 = 268_435_455;

/// The bytes that `value` takes; `value` is at most [`VARINT_MAX`].
#[inline]
pub(crate) const fn len(value: u32) -> usize {
    match value {
        0..=127 => 1,
        128..=16_383 => 2,
        16_384..=2_097_151 => 3,
        _ => 4,
    }
}

/// `Ok(None)` where the integer goes on past the end of `bytes`; else its value and its length.
///
/// A fifth byte and a form that is longer than needed are malformed [MQTT-1.5.5-1].
#[inline(always)]
pub(crate) fn read(bytes: &[u8]) -> Result<Option<(u32, usize)>, DecodeError> {
    match bytes {
        [a, ..] if *a < 0x80 => Ok(Some((u32::from(*a), 1))),
        [a, b, ..] if *b < 0x80 && *b != 0 => {
            Ok(Some((u32::from(*a & 0x7F) | u32::from(*b) << 7, 2)))
        }
        _ => read_slow(bytes),
    }
}

#[cold]
#[inline(never)]
fn read_slow(bytes: &[u8]) -> Result<Option<(u32, usize)>, DecodeError> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return if len(value) == at + 1 {
                Ok(Some((value, at + 1)))
            } else {
                Err(DecodeError::BadVarInt)
            };
        }
    }
    if bytes.len() < 4 {
        Ok(None)
    } else {
        Err(DecodeError::BadVarInt)
    }
}

/// Appends `value`, which is at most [`VARINT_MAX`], in its shortest form [MQTT-1.5.5-1].
#[inline]
pub(crate) fn write(mut value: u32, out: &mut Vec<u8>) {
    while value > 0x7F {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_boundary_survives_in_its_shortest_form() {
        for value in [
            0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, VARINT_MAX,
        ] {
            let mut out = Vec::new();
            write(value, &mut out);
            assert_eq!(out.len(), len(value));
            assert_eq!(read(&out), Ok(Some((value, out.len()))));
            for cut in 0..out.len() {
                assert_eq!(read(&out[..cut]), Ok(None), "cut at {cut}");
            }
        }
    }
}
