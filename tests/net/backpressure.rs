//! A peer that does not read is not listened to, and loses nothing when it does.

use std::borrow::Cow;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use openline::net::{LoopConfig, Message, OwnedMessage, Peer, SlowReader};
use openline::proto::{CloseCode, Config, Prepared, SendError};

use crate::support::{
    Answer, BINARY, CLOSE, PATIENCE, PING, PONG, Raw, Seen, Server, TEXT, config, echo, frame,
};

const SEND_QUEUE_MAX: usize = 64 << 10;
const MESSAGE: usize = 10_000;

/// Echoes, and sees that little waits.
struct Bounded;

impl Answer for Bounded {
    fn message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) -> Result<(), SendError> {
        assert!(peer.queued() < SEND_QUEUE_MAX);
        peer.send(message)
    }

    fn control(&mut self, peer: &mut Peer<'_>) {
        assert!(peer.queued() < SEND_QUEUE_MAX + 200);
    }
}

/// Writes `frame` until no more is taken; returns how many times, and what is left of the last.
fn fill(raw: &mut Raw, frame: &[u8]) -> (usize, Vec<u8>) {
    raw.0
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut whole = 0;
    let mut at = 0;
    loop {
        match raw.0.write(&frame[at..]) {
            Ok(n) => at += n,
            Err(error) => {
                assert!(matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut
                ));
                return (whole, frame[at..].to_vec());
            }
        }
        if at == frame.len() {
            (whole, at) = (whole + 1, 0);
        }
        assert!(whole * frame.len() < 1 << 30, "the server stops listening");
    }
}

#[test]
fn an_echo_to_a_peer_that_never_reads_stops_and_then_resumes() {
    let protocol = Config {
        send_queue_max: SEND_QUEUE_MAX,
        ..Config::default()
    };
    let server = Server::start(config(protocol), Bounded);
    let mut raw = Raw::open(server.address);
    let (whole, rest) = fill(&mut raw, &frame(BINARY, &[3; MESSAGE]));

    // Others are served as ever.
    let mut other = Raw::open(server.address);
    other.send(&frame(BINARY, b"quick"));
    assert_eq!(other.frame(), (BINARY, b"quick".to_vec()));

    for n in 0..whole {
        assert_eq!(raw.frame(), (BINARY, vec![3; MESSAGE]), "{n} of {whole}");
    }
    raw.send(&rest);
    assert_eq!(raw.frame(), (BINARY, vec![3; MESSAGE]));
    server.stop();
}

#[test]
fn a_flood_of_pings_is_bounded_and_answered() {
    let protocol = Config {
        send_queue_max: SEND_QUEUE_MAX,
        ..Config::default()
    };
    let server = Server::start(config(protocol), Bounded);
    let mut raw = Raw::open(server.address);
    let (whole, rest) = fill(&mut raw, &frame(PING, &[9; 125]));
    for _ in 0..whole {
        assert_eq!(raw.frame(), (PONG, vec![9; 125]));
    }
    raw.send(&rest);
    assert_eq!(raw.frame(), (PONG, vec![9; 125]));
    server.stop();
}

/// Sends the next part whenever the last has left.
struct Parts(u32);

impl Answer for Parts {
    fn message(&mut self, peer: &mut Peer<'_>, _: Message<'_>) -> Result<(), SendError> {
        self.0 = 500;
        peer.send_binary(&[0; MESSAGE])
    }

    fn flushed(&mut self, peer: &mut Peer<'_>) {
        if let Some(left) = self.0.checked_sub(1) {
            self.0 = left;
            peer.send_binary(&[0; MESSAGE]).unwrap();
        }
    }
}

#[test]
fn something_long_is_sent_part_by_part() {
    let server = Server::start(config(Config::default()), Parts(0));
    let mut raw = Raw::open(server.address);
    raw.send(&frame(BINARY, b"go"));
    for _ in 0..501 {
        assert_eq!(raw.frame(), (BINARY, vec![0; MESSAGE]));
    }
    server.stop();
}

/// Subscribes everyone to "news"; answers a text with how many publications were dropped, and
/// reports room.
struct News;

