//! Shutting down: everyone is told, and nobody is waited for beyond the deadline.

use std::borrow::Cow;
use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use openline::net::LoopConfig;
use openline::proto::{CloseCode, Config};

use crate::support::{CLOSE, PATIENCE, Raw, Seen, Server, TEXT, config, echo, frame, request};

#[test]
fn everyone_is_closed_with_1001_and_the_loop_returns() {
    let server = Server::start(config(Config::default()), echo);
    let address = server.address;
    let mut open: Vec<Raw> = (0..20).map(|_| Raw::open(address)).collect();
    let silent = Raw::connect(address);
    open[0].send(&frame(TEXT, b"x"));
    assert_eq!(open[0].frame(), (TEXT, b"x".to_vec()));
    server.remote.shutdown().unwrap();
    for raw in &mut open {
        let (first, payload) = raw.frame();
        assert_eq!((first, &payload[..2]), (CLOSE, &1001_u16.to_be_bytes()[..]));
        raw.send(&frame(CLOSE, &payload[..2]));
    }
    assert_eq!(silent.rest(), b"");
    for raw in open {
        assert_eq!(raw.rest(), b"");
    }
    server.join();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn who_does_not_answer_is_dropped_at_the_deadline() {
    let config = LoopConfig {
        shutdown_timeout: Duration::from_millis(200),
        ..config(Config::default())
    };
    let server = Server::start(config, echo);
    let mut raw = Raw::open(server.address);
    let begun = Instant::now();
    server.remote.shutdown().unwrap();
    let end = server.end();
    assert_eq!(end, "Shutdown");
    server.join();
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert_eq!(raw.frame().0, CLOSE);
    assert_eq!(raw.0.read(&mut [0]).unwrap(), 0);
}

#[test]
fn asked_twice_it_drops_everyone_at_once() {
    let server = Server::start(config(Config::default()), echo);
    let raw = Raw::open(server.address);
    let begun = Instant::now();
    server.remote.shutdown().unwrap();
    server.remote.shutdown().unwrap();
    assert_eq!(server.end(), "Shutdown");
    server.join();
    assert!(begun.elapsed() < Duration::from_secs(4));
    drop(raw);
}

#[test]
fn closing_is_spread_over_the_window_and_work_goes_on_meanwhile() {
    const CONNECTIONS: usize = 60;
    let window = Duration::from_millis(1200);
    let config = LoopConfig {
        shutdown_window: window,
        shutdown_code: CloseCode::SERVICE_RESTART,
        shutdown_reason: Cow::Borrowed("back soon"),
        ..config(Config::default())
    };
    let server = Server::start(config, echo);
    let mut at_the_door = Raw::connect(server.address);
    at_the_door.send(&request("/").as_bytes()[..20]);
    let mut raws: Vec<Raw> = (0..CONNECTIONS)
        .map(|_| Raw::open(server.address))
        .collect();
    for _ in 0..CONNECTIONS {
        assert!(matches!(server.next(), Seen::Open(..)));
    }
    let begun = Instant::now();
    server.remote.shutdown().unwrap();
    let answer = String::from_utf8(at_the_door.rest()).unwrap();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 503 "),
        "{answer}"
    );

    // The last of them is served until its time comes, about the end of the window.
    let last = raws.last_mut().unwrap();
    last.send(&frame(TEXT, b"x"));
    assert_eq!(last.frame(), (TEXT, b"x".to_vec()));
    let mut times = Vec::new();
    for raw in &mut raws {
        let (first, payload) = raw.frame();
        assert_eq!((first, &payload[2..]), (CLOSE, &b"back soon"[..]));
        assert_eq!(payload[..2], 1012_u16.to_be_bytes());
        raw.send(&frame(CLOSE, &payload[..2]));
        times.push(begun.elapsed());
    }
    assert!(times.is_sorted(), "in the order of the table");
    assert!(times[CONNECTIONS - 1] >= window * 3 / 4, "{times:?}");
    assert!(times[CONNECTIONS / 2] >= window / 4, "{times:?}");
    assert!(times[CONNECTIONS - 1] < PATIENCE);
    server.join();
}

#[test]
fn the_deadline_comes_behind_the_window() {
    let config = LoopConfig {
        shutdown_window: Duration::from_millis(200),
        shutdown_timeout: Duration::from_millis(200),
        ..config(Config::default())
    };
    let server = Server::start(config, echo);
    let raws: Vec<Raw> = (0..5).map(|_| Raw::open(server.address)).collect();
    let begun = Instant::now();
    server.remote.shutdown().unwrap();
    for _ in 0..5 {
        assert_eq!(server.end(), "Shutdown");
    }
    server.join();
    assert!(begun.elapsed() >= Duration::from_millis(400));
    drop(raws);
}
