//! A client's side of TLS: whom it trusts, and the certificate that it may show.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::{ClientConfig, RootCertStore};

use crate::net::tls::pem::{self, TlsConfigError, TlsConfigFault};
use crate::net::tls::{ALPN, provider};

/// The authorities that a client trusts to say who a server is.
///
/// A server's certificate must be signed by one of them, be valid today, and be for the host that
/// the URL names, a DNS name or an IP address.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
}

/// Whose signature on a server's certificate is good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authorities {
    /// Those that the operating system trusts; rustls-native-certs says where it looks, which
    /// the variables `SSL_CERT_FILE` and `SSL_CERT_DIR` can change.
    #[default]
    Platform,
    /// Those in this PEM file, and no others.
    File(PathBuf),
    /// Those in this PEM text, and no others.
    Pem(Vec<u8>),
}

/// A client's own certificate, for servers that ask for one: PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and behind it those between it and a root.
    pub certificates: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl ClientTls {
    /// Trusts `authorities`, and shows `identity` to servers that ask.
    ///
    /// # Errors
    ///
    /// What is wrong with which file.
    pub fn new(
        authorities: &Authorities,
        identity: Option<&Identity>,
    ) -> Result<Self, TlsConfigError> {
        let roots = roots(authorities)?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsConfigFault::from(error).at(None))?
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(Identity { certificates, key }) => {
                let at = |path: &Path| {
                    let path = path.to_owned();
                    move |fault: TlsConfigFault| fault.at(Some(&path))
                };
                let chain = pem::certificates(&pem::read(certificates)?);
                let secret = pem::key(&pem::read(key)?);
                builder
                    .with_client_auth_cert(
                        chain.map_err(at(certificates))?,
                        secret.map_err(at(key))?,
                    )
                    .map_err(|error| at(key)(error.into()))?
            }
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self::from_config(Arc::new(config)))
    }

    /// A configuration of rustls's as it is, for what cannot be said here. It should offer
    /// `http/1.1` by ALPN, and whoever has it verify nothing answers for that.
    #[must_use]
    pub fn from_config(config: Arc<ClientConfig>) -> Self {
        Self { config }
    }

    /// What the operating system trusts, and no identity: read once for the process, when it is
    /// first asked for.
    ///
    /// # Errors
    ///
    /// When the system has no authorities.
    pub fn platform() -> Result<Self, TlsConfigError> {
        static PLATFORM: Mutex<Option<ClientTls>> = Mutex::new(None);
        let mut platform = PLATFORM.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(platform) = &*platform {
            return Ok(platform.clone());
        }
        let read = Self::new(&Authorities::Platform, None)?;
        Ok(platform.insert(read).clone())
    }

    /// What a new connection uses: for transports of one's own.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

fn roots(authorities: &Authorities) -> Result<RootCertStore, TlsConfigError> {
    match authorities {
        Authorities::File(path) => {
            pem::authorities(&pem::read(path)?).map_err(|fault| fault.at(Some(path)))
        }
        Authorities::Pem(pem) => pem::authorities(pem).map_err(|fault| fault.at(None)),
        Authorities::Platform => {
            let mut roots = RootCertStore::empty();
            // Some systems have one that cannot be read among a hundred that can.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            match roots.is_empty() {
                true => Err(TlsConfigFault::NoPlatformAuthorities.at(None)),
                false => Ok(roots),
            }
        }
    }
}
