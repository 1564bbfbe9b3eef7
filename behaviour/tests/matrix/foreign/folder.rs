//! A folder for a broker's certificates and its Unix socket, which goes with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mqtt_behaviour::Certificates;

pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(of: &str) -> io::Result<Self> {
        let name = format!("mqtt-matrix-{of}-{}", std::process::id());
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

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is in the folder for what may be lost.
        let _ = fs::remove_dir_all(&self.0);
    }
}
