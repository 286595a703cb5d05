//! Ordinary requests beside WebSocket (RFC 9110 §9.3.1, §9.3.2): which ones there are, and how
//! they are answered.

use std::sync::Arc;
use std::time::Instant;

use openline::proto::{
    Field, HandshakeError, Incoming, Page, PageRequest, RecvBuffer, Refusal, SendBuffer,
    ServerHandshake, Status,
};

use crate::peers::{REQUEST, request_where, serve};

/// What a server that has pages makes of these bytes, whole and byte by byte.
fn incoming(bytes: &str) -> Result<(Incoming, RecvBuffer), HandshakeError> {
    let now = Instant::now();
    let poll = |size| {
        let mut handshake = ServerHandshake::new(Arc::default(), now);
        let mut recv = RecvBuffer::new();
        for piece in bytes.as_bytes().chunks(size) {
            recv.extend(piece);
            if let Some(incoming) = handshake.poll_incoming(&recv)? {
                return Ok((incoming, recv));
            }
        }
        panic!("{bytes:?} is whole");
    };
    let verdict = |result: &Result<(Incoming, _), _>| match result {
        Ok((incoming, _)) => Ok(format!("{incoming:?}")),
        Err(error) => Err(*error),
    };
    let (whole, by_byte) = (poll(bytes.len()), poll(1));
    assert_eq!(verdict(&whole), verdict(&by_byte));
    whole
}

fn page(bytes: &str) -> Option<(PageRequest, RecvBuffer)> {
    match incoming(bytes) {
        Ok((Incoming::Page(page), recv)) => Some((page, recv)),
        _ => None,
    }
}

fn sent(send: &SendBuffer) -> String {
    String::from_utf8(send.pending().to_vec()).unwrap()
}

const GET: &str = "GET /a?b HTTP/1.1\r\nHost: example.com\r\nX-A: 1\r\n\r\n";

#[test]
fn get_and_head_without_a_body_are_pages() {
    for method in ["GET", "HEAD"] {
        let (page, recv) = page(&GET.replace("GET", method)).unwrap();
        let request = page.request(&recv);
        assert_eq!(request.method(), method);
        assert_eq!((request.path(), request.query()), ("/a", Some("b")));
        assert_eq!(request.host(), "example.com");
        assert_eq!(request.header_str("x-a"), Some("1"));
    }
    // Another upgrade may be ignored (RFC 9110 §7.8).
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n";
    assert!(page(&GET.replace("\r\n\r\n", &format!("\r\n{h2c}"))).is_some());
    assert!(page(&GET.replace("X-A: 1", "Content-Length: 0")).is_some());
}

#[test]
fn what_is_wrong_with_any_request_is_wrong_with_one_for_a_page() {
    for (from, to, error) in [
        ("GET", "POST", HandshakeError::Method),
        ("GET", "OPTIONS", HandshakeError::Method),
        ("/a?b", "*", HandshakeError::Target),
        ("Host", "X-B", HandshakeError::Missing(Field::Host)),
        ("example.com", "a b", HandshakeError::Invalid(Field::Host)),
        ("X-A: 1", "Content-Length: 1", HandshakeError::Body),
        ("X-A: 1", "Content-Length: +0", HandshakeError::Body),
        ("X-A: 1", "Transfer-Encoding: x", HandshakeError::Body),
        ("X-A", "Host", HandshakeError::Repeated(Field::Host)),
        ("X-A: 1", "Origin: ", HandshakeError::Invalid(Field::Origin)),
    ] {
        let request = GET.replacen(from, to, 1);
        assert_eq!(incoming(&request).unwrap_err(), error, "{request}");
        assert_eq!(serve(&request).unwrap_err(), error, "{request}");
    }
}

#[test]
fn who_means_websocket_and_fails_is_told_so() {
    // A proxy that takes the field Upgrade away is the commonest fault there is.
    let lack = request_where("Upgrade", "");
    assert_eq!(
        incoming(&lack).unwrap_err(),
        HandshakeError::Missing(Field::Upgrade)
    );
    let head = request_where("GET", "HEAD / HTTP/1.1\r\n");
    assert_eq!(incoming(&head).unwrap_err(), HandshakeError::Method);
    let whole = incoming(REQUEST).unwrap().0;
    assert!(matches!(whole, Incoming::Upgrade(_)));
}

#[test]
fn a_page_is_delimited_and_head_gets_no_body() {
    let answer = |method, page_answer: &Page| {
        let mut send = SendBuffer::new();
        let (page, _) = page(&GET.replace("GET", method)).unwrap();
        page.answer(page_answer, &mut send);
        sent(&send)
    };
    let metrics = Page::new("text/plain", "a 1\n").unwrap();
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\
        Content-Type: text/plain\r\n\r\n";
    assert_eq!(answer("GET", &metrics), format!("{head}a 1\n"));
    assert_eq!(answer("HEAD", &metrics), head);
    // RFC 9110 §8.6: a 204 has no Content-Length.
    let mut empty = metrics;
    empty.status = Status::new(204).unwrap();
    let answered = answer("GET", &empty);
    assert!(!answered.contains("Length") && answered.ends_with("\r\n\r\n"));
    assert!(Page::new("a\r\nb", "").is_err());
    let missing = Page::from(Refusal::new(Status::NOT_FOUND));
    assert!(answer("GET", &missing).starts_with("HTTP/1.1 404 Not Found\r\n"));
}

#[test]
fn a_server_without_pages_says_what_it_has() {
    for (method, error, body) in [
        ("GET", HandshakeError::Missing(Field::Upgrade), true),
        ("HEAD", HandshakeError::Method, false),
    ] {
        let request = GET.replace("GET", method);
        assert_eq!(serve(&request).unwrap_err(), error);
        let (page, _) = page(&request).unwrap();
        let mut send = SendBuffer::new();
        assert_eq!(page.refuse(&mut send), error);
        assert_eq!(sent(&send).ends_with("\r\n\r\n"), !body);
    }
}
