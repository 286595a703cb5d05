//! Running the program, what it came to, and servers with a fault.

use std::env;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use sha1::{Digest, Sha1};

/// Far more than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The program, without what the environment may say.
pub(crate) fn openline(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openline"));
    command.args(arguments);
    clean(&mut command);
    command
}

/// Takes away what changes the verdict.
pub(crate) fn clean(command: &mut Command) {
    for name in ["http", "https", "ws", "wss", "all", "no"] {
        command.env_remove(format!("{name}_proxy"));
        command.env_remove(format!("{name}_proxy").to_ascii_uppercase());
    }
    for name in [
        "OPENLINE_BEARER",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "NO_COLOR",
    ] {
        command.env_remove(name);
    }
}

pub(crate) fn finish(mut command: Command) -> Output {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (send, recv) = mpsc::channel();
    let id = child.id().to_string();
    thread::spawn(move || send.send(child.wait_with_output()));
    let output = recv.recv_timeout(DEADLINE).unwrap_or_else(|_| {
        let _ = Command::new("kill").args(["-s", "KILL", &id]).status();
        panic!("the program did not end");
    });
    output.unwrap()
}

/// The report of one run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) exit: i32,
    pub(crate) json: Value,
}

/// Runs `openline diagnose --json`, quickly unless the arguments say otherwise.
pub(crate) fn diagnose(url: &str, arguments: &[&str]) -> Report {
    report(openline(&all(url, arguments)))
}

/// The arguments with those that make it quick.
pub(crate) fn all<'a>(url: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["diagnose", url, "--json"];
    for (name, value) in [("--timeout", "10s"), ("--listen", "50ms"), ("--pings", "2")] {
        if !arguments.contains(&name) {
            all.extend([name, value]);
        }
    }
    all.extend(arguments);
    all
}

pub(crate) fn report(command: Command) -> Report {
    let output = finish(command);
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!("no JSON: {output:?}");
    });
    let report = Report {
        exit: output.status.code().unwrap(),
        json,
    };
    report.is_whole();
    report
}

impl Report {
    /// What holds for every report.
    fn is_whole(&self) {
        assert_eq!(self.json["exit"], self.exit, "{self:?}");
        let steps = self.json["steps"].as_array().unwrap();
        let names: Vec<_> = steps
            .iter()
            .map(|step| step["step"].as_str().unwrap())
            .collect();
        for name in [
            "url",
            "names",
            "reach",
            "proxy",
            "tls",
            "http",
            "handshake",
            "messages",
            "pings",
            "idle",
            "close",
        ] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        // Whatever is wrong is said in full: what, whose fault, why, and what to do.
        for step in steps.iter().filter(|step| !step["cause"].is_null()) {
            assert!(step["culprit"].is_string(), "{step}");
            assert!(step["means"].as_str().unwrap().len() > 20, "{step}");
            let todo = step["do"].as_array().unwrap();
            assert!(
                todo.iter().all(|todo| todo.as_str().unwrap().len() > 5),
                "{step}"
            );
            assert!(!todo.is_empty(), "{step}");
        }
        let failed: Vec<_> = steps
            .iter()
            .filter(|step| step["outcome"] == "failed")
            .collect();
        match self.json["verdict"]["cause"].as_str() {
            Some(cause) => assert_eq!(failed[0]["cause"], cause),
            None => assert_eq!((failed.len(), self.exit), (0, 0), "{self:?}"),
        }
    }

    /// The verdict is this, and the report says these words.
    #[track_caller]
    pub(crate) fn fails(self, exit: i32, cause: &str, culprit: &str, words: &[&str]) -> Self {
        let verdict = &self.json["verdict"];
        let found = (
            self.exit,
            verdict["cause"].as_str(),
            verdict["culprit"].as_str(),
        );
        assert_eq!(
            found,
            (exit, Some(cause), Some(culprit)),
            "{}",
            self.pretty()
        );
        self.says(words)
    }

    /// It works, and this warning is given.
    #[track_caller]
    pub(crate) fn warns(self, cause: &str, words: &[&str]) -> Self {
        let steps = self.json["steps"].as_array().unwrap();
        let warned = steps
            .iter()
            .any(|step| step["outcome"] == "warning" && step["cause"] == cause);
        assert!(warned && self.exit == 0, "{}", self.pretty());
        self.says(words)
    }

