//! `openline connect` in a pipe: echo, output forms, exit codes.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    DEADLINE, Server, accept, by_hand, finish, frames, openline, read_until_close, run, text,
};

/// The exit code, and what was said about it.
fn verdict(url: &str) -> (Option<i32>, String) {
    let output = run(&["connect", url], b"hello\n");
    (output.status.code(), text(&output.stderr))
}

#[test]
fn lines_in_messages_out() {
    let server = Server::start(&[]);
    let output = run(
        &["connect", &server.url],
        "one\n\n \u{1b}[1mtwo\nlast".as_bytes(),
    );
    assert_eq!(output.status.code(), Some(0));
    // To a pipe they pass as they are.
    assert_eq!(text(&output.stdout), "one\n\n \u{1b}[1mtwo\nlast\n");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn compression_is_agreed_to_and_shown() {
    let line = "over and over ".repeat(100);
    for (server, client, agreed) in [
        (
            vec!["--compress"],
            vec!["--compress"],
            "compression: permessage-deflate; server_no_context_takeover; \
             client_no_context_takeover",
        ),
        (
            vec![
                "--compress",
                "--compress-context",
                "--compress-server-window",
                "9",
            ],
            vec![
                "--compress",
                "--compress-context",
                "--compress-client-window",
                "8",
            ],
            "compression: permessage-deflate; server_max_window_bits=9; client_max_window_bits=8",
        ),
        (vec![], vec!["--compress"], "compression: none"),
        (vec!["--compress"], vec![], "compression: none"),
    ] {
        let server = Server::start(&server);
        let input = format!("{line}\n{line}\nshort\n");
        let args = [&["connect", &server.url, "-v"], &client[..]].concat();
        let output = run(&args, input.as_bytes());
        assert_eq!(text(&output.stdout), input);
        let notes = text(&output.stderr);
        assert!(
            notes.lines().any(|note| note == format!("* {agreed}")),
            "{notes}"
        );
    }
    let output = run(
        &["connect", "ws://127.0.0.1:1/", "--compress-level", "3"],
        b"",
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--compress"));
}

#[test]
fn bytes_pass_as_binary() {
    let server = Server::start(&[]);
    let output = run(&["connect", &server.url, "--binary"], b"\xff\x00\x80\n");
    assert_eq!(output.stdout, b"\xff\x00\x80\n");
    let output = run(&["connect", &server.url], b"good\nbad \xff\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("line 2 of the input is not UTF-8"));
}

#[test]
fn a_long_input_arrives_whole_and_in_order() {
    let server = Server::start(&["-q"]);
    let mut input: String = (0..50_000).map(|number| format!("{number}\n")).collect();
    input.push_str(&"x".repeat(3 << 20));
    input.push('\n');
    let output = run(&["connect", &server.url], input.as_bytes());
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == input.as_bytes());
}

#[test]
fn input_waits_for_a_server_that_does_not_read() {
    let (send, recv) = mpsc::channel::<()>();
    let url = by_hand(move |stream, head| {
        accept(stream, head, "");
        let _ = recv.recv_timeout(DEADLINE);
        read_until_close(stream);
    });
    let mut child = openline(&["connect", &url, "--binary"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (written, writes) = mpsc::channel();
    let writer = thread::spawn(move || {
        let line = [vec![b'x'; 65_535], b"\n".to_vec()].concat();
        while stdin.write_all(&line).is_ok() && written.send(line.len()).is_ok() {}
    });
    let mut total = 0;
    while let Ok(n) = writes.recv_timeout(Duration::from_secs(1)) {
        total += n;
        // Sockets' buffers, our bounds and a pipe; an unbounded queue would take it all.
        assert!(total < 64 << 20, "{total} bytes were taken");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop((send, writes));
    writer.join().unwrap();
}

#[test]
fn events_as_json() {
    let url = frames(b"\x81\x03a\x7fb\x82\x01\xff\x89\x01!\x88\x05\x03\xe8bye");
    let output = run(&["connect", &url, "--json", "--wait", "never"], b"");
    assert_eq!(output.status.code(), Some(0));
    let stdout = text(&output.stdout);
    assert!(stdout.contains("a\\u007fb"), "{stdout}");
    let events: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events[0]["event"], "open");
    assert_eq!(events[1], json!({"event": "text", "text": "a\u{7f}b"}));
    assert_eq!(events[2], json!({"event": "binary", "base64": "/w=="}));
    assert_eq!(events[3], json!({"event": "ping", "base64": "IQ=="}));
    let close = &events[4];
    assert_eq!(
        (&close["event"], &close["by"]),
        (&json!("close"), &json!("peer"))
    );
    assert_eq!(
        (&close["code"], &close["reason"]),
        (&json!(1000), &json!("bye"))
    );
    assert_eq!(close["clean"], true);
    assert_eq!(events.len(), 5);
}

#[test]
fn what_is_asked_for_goes_into_the_request() {
    let (send, recv) = mpsc::channel();
    let url = by_hand(move |stream, head| {
        send.send(head.to_owned()).unwrap();
        accept(stream, head, "Sec-WebSocket-Protocol: b\r\n");
        stream.write_all(b"\x88\x00").unwrap();
        read_until_close(stream);
    });
    let mut command = openline(&["connect", &url, "--header", "X-One: 1", "-v"]);
    command.args([
        "--subprotocol",
        "a",
        "--subprotocol",
        "b",
        "--origin",
        "https://example.com",
    ]);
    command.env("OPENLINE_BEARER", "secret");
    let output = finish(command, b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let head = recv.recv_timeout(DEADLINE).unwrap();
    for line in [
        "X-One: 1",
        "Sec-WebSocket-Protocol: a, b",
        "Origin: https://example.com",
        "Authorization: Bearer secret",
    ] {
        assert!(head.lines().any(|other| other == line), "{line}: {head}");
    }
    let log = text(&output.stderr);
    assert!(
        log.contains("* 101 Switching Protocols") && !log.contains("secret"),
        "{log}"
    );
}

#[test]
fn what_the_server_says_is_escaped_on_standard_error() {
    let url = frames(b"\x88\x0f\x0f\xa0\x1b[31m\xe2\x80\xaegpj.e");
    let (code, error) = verdict(&url);
    assert_eq!(code, Some(7));
    assert!(error.contains("\\x1b[31m\\u{202e}gpj.e"), "{error}");
    let url = by_hand(|stream, _| {
        let response = b"HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\n\x1b]0;title";
        stream.write_all(response).unwrap();
    });
    let (code, error) = verdict(&url);
    assert_eq!(code, Some(4));
    assert!(
        error.contains("404") && error.contains("\\x1b]0;title"),
        "{error}"
    );
}

#[test]
fn a_refusal_exits_with_4() {
    for (status, tip) in [
        (401, "--bearer"),
        (302, "--follow"),
        (403, "--origin"),
        (500, ""),
    ] {
        let url = by_hand(move |stream, _| {
            let head = format!("HTTP/1.1 {status} No\r\nContent-Length: 6\r\n\r\nsorry\n");
            stream.write_all(head.as_bytes()).unwrap();
        });
        let (code, error) = verdict(&url);
        assert_eq!(code, Some(4), "{error}");
        assert!(
            error.contains(&status.to_string()) && error.contains("sorry"),
            "{error}"
        );
        assert!(error.contains(tip), "{error}");
    }
}

#[test]
fn no_server_exits_with_3() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    drop(listener);
    let (code, error) = verdict(&url);
    assert_eq!(code, Some(3), "{error}");
    assert!(
        error.contains("could not connect to ws://127.0.0.1:"),
        "{error}"
    );
    // One that hangs up before it answers.
    let (code, error) = verdict(&by_hand(|_, _| {}));
    assert_eq!(code, Some(3), "{error}");
}

#[test]
fn a_broken_protocol_exits_with_5() {
    // A reserved opcode; a masked frame of a server; a text that is not UTF-8.
    for bytes in [&b"\x83\x00"[..], b"\x81\x80\0\0\0\0", b"\x81\x01\xff"] {
        let (code, error) = verdict(&frames(bytes));
        assert_eq!(code, Some(5), "{error}");
    }
    let url = by_hand(|stream, _| {
        let response = b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
        stream.write_all(response).unwrap();
    });
    let (code, error) = verdict(&url);
    assert_eq!(code, Some(5), "{error}");
    assert!(error.contains("Sec-WebSocket-Accept"), "{error}");
}

#[test]
fn an_end_without_a_close_frame_exits_with_6() {
    let url = by_hand(|stream, head| {
        accept(stream, head, "");
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
    });
    let (code, error) = verdict(&url);
    assert_eq!(code, Some(6), "{error}");
}

#[test]
fn the_codes_of_a_close_frame() {
    for (bytes, exit) in [
        (&b"\x88\x02\x03\xe8"[..], 0),
        (b"\x88\x02\x03\xe9", 0),
        (b"\x88\x00", 0),
        (b"\x88\x02\x03\xf3", 7),
        (b"\x88\x02\x0f\xa0", 7),
    ] {
        let (code, error) = verdict(&frames(bytes));
        assert_eq!(code, Some(exit), "{bytes:x?}: {error}");
    }
}

#[test]
fn we_close_as_we_are_told() {
    let (send, recv) = mpsc::channel();
    let url = by_hand(move |stream, head| {
        accept(stream, head, "");
        let mut frame = [0; 11];
        stream.read_exact(&mut frame).unwrap();
        stream.write_all(b"\x88\x02\x0f\xa0").unwrap();
        send.send(frame).unwrap();
    });
    let arguments = ["connect", &url, "--wait", "0", "--close", "4000", "bye"];
    let output = run(&arguments, b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let frame = recv.recv_timeout(DEADLINE).unwrap();
    let (key, payload) = (&frame[2..6], &frame[6..]);
    let payload: Vec<u8> = payload
        .iter()
        .zip(key)
        .map(|(byte, key)| byte ^ key)
        .collect();
    assert_eq!(
        (&frame[..2], &payload[..]),
        (&b"\x88\x85"[..], &b"\x0f\xa0by"[..])
    );
}

#[test]
fn an_output_that_nobody_reads_ends_it_quietly() {
    let server = Server::start(&["-q"]);
    let mut child = openline(&["connect", &server.url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    // The input stays open, so that only the output can be the reason to end.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"a\n").unwrap();
    let (send, recv) = mpsc::channel();
    thread::spawn(move || send.send(child.wait_with_output()));
    let output = recv.recv_timeout(DEADLINE).unwrap().unwrap();
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
