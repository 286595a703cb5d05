//! The timers of an open connection, driven by the loop's clock.

use std::thread;
use std::time::{Duration, Instant};

use openline::net::{Message, Peer};
use openline::proto::{CloseCode, Config};

use crate::support::{CLOSE, PING, PONG, Raw, Server, TEXT, config, echo, frame};

#[test]
fn silence_is_pinged_and_a_pong_is_enough() {
    let protocol = Config {
        ping_interval: Some(Duration::from_millis(100)),
        pong_timeout: Duration::from_millis(300),
        ..Config::default()
    };
    let server = Server::start(config(protocol), echo);
    let mut raw = Raw::open(server.address);
    for _ in 0..4 {
        let (first, payload) = raw.frame();
        assert_eq!(first, PING);
        raw.send(&frame(PONG, &payload));
    }
    let (first, _) = raw.frame();
    assert_eq!(first, PING);
    // This one is left unanswered.
    let begun = Instant::now();
    assert_eq!(raw.frame().0, CLOSE);
    assert!(begun.elapsed() >= Duration::from_millis(250));
    assert_eq!(raw.rest(), b"");
    assert!(server.end().contains("PongTimeout"));
    server.stop();
}

#[test]
fn without_messages_for_too_long_we_close() {
    let protocol = Config {
        idle_timeout: Some(Duration::from_millis(200)),
        ..Config::default()
    };
    let server = Server::start(config(protocol), echo);
    let mut raw = Raw::open(server.address);
    for _ in 0..4 {
        thread::sleep(Duration::from_millis(100));
        raw.send(&frame(TEXT, b"x"));
        assert_eq!(raw.frame(), (TEXT, b"x".to_vec()));
    }
    assert_eq!(raw.frame().0, CLOSE);
    raw.send(&frame(CLOSE, b""));
    assert_eq!(raw.rest(), b"");
    assert!(server.end().contains("IdleTimeout"));
    server.stop();
}

#[test]
fn messages_that_get_no_answer_keep_a_connection_too() {
    let timeout = Duration::from_millis(500);
    let protocol = Config {
        idle_timeout: Some(timeout),
        ..Config::default()
    };
    let server = Server::start(config(protocol), |_: &mut Peer<'_>, _: Message<'_>| Ok(()));
    let mut raw = Raw::open(server.address);
    let mut last = Instant::now();
    for _ in 0..5 {
        thread::sleep(timeout / 4);
        last = Instant::now();
        raw.send(&frame(TEXT, b"x"));
    }
    assert_eq!(raw.frame().0, CLOSE);
    assert!(last.elapsed() >= timeout * 9 / 10);
    raw.send(&frame(CLOSE, b""));
    assert!(server.end().contains("IdleTimeout"));
    server.stop();
}

#[test]
fn a_close_that_is_not_answered_is_the_end_at_its_deadline() {
    let protocol = Config {
        close_timeout: Duration::from_millis(200),
        ..Config::default()
    };
    let server = Server::start(config(protocol), |peer: &mut Peer<'_>, _: Message<'_>| {
        peer.close(CloseCode::NORMAL, "")
    });
    let mut raw = Raw::open(server.address);
    raw.send(&frame(TEXT, b"x"));
    let begun = Instant::now();
    assert_eq!(raw.frame().0, CLOSE);
    assert_eq!(raw.rest(), b"");
    assert!(begun.elapsed() >= Duration::from_millis(150));
    assert!(server.end().contains("CloseTimeout"));
    server.stop();
}
