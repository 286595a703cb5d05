//! Descriptors return to where they were whatever happens to a connection, and a server that
//! has none left lives on (Linux: it counts them in /proc).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use openline::net::{EventLoop, LoopConfig, Message, Peer, Remote};
use openline::proto::Config;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// A masked text, and its echo.
const HELLO: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
const ECHO: &[u8] = b"\x81\x05Hello";

#[test]
fn they_return_to_where_they_were() {
    let (address, _remote) = serve();
    drop(open(address));
    let before = settled();
    for round in 0..20 {
        // Before a word, within the request, within a header, within a frame; by an end of file
        // and by a reset; after a refusal, after a Close, after an error.
        let pieces: [&[u8]; 8] = [
            b"",
            &REQUEST[..50],
            b"GET / HTTP/1.0\r\n\r\n",
            REQUEST,
            &HELLO[..1],
            &HELLO[..9],
            b"\x88\x80\0\0\0\0",
            b"\xff\xff",
        ];
        for (i, piece) in pieces.into_iter().enumerate() {
            let mut stream = match i {
                ..4 => TcpStream::connect(address).unwrap(),
                _ => open(address),
            };
            stream.write_all(piece).unwrap();
            match round % 3 {
                0 => drop(stream),
                1 => {
                    stream.shutdown(Shutdown::Write).unwrap();
                    stream.read_to_end(&mut Vec::new()).unwrap();
                }
                _ => {
                    // Closed over the unread echo, the socket is reset.
                    let _ = stream.write_all(HELLO);
                    thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while descriptors() != before {
        assert!(Instant::now() < deadline, "{} of {before}", descriptors());
        thread::sleep(Duration::from_millis(20));
    }
    check(&mut open(address));
}

/// Runs [`with_few_descriptors`] in a process that may have but forty.
#[test]
fn when_they_are_used_up_accepting_pauses_and_goes_on() {
    let status = Command::new("sh")
        .args(["-c", "ulimit -n 40 && exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "with_few_descriptors",
            "--nocapture",
        ])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
#[ignore = "wants a process with few descriptors"]
fn with_few_descriptors() {
    let (address, _remote) = serve();
    let mut inside = open(address);
    // Those on the other side count as well: some connect, wait in the backlog, and hear nothing.
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect(address) {
        waiting.push(stream);
    }
    assert!(waiting.len() > 10);
    thread::sleep(Duration::from_millis(300));
    // The loop lives, and serves whom it has.
    check(&mut inside);
    drop(waiting);
    let mut later = open(address);
    check(&mut later);
    check(&mut inside);
}

/// An echo in a thread of its own, which ends with the process.
fn serve() -> (SocketAddr, Remote) {
    let (ready, when_ready) = channel();
    thread::spawn(move || {
        let config = LoopConfig {
            protocol: Arc::new(Config {
                handshake_timeout: Duration::from_secs(1),
                ..Config::default()
            }),
            linger_timeout: Duration::from_millis(500),
            accept_pause: Duration::from_millis(100),
            ..LoopConfig::default()
        };
        let echo = |peer: &mut Peer<'_>, message: Message<'_>| peer.send(message);
        let mut server = EventLoop::new(echo, config).unwrap();
        let address = server.listen("127.0.0.1:0").unwrap();
        ready.send((address, server.remote())).unwrap();
        server.run().unwrap();
    });
    when_ready.recv_timeout(Duration::from_secs(10)).unwrap()
}

/// A client after its opening handshake. It may have to wait until descriptors are free again.
fn open(address: SocketAddr) -> TcpStream {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let opened = TcpStream::connect(address).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(REQUEST)?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte)?;
                head.extend(byte);
            }
            Ok(stream)
        });
        match opened {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
}

fn check(stream: &mut TcpStream) {
    stream.write_all(HELLO).unwrap();
    let mut echo = [0; ECHO.len()];
    stream.read_exact(&mut echo).unwrap();
    assert_eq!(echo, ECHO);
}

/// How many are open, once that has not changed for a while.
fn settled() -> usize {
    let mut count = descriptors();
    loop {
        thread::sleep(Duration::from_millis(700));
        match descriptors() {
            same if same == count => return count,
            other => count = other,
        }
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
