//! aedes, a broker in JavaScript, in 3.1 and 3.1.1: it has no 5.0. `ci/install` puts it where it is looked for.

use std::io::{self, BufRead, BufReader, Error};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use mqtt_behaviour::Transport;
use mqtt_session::client::exports::Version;

use crate::foreign::{Broker, Folder, Kind};

pub(crate) const KIND: Kind = Kind {
    name: "aedes",
    versions: &[Version::V3_1, Version::V3_1_1],
    has: |_| true,
    is_here: || modules().join("node_modules/aedes").is_dir(),
    start: || Ok(Box::new(Listening::start()?)),
    hint: "ci/install",
};

/// In the order of the ports that it tells.
const ON_PORTS: [Transport; 5] = [
    Transport::Tcp,
    Transport::Tls,
    Transport::MutualTls,
    Transport::WebSocket,
    Transport::SecureWebSocket,
];

/// It is up in a second, on a machine that has nothing else to do.
const LONG: Duration = Duration::from_secs(60);

struct Listening {
    /// It ends with its standard input, so also with this process.
    child: Child,
    ports: Vec<u16>,
    folder: Folder,
}

fn modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/brokers/aedes")
}

impl Listening {
    fn start() -> io::Result<Self> {
        if !(KIND.is_here)() {
            return Err(Error::other("aedes is not installed (ci/install)"));
        }
        let folder = Folder::new("aedes")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/matrix/aedes/serve.mjs");
        let mut command = Command::new("node");
        command.arg(script).arg(modules()).arg(folder.path());
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut listening = Self {
            child,
            ports: Vec::new(),
            folder,
        };
        listening.ports = listening.read_ports()?;
        Ok(listening)
    }

    fn read_ports(&mut self) -> io::Result<Vec<u16>> {
        let stdout = self.child.stdout.take();
        let stdout = stdout.ok_or_else(|| Error::other("no standard output"))?;
        let (tell, told) = mpsc::channel();
        // It ends with the line, or with the child.
        thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(stdout).read_line(&mut line);
            // Nobody listens where it took too long.
            let _ = tell.send(read.map(|_| line));
        });
        let line = told.recv_timeout(LONG).map_err(Error::other)??;
        let ports = line.split_whitespace().map(str::parse);
        let ports: Vec<u16> = ports.collect::<Result<_, _>>().map_err(Error::other)?;
        if ports.len() == ON_PORTS.len() {
            Ok(ports)
        } else {
            Err(Error::other(format!("aedes said {line:?}, and no ports")))
        }
    }
}

impl Broker for Listening {
    fn url(&self, transport: Transport) -> String {
        #[cfg(unix)]
        if transport == Transport::Unix {
            return format!("unix://{}", self.folder.socket().display());
        }
        let at = ON_PORTS.iter().position(|one| *one == transport);
        let port = self.ports[at.unwrap_or_default()];
        transport.url(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
