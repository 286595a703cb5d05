//! Peers without manners against the running loop: hostile F2, H9, R2, R3 and the caps that keep
//! one peer from taking everyone's turn. R1 is in `backpressure`, R4 in `quotas`, R6 in `closing`.
//!
//! Each test takes the way to connect as an argument, so that another transport can take it too.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use openline::net::{Message, Peer};
use openline::proto::{CloseCode, Config, SendError};

use crate::support::{
    Answer, BINARY, CLOSE, PATIENCE, PING, PONG, Raw, Seen, Server, TEXT, config, echo, frame,
    request,
};

/// What a transport's connection can do here.
trait Wire: Read + Write {
    /// Ends its sending direction.
    fn end(&mut self);
}

impl Wire for Raw {
    fn end(&mut self) {
        self.0.shutdown(Shutdown::Write).unwrap();
    }
}

impl Read for Raw {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Write for Raw {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

type Connect = fn(SocketAddr) -> Box<dyn Wire>;

fn plain(address: SocketAddr) -> Box<dyn Wire> {
    Box::new(Raw::connect(address))
}

fn open(connect: Connect, address: SocketAddr) -> Box<dyn Wire> {
    let mut wire = connect(address);
    wire.write_all(request("/").as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        wire.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    wire
}

/// Whether it is served as ever.
fn check(wire: &mut dyn Wire) {
    wire.write_all(&frame(TEXT, b"Hello")).unwrap();
    let mut answer = [0; 7];
    wire.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"\x81\x05Hello");
}

/// The time on a core that this process' threads of a name have had.
#[cfg(target_os = "linux")]
fn core_time(thread: &str) -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |task: std::io::Result<std::fs::DirEntry>| {
        let path = task.ok()?.path();
        let name = std::fs::read_to_string(path.join("comm")).ok()?;
        let stat = std::fs::read_to_string(path.join("schedstat")).ok()?;
        let nanos = stat.split(' ').next()?.parse().ok()?;
        (name.trim() == thread).then(|| Duration::from_nanos(nanos))
    };
    tasks.filter_map(of).sum()
}

#[test]
fn h9_a_crowd_that_says_nothing_is_reaped_and_others_are_served() {
    reaped(plain);
}

fn reaped(connect: Connect) {
    let protocol = Config {
        handshake_timeout: Duration::from_millis(700),
        ..Config::default()
    };
    let server = Server::start(config(protocol), echo);
    let begun = Instant::now();
    let mut inside = open(connect, server.address);
    let mut crowd: Vec<_> = (0..300).map(|_| connect(server.address)).collect();
    // Half of them say a byte now and then.
    let request = request("/");
    let mut bytes = request.as_bytes().chunks(1);
    while begun.elapsed() < Duration::from_millis(500) {
        let byte = bytes.next().unwrap();
        for slow in crowd.iter_mut().step_by(2) {
            let _ = slow.write(byte);
        }
        check(&mut *inside);
        thread::sleep(Duration::from_millis(20));
    }
    for mut wire in crowd {
        let mut answer = Vec::new();
        let _ = wire.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408 "));
        drop(wire);
        assert_eq!(server.end(), "Handshake(TimedOut)");
    }
    check(&mut *inside);
    server.stop();
}

#[test]
fn r2_an_end_anywhere_is_told_once_and_nothing_spins() {
    ends(plain);
}

fn ends(connect: Connect) {
    let protocol = Config {
        close_timeout: Duration::from_secs(2),
        ..Config::default()
    };
    let server = Server::start_named("spins", config(protocol), echo);
    // Within the request, a header of either length, a payload, a message, a control frame.
    let open_pieces: [&[u8]; 6] = [
        b"",
        b"\x81",
        b"\x82\xfe\x01",
        b"\x82\x85\0\0\0\0ab",
        b"\x01\x81\0\0\0\0a",
        b"\x89\x85\0\0\0",
    ];
    let begun = core_time("spins");
    let mut wires = Vec::new();
    for piece in [&b""[..], b"GET / HT"] {
        let mut wire = connect(server.address);
        wire.write_all(piece).unwrap();
        wire.end();
        assert_eq!(server.end(), "Handshake(EndOfFile)");
        wires.push(wire);
    }
    for piece in open_pieces {
        let mut wire = open(connect, server.address);
        wire.write_all(piece).unwrap();
        wire.end();
        let end = server.end();
        let mid_message = !piece.is_empty();
        let expected = format!("EndOfFile {{ mid_message: {mid_message} }}");
        assert!(end.contains(&expected), "{piece:?}: {end}");
        wires.push(wire);
    }
    // All are half-open now, and held so.
    let before = core_time("spins");
    thread::sleep(Duration::from_millis(500));
    let spent = core_time("spins") - before;
    assert!(spent < Duration::from_millis(100), "{spent:?}");
    assert!(before - begun < Duration::from_secs(1));
    let mut wire = open(connect, server.address);
    check(&mut *wire);
    drop(wires);
    server.stop();
}

#[cfg(not(target_os = "linux"))]
fn core_time(_: &str) -> Duration {
    Duration::ZERO
}

/// Does everything that can be done, at every callback, and closes at one of them.
struct Busy {
    close_at: &'static str,
}

impl Busy {
    fn at(&self, place: &str, peer: &mut Peer<'_>) {
        let _ = peer.subscribe(place);
        peer.publish(place, &openline::proto::Prepared::text(place));
        peer.unsubscribe("open");
        let _ = peer.ping(b"");
        let handle = peer.handle();
        assert!(!handle.has_ended());
        if place == self.close_at {
            let _ = peer.close(CloseCode::NORMAL, "");
            // Through the mailbox as well, which finds it closing or gone.
            handle.close(CloseCode::NORMAL, "").unwrap();
            handle.subscribe("after").unwrap();
        }
    }
}

impl Answer for Busy {
    fn open(&mut self, peer: &mut Peer<'_>) {
        self.at("open", peer);
    }

