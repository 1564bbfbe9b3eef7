//! What the client says, and the answers to it.

use crate::Result;
use crate::case::Row;
use crate::wire::{Frame, connected, frame, is_payload, published};

/// Looks at packets and answers them.
pub(super) struct Answers {
    row: Row,
    version: u8,
    receive_maximum: u16,
    subscribed: bool,
    suback: bool,
    seen: u64,
    payload: u64,
    acknowledged: u64,
    bytes: Vec<u8>,
}

impl Answers {
    pub(super) const fn new(row: Row) -> Self {
        Self {
            row,
            version: 4,
            receive_maximum: u16::MAX,
            subscribed: false,
            suback: false,
            seen: 0,
            payload: 0,
            acknowledged: 0,
            bytes: Vec::new(),
        }
    }

    pub(super) const fn version(&self) -> u8 {
        self.version
    }

    pub(super) const fn receive_maximum(&self) -> u16 {
        self.receive_maximum
    }

    pub(super) const fn subscribed(&self) -> bool {
        self.subscribed
    }

    /// As if a CONNECT had asked for this version.
    pub(super) const fn speak(&mut self, version: u8) {
        self.version = version;
    }

    /// Whether a SUBACK has come, from a server.
    pub(super) const fn suback(&self) -> bool {
        self.suback
    }

    /// Messages that were published.
    pub(super) const fn seen(&self) -> u64 {
        self.seen
    }

    /// Bytes of their payloads.
    pub(super) const fn payload(&self) -> u64 {
        self.payload
    }

    /// How many messages were acknowledged since the last time.
    pub(super) const fn take_acknowledged(&mut self) -> u64 {
        std::mem::replace(&mut self.acknowledged, 0)
    }

    /// What is to be said.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Takes the packets that are whole, and says how many bytes they had.
    pub(super) fn take(&mut self, input: &[u8]) -> Result<usize> {
        let (mut at, mut first) = (0, true);
        while let Some(frame) = frame(&input[at..]) {
            if frame.kind() == 3 {
                self.publish(&frame, std::mem::take(&mut first))?;
            } else {
                self.other(&frame)?;
            }
            at += frame.len;
        }
        Ok(at)
    }

    /// Topic and length are looked at in each message, every byte of the payload in the first of each read.
    #[inline]
    fn publish(&mut self, frame: &Frame<'_>, thorough: bool) -> Result<()> {
        let (id, payload) = published(self.version, frame).ok_or("a message on another topic")?;
        if payload.len() != self.row.size || thorough && !is_payload(payload, self.row.size) {
            return Err("another payload".into());
        }
        self.seen += 1;
        self.payload += payload.len() as u64;
        match frame.first >> 1 & 3 {
            0 => {}
            1 => self.bytes.extend_from_slice(&[0x40, 2, id[0], id[1]]),
            _ => self.bytes.extend_from_slice(&[0x50, 2, id[0], id[1]]),
        }
        Ok(())
    }

    fn other(&mut self, frame: &Frame<'_>) -> Result<()> {
        let id = frame.body.first_chunk().copied().unwrap_or([0; 2]);
        match frame.kind() {
            1 => {
                (self.version, self.receive_maximum) =
                    connected(frame.body).ok_or("no CONNECT that is understood")?;
                let [high, low] = self.row.window().to_be_bytes();
                // A server of 5.0 says how many it takes at once; 65,535 goes without saying.
                match (self.version, self.row.window()) {
                    (5, u16::MAX) => self.bytes.extend_from_slice(&[0x20, 3, 0, 0, 0]),
                    (5, _) => self
                        .bytes
                        .extend_from_slice(&[0x20, 6, 0, 0, 3, 0x21, high, low]),
                    _ => self.bytes.extend_from_slice(&[0x20, 2, 0, 0]),
                }
            }
            4 | 7 => self.acknowledged += 1,
            5 => self.bytes.extend_from_slice(&[0x62, 2, id[0], id[1]]),
            6 => self.bytes.extend_from_slice(&[0x70, 2, id[0], id[1]]),
            8 => {
                self.subscribed = true;
                let qos = self.row.work.qos();
                match self.version {
                    5 => self
                        .bytes
                        .extend_from_slice(&[0x90, 4, id[0], id[1], 0, qos]),
                    _ => self.bytes.extend_from_slice(&[0x90, 3, id[0], id[1], qos]),
                }
            }
            9 => self.suback = true,
            10 => match self.version {
                5 => self.bytes.extend_from_slice(&[0xb0, 4, id[0], id[1], 0, 0]),
                _ => self.bytes.extend_from_slice(&[0xb0, 2, id[0], id[1]]),
            },
            12 => self.bytes.extend_from_slice(&[0xd0, 0]),
            14 => {}
            other => return Err(format!("a packet of type {other}").into()),
        }
        Ok(())
    }
}
