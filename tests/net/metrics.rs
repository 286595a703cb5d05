//! What a loop counts, as its clients make it count.

use std::time::{Duration, Instant};

use openline::net::metrics::{HandshakeOutcome, Snapshot, Verdict};
use openline::net::{Message, OwnedMessage, Peer};
use openline::proto::Config;

use crate::support::{BINARY, CLOSE, PONG, Raw, Seen, Server, TEXT, config, echo, frame, request};

/// Waits until the numbers are as they should be, and gives up with what they are.
fn wait_for(server: &Server, is_right: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let begun = Instant::now();
    loop {
        let snapshot = server.remote.metrics().snapshot();
        if is_right(&snapshot) {
            return snapshot;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{snapshot:#?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn verdict(why: &'static str, by: &'static str, code: &'static str) -> Verdict {
    Verdict {
        role: "server",
        why,
        by,
        code,
    }
}

fn outcome(outcome: &'static str, status: Option<u16>) -> HandshakeOutcome {
    HandshakeOutcome {
        role: "server",
        outcome,
        status,
    }
}

#[test]
fn messages_and_bytes_are_counted_in_both_directions() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::open(server.address);
    for message in [frame(TEXT, b"one"), frame(TEXT, b"two"), frame(BINARY, b"")] {
        raw.send(&message);
        raw.frame();
    }
    // In two fragments, and with a ping in between.
    raw.send(&frame(0x01, b"th"));
    raw.send(&frame(0x89, b"?"));
    raw.send(&frame(0x80, b"ree"));
    raw.frame();
    raw.frame();
    let head = request("/").len() as u64;
    let received = head + 9 + 9 + 6 + 8 + 7 + 9;
    let snapshot = wait_for(&server, |snapshot| snapshot.bytes_received == received);
    assert_eq!(snapshot.connections.server, 1);
    assert_eq!(snapshot.messages_received.text, 3);
    assert_eq!(snapshot.messages_received.binary, 1);
    assert_eq!(snapshot.messages_sent, snapshot.messages_received);
    let answer = snapshot.bytes_sent - (5 + 5 + 2 + 3 + 7);
    assert!((100..200).contains(&answer), "{answer}");
    assert_eq!((snapshot.queued_bytes, snapshot.queued_connections), (0, 0));
    assert_eq!(snapshot.handshake.count(), 1);
    server.stop();
}

#[test]
fn what_other_threads_send_counts_as_sent() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::open(server.address);
    let Seen::Open(id, _) = server.next() else {
        panic!("the connection opens first");
    };
    server
        .remote
        .send(id, OwnedMessage::Text("x".to_owned()))
        .unwrap();
    raw.frame();
    let snapshot = wait_for(&server, |snapshot| snapshot.messages_sent.text == 1);
    assert_eq!(snapshot.mailbox_letters, 0);
    server.stop();
}

#[test]
fn each_end_is_counted_by_its_verdict() {
    let server = Server::start(config(Config::default()), echo);
    let mut closing = Raw::open(server.address);
    closing.send(&frame(CLOSE, b"\x0f\xa1bye"));
    closing.frame();
    let mut breaking = Raw::open(server.address);
    breaking.send(&frame(0x83, b""));
    breaking.frame();
    drop(Raw::open(server.address));
    let open = Raw::open(server.address);
    let snapshot = wait_for(&server, |snapshot| snapshot.ends.values().sum::<u64>() == 3);
    let of = |verdict| snapshot.ends.get(&verdict).copied();
    assert_eq!(
        of(verdict("closed", "peer", "4xxx")),
        Some(1),
        "{snapshot:?}"
    );
    assert_eq!(
        of(verdict("protocol-error", "us", "1002")),
        Some(1),
        "{snapshot:?}"
    );
    assert_eq!(of(verdict("eof", "peer", "")), Some(1), "{snapshot:?}");
    assert_eq!(snapshot.opened.server, 4);
    assert_eq!(snapshot.connections.server, 1);
    drop(open);
    server.stop();
}

#[test]
fn each_handshake_is_counted_by_its_outcome() {
    let server = Server::start(config(Config::default()), echo);
    for bytes in [
        request("/"),
        request("/forbidden"),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "GET".to_owned(),
    ] {
        let mut raw = Raw::connect(server.address);
        raw.send(bytes.as_bytes());
        raw.0.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = raw.rest();
    }
    let all = |snapshot: &Snapshot| snapshot.handshakes.values().sum::<u64>() == 4;
    let snapshot = wait_for(&server, all);
    for expected in [
        outcome("accepted", Some(101)),
        outcome("handshake-refused", Some(403)),
        outcome("handshake-invalid", None),
        outcome("handshake-eof", None),
    ] {
        assert_eq!(snapshot.handshakes.get(&expected), Some(&1), "{snapshot:?}");
    }
    assert_eq!(snapshot.accepts, 4);
    server.stop();
}

#[test]
fn the_round_trip_of_a_ping_is_measured() {
    let protocol = Config {
        ping_interval: Some(Duration::from_millis(30)),
        ..Config::default()
    };
    let server = Server::start(config(protocol), echo);
    let mut raw = Raw::open(server.address);
    assert_eq!(raw.frame(), (0x89, Vec::new()));
    std::thread::sleep(Duration::from_millis(40));
    raw.send(&frame(PONG, b""));
    let snapshot = wait_for(&server, |snapshot| snapshot.round_trip.count() == 1);
    let took = snapshot.round_trip.sum();
    assert!(took >= Duration::from_millis(40), "{took:?}");
    // A pong that nobody asked for measures nothing.
    raw.send(&frame(PONG, b""));
    raw.send(&frame(PONG, b"x"));
    raw.send(&frame(TEXT, b"x"));
    wait_for(&server, |snapshot| snapshot.messages_received.text == 1);
    let later = server.remote.metrics().snapshot();
    assert!(later.round_trip.count() <= 2, "{later:?}");
    server.stop();
}

#[test]
fn what_waits_for_a_slow_reader_is_a_gauge_that_falls_again() {
    let fill = |peer: &mut Peer<'_>, _: Message<'_>| peer.send_binary(&[0; 8 << 20]);
    let protocol = Config {
        send_queue_max: 16 << 20,
        ..Config::default()
    };
    let server = Server::start(config(protocol), fill);
    let mut raw = Raw::open(server.address);
    raw.send(&frame(TEXT, b"go"));
    let snapshot = wait_for(&server, |snapshot| snapshot.queued_connections == 1);
    assert!(
        (1..=8 << 20).contains(&snapshot.queued_bytes),
        "{snapshot:?}"
    );
    raw.frame();
    wait_for(&server, |snapshot| {
        snapshot.queued_connections == 0 && snapshot.queued_bytes == 0
    });
    // Also when it goes with bytes still waiting, and when the loop drops it.
    raw.send(&frame(TEXT, b"go"));
    wait_for(&server, |snapshot| snapshot.queued_connections == 1);
    drop(raw);
    wait_for(&server, |snapshot| {
        snapshot.queued_connections == 0 && snapshot.queued_bytes == 0
    });
    let mut raw = Raw::open(server.address);
    raw.send(&frame(TEXT, b"go"));
    wait_for(&server, |snapshot| snapshot.queued_connections == 1);
    let metrics = server.remote.metrics();
    server.stop();
    let snapshot = metrics.snapshot();
    assert_eq!((snapshot.queued_bytes, snapshot.queued_connections), (0, 0));
    assert_eq!(snapshot.connections.server, 0);
}
