//! As much of MQTT 3.1.1 as the server needs, without any of the codecs that are measured.

use crate::{PAYLOAD, Result, TOPIC};

/// What a client has sent.
#[derive(Default)]
pub(crate) struct Packets {
    pub(crate) connects: usize,
    pub(crate) published: usize,
    /// Bytes of payload.
    pub(crate) payload: usize,
    /// DISCONNECT has come.
    pub(crate) over: bool,
}

impl Packets {
    /// Takes the packets that are whole, and answers them.
    pub(crate) fn take(&mut self, plain: &mut Vec<u8>, answer: &mut Vec<u8>) -> Result<()> {
        let mut at = 0;
        while let Some((first, from, to)) = frame(&plain[at..]) {
            self.packet(first, &plain[at + from..at + to], answer)?;
            at += to;
        }
        plain.drain(..at);
        Ok(())
    }

    fn packet(&mut self, first: u8, body: &[u8], answer: &mut Vec<u8>) -> Result<()> {
        match first >> 4 {
            1 => {
                self.connects += 1;
                answer.extend_from_slice(&[0x20, 2, 0, 0]);
            }
            3 => {
                let qos = first >> 1 & 3;
                let rest = body.strip_prefix(&(TOPIC.len() as u16).to_be_bytes());
                let rest = rest.and_then(|rest| rest.strip_prefix(TOPIC.as_bytes()));
                let rest = rest.ok_or("another topic")?;
                let (id, payload) = rest.split_at(if qos == 0 { 0 } else { 2 });
                if payload != PAYLOAD {
                    return Err("another payload".into());
                }
                self.published += 1;
                self.payload += payload.len();
                if qos > 0 {
                    answer.extend_from_slice(&[0x40, 2, id[0], id[1]]);
                }
            }
            12 => answer.extend_from_slice(&[0xd0, 0]),
            14 => self.over = true,
            other => return Err(format!("a packet of type {other}").into()),
        }
        Ok(())
    }
}

/// The first byte of a packet, where its body begins, and where it ends.
fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let mut len = 0;
    for (at, byte) in rest.iter().take(4).enumerate() {
        len |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let from = at + 2;
            let to = from + len;
            return (bytes.len() >= to).then_some((first, from, to));
        }
    }
    None
}