impl Answer for News {
    fn open(&mut self, peer: &mut Peer<'_>) {
        peer.subscribe("news").unwrap();
        // The response of the handshake waits already.
        assert_eq!(peer.queued() + peer.room(), SEND_QUEUE_MAX);
    }

    fn message(&mut self, peer: &mut Peer<'_>, _: Message<'_>) -> Result<(), SendError> {
        peer.send_text(&peer.dropped().to_string())
    }
}

fn news(slow_reader: SlowReader) -> Server {
    let limits = LoopConfig {
        slow_reader,
        ..config(Config {
            send_queue_max: SEND_QUEUE_MAX,
            ..Config::default()
        })
    };
    Server::start(limits, News)
}

/// Publishes until the kernel can have taken no more of it, a piece at a time, beside a reader
/// that gets all of it.
fn publish_much(server: &Server, reader: &mut Raw) -> usize {
    const COUNT: usize = 2000;
    for n in 0..COUNT {
        let message = Prepared::binary(&[1; MESSAGE]);
        server.remote.publish("news", &message).unwrap();
        assert_eq!(reader.frame(), (BINARY, vec![1; MESSAGE]), "{n}");
    }
    COUNT
}

#[test]
fn a_subscriber_that_does_not_read_is_closed_with_a_reason() {
    let reason = Cow::Borrowed("catch up");
    let server = news(SlowReader::Close(CloseCode::new(4008).unwrap(), reason));
    let mut slow = Raw::open(server.address);
    let mut reader = Raw::open(server.address);
    publish_much(&server, &mut reader);
    let end = server.end();
    assert!(end.starts_with("SlowReader { queued: "), "{end}");
    // What was queued arrives first, and is whole; then the reason.
    let (code, reason) = loop {
        let (first, payload) = slow.frame();
        if first == CLOSE {
            break (payload[..2].to_vec(), payload[2..].to_vec());
        }
        assert_eq!((first, payload.len()), (BINARY, MESSAGE));
    };
    assert_eq!(code, 4008_u16.to_be_bytes());
    assert_eq!(reason, b"catch up");
    assert_eq!(slow.rest(), b"");
    server.stop();
}

#[test]
fn publications_to_a_subscriber_that_does_not_read_are_dropped_and_counted() {
    let server = news(SlowReader::Drop);
    let mut slow = Raw::open(server.address);
    let Seen::Open(slow_id, _) = server.next() else {
        panic!("it opens first");
    };
    let mut reader = Raw::open(server.address);
    let published = publish_much(&server, &mut reader);
    // Control frames are not dropped.
    let ping = OwnedMessage::Ping(b"there?".to_vec());
    server.remote.send(slow_id, ping).unwrap();
    let mut got = 0;
    loop {
        match slow.frame() {
            (BINARY, payload) => got += usize::from(payload.len() == MESSAGE),
            (PING, payload) => break assert_eq!(payload, b"there?"),
            other => panic!("{other:?}"),
        }
    }
    assert!(got > 0 && got < published, "{got}");
    // It reads again, and so it gets what comes now.
    slow.send(&frame(TEXT, b"how many?"));
    assert_eq!(slow.frame(), (TEXT, (published - got).to_string().into()));
    server
        .remote
        .publish("news", &Prepared::text("now"))
        .unwrap();
    assert_eq!(slow.frame(), (TEXT, b"now".to_vec()));
    server.stop();
}

/// Sends more at once than may wait.
struct Eager;

impl Answer for Eager {
    fn message(&mut self, peer: &mut Peer<'_>, _: Message<'_>) -> Result<(), SendError> {
        for _ in 0..100 {
            peer.send_binary(&[0; MESSAGE])?;
        }
        Ok(())
    }
}

#[test]
fn a_handler_that_passes_a_full_queue_on_has_the_slow_reader_closed() {
    let protocol = Config {
        send_queue_max: SEND_QUEUE_MAX,
        ..Config::default()
    };
    let server = Server::start(config(protocol), Eager);
    let mut raw = Raw::open(server.address);
    raw.send(&frame(TEXT, b"go"));
    let code = loop {
        let (first, payload) = raw.frame();
        if first == CLOSE {
            break payload[..2].to_vec();
        }
    };
    assert_eq!(code, 1013_u16.to_be_bytes());
    assert!(server.end().starts_with("SlowReader"));
    server.stop();
}

