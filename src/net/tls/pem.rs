//! Certificates and keys from PEM ([RFC 7468]), and what is wrong with a file of them.
//!
//! [RFC 7468]: https://www.rfc-editor.org/rfc/rfc7468

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why a configuration for TLS cannot be had.
#[derive(Debug)]
#[non_exhaustive]
pub struct TlsConfigError {
    /// The file that is at fault, if it is a file.
    pub path: Option<PathBuf>,
    /// What is wrong.
    pub fault: TlsConfigFault,
}

/// What is wrong with a configuration for TLS.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsConfigFault {
    /// The file cannot be read.
    Io(io::Error),
    /// It is not PEM.
    Pem(pem::Error),
    /// There is no certificate in it.
    NoCertificate,
    /// There is no private key in it.
    NoKey,
    /// A certificate or key in it cannot be used, or the two do not belong together.
    Unusable(rustls::Error),
    /// This system has no certificates of authorities where they are looked for.
    NoPlatformAuthorities,
    /// No client could be verified.
    Verifier(rustls::server::VerifierBuilderError),
}

impl TlsConfigFault {
    pub(super) fn at(self, path: Option<&Path>) -> TlsConfigError {
        TlsConfigError {
            path: path.map(Path::to_owned),
            fault: self,
        }
    }
}

impl From<rustls::Error> for TlsConfigFault {
    fn from(error: rustls::Error) -> Self {
        Self::Unusable(error)
    }
}

impl fmt::Display for TlsConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        match &self.fault {
            TlsConfigFault::Io(error) => error.fmt(f),
            TlsConfigFault::Pem(error) => write!(f, "this is not PEM: {error}"),
            TlsConfigFault::NoCertificate => {
                f.write_str("there is no certificate in it (-----BEGIN CERTIFICATE-----)")
            }
            TlsConfigFault::NoKey => f.write_str(
                "there is no private key in it (-----BEGIN PRIVATE KEY-----, not encrypted)",
            ),
            TlsConfigFault::Unusable(rustls::Error::InconsistentKeys(_)) => {
                f.write_str("the private key does not belong to the certificate")
            }
            TlsConfigFault::Unusable(error) => write!(f, "it cannot be used: {error}"),
            TlsConfigFault::NoPlatformAuthorities => {
                f.write_str("this system has no certificates of authorities to trust")
            }
            TlsConfigFault::Verifier(error) => write!(f, "it cannot be used: {error}"),
        }
    }
}

impl Error for TlsConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.fault {
            TlsConfigFault::Io(error) => Some(error),
            TlsConfigFault::Pem(error) => Some(error),
            TlsConfigFault::Unusable(error) => Some(error),
            TlsConfigFault::Verifier(error) => Some(error),
            TlsConfigFault::NoCertificate
            | TlsConfigFault::NoKey
            | TlsConfigFault::NoPlatformAuthorities => None,
        }
    }
}

impl From<TlsConfigError> for io::Error {
    fn from(error: TlsConfigError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsConfigError> {
    fs::read(path).map_err(|error| TlsConfigFault::Io(error).at(Some(path)))
}

/// The certificates in `pem`, the end entity's own first.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsConfigFault> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(TlsConfigFault::Pem)?;
    match certificates.is_empty() {
        true => Err(TlsConfigFault::NoCertificate),
        false => Ok(certificates),
    }
}

/// The first private key in `pem`: PKCS #8, PKCS #1 or SEC1.
pub(super) fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsConfigFault> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsConfigFault::NoKey,
        error => TlsConfigFault::Pem(error),
    })
}

/// The authorities whose certificates are in `pem`.
pub(super) fn authorities(pem: &[u8]) -> Result<RootCertStore, TlsConfigFault> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem)? {
        store.add(certificate)?;
    }
    Ok(store)
}
