//! The opening handshake, as the loop answers it.

use std::thread;
use std::time::{Duration, Instant};

use openline::proto::Config;

use crate::support::{Raw, Seen, Server, config, echo, request};

#[test]
fn a_request_byte_by_byte_is_accepted() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::connect(server.address);
    for byte in request("/").as_bytes().chunks(1) {
        raw.send(byte);
    }
    assert!(raw.head().contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    server.stop();
}

#[test]
fn the_handler_refuses() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::connect(server.address);
    raw.send(request("/forbidden").as_bytes());
    // What follows is not read as anything, and does not destroy the answer.
    raw.send(&[0; 50_000]);
    let answer = String::from_utf8(raw.rest()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nnot you\n"), "{answer}");
    assert_eq!(
        server.next(),
        Seen::End(false, "Refused { status: 403 }".to_owned())
    );
    server.stop();
}

#[test]
fn an_acceptance_that_fits_no_request_is_an_error_of_the_server() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::connect(server.address);
    raw.send(request("/wrong").as_bytes());
    let answer = String::from_utf8(raw.rest()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert_eq!(
        server.next(),
        Seen::End(false, "Refused { status: 500 }".to_owned())
    );
    server.stop();
}

#[test]
fn a_request_for_a_page_is_told_what_this_is() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::connect(server.address);
    raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = String::from_utf8(raw.rest()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(server.end().starts_with("Handshake("));
    server.stop();
}

#[test]
fn an_end_of_file_before_the_request_is_over_is_an_end() {
    for bytes in [&b""[..], b"GET / HT"] {
        let server = Server::start(config(Config::default()), echo);
        let mut raw = Raw::connect(server.address);
        raw.send(bytes);
        raw.0.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(raw.rest(), b"");
        assert_eq!(server.end(), "Handshake(EndOfFile)");
        server.stop();
    }
}

#[test]
fn who_says_nothing_or_little_is_reaped_by_an_absolute_deadline() {
    let protocol = Config {
        handshake_timeout: Duration::from_millis(300),
        ..Config::default()
    };
    let server = Server::start(config(protocol), echo);
    let begun = Instant::now();
    let silent: Vec<Raw> = (0..50).map(|_| Raw::connect(server.address)).collect();
    let mut slow = Raw::connect(server.address);
    let request = request("/");
    let mut bytes = request.as_bytes().chunks(1);
    while begun.elapsed() < Duration::from_millis(250) {
        slow.send(bytes.next().unwrap());
        thread::sleep(Duration::from_millis(20));
    }
    for raw in silent.into_iter().chain([slow]) {
        let answer = String::from_utf8(raw.rest()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    let elapsed = begun.elapsed();
    assert!(elapsed >= Duration::from_millis(300) && elapsed < Duration::from_secs(3));
    for _ in 0..51 {
        assert_eq!(server.end(), "Handshake(TimedOut)");
    }
    server.stop();
}
