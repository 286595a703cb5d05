//! TLS that fails, and certificates that are refused.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa};

use crate::authority::{
    Authority, File, Identity, self_signed, self_signed_as, valid, wss, wss_of, wss_turning,
};
use crate::support::{Report, all, answer, diagnose, drain, listen, openline, report};

/// Runs with this authority trusted.
fn trusting(authority: &Authority, identity: Identity) -> Report {
    let file = authority.file();
    diagnose(&wss(identity, None), &["--ca", file.path()])
}

#[test]
fn a_certificate_that_is_good() {
    let authority = Authority::new();
    let words = [
        "TLS 1.3",
        "good for 127.0.0.1 until",
        "from Test Root",
        "(99 days)",
    ];
    trusting(&authority, authority.issue(&["127.0.0.1"], valid(-1, 100)))
        .works()
        .says(&words);
}

#[test]
fn a_certificate_out_of_its_time() {
    let authority = Authority::new();
    let words = ["expired 3 days ago", "clock", "certificate 1: 127.0.0.1"];
    trusting(&authority, authority.issue(&["127.0.0.1"], valid(-30, -3))).fails(
        14,
        "tls-expired",
        "tls",
        &words,
    );
    let words = ["it does not name this host either"];
    trusting(
        &authority,
        authority.issue(&["example.com"], valid(-30, -3)),
    )
    .fails(14, "tls-expired", "tls", &words);
    let old = authority.below_with("Old Intermediate", valid(-30, -3));
    let mut whole = old.issue(&["127.0.0.1"], |_| {});
    whole.chain.push(old.der());
    let words = ["a certificate of the chain expired 3 days ago"];
    trusting(&authority, whole).fails(14, "tls-expired", "tls", &words);
    let words = ["valid only from", "clock"];
    trusting(&authority, authority.issue(&["127.0.0.1"], valid(3, 30))).fails(
        14,
        "tls-not-yet-valid",
        "tls",
        &words,
    );
    let words = ["expires in", "renewal did not happen"];
    trusting(&authority, authority.issue(&["127.0.0.1"], valid(-300, 3)))
        .warns("tls-expires-soon", &words);
    // One for a few days is renewed every few days.
    trusting(&authority, authority.issue(&["127.0.0.1"], valid(-1, 5))).works();
}

#[test]
fn a_certificate_for_another_host() {
    let authority = Authority::new();
    let words = [
        "not for 127.0.0.1 but for example.com, www.example.com",
        "SNI",
    ];
    let other = authority.issue(&["example.com", "www.example.com"], |_| {});
    trusting(&authority, other).fails(14, "tls-wrong-name", "tls", &words);
    let words = ["no host at all"];
    trusting(&authority, authority.issue(&[], |_| {})).fails(14, "tls-wrong-name", "tls", &words);
}

