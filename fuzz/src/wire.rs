//! Bytes of packets, put together by hand: nothing here uses the codec.

/// A packet: its first byte, the length of the rest, the rest.
pub(crate) fn frame(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&[first][..], &varint(body.len()), &body].concat()
}

/// A string or binary data behind its length (sections 1.5.4 and 1.5.6).
pub(crate) fn text(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let len = u16::try_from(bytes.len()).expect("a string has at most 65,535 bytes");
    [&len.to_be_bytes()[..], bytes].concat()
}

/// Properties behind their length (section 2.2.2).
pub(crate) fn block(properties: &[u8]) -> Vec<u8> {
    [&varint(properties.len())[..], properties].concat()
}

/// A variable byte integer, by the algorithm of section 1.5.5.
pub(crate) fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (value % 128) as u8;
        value /= 128;
        if value == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 128);
    }
}
