//! TLS.

use std::io::{Read, Write};
use std::sync::Arc;

use bytes::BytesMut;
use mqtt_session::transport::rustls::{ServerConfig, ServerConnection};

use crate::Result;

use super::Over;

/// rustls in the role of a server.
pub(super) struct Tls(ServerConnection);

impl Tls {
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self> {
        let mut connection = ServerConnection::new(config)?;
        // The broker has a bound of its own.
        connection.set_buffer_limit(None);
        Ok(Self(connection))
    }

    pub(super) fn receive(
        &mut self,
        mut raw: &[u8],
        to: &mut BytesMut,
    ) -> std::result::Result<(), Over> {
        let mut scratch = [0; 16 * 1024];
        while !raw.is_empty() {
            self.0.read_tls(&mut raw).map_err(|_| Over)?;
            self.0.process_new_packets().map_err(|_| Over)?;
            // Until there is no more for now, or the client has said that there never will be: the socket ends then, too.
            while let Ok(n @ 1..) = self.0.reader().read(&mut scratch) {
                to.extend_from_slice(&scratch[..n]);
            }
        }
        Ok(())
    }

    pub(super) fn send(&mut self, plain: &[u8], to: &mut Vec<u8>) {
        self.0.writer().write_all(plain).expect("there is no bound");
        self.flush(to);
    }

    pub(super) fn close(&mut self, to: &mut Vec<u8>) {
        self.0.send_close_notify();
        self.flush(to);
    }

    fn flush(&mut self, to: &mut Vec<u8>) {
        while self.0.wants_write() {
            self.0.write_tls(to).expect("memory takes everything");
        }
    }
}
