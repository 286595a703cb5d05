//! `openline connect`.

use std::io::Write;
use std::net::TcpListener;

use crate::support::{Server, openline, run, server_by_hand, text, upgrade};

#[test]
fn lines_in_messages_out() {
    let server = Server::start(&[]);
    let input = "one\n\nκόσμε\nlast".as_bytes();
    let output = run(&mut openline(&["connect", &server.url]), input);
    assert_eq!(text(&output.stdout), "one\n\nκόσμε\nlast\n");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}

#[test]
fn binary_lines_are_bytes() {
    let server = Server::start(&[]);
    let output = run(
        &mut openline(&["connect", &server.url, "--binary"]),
        b"\xff\x00\n\xfe",
    );
    assert_eq!(output.stdout, b"\xff\x00\n\xfe\n");
    let refused = run(&mut openline(&["connect", &server.url]), b"fine\n\xff\n");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("line 2"));
}

#[test]
fn a_long_input_comes_back_whole() {
    let server = Server::start(&[]);
    let line = "x".repeat(999);
    let input = format!("{line}\n").repeat(20_000);
    let output = run(&mut openline(&["connect", &server.url]), input.as_bytes());
    assert_eq!(output.status.code(), Some(0));
    assert!(
        output.stdout == input.as_bytes(),
        "{} bytes came back",
        output.stdout.len()
    );
}

#[test]
fn every_event_as_json() {
    let server = Server::start(&["--subprotocol", "chat"]);
    let args = [
        "connect",
        &server.url,
        "--json",
        "--subprotocol",
        "chat",
        "--close",
        "4001",
        "so",
    ];
    let output = run(&mut openline(&args), b"hello\n");
    let events: Vec<serde_json::Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events[0]["event"], "open");
    assert_eq!(events[0]["subprotocol"], "chat");
    assert_eq!(
        (&events[1]["event"], &events[1]["text"]),
        (&"text".into(), &"hello".into())
    );
    let close = events.last().unwrap();
    assert_eq!(
        (&close["event"], &close["code"]),
        (&"close".into(), &4001.into())
    );
}

#[test]
fn the_exit_code_tells_how_it_ended() {
    let closed_port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("ws://{}/", listener.local_addr().unwrap())
    };
    let refused = server_by_hand(|_, stream| {
        let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\nwho? \x1b[2J";
        stream.write_all(answer).unwrap();
    });
    let wrong_accept = server_by_hand(|_, stream| {
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        stream.write_all(answer).unwrap();
    });
    let masked = server_by_hand(|head, stream| {
        upgrade(head, stream, "");
        stream.write_all(b"\x81\x81\0\0\0\0x").unwrap();
    });
    let vanished = server_by_hand(|head, stream| upgrade(head, stream, ""));
    let policy = server_by_hand(|head, stream| {
        upgrade(head, stream, "");
        stream.write_all(b"\x88\x0c\x03\xf0no \x1b[31mway").unwrap();
    });
    let going_away = server_by_hand(|head, stream| {
        upgrade(head, stream, "");
        stream.write_all(b"\x88\x02\x03\xe9").unwrap();
    });
    let cases = [
        (closed_port, 3, "refused"),
        (refused, 4, "401"),
        (wrong_accept, 5, "Sec-WebSocket-Accept"),
        (masked, 5, "masked"),
        (vanished, 6, "without a Close"),
        (policy, 7, "1008"),
        (going_away, 0, ""),
    ];
    for (url, code, word) in cases {
        let output = run(&mut openline(&["connect", &url, "--wait", "never"]), b"");
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(word), "{word:?} is not in {error:?}");
        assert!(!error.contains('\x1b'), "{error:?}");
    }
}

#[test]
fn what_the_request_carries() {
    let url = server_by_hand(|head, stream| {
        for line in [
            "GET /chat?room=1 HTTP/1.1",
            "Origin: https://example.com",
            "Authorization: Bearer secret",
            "X-Mine: yes: really",
            "Sec-WebSocket-Protocol: a, b",
        ] {
            assert!(head.lines().any(|is| is == line), "{line} is not in {head}");
        }
        upgrade(head, stream, "Sec-WebSocket-Protocol: b\r\n");
        stream.write_all(b"\x88\x00").unwrap();
    });
    let url = format!("{url}chat?room=1");
    let mut command = openline(&["connect", &url, "-v", "--header", "X-Mine: yes: really"]);
    command.args(["--subprotocol", "a", "--subprotocol", "b"]);
    command.args(["--origin", "https://example.com"]);
    let output = run(command.env("OPENLINE_BEARER", "secret"), b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!text(&output.stderr).contains("secret"));
}

#[test]
fn bad_arguments_are_explained() {
    let fails = |args: &[&str], word: &str| {
        let output = run(openline(&["connect"]).args(args), b"");
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(word), "{word:?} is not in {error:?}");
    };
    fails(&["http://localhost/"], "ws");
    fails(&["ws://localhost/#there"], "fragment");
    fails(&["ws://localhost/", "--header", "nonsense"], "Name: value");
    fails(&["ws://localhost/", "--header", "A: b\r\nC: d"], "--header");
    fails(&["ws://localhost/", "--close", "1005"], "--close");
    fails(
        &["ws://localhost/", "--close", "1000", &"x".repeat(124)],
        "--close",
    );
}
