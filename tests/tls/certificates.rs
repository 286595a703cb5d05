//! Authorities and the certificates that they sign, as PEM files in a folder of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use openline::net::{Authorities, ClientCertificates, ClientTls, Identity, ServerTls};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};

/// A folder that goes when the test is over.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("openline-tls-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate and its key, in PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// For these names, this year.
    pub(crate) fn sign(&self, names: &[&str]) -> Pair {
        self.sign_with(names, |_| {})
    }

    /// For these names, and long ago.
    pub(crate) fn sign_expired(&self, names: &[&str]) -> Pair {
        self.sign_with(names, |params| {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 2, 29);
        })
    }

    fn sign_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Pair {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// A client that trusts this authority alone.
    pub(crate) fn client(&self) -> ClientTls {
        let authorities = Authorities::Pem(self.pem.clone().into_bytes());
        ClientTls::new(&authorities, None).unwrap()
    }

    /// The same, with a certificate of its own.
    pub(crate) fn client_with(&self, identity: &Identity) -> ClientTls {
        let authorities = Authorities::Pem(self.pem.clone().into_bytes());
        ClientTls::new(&authorities, Some(identity)).unwrap()
    }
}

impl Pair {
    pub(crate) fn server(&self) -> ServerTls {
        ServerTls::from_pem(self.certificate.as_bytes(), self.key.as_bytes()).unwrap()
    }

    /// A server that asks clients for a certificate of this authority.
    pub(crate) fn server_for(
        &self,
        folder: &Folder,
        clients: &Authority,
        ask: fn(PathBuf) -> ClientCertificates,
    ) -> ServerTls {
        let authorities = folder.write("clients.pem", &clients.pem);
        let (certificate, key) = self.write(folder, "server");
        ServerTls::from_files(certificate, key, ask(authorities)).unwrap()
    }

    pub(crate) fn identity(&self, folder: &Folder) -> Identity {
        let (certificates, key) = self.write(folder, "client");
        Identity { certificates, key }
    }

    pub(crate) fn write(&self, folder: &Folder, name: &str) -> (PathBuf, PathBuf) {
        let certificate = folder.write(&format!("{name}.pem"), &self.certificate);
        let key = folder.write(&format!("{name}.key"), &self.key);
        (certificate, key)
    }
}

/// What is said of a file.
pub(crate) fn fault(certificate: &Path, key: &Path) -> String {
    ServerTls::from_files(certificate, key, ClientCertificates::Ignored)
        .unwrap_err()
        .to_string()
}
