//! `openline demo`: its pages by hand. A browser's view of it is in tests/interop/demo.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::{DEADLINE, Server};

#[test]
fn it_serves_its_page_and_what_that_needs_and_nothing_else() {
    let demo = Server::start_as("demo", &[]);
    let index = fetch(&demo, "/");
    assert!(index.starts_with("HTTP/1.1 200 OK\r\n"), "{index}");
    let (_, body) = index.split_once("\r\n\r\n").unwrap();
    assert!(body.starts_with("<!DOCTYPE html>"));
    for file in ["demo.css", "app.js", "wire.js", "draw.js"] {
        let answer = fetch(&demo, &format!("/{file}"));
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n"),
            "{file}: {answer}"
        );
        assert!(answer.contains("\r\nContent-Security-Policy: default-src 'none';"));
    }
    for path in ["/events", "/events?key=guess", "/../Cargo.toml", "/live"] {
        let answer = fetch(&demo, path);
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
    let (code, _) = demo.stop("TERM");
    assert_eq!(code, Some(0));
}

fn fetch(demo: &Server, path: &str) -> String {
    let mut stream = TcpStream::connect(demo.address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
