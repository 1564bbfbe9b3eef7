//! A client's connection, plain or over TLS.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::case::Against;
use crate::{PATIENCE, Result};

/// Where clients connect.
pub(super) struct Listener {
    tcp: TcpListener,
    tls: Option<Arc<ServerConfig>>,
}

pub(super) enum Link {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Listener {
    /// Says its port. With TLS its certificate is in that file by then.
    pub(super) fn open(against: Against, certificate: &Path) -> Result<Self> {
        let tls = match against {
            Against::Tls => Some(server(certificate)?),
            Against::Stub | Against::Mosquitto => None,
        };
        let tcp = TcpListener::bind("127.0.0.1:0")?;
        println!("port {}", tcp.local_addr()?.port());
        Ok(Self { tcp, tls })
    }

    pub(super) fn accept(&self) -> Result<Link> {
        let (tcp, _) = self.tcp.accept()?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        Ok(match &self.tls {
            None => Link::Plain(tcp),
            Some(config) => {
                let mut connection = ServerConnection::new(config.clone())?;
                connection.set_buffer_limit(None);
                Link::Tls(Box::new(StreamOwned::new(connection, tcp)))
            }
        })
    }
}

fn server(certificate: &Path) -> Result<Arc<ServerConfig>> {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    fs::write(certificate, own.cert.pem())?;
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der())?;
    // One suite, so that no client has a cheaper one.
    let provider = CryptoProvider {
        cipher_suites: vec![ring::cipher_suite::TLS13_AES_256_GCM_SHA384],
        ..ring::default_provider()
    };
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)?;
    Ok(config.into())
}

impl Link {
    pub(super) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &tls.sock,
        }
    }

    /// Whether something that was written still waits for the socket.
    pub(super) fn pending(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.conn.wants_write(),
        }
    }
}

impl Read for Link {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(bytes),
            Self::Tls(tls) => tls.read(bytes),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tls) => tls.flush(),
        }
    }
}
