//! Shutting down: everyone is told, and nobody is waited for beyond the deadline.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use openline::net::LoopConfig;
use openline::proto::Config;

use crate::support::{CLOSE, Raw, Server, TEXT, config, echo, frame};

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