    fn message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) -> Result<(), SendError> {
        self.at("message", peer);
        peer.send(message)
    }

    fn control(&mut self, peer: &mut Peer<'_>) {
        self.at("control", peer);
    }

    fn flushed(&mut self, peer: &mut Peer<'_>) {
        // Not for ever: each of these is flushed in turn.
        if peer.subscriptions().count() < 3 {
            self.at("flushed", peer);
        }
    }
}

#[test]
fn r3_closing_within_every_callback() {
    closes(plain);
}

fn closes(connect: Connect) {
    for close_at in ["open", "message", "control", "flushed"] {
        let server = Server::start(config(Config::default()), Busy { close_at });
        let mut wire = open(connect, server.address);
        for frame in [
            frame(PING, b"?"),
            frame(TEXT, b"x"),
            frame(PONG, b""),
            frame(CLOSE, b"\x03\xe8"),
        ] {
            // It may have been closed by now.
            let _ = wire.write_all(&frame);
        }
        let mut rest = Vec::new();
        let _ = wire.read_to_end(&mut rest);
        drop(wire);
        assert!(server.end().starts_with("Closed("), "{close_at}");
        server.stop();
    }
}

/// Holds the loop up until it is told to go on, and says who spoke and how much.
struct Held {
    go: Receiver<()>,
    spoke: std::sync::mpsc::Sender<(SocketAddr, usize)>,
}

impl Answer for Held {
    fn message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) -> Result<(), SendError> {
        let Message::Binary(data) = message else {
            let _ = self.spoke.send((peer.address(), 0));
            self.go.recv_timeout(PATIENCE).unwrap();
            return Ok(());
        };
        if data.len() == 1000 {
            // So long that more has come when a read is through.
            thread::sleep(Duration::from_micros(20));
        }
        let _ = self.spoke.send((peer.address(), data.len()));
        Ok(())
    }
}

