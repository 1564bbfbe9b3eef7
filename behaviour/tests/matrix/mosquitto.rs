//! mosquitto, in every version.

#[path = "../../../mqtt-tokio/tests/mosquitto/broker.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod process;

use std::fmt::Write;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use mqtt_behaviour::{Foreign, Transport};

use crate::foreign::{Broker, Folder, Kind};

use process::Mosquitto;

pub(crate) const KIND: Kind = Kind {
    name: "mosquitto",
    versions: Foreign::VERSIONS,
    has: |_| true,
    is_here: || process::program().is_some(),
    start: || Ok(Box::new(Listening::start()?)),
    hint: "Debian's package `mosquitto`",
};

/// Those that have a port beside the plain one.
const LAYERED: [Transport; 4] = [
    Transport::Tls,
    Transport::MutualTls,
    Transport::WebSocket,
    Transport::SecureWebSocket,
];

struct Listening {
    broker: Mosquitto,
    ports: Vec<u16>,
    folder: Folder,
}

impl Listening {
    fn start() -> io::Result<Self> {
        let folder = Folder::new("mosquitto")?;
        let configure = |ports: &[u16]| lines(&folder, ports);
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
}

impl Broker for Listening {
    fn url(&self, transport: Transport) -> String {
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

/// Configuration of the listeners beside the plain one.
fn lines(folder: &Folder, ports: &[u16]) -> String {
    let mut lines = String::new();
    for (transport, port) in LAYERED.iter().zip(ports) {
        let files = ["ca.pem", "server.pem", "server.key"].map(|name| folder.path().join(name));
        let [ca, certificate, key] = files.each_ref().map(|path| path.display());
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
        let _ = writeln!(lines, "listener 0 {}", folder.socket().display());
    }
    lines
}
