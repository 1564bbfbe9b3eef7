//! What the server says.

use arbitrary::Unstructured;

use super::{TOPICS, World, byte, pick_id};
use crate::wire::{block, frame, text};

impl World {
    pub(super) fn connack(&self, code: u8, properties: &[u8]) -> Vec<u8> {
        let properties = if self.version.is_v5() {
            block(properties)
        } else {
            Vec::new()
        };
        frame(0x20, &[&[0, code], &properties])
    }

    /// One packet of the server, right or wrong.
    pub(super) fn server_packet(&mut self, u: &mut Unstructured<'_>) -> Vec<u8> {
        let v5 = self.version.is_v5();
        let none: &[u8] = if v5 { &[0] } else { &[] };
        let ours = self.model.ids();
        let id = pick_id(u, &ours);
        match byte(u) % 24 {
            kind @ 0..=3 => {
                // PUBACK, PUBREC, PUBREL, PUBCOMP.
                let first = [0x40, 0x50, 0x62, 0x70][usize::from(kind)];
                let id = if kind == 2 {
                    pick_id(u, &self.model.their_ids())
                } else {
                    id
                };
                let reason = [0x00, 0x00, 0x10, 0x80, 0x92, 0x97][usize::from(byte(u) % 6)];
                let reason: &[u8] = if v5 { &[reason] } else { &[] };
                frame(first, &[&id.to_be_bytes(), reason])
            }
            4..=8 | 16..=23 => {
                let (flags, shape) = (byte(u), byte(u));
                // Mostly those that mean something.
                let flags = match flags {
                    0..=239 => [0x0, 0x1, 0x2, 0x3, 0x4, 0x5, 0xA, 0xC][usize::from(flags % 8)],
                    wild => wild % 16,
                };
                let topic = TOPICS[usize::from(shape % 4)];
                let id = pick_id(u, &self.model.their_ids()).to_be_bytes();
                let id = if flags & 6 == 0 { &id[..0] } else { &id[..] };
                let alias = [0x23, 0, shape / 32];
                let (topic, properties) = match shape % 16 {
                    0 if v5 => (text(""), block(&alias)),
                    1 if v5 => (text(topic), block(&alias)),
                    2 if v5 => (text(topic), block(&[0x0B, 1 + shape / 64])),
                    _ => (text(topic), none.to_vec()),
                };
                let payload = self.payload(usize::from(shape));
                frame(0x30 | flags, &[&topic, id, &properties, &payload])
            }
            kind @ 9..=10 => {
                let first = if kind == 9 { 0x90 } else { 0xB0 };
                let count = usize::from(byte(u) % 4);
                let codes = [[0, 1, 2], [0, 0x80, 0x87], [0x11, 0, 0]][usize::from(byte(u) % 3)];
                let codes = if first == 0xB0 && !v5 {
                    &[]
                } else {
                    &codes[..count.min(3)]
                };
                frame(first, &[&id.to_be_bytes(), none, codes])
            }
            11 => frame(0xD0, &[]),
            12 => self.any_connack(u),
            13 => frame(
                0xE0,
                &[&[0x8B][..usize::from(v5 && byte(u).is_multiple_of(2))]],
            ),
            14 => {
                let len = usize::from(byte(u) % 32);
                u.bytes(len.min(u.len())).unwrap_or_default().to_vec()
            }
            _ => {
                let body = [&[0x19], none].concat();
                frame(0xF0, &[&body])
            }
        }
    }

    fn any_connack(&self, u: &mut Unstructured<'_>) -> Vec<u8> {
        let (said, value) = (byte(u), byte(u));
        if !self.version.is_v5() {
            return frame(0x20, &[&[value & 1, if said % 8 == 0 { 3 } else { 0 }]]);
        }
        let mut properties = Vec::new();
        let mut add = |bit: u8, bytes: &[u8]| {
            if said & bit != 0 {
                properties.extend_from_slice(bytes);
            }
        };
        add(1, &[0x21, 0, 1 + value % 4]);
        add(2, &[0x24, value % 2]);
        add(4, &[0x25, 0]);
        add(8, &[0x27, 0, 0, value % 2, 60 + value % 128]);
        add(16, &[0x22, 0, value % 4]);
        add(32, &[0x28, 0]);
        add(64, &[0x13, 0, value % 32]);
        let code = if said & 128 != 0 && value > 200 {
            0x88
        } else {
            0
        };
        let body = [&[value & 1, code][..], &block(&properties)].concat();
        frame(0x20, &[&body])
    }

    /// Many messages under identifiers that count up: more than what one run of the inbox holds, or larger ones.
    pub(super) fn server_messages(&mut self, u: &mut Unstructured<'_>) -> Vec<u8> {
        let (kinds, shape, first, count) = (byte(u), byte(u), byte(u), byte(u));
        let none: &[u8] = if self.version.is_v5() { &[0] } else { &[] };
        let topic = text(TOPICS[usize::from(kinds / 64)]);
        let len = usize::from(shape) * [0, 1, 4, 7][usize::from(kinds / 16 % 4)];
        let mut bytes = Vec::new();
        for at in 0..=u16::from(count) {
            // All of a QoS, or turn by turn; some of them as if sent again.
            let qos = [
                0,
                1,
                2,
                at % 3,
                at % 2,
                1 + at % 2,
                u16::from(at % 16 == 5),
                0,
            ][usize::from(kinds % 8)];
            let dup = kinds & 8 != 0 && qos > 0 && at % 4 == 3;
            let flags = (qos as u8) << 1 | u8::from(dup) << 3;
            let id = (1 + u16::from(first) + at).to_be_bytes();
            let id = if qos == 0 { &id[..0] } else { &id[..] };
            let payload = self.payload(len);
            // Those of QoS 0 under an alias, which the second of them sets.
            let has_alias = kinds & 8 != 0 && qos == 0 && at > 0 && self.version.is_v5();
            let (topic, properties): (&[u8], &[u8]) = match has_alias {
                true if at == 1 => (&topic, &[3, 0x23, 0, 1]),
                true => (&[0, 0], &[3, 0x23, 0, 1]),
                false => (&topic, none),
            };
            bytes.extend(frame(0x30 | flags, &[topic, id, properties, &payload]));
        }
        bytes
    }

    /// Begins with a number, as far as there is room: no message shall be taken for another.
    fn payload(&mut self, len: usize) -> Vec<u8> {
        self.said += 1;
        let number = self.said.to_le_bytes();
        let filled = number.into_iter().chain(std::iter::repeat(b'y'));
        filled.take(len).collect()
    }
}
