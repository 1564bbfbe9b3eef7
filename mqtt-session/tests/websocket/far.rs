//! The server's end.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::rc::Rc;

use bytes::{Buf, BytesMut};
use tungstenite::handshake::derive_accept_key;
use tungstenite::handshake::server::{Request, Response};
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Error, Message, WebSocket};

use crate::tower::Far;

/// What servers have seen, one after the other.
#[derive(Clone, Default)]
pub(crate) struct Record(Rc<RefCell<Seen>>);

#[derive(Default)]
pub(crate) struct Seen {
    /// Requests as they came.
    pub(crate) requests: Vec<String>,
    /// Binary messages, by their size.
    pub(crate) messages: Vec<usize>,
    pub(crate) pongs: Vec<Vec<u8>>,
    /// Codes of Close frames.
    pub(crate) closes: Vec<u16>,
    /// How the server cuts up what it sends: so many bytes a message.
    pub(crate) sizes: Vec<usize>,
    /// Messages of more than one byte come in two frames.
    pub(crate) fragments: bool,
}

impl Record {
    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut Seen) -> R) -> R {
        look(&mut self.0.borrow_mut())
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.with(|seen| seen.requests.clone())
    }

    pub(crate) fn closes(&self) -> Vec<u16> {
        self.with(|seen| seen.closes.clone())
    }
}

/// tungstenite in the role of a server, strict as it is.
pub(crate) struct Server {
    record: Record,
    request: BytesMut,
    open: Option<WebSocket<Memory>>,
    plaintext: Vec<u8>,
    sent: usize,
}

impl Server {
    pub(crate) fn new(record: Record) -> Self {
        Self {
            record,
            request: BytesMut::new(),
            open: None,
            plaintext: Vec::new(),
            sent: 0,
        }
    }

    fn shake(&mut self, raw: &[u8]) {
        self.request.extend_from_slice(raw);
        if !self.request.ends_with(b"\r\n\r\n") {
            return;
        }
        let request = self.request.split();
        let text = String::from_utf8(request.to_vec()).unwrap();
        self.record.with(|seen| seen.requests.push(text));
        let memory = Memory {
            input: request,
            output: Vec::new(),
        };
        #[allow(clippy::result_large_err, reason = "the callback's own")]
        let choose = |request: &Request, mut response: Response| {
            assert_eq!(request.headers()["sec-websocket-protocol"], "mqtt");
            let chosen = "mqtt".parse().unwrap();
            response
                .headers_mut()
                .insert("sec-websocket-protocol", chosen);
            Ok(response)
        };
        self.open = Some(tungstenite::accept_hdr(memory, choose).unwrap());
    }
}

impl Far for Server {
    fn receive(&mut self, raw: &[u8]) {
        let Some(open) = &mut self.open else {
            return self.shake(raw);
        };
        open.get_mut().input.extend_from_slice(raw);
        loop {
            let message = match open.read() {
                Ok(message) => message,
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(Error::ConnectionClosed) => return,
                Err(error) => panic!("{error}"),
            };
            self.record.with(|seen| match message {
                Message::Binary(bytes) => {
                    seen.messages.push(bytes.len());
                    self.plaintext.extend_from_slice(&bytes);
                }
                Message::Pong(payload) => seen.pongs.push(payload.to_vec()),
                Message::Close(close) => seen.closes.push(close.unwrap().code.into()),
                other => panic!("{other:?}"),
            });
        }
    }

    fn plaintext(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.plaintext)
    }

    fn send(&mut self, plain: &[u8]) {
        let open = self.open.as_mut().unwrap();
        let (sizes, fragments) = self
            .record
            .with(|seen| (seen.sizes.clone(), seen.fragments));
        let mut rest = plain;
        while !rest.is_empty() {
            let size = sizes.get(self.sent % sizes.len().max(1)).copied();
            let (message, more) = rest.split_at(size.unwrap_or(rest.len()).min(rest.len()));
            (rest, self.sent) = (more, self.sent + 1);
            let mut frame = |data, bytes: &[u8], last| {
                let frame = Frame::message(bytes.to_vec(), OpCode::Data(data), last);
                open.send(Message::Frame(frame)).unwrap();
            };
            match message {
                [first, more @ ..] if fragments && !more.is_empty() => {
                    frame(Data::Binary, &[*first], false);
                    frame(Data::Continue, more, true);
                }
                whole => frame(Data::Binary, whole, true),
            }
        }
    }

    fn transmit(&mut self) -> Vec<u8> {
        let output = self.open.as_mut().map(|open| &mut open.get_mut().output);
        output.map(std::mem::take).unwrap_or_default()
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

/// Answers the request once with whatever it likes, and never says more.
pub(crate) struct Scripted<F> {
    answer: Option<F>,
    request: Vec<u8>,
    output: Vec<u8>,
}

impl<F: FnOnce(&str) -> Vec<u8>> Scripted<F> {
    pub(crate) fn new(answer: F) -> Self {
        Self {
            answer: Some(answer),
            request: Vec::new(),
            output: Vec::new(),
        }
    }
}

impl<F: FnOnce(&str) -> Vec<u8>> Far for Scripted<F> {
    fn receive(&mut self, raw: &[u8]) {
        self.request.extend_from_slice(raw);
        if self.request.ends_with(b"\r\n\r\n")
            && let Some(answer) = self.answer.take()
        {
            self.output = answer(std::str::from_utf8(&self.request).unwrap());
        }
    }

    fn plaintext(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn send(&mut self, _: &[u8]) {}

    fn transmit(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }
}

/// The value of a header of a request.
pub(crate) fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let lines = request.split("\r\n").skip(1);
    let mut fields = lines.filter_map(|line| line.split_once(": "));
    fields.find_map(|(field, value)| field.eq_ignore_ascii_case(name).then_some(value))
}

/// A good answer to a request.
pub(crate) fn upgrade(request: &str) -> String {
    let key = header(request, "sec-websocket-key").unwrap();
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
    )
}
