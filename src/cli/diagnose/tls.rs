//! TLS: a handshake that goes to its end with any certificate, so that it can be described, and
//! the verdict that webpki passes on it meanwhile.
//!
//! Nothing is sent over a connection whose certificate was refused, unless `--insecure` is given.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme, StreamOwned,
};

use crate::cli::diagnose::certificate::Certificate;
use crate::cli::diagnose::wire::{Wire, is_timeout};
use crate::cli::tls::ClientFiles;

/// Which certificates count, and which of ours to show.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    provider: Arc<CryptoProvider>,
    /// `None` where there is not one root to trust.
    verifier: Option<Arc<WebPkiServerVerifier>>,
    identity: Option<Arc<CertifiedKey>>,
    pub(super) is_insecure: bool,
    name: ServerName<'static>,
    /// In words.
    pub(super) roots: String,
}

/// What a handshake showed.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// The server's certificate first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// What webpki says to it; `None` before it was asked.
    pub(super) verdict: Option<Result<(), Error>>,
    /// Whether a certificate of ours was asked for.
    pub(super) is_asked_for_ours: bool,
    /// Version and cipher suite.
    pub(super) agreed: Option<(String, String)>,
    /// The first bytes of the server's.
    pub(super) first: Vec<u8>,
}

/// Why there is no TLS.
#[derive(Debug)]
pub(super) enum Fault {
    Closed,
    Silent,
    Io(io::Error),
    Tls(Error),
}

/// A handshake that failed, and what was seen until then.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fault: Fault,
    pub(super) record: Record,
}

impl Tls {
    /// Reads what the options name, or this machine's roots.
    ///
    /// # Errors
    ///
    /// What is wrong with a file, in words.
    pub(super) fn new(
        name: ServerName<'static>,
        files: &ClientFiles,
        is_insecure: bool,
    ) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let (store, roots) = match &files.ca {
            Some(path) => {
                let store =
                    read_roots(path).map_err(|why| format!("--ca {}: {why}", path.display()))?;
                let roots = format!("{} authorities in {}", store.len(), path.display());
                (store, roots)
            }
            None => {
                let mut store = RootCertStore::empty();
                store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                let roots = format!("the {} authorities of this machine", store.len());
                (store, roots)
            }
        };
        let verifier = match store.is_empty() {
            true => None,
            false => {
                let store = Arc::new(store);
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(store, Arc::clone(&provider));
                Some(verifier.build().map_err(|error| error.to_string())?)
            }
        };
        Ok(Self {
            identity: read_identity(files, &provider)?,
            provider,
            verifier,
            is_insecure,
            name,
            roots,
        })
    }

    /// Whether there is a certificate of ours to show.
    pub(super) fn has_identity(&self) -> bool {
        self.identity.is_some()
    }
}

fn read_roots(path: &PathBuf) -> Result<RootCertStore, String> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    let mut store = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| error.to_string())?;
        store.add(certificate).map_err(|error| error.to_string())?;
    }
    match store.is_empty() {
        true => Err("there is no certificate in it (PEM)".to_owned()),
        false => Ok(store),
    }
}

fn read_identity(
    files: &ClientFiles,
    provider: &CryptoProvider,
) -> Result<Option<Arc<CertifiedKey>>, String> {
    let (Some(cert), Some(key)) = (&files.cert, &files.key) else {
        return Ok(None);
    };
    let of =
        |option: &str, path: &PathBuf, why: String| format!("{option} {}: {why}", path.display());
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| of("--cert", cert, error.to_string()));
    let der =
        PrivateKeyDer::from_pem_file(key).map_err(|error| of("--key", key, error.to_string()))?;
    CertifiedKey::from_der(chain?, der, provider)
        .map(|identity| Some(Arc::new(identity)))
        .map_err(|error| of("--key", key, error.to_string()))
}

