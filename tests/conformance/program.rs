//! The program's own ways: selection, files, exit codes, reports.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::Output;

use openline::net::{Authorities, ClientTls, ConnectOptions, EventLoop, LoopConfig, Message, Peer};
use openline::proto::ClientRequest;
use serde_json::Value;

use crate::faults::Fault;
use crate::handshake;
use crate::run::{listen, openline, parse, path};

/// A folder of this test's own, gone when it is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("openline-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn play(fault: Option<Fault>, options: &[&str]) -> Output {
    let url = format!("ws://{}/", handshake::serve(fault));
    openline(&["server", &url]).args(options).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn exit_codes() {
    let code = |output: Output| output.status.code();
    assert_eq!(code(play(None, &["--cases", "1.1,2"])), Some(0));
    let failed = play(Some(Fault::NeverPongs), &["--cases", "1.1,2.1,2.2"]);
    let out = text(&failed.stdout);
    assert_eq!(failed.status.code(), Some(3), "{out}");
    assert!(
        out.contains("2.2 FAILED") && out.contains("RFC 6455 §5.5"),
        "{out}"
    );
    assert_eq!(code(play(None, &["--cases", "99"])), Some(2));
    // Nobody listens at a port that was ours a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("ws://{free}/");
    assert_eq!(code(openline(&["server", &url]).output().unwrap()), Some(1));
    assert_eq!(
        code(openline(&["client", "0", "--", "false"]).output().unwrap()),
        Some(1)
    );
    // Allowed, and not strict.
    let late = Some(Fault::LateUtf8);
    assert_eq!(code(play(late, &["--cases", "6.4.1"])), Some(0));
    assert_eq!(code(play(late, &["--cases", "6.4.1", "--strict"])), Some(3));
}

#[test]
fn known_exceptions_and_baselines() {
    let folder = Folder::new("exceptions");
    let (expect, baseline) = (folder.path("expect"), folder.path("baseline"));
    fs::write(&expect, "# no pongs\n2.* FAILED  # as ever\n1.1.1 FAILED\n").unwrap();
    let fault = Some(Fault::PongsEmpty);
    let expected = play(fault, &["--cases", "1.1.1,2.2", "--expect", &expect]);
    let out = text(&expected.stdout);
    assert_eq!(expected.status.code(), Some(0), "{out}");
    assert!(out.contains("line 3: 1.1.1 is no longer FAILED"), "{out}");
    let written = play(
        fault,
        &["--cases", "1.1.1,2.2", "--write-baseline", &baseline],
    );
    assert_eq!(written.status.code(), Some(3));
    let lines = fs::read_to_string(&baseline).unwrap();
    assert!(lines.contains("1.1.1 OK/OK\n2.2 FAILED/OK\n"), "{lines}");
    let same = play(fault, &["--cases", "1.1.1,2.2", "--baseline", &baseline]);
    assert_eq!(same.status.code(), Some(0), "{}", text(&same.stdout));
    let better = play(None, &["--cases", "1.1.1,2.2", "--baseline", &baseline]);
    assert_eq!(better.status.code(), Some(0));
    assert!(text(&better.stdout).contains("2.2 OK; better: it was FAILED"));
    let worse = play(
        Some(Fault::TextAsBinary),
        &["--cases", "1.1.1", "--baseline", &baseline],
    );
    assert_eq!(worse.status.code(), Some(3));
}

