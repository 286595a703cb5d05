//! wss, as people and scripts use it.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::support::{DEADLINE, Server, run, text};

#[test]
fn self_signed_for_development() {
    let server = Server::start(&["--tls-self-signed"]);
    assert!(server.url.starts_with("wss://127.0.0.1:"), "{}", server.url);
    let ca = server.self_signed();
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("wss://{host}:{}/", server.address.port());
        let output = run(&["connect", &url, "--ca", &ca], b"one\ntwo\n");
        assert_eq!(text(&output.stderr), "");
        assert_eq!(text(&output.stdout), "one\ntwo\n");
        assert_eq!(output.status.code(), Some(0));
    }

    // Without, it is not trusted; and with --insecure it is said that it need not be.
    let output = run(&["connect", &server.url], b"");
    assert_eq!(output.status.code(), Some(8));
    let said = text(&output.stderr);
    assert!(
        said.contains("signed by itself or by an authority that is not trusted"),
        "{said}"
    );
    assert!(said.contains("--ca FILE"), "{said}");
    let output = run(&["connect", &server.url, "--insecure"], b"one\n");
    assert_eq!(text(&output.stdout), "one\n");
    assert!(text(&output.stderr).starts_with("warning: "));

    let (code, log) = server.stop("TERM");
    assert_eq!(code, Some(0));
    assert!(log.contains(&format!("--ca {ca}")), "{log}");
    assert!(log.contains("unknown_ca (48)"), "{log}");
    assert!(!PathBuf::from(ca).exists());
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let folder = Folder::new("wrong");
    let named = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        CertificateParams::new(names).unwrap()
    };
    let mut old = named(&["127.0.0.1"]);
    old.not_before = date_time_ymd(2019, 1, 1);
    old.not_after = date_time_ymd(2020, 2, 29);
    // As `openssl req -x509` makes it.
    let mut authority = named(&["127.0.0.1"]);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for (params, said, tip) in [
        (
            old,
            "the peer's certificate expired on 2020-02-29 at 00:00 UTC",
            "needs a new certificate",
        ),
        (
            named(&["a.example", "10.0.0.1"]),
            "the peer's certificate is for a.example, 10.0.0.1, and not for 127.0.0.1",
            "connect by a name",
        ),
        (
            authority,
            "the peer's certificate is an authority's (CA:TRUE)",
            "basicConstraints=critical,CA:FALSE",
        ),
    ] {
        let certificate = folder.write(&params);
        let server = Server::start(&["--tls", &certificate, &folder.key()]);
        let output = run(&["connect", &server.url, "--ca", &certificate], b"");
        let stderr = text(&output.stderr);
        assert!(stderr.contains(said) && stderr.contains(tip), "{stderr}");
        assert_eq!(output.status.code(), Some(8));
    }
}

#[test]
fn files_that_will_not_do() {
    let folder = Folder::new("files");
    let certificate = folder.write(&CertificateParams::new(vec!["a".to_owned()]).unwrap());
    let output = run(&["serve", "0", "--tls", "/no/such/file", &certificate], b"");
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("error: TLS: /no/such/file: "), "{stderr}");
    let output = run(
        &["connect", "wss://127.0.0.1:1/", "--ca", "/no/such/file"],
        b"",
    );
    assert_eq!(output.status.code(), Some(1));
    let output = run(
        &["connect", "wss://127.0.0.1:1/", "--cert", &certificate],
        b"",
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn clients_show_certificates_and_new_ones_are_read_on_a_signal() {
    let folder = Folder::new("clients");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = folder.write(&params);
    let key = folder.key();
    let server = Server::start(&["--tls", &certificate, &key, "--tls-client-ca", &certificate]);
    let trusting = ["connect", &server.url, "--ca", &certificate];
    let output = run(&trusting, b"");
    assert_eq!(output.status.code(), Some(8));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("certificate_required (116)") && stderr.contains("--cert"),
        "{stderr}"
    );
    let output = run(
        &[&trusting[..], &["--cert", &certificate, "--key", &key]].concat(),
        b"a\n",
    );
    assert_eq!(text(&output.stdout), "a\n");

    let server = Server::start(&["--tls", &certificate, &key]);
    let old = folder.copy(&certificate);
    let url = server.url.clone();
    let connect = |ca: &str| run(&["connect", &url, "--ca", ca], b"a\n").status.code();
    assert_eq!(connect(&old), Some(0));
    folder.renew();
    let renewed = folder.write(&params);
    server.signal("HUP");
    let deadline = Instant::now() + DEADLINE;
    while connect(&renewed) != Some(0) {
        assert!(
            Instant::now() < deadline,
            "the new certificate is not served"
        );
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(connect(&old), Some(8));
}

/// A certificate and its key, in files.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("openline-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let folder = Self(path);
        folder.renew();
        folder
    }

    /// A new key.
    fn renew(&self) {
        fs::write(self.key(), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    }

    fn key(&self) -> String {
        self.0.join("key.pem").display().to_string()
    }

    /// Signed with its own key.
    fn write(&self, params: &CertificateParams) -> String {
        let key = KeyPair::from_pem(&fs::read_to_string(self.key()).unwrap()).unwrap();
        let issuer = Issuer::from_params(params, &key);
        let path = self.0.join("certificate.pem");
        fs::write(&path, params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
        path.display().to_string()
    }

    fn copy(&self, of: &str) -> String {
        let path = self.0.join("copy.pem");
        fs::copy(of, &path).unwrap();
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
