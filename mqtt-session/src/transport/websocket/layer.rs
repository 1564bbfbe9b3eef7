//! The layer: what is said when.

use core::mem;

use alloc::boxed::Box;

use bytes::{Buf, Bytes, BytesMut};
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::frames::{Close, Frames, Said, put};
use super::handshake::Handshake;
use crate::transport::{Layer, WebSocketError};
use crate::{Cause, Endpoint};

/// What a Close frame says where all is well (RFC 6455, section 7.4.1).
const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;
/// The kind of data can't be dealt with.
const UNSUPPORTED: u16 = 1003;
const TOO_LARGE: u16 = 1009;

#[derive(Debug)]
pub(crate) struct WebSocketLayer {
    stage: Stage,
    frames: Frames,
    /// What the latest ping had, where it has no answer yet.
    ping: Option<Bytes>,
    /// Our last word, where it has not left yet.
    last: Option<u16>,
    /// There is no word after it.
    closed: bool,
}

#[derive(Debug)]
enum Stage {
    Shaking(Box<Handshake>),
    Open,
    /// The peer's Close frame has come, and is answered with this code.
    Over(u16),
    /// The peer has failed us, which this code says.
    Failed(u16),
    /// There was no WebSocket.
    Refused,
}

impl WebSocketLayer {
    pub(super) fn new(server: &Endpoint, headers: &[(Box<str>, Box<str>)]) -> Self {
        Self {
            stage: Stage::Shaking(Handshake::new(server, headers).into()),
            frames: Frames::default(),
            ping: None,
            last: None,
            closed: false,
        }
    }

    fn shake(&mut self, from: &mut BytesMut) -> Result<(), WebSocketError> {
        if let Stage::Shaking(handshake) = &mut self.stage
            && !from.is_empty()
            && handshake
                .read(from)
                .inspect_err(|_| self.stage = Stage::Refused)?
        {
            self.stage = Stage::Open;
        }
        Ok(())
    }

    fn pass(&mut self, from: &mut BytesMut, to: &mut BytesMut) -> Result<(), WebSocketError> {
        while matches!(self.stage, Stage::Open) {
            match self.frames.read(from, to) {
                Ok(None) => return Ok(()),
                Ok(Some(Said::Ping(payload))) => self.ping = Some(payload),
                Ok(Some(Said::Close(close))) => return self.leave(close),
                Err(error) => {
                    self.stage = Stage::Failed(match error {
                        WebSocketError::TextFrame => UNSUPPORTED,
                        WebSocketError::FrameTooLarge { .. } => TOO_LARGE,
                        _ => PROTOCOL_ERROR,
                    });
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The peer has closed.
    fn leave(&mut self, close: Option<Close>) -> Result<(), WebSocketError> {
        match close {
            None => self.stage = Stage::Over(NORMAL),
            Some(Close { code, reason }) => {
                // It is repeated, unless it is one that may not be sent.
                let is_code = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
                self.stage = Stage::Over(if is_code { code } else { PROTOCOL_ERROR });
                if code != NORMAL {
                    return Err(WebSocketError::ClosedByPeer { code, reason });
                }
            }
        }
        Ok(())
    }
}

impl Layer for WebSocketLayer {
    fn read(&mut self, from: &mut BytesMut, to: &mut BytesMut) -> Result<(), Cause> {
        // One at a time: what is behind the handshake is no failure of it.
        let read = match self.stage {
            Stage::Shaking(_) => self.shake(from),
            _ => self.pass(from, to),
        };
        read.map_err(Cause::WebSocket)
    }

    fn write(&mut self, from: &mut dyn Buf, to: &mut BytesMut) -> Result<(), Cause> {
        if let Stage::Shaking(handshake) = &mut self.stage
            && !self.closed
            && let Some(request) = handshake.take_request()
        {
            to.extend_from_slice(request.as_bytes());
        }
        if let Some(mut payload) = self.ping.take()
            && !self.closed
        {
            put(OpCode::Control(Control::Pong), &mut payload, to);
        }
        if self.is_ready() && !self.closed && from.has_remaining() {
            put(OpCode::Data(Data::Binary), from, to);
        }
        if let Some(code) = self.last.take() {
            put(
                OpCode::Control(Control::Close),
                &mut &code.to_be_bytes()[..],
                to,
            );
        }
        Ok(())
    }

    fn wants_write(&self) -> bool {
        let requests = matches!(&self.stage, Stage::Shaking(handshake) if handshake.has_request());
        self.last.is_some() || (!self.closed && (requests || self.ping.is_some()))
    }

    fn is_ready(&self) -> bool {
        !matches!(self.stage, Stage::Shaking(_) | Stage::Refused)
    }

    fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over(_))
    }

    fn close(&mut self) {
        if mem::replace(&mut self.closed, true) {
            return;
        }
        self.last = match self.stage {
            Stage::Shaking(_) | Stage::Refused => None,
            Stage::Open => Some(NORMAL),
            Stage::Over(code) | Stage::Failed(code) => Some(code),
        };
    }

    fn timed_out(&self) -> Cause {
        Cause::WebSocket(WebSocketError::TimedOut)
    }

    fn cut(&self, cause: Cause) -> Cause {
        match (self.is_ready(), cause) {
            // Who does not know HTTP hangs up on our request, often without having read it all.
            (false, Cause::Eof | Cause::ConnectionReset) => {
                Cause::WebSocket(WebSocketError::Closed)
            }
            (true, Cause::Eof) => Cause::WebSocket(WebSocketError::Truncated),
            (_, cause) => cause,
        }
    }
}
