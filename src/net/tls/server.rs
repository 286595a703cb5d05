//! A server's side of TLS: its certificate and key, replaced while it serves.
//!
//! A connection keeps what it was opened with; the next one takes what there is by then. A reload
//! that fails changes nothing.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use rustls::server::WebPkiClientVerifier;

use crate::net::tls::pem::{self, TlsConfigError, TlsConfigFault};
use crate::net::tls::{ALPN, provider};

/// A server's certificate and key, and which clients' certificates it asks for.
///
/// Clones share what they hold, so that one thread reloads for all loops.
#[derive(Clone)]
pub struct ServerTls {
    shared: Arc<Shared>,
}

struct Shared {
    source: Source,
    config: RwLock<Arc<ServerConfig>>,
    /// When the files had last been changed, as far as that is known.
    seen: Mutex<Vec<Option<SystemTime>>>,
}

enum Source {
    Files {
        certificates: PathBuf,
        key: PathBuf,
        clients: ClientCertificates,
    },
    /// Nothing that could change.
    Memory,
}

/// Whether clients show certificates of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked for.
    #[default]
    Ignored,
    /// A client may have one: then it must be signed by an authority in this file.
    Optional(PathBuf),
    /// A client must have one, signed by an authority in this file.
    Required(PathBuf),
}

impl ServerTls {
    /// Reads the certificate, with those of the authorities between it and a root behind it, and
    /// its private key, from PEM files. One file may hold both.
    ///
    /// # Errors
    ///
    /// What is wrong with which file.
    pub fn from_files(
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        clients: ClientCertificates,
    ) -> Result<Self, TlsConfigError> {
        let source = Source::Files {
            certificates: certificates.into(),
            key: key.into(),
            clients,
        };
        // Before they are read: a change in between is then found later.
        let seen = source.changed();
        let config = source.read()?;
        Ok(Self::new(source, config, seen))
    }

    /// The same from memory; there is nothing to reload then.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsConfigError> {
        let config = configure(certificates, key, None).map_err(|fault| fault.at(None))?;
        Ok(Self::new(Source::Memory, config, Vec::new()))
    }

    /// A configuration of rustls's as it is, for what cannot be said here. It should offer
    /// `http/1.1` by ALPN.
    #[must_use]
    pub fn from_config(config: Arc<ServerConfig>) -> Self {
        Self::new(Source::Memory, config, Vec::new())
    }

    fn new(source: Source, config: Arc<ServerConfig>, seen: Vec<Option<SystemTime>>) -> Self {
        Self {
            shared: Arc::new(Shared {
                source,
                config: RwLock::new(config),
                seen: Mutex::new(seen),
            }),
        }
    }

    /// Reads the files again: connections from now on use what is in them.
    ///
    /// # Errors
    ///
    /// What is wrong with which file; then all stays as it was.
    pub fn reload(&self) -> Result<(), TlsConfigError> {
        self.read(&mut self.seen())
    }

    /// Reads the files again if one was changed since; answers whether one was.
    ///
    /// # Errors
    ///
    /// As [`reload`](Self::reload), once for each change.
    pub fn reload_if_changed(&self) -> Result<bool, TlsConfigError> {
        let mut seen = self.seen();
        if *seen == self.shared.source.changed() {
            return Ok(false);
        }
        self.read(&mut seen).map(|()| true)
    }

    fn read(&self, seen: &mut Vec<Option<SystemTime>>) -> Result<(), TlsConfigError> {
        if let Source::Memory = self.shared.source {
            return Ok(());
        }
        *seen = self.shared.source.changed();
        let config = self.shared.source.read()?;
        *self
            .shared
            .config
            .write()
            .unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// A panic while the lock was held left nothing half-done.
    fn seen(&self) -> MutexGuard<'_, Vec<Option<SystemTime>>> {
        self.shared
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What a new connection uses: for transports of one's own.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        let config = self.shared.config.read();
        Arc::clone(&config.unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

impl Source {
    fn read(&self) -> Result<Arc<ServerConfig>, TlsConfigError> {
        let Self::Files {
            certificates,
            key,
            clients,
        } = self
        else {
            unreachable!("memory is not read");
        };
        let (chain, secret) = (pem::read(certificates)?, pem::read(key)?);
        let clients = match clients {
            ClientCertificates::Ignored => None,
            ClientCertificates::Optional(path) => Some((path, false)),
            ClientCertificates::Required(path) => Some((path, true)),
        };
        let (at_fault, clients) = match clients {
            None => (certificates, None),
            Some((path, required)) => {
                let authorities = pem::read(path)?;
                (path, Some((authorities, required)))
            }
        };
        let fault = |fault: TlsConfigFault| {
            let path = match fault {
                TlsConfigFault::NoKey => key,
                TlsConfigFault::Unusable(rustls::Error::InconsistentKeys(_)) => key,
                TlsConfigFault::Verifier(_) => at_fault,
                _ => certificates,
            };
            fault.at(Some(path))
        };
        let clients = clients
            .as_ref()
            .map(|(authorities, required)| (authorities.as_slice(), *required));
        configure(&chain, &secret, clients).map_err(fault)
    }

    fn changed(&self) -> Vec<Option<SystemTime>> {
        let changed = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
        match self {
            Self::Memory => Vec::new(),
            Self::Files {
                certificates,
                key,
                clients,
            } => {
                let clients = match clients {
                    ClientCertificates::Ignored => None,
                    ClientCertificates::Optional(path) | ClientCertificates::Required(path) => {
                        changed(path)
                    }
                };
                vec![changed(certificates), changed(key), clients]
            }
        }
    }
}

/// `clients` are the authorities that sign clients' certificates, and whether there must be one.
fn configure(
    certificates: &[u8],
    key: &[u8],
    clients: Option<(&[u8], bool)>,
) -> Result<Arc<ServerConfig>, TlsConfigFault> {
    let chain = pem::certificates(certificates)?;
    let key = pem::key(key)?;
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some((authorities, required)) => {
            let authorities = Arc::new(pem::authorities(authorities)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(authorities, provider());
            let verifier = match required {
                true => verifier,
                false => verifier.allow_unauthenticated(),
            };
            let verifier = verifier.build().map_err(TlsConfigFault::Verifier)?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A crowd that comes back after an outage resumes, at a third of the work. The state of a
    // resumption lies with the client, under keys that change every six hours, and not with us.
    // One ticket will do: a client comes back with one connection. Reloading changes the keys
    // too, so that a certificate or an authority that was removed is not resumed with.
    config.ticketer = Ticketer::new()?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}
