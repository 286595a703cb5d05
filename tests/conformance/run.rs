//! Runs the program against a peer, and reads what it found.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use openline::proto::Role;
use serde_json::Value;

use crate::faults::Fault;
use crate::peer;

/// Verdicts by case: the answers', and the end's.
pub(crate) type Verdicts = BTreeMap<String, (String, String)>;

/// Everything but what is about time and compression, which the peers here do not speak.
const LEFT_OUT: &str = "9,10,12,13,deflate";

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

/// What the program finds about a peer with this fault.
pub(crate) fn verdicts_on(role: Role, fault: Option<Fault>) -> Verdicts {
    match role {
        Role::Server => on_server(fault),
        Role::Client => on_client(fault),
    }
}

fn on_server(fault: Option<Fault>) -> Verdicts {
    let url = format!("ws://{}/", peer::serve(fault));
    let options = ["--json", "--jobs", "64", "--exclude", LEFT_OUT];
    let output = openline(&["server", &url]).args(options).output().unwrap();
    assert!(
        matches!(output.status.code(), Some(0 | 3)),
        "{fault:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    parse(&output.stdout)
}

fn on_client(fault: Option<Fault>) -> Verdicts {
    let options = ["client", "0", "--json", "--exclude", LEFT_OUT];
    let mut child = openline(&options).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let address = line
        .trim()
        .trim_start_matches("listening on ws://")
        .trim_end_matches('/');
    let address: SocketAddr = address.parse().unwrap();
    let ids = cases("client");
    let queue = Mutex::new(ids.iter());
    thread::scope(|scope| {
        for _ in 0..48 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some(id) = next else { return };
                    let encoded: String = id
                        .bytes()
                        .map(|byte| match byte {
                            b'/' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
                            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                            byte => format!("%{byte:02x}"),
                        })
                        .collect();
                    // How it ends is the program's to judge.
                    let _ = peer::connect(address, &format!("/case/{encoded}?agent=raw"), fault);
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
    for _ in &ids {
        let Ok(line) = lines.recv_timeout(PATIENCE) else {
            break;
        };
        rest.push_str(&line);
        rest.push('\n');
    }
    let _ = peer::connect(address, "/stopServer", None);
    child.wait().unwrap();
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

/// The ids of the cases that are played here against a peer in this role.
fn cases(role: &str) -> Vec<String> {
    let options = ["list", "--json", "--exclude", LEFT_OUT];
    let output = openline(&options).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let cases = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let suits = |case: &Value| case["peer"].is_null() || case["peer"] == role;
    cases
        .filter(suits)
        .map(|case| case["id"].as_str().unwrap().to_owned())
        .collect()
}

fn parse(stdout: &[u8]) -> Verdicts {
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
