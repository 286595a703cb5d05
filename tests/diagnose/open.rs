//! Connections that open, and then: messages, pings, the closing handshake.

use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::support::{behave, diagnose, drain, read_frame, websocket, write_frame};

/// A server that sends these bytes behind the handshake.
fn saying(bytes: &'static [u8]) -> String {
    websocket(move |stream| {
        let _ = stream.write_all(bytes);
        while behave(stream) {}
    })
}

#[test]
fn a_connection_that_works() {
    let url = saying(b"\x81\x05hello\x89\x00");
    let report = diagnose(&url, &["--pings", "5", "--listen", "1s"]).works();
    report.says(&["text: hello", "5 round trips: median"]);
    let report = diagnose(&url, &[]).works();
    let percentiles = &report.step("pings")["facts"]["percentiles_ms"];
    assert!(percentiles["p50"].as_f64().unwrap() >= percentiles["min"].as_f64().unwrap());
    assert_eq!(report.step("idle")["outcome"], "skipped");
    assert_eq!(report.step("tls")["outcome"], "skipped");
    let report = diagnose(&url, &["--pings", "0"]).works();
    assert_eq!(report.step("pings")["outcome"], "skipped");
}

#[test]
fn what_is_sent_is_answered() {
    let url = websocket(|stream| {
        if let Some((0x81, text)) = read_frame(stream) {
            write_frame(stream, 0x81, &[b"you said ", &text[..]].concat());
        }
        while behave(stream) {}
    });
    let arguments = ["--send", "hi", "--listen", "2s"];
    diagnose(&url, &arguments).works().says(&["you said hi"]);
    let words = ["no answer to --send"];
    diagnose(&saying(b""), &["--send", "hi"])
        .works()
        .says(&words);
}

#[test]
fn a_close_frame_at_once() {
    for (code, cause, culprit, words) in [
        (1000, "closed-normally", "endpoint", "its handler returned"),
        (1001, "closed-going-away", "endpoint", "restarts"),
        (1012, "closed-going-away", "endpoint", "restarts"),
        (1002, "closed-protocol", "endpoint", "broke the protocol"),
        (1003, "closed-protocol", "endpoint", "subprotocol"),
        (1010, "closed-protocol", "endpoint", "misses an extension"),
        (1008, "closed-policy", "authentication", "token is missing"),
        (1009, "closed-too-big", "endpoint", "too big"),
        (1011, "closed-internal-error", "endpoint", "exception"),
        (
            1014,
            "closed-internal-error",
            "load-balancer",
            "error of its own",
        ),
        (1013, "closed-overload", "overload", "try again later"),
        (4001, "closed-application", "endpoint", "4401"),
    ] {
        let url = websocket(move |stream| {
            let code = u16::to_be_bytes(code);
            write_frame(stream, 0x88, &[&code[..], b"because"].concat());
            drain(stream);
        });
        let code = code.to_string();
        let report = diagnose(&url, &["--listen", "5s"]);
        report.fails(17, cause, culprit, &[words, &code, "because"]);
    }
    let words = ["1005"];
    diagnose(&saying(b"\x88\0"), &["--listen", "5s"]).fails(
        17,
        "closed-without-code",
        "endpoint",
        &words,
    );
}

#[test]
fn an_end_without_a_close_frame() {
    let url = websocket(|_| {});
    let words = ["without a Close frame", "1006", "crashed"];
    diagnose(&url, &["--listen", "5s"]).fails(17, "dropped", "endpoint", &words);
}

#[test]
fn frames_that_are_none() {
    for bytes in [
        &b"\x83\0"[..],
        b"\x81\x01\xff",
        b"\x81\x80\0\0\0\0",
        b"HTTP/1.1 200 OK\r\n",
    ] {
        let words = ["is not WebSocket", "openline inspect"];
        diagnose(&saying(bytes), &["--listen", "5s"]).fails(
            17,
            "protocol-broken",
            "endpoint",
            &words,
        );
    }
}

#[test]
fn pings_that_are_not_answered() {
    let url = websocket(drain);
    let words = [
        "not answered within 300 ms",
        "event loop",
        "0 pings were answered",
    ];
    diagnose(&url, &["--timeout", "300ms"]).fails(18, "ping-unanswered", "endpoint", &words);
    let url = websocket(|stream| {
        while read_frame(stream).is_some() {
            write_frame(stream, 0x8a, b"");
        }
    });
    let words = ["do not carry what our pings did"];
    diagnose(&url, &["--timeout", "300ms"]).fails(18, "pong-wrong", "endpoint", &words);
    let url = websocket(|stream| {
        read_frame(stream);
    });
    let words = ["ended when it was pinged", "without a Close frame"];
    diagnose(&url, &[]).fails(18, "ping-closed", "endpoint", &words);
}

#[test]
fn pings_that_are_answered_late() {
    let url = websocket(|stream| {
        while let Some((first, payload)) = read_frame(stream) {
            thread::sleep(Duration::from_millis(400));
            write_frame(stream, if first == 0x89 { 0x8a } else { first }, &payload);
        }
    });
    let words = ["slow: 2 round trips", "The network is quicker"];
    diagnose(&url, &[]).warns("ping-slow", &words);
    let url = websocket(|stream| {
        let mut pings = 0;
        while let Some((first, payload)) = read_frame(stream) {
            pings += 1;
            if pings == 3 {
                thread::sleep(Duration::from_secs(1));
            }
            write_frame(stream, if first == 0x89 { 0x8a } else { first }, &payload);
        }
    });
    diagnose(&url, &["--pings", "9"]).warns("ping-uneven", &["uneven: 9 round trips"]);
}

#[test]
fn a_close_frame_that_is_not_answered() {
    /// Answers pings until a Close frame comes.
    fn until_close(stream: &mut std::net::TcpStream) {
        while let Some((0x89, payload)) = read_frame(stream) {
            write_frame(stream, 0x8a, &payload);
        }
    }
    let url = websocket(|stream| {
        until_close(stream);
        drain(stream);
    });
    let words = ["not answered within 500 ms"];
    diagnose(&url, &["--timeout", "500ms"]).fails(20, "close-unanswered", "endpoint", &words);
    let url = websocket(until_close);
    let words = ["hangs up instead", "1006"];
    diagnose(&url, &[]).fails(20, "close-dropped", "endpoint", &words);
    let url = websocket(|stream| {
        until_close(stream);
        write_frame(stream, 0x83, b"");
        drain(stream);
    });
    diagnose(&url, &[]).fails(20, "close-broken", "endpoint", &["breaks the protocol"]);
    let url = websocket(|stream| {
        until_close(stream);
        write_frame(stream, 0x88, b"\x03\xe8");
        drain(stream);
    });
    diagnose(&url, &[]).warns("close-lingers", &["the TCP connection stays"]);
}
