//! The program as a child process, and servers made by hand; nothing here waits for ever.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// `openline` with these arguments, its streams piped.
pub(crate) fn openline(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openline"));
    command
        .args(args)
        .env_remove("OPENLINE_BEARER")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a command to its end with this input.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_vec();
    // It may end before it has read everything.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = finish(child);
    writer.join().expect("writing does not panic");
    output
}

/// Waits for the end of a process; ends it and panics when that does not come.
pub(crate) fn finish(child: Child) -> Output {
    let id = child.id();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(PATIENCE) {
        Ok(output) => output.expect("the process can be waited for"),
        Err(_) => {
            signal(id, "KILL");
            panic!("the program did not end");
        }
    }
}

pub(crate) fn signal(id: u32, name: &str) {
    let status = Command::new("kill")
        .args([format!("-{name}"), id.to_string()])
        .status();
    assert!(status.is_ok_and(|status| status.success()), "kill -{name}");
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the program writes UTF-8")
}

/// `openline serve` on a port of its own; ended when dropped.
pub(crate) struct Server {
    child: Option<Child>,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = openline(&["serve", "127.0.0.1:0"])
            .args(args)
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("it is piped"))
            .read_line(&mut line)
            .expect("it says where it listens");
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("{line:?}"))
            .to_owned();
        Self {
            child: Some(child),
            url,
        }
    }

    /// HOST:PORT.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("ws://").trim_end_matches('/')
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Waits for its end, which something else has brought about.
    pub(crate) fn finish(mut self) -> Output {
        finish(self.child.take().expect("it runs"))
    }

    /// Asks for its end, and returns what it logged.
    pub(crate) fn log(self) -> String {
        signal(self.id(), "TERM");
        text(&self.finish().stderr).to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Already gone is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Answers one connection with what `answer` makes of its request head; returns the URL.
pub(crate) fn server_by_hand(answer: impl FnOnce(&str, &mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the client connects");
        let head = read_head(&mut stream);
        answer(&head, &mut stream);
        // Until the client has closed, too: a reset would destroy what it has not read.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    format!("ws://{address}/")
}

/// Writes `request` to a server and reads until it closes or `PATIENCE` is over.
pub(crate) fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a timeout can be set");
    stream
        .write_all(request.as_bytes())
        .expect("the server reads");
    read_head(&mut stream)
}

/// Upgrades by hand: the response to this request, which is answered by 101.
pub(crate) fn upgrade(head: &str, stream: &mut TcpStream, fields: &str) {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use sha1::{Digest, Sha1};

    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
        .expect("the request has a key");
    let digest = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    let accept = STANDARD.encode(digest);
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{fields}\r\n"
    );
    stream
        .write_all(response.as_bytes())
        .expect("the client reads");
}

fn read_head(stream: &mut TcpStream) -> String {
    let (start, mut head) = (Instant::now(), Vec::new());
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && start.elapsed() < PATIENCE {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8(head).expect("heads are ASCII here")
}