/// Makes the handshake, whatever the certificate: the record says what it is worth.
pub(super) fn handshake(
    stream: TcpStream,
    settings: &Tls,
    timeout: Duration,
) -> Result<(Wire, Record), Box<Failure>> {
    let witness = Arc::new(Witness {
        settings: settings.clone(),
        record: Mutex::default(),
    });
    let mut first = Vec::new();
    let shaken = shake(stream, settings, &witness, timeout, &mut first);
    let mut record = witness.take();
    record.first = first;
    match shaken {
        Ok(stream) => {
            let version = stream.conn.protocol_version();
            let suite = stream.conn.negotiated_cipher_suite();
            if let (Some(version), Some(suite)) = (version, suite) {
                let version = format!("{version:?}").replace("TLSv1_", "TLS 1.");
                record.agreed = Some((version, format!("{:?}", suite.suite())));
            }
            Ok((Wire::Tls(Box::new(stream)), record))
        }
        Err(fault) => Err(Box::new(Failure { fault, record })),
    }
}

fn shake(
    mut stream: TcpStream,
    settings: &Tls,
    witness: &Arc<Witness>,
    timeout: Duration,
    first: &mut Vec<u8>,
) -> Result<StreamOwned<ClientConnection, TcpStream>, Fault> {
    let config = ClientConfig::builder_with_provider(Arc::clone(&settings.provider))
        .with_safe_default_protocol_versions()
        .map_err(Fault::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(witness) as Arc<dyn ServerCertVerifier>)
        .with_client_cert_resolver(Arc::clone(witness) as Arc<dyn ResolvesClientCert>);
    let mut connection =
        ClientConnection::new(Arc::new(config), settings.name.clone()).map_err(Fault::Tls)?;
    let deadline = Instant::now() + timeout;
    while connection.is_handshaking() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Fault::Silent);
        }
        stream.set_read_timeout(Some(left)).map_err(Fault::Io)?;
        stream.set_write_timeout(Some(left)).map_err(Fault::Io)?;
        let mut noted = Noted {
            stream: &mut stream,
            first,
        };
        connection.complete_io(&mut noted).map_err(fault)?;
    }
    Ok(StreamOwned::new(connection, stream))
}

fn fault(error: io::Error) -> Fault {
    if is_timeout(&error) {
        return Fault::Silent;
    }
    if matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    ) {
        return Fault::Closed;
    }
    match tls_error(&error) {
        Some(error) => Fault::Tls(error.clone()),
        None => Fault::Io(error),
    }
}

/// What TLS itself had against it.
fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the connection was closed during the TLS handshake"),
            Self::Silent => f.write_str("the TLS handshake was not over in time"),
            Self::Io(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
        }
    }
}

impl Record {
    /// The chain in words; those that cannot be read are left out.
    pub(super) fn certificates(&self) -> Vec<Certificate> {
        let chain = self.chain.iter();
        chain.filter_map(|der| Certificate::read(der)).collect()
    }

    /// Whether the certificate was found good.
    pub(super) fn is_good(&self) -> bool {
        matches!(self.verdict, Some(Ok(())))
    }

    /// What webpki has against the certificate.
    pub(super) fn refusal(&self) -> Option<&Error> {
        self.verdict.as_ref()?.as_ref().err()
    }
}

/// Lets every certificate pass and keeps what was to be said about it. Signatures of the
/// handshake are verified all the same, so that whoever showed a certificate has its key.
#[derive(Debug)]
struct Witness {
    settings: Tls,
    record: Mutex<Record>,
}

impl Witness {
    fn note(&self, note: impl FnOnce(&mut Record)) {
        note(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn take(&self) -> Record {
        std::mem::take(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.settings.verifier.as_ref().map(|verifier| {
            verifier
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map(|_| ())
        });
        let chain = std::iter::once(end_entity).chain(intermediates);
        let chain = chain.map(|der| der.clone().into_owned()).collect();
        self.note(|record| (record.chain, record.verdict) = (chain, verdict));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.settings.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.settings.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.settings.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}

impl ResolvesClientCert for Witness {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.note(|record| record.is_asked_for_ours = true);
        self.settings.identity.clone()
    }

    /// Whether or not there is one, we want to be asked.
    fn has_certs(&self) -> bool {
        true
    }
}

/// A stream that keeps the first bytes read from it.
struct Noted<'a> {
    stream: &'a mut TcpStream,
    first: &'a mut Vec<u8>,
}

/// Enough for a line of what is not TLS.
const FIRST_MAX: usize = 64;

impl Read for Noted<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(bytes)?;
        let room = FIRST_MAX.saturating_sub(self.first.len());
        self.first.extend_from_slice(&bytes[..n.min(room)]);
        Ok(n)
    }
}

impl Write for Noted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
