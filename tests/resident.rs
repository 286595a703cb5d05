//! What peers without manners make a server remember (hostile F2, R1), in a process of its own
//! (Linux: it reads /proc). The bounds are generous, since others allocate here too;
//! `benches/echo` measures what it comes to.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use openline::net::{EventLoop, LoopConfig, Message, Peer};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// One test, so that nothing else allocates meanwhile.
#[test]
fn claims_and_floods_cost_their_bound() {
    let address = serve();
    let mut good = open(address);
    check(&mut good);

    // F2: a frame of the 16 MiB that are allowed, declared and not sent.
    const CLAIMS: u64 = 300;
    let mut claims: Vec<TcpStream> = (0..CLAIMS).map(|_| open(address)).collect();
    let before = resident();
    for stream in &mut claims {
        stream
            .write_all(b"\x82\xff\0\0\0\0\x01\0\0\0\0\0\0\0")
            .unwrap();
    }
    check(&mut good);
    thread::sleep(Duration::from_millis(100));
    let each = resident().saturating_sub(before) / CLAIMS;
    assert!(each <= 4 << 10, "{each} bytes for each claim");
    drop(claims);

    // R1: messages of 64 KiB and Pings as fast as they go, to one that never reads.
    const FLOODS: u64 = 10;
    let before = resident();
    let floods: Vec<_> = (0..FLOODS)
        .map(|_| {
            let mut stream = open(address);
            thread::spawn(move || {
                let message = [&b"\x82\xff\0\0\0\0\0\x01\0\0\0\0\0\0"[..], &[0; 64 << 10]];
                let frames = [message.concat(), b"\x89\x80\0\0\0\0".repeat(100)].concat();
                let begun = Instant::now();
                while let Some(left) = Duration::from_secs(2).checked_sub(begun.elapsed()) {
                    let patience = left.max(Duration::from_millis(1));
                    stream.set_write_timeout(Some(patience)).unwrap();
                    // That there is no room is what is to be expected.
                    let _ = stream.write(&frames);
                }
                stream
            })
        })
        .collect();
    let mut most = 0;
    while floods.iter().any(|flood| !flood.is_finished()) {
        check(&mut good);
        most = most.max(resident());
        thread::sleep(Duration::from_millis(5));
    }
    // A mebibyte may wait for each, beside the message that goes over it and what was read.
    let grown = most.saturating_sub(before);
    assert!(grown <= FLOODS * (2 << 20), "{grown} bytes");
    check(&mut good);
}

fn serve() -> SocketAddr {
    let (ready, when_ready) = channel();
    thread::spawn(move || {
        let echo = |peer: &mut Peer<'_>, message: Message<'_>| peer.send(message);
        let mut server = EventLoop::new(echo, LoopConfig::default()).unwrap();
        ready.send(server.listen("127.0.0.1:0").unwrap()).unwrap();
        server.run().unwrap();
    });
    when_ready.recv_timeout(Duration::from_secs(10)).unwrap()
}

fn open(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream.write_all(REQUEST).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    stream
}

fn check(stream: &mut TcpStream) {
    stream
        .write_all(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")
        .unwrap();
    let mut echo = [0; 7];
    stream.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"\x81\x05Hello");
}

/// The bytes of this process that are resident.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kibibytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kibibytes.parse::<u64>().unwrap() << 10
}
