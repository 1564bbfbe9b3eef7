//! WebSocket.

use std::io::{self, Read, Write};

use bytes::{Buf, BytesMut};
use tungstenite::handshake::server::{Request, Response};
use tungstenite::protocol::Role;
use tungstenite::{Error, Message};

use super::Over;

/// tungstenite in the role of a server, between bytes of a socket and bytes of MQTT.
#[derive(Default)]
pub(super) struct WebSocket {
    request: BytesMut,
    open: Option<tungstenite::WebSocket<Memory>>,
}

impl WebSocket {
    /// Takes bytes of the socket, and puts what they carry behind that in `to`.
    pub(super) fn receive(&mut self, raw: &[u8], to: &mut BytesMut) -> Result<(), Over> {
        let Some(open) = &mut self.open else {
            return self.shake(raw);
        };
        open.get_mut().input.extend_from_slice(raw);
        loop {
            match open.read() {
                Ok(Message::Binary(bytes)) => to.extend_from_slice(&bytes),
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(Over),
            }
        }
    }

    fn shake(&mut self, raw: &[u8]) -> Result<(), Over> {
        self.request.extend_from_slice(raw);
        if !self.request.ends_with(b"\r\n\r\n") {
            return Ok(());
        }
        let mut memory = Memory {
            input: self.request.split(),
            output: Vec::new(),
        };
        #[allow(clippy::result_large_err, reason = "the callback's own")]
        let choose = |request: &Request, mut response: Response| {
            let headers = response.headers_mut();
            let chosen = request.headers()["sec-websocket-protocol"].clone();
            headers.insert("sec-websocket-protocol", chosen);
            Ok(response)
        };
        if tungstenite::accept_hdr(&mut memory, choose).is_err() {
            return Err(Over);
        }
        self.open = Some(tungstenite::WebSocket::from_raw_socket(
            memory,
            Role::Server,
            None,
        ));
        Ok(())
    }

    /// Takes what is in `plain`, and puts what it becomes behind that in `to`, along with what is to be said of the connection.
    pub(super) fn send(&mut self, plain: &mut Vec<u8>, to: &mut Vec<u8>) {
        let Some(open) = &mut self.open else { return };
        if !plain.is_empty() {
            // Where it has closed there is nobody to hear it.
            let _ = open.send(Message::binary(std::mem::take(plain)));
        }
        to.append(&mut open.get_mut().output);
    }

    /// Says that nothing more will come. Once.
    pub(super) fn close(&mut self, to: &mut Vec<u8>) {
        if let Some(mut open) = self.open.take() {
            let _ = open.close(None);
            to.append(&mut open.get_mut().output);
        }
    }
}

/// A stream that ends nowhere, and has nothing for now.
struct Memory {
    input: BytesMut,
    output: Vec<u8>,
}

impl Read for Memory {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = to.len().min(self.input.len());
        self.input.copy_to_slice(&mut to[..count]);
        Ok(count)
    }
}

impl Write for Memory {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(from);
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
