//! `openline tap` and `openline replay`: what passes, what is shown, what is recorded.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;

use serde_json::Value;

use crate::support::{
    DEADLINE, Server, accept, by_hand, openline, read_until_close, run, signal, text,
};

/// A running tap, ended when the test is over.
struct Tap {
    child: Child,
    url: String,
    shown: mpsc::Receiver<String>,
}

impl Tap {
    fn start(target: &str, arguments: &[&str]) -> Self {
        let mut command = openline(&["tap", "0", target]);
        command.args(arguments);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, recv) = mpsc::channel();
        let (send_shown, shown) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            send.send(line).unwrap();
            let mut rest = String::new();
            stdout.read_to_string(&mut rest).unwrap();
            send_shown.send(rest)
        });
        let line = recv.recv_timeout(DEADLINE).unwrap();
        let url = match line.strip_prefix("* listening on ") {
            Some(rest) => rest.split(' ').next().unwrap().to_owned(),
            None => {
                let event: Value = serde_json::from_str(&line).unwrap();
                event["url"].as_str().unwrap().to_owned()
            }
        };
        Self { url, child, shown }
    }

    fn address(&self) -> &str {
        let rest = self.url.split_once("://").unwrap().1;
        rest.trim_end_matches('/')
    }

    /// Waits for its end, with --once; its exit code, and what it showed.
    fn finish(mut self) -> (Option<i32>, String) {
        let shown = self.shown.recv_timeout(DEADLINE).expect("the tap ends");
        (self.child.wait().unwrap().code(), shown)
    }

    /// The same by a signal.
    fn stop(self) -> (Option<i32>, String) {
        signal(self.child.id(), "TERM");
        self.finish()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file that is not there yet, and is gone with this.
struct Recording(PathBuf);

impl Recording {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("openline-test-{}-{number}.jsonl", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_file(&path);
        Self(path)
    }

    fn as_str(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn say(url: &str, input: &[u8]) -> String {
    let output = run(&["connect", url], input);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn both_directions_are_shown_and_nothing_is_changed() {
    let server = Server::start(&["-q", "--subprotocol", "chat"]);
    let tap = Tap::start(&server.url, &["--once"]);
    let long = "x".repeat(3 << 20);
    let input = format!("hello\n{long}\n");
    let output = run(
        &["connect", &tap.url, "--subprotocol", "chat"],
        input.as_bytes(),
    );
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == input.as_bytes());
    let (code, shown) = tap.finish();
    assert_eq!(code, Some(0), "{shown}");
    for part in [
        "is 127.0.0.1:",
        "] >      0  GET / HTTP/1.1",
        "] <      0  HTTP/1.1 101 Switching Protocols",
        "] * open: subprotocol chat, extensions none",
        "\"hello\"",
        "text         3145728",
        "] * the client sends no more",
        "\nlegal: 2 heads, ",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
}

#[test]
fn the_request_reaches_the_target_with_its_own_host() {
    let (send, recv) = mpsc::channel();
    let target = by_hand(move |stream, head| {
        send.send(head.to_owned()).unwrap();
        accept(stream, head, "");
        stream.write_all(b"\x88\x00").unwrap();
        read_until_close(stream);
    });
    let tap = Tap::start(&format!("{target}chat"), &["--once"]);
    let origin = format!("http://{}", tap.address());
    run(&["connect", &tap.url, "--origin", &origin], b"");
    let (_, shown) = tap.finish();
    let head = recv.recv_timeout(DEADLINE).unwrap();
    let authority = target.trim_start_matches("ws://").trim_end_matches('/');
    assert!(head.starts_with("GET /chat HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains(&format!("\r\nHost: {authority}\r\n")),
        "{head}"
    );
    assert!(
        head.contains(&format!("\r\nOrigin: http://{authority}\r\n")),
        "{head}"
    );
    assert_eq!(shown.matches(" to the target\n").count(), 3, "{shown}");

    let (send, recv) = mpsc::channel();
    let target = by_hand(move |_, head| send.send(head.to_owned()).unwrap());
    let tap = Tap::start(&target, &["--once", "--keep-host"]);
    run(&["connect", &tap.url], b"");
    let head = recv.recv_timeout(DEADLINE).unwrap();
    assert!(
        head.contains(&format!("\r\nHost: {}\r\n", tap.address())),
        "{head}"
    );
}

#[test]
fn a_broken_rule_is_pointed_at_and_passes_nevertheless() {
    let target = by_hand(|stream, head| {
        accept(stream, head, "");
        stream.write_all(b"\x81\x01\xff").unwrap();
        read_until_close(stream);
    });
    let tap = Tap::start(&target, &["--once"]);
    let output = run(&["connect", &tap.url, "--wait", "never"], b"");
    assert_eq!(output.status.code(), Some(5));
    let (code, shown) = tap.finish();
    assert_eq!(code, Some(3));
    assert!(
        shown.contains("a text is not UTF-8 (RFC 6455 §8.1), close code 1007"),
        "{shown}"
    );
    assert!(shown.contains("1007 invalid payload data"), "{shown}");
}

#[test]
fn experiments() {
    let server = Server::start(&["-q"]);
    let tap = Tap::start(
        &server.url,
        &[
            "--once",
            "--drop",
            "from=client,match=two",
            "--inject",
            "to=client,seen=one,payload=made up",
        ],
    );
    let said = say(&tap.url, b"one\ntwo\nthree\n");
    // Once for the client's message and once for its echo.
    assert_eq!(said, "made up\none\nmade up\nthree\n");
    let (_, shown) = tap.finish();
    assert!(shown.contains("* dropped: text at "), "{shown}");
    assert!(
        shown.contains("* injected to the client: 81076d616465207570"),
        "{shown}"
    );

    let tap = Tap::start(
        &server.url,
        &["--once", "--json", "--delay", "300ms:type=text,from=server"],
    );
    assert_eq!(say(&tap.url, b"late\n"), "late\n");
    let (_, shown) = tap.finish();
    assert!(shown.contains("delayed by 300ms: text at "), "{shown}");
}

#[test]
fn an_illegal_frame_can_be_put_in() {
    let server = Server::start(&["-q"]);
    let tap = Tap::start(&server.url, &["--once", "--inject", "to=client,hex=8300"]);
    let output = run(&["connect", &tap.url, "--wait", "never"], b"");
    assert_eq!(output.status.code(), Some(5));
    assert!(
        text(&output.stderr).contains("0x3"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn only_what_is_asked_for_is_shown_as_json() {
    let server = Server::start(&["-q"]);
    let tap = Tap::start(
        &server.url,
        &["--once", "--json", "--only", "from=server,type=text"],
    );
    say(&tap.url, b"a\x1bb\n");
    let (_, shown) = tap.finish();
    assert!(!shown.contains('\x1b'));
    let events: Vec<Value> = shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let frames: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "frame")
        .collect();
    assert_eq!(frames.len(), 1, "{shown}");
    assert_eq!(frames[0]["message"]["text"], "a\u{1b}b");
    assert_eq!(
        (&frames[0]["connection"], &frames[0]["from"]),
        (&1.into(), &"server".into())
    );
    assert!(frames[0]["time"].as_f64().is_some());
    let summary = events.last().unwrap();
    assert_eq!(
        (&summary["event"], &summary["messages"]),
        (&"summary".into(), &2.into())
    );
}

#[test]
fn a_target_that_is_not_there() {
    let tap = Tap::start("ws://127.0.0.1:1/", &["--once"]);
    let output = run(&["connect", &tap.url], b"");
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("502"));
    let (_, shown) = tap.finish();
    assert!(
        shown.contains("* cannot connect to ws://127.0.0.1:1/: "),
        "{shown}"
    );
}

#[test]
fn a_recording_is_inspected_and_replayed() {
    let server = Server::start(&["-q"]);
    let recording = Recording::new();
    let tap = Tap::start(&server.url, &["--record", recording.as_str()]);
    say(&tap.url, b"one\ntwo\n");
    say(&tap.url, "dr\u{e9}i\n".as_bytes());
    let (code, shown) = tap.stop();
    assert_eq!(code, Some(0));
    assert!(shown.contains("\nlegal: 4 heads, "), "{shown}");

    let output = run(&["inspect", recording.as_str()], b"");
    assert_eq!(output.status.code(), Some(0));
    let seen = text(&output.stdout);
    assert!(
        seen.contains("[2] > ") && seen.contains("\"dréi\""),
        "{seen}"
    );
    // The same counts as the tap had.
    assert_eq!(seen.lines().last(), shown.lines().last());
    let output = run(&["inspect", recording.as_str(), "--connection", "1"], b"");
    assert!(!text(&output.stdout).contains("[2]"));

    for arguments in [
        &["--speed", "max"][..],
        &["--connection", "2", "--speed", "100"],
    ] {
        let output = run(
            &[&["replay", recording.as_str(), &server.url], arguments].concat(),
            b"",
        );
        let shown = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{shown}");
        assert!(shown.ends_with(": the same as recorded\n"), "{shown}");
    }

    let arguments = [
        "replay",
        recording.as_str(),
        &server.url,
        "--speed",
        "max",
        "--verbose",
    ];
    let output = run(&arguments, b"");
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    // Bit by bit: a text of 3 bytes, masked as we send it, and as it comes back.
    for bits in [
        "|1|0|0|0|0 0 0 1|1|0 0 0 0 0 1 1|",
        "|1|0|0|0|0 0 0 1|0|0 0 0 0 0 1 1|",
    ] {
        assert!(shown.contains(bits), "{bits}\n{shown}");
    }

    // Another server says something else, and one of the answers not at all.
    let other = by_hand(|stream, head| {
        accept(stream, head, "");
        stream.write_all(b"\x81\x03ONE").unwrap();
        read_until_close(stream);
    });
    let arguments = [
        "replay",
        recording.as_str(),
        &other,
        "--speed",
        "max",
        "--patience",
        "200ms",
    ];
    let output = run(&arguments, b"");
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{shown}");
    let difference =
        "! answer 1 differs: recorded text of 3 bytes \"one\", now text of 3 bytes \"ONE\"";
    assert!(shown.contains(difference), "{shown}");
    assert!(
        shown.contains("! answer 2 differs: recorded text of 3 bytes \"two\", now nothing"),
        "{shown}"
    );

    // What was killed within a line is read up to there.
    let bytes = fs::read(&recording.0).unwrap();
    let cut = Recording::new();
    fs::write(&cut.0, &bytes[..bytes.len() - 3]).unwrap();
    let output = run(&["inspect", cut.as_str()], b"");
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("* the recording breaks off within its last line"));

    // A recording is not written over.
    let arguments = ["tap", "0", &server.url, "--record", recording.as_str()];
    assert_eq!(run(&arguments, b"").status.code(), Some(1));
}

#[test]
fn a_client_that_says_little_and_goes_is_passed_on_as_it_is() {
    let (send, recv) = mpsc::channel();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("ws://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        send.send(bytes).unwrap();
    });
    let tap = Tap::start(&target, &["--once"]);
    let mut client = TcpStream::connect(tap.address()).unwrap();
    client.write_all(b"GET / HT").unwrap();
    drop(client);
    assert_eq!(recv.recv_timeout(DEADLINE).unwrap(), b"GET / HT");
    let (_, shown) = tap.finish();
    assert!(shown.contains("(the head does not end)"), "{shown}");
}

#[test]
fn tls_on_either_side() {
    let server = Server::start(&["-q", "--tls-self-signed"]);
    let ca = server.self_signed();
    let tap = Tap::start(&server.url, &["--once", "--ca", &ca]);
    assert!(tap.url.starts_with("ws://"));
    assert_eq!(say(&tap.url, b"one\n"), "one\n");
    let (code, shown) = tap.finish();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("\"one\""), "{shown}");

    let tap = Tap::start(&server.url, &["--once", "--ca", &ca, "--tls-self-signed"]);
    let long = "x".repeat(1 << 20) + "\n";
    let output = run(&["connect", &tap.url, "--insecure"], long.as_bytes());
    assert!(output.stdout == long.as_bytes(), "{}", text(&output.stderr));
    let (_, shown) = tap.finish();
    assert!(shown.contains("text         1048576"), "{shown}");

    // Who is not trusted is named as such.
    let tap = Tap::start(&server.url, &["--once"]);
    run(&["connect", &tap.url], b"");
    let (_, shown) = tap.finish();
    assert!(
        shown.contains("the connection to the target failed: the peer's certificate"),
        "{shown}"
    );

    let recording = Recording::new();
    let tap = Tap::start(
        &server.url,
        &["--once", "--ca", &ca, "--record", recording.as_str()],
    );
    say(&tap.url, b"one\n");
    tap.finish();
    let output = run(
        &["replay", recording.as_str(), &server.url, "--ca", &ca],
        b"",
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[test]
fn what_is_no_rule_is_said() {
    let target = "ws://127.0.0.1:1/";
    for (arguments, words) in [
        (&["--drop", "text"][..], "is no condition"),
        (&["--delay", "text"], "TIME:RULE"),
        (&["--inject", "type=ping"], "to=client or to=server"),
        (&["--only", "type=word"], "is no type"),
    ] {
        let output = run(&[&["tap", "0", target], arguments].concat(), b"");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let error = text(&output.stderr);
        assert!(error.contains(words), "{error}");
    }
}
