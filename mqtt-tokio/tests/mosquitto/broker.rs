//! A mosquitto of the test's own: its own configuration, port and folder; ended by its process id.

use std::fs;
use std::io::{Error, Result};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
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
    /// Starts one with these lines of configuration more, and waits until it takes connections. Somebody else may take the port
    /// between the look and the start: then another one is tried.
    pub(crate) fn start(lines: &str) -> Result<Self> {
        let program = program().ok_or_else(|| Error::other("mosquitto is not installed"))?;
        let mut last = None;
        for _ in 0..5 {
            match Self::start_on(&program, free_port()?, lines) {
                Ok(broker) => return Ok(broker),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::other("no port was tried")))
    }

    /// Starts one with listeners of its own on so many ports more, for which `lines` has the configuration, and waits until all take connections.
    pub(crate) fn start_beside(
        count: usize,
        lines: impl Fn(&[u16]) -> String,
    ) -> Result<(Self, Vec<u16>)> {
        let mut last = None;
        for _ in 0..5 {
            let ports = (0..count)
                .map(|_| free_port())
                .collect::<Result<Vec<_>>>()?;
            let started = Self::start(&lines(&ports)).and_then(|mut broker| {
                ports
                    .iter()
                    .try_for_each(|port| broker.wait_until_open(*port))?;
                Ok(broker)
            });
            match started {
                Ok(broker) => return Ok((broker, ports)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::other("no port was tried")))
    }

    fn start_on(program: &Path, port: u16, lines: &str) -> Result<Self> {
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
        let mut broker = Self {
            child: command.spawn()?,
            port,
            folder,
        };
        broker.wait_until_up()?;
        Ok(broker)
    }

    fn wait_until_up(&mut self) -> Result<()> {
        self.wait_until_open(self.port)
    }

    fn wait_until_open(&mut self, port: u16) -> Result<()> {
        self.wait_until(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
    }

    pub(crate) fn wait_until(&mut self, open: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !open() {
            self.check_alive()?;
            if Instant::now() > deadline {
                return Err(Error::other(
                    "mosquitto did not take connections within 10 s",
                ));
            }
            sleep(Duration::from_millis(20));
        }
        // It might be somebody else who answers there.
        sleep(Duration::from_millis(20));
        self.check_alive()
    }

    fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(Error::other(format!("mosquitto ended at once: {status}"))),
        }
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

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(&mut self) -> Result<()> {
        self.signal("-TERM")?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                return Err(Error::other("mosquitto did not end within 10 s"));
            }
            sleep(Duration::from_millis(1));
        }
        Ok(())
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

/// A port that nobody listens on, below those that the system gives to outgoing connections: tests that run beside this one open many.
fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = std::process::id() % 100 * 100;
    for _ in 0..100 {
        let offset = u32::from(NEXT.fetch_add(1, Ordering::Relaxed) % 100);
        let port = u16::try_from(20_000 + begin + offset).map_err(Error::other)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Error::other("no port of a hundred is free"))
}
