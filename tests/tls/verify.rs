//! Who is who: servers' certificates, and clients'.

use openline::net::{Authorities, ClientCertificates, ClientTls};
use openline::proto::CloseCode;

use crate::certificates::{Authority, Folder};
use crate::peer::{connect, end, serve};
use crate::support::{Answer, Seen, echo};

/// Closes when it opens.
struct Closer;

impl Answer for Closer {
    fn open(&mut self, peer: &mut openline::net::Peer<'_>) {
        peer.close(CloseCode::NORMAL, "").unwrap();
    }

    fn message(
        &mut self,
        _: &mut openline::net::Peer<'_>,
        _: openline::net::Message<'_>,
    ) -> Result<(), openline::proto::SendError> {
        Ok(())
    }
}

/// The client's verdict, and the server's.
fn verdicts(server: openline::net::ServerTls, host: &str, client: ClientTls) -> (String, String) {
    let (server, address) = serve(server);
    let url = format!("wss://{host}:{}/", address.port());
    let client = end(&connect(&url, Some(client), Closer));
    let verdict = server.end();
    server.stop();
    (client, verdict)
}

#[test]
fn a_certificate_that_is_not_to_be_trusted() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let good = ours.sign(&["localhost"]);
    for (server, host, client, fault, alert) in [
        (
            good.server(),
            "localhost",
            theirs.client(),
            "UnknownIssuer",
            "48",
        ),
        (
            good.server(),
            "127.0.0.1",
            ours.client(),
            "NotValidForName",
            "42",
        ),
        (
            ours.sign(&["other.example"]).server(),
            "localhost",
            ours.client(),
            "NotValidForName",
            "42",
        ),
        (
            ours.sign_expired(&["localhost"]).server(),
            "localhost",
            ours.client(),
            "Expired",
            "45",
        ),
    ] {
        let (client, server) = verdicts(server, host, client);
        assert!(
            client.contains(&format!("Tls(Certificate({fault}")),
            "{client}"
        );
        assert_eq!(server, format!("Tls(Alert(Alert({alert})))"), "{client}");
    }
}

#[test]
fn a_self_signed_certificate_is_good_for_who_has_it() {
    let names = vec!["localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let pem = made.cert.pem();
    let key = made.signing_key.serialize_pem();
    let server = || openline::net::ServerTls::from_pem(pem.as_bytes(), key.as_bytes()).unwrap();
    let trusting = ClientTls::new(&Authorities::Pem(pem.clone().into_bytes()), None).unwrap();
    let (client, _) = verdicts(server(), "localhost", trusting);
    assert!(client.contains("Handshake {"), "{client}");
    let (client, _) = verdicts(server(), "localhost", Authority::new("other").client());
    assert!(client.contains("UnknownIssuer"), "{client}");
}

#[test]
fn clients_with_and_without_certificates() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let pair = ours.sign(&["localhost"]);
    let folder = Folder::new();
    let required = || pair.server_for(&folder, &ours, ClientCertificates::Required);
    let optional = || pair.server_for(&folder, &ours, ClientCertificates::Optional);
    let mine = ours.client_with(&ours.sign(&["me"]).identity(&folder));
    let good = "Handshake {";

    let (client, server) = verdicts(required(), "localhost", mine.clone());
    assert!(
        client.contains(good) && server.contains(good),
        "{client}, {server}"
    );
    let (client, server) = verdicts(required(), "localhost", ours.client());
    assert!(client.contains("Tls(Alert(Alert(116)))"), "{client}");
    assert_eq!(server, "Tls(NoCertificate)");

    let (client, server) = verdicts(optional(), "localhost", ours.client());
    assert!(
        client.contains(good) && server.contains(good),
        "{client}, {server}"
    );
    let stranger = Folder::new();
    let wrong = ours.client_with(&theirs.sign(&["me"]).identity(&stranger));
    for server in [required(), optional()] {
        let (client, server) = verdicts(server, "localhost", wrong.clone());
        assert!(server.contains("Tls(Certificate(UnknownIssuer"), "{server}");
        assert!(client.contains("Tls(Alert(Alert(48)))"), "{client}");
    }
}

#[test]
fn a_client_of_an_old_certificate_is_told_when_it_expired() {
    let authority = Authority::new("tests");
    let (server, address) = serve(authority.sign_expired(&["localhost"]).server());
    let url = format!("wss://localhost:{}/", address.port());
    let seen = connect(&url, Some(authority.client()), echo);
    let Seen::End(true, why) = seen.recv().unwrap() else {
        panic!("it did not fail");
    };
    assert!(why.contains("not_after: UnixTime(1582934400)"), "{why}");
    server.stop();
}
