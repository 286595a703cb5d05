//! Certificates of every kind, and servers that show them.

use std::env;
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
};

use crate::support::{accept, behave, listen, read_head};

/// An authority of our own.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) pem: String,
    pub(crate) key: KeyPair,
}

/// A file of the tests', removed when they are over.
pub(crate) struct File(PathBuf);

impl Authority {
    pub(crate) fn new() -> Self {
        Self::root("Test Root")
    }

    pub(crate) fn root(name: &str) -> Self {
        Self::named(name, None, |_| {})
    }

    /// One below this one.
    pub(crate) fn below(&self, name: &str) -> Self {
        self.below_with(name, |_| {})
    }

    pub(crate) fn below_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        Self::named(name, Some(self), change)
    }

    fn named(
        name: &str,
        above: Option<&Self>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = match above {
            Some(above) => params.signed_by(&key, &above.issuer).unwrap(),
            None => params.self_signed(&key).unwrap(),
        };
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// The file for `--ca`.
    pub(crate) fn file(&self) -> File {
        File::new(&self.pem())
    }

    /// A certificate for these hosts, as `change` would have it.
    pub(crate) fn issue(
        &self,
        hosts: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let mut params = params(hosts);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            chain: vec![certificate.der().clone()],
            pem: certificate.pem(),
            key,
        }
    }
}

/// One that nobody vouches for.
pub(crate) fn self_signed(hosts: &[&str]) -> Identity {
    self_signed_as(hosts, |_| {})
}

pub(crate) fn self_signed_as(
    hosts: &[&str],
    change: impl FnOnce(&mut CertificateParams),
) -> Identity {
    let mut params = params(hosts);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Identity {
        chain: vec![certificate.der().clone()],
        pem: certificate.pem(),
        key,
    }
}

fn params(hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts.clone()).unwrap();
    let name = hosts.first().cloned().unwrap_or_default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// Is valid from so many days before today to so many after.
pub(crate) fn valid(from: i64, to: i64) -> impl FnOnce(&mut CertificateParams) {
    move |params| {
        let day = |days: i64| {
            let (year, month, day) = civil(today() + days);
            date_time_ymd(year, month, day)
        };
        params.not_before = day(from);
        params.not_after = day(to);
    }
}

fn today() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs() / 86_400).unwrap()
}

/// Year, month and day of so many days after 1970-01-01.
fn civil(mut days: i64) -> (i32, u8, u8) {
    let mut year = 1970;
    let is_leap = |year: i32| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    while days >= if is_leap(year) { 366 } else { 365 } {
        days -= if is_leap(year) { 366 } else { 365 };
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, u8::try_from(days).unwrap() + 1)
}

impl File {
    pub(crate) fn new(content: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("openline-diagnose-{}-{number}.pem", process::id());
        let path = env::temp_dir().join(name);
        fs::write(&path, content).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A WebSocket server that shows this certificate; its URL. It lets in only clients with a
/// certificate of `clients`, if there is one.
pub(crate) fn wss(identity: Identity, clients: Option<&Authority>) -> String {
    wss_of(rustls::ALL_VERSIONS, identity, clients)
}

/// The same with these versions of TLS.
pub(crate) fn wss_of(
    versions: &[&'static SupportedProtocolVersion],
    identity: Identity,
    clients: Option<&Authority>,
) -> String {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let config = Arc::new(builder.with_single_cert(identity.chain, key).unwrap());
    let port = listen(move |stream| serve(Arc::clone(&config), stream));
    format!("wss://127.0.0.1:{port}/ws")
}

/// Shows `first` to the first client and `then` to all others; `heard` counts the requests.
pub(crate) fn wss_turning(first: Identity, then: Identity, heard: Arc<AtomicU32>) -> String {
    let provider = Arc::new(ring::default_provider());
    let [first, then] = [first, then].map(|identity| {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
        let builder = builder.with_no_client_auth();
        Arc::new(builder.with_single_cert(identity.chain, key).unwrap())
    });
    let clients = AtomicU32::new(0);
    let port = listen(move |stream| {
        let config = match clients.fetch_add(1, Ordering::SeqCst) {
            0 => &first,
            _ => &then,
        };
        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        if let Some(head) = read_head(&mut stream) {
            heard.fetch_add(1, Ordering::SeqCst);
            accept(&mut stream, &head, "");
            while behave(&mut stream) {}
        }
    });
    format!("wss://127.0.0.1:{port}/ws")
}

fn serve(config: Arc<ServerConfig>, stream: TcpStream) {
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    if let Some(head) = read_head(&mut stream) {
        accept(&mut stream, &head, "");
        while behave(&mut stream) {}
        stream.conn.send_close_notify();
        let _ = std::io::Write::flush(&mut stream);
    }
}
