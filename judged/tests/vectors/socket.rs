//! An adapter, over a socket on loopback.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use mqtt_behaviour::{Adapter, Result, block_on};
use mqtt_session::client::AckMode;
use mqtt_session::proto::QoS;

use crate::vectors::Vector;

/// It takes some milliseconds.
const LONG: Duration = Duration::from_secs(60);
/// Between looking for a message and looking for its acknowledgement.
const SOON: Duration = Duration::from_millis(5);

/// Whether the client closes.
pub(crate) fn closes(adapter: &dyn Adapter, vector: &Vector) -> Result<bool> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("mqtt://{}", listener.local_addr()?);
    let (client, _running) = adapter.build(&url, vector.config()?)?;
    let mut messages = client.messages().with_ack_mode(AckMode::Manual);
    client.start();
    let mut socket = accept(&listener)?;
    expect(&mut socket, &vector.connect())?;
    if vector.connack {
        socket.write_all(vector.connack())?;
    }
    if let Some(message) = vector.message()? {
        // What waits longer has less of its Message Expiry Interval left.
        block_on(client.connected())?;
        let publishing = client.publish_message(QoS::AtLeastOnce, message);
        // Its outcome is not waited for: not every vector brings one.
        drop(block_on(publishing)?);
        expect(&mut socket, &vector.published())?;
    }
    // One that must not close is followed by a message at once.
    let mut bytes = vector.bytes.clone();
    bytes.extend(vector.probe());
    socket.write_all(&bytes)?;
    socket.set_read_timeout(Some(SOON))?;
    let deadline = Instant::now() + LONG;
    let mut said = Vec::new();
    let mut chunk = [0; 1024];
    while !said.starts_with(Vector::PROBED) {
        match socket.read(&mut chunk) {
            Ok(0) => {
                vector.check_last_words(&said)?;
                return Ok(true);
            }
            Ok(n) => said.extend_from_slice(&chunk[..n]),
            // It closed with bytes of ours unread.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(true),
            Err(error) if is_late(&error) && Instant::now() < deadline => {}
            Err(error) => return Err(error.into()),
        }
        while let Some(message) = messages.try_next() {
            message.ack()?;
        }
    }
    if said == Vector::PROBED {
        Ok(false)
    } else {
        Err(format!("it says {said:02X?}").into())
    }
}

fn accept(listener: &TcpListener) -> Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let deadline = Instant::now() + LONG;
    loop {
        match listener.accept() {
            Ok((socket, _)) => {
                socket.set_nonblocking(false)?;
                socket.set_nodelay(true)?;
                socket.set_read_timeout(Some(LONG))?;
                return Ok(socket);
            }
            Err(error) if is_late(&error) && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_late(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn expect(socket: &mut TcpStream, bytes: &[u8]) -> Result {
    let mut said = vec![0; bytes.len()];
    socket.read_exact(&mut said)?;
    if said == bytes {
        return Ok(());
    }
    Err(format!("it says {said:02X?}, and should say {bytes:02X?}").into())
}
