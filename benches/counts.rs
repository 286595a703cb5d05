//! How many instructions the core's hot paths take, a message, and whether that has grown.
//!
//! `cargo bench --bench counts` runs each path once and twice under `valgrind --tool=callgrind`;
//! the difference is the path in its steady state, without what comes before and after. It is the
//! same from run to run, however busy the machine is, so that a change of a few in a hundred is
//! a change of the code. `counts.txt` has what was accepted; `-- --accept` writes it anew.

#[path = "floor/compressed.rs"]
mod compressed;
mod floor;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::Instant;
use std::{env, fs};

use openline::proto::{Data, RecvBuffer, Role, SendBuffer};

use compressed::{connection, messages};
use floor::ours;
use floor::stream::{Content, Stream};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["--run", name, passes] => {
            let path = PATHS.iter().find(|path| path.name == name);
            let passes = passes.parse().expect("a path is run some times");
            (path.expect("a path is run by its name").run)(passes);
            Ok(())
        }
        // Cargo adds --bench.
        ["--accept", ..] => accept(),
        [] | ["--bench"] => compare(),
        _ => Err("usage: cargo bench --bench counts [-- --accept]".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A hot path: takes so many passes, and how many messages there are in one.
struct Path {
    name: &'static str,
    run: fn(usize) -> usize,
}

const PATHS: [Path; 16] = [
    Path {
        name: "receive server binary 16 B",
        run: |passes| receive(Role::Server, Content::Binary, 16, passes),
    },
    Path {
        name: "receive server binary 1 KiB",
        run: |passes| receive(Role::Server, Content::Binary, 1 << 10, passes),
    },
    Path {
        name: "receive server binary 1 MiB",
        run: |passes| receive(Role::Server, Content::Binary, 1 << 20, passes),
    },
    Path {
        name: "receive server ascii 16 B",
        run: |passes| receive(Role::Server, Content::Ascii, 16, passes),
    },
    Path {
        name: "receive server ascii 1 MiB",
        run: |passes| receive(Role::Server, Content::Ascii, 1 << 20, passes),
    },
    Path {
        name: "receive server multibyte 1 KiB",
        run: |passes| receive(Role::Server, Content::MultiByte, 1 << 10, passes),
    },
    Path {
        name: "receive server multibyte 1 MiB",
        run: |passes| receive(Role::Server, Content::MultiByte, 1 << 20, passes),
    },
    Path {
        name: "receive server multibyte 16 KiB",
        run: |passes| receive(Role::Server, Content::MultiByte, 16 << 10, passes),
    },
    Path {
        name: "receive client binary 16 B",
        run: |passes| receive(Role::Client, Content::Binary, 16, passes),
    },
    Path {
        name: "send server binary 16 B",
        run: |passes| send(Role::Server, 16, passes),
    },
    Path {
        name: "send server binary 16 KiB",
        run: |passes| send(Role::Server, 16 << 10, passes),
    },
    Path {
        name: "send server shared 16 KiB",
        run: |passes| send_shared(Role::Server, 16 << 10, passes),
    },
    Path {
        name: "send client binary 16 B",
        run: |passes| send(Role::Client, 16, passes),
    },
    Path {
        name: "send client binary 1 KiB",
        run: |passes| send(Role::Client, 1 << 10, passes),
    },
    Path {
        name: "send server deflated 1 KiB",
        run: |passes| deflate(1 << 10, passes),
    },
    Path {
        name: "receive server deflated 1 KiB",
        run: |passes| inflate(1 << 10, passes),
    },
];

fn receive(role: Role, content: Content, size: usize, passes: usize) -> usize {
    let stream = Stream::new(role.peer(), content, size);
    let mut receiver = ours::Receiver::new(role);
    (0..passes).for_each(|_| {
        receiver.pass(&stream);
    });
    stream.messages
}

fn send(role: Role, size: usize, passes: usize) -> usize {
    let payload = Content::Binary.payload(size);
    let mut sender = ours::Sender::new(role);
    let messages = 10_000;
    for _ in 0..passes * messages {
        sender.send(Data::Binary(&payload), |_| ());
    }
    messages
}

fn send_shared(role: Role, size: usize, passes: usize) -> usize {
    let message = ours::shared(Content::Binary, Content::Binary.payload(size).into());
    let mut sender = ours::Sender::new(role);
    let messages = 10_000;
    for _ in 0..passes * messages {
        sender.send_shared(&message, |_| ());
    }
    messages
}

/// Compresses messages that differ, each in the context of those before, and sends them: to begin
/// anew would be two thirds of the price, and of the codec alone.
fn deflate(size: usize, passes: usize) -> usize {
    let messages = messages(size);
    let mut connection = connection(Role::Server, false);
    let mut send = SendBuffer::new();
    for message in (0..passes).flat_map(|_| &messages) {
        connection
            .send_binary(message, &mut send)
            .expect("the queue is empty");
        send.advance(black_box(send.pending()).len());
    }
    messages.len()
}

/// Receives such messages.
fn inflate(size: usize, passes: usize) -> usize {
    let mut client = connection(Role::Client, false);
    let mut server = connection(Role::Server, false);
    let (mut recv, mut send) = (RecvBuffer::new(), SendBuffer::new());
    let now = Instant::now();
    let frames = messages(size).into_iter().map(|message| {
        client
            .send_binary(&message, &mut send)
            .expect("the queue is empty");
        let frame = send.pending().to_vec();
        send.advance(frame.len());
        frame
    });
    let frames: Vec<_> = frames.collect();
    for frame in (0..passes).flat_map(|_| &frames) {
        recv.extend(frame);
        let event = server
            .poll(now, &mut recv, &mut send)
            .expect("the client obeys the protocol");
        assert!(black_box(event).is_some(), "the message is whole");
    }
    frames.len()
}

fn compare() -> Result<(), String> {
    let accepted = accepted()?;
    let mut grown = Vec::new();
    println!(
        "{:<32} {:>12} {:>12}   ratio",
        "instructions a message", "accepted", "now"
    );
    for path in &PATHS {
        let now = count(path)?;
        let Some(before) = accepted.get(path.name) else {
            return Err(format!("{FILE} has no line for {}: {ACCEPT}", path.name));
        };
        let ratio = now / before;
        let remark = match ratio {
            GROWN.. => "grown",
            ..SHRUNK => "fewer",
            _ => "",
        };
        println!(
            "{:<32} {before:>12.1} {now:>12.1}   {ratio:.3} {remark}",
            path.name
        );
        if ratio >= GROWN {
            grown.push(path.name);
        }
        if ratio < SHRUNK {
            println!("    to hold what was won: {ACCEPT}");
        }
    }
    match grown.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "more instructions than were accepted: {}.\n\
             What takes them: valgrind --tool=callgrind, as benches/README.md shows. If they are \
             worth it, or the\ncompiler is another: {ACCEPT}, and say why in the commit.",
            grown.join(", ")
        )),
    }
}