#[test]
fn a_reader_that_is_slow_but_reads_is_not_given_up_over_a_ping() {
    // Some 6 s of reading, of which what the kernels hold takes one at the end.
    const SIZE: usize = 48 << 20;
    let protocol = Config {
        ping_interval: Some(Duration::from_millis(200)),
        pong_timeout: Duration::from_secs(3),
        send_queue_max: SIZE,
        ..Config::default()
    };
    let large = |peer: &mut Peer<'_>, message: Message<'_>| match message {
        Message::Text(_) => peer.send_binary(&vec![7; SIZE]),
        _ => Ok(()),
    };
    let server = Server::start(config(protocol), large);
    let mut raw = Raw::open(server.address);
    raw.send(&frame(TEXT, b"go"));
    // Nothing is said meanwhile, and the Ping waits behind what is read, for longer than a Pong
    // may take.
    let begun = Instant::now();
    let mut left = 10 + SIZE;
    let mut bytes = vec![0; 128 << 10];
    while left > 0 {
        let n = bytes.len().min(left);
        raw.0.read_exact(&mut bytes[..n]).unwrap();
        left -= n;
        thread::sleep(Duration::from_millis(15));
    }
    assert!(begun.elapsed() > Duration::from_secs(4));
    assert_eq!(raw.frame().0, PING);
    raw.send(&frame(PONG, b""));
    assert_eq!(raw.frame().0, PING);
    server.stop();
}

#[test]
fn a_message_that_is_never_finished_is_given_up() {
    let protocol = Config {
        message_timeout: Some(Duration::from_millis(300)),
        ..Config::default()
    };
    let server = Server::start(config(protocol), echo);
    let mut raw = Raw::open(server.address);
    let begun = Instant::now();
    raw.send(&frame(BINARY, &[0; 100_000])[..50_000]);
    let (first, payload) = raw.frame();
    assert_eq!((first, &payload[..2]), (CLOSE, &1008_u16.to_be_bytes()[..]));
    assert!(begun.elapsed() >= Duration::from_millis(250));
    let end = server.end();
    assert!(end.contains("MessageTooSlow"), "{end}");
    server.stop();
}

#[test]
fn peers_that_flood_and_never_read_cost_the_others_nothing() {
    let server = Server::start(config(Config::default()), echo);
    let address = server.address;
    let mut times = Vec::new();
    thread::scope(|scope| {
        let floods = (0..10).map(|n| {
            let first = if n % 2 == 0 { BINARY } else { PING };
            let size = if n % 2 == 0 { 64 << 10 } else { 125 };
            scope.spawn(move || flood(address, &frame(first, &vec![0; size])))
        });
        let floods: Vec<_> = floods.collect();
        let mut raw = Raw::open(address);
        while floods.iter().any(|flood| !flood.is_finished()) {
            let begun = Instant::now();
            raw.send(&frame(TEXT, b"still there?"));
            assert_eq!(raw.frame(), (TEXT, b"still there?".to_vec()));
            times.push(begun.elapsed());
            thread::sleep(Duration::from_millis(1));
        }
    });
    times.sort_unstable();
    // On a machine with nothing else to do it is a fraction of a millisecond.
    let p99 = times[times.len() * 99 / 100];
    assert!(p99 < PATIENCE / 30, "{p99:?} of {}", times.len());
    server.stop();
}

/// Sends as fast as it may for two seconds, and reads nothing.
fn flood(address: SocketAddr, frame: &[u8]) {
    let mut raw = Raw::open(address);
    let frames = frame.repeat(8);
    let begun = Instant::now();
    while let Some(left) = Duration::from_secs(2).checked_sub(begun.elapsed()) {
        let patience = left.max(Duration::from_millis(1));
        raw.0.set_write_timeout(Some(patience)).unwrap();
        // That there is no room is what is to be expected.
        let _ = raw.0.write(&frames);
    }
}
