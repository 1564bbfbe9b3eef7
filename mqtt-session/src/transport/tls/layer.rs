use core::fmt;
use std::boxed::Box;
use std::io::{BufRead, IoSlice, Write};
use std::string::ToString;
use std::sync::Arc;

use bytes::{Buf, BufMut, BytesMut};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use super::Tls;
use super::explain::explain;
use crate::Cause;
use crate::transport::{Layer, TlsError};

/// Chunks that become one record.
const CHUNKS: usize = 64;

/// One connection's TLS.
pub(crate) struct TlsLayer {
    tls: Box<ClientConnection>,
    has_certificate: bool,
    /// The peer has said close_notify.
    over: bool,
    /// We have, or something has failed.
    closed: bool,
}

impl TlsLayer {
    pub(super) fn new(tls: &Tls, name: ServerName<'static>) -> Result<Self, TlsError> {
        let mut connection = ClientConnection::new(Arc::clone(&tls.config), name)
            .map_err(|error| TlsError::Protocol(error.to_string().into()))?;
        // Nothing is kept in there: what is taken leaves at once.
        connection.set_buffer_limit(None);
        Ok(Self {
            tls: connection.into(),
            has_certificate: tls.has_certificate,
            over: false,
            closed: false,
        })
    }

    fn fail(&mut self, error: rustls::Error, heard: bool) -> Cause {
        self.closed = true;
        Cause::Tls(explain(error, heard, self.has_certificate))
    }

    /// Everything that is decrypted.
    fn take_plaintext(&mut self, to: &mut BytesMut) {
        let mut reader = self.tls.reader();
        // An error only says that there is no more for now, or ever.
        while let Ok(chunk) = reader.fill_buf() {
            let len = chunk.len();
            if len == 0 {
                break;
            }
            to.extend_from_slice(chunk);
            reader.consume(len);
        }
    }
}

impl Layer for TlsLayer {
    fn read(&mut self, from: &mut BytesMut, to: &mut BytesMut) -> Result<(), Cause> {
        while !from.is_empty() && !self.over {
            let mut raw = &from[..];
            let taken = self.tls.read_tls(&mut raw).unwrap_or(0);
            from.advance(taken);
            let heard = self.tls.protocol_version().is_some();
            let state = self.tls.process_new_packets();
            let state = state.map(|state| state.peer_has_closed());
            self.take_plaintext(to);
            match state {
                Ok(over) => self.over = over,
                Err(error) => return Err(self.fail(error, heard)),
            }
            if taken == 0 {
                break;
            }
        }
        if self.over {
            // What comes behind close_notify means nothing.
            from.clear();
        }
        Ok(())
    }

    fn write(&mut self, from: &mut dyn Buf, to: &mut BytesMut) -> Result<(), Cause> {
        while self.is_ready() && !self.closed && from.has_remaining() {
            let mut chunks = [IoSlice::new(&[]); CHUNKS];
            let filled = from.chunks_vectored(&mut chunks);
            let taken = self.tls.writer().write_vectored(&chunks[..filled]);
            match taken {
                Ok(taken @ 1..) => from.advance(taken),
                // It takes everything, unless it has failed before.
                Ok(0) | Err(_) => return Err(Cause::Tls(TlsError::Closed)),
            }
        }
        while self.tls.wants_write() {
            // A buffer that grows takes all.
            if self.tls.write_tls(&mut to.writer()).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn wants_write(&self) -> bool {
        self.tls.wants_write()
    }

    fn is_ready(&self) -> bool {
        !self.tls.is_handshaking()
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            self.tls.send_close_notify();
        }
    }

    fn timed_out(&self) -> Cause {
        Cause::Tls(TlsError::TimedOut)
    }

    fn cut(&self, cause: Cause) -> Cause {
        match cause {
            Cause::Eof if self.is_ready() => Cause::Tls(TlsError::Truncated),
            // Who closes without having read all that we said resets the stream.
            Cause::Eof | Cause::ConnectionReset if !self.is_ready() => Cause::Tls(TlsError::Closed),
            other => other,
        }
    }
}

impl fmt::Debug for TlsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsLayer")
            .field("ready", &self.is_ready())
            .field("over", &self.over)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
