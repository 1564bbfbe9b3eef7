//! A mosquitto that listens for every transport.

use std::fmt::Write;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use mqtt_behaviour::{Certificates, Transport};

use super::broker::Mosquitto;

/// Those that have a port beside the plain one.
const LAYERED: [Transport; 4] = [
    Transport::Tls,
    Transport::MutualTls,
    Transport::WebSocket,
    Transport::SecureWebSocket,
];

pub(super) struct Listening {
    broker: Mosquitto,
    ports: Vec<u16>,
    folder: Folder,
}

/// For certificates and the Unix socket.
struct Folder(PathBuf);

impl Listening {
    pub(super) fn start() -> io::Result<Self> {
        let folder = Folder::new()?;
        let configure = |ports: &[u16]| folder.lines(ports);
        let (mut broker, ports) = Mosquitto::start_beside(LAYERED.len(), configure)?;
        // It opens it just after the ports.
        #[cfg(unix)]
        broker.wait_until(|| std::os::unix::net::UnixStream::connect(folder.socket()).is_ok())?;
        Ok(Self {
            broker,
            ports,
            folder,
        })
    }

    pub(super) fn url(&self, transport: Transport) -> String {
        #[cfg(unix)]
        if transport == Transport::Unix {
            return format!("unix://{}", self.folder.socket().display());
        }
        let layered = LAYERED.iter().position(|one| *one == transport);
        let addr = match layered {
            Some(at) => SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports[at])),
            None => self.broker.addr(),
        };
        transport.url(addr)
    }
}

impl Folder {
    fn new() -> io::Result<Self> {
        let name = format!("mqtt-matrix-{}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&folder.0)?;
        let certificates = Certificates::get();
        for (name, pem) in [
            ("ca.pem", &certificates.authority),
            ("server.pem", &certificates.server.certificate),
            ("server.key", &certificates.server.key),
        ] {
            fs::write(folder.0.join(name), pem)?;
        }
        Ok(folder)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }

    /// Configuration of the listeners beside the plain one.
    fn lines(&self, ports: &[u16]) -> String {
        let mut lines = String::new();
        for (transport, port) in LAYERED.iter().zip(ports) {
            let tls = ["ca.pem", "server.pem", "server.key"].map(|name| self.0.join(name));
            let [ca, certificate, key] = tls.each_ref().map(|path| path.display());
            let tls = format!("cafile {ca}\ncertfile {certificate}\nkeyfile {key}");
            let more = match transport {
                Transport::Tls => tls,
                Transport::MutualTls => format!("{tls}\nrequire_certificate true"),
                Transport::WebSocket => "protocol websockets".to_owned(),
                _ => format!("protocol websockets\n{tls}"),
            };
            let _ = writeln!(lines, "listener {port} 127.0.0.1\n{more}");
        }
        if cfg!(unix) {
            let _ = writeln!(lines, "listener 0 {}", self.socket().display());
        }
        lines
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is in the folder for what may be lost.
        let _ = fs::remove_dir_all(&self.0);
    }
}
