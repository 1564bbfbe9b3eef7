//! The body of the target `chunked`.

use bytes::BytesMut;
use mqtt_proto::{DecodeError, Decoder, Packet};

use crate::{Codec, Reached};

/// What came out of a stream: the packets, then an error or how many bytes are left over.
type Outcome = (Vec<Packet>, Result<usize, DecodeError>);

/// An input taken apart.
struct Case<'a> {
    codec: Codec,
    limit: Option<u32>,
    sizes: &'a [u8],
    stream: &'a [u8],
}

/// Reads one stream whole and in pieces.
pub fn run(data: &[u8]) -> Reached {
    let mut reached = Reached::default();
    let Some(case) = parse(data) else {
        return reached;
    };
    let whole = read(&case, &[case.stream.len()]);
    let sizes: Vec<usize> = case.sizes.iter().copied().map(usize::from).collect();
    // Nothing but empty pieces would never come to an end.
    if sizes.iter().any(|size| *size > 0) {
        assert_eq!(read(&case, &sizes), whole, "in pieces of {sizes:?}");
    }
    assert_eq!(read(&case, &[1]), whole, "byte by byte");
    for packet in &whole.0 {
        reached.add(case.codec, packet.packet_type());
    }
    reached
}

fn parse(data: &[u8]) -> Option<Case<'_>> {
    let [codec, high, low, count, rest @ ..] = data else {
        return None;
    };
    let (sizes, stream) = rest.split_at_checked(usize::from(*count % 17))?;
    let limit = u32::from(u16::from_be_bytes([*high, *low]));
    Some(Case {
        codec: Codec::ALL[usize::from(*codec) % Codec::ALL.len()],
        limit: (limit > 0).then_some(limit),
        sizes,
        stream,
    })
}

fn read(case: &Case<'_>, sizes: &[usize]) -> Outcome {
    let decoder = match case.limit {
        Some(limit) => case.codec.decoder().with_max_packet_size(limit),
        None => case.codec.decoder(),
    };
    let (mut stream, mut input, mut packets) = (case.stream, BytesMut::new(), Vec::new());
    for size in sizes.iter().cycle() {
        let piece;
        (piece, stream) = stream.split_at((*size).min(stream.len()));
        input.extend_from_slice(piece);
        if let Err(error) = take_all(decoder, &mut input, &mut packets) {
            return (packets, Err(error));
        }
        if let Some(limit) = case.limit {
            // The header alone may be up to five bytes.
            assert!(
                input.len() <= 5.max(limit as usize),
                "{} bytes wait",
                input.len()
            );
        }
        if stream.is_empty() {
            break;
        }
    }
    (packets, Ok(input.len()))
}

fn take_all(
    decoder: Decoder,
    input: &mut BytesMut,
    packets: &mut Vec<Packet>,
) -> Result<(), DecodeError> {
    while let Some(packet) = decoder.decode(input)? {
        packets.push(packet);
    }
    Ok(())
}
