//! Frames, one after the other.

use alloc::boxed::Box;
use std::io::Cursor;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::handshake::shown;
use crate::transport::WebSocketError;

/// What the header of a frame has at most, in bytes.
const MAX_HEADER: usize = 14;
/// What a frame about the connection has at most, in bytes (RFC 6455, section 5.5).
const MAX_CONTROL: u64 = 125;

/// Those of the server. The payload of data passes as it comes: nothing of it is held, so nothing needs to be limited.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// What is still to come of the frame that has begun.
    left: u64,
    /// The message goes on in another frame.
    unfinished: bool,
}

/// What the server says about the connection.
#[derive(Debug)]
pub(super) enum Said {
    Ping(Bytes),
    Close(Option<Close>),
}

#[derive(Debug)]
pub(super) struct Close {
    pub(super) code: u16,
    pub(super) reason: Box<str>,
}

impl Frames {
    /// Moves payload from `from` behind that in `to`, until the server says something about the connection, or nothing more can be taken.
    pub(super) fn read(
        &mut self,
        from: &mut BytesMut,
        to: &mut BytesMut,
    ) -> Result<Option<Said>, WebSocketError> {
        loop {
            let count = usize::try_from(self.left).map_or(from.len(), |n| n.min(from.len()));
            to.extend_from_slice(&from[..count]);
            from.advance(count);
            self.left -= count as u64;
            if self.left > 0 {
                return Ok(None);
            }
            let Some((header, size, len)) = parse(from)? else {
                return Ok(None);
            };
            match header.opcode {
                OpCode::Data(data) => {
                    self.begin(data, header.is_final, len)?;
                    from.advance(size);
                }
                OpCode::Control(control) => {
                    if !header.is_final {
                        return Err(WebSocketError::Protocol(
                            "it sent a control frame in fragments",
                        ));
                    }
                    if len > MAX_CONTROL {
                        return Err(WebSocketError::FrameTooLarge { len });
                    }
                    let len = len as usize;
                    if from.len() < size + len {
                        return Ok(None);
                    }
                    from.advance(size);
                    if let Some(said) = said(control, &from.split_to(len))? {
                        return Ok(Some(said));
                    }
                }
            }
        }
    }

    /// A frame of data has come, of which the header is known.
    fn begin(&mut self, data: Data, is_final: bool, len: u64) -> Result<(), WebSocketError> {
        match (data, self.unfinished) {
            (Data::Binary, false) | (Data::Continue, true) => {}
            // [MQTT-6.0.0-1]
            (Data::Text, false) => return Err(WebSocketError::TextFrame),
            (Data::Continue, false) => {
                return Err(WebSocketError::Protocol(
                    "it went on with a message that has not begun",
                ));
            }
            _ => {
                return Err(WebSocketError::Protocol(
                    "it began a message within another one",
                ));
            }
        }
        // RFC 6455, section 5.2: the most significant bit must be 0.
        if i64::try_from(len).is_err() {
            return Err(WebSocketError::FrameTooLarge { len });
        }
        self.unfinished = !is_final;
        self.left = len;
        Ok(())
    }
}

/// A header, its size, and the length of the payload behind it.
fn parse(from: &[u8]) -> Result<Option<(FrameHeader, usize, u64)>, WebSocketError> {
    let mut cursor = Cursor::new(&from[..from.len().min(MAX_HEADER)]);
    let parsed = FrameHeader::parse(&mut cursor)
        .map_err(|_| WebSocketError::Protocol("it sent a frame of an unknown kind"))?;
    let Some((header, len)) = parsed else {
        return Ok(None);
    };
    if header.rsv1 || header.rsv2 || header.rsv3 {
        return Err(WebSocketError::Protocol(
            "it sent a frame with reserved bits",
        ));
    }
    // RFC 6455, section 5.1
    if header.mask.is_some() {
        return Err(WebSocketError::MaskedFrame);
    }
    Ok(Some((header, cursor.position() as usize, len)))
}

fn said(control: Control, payload: &[u8]) -> Result<Option<Said>, WebSocketError> {
    Ok(Some(match control {
        Control::Ping => Said::Ping(Bytes::copy_from_slice(payload)),
        Control::Close => Said::Close(match payload {
            [] => None,
            [_] => {
                return Err(WebSocketError::Protocol(
                    "it sent a Close frame with half a code",
                ));
            }
            [high, low, reason @ ..] => Some(Close {
                code: u16::from_be_bytes([*high, *low]),
                reason: shown(reason),
            }),
        }),
        Control::Pong | Control::Reserved(_) => return Ok(None),
    }))
}

/// Puts a frame of ours, masked, behind what is in `to`.
pub(super) fn put(opcode: OpCode, payload: &mut dyn Buf, to: &mut BytesMut) {
    let mask = rand::random::<[u8; 4]>();
    let header = FrameHeader {
        opcode,
        mask: Some(mask),
        ..FrameHeader::default()
    };
    let len = payload.remaining();
    to.reserve(MAX_HEADER + len);
    // Memory takes all that it is given.
    let _ = header.format(len as u64, &mut (&mut *to).writer());
    let begin = to.len();
    to.put(payload);
    hide(&mut to[begin..], mask);
}

fn hide(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = payload.chunks_exact_mut(8);
    for word in &mut words {
        if let Ok(bytes) = <[u8; 8]>::try_from(&*word) {
            word.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ wide).to_ne_bytes());
        }
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}