fn accept() -> Result<(), String> {
    let mut text = String::from("# Instructions a message, by `cargo bench --bench counts`.\n");
    for path in &PATHS {
        text += &format!("{:<32} {:>12.1}\n", path.name, count(path)?);
    }
    print!("{text}");
    fs::write(FILE, text).map_err(|error| format!("{FILE}: {error}"))
}

/// The instructions of one more pass, a message.
fn count(path: &Path) -> Result<f64, String> {
    let more = instructions(path, 2)? - instructions(path, 1)?;
    Ok(more as f64 / (path.run)(0) as f64)
}

fn instructions(path: &Path, passes: usize) -> Result<u64, String> {
    let this = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .args(["--run", path.name, &passes.to_string()])
        .output()
        .map_err(|error| format!("valgrind (Debian's package valgrind): {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text
        .lines()
        .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    collected.ok_or_else(|| format!("valgrind has counted nothing:\n{text}"))
}

fn accepted() -> Result<BTreeMap<String, f64>, String> {
    let text = fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}; {ACCEPT}"))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, count) = line.rsplit_once(' ')?;
            Some((name.trim().to_owned(), count.parse().ok()?))
        })
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{FILE}: each line is a path and a number; {ACCEPT}"))
}

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/counts.txt");

const ACCEPT: &str = "cargo bench --bench counts -- --accept";

/// What a path may grow by: the C library's copies differ a little from one release to the next.
const GROWN: f64 = 1.03;
const SHRUNK: f64 = 0.97;