    #[track_caller]
    pub(crate) fn works(self) -> Self {
        assert_eq!(self.exit, 0, "{}", self.pretty());
        self
    }

    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        let text = self.pretty();
        for word in words {
            assert!(text.contains(word), "nothing of {word:?} in {text}");
        }
        self
    }

    pub(crate) fn step(&self, name: &str) -> &Value {
        let steps = self.json["steps"].as_array().unwrap();
        steps.iter().find(|step| step["step"] == name).unwrap()
    }

    /// With quotes as they are, so that words can be sought.
    fn pretty(&self) -> String {
        serde_json::to_string_pretty(&self.json)
            .unwrap()
            .replace("\\\"", "\"")
    }
}

/// A server for any number of connections, each in a thread; its port.
pub(crate) fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            stream.set_nodelay(true).unwrap();
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    port
}

/// A server that gets the head of each request; its URL.
pub(crate) fn http(serve: impl Fn(&mut TcpStream, &str) + Send + Sync + 'static) -> String {
    let port = listen(move |mut stream| {
        if let Some(head) = read_head(&mut stream) {
            serve(&mut stream, &head);
        }
    });
    format!("ws://127.0.0.1:{port}/ws")
}

/// A server that gives each request the same answer.
pub(crate) fn answer(head: &'static str, body: &'static str) -> String {
    http(move |stream, _| respond(stream, head, body))
}

pub(crate) fn respond(stream: &mut impl Write, head: &str, body: &str) {
    let text = format!(
        "HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // The client may be gone.
    let _ = stream.write_all(text.as_bytes());
}

/// A server with the handshake done.
pub(crate) fn websocket(serve: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> String {
    http(move |stream, head| {
        accept(stream, head, "");
        serve(stream);
    })
}

/// Agrees, with more header fields.
pub(crate) fn accept(stream: &mut impl Write, head: &str, headers: &str) {
    let accept = accept_key(head);
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
    );
    let _ = stream.write_all(response.as_bytes());
}

pub(crate) fn accept_key(head: &str) -> String {
    let key = field(head, "Sec-WebSocket-Key");
    let mut hash = Sha1::new();
    hash.update(key.unwrap_or_default());
    hash.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64.encode(hash.finalize())
}

pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find_map(|(other, value)| other.eq_ignore_ascii_case(name).then_some(value))
}

/// `None` if the client is gone before.
pub(crate) fn read_head(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// A client's short frame: its first byte and its payload. `None` at the end.
pub(crate) fn read_frame(stream: &mut impl Read) -> Option<(u8, Vec<u8>)> {
    let mut header = [0; 6];
    stream.read_exact(&mut header).ok()?;
    let mut payload = vec![0; usize::from(header[1] & 0x7f)];
    stream.read_exact(&mut payload).ok()?;
    for (at, byte) in payload.iter_mut().enumerate() {
        *byte ^= header[2 + at % 4];
    }
    Some((header[0], payload))
}

pub(crate) fn write_frame(stream: &mut impl Write, first: u8, payload: &[u8]) {
    let length = u8::try_from(payload.len()).unwrap();
    let frame = [&[first, length][..], payload].concat();
    let _ = stream.write_all(&frame);
}

/// Answers pings and the Close frame, as one should; `false` when it is over.
pub(crate) fn behave(stream: &mut (impl Read + Write)) -> bool {
    match read_frame(stream) {
        Some((0x89, payload)) => write_frame(stream, 0x8a, &payload),
        Some((0x88, payload)) => {
            write_frame(stream, 0x88, &payload);
            return false;
        }
        Some(_) => {}
        None => return false,
    }
    true
}

/// Reads until the client is gone.
pub(crate) fn drain(stream: &mut impl Read) {
    let mut bytes = [0; 1024];
    while matches!(stream.read(&mut bytes), Ok(n) if n > 0) {}
}

/// Whether a test that needs `what` is left out here; where all must run, it is not.
pub(crate) fn is_left_out(what: &str, is_possible: bool) -> bool {
    if is_possible {
        return false;
    }
    let must_run = env::var_os("OPENLINE_FAULTS").is_some_and(|value| value == "all");
    assert!(!must_run, "this test cannot be left out, and needs {what}");
    eprintln!("left out: this test needs {what}");
    true
}
