//! A certificate and its key, made now, for the servers to show and the generator to trust.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;

use crate::process::Command;

/// For `localhost`, in files that go with it.
pub struct Certificate {
    pub der: CertificateDer<'static>,
    directory: PathBuf,
}

impl Certificate {
    pub fn make() -> Result<Self, Box<dyn Error>> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        let name = format!("openline-echo-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        // Nobody else's, and no link to one: it is new.
        fs::create_dir(&directory)?;
        let certificate = Self {
            der: made.cert.der().clone(),
            directory,
        };
        write(&certificate.certificate(), &made.cert.pem())?;
        write(&certificate.key(), &made.signing_key.serialize_pem())?;
        Ok(certificate)
    }

    /// The command with its files in the places of `{cert}` and `{key}`.
    pub fn fill(&self, command: &Command) -> Command {
        let command = command.fill("cert", &self.certificate().to_string_lossy());
        command.fill("key", &self.key().to_string_lossy())
    }

    fn certificate(&self) -> PathBuf {
        self.directory.join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.directory.join("key.pem")
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        // If it is gone already, so much the better.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn write(path: &Path, pem: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(pem.as_bytes())
}
