//! What the test programs share. Bytes are put together here by hand, never by the encoder under test.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

pub mod packets;
pub mod tables;

use bytes::BytesMut;
use mqtt_proto::{
    DecodeError, Decoder, EncodeError, Encoder, Outbox, Packet, PacketId, Sender, Version,
};

pub const VERSIONS: [Version; 3] = [Version::V3_1, Version::V3_1_1, Version::V5];
pub const SENDERS: [Sender; 2] = [Sender::Client, Sender::Server];

/// Bytes from hexadecimal digits; spaces only group them.
pub fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<_> = digits.chars().filter(|c| !c.is_whitespace()).collect();
    assert!(digits.len().is_multiple_of(2), "odd number of digits");
    let pairs = digits.chunks_exact(2);
    pairs
        .map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).unwrap())
        .collect()
}

/// A variable byte integer, by the algorithm of section 1.5.5.
pub fn varint(mut x: usize) -> Vec<u8> {
    let mut encoded = Vec::new();
    loop {
        let mut byte = (x % 128) as u8;
        x /= 128;
        if x > 0 {
            byte |= 128;
        }
        encoded.push(byte);
        if x == 0 {
            return encoded;
        }
    }
}

/// A string or binary data: two bytes of length, then the bytes.
pub fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let len = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&len[..], bytes].concat()
}

/// A property length and the properties.
pub fn properties(bytes: &[u8]) -> Vec<u8> {
    [&varint(bytes.len())[..], bytes].concat()
}

/// A packet from its first byte and what follows the remaining length.
pub fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    [&[first][..], &varint(body.len()), body].concat()
}

pub fn id(id: u16) -> PacketId {
    PacketId::new(id).unwrap()
}

/// Decodes bytes that hold one packet, or a broken one.
#[track_caller]
pub fn decode(version: Version, sender: Sender, bytes: &[u8]) -> Result<Packet, DecodeError> {
    let mut input = BytesMut::from(bytes);
    let decoder = Decoder::new(version, sender);
    let decoded = decoder.decode(&mut input);
    is_the_same_apart(decoder, bytes, &decoded);
    let packet = decoded?.unwrap_or_else(|| panic!("{bytes:02X?} is no whole packet"));
    assert!(input.is_empty(), "bytes are left of {bytes:02X?}");
    Ok(packet)
}

/// What has a way of its own through the decoder comes out as it does among others, and nothing else does.
#[track_caller]
fn is_the_same_apart(
    decoder: Decoder,
    bytes: &[u8],
    decoded: &Result<Option<Packet>, DecodeError>,
) {
    let (publish, ack) = match decoded {
        Ok(Some(Packet::Publish(publish))) => (Ok(Some(publish.clone())), None),
        Ok(Some(
            packet @ (Packet::PubAck(ack)
            | Packet::PubRec(ack)
            | Packet::PubRel(ack)
            | Packet::PubComp(ack)),
        )) => {
            // In 3.1 a PUBREL may have DUP.
            let is_short = bytes.len() == 4 && bytes[0] != 0x6A;
            (Ok(None), is_short.then(|| (packet.packet_type(), ack.id)))
        }
        Err(error) if bytes.first().is_some_and(|first| first >> 4 == 3) => (Err(*error), None),
        _ => (Ok(None), None),
    };
    let mut input = BytesMut::from(bytes);
    assert_eq!(decoder.decode_publish(&mut input), publish, "{bytes:02X?}");
    assert_eq!(
        input.is_empty(),
        matches!(publish, Ok(Some(_))) || bytes.is_empty()
    );
    let mut input = BytesMut::from(bytes);
    assert_eq!(decoder.decode_ack_success(&mut input), ack, "{bytes:02X?}");
    assert_eq!(input.is_empty(), ack.is_some() || bytes.is_empty());
}

#[track_caller]
pub fn accepts(version: Version, sender: Sender, bytes: &[u8]) -> Packet {
    decode(version, sender, bytes)
        .unwrap_or_else(|e| panic!("{version}: {sender}: {bytes:02X?}: {e:?}"))
}

#[track_caller]
pub fn refuses(version: Version, sender: Sender, bytes: &[u8]) -> DecodeError {
    match decode(version, sender, bytes) {
        Err(error) => error,
        Ok(packet) => panic!("{version}: {sender}: {bytes:02X?} was taken as {packet:?}"),
    }
}

/// The bytes of a packet. The length that is announced and the one that is returned are checked against them.
#[track_caller]
pub fn encode(version: Version, sender: Sender, packet: &Packet) -> Result<Vec<u8>, EncodeError> {
    let encoder = Encoder::new(version, sender);
    let mut out = Outbox::new();
    let len = encoder.encode(packet, &mut out);
    assert_eq!(
        encoder.encoded_len(packet),
        len,
        "encoded_len of {packet:?}"
    );
    assert_eq!(
        len.unwrap_or(0),
        out.to_vec().len(),
        "bytes of {packet:?}: {len:?}"
    );
    len.map(|_| out.to_vec())
}

/// The bytes are the packet, and the packet is the bytes.
#[track_caller]
pub fn both_ways(version: Version, sender: Sender, bytes: &[u8], packet: Packet) {
    assert_eq!(accepts(version, sender, bytes), packet, "decoding");
    assert_eq!(
        encode(version, sender, &packet).as_deref(),
        Ok(bytes),
        "encoding {packet:?} in {version}"
    );
}
