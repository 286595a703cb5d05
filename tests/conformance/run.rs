//! Runs the program against a peer, and reads what it found.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use openline::conformance::Vectors;
use openline::proto::Role;
use serde_json::Value;

use crate::faults::Fault;
use crate::handshake;

/// Verdicts by case: the answers', and the end's.
pub(crate) type Verdicts = BTreeMap<String, (String, String)>;

/// What is about time, and what is large or without end: empty fragments come for twenty seconds.
const LEFT_OUT: &[&str] = &[
    "9.",
    "10.",
    "12.",
    "13.",
    "deflate/messages/bombs/",
    "fragments/endless/",
];

/// Far more than the last case takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn openline(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openline"));
    command.arg("conformance").args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The server for clients, where it listens, and what it says.
pub(crate) fn listen(options: &[&str]) -> (Running, String, BufReader<ChildStdout>) {
    let mut command = openline(&["client", "0"]);
    let mut child = Running(command.args(options).spawn().unwrap());
    let mut stdout = BufReader::new(child.0.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let url = line.trim().trim_start_matches("listening on ");
    (child, url.trim_end_matches('/').to_owned(), stdout)
}

/// A process that ends with whoever started it, also when that panics.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended is no more to be ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the program finds about a peer with this fault by these cases, so many at a time.
pub(crate) fn verdicts_of(
    role: Role,
    fault: Option<Fault>,
    ids: &[String],
    jobs: usize,
) -> Verdicts {
    match role {
        Role::Server => on_server(fault, ids, jobs),
        Role::Client => on_client(fault, ids, jobs),
    }
}

fn on_server(fault: Option<Fault>, ids: &[String], jobs: usize) -> Verdicts {
    let url = format!("ws://{}/", handshake::serve(fault));
    let (jobs, ids) = (jobs.to_string(), ids.join(","));
    let options = ["--json", "--retry", "0", "--jobs", &jobs, "--cases", &ids];
    let output = openline(&["server", &url]).args(options).output().unwrap();
    assert!(
        matches!(output.status.code(), Some(0 | 3)),
        "{fault:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    parse(&output.stdout)
}

fn on_client(fault: Option<Fault>, ids: &[String], jobs: usize) -> Verdicts {
    let (mut child, url, stdout) = listen(&["--json"]);
    let address: SocketAddr = url.trim_start_matches("ws://").parse().unwrap();
    let queue = Mutex::new(ids.iter());
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some(id) = next else { return };
                    // How it ends is the program's to judge.
                    let _ = handshake::connect(address, &path(id), fault);
                }
            });
        }
    });
    // A client may be gone before the case is over.
    let (send, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    let mut rest = String::new();
    for _ in ids {
        let Ok(line) = lines.recv_timeout(PATIENCE) else {
            break;
        };
        rest.push_str(&line);
        rest.push('\n');
    }
    let _ = handshake::connect(address, "/stopServer", None);
    child.0.wait().unwrap();
    let verdicts = parse(rest.as_bytes());
    let missing: BTreeSet<_> = ids
        .iter()
        .filter(|id| !verdicts.contains_key(*id))
        .collect();
    assert!(
        missing.is_empty(),
        "{fault:?}: nothing is told of {missing:?}"
    );
    verdicts
}

/// Where a client meets a case.
pub(crate) fn path(id: &str) -> String {
    format!("/case/{id}?agent=raw")
}

/// The ids of the cases that are played here against a peer in this role.
pub(crate) fn cases(role: Role) -> Vec<String> {
    Vectors::embedded()
        .cases()
        .iter()
        .filter(|case| case.suits(role))
        .map(|case| case.id.clone())
        .filter(|id| !LEFT_OUT.iter().any(|beginning| id.starts_with(beginning)))
        .collect()
}

pub(crate) fn parse(stdout: &[u8]) -> Verdicts {
    let lines = String::from_utf8(stdout.to_owned()).unwrap();
    let records = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    records
        .map(|r| {
            (
                text(&r["case"]),
                (text(&r["behavior"]), text(&r["behaviorClose"])),
            )
        })
        .collect()
}
