//! What both sides of the program are told about TLS, and the shortcuts of development.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use openline::net::{
    Authorities, ClientCertificates, ClientTls, Identity, ServerTls, TlsConfigError,
};
use openline::proto::Url;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tracing::{error, info};

use crate::cli::signal;

/// How often files are looked at for a change: soon enough after a renewal, which comes weeks
/// before the old certificate ends.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// What whoever has the server's certificate not verified is told.
pub(crate) const UNVERIFIED: &str =
    "the server's certificate is not verified: anyone may be in between";

/// The options of the subcommands that serve.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct ServerArgs {
    /// Serve wss with this certificate (its chain behind it) and private key, from PEM files;
    /// read again when they change, and on SIGHUP
    #[arg(long, value_names = ["CERT", "KEY"], num_args = 2)]
    tls: Vec<PathBuf>,

    /// Serve wss with a certificate made now, for localhost and the address; for development:
    /// where it lies, so that clients can be told to trust it, is printed on standard error
    #[arg(long, conflicts_with = "tls")]
    tls_self_signed: bool,

    /// Let in only clients with a certificate that an authority in this PEM file has signed
    #[arg(long, value_name = "FILE", requires = "tls")]
    tls_client_ca: Option<PathBuf>,
}

/// The options of the subcommands that connect.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct ClientArgs {
    #[command(flatten)]
    files: ClientFiles,

    /// Take any certificate for good: whoever is in between can read and change everything. For
    /// development only; --ca is hardly more work
    #[arg(long, conflicts_with_all = ["ca", "cert"])]
    insecure: bool,
}

/// Whom a client trusts, and the certificate that it may show.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct ClientFiles {
    /// Trust the authorities in this PEM file, instead of those that the system trusts
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// The certificate to show to a server that asks for one (PEM, its chain behind it)
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,

    /// The private key of --cert (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
}

/// A certificate made for this run; its file goes with it.
#[derive(Debug)]
pub(crate) struct SelfSigned {
    pub(crate) path: PathBuf,
}

impl ServerArgs {
    /// Whether it is to be TLS.
    pub(crate) fn is_wanted(&self) -> bool {
        self.tls_self_signed || !self.tls.is_empty()
    }

    /// What to serve with, if it is TLS.
    pub(crate) fn server(
        &self,
        host: &str,
    ) -> Result<Option<(ServerTls, Option<SelfSigned>)>, io::Error> {
        if self.tls_self_signed {
            let (tls, made) = SelfSigned::make(host)?;
            return Ok(Some((tls, Some(made))));
        }
        let [certificate, key] = &self.tls[..] else {
            return Ok(None);
        };
        let clients = self
            .tls_client_ca
            .clone()
            .map_or(ClientCertificates::Ignored, ClientCertificates::Required);
        let tls = ServerTls::from_files(certificate, key, clients)?;
        watch(&tls)?;
        Ok(Some((tls, None)))
    }
}

impl ClientArgs {
    /// Whom to trust, if that was said.
    pub(crate) fn client(&self) -> Result<Option<ClientTls>, TlsConfigError> {
        if self.insecure {
            return Ok(Some(unverified()));
        }
        let files = &self.files;
        let identity = files.cert.clone().zip(files.key.clone());
        let identity = identity.map(|(certificates, key)| Identity { certificates, key });
        if files.ca.is_none() && identity.is_none() {
            return Ok(None);
        }
        let authorities = files
            .ca
            .clone()
            .map_or(Authorities::Platform, Authorities::File);
        ClientTls::new(&authorities, identity.as_ref()).map(Some)
    }

    /// How to meet a server at this URL; `None`: without TLS.
    pub(crate) fn connector(&self, url: &Url) -> Result<Option<ClientTls>, String> {
        if !url.is_secure() {
            return Ok(None);
        }
        if self.insecure {
            // A terminal that is gone learns no more.
            let _ = writeln!(io::stderr(), "warning: {UNVERIFIED}");
        }
        let told = self.client().map_err(|error| error.to_string())?;
        let tls = match told {
            Some(tls) => tls,
            None => ClientTls::platform().map_err(|error| error.to_string())?,
        };
        Ok(Some(tls))
    }

    /// Whether the server's certificate is not verified.
    pub(crate) fn is_insecure(&self) -> bool {
        self.insecure
    }
}

/// Has the certificate read again when its files change or a SIGHUP comes.
fn watch(tls: &ServerTls) -> io::Result<()> {
    let tell = |reloaded: Result<bool, TlsConfigError>| match reloaded {
        Ok(true) => info!(target: "openline", "the certificate was read again"),
        Ok(false) => {}
        Err(error) => error!(target: "openline", %error, "the old certificate stays"),
    };
    let on_hang_up = tls.clone();
    signal::on_hang_up(move || tell(on_hang_up.reload().map(|()| true)))?;
    let tls = tls.clone();
    let look = move || {
        loop {
            thread::sleep(LOOK_INTERVAL);
            tell(tls.reload_if_changed());
        }
    };
    let look = thread::Builder::new()
        .name("certificate".to_owned())
        .spawn(look);
    look.map(|_| ())
}

impl SelfSigned {
    fn make(host: &str) -> io::Result<(ServerTls, Self)> {
        let mut names = vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
        ];
        if !names.iter().any(|name| name == host) {
            names.push(host.to_owned());
        }
        let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
        let pem = made.cert.pem();
        let tls = ServerTls::from_pem(pem.as_bytes(), made.signing_key.serialize_pem().as_bytes())?;
        let path = std::env::temp_dir().join(format!("openline-{}.pem", std::process::id()));
        // Nobody else's file, and no link to one: it is new.
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        let made = Self { path };
        file.write_all(pem.as_bytes())?;
        Ok((tls, made))
    }
}

impl Drop for SelfSigned {
    fn drop(&mut self) {
        // If it is gone already, so much the better.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A client that takes any certificate for good. The library does not have it, and with reason.
fn unverified() -> ClientTls {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(AnyCertificate(Arc::clone(&provider)));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has a cipher suite for each version")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    ClientTls::from_config(Arc::new(config))
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
