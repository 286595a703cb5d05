//! `openline serve`: echo, handshake, limits, log, signals.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::Value;

use crate::support::{Server, run, text};

#[test]
fn it_echoes_and_drains_at_sigterm() {
    let server = Server::start(&[]);
    let (mut stream, head) = server.ask("");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    // "hi" and "yo", text and binary, masked with zeros.
    let frames = b"\x81\x82\0\0\0\0hi\x82\x82\0\0\0\0yo";
    stream.write_all(frames).unwrap();
    let mut echo = [0; 8];
    stream.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"\x81\x02hi\x82\x02yo");
    let client = std::thread::spawn(move || {
        let mut close = [0; 4];
        stream.read_exact(&mut close).unwrap();
        stream.write_all(b"\x88\x82\0\0\0\0\x03\xe9").unwrap();
        close
    });
    let (code, log) = server.stop("TERM");
    assert_eq!(code, Some(0), "{log}");
    let close = client.join().unwrap();
    assert_eq!((close[0], &close[2..]), (0x88, &b"\x03\xe9"[..]));
}

#[test]
fn ctrl_c_ends_an_idle_server_with_0() {
    let (code, _) = Server::start(&[]).stop("INT");
    assert_eq!(code, Some(0));
}

#[test]
fn an_origin_is_let_in_only_as_a_whole() {
    let server = Server::start(&[
        "--origin",
        "https://example.com",
        "--origin",
        "http://localhost:3000",
    ]);
    let cases = [
        ("Origin: https://example.com\r\n", 101),
        ("Origin: http://localhost:3000\r\n", 101),
        ("", 403),
        ("Origin: null\r\n", 403),
        ("Origin: http://example.com\r\n", 403),
        ("Origin: https://example.com:444\r\n", 403),
        ("Origin: http://localhost\r\n", 403),
        ("Origin: http://localhost:30000\r\n", 403),
        ("Origin: https://evil-example.com\r\n", 403),
        ("Origin: https://example.com.evil.net\r\n", 403),
        ("Origin: https://sub.example.com\r\n", 403),
        ("Origin: https://example.com@evil.net\r\n", 403),
        ("Origin: https://user@example.com\r\n", 403),
        ("Origin: https://example.com/\r\n", 403),
        ("Origin: https://EXAMPLE.com\r\n", 403),
        (
            "Origin: https://example.com\r\nOrigin: https://evil.net\r\n",
            400,
        ),
    ];
    for (header, status) in cases {
        let (_, head) = server.ask(header);
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{header:?}: {head}"
        );
    }
}

#[test]
fn without_a_list_every_origin_is_let_in() {
    let server = Server::start(&[]);
    for header in ["", "Origin: null\r\n", "Origin: https://example.com\r\n"] {
        let (_, head) = server.ask(header);
        assert!(head.starts_with("HTTP/1.1 101 "), "{header:?}: {head}");
    }
}

#[test]
fn the_first_of_our_subprotocols_that_is_offered_is_chosen() {
    let server = Server::start(&["--subprotocol", "chat.v2", "--subprotocol", "chat.v1"]);
    let cases = [
        ("chat.v1, chat.v2", Some("chat.v2")),
        ("chat.v1", Some("chat.v1")),
        ("chat.v3", None),
    ];
    for (offered, chosen) in cases {
        let (_, head) = server.ask(&format!("Sec-WebSocket-Protocol: {offered}\r\n"));
        let line = head
            .lines()
            .find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
        assert_eq!(line, chosen, "{offered}");
    }
}

#[test]
fn a_message_above_the_limit_ends_with_1009() {
    let server = Server::start(&["--max-message", "1k"]);
    let output = run(&["connect", &server.url], &[b'x'; 1024]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout.len(), 1025);
    let output = run(&["connect", &server.url], &[b'x'; 1025]);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("1009"));
}

#[test]
fn an_idle_client_is_told_so() {
    let server = Server::start(&["--idle-timeout", "200ms"]);
    let (mut stream, _) = server.ask("");
    let mut frame = [0; 4];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(frame[0], 0x88);
    stream.write_all(b"\x88\x80\0\0\0\0").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    drop(stream);
    let (_, log) = server.stop("TERM");
    assert!(log.contains("no message for too long"), "{log}");
}

#[test]
fn a_silent_client_is_pinged() {
    let server = Server::start(&["--ping-interval", "100ms"]);
    let (mut stream, _) = server.ask("");
    let mut frame = [0; 2];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(frame[0], 0x89);
}

#[test]
fn the_log_tells_of_handshakes_and_ends_as_json() {
    let server = Server::start(&["--log-format", "json", "--origin", "https://example.com"]);
    let origin = [
        "--origin",
        "https://example.com",
        "--close",
        "4001",
        "\u{1b}[31mred",
    ];
    let output = run(&[&["connect", &server.url][..], &origin].concat(), b"a\n");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let (_, head) = server.ask("Origin: https://evil.net\r\n");
    assert!(head.starts_with("HTTP/1.1 403 "));
    let (_, log) = server.stop("TERM");
    assert!(!log.contains(|c: char| c != '\n' && c.is_control()));
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let find = |message: &str| {
        let line = lines.iter().find(|line| line["message"] == message);
        line.unwrap_or_else(|| panic!("no {message:?} in {log}"))
    };
    assert_eq!(find("handshake accepted")["level"], "INFO");
    assert_eq!(find("connection ended")["code"], 4001);
    assert!(log.contains("403"), "{log}");
}

#[test]
fn quiet_is_quiet() {
    let server = Server::start(&["-q"]);
    let (stream, _) = server.ask("");
    drop(stream);
    let (code, log) = server.stop("TERM");
    assert_eq!((code, log.as_str()), (Some(0), ""));
}

#[test]
fn an_address_in_use_is_said_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["serve", &address], b"");
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(
        error.contains("in use") && error.contains("another port"),
        "{error}"
    );
}

#[test]
fn quotas_are_kept_and_the_log_says_which() {
    let server = Server::start(&["--max-per-address", "1", "--log-format", "json"]);
    let (_inside, head) = server.ask("");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let (_, head) = server.ask("");
    assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
    let (code, log) = server.stop("TERM");
    assert_eq!(code, Some(0), "{log}");
    let lines: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let verdict = |line: &&Value| line["verdict"] == "quota-connections-per-address";
    assert_eq!(lines.iter().filter(verdict).count(), 1, "{log}");
}

#[test]
fn too_many_messages_are_the_end() {
    let server = Server::start(&["--message-rate", "5", "--threads", "1"]);
    let (mut stream, head) = server.ask("");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    stream.write_all(&b"\x89\x80\0\0\0\0".repeat(1000)).unwrap();
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).unwrap();
    let at = answers.iter().position(|byte| *byte == 0x88).unwrap();
    assert_eq!(answers[at + 2..at + 4], 1008_u16.to_be_bytes());
    let (_, log) = server.stop("TERM");
    assert!(log.contains("verdict=\"quota-messages\""), "{log}");
}
