//! What a subscriber gets: the same message again and again, encoded once, with its packet identifier put in where it has one.

use crate::case::Row;
use crate::wire::publish;

/// What is written at once, in bytes, where it is many messages.
const CHUNK: usize = 64 * 1024;

/// Messages on their way out.
pub(super) struct Feed {
    chunk: Vec<u8>,
    /// Of one message.
    len: usize,
    id_at: usize,
    numbered: bool,
    id: u16,
    /// The part of `chunk` that is to be written.
    from: usize,
    to: usize,
    count: u64,
    window: u64,
    /// Messages that were put into the chunk so far.
    sent: u64,
    acknowledged: u64,
}

impl Feed {
    pub(super) fn new(row: Row, version: u8, window: u16, count: u64) -> Self {
        let (packet, id_at) = publish(version, row.work.qos(), row.size);
        let len = packet.len();
        Self {
            chunk: packet.repeat((CHUNK / len).max(1)),
            len,
            id_at,
            numbered: row.work.qos() > 0,
            id: 0,
            from: 0,
            to: 0,
            count,
            window: if row.work.qos() > 0 {
                window.into()
            } else {
                u64::MAX
            },
            sent: 0,
            acknowledged: 0,
        }
    }

    /// Whether a message was begun and is not whole yet.
    pub(super) const fn inside(&self) -> bool {
        !self.from.is_multiple_of(self.len)
    }

    /// What can be written now: as much as the subscriber takes before it has acknowledged more.
    pub(super) fn bytes(&mut self) -> &[u8] {
        if self.from == self.to {
            let most = (self.chunk.len() / self.len) as u64;
            let room = self.window.saturating_sub(self.sent - self.acknowledged);
            let now = most.min(self.count - self.sent).min(room);
            self.from = 0;
            self.to = now as usize * self.len;
            self.sent += now;
            if self.numbered {
                self.number();
            } else {
                self.acknowledged = self.sent;
            }
        }
        &self.chunk[self.from..self.to]
    }

    fn number(&mut self) {
        for packet in self.chunk[..self.to].chunks_exact_mut(self.len) {
            self.id = self.id.checked_add(1).unwrap_or(1);
            packet[self.id_at..self.id_at + 2].copy_from_slice(&self.id.to_be_bytes());
        }
    }

    pub(super) const fn written(&mut self, n: usize) {
        self.from += n;
    }

    pub(super) const fn acknowledged(&mut self, n: u64) {
        self.acknowledged += n;
    }

    /// All is written, and acknowledged where it has to be.
    pub(super) const fn done(&self) -> bool {
        self.from == self.to && self.sent == self.count && self.acknowledged == self.count
    }
}
