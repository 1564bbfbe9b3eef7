//! How each codec decodes: from the buffer type that it takes.

use std::hint::black_box;

use bytes::BytesMut;
use mqtt_proto::{Decoder, Packet, Sender, Version};

/// A codec that decodes.
pub trait Decode {
    const NAME: &'static str;

    /// What it takes packets from.
    type Input;

    fn input(stream: &[u8]) -> Self::Input;

    /// Decodes all packets, dropping each before the next, and counts them.
    fn decode(input: &mut Self::Input) -> usize;
}

/// A buffer as one has after a read: with room for the next. Without room, a codec that reserves some before it returns would
/// copy what is left behind each packet.
pub fn read_buffer(stream: &[u8]) -> BytesMut {
    let mut buffer = BytesMut::with_capacity(stream.len() + 4096);
    buffer.extend_from_slice(stream);
    buffer
}

pub struct Ours;

impl Decode for Ours {
    const NAME: &'static str = "mqtt-proto (ours)";
    type Input = BytesMut;

    fn input(stream: &[u8]) -> BytesMut {
        read_buffer(stream)
    }

    fn decode(input: &mut BytesMut) -> usize {
        let decoder = Decoder::new(Version::V5, Sender::Server);
        let mut count = 0;
        loop {
            match decoder.decode(input) {
                Ok(Some(Packet::Publish(publish))) => {
                    black_box(&publish);
                    count += 1;
                }
                Ok(None) => return count,
                other => panic!("no PUBLISH but {other:?}"),
            }
        }
    }
}

/// The least that could be done: finds the parts, and checks nothing but that they are there.
pub struct Floor;

impl Decode for Floor {
    const NAME: &'static str = "floor: find the parts";
    type Input = Vec<u8>;

    fn input(stream: &[u8]) -> Vec<u8> {
        stream.to_vec()
    }

    fn decode(input: &mut Vec<u8>) -> usize {
        let mut rest = &input[..];
        let mut count = 0;
        while let Some(parts) = parts(&mut rest) {
            black_box(parts);
            count += 1;
        }
        count
    }
}

/// The least that could be done where a packet outlives the buffer that it came in: one shared handle for each frame, which
/// counts up and down atomically, and nothing of it looked at.
pub struct HandleFloor;

impl Decode for HandleFloor {
    const NAME: &'static str = "floor: one handle a frame";
    type Input = BytesMut;

    fn input(stream: &[u8]) -> BytesMut {
        read_buffer(stream)
    }

    fn decode(input: &mut BytesMut) -> usize {
        let mut count = 0;
        while let Some((length, body)) = input.get(1..).and_then(varint) {
            let size = input.len() - body.len() + length;
            black_box(&input.split_to(size).freeze());
            count += 1;
        }
        count
    }
}

struct Parts<'a> {
    _first: u8,
    _topic: &'a [u8],
    _id: u16,
    _properties: &'a [u8],
    _payload: &'a [u8],
}

fn parts<'a>(rest: &mut &'a [u8]) -> Option<Parts<'a>> {
    let (first, after) = rest.split_first()?;
    let (length, after) = varint(after)?;
    let (mut body, after) = after.split_at_checked(length)?;
    *rest = after;
    let topic_length = u16::from_be_bytes(take(&mut body, 2)?.try_into().ok()?);
    let topic = take(&mut body, usize::from(topic_length))?;
    let id = u16::from_be_bytes(take(&mut body, 2)?.try_into().ok()?);
    let (length, after) = varint(body)?;
    let (properties, payload) = after.split_at_checked(length)?;
    Some(Parts {
        _first: *first,
        _topic: topic,
        _id: id,
        _properties: properties,
        _payload: payload,
    })
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}
