//! `openline serve --metrics`: a page on the server's port or on another.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::{DEADLINE, Server, run, text};

/// What is answered to a request for this path.
fn fetch(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The value of the sample that is named so, with its labels.
fn value<'a>(page: &'a str, sample: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix(sample)?.strip_prefix(' ');
    page.lines().find_map(value)
}

#[test]
fn the_page_counts_what_all_threads_did() {
    let server = Server::start(&["--metrics", "--threads", "2"]);
    for _ in 0..4 {
        let output = run(&["connect", &server.url], b"hello\nyou\n");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    let (_open, _) = server.ask("");
    let page = fetch(server.address, "/metrics");
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(
        head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8"),
        "{head}"
    );
    for (sample, expected) in [
        ("openline_connections{role=\"server\"}", "1"),
        ("openline_connections_opened_total{role=\"server\"}", "5"),
        ("openline_messages_received_total{kind=\"text\"}", "8"),
        ("openline_messages_sent_total{kind=\"text\"}", "8"),
        (
            "openline_connections_ended_total{role=\"server\",why=\"closed\",by=\"peer\",code=\"1000\"}",
            "4",
        ),
        (
            "openline_handshakes_total{role=\"server\",outcome=\"accepted\",status=\"101\"}",
            "5",
        ),
        ("openline_handshake_seconds_count", "5"),
    ] {
        assert_eq!(value(body, sample), Some(expected), "{sample}\n{body}");
    }
    // Other paths are no pages, and without the option there is none.
    assert!(fetch(server.address, "/").starts_with("HTTP/1.1 426 "));
    let without = Server::start(&[]);
    assert!(fetch(without.address, "/metrics").starts_with("HTTP/1.1 426 "));
}

#[test]
fn another_path_and_another_address() {
    let server = Server::start(&["--metrics=/internal/metrics"]);
    assert!(fetch(server.address, "/internal/metrics?x=1").contains("openline_connections{"));
    assert!(fetch(server.address, "/metrics").starts_with("HTTP/1.1 426 "));
    let server = Server::start(&["--metrics=127.0.0.1:0"]);
    let line = server.line();
    let url = line.strip_prefix("metrics on http://").unwrap();
    let address = url.strip_suffix("/metrics").unwrap().parse().unwrap();
    assert!(fetch(address, "/metrics").contains("openline_connections{"));
    assert!(fetch(address, "/").starts_with("HTTP/1.1 404 "));
    assert!(fetch(server.address, "/metrics").starts_with("HTTP/1.1 426 "));
    let (code, _) = server.stop("TERM");
    assert_eq!(code, Some(0));
}

#[test]
fn an_address_that_is_taken_is_said() {
    let server = Server::start(&[]);
    let argument = format!("--metrics={}", server.address);
    let output = run(&["serve", "0", &argument], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("in use"));
    let output = run(&["serve", "0", "--metrics=/a b"], b"");
    assert_eq!(output.status.code(), Some(2));
}