#[test]
fn reports_gather_agents_and_have_autobahns_keys() {
    let folder = Folder::new("reports");
    let reports = folder.path("reports");
    for (agent, fault) in [("one/1.0", None), ("<b>two</b>", Some(Fault::PongsEmpty))] {
        let options = [
            "--cases",
            "1.1.1,2.2,mask",
            "--agent",
            agent,
            "--report",
            &reports,
        ];
        assert!(play(fault, &options).status.code().is_some());
    }
    let read = |name: &str| fs::read_to_string(PathBuf::from(&reports).join(name)).unwrap();
    let index: Value = serde_json::from_str(&read("index.json")).unwrap();
    assert_eq!(index.as_object().unwrap().len(), 2);
    let summary = &index["one/1.0"]["1.1.1"];
    assert_eq!(summary["behavior"], "OK");
    assert_eq!(summary["behaviorClose"], "OK");
    assert_eq!(summary["remoteCloseCode"], 1000);
    assert!(summary["duration"].is_u64());
    let detail: Value =
        serde_json::from_str(&read(summary["reportfile"].as_str().unwrap())).unwrap();
    for key in [
        "agent",
        "behavior",
        "behaviorClose",
        "case",
        "closedByMe",
        "createStats",
        "createWirelog",
        "description",
        "droppedByMe",
        "duration",
        "expectation",
        "expected",
        "expectedClose",
        "failedByMe",
        "httpRequest",
        "httpResponse",
        "id",
        "isServer",
        "localCloseCode",
        "localCloseReason",
        "received",
        "remoteCloseCode",
        "remoteCloseReason",
        "reportCompressionRatio",
        "reportTime",
        "result",
        "resultClose",
        "rxFrameStats",
        "rxOctetStats",
        "started",
        "trafficStats",
        "txFrameStats",
        "txOctetStats",
        "wasClean",
        "wasCloseHandshakeTimeout",
        "wasNotCleanReason",
        "wasOpenHandshakeTimeout",
        "wasServerConnectionDropTimeout",
        "wirelog",
    ] {
        assert!(detail.get(key).is_some(), "{key}");
    }
    let page = read("index.html");
    assert!(
        !page.contains("<b>two") && page.contains("\\u003cb>two"),
        "a name is data, not markup"
    );
    assert_eq!(page.matches("</script>").count(), 2);
}

#[test]
fn a_client_comes_through_tls() {
    let folder = Folder::new("tls");
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.path("certificate"), folder.path("key"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (mut child, url, mut stdout) = listen(&["--json", "--tls", &certificate, &key]);
    assert!(url.starts_with("wss://"), "{url}");
    let trusting = ConnectOptions {
        tls: Some(ClientTls::new(&Authorities::File(certificate.into()), None).unwrap()),
        ..ConnectOptions::default()
    };
    let echo = |peer: &mut Peer<'_>, message: Message<'_>| peer.send(message);
    let mut event_loop = EventLoop::new(echo, LoopConfig::default()).unwrap();
    let mut go = |url: &str, options: &ConnectOptions| {
        let request = ClientRequest::new(url.parse().unwrap());
        event_loop.connect_with(request, options, ()).unwrap();
        event_loop.run().unwrap();
    };
    // One that does not trust the certificate is told of, and harms nobody.
    let distrustful = ConnectOptions::default();
    go(&format!("{url}/getCaseCount"), &distrustful);
    // A large message, control frames, a failure and an end without a Close frame.
    let ids = ["1.2.8", "2.6", "5.15", "close/without/behind-a-message"];
    for id in ids {
        go(&format!("{url}{}", path(id)), &trusting);
    }
    go(&format!("{url}/stopServer"), &trusting);
    let mut lines = String::new();
    stdout.read_to_string(&mut lines).unwrap();
    let verdicts = parse(lines.as_bytes());
    for id in ids {
        assert_eq!(verdicts[id].0, "OK", "{id}");
    }
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
    let mut notes = String::new();
    let mut stderr = child.0.stderr.take().unwrap();
    stderr.read_to_string(&mut notes).unwrap();
    assert!(notes.contains("did not come through TLS"), "{notes}");
}

#[test]
fn a_case_is_shown() {
    let shown = openline(&["show", "6.4.1"]).output().unwrap();
    let out = text(&shown.stdout);
    assert_eq!(shown.status.code(), Some(0));
    assert!(
        out.contains("https://www.rfc-editor.org/rfc/rfc6455#section-"),
        "{out}"
    );
    assert_eq!(
        openline(&["show", "nonsense"])
            .output()
            .unwrap()
            .status
            .code(),
        Some(2)
    );
}
