//! A mosquitto of the test's own: its own configuration, port and folder; ended by its process id.

use std::fs;
use std::io::{Error, Result};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

pub(crate) struct Mosquitto {
    child: Child,
    port: u16,
    folder: PathBuf,
}

/// Where the program is, if it is installed.
pub(crate) fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders
        .map(|folder| folder.join("mosquitto"))
        .find(|program| program.is_file())
}

impl Mosquitto {
    /// Starts one with these lines of configuration more, and waits until it takes connections.
    pub(crate) fn start(lines: &str) -> Result<Self> {
        let program = program().ok_or_else(|| Error::other("mosquitto is not installed"))?;
        let port = free_port()?;
        let folder =
            std::env::temp_dir().join(format!("mqtt-mosquitto-{}-{port}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let config = folder.join("mosquitto.conf");
        // As root it would become another user, who may not read the folder.
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence false\n\
             max_queued_messages 0\nset_tcp_nodelay true\n{lines}\n"
        );
        fs::write(&config, text)?;
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let broker = Self {
            child: command.spawn()?,
            port,
            folder,
        };
        broker.wait_until_up()?;
        Ok(broker)
    }

    fn wait_until_up(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(self.addr()).is_err() {
            if Instant::now() > deadline {
                return Err(Error::other(
                    "mosquitto did not take connections within 10 s",
                ));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://{}", self.addr())
    }

    /// Stops the process without ending it: connections stay open, and nobody answers.
    pub(crate) fn pause(&self) -> Result<()> {
        self.signal("-STOP")
    }

    pub(crate) fn resume(&self) -> Result<()> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("kill")
            .arg(signal)
            .arg(self.child.id().to_string())
            .status()?;
        if status.success() {
            Ok(())
        } else {
            Err(Error::other(format!("kill {signal}: {status}")))
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}
