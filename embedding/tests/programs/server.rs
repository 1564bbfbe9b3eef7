//! The model broker behind TCP or TLS, in one thread.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mqtt_testkit::{Broker, BrokerConfig, ConnId};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A server that runs until it is asked for its broker, or dropped.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Broker>>,
}

/// A certificate for loopback, in a file, and a server's configuration with it.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) config: Arc<ServerConfig>,
}

impl Identity {
    pub(crate) fn new(name: &str) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let issued = params.self_signed(&key).unwrap();
        let certificate = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pem"));
        std::fs::write(&certificate, issued.pem()).unwrap();
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![issued.der().clone()], der)
            .unwrap();
        Self {
            certificate,
            config: config.into(),
        }
    }
}

trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

struct Peer {
    stream: Box<dyn Stream>,
    conn: ConnId,
    input: BytesMut,
    output: Vec<u8>,
    ended: bool,
}

impl Server {
    /// Cuts all connections once, when so many messages have come.
    pub(crate) fn start(tls: Option<Arc<ServerConfig>>, cut_after: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || serve(&listener, tls.as_ref(), cut_after, &stopped));
        Self {
            addr,
            stop,
            thread: Some(thread),
        }
    }

    /// Ends it when all clients are gone, and gives what the broker has seen.
    pub(crate) fn finish(mut self) -> Broker {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn serve(
    listener: &TcpListener,
    tls: Option<&Arc<ServerConfig>>,
    cut_after: usize,
    stop: &AtomicBool,
) -> Broker {
    let begin = Instant::now();
    let mut broker = Broker::new(BrokerConfig::default());
    let mut peers = Vec::<Peer>::new();
    let mut cut = false;
    while !stop.load(Ordering::Relaxed) || !peers.is_empty() {
        let now = begin.elapsed();
        broker.timeout(now);
        while let Ok((tcp, _)) = listener.accept() {
            peers.push(Peer::new(tcp, tls, broker.open(now)));
        }
        let mut busy = false;
        for peer in &mut peers {
            busy |= peer.read(&mut broker, now);
        }
        // After all have been read: what one sends may be for another.
        for peer in &mut peers {
            busy |= peer.write(&mut broker);
        }
        let cuts = !cut && broker.received().len() >= cut_after;
        cut |= cuts;
        peers.retain(|peer| {
            let stays = !peer.ended && !cuts;
            if !stays {
                broker.closed(now, peer.conn);
            }
            stays
        });
        if !busy {
            thread::sleep(Duration::from_millis(1));
        }
    }
    broker
}

impl Peer {
    fn new(tcp: TcpStream, tls: Option<&Arc<ServerConfig>>, conn: ConnId) -> Self {
        tcp.set_nonblocking(true).unwrap();
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(tcp),
            Some(config) => {
                let tls = ServerConnection::new(Arc::clone(config)).unwrap();
                Box::new(StreamOwned::new(tls, tcp))
            }
        };
        Self {
            stream,
            conn,
            input: BytesMut::new(),
            output: Vec::new(),
            ended: false,
        }
    }

    fn read(&mut self, broker: &mut Broker, now: Duration) -> bool {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(n @ 1..) => {
                self.input.extend_from_slice(&chunk[..n]);
                broker.input(now, self.conn, &mut self.input);
                return true;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => self.ended = true,
        }
        false
    }

    fn write(&mut self, broker: &mut Broker) -> bool {
        broker.output(self.conn, &mut self.output);
        let written = match self.stream.write(&self.output) {
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(_) => {
                self.ended = true;
                return false;
            }
        };
        self.output.drain(..written);
        // TLS keeps back what the socket did not take.
        let flushed = self.stream.flush().is_ok();
        self.ended |= broker.wants_close(self.conn) && self.output.is_empty() && flushed;
        written > 0
    }
}