#[test]
fn one_peer_that_has_much_to_say_does_not_take_the_turns_of_others() {
    const MUCH: usize = 4 << 20;
    let (go, when_to_go) = channel();
    let (spoke, who_spoke) = channel();
    let held = Held {
        go: when_to_go,
        spoke,
    };
    let server = Server::start(config(Config::default()), held);
    let mut gate = Raw::open(server.address);
    let mut loud = Raw::open(server.address);
    let mut quiet: Vec<Raw> = (0..3).map(|_| Raw::open(server.address)).collect();
    // The kernel's buffers grow with what goes through them.
    let warm_up = frame(BINARY, &[0; 10_000]).repeat(3200);
    loud.send(&warm_up);
    for _ in 0..3200 {
        who_spoke.recv_timeout(PATIENCE).unwrap();
    }
    gate.send(&frame(TEXT, b"wait"));
    who_spoke.recv_timeout(PATIENCE).unwrap();
    // While the loop is held up, one has more to say than any turn takes, and three a word each.
    let loud_address = loud.0.local_addr().unwrap();
    let sender = thread::spawn(move || {
        let frames = frame(BINARY, &[0; 1000]).repeat(MUCH / 1008);
        loud.send(&frames);
        loud
    });
    thread::sleep(Duration::from_millis(200));
    for raw in &mut quiet {
        raw.send(&frame(BINARY, b"x"));
    }
    thread::sleep(Duration::from_millis(50));
    go.send(()).unwrap();
    let mut waiting = quiet.len();
    let mut before = 0;
    while waiting > 0 {
        let (address, size) = who_spoke.recv_timeout(PATIENCE).unwrap();
        match address == loud_address {
            true => before += size,
            false => waiting -= 1,
        }
    }
    // Eight reads of 32 KiB make a turn, and the first may have been taken before the wait.
    assert!(before <= 2 * (256 << 10), "{before}");
    let loud = sender.join().unwrap();
    drop(loud);
    server.stop();
}

/// Never lets the queue of those who ask for it be empty, and counts how often that is in one
/// turn of the loop.
struct Endless {
    turn: Instant,
    count: usize,
}

impl Answer for Endless {
    fn message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) -> Result<(), SendError> {
        match message {
            Message::Text("endless") => {
                peer.subscribe("endless").unwrap();
                peer.send_binary(&[0; 1000])
            }
            _ => peer.send(message),
        }
    }

    fn flushed(&mut self, peer: &mut Peer<'_>) {
        if peer.subscriptions().next().is_some() {
            peer.send_binary(&[0; 1000]).unwrap();
            if peer.now() != self.turn {
                (self.turn, self.count) = (peer.now(), 0);
            }
            self.count += 1;
            assert!(self.count <= 16, "others wait for their turn");
        }
    }
}

#[test]
fn one_peer_that_is_sent_without_end_does_not_take_the_turns_of_others() {
    let endless = Endless {
        turn: Instant::now(),
        count: 0,
    };
    let server = Server::start(config(Config::default()), endless);
    let mut greedy = Raw::open(server.address);
    greedy.send(&frame(TEXT, b"endless"));
    let mut stream = greedy.0.try_clone().unwrap();
    let reader = thread::spawn(move || {
        let mut bytes = vec![0; 1 << 20];
        while stream.read(&mut bytes).is_ok_and(|n| n > 0) {}
    });
    let mut other = Raw::open(server.address);
    for _ in 0..100 {
        check(&mut other);
    }
    greedy.0.shutdown(Shutdown::Both).unwrap();
    reader.join().unwrap();
    check(&mut other);
    server.stop();
}

#[test]
fn what_a_peer_says_while_a_decision_is_awaited_or_refused_is_never_a_request() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::connect(server.address);
    let twice = [request("/forbidden"), request("/")].concat();
    raw.send(twice.as_bytes());
    let answer = String::from_utf8(raw.rest()).unwrap();
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    assert!(matches!(server.next(), Seen::End(false, _)));
    server.stop();
}
