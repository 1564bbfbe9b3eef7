//! The server's end of TLS.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{
    HandshakeKind, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
};

use super::certificates::{Authority, Identity};
use super::tower::Far;

pub(crate) use rustls::version::{TLS12, TLS13};

/// Both versions.
pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// What a server is like, and what it has seen.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) seen: Rc<RefCell<Seen>>,
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) handshakes: Vec<HandshakeKind>,
    pub(crate) names: Vec<Option<String>>,
    pub(crate) protocols: Vec<Option<Vec<u8>>>,
    pub(crate) client_certificates: usize,
    pub(crate) errors: Vec<rustls::Error>,
    /// How many clients have said close_notify.
    pub(crate) farewells: usize,
}

impl Server {
    pub(crate) fn new(identity: &Identity) -> Self {
        Self::with(identity, &VERSIONS, None)
    }

    /// Asks for a certificate that `clients` has issued, where there is one.
    pub(crate) fn with(
        identity: &Identity,
        versions: &[&'static SupportedProtocolVersion],
        clients: Option<&Authority>,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                let issuer = Identity {
                    certificate: authority.pem.clone(),
                    key: String::new(),
                };
                roots.add(issuer.chain().remove(0)).unwrap();
                let roots = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                builder.with_client_cert_verifier(roots.build().unwrap())
            }
        };
        let config = builder.with_single_cert(identity.chain(), identity.key());
        Self {
            config: config.unwrap().into(),
            seen: Rc::default(),
        }
    }

    pub(crate) fn accept(&self) -> Box<dyn Far> {
        let mut tls = ServerConnection::new(Arc::clone(&self.config)).unwrap();
        tls.set_buffer_limit(None);
        Box::new(Peer {
            tls,
            plaintext: Vec::new(),
            seen: Rc::clone(&self.seen),
            greeted: false,
            failed: false,
            closed: false,
        })
    }
}

struct Peer {
    tls: ServerConnection,
    plaintext: Vec<u8>,
    seen: Rc<RefCell<Seen>>,
    greeted: bool,
    failed: bool,
    closed: bool,
}

impl Far for Peer {
    fn receive(&mut self, mut raw: &[u8]) {
        while !raw.is_empty() && !self.failed && !self.closed {
            self.tls.read_tls(&mut raw).unwrap();
            let state = self.tls.process_new_packets();
            // An error says that there is no more for now.
            let _ = self.tls.reader().read_to_end(&mut self.plaintext);
            match state {
                Ok(state) if state.peer_has_closed() => {
                    self.closed = true;
                    self.seen.borrow_mut().farewells += 1;
                }
                Ok(_) => {}
                Err(error) => {
                    self.failed = true;
                    self.seen.borrow_mut().errors.push(error);
                }
            }
        }
        if !self.greeted && !self.tls.is_handshaking() {
            self.greeted = true;
            let mut seen = self.seen.borrow_mut();
            seen.handshakes.extend(self.tls.handshake_kind());
            seen.names.push(self.tls.server_name().map(Into::into));
            seen.protocols
                .push(self.tls.alpn_protocol().map(Into::into));
            seen.client_certificates += usize::from(self.tls.peer_certificates().is_some());
        }
    }

    fn plaintext(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.plaintext)
    }

    fn send(&mut self, plain: &[u8]) {
        self.tls.writer().write_all(plain).unwrap();
    }

    fn transmit(&mut self) -> Vec<u8> {
        let mut raw = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut raw).unwrap();
        }
        raw
    }

    fn end(&mut self) {
        self.tls.send_close_notify();
    }
}
