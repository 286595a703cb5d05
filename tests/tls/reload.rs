//! Certificates from files: replaced while the server runs, and what is said when they are bad.

use openline::net::{ClientCertificates, ServerTls};

use crate::certificates::{Authority, Folder, fault};
use crate::peer::{connect, end, serve};
use crate::support::echo;

#[test]
fn new_connections_see_a_new_certificate_and_old_ones_live_on() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let folder = Folder::new();
    let (certificate, key) = old.sign(&["localhost"]).write(&folder, "server");
    let tls = ServerTls::from_files(&certificate, &key, ClientCertificates::Ignored).unwrap();
    let (server, address) = serve(tls.clone());
    let url = format!("wss://localhost:{}/", address.port());

    let first = connect(&url, Some(old.client()), echo);
    assert!(format!("{:?}", first.recv()).contains("Response(101)"));
    assert!(!tls.reload_if_changed().unwrap());

    folder.write("server.pem", "nothing");
    let error = tls.reload().unwrap_err().to_string();
    assert!(
        error.contains("server.pem: there is no certificate"),
        "{error}"
    );
    let second = connect(&url, Some(old.client()), echo);
    assert!(format!("{:?}", second.recv()).contains("Response(101)"));

    new.sign(&["localhost"]).write(&folder, "server");
    tls.reload().unwrap();
    let third = connect(&url, Some(new.client()), echo);
    assert!(format!("{:?}", third.recv()).contains("Response(101)"));
    let fourth = end(&connect(&url, Some(old.client()), echo));
    assert!(fourth.contains("UnknownIssuer"), "{fourth}");

    server.remote.shutdown().unwrap();
    for open in [first, second, third] {
        let why = end(&open);
        assert!(why.contains("GOING_AWAY") || why.contains("1001"), "{why}");
    }
    server.join();
}

#[test]
fn a_change_is_found_by_its_time() {
    let authority = Authority::new("tests");
    let folder = Folder::new();
    let (certificate, key) = authority.sign(&["localhost"]).write(&folder, "server");
    let tls = ServerTls::from_files(&certificate, &key, ClientCertificates::Ignored).unwrap();
    assert!(!tls.reload_if_changed().unwrap());
    let file = std::fs::File::options().write(true).open(&key).unwrap();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    file.set_modified(later).unwrap();
    assert!(tls.reload_if_changed().unwrap());
    assert!(!tls.reload_if_changed().unwrap());
}

#[test]
fn files_that_will_not_do() {
    let authority = Authority::new("tests");
    let folder = Folder::new();
    let (certificate, key) = authority.sign(&["localhost"]).write(&folder, "server");
    let (_, other) = authority.sign(&["localhost"]).write(&folder, "other");
    let missing = folder.write("gone.pem", "");
    std::fs::remove_file(&missing).unwrap();
    for (certificate, key, why) in [
        (
            &certificate,
            &other,
            "other.key: the private key does not belong",
        ),
        (&key, &key, "server.key: there is no certificate in it"),
        (
            &certificate,
            &certificate,
            "server.pem: there is no private key in it",
        ),
        (&missing, &key, "gone.pem: "),
    ] {
        let error = fault(certificate, key);
        assert!(error.contains(why), "{error}");
    }
}
