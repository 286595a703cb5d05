//! What each peer may have and may do, and what it is told above that (hostile R4).

use std::io::Read;
use std::time::Duration;

use openline::net::{LoopConfig, Rate};
use openline::proto::Config;

use crate::support::{
    BINARY, CLOSE, PING, PONG, Raw, Seen, Server, TEXT, config, echo, frame, request,
};

fn refused(server: &Server, status: &str) {
    let raw = Raw::connect(server.address);
    let answer = String::from_utf8(raw.rest()).unwrap();
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status}")),
        "{answer}"
    );
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
}

#[test]
fn connections_in_all() {
    let limits = LoopConfig {
        connections_max: 3,
        ..config(Config::default())
    };
    let server = Server::start(limits, echo);
    let mut open: Vec<Raw> = (0..2).map(|_| Raw::open(server.address)).collect();
    // One that has said nothing yet counts as well.
    let silent = Raw::connect(server.address);
    for _ in 0..2 {
        assert!(matches!(server.next(), Seen::Open(..)));
    }
    refused(&server, "503 ");
    assert_eq!(
        server.next(),
        Seen::End(false, "Quota(Connections)".to_owned())
    );
    drop(silent);
    assert_eq!(server.end(), "Handshake(EndOfFile)");
    // Its place is free when its socket is closed, which is soon.
    let mut raw = open_at_last(&server);
    for raw in open.iter_mut().chain([&mut raw]) {
        raw.send(&frame(TEXT, b"x"));
        assert_eq!(raw.frame(), (TEXT, b"x".to_vec()));
    }
    server.stop();
}

#[test]
fn connections_of_one_address() {
    let limits = LoopConfig {
        connections_per_address_max: Some(2),
        ..config(Config::default())
    };
    let server = Server::start(limits, echo);
    let first = Raw::open(server.address);
    let _second = Raw::open(server.address);
    refused(&server, "429 ");
    drop(first);
    open_at_last(&server);
    server.stop();
}

fn open_at_last(server: &Server) -> Raw {
    for _ in 0..500 {
        let mut raw = Raw::connect(server.address);
        let mut first = [0; 12];
        raw.send(request("/").as_bytes());
        if raw.0.read_exact(&mut first).is_ok() && first == *b"HTTP/1.1 101" {
            raw.head();
            return raw;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the place does not become free");
}

#[test]
fn a_crowd_above_the_quota_is_dropped() {
    let limits = LoopConfig {
        connections_max: 1,
        linger_timeout: Duration::from_secs(30),
        ..config(Config::default())
    };
    let server = Server::start(limits, echo);
    let mut inside = Raw::open(server.address);
    // Each of them reads nothing and never goes.
    let crowd: Vec<Raw> = (0..100).map(|_| Raw::connect(server.address)).collect();
    for _ in 0..100 {
        assert_eq!(server.end(), "Quota(Connections)");
    }
    let mut told = 0;
    for raw in crowd {
        // One that is dropped may be reset.
        let mut answer = Vec::new();
        let mut raw = raw;
        if raw.0.read_to_end(&mut answer).is_ok() && !answer.is_empty() {
            told += 1;
        }
    }
    assert_eq!(told, 64);
    inside.send(&frame(TEXT, b"x"));
    assert_eq!(inside.frame(), (TEXT, b"x".to_vec()));
    server.stop();
}

#[test]
fn messages_a_second_at_the_limit_and_above() {
    for first in [TEXT, PING] {
        let limits = LoopConfig {
            // So slow that none is gained during the test.
            message_rate: Some(Rate {
                per_second: 1,
                burst: 1000,
            }),
            ..config(Config::default())
        };
        let server = Server::start(limits, echo);
        let mut raw = Raw::open(server.address);
        let answer = if first == PING { PONG } else { TEXT };
        for _ in 0..1000 {
            raw.send(&frame(first, b"x"));
            assert_eq!(raw.frame().0, answer);
        }
        // Some seconds may have passed, on a machine that is busy.
        for _ in 0..100 {
            raw.send(&frame(first, b"x"));
        }
        let (code, reason) = loop {
            let (first, payload) = raw.frame();
            if first == CLOSE {
                break (payload[..2].to_vec(), payload[2..].to_vec());
            }
        };
        assert_eq!(code, 1008_u16.to_be_bytes());
        assert!(reason.starts_with(b"too many messages"), "{reason:?}");
        assert_eq!(raw.rest(), b"");
        assert_eq!(server.end(), "Quota(Messages)");
        server.stop();
    }
}

#[test]
fn bytes_a_second_count_as_they_come() {
    let limits = LoopConfig {
        byte_rate: Some(Rate {
            per_second: 1000,
            burst: 100_000,
        }),
        ..config(Config::default())
    };
    let server = Server::start(limits, echo);
    let mut raw = Raw::open(server.address);
    raw.send(&frame(BINARY, &[0; 90_000]));
    assert_eq!(raw.frame().1.len(), 90_000);
    // Of a message that is never finished, too.
    raw.send(&frame(BINARY, &[0; 1 << 20])[..900_000]);
    let (first, payload) = raw.frame();
    assert_eq!((first, &payload[..2]), (CLOSE, &1008_u16.to_be_bytes()[..]));
    assert_eq!(server.end(), "Quota(Bytes)");
    server.stop();
}
