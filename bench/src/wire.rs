//! As much of MQTT as the peer and the floor need, without any of the codecs that are measured.

/// Of every message.
pub(crate) const TOPIC: &str = "bench/throughput/sensor7";
/// A filter that matches it, for those who subscribe.
pub(crate) const FILTER: &str = "bench/+/sensor7";
/// Of every byte of a payload.
pub(crate) const FILL: u8 = b'x';

/// One packet at the front of some bytes.
pub(crate) struct Frame<'a> {
    pub(crate) first: u8,
    pub(crate) body: &'a [u8],
    /// With its header.
    pub(crate) len: usize,
}

impl Frame<'_> {
    pub(crate) const fn kind(&self) -> u8 {
        self.first >> 4
    }
}

/// The first packet of these bytes, if it is whole.
pub(crate) fn frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let (&first, rest) = bytes.split_first()?;
    let (len, used) = varint(rest)?;
    let len = 1 + used + len;
    let body = bytes.get(1 + used..len)?;
    Some(Frame { first, body, len })
}

/// A variable byte integer, and how many bytes it has.
pub(crate) fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

fn push_varint(bytes: &mut Vec<u8>, mut value: usize) {
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    push_varint(&mut packet, body.len());
    packet.extend_from_slice(body);
    packet
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// CONNECT of 5.0 with a clean start.
pub(crate) fn connect(id: &str) -> Vec<u8> {
    let mut body = text("MQTT");
    body.extend_from_slice(&[5, 2, 0, 0, 0]);
    body.extend_from_slice(&text(id));
    packet(0x10, &body)
}

/// SUBSCRIBE of 5.0.
pub(crate) fn subscribe(filter: &str, qos: u8) -> Vec<u8> {
    let mut body = vec![0, 1, 0];
    body.extend_from_slice(&text(filter));
    body.push(qos);
    packet(0x82, &body)
}

/// A PUBLISH without properties, and where its packet identifier stands; at QoS 0 nothing does there.
pub(crate) fn publish(version: u8, qos: u8, size: usize) -> (Vec<u8>, usize) {
    let mut body = text(TOPIC);
    let before_id = body.len();
    if qos > 0 {
        body.extend_from_slice(&[0, 1]);
    }
    if version >= 5 {
        body.push(0);
    }
    body.resize(body.len() + size, FILL);
    let packet = packet(0x30 | qos << 1, &body);
    let id_at = packet.len() - body.len() + before_id;
    (packet, id_at)
}

/// The identifier and the payload of a PUBLISH on [`TOPIC`].
pub(crate) fn published<'a>(version: u8, frame: &Frame<'a>) -> Option<([u8; 2], &'a [u8])> {
    const LEN: [u8; 2] = (TOPIC.len() as u16).to_be_bytes();
    let rest = frame.body.strip_prefix(&LEN)?;
    let mut rest = rest.strip_prefix(TOPIC.as_bytes())?;
    let mut id = [0; 2];
    if frame.first & 6 != 0 {
        id = *rest.first_chunk()?;
        rest = &rest[2..];
    }
    if version >= 5 {
        let (len, used) = varint(rest)?;
        rest = rest.get(used + len..)?;
    }
    Some((id, rest))
}

/// The version that a CONNECT asks for, and its Receive Maximum.
pub(crate) fn connected(body: &[u8]) -> Option<(u8, u16)> {
    let name = usize::from(u16::from_be_bytes(*body.first_chunk()?));
    let rest = body.get(2 + name..)?;
    let (version, rest) = (*rest.first()?, rest.get(4..)?);
    if version < 5 {
        return Some((version, u16::MAX));
    }
    let (len, used) = varint(rest)?;
    let mut properties = rest.get(used..used + len)?;
    while let Some((&id, rest)) = properties.split_first() {
        // Those that a CONNECT may have.
        let len = match id {
            0x21 => return Some((version, u16::from_be_bytes(*rest.first_chunk()?))),
            0x17 | 0x19 => 1,
            0x22 => 2,
            0x11 | 0x27 => 4,
            0x15 | 0x16 => 2 + usize::from(u16::from_be_bytes(*rest.first_chunk()?)),
            0x26 => {
                let key = 2 + usize::from(u16::from_be_bytes(*rest.first_chunk()?));
                key + 2 + usize::from(u16::from_be_bytes(*rest.get(key..)?.first_chunk()?))
            }
            _ => return None,
        };
        properties = rest.get(len..)?;
    }
    Some((version, u16::MAX))
}

/// A payload as every message has it.
pub(crate) fn is_payload(payload: &[u8], size: usize) -> bool {
    payload.len() == size && payload.iter().all(|&byte| byte == FILL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for version in [4, 5] {
            for (qos, id) in [(0, [0, 0]), (1, [0, 1])] {
                for size in [0, 64, 1024, 70_000] {
                    let (mut bytes, id_at) = publish(version, qos, size);
                    if qos > 0 {
                        assert_eq!(bytes[id_at..id_at + 2], [0, 1]);
                    }
                    bytes.push(0x30);
                    let frame = frame(&bytes).expect("whole");
                    assert_eq!(frame.len, bytes.len() - 1);
                    let (found, payload) = published(version, &frame).expect("this topic");
                    assert_eq!(found, id);
                    assert!(is_payload(payload, size));
                    assert!(!is_payload(payload, size + 1));
                }
            }
        }
    }

    #[test]
    fn a_packet_is_taken_when_it_is_whole() {
        let (bytes, _) = publish(5, 1, 300);
        for len in 0..bytes.len() {
            assert!(frame(&bytes[..len]).is_none());
        }
    }

    #[test]
    fn receive_maximum_is_found_among_other_properties() {
        let plain = connect("a");
        assert_eq!(connected(&plain[2..]), Some((5, u16::MAX)));
        let mut body = text("MQTT");
        body.extend_from_slice(&[5, 2, 0, 0]);
        let properties = [0x11, 0, 0, 0, 9, 0x26, 0, 1, b'k', 0, 1, b'v', 0x21, 1, 0];
        body.push(properties.len() as u8);
        body.extend_from_slice(&properties);
        assert_eq!(connected(&body), Some((5, 256)));
    }
}
