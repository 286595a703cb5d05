//! H1 to H6 and H10: the opening handshake, at its limits and against its rules.

use openline::proto::Config;

use crate::server::{Server, Wire, frame, request, status};

/// Fields of `n` bytes in all, or one more than can be told by a field's own length.
fn padding(n: usize) -> String {
    let field = |size: usize| format!("X: {}\r\n", "a".repeat(size - 5));
    match n {
        0 => String::new(),
        6..=1000 => field(n),
        _ => field(500) + &padding(n - 500),
    }
}

#[test]
fn h1_endless_headers_one_byte_at_a_time_end_with_431() {
    for wire in Wire::ALL {
        let server = Server::start(wire, Config::default());
        let max = Config::default().handshake_size_max;
        let mut stream = server.connect();
        let endless = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(max));
        // It may have been refused before all of them are sent.
        let sent = endless
            .bytes()
            .take_while(|byte| stream.try_send(&[*byte]).is_ok());
        assert!(sent.count() >= max);
        assert_eq!(status(&stream.rest()), 431);
        // Meanwhile and afterwards others are served.
        server.open();
    }
}

#[test]
fn h2_the_size_of_the_head_at_its_limit() {
    for wire in Wire::ALL {
        let server = Server::start(wire, Config::default());
        let max = Config::default().handshake_size_max;
        let room = max - request("").len();
        for (size, expected) in [(room - 1, 101), (room, 101), (room + 1, 431)] {
            let mut stream = server.connect();
            stream.send(request(&padding(size)).as_bytes());
            assert_eq!(status(&stream.head()), expected, "{size}");
        }
    }
}

#[test]
fn h2_the_number_of_headers_at_its_limit() {
    for wire in Wire::ALL {
        let server = Server::start(wire, Config::default());
        let room = Config::default().headers_max - 5;
        for (count, expected) in [(room - 1, 101), (room, 101), (room + 1, 431)] {
            let mut stream = server.connect();
            stream.send(request(&"A: b\r\n".repeat(count)).as_bytes());
            assert_eq!(status(&stream.head()), expected, "{count}");
        }
        // The field that makes it a request for WebSocket stands behind the limit: it is not
        // taken for a request for something else.
        let many = "A: b\r\n".repeat(room + 10);
        let late = request("").replacen("Upgrade: ", &format!("{many}Upgrade: "), 1);
        assert_eq!(status(&server.answer(late)), 431);
    }
}

#[test]
fn h2_duplicates_in_mixed_case_and_an_endless_line() {
    for wire in Wire::ALL {
        let server = Server::start(wire, Config::default());
        for twice in [
            "hOST: evil.example\r\n",
            "SEC-WEBSOCKET-KEY: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            "sec-websocket-version: 13\r\n",
            "origin: https://a.example\r\nORIGIN: https://b.example\r\n",
        ] {
            assert_eq!(status(&server.answer(request(twice))), 400, "{twice:?}");
        }
        let endless = "a".repeat(Config::default().handshake_size_max + 1);
        assert_eq!(status(&server.answer(endless)), 431);
    }
}

#[test]
fn h3_lists_full_of_nothing_are_answered() {
    for wire in Wire::ALL {
        let server = Server::start(wire, Config::default());
        for name in [
            "Connection",
            "Upgrade",
            "Sec-WebSocket-Protocol",
            "Sec-WebSocket-Extensions",
        ] {
            for piece in [" ", "\t", ",", ";", "\"", ", ;", "\"\\", "a;b=\"", "a,"] {
                let nothing = piece.repeat(15_000 / piece.len());
                let mut stream = server.connect();
                stream.send(request(&format!("{name}: {nothing}\r\n")).as_bytes());
                let status = status(&stream.head());
                assert!(
                    matches!(status, 101 | 400 | 426),
                    "{name}: {piece}: {status}"
                );
            }
        }
    }
}

#[test]
fn h4_bytes_that_are_not_of_a_head() {
    for wire in Wire::ALL {
        let server = Server::start(wire, Config::default());
        let whole = request("X: y\r\n").into_bytes();
        let at = |needle: &str| {
            let found = whole
                .windows(needle.len())
                .position(|part| part == needle.as_bytes());
            found.unwrap()
        };
        // In the target, in a name, in a value, and where a line ends.
        for place in [at("/ HTTP"), at("X: y"), at("\r\nX")] {
            for byte in [0, 0x0b, 0x7f, b'\r', b'\n'] {
                let mut bytes = whole.clone();
                bytes.insert(place, byte);
                let mut stream = server.connect();
                stream.send(&bytes);
                stream.finish();
                let answer = stream.rest();
                assert!(
                    matches!(status(&answer), 400 | 408 | 426),
                    "{byte} at {place}: {answer}"
                );
            }
        }
        for odd in [
            "X: y\r\n folded\r\n",
            " X: y\r\n",
            "X : y\r\n",
            ": y\r\n",
            "X\r\n",
        ] {
            assert_eq!(status(&server.answer(request(odd))), 400, "{odd:?}");
        }
        for host in ["", "a b", "a@b", "a/b", "a:b", "[::1", "a:65536"] {
            let bad = request("").replace("Host: localhost", &format!("Host: {host}"));
            assert_eq!(status(&server.answer(bad)), 400, "{host:?}");
        }
    }
}

#[test]
fn h5_nothing_can_be_smuggled_behind_a_refusal() {
    let other = |method: &str| request("").replacen("GET", method, 1);
    let cases = [
        (request("Content-Length: 5\r\n") + "hello", 400),
        (request("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400),
        (
            request("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
            400,
        ),
        (request("Content-Length: 0\r\nContent-Length: 40\r\n"), 400),
        (request("Content-Length: +0\r\n"), 400),
        (request("Transfer-Encoding : chunked\r\n"), 400),
        (other("POST"), 405),
        (other("HEAD"), 405),
        (other("PRI"), 405),
        (request("").replacen("HTTP/1.1", "HTTP/1.0", 1), 505),
        (request("").replacen("HTTP/1.1", "HTTP/2.0", 1), 505),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 426),
    ];
    for wire in Wire::ALL {
        let server = Server::start(wire, Config::default());
        for (first, expected) in &cases {
            let answer = server.answer(first.clone() + &request(""));
            assert_eq!(status(&answer), *expected, "{first:?}");
            assert!(answer.contains("\r\nConnection: close"), "{answer}");
            assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
        }
        assert_eq!(server.counts().opened.server, 0);
    }
}

#[test]
fn h5_the_stream_may_be_cut_at_every_byte_across_the_101() {
    for wire in Wire::ALL {
        let server = Server::start(wire, Config::default());
        let bytes = [request("").into_bytes(), frame(0x81, b"early")].concat();
        for cut in 1..bytes.len() {
            let mut stream = server.connect();
            stream.send(&bytes[..cut]);
            stream.send(&bytes[cut..]);
            assert_eq!(status(&stream.head()), 101);
            assert_eq!(stream.frame(), (0x81, b"early".to_vec()), "cut at {cut}");
        }
    }
}

#[test]
fn h10_no_version_but_13() {
    for wire in Wire::ALL {
        let server = Server::start(wire, Config::default());
        for version in ["0", "8", "12", "14", "013", "+13", "13.0", "13, 8", "", "x"] {
            let field = format!("Version: {version}");
            let answer = server.answer(request("").replace("Version: 13", &field));
            assert_eq!(status(&answer), 426, "{version:?}");
            assert!(
                answer.contains("\r\nSec-WebSocket-Version: 13\r\n"),
                "{answer}"
            );
        }
    }
}
