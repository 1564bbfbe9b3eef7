//! What stands in front of the broker: TLS, WebSocket, or one over the other.

mod tls;
mod websocket;

use std::sync::Arc;

use bytes::BytesMut;
use mqtt_session::transport::rustls::ServerConfig;

use crate::{Certificates, Result, Transport};

use tls::Tls;
use websocket::WebSocket;

/// What there is in front of each connection.
pub(super) struct Fronts {
    tls: Option<Arc<ServerConfig>>,
    websocket: bool,
}

/// Of one connection: between bytes of its socket and bytes of MQTT.
pub(super) struct Front {
    tls: Option<Tls>,
    websocket: Option<WebSocket>,
}

/// Nothing more can come: the client has closed, or does not speak the protocol.
pub(super) struct Over;

impl Fronts {
    pub(super) fn of(transport: Transport) -> Result<Self> {
        let tls = transport.has_tls().then(|| {
            let asks = transport == Transport::MutualTls;
            Certificates::get().server_config(asks)
        });
        Ok(Self {
            tls: tls.transpose()?,
            websocket: transport.has_websocket(),
        })
    }

    /// For a connection. None where the bytes of the socket are those of MQTT.
    pub(super) fn front(&self) -> Result<Option<Front>> {
        let tls = self.tls.clone().map(Tls::new).transpose()?;
        let websocket = self.websocket.then(WebSocket::default);
        let any = tls.is_some() || websocket.is_some();
        Ok(any.then_some(Front { tls, websocket }))
    }
}

impl Front {
    /// Takes bytes of the socket, and puts what they carry behind that in `to`.
    pub(super) fn receive(
        &mut self,
        raw: &[u8],
        to: &mut BytesMut,
    ) -> std::result::Result<(), Over> {
        match (&mut self.tls, &mut self.websocket) {
            (None, None) => to.extend_from_slice(raw),
            (Some(tls), None) => tls.receive(raw, to)?,
            (None, Some(websocket)) => websocket.receive(raw, to)?,
            (Some(tls), Some(websocket)) => {
                let mut between = BytesMut::new();
                tls.receive(raw, &mut between)?;
                websocket.receive(&between, to)?;
            }
        }
        Ok(())
    }

    /// Takes what is in `plain`, and puts what it becomes behind that in `to`, along with what is to be said of the connection.
    pub(super) fn send(&mut self, mut plain: Vec<u8>, to: &mut Vec<u8>) {
        if let Some(websocket) = &mut self.websocket {
            let mut between = Vec::new();
            websocket.send(&mut plain, &mut between);
            plain = between;
        }
        self.send_below(plain, to);
    }

    /// Says that nothing more will come. Once.
    pub(super) fn close(&mut self, to: &mut Vec<u8>) {
        if let Some(websocket) = &mut self.websocket {
            let mut between = Vec::new();
            websocket.close(&mut between);
            self.send_below(between, to);
        }
        if let Some(tls) = &mut self.tls {
            tls.close(to);
        }
    }

    fn send_below(&mut self, mut bytes: Vec<u8>, to: &mut Vec<u8>) {
        match &mut self.tls {
            Some(tls) => tls.send(&bytes, to),
            None => to.append(&mut bytes),
        }
    }
}
