//! A server's front end: WebSocket on one side, the bytes that it carries on the other.

use std::io::{self, Read, Write};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::{Error, Message, WebSocket};

/// Serves one connection until either side ends, for who asks for `/mqtt`.
pub(crate) async fn carry(
    mut outside: impl AsyncRead + AsyncWrite + Unpin,
    mut inside: DuplexStream,
) -> io::Result<()> {
    let Some(mut socket) = accept(&mut outside).await? else {
        return Ok(());
    };
    let (mut arrived, mut leaving) = (BytesMut::new(), BytesMut::new());
    loop {
        tokio::select! {
            read = outside.read_buf(&mut socket.get_mut().input) => if read? == 0 {
                return Ok(());
            },
            // The rest of the broker has gone: we close, and the client answers.
            read = inside.read_buf(&mut leaving) => match read? {
                0 => _ = socket.close(None),
                _ => _ = socket.send(Message::Binary(leaving.split().freeze())),
            },
        }
        let over = loop {
            match socket.read() {
                Ok(Message::Binary(bytes)) => arrived.extend_from_slice(&bytes),
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break false,
                Err(_) => break true,
            }
        };
        let output = std::mem::take(&mut socket.get_mut().output);
        outside.write_all(&output).await?;
        outside.flush().await?;
        inside.write_all_buf(&mut arrived).await?;
        if over {
            return Ok(());
        }
    }
}

async fn accept(
    outside: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<Option<WebSocket<Memory>>> {
    let mut memory = Memory::default();
    while !memory.input.ends_with(b"\r\n\r\n") {
        if outside.read_buf(&mut memory.input).await? == 0 {
            return Ok(None);
        }
    }
    #[allow(clippy::result_large_err, reason = "the callback's own")]
    let choose = |request: &Request, mut response: Response| {
        if request.uri().path() != "/mqtt" {
            let mut response = ErrorResponse::new(None);
            *response.status_mut() = tungstenite::http::StatusCode::NOT_FOUND;
            return Err(response);
        }
        let chosen = request.headers()["sec-websocket-protocol"].clone();
        response
            .headers_mut()
            .insert("sec-websocket-protocol", chosen);
        Ok(response)
    };
    let accepted = tungstenite::accept_hdr(&mut memory, choose).is_ok();
    let answer = std::mem::take(&mut memory.output);
    outside.write_all(&answer).await?;
    outside.flush().await?;
    let role = tungstenite::protocol::Role::Server;
    Ok(accepted.then(|| WebSocket::from_raw_socket(memory, role, None)))
}

/// A stream that ends nowhere, and has nothing for now.
#[derive(Default)]
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