#[test]
fn a_certificate_that_nobody_vouches_for() {
    let url = wss(self_signed(&["127.0.0.1"]), None);
    let words = ["self-signed", "trusted here: the", "Let's Encrypt"];
    diagnose(&url, &[]).fails(14, "tls-self-signed", "tls", &words);
    // The most wrong that a certificate can be, and no other words than for each.
    let worst = self_signed_as(&["example.com"], valid(-30, -3));
    let words = [
        "expired 3 days ago",
        "it is self-signed as well",
        "it does not name this host either",
    ];
    diagnose(&wss(worst, None), &[]).fails(14, "tls-expired", "tls", &words);
    // As `openssl req -x509` makes it.
    let authority = self_signed_as(&["127.0.0.1"], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let file = File::new(&authority.pem);
    let url = wss(authority, None);
    let words = [
        "self-signed",
        "CA:TRUE",
        "basicConstraints=critical,CA:FALSE",
    ];
    diagnose(&url, &["--ca", file.path()]).fails(14, "tls-self-signed", "tls", &words);
    // It is its own authority, then.
    let identity = self_signed(&["127.0.0.1"]);
    let file = File::new(&identity.pem);
    diagnose(&wss(identity, None), &["--ca", file.path()]).works();
}

#[test]
fn an_issuer_that_is_not_known() {
    let (known, unknown) = (Authority::root("Known"), Authority::new());
    let middle = unknown.below("Test Intermediate");
    let words = [
        "its chain ends at Test Intermediate",
        "fullchain.pem",
        "its own certificate only",
    ];
    trusting(&known, middle.issue(&["127.0.0.1"], |_| {})).fails(
        14,
        "tls-unknown-issuer",
        "tls",
        &words,
    );
    let mut whole = middle.issue(&["127.0.0.1"], |_| {});
    whole.chain.push(middle.der());
    let words = ["its chain ends at Test Root", "opens TLS on the way"];
    trusting(&known, whole).fails(14, "tls-unknown-issuer", "tls", &words);
    let mut whole = middle.issue(&["127.0.0.1"], |_| {});
    whole.chain.push(middle.der());
    trusting(&unknown, whole)
        .works()
        .says(&["certificate 2: Test Intermediate, an authority"]);
}

#[test]
fn an_authority_that_was_made_anew() {
    let (old, new) = (Authority::new(), Authority::new());
    let words = ["has another key", "under its old name"];
    trusting(&old, new.issue(&["127.0.0.1"], |_| {})).fails(
        14,
        "tls-unknown-issuer",
        "tls",
        &words,
    );
}

#[test]
fn a_certificate_for_another_purpose() {
    let authority = Authority::new();
    let client = authority.issue(&["127.0.0.1"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let words = ["is refused", "breaks a rule"];
    trusting(&authority, client).fails(14, "tls-invalid", "tls", &words);
}

#[test]
fn insecure_goes_on_and_says_so() {
    let url = wss(self_signed(&["example.com"]), None);
    let words = ["--insecure goes on", "anybody on the way"];
    diagnose(&url, &["--insecure"]).warns("tls-unverified", &words);
}

#[test]
fn a_certificate_that_was_good_once_is_looked_at_each_time() {
    let authority = Authority::new();
    let good = authority.issue(&["127.0.0.1"], |_| {});
    let heard = Arc::new(AtomicU32::new(0));
    let url = wss_turning(good, self_signed(&["127.0.0.1"]), Arc::clone(&heard));
    let ca = authority.file();
    // The comparison without the credentials, and that with compression, are not made.
    let arguments = ["--ca", ca.path(), "--bearer", "secret", "--deflate"];
    diagnose(&url, &arguments).works();
    assert_eq!(heard.load(Ordering::SeqCst), 1);
}

#[test]
fn nobody_to_trust() {
    let url = wss(self_signed(&["127.0.0.1"]), None);
    let mut command = openline(&all(&url, &[]));
    command
        .env("SSL_CERT_FILE", "/dev/null")
        .env("SSL_CERT_DIR", "/nowhere");
    let words = ["trusts no authority at all", "ca-certificates"];
    report(command).fails(14, "tls-no-roots", "this-machine", &words);
}

#[test]
fn a_server_that_wants_a_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let url = wss(authority.issue(&["127.0.0.1"], |_| {}), Some(&clients));
    let ca = authority.file();
    let words = [
        "wants a certificate",
        "--cert FILE --key FILE",
        "CertificateRequired",
    ];
    diagnose(&url, &["--ca", ca.path()]).fails(
        14,
        "tls-client-certificate",
        "authentication",
        &words,
    );
    let ours = clients.issue(&["client"], |_| {});
    let (cert, key) = (File::new(&ours.pem), File::new(&ours.key.serialize_pem()));
    let arguments = [
        "--ca",
        ca.path(),
        "--cert",
        cert.path(),
        "--key",
        key.path(),
    ];
    diagnose(&url, &arguments).works();
    let other = self_signed(&["client"]);
    let (cert, key) = (File::new(&other.pem), File::new(&other.key.serialize_pem()));
    let arguments = [
        "--ca",
        ca.path(),
        "--cert",
        cert.path(),
        "--key",
        key.path(),
    ];
    let words = [
        "does not accept the certificate of --cert",
        "authority that the server",
    ];
    diagnose(&url, &arguments).fails(14, "tls-client-certificate", "authentication", &words);
}

#[test]
fn a_server_that_wants_a_certificate_in_tls_1_2() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let identity = authority.issue(&["127.0.0.1"], |_| {});
    let url = wss_of(&[&rustls::version::TLS12], identity, Some(&clients));
    let ca = authority.file();
    let words = ["wants a certificate", "--cert FILE --key FILE"];
    diagnose(&url, &["--ca", ca.path()]).fails(
        14,
        "tls-client-certificate",
        "authentication",
        &words,
    );
}

#[test]
fn a_port_without_tls() {
    // One answers in HTTP, one closes, one stays silent until it is spoken to in HTTP.
    let plain = answer("200 OK", "").replace("ws://", "wss://");
    let words = ["does not speak TLS", "Without TLS it is ws://127.0.0.1:"];
    diagnose(&plain, &["--timeout", "1s"]).fails(14, "tls-not-spoken", "arguments", &words);
    let port = listen(|mut stream| {
        let mut first = [0; 3];
        if stream.read_exact(&mut first).is_ok() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let words = ["HTTP answered 400 Bad Request"];
    diagnose(&format!("wss://127.0.0.1:{port}/"), &[]).fails(
        14,
        "tls-not-spoken",
        "arguments",
        &words,
    );
}

/// A server that says these bytes to a ClientHello and closes.
fn saying(bytes: &'static [u8]) -> String {
    let port = listen(move |mut stream| {
        let mut hello = [0; 2048];
        let _ = stream.read(&mut hello);
        let _ = stream.write_all(bytes);
    });
    format!("wss://127.0.0.1:{port}/")
}

#[test]
fn a_handshake_that_is_broken_off() {
    for (bytes, cause, culprit, words) in [
        // protocol_version, handshake_failure
        (
            &b"\x15\x03\x01\0\x02\x02\x46"[..],
            "tls-version",
            "tls",
            "TLS 1.2 and 1.3",
        ),
        (
            b"\x15\x03\x03\0\x02\x02\x28",
            "tls-version",
            "tls",
            "cipher suite",
        ),
        // unrecognized_name, internal_error
        (
            b"\x15\x03\x03\0\x02\x02\x70",
            "tls-alert",
            "tls",
            "UnrecognizedName",
        ),
        (
            b"\x15\x03\x03\0\x02\x02\x50",
            "tls-alert",
            "tls",
            "InternalError",
        ),
        // An alert whose level is none.
        (
            b"\x16\x03\x03\0\x04\x09\0\0\0",
            "tls-alert",
            "tls",
            "not what TLS prescribes",
        ),
        (
            b"",
            "tls-closed",
            "endpoint",
            "closed during the TLS handshake",
        ),
    ] {
        diagnose(&saying(bytes), &[]).fails(14, cause, culprit, &[words]);
    }
    let silent = listen(|mut stream| drain(&mut stream));
    let words = ["not over within 300 ms", "nothing came"];
    diagnose(
        &format!("wss://127.0.0.1:{silent}/"),
        &["--timeout", "300ms"],
    )
    .fails(14, "tls-silent", "overload", &words);
}
