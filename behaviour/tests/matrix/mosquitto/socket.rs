//! The file of a Unix socket, which goes with the trial.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(super) struct Socket(PathBuf);

impl Socket {
    pub(super) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (process, n) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(format!("mqtt-mosquitto-{process}-{n}.sock")))
    }

    /// Configuration of a broker that listens here, too.
    pub(super) fn lines(&self) -> String {
        format!("listener 0 {}\nallow_anonymous true", self.0.display())
    }

    pub(super) fn url(&self) -> String {
        format!("unix://{}", self.0.display())
    }

    /// The broker opens it just after the port by which it is known to be up.
    pub(super) fn wait_until_open(&self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(error) = UnixStream::connect(&self.0) {
            if Instant::now() > deadline {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The broker may have removed it.
        let _ = std::fs::remove_file(&self.0);
    }
}
