//! Running the program with deadlines, and servers made by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest, Sha1};

/// Far more than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) fn openline(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openline"));
    command.args(arguments).env_remove("OPENLINE_BEARER");
    for name in ["ws", "wss", "http", "https", "all", "no"] {
        command.env_remove(format!("{name}_proxy"));
        command.env_remove(format!("{name}_proxy").to_ascii_uppercase());
    }
    command
}

/// Runs the program to its end with this input.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Output {
    finish(openline(arguments), input)
}

pub(crate) fn finish(mut command: Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // It may end before it has read all.
    let writer = thread::spawn(move || stdin.write_all(&input));
    let id = child.id();
    let (send, recv) = mpsc::channel();
    thread::spawn(move || send.send(child.wait_with_output()));
    let output = recv.recv_timeout(DEADLINE).unwrap_or_else(|_| {
        signal(id, "KILL");
        panic!("the program did not end");
    });
    let _ = writer.join();
    output.unwrap()
}

pub(crate) fn signal(id: u32, name: &str) {
    let id = id.to_string();
    let status = Command::new("kill").args(["-s", name, &id]).status();
    assert!(status.unwrap().success());
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_owned()).unwrap()
}

/// A running `openline serve`, or another subcommand that serves, killed when the test is over.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    pub(crate) address: SocketAddr,
    lines: mpsc::Receiver<String>,
    log: thread::JoinHandle<String>,
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_as("serve", arguments)
    }

    pub(crate) fn start_as(subcommand: &str, arguments: &[&str]) -> Self {
        let mut child = openline(&[subcommand, "0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = thread::spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).unwrap();
            log
        });
        let stdout = child.stdout.take().unwrap();
        let (send, recv) = mpsc::channel();
        thread::spawn(move || {
            let lines = BufReader::new(stdout).lines();
            lines
                .map_while(Result::ok)
                .try_for_each(|line| send.send(line))
        });
        let line = recv.recv_timeout(DEADLINE).unwrap();
        let url = line.split_whitespace().find(|word| word.contains("://"));
        let url = url.unwrap();
        let (_, address) = url.trim_end_matches('/').split_once("://").unwrap();
        Self {
            child,
            url: url.to_owned(),
            address: address.parse().unwrap(),
            lines: recv,
            log,
        }
    }

    /// Of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Where it leaves the certificate that it made.
    pub(crate) fn self_signed(&self) -> String {
        let name = format!("openline-{}.pem", self.child.id());
        std::env::temp_dir().join(name).display().to_string()
    }

    /// The next line of its output, behind the first.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).unwrap()
    }

    /// Ends it by a signal; its exit code and its log.
    pub(crate) fn stop(mut self, name: &str) -> (Option<i32>, String) {
        signal(self.child.id(), name);
        let log = std::mem::replace(&mut self.log, thread::spawn(String::new));
        let log = log.join().unwrap();
        (self.child.wait().unwrap().code(), log)
    }

    /// Sends a request by hand; the stream, and the head of the answer.
    pub(crate) fn ask(&self, headers: &str) -> (TcpStream, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let request = format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             {headers}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let head = read_head(&mut stream);
        (stream, head)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server for one connection, which gets the head of the request and does what it wants.
pub(crate) fn by_hand(serve: impl FnOnce(&mut TcpStream, &str) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let head = read_head(&mut stream);
        serve(&mut stream, &head);
    });
    url
}

/// As [`by_hand`], with the handshake done and these bytes sent behind it; then it waits for the
/// client to close.
pub(crate) fn frames(bytes: &'static [u8]) -> String {
    by_hand(move |stream, head| {
        accept(stream, head, "");
        stream.write_all(bytes).unwrap();
        read_until_close(stream);
    })
}

pub(crate) fn accept(stream: &mut TcpStream, head: &str, headers: &str) {
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let mut hash = Sha1::new();
    hash.update(key.unwrap());
    hash.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = BASE64.encode(hash.finalize());
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
    );
    stream.write_all(response.as_bytes()).unwrap();
}

/// Reads until a client's Close frame has come, or the end.
pub(crate) fn read_until_close(stream: &mut TcpStream) {
    let mut bytes = [0; 1024];
    while let Ok(n) = stream.read(&mut bytes) {
        if n == 0 || bytes[..n].contains(&0x88) {
            return;
        }
    }
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    text(&head)
}
