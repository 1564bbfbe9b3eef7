//! The server: a process for one run. It answers CONNECT and PUBLISH, counts, and says in the end what it has seen.

mod packets;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};

use crate::{Link, Result, provider};
use packets::Packets;

/// A client that says nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is taken from the socket at once: more than clients write at once, so that many small writes are answered together, as one large
/// write is.
const ROOM: usize = 256 * 1024;

/// Serves a client, and prints what it has published.
pub(crate) fn count(link: Link) -> Result<()> {
    let (listener, tls) = open(link)?;
    let mut peer = Peer::accept(&listener, tls.as_ref())?;
    let mut packets = Packets::default();
    while peer.turn(&mut packets)? {}
    let protocol = peer.protocol();
    println!("{} {} {protocol}", packets.published, packets.payload);
    Ok(())
}

/// Serves so many clients that do nothing after CONNECT, until its input ends.
pub(crate) fn idle(link: Link, clients: usize) -> Result<()> {
    let (listener, tls) = open(link)?;
    let mut peers = Vec::with_capacity(clients);
    while peers.len() < clients {
        let mut peer = Peer::accept(&listener, tls.as_ref())?;
        let mut packets = Packets::default();
        while packets.connects == 0 {
            if !peer.turn(&mut packets)? {
                return Err("a client has left".into());
            }
        }
        peers.push(peer);
    }
    io::stdin().read_to_end(&mut Vec::new())?;
    let mut there = 0;
    for peer in &mut peers {
        peer.tcp.set_nonblocking(true)?;
        // Not even a close_notify, or an end: it is still connected.
        let quiet = peer.tcp.peek(&mut [0]);
        there += usize::from(quiet.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
    }
    println!("{there}");
    Ok(())
}

/// A port, which is printed, with the certificate behind it that a client must trust.
fn open(link: Link) -> Result<(TcpListener, Option<Arc<ServerConfig>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    if link == Link::Tcp {
        return Ok((listener, None));
    }
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der())?;
    let config = ServerConfig::builder_with_provider(provider().into())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)?;
    print!("{}", own.cert.pem());
    io::stdout().flush()?;
    Ok((listener, Some(config.into())))
}

/// A client's connection.
struct Peer {
    tcp: TcpStream,
    tls: Option<ServerConnection>,
    raw: Vec<u8>,
    plain: Vec<u8>,
    answer: Vec<u8>,
}

impl Peer {
    fn accept(listener: &TcpListener, tls: Option<&Arc<ServerConfig>>) -> Result<Self> {
        let (tcp, _) = listener.accept()?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        let tls = tls.map(|config| ServerConnection::new(Arc::clone(config)));
        Ok(Self {
            tcp,
            tls: tls.transpose()?,
            raw: Vec::new(),
            plain: Vec::new(),
            answer: Vec::new(),
        })
    }

    /// One read, and what is to be said to it in one write. Whether there was anything.
    fn turn(&mut self, packets: &mut Packets) -> Result<bool> {
        self.raw.resize(ROOM, 0);
        let count = self.tcp.read(&mut self.raw)?;
        if count == 0 {
            return Ok(false);
        }
        let raw = &self.raw[..count];
        match &mut self.tls {
            None => self.plain.extend_from_slice(raw),
            Some(tls) => decrypt(tls, raw, &mut self.plain)?,
        }
        self.answer.clear();
        packets.take(&mut self.plain, &mut self.answer)?;
        match &mut self.tls {
            None => self.tcp.write_all(&self.answer)?,
            Some(tls) => {
                tls.writer().write_all(&self.answer)?;
                let mut out = Vec::new();
                while tls.wants_write() {
                    tls.write_tls(&mut out)?;
                }
                // The client may have said its last words.
                if let Err(error) = self.tcp.write_all(&out)
                    && !packets.over
                {
                    return Err(error.into());
                }
            }
        }
        if packets.published == 0 {
            // A thousand idle clients have no use for this.
            self.raw = Vec::new();
        }
        Ok(true)
    }

    /// What was agreed upon.
    fn protocol(&self) -> String {
        let Some(tls) = &self.tls else {
            return "TCP".to_owned();
        };
        let suite = tls.negotiated_cipher_suite();
        suite.map_or_else(String::new, |suite| format!("{:?}", suite.suite()))
    }
}

fn decrypt(tls: &mut ServerConnection, mut raw: &[u8], plain: &mut Vec<u8>) -> Result<()> {
    while !raw.is_empty() {
        if tls.read_tls(&mut raw)? == 0 {
            break;
        }
        let state = tls.process_new_packets()?;
        let len = plain.len();
        plain.resize(len + state.plaintext_bytes_to_read(), 0);
        tls.reader().read_exact(&mut plain[len..])?;
    }
    Ok(())
}
