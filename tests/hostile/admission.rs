//! H7 and H8: who is let in, before the 101, and what is said to the others.

use std::net::SocketAddr;

use openline::net::auth::{
    Bearer, Denial, Guard, Identity, KnownTokens, Origins, SessionCookie, TokenFrom,
};
use openline::proto::{Config, Request};

use crate::server::{Server, Wire, request, status};

const TOKEN: &str = "0f6fd28cb1a5e0b6b1c1d6a5a0f3a7c4";

fn tokens() -> KnownTokens {
    KnownTokens::parse(format!("alice {TOKEN}\n").as_bytes()).unwrap()
}

#[test]
fn h7_only_the_whole_origin_is_let_in() {
    let origins = [
        "https://example.com",
        "https://*.example.org",
        "http://localhost:3000",
    ];
    let cases = [
        (Some("https://example.com"), true),
        (Some("https://a.example.org"), true),
        (Some("http://localhost:3000"), true),
        (None, false),
        (Some("null"), false),
        (Some("http://example.com"), false),
        (Some("https://example.com:8443"), false),
        (Some("https://example.com:443"), false),
        (Some("https://EXAMPLE.com"), false),
        (Some("https://sub.example.com"), false),
        (Some("https://evil-example.com"), false),
        (Some("https://example.com.evil.net"), false),
        (Some("https://example.com@evil.net"), false),
        (Some("https://user@example.com"), false),
        (Some("https://example.com/"), false),
        (Some("https://example.com https://evil.net"), false),
        (Some("https://example.org"), false),
        (Some("https://evil-example.org"), false),
        (Some("https://a.b.example.org"), false),
        (Some("https://.example.org"), false),
        (Some("https://*.example.org"), false),
        (Some("https://a.example.org.evil.net"), false),
        (Some("https://evil.net/.example.org"), false),
        (Some("https://evil.net#.example.org"), false),
        (Some("https://user@a.example.org"), false),
        (Some("http://localhost"), false),
        (Some("http://localhost:30000"), false),
    ];
    for wire in Wire::ALL {
        let guard = Guard::new().and(Origins::parse(origins).unwrap());
        let server = Server::guarded(wire, Config::default(), guard);
        for (origin, is_let_in) in cases {
            let field = origin.map(|origin| format!("Origin: {origin}\r\n"));
            let mut stream = server.connect();
            stream.send(request(&field.unwrap_or_default()).as_bytes());
            let expected = if is_let_in { 101 } else { 403 };
            assert_eq!(status(&stream.head()), expected, "{origin:?}");
        }
    }
}

#[test]
fn h8_nobody_is_open_before_the_guard_has_let_him_in() {
    for wire in Wire::ALL {
        let guard = Guard::new().and(Bearer::new(tokens()));
        let server = Server::guarded(wire, Config::default(), guard);
        let tail = &TOKEN[1..];
        for (headers, expected) in [
            (String::new(), 401),
            (format!("Authorization: Bearer x{tail}\r\n"), 401),
            (format!("Authorization: Bearer {tail}\r\n"), 401),
            (format!("Authorization: Bearer {TOKEN}0\r\n"), 401),
            (format!("Authorization: Basic {TOKEN}\r\n"), 401),
            (format!("Authorization: {TOKEN}\r\n"), 401),
            ("Authorization: Bearer \r\n".to_owned(), 400),
            (format!("Authorization: Bearer {TOKEN} x\r\n"), 400),
            (format!("Authorization: Bearer {TOKEN}, Bearer x\r\n"), 400),
            (
                format!("Authorization: Bearer {TOKEN}\r\nAuthorization: Bearer {TOKEN}\r\n"),
                400,
            ),
        ] {
            // A message right behind the request, which must never be answered.
            let early = request(&headers) + "\u{1}\u{1}\u{1}";
            let answer = server.answer(early);
            assert_eq!(status(&answer), expected, "{headers:?}");
            assert!(
                answer.contains("\r\nWWW-Authenticate: Bearer realm="),
                "{answer}"
            );
        }
        assert_eq!(server.counts().opened.server, 0);
        let mut stream = server.connect();
        stream.send(request(&format!("Authorization: Bearer {TOKEN}\r\n")).as_bytes());
        assert_eq!(status(&stream.head()), 101);
    }
}

#[test]
fn h8_a_refusal_echoes_nothing_of_the_request() {
    let origins = || Origins::parse(["https://example.com"]).unwrap();
    let no_session = |_: &str| -> Result<Identity, Denial> { Err(Denial::SessionUnknown) };
    let down = |_: &Request<'_>, _: SocketAddr| -> Result<Option<Identity>, Denial> {
        Err(Denial::Unavailable("the database at db-7 is down"))
    };
    let anywhere = TokenFrom::header()
        .or(TokenFrom::subprotocol())
        .or(TokenFrom::query("access_token"))
        .or(TokenFrom::cookie("sid", origins()));
    let guards = [
        (
            Guard::new().and(Bearer::new(tokens()).from(anywhere)),
            vec![400, 401, 403],
        ),
        (
            Guard::new().and(SessionCookie::new("sid", origins(), no_session)),
            vec![403],
        ),
        (Guard::new().and(origins()), vec![403]),
        (Guard::new().and(down), vec![503]),
    ];
    let secret = "SECRET0123456789abcdef";
    let ours = "Origin: https://example.com\r\n";
    for wire in Wire::ALL {
        for (guard, expected) in guards.clone() {
            let server = Server::guarded(wire, Config::default(), guard);
            for headers in [
                format!("Authorization: Bearer {secret}\r\n"),
                format!("Sec-WebSocket-Protocol: bearer.{secret}\r\n"),
                format!("{ours}Cookie: sid={secret}\r\n"),
                format!("Origin: https://{secret}.example\r\nCookie: sid={secret}\r\n"),
                format!("Authorization: Bearer {secret} {secret}\r\nX-{secret}: {secret}\r\n"),
            ] {
                for target in ["/", &format!("/{secret}?access_token={secret}")] {
                    let bytes = request(&headers).replacen('/', target, 1);
                    let answer = server.answer(bytes);
                    if answer.starts_with("HTTP/1.1 101 ") {
                        continue;
                    }
                    let status = status(&answer);
                    assert!(expected.contains(&status), "{headers:?}: {status}");
                    assert!(!answer.contains(secret), "{answer}");
                    assert!(!answer.contains("db-7"), "{answer}");
                }
            }
        }
    }
}
