//! A proxy program of the test's own, on a port and with a configuration of its own; ended by its process id.

use std::fs;
use std::io::{Error, Result};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

pub(crate) struct Program {
    child: Child,
    port: u16,
    /// Its configuration, where it has one.
    file: Option<PathBuf>,
}

/// Where the program is, if it is installed.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

impl Program {
    /// With these lines of configuration more.
    pub(crate) fn tinyproxy(login: Option<(&str, &str)>, more: &str) -> Result<Self> {
        Self::start("tinyproxy", |port, command| {
            let login =
                login.map(|(user_name, password)| format!("BasicAuth {user_name} {password}\n"));
            let text = format!(
                "Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 20\n{}{more}",
                login.unwrap_or_default()
            );
            let name = format!("mqtt-tinyproxy-{}-{port}.conf", std::process::id());
            let file = std::env::temp_dir().join(name);
            fs::write(&file, text)?;
            // In the foreground.
            command.arg("-d").arg("-c").arg(&file);
            Ok(Some(file))
        })
    }

    pub(crate) fn microsocks(login: Option<(&str, &str)>) -> Result<Self> {
        Self::start("microsocks", |port, command| {
            command.args(["-i", "127.0.0.1", "-p", &port.to_string()]);
            if let Some((user_name, password)) = login {
                command.args(["-u", user_name, "-P", password]);
            }
            Ok(None)
        })
    }

    /// Starts one, and waits until it takes connections. Somebody else may take the port between the look and the start: then another one is
    /// tried.
    fn start(
        name: &str,
        configure: impl Fn(u16, &mut Command) -> Result<Option<PathBuf>>,
    ) -> Result<Self> {
        let path = find(name).ok_or_else(|| Error::other(format!("{name} is not installed")))?;
        let mut last = None;
        for _ in 0..5 {
            let port = free_port()?;
            let mut command = Command::new(&path);
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let file = configure(port, &mut command)?;
            let mut program = Self {
                child: command.spawn()?,
                port,
                file,
            };
            match program.wait_until_up() {
                Ok(()) => return Ok(program),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::other("no port was tried")))
    }

    fn wait_until_up(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            self.check_alive()?;
            if Instant::now() > deadline {
                return Err(Error::other("it did not take connections within 10 s"));
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
            Some(status) => Err(Error::other(format!("it ended at once: {status}"))),
        }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(file) = &self.file {
            let _ = fs::remove_file(file);
        }
    }
}

/// A port that nobody listens on, below those that the system gives to outgoing connections: tests that run beside this one open many.
fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = std::process::id() % 100 * 100;
    for _ in 0..100 {
        let offset = u32::from(NEXT.fetch_add(1, Ordering::Relaxed) % 100);
        let port = u16::try_from(10_000 + begin + offset).map_err(Error::other)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Error::other("no port of a hundred is free"))
}
