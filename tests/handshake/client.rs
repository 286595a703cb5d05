//! The client's side (RFC 6455 §4.1).

use std::sync::Arc;
use std::time::{Duration, Instant};

use openline::proto::{
    Answer, ClientHandshake, ClientRequest, Config, Event, Field, HandshakeError, HeadError,
    HeaderError, RecvBuffer, RequestError, Role, SendBuffer,
};

use crate::peers::{SEED, agree, answer, ask};

fn request() -> ClientRequest {
    ClientRequest::new("ws://example.com/chat".parse().unwrap())
}

/// The 101 that agrees to `request()`.
fn agreed() -> String {
    agree(&request())
}

/// The same with more header fields: lines, each with its end.
fn agreed_with(lines: &str) -> String {
    format!("{}{lines}\r\n", agreed().strip_suffix("\r\n").unwrap())
}

/// The same with one of its lines replaced.
fn agreed_where(name: &str, line: &str) -> String {
    let agreed = agreed();
    let start = agreed.find(&format!("{name}: ")).unwrap();
    let end = start + agreed[start..].find("\r\n").unwrap() + 2;
    format!("{}{line}{}", &agreed[..start], &agreed[end..])
}

/// The error that this answer to `request` makes, or none.
fn error(request: &ClientRequest, bytes: impl AsRef<[u8]>) -> Option<HandshakeError> {
    answer(request, bytes).err()
}

/// The status, reason and body of a refusal.
fn refusal(bytes: impl AsRef<[u8]>) -> (u16, String, String) {
    let (answer, recv) = answer(&request(), bytes).unwrap();
    let Answer::Refused(refused) = answer else {
        panic!("a refusal");
    };
    let response = refused.response(&recv);
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    (response.status(), response.reason().to_owned(), body)
}

#[test]
fn the_request_is_what_section_4_1_asks_for() {
    let url = "ws://user:p%40ss@[::1]:9001/chat?a=b";
    let request = ClientRequest::new(url.parse().unwrap())
        .subprotocol("chat")
        .and_then(|request| request.subprotocol("superchat"))
        .and_then(|request| request.origin("https://example.com"))
        .and_then(|request| request.header("Cookie", "a=b"))
        .unwrap();
    let (_, sent, key) = ask(&request);
    assert_eq!(
        sent,
        format!(
            "GET /chat?a=b HTTP/1.1\r\n\
             Host: [::1]:9001\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: chat, superchat\r\n\
             Authorization: Basic dXNlcjpwQHNz\r\n\
             Origin: https://example.com\r\n\
             Cookie: a=b\r\n\
             \r\n"
        )
    );
}

#[test]
fn the_key_is_the_seeds_and_not_the_seed() {
    let key = |seed| {
        let mut send = SendBuffer::new();
        let _ = ClientHandshake::start(&request(), Arc::default(), Instant::now(), seed, &mut send);
        send.pending().to_vec()
    };
    assert_eq!(key(SEED), key(SEED));
    let mut other = SEED;
    other[31] ^= 1;
    assert_ne!(key(SEED), key(other));
}

#[test]
fn what_must_not_be_sent_cannot_be_asked_for() {
    let header = |name, value| request().header(name, value).err();
    let refused = |error| Some(RequestError::Header(error));
    for value in ["a\r\nb: c", "a\n", "\r", "a\0", "\x7f"] {
        assert_eq!(header("A", value), refused(HeaderError::Value), "{value:?}");
        let origin = request().origin(value).err();
        assert_eq!(origin, refused(HeaderError::Value), "{value:?}");
        let bearer = request().bearer(value).err();
        assert_eq!(bearer, Some(RequestError::BearerToken), "{value:?}");
        let subprotocol = request().subprotocol(value).err();
        assert_eq!(subprotocol, Some(RequestError::Subprotocol), "{value:?}");
    }
    for name in ["", "a b", "a:", "a\r\nb", "\u{e9}"] {
        assert_eq!(header(name, "a"), refused(HeaderError::Name), "{name:?}");
    }
    for name in [
        "Host",
        "upgrade",
        "CONNECTION",
        "Sec-WebSocket-Key",
        "sec-websocket-x",
    ] {
        assert_eq!(header(name, "a"), refused(HeaderError::Reserved), "{name}");
    }
    for name in ["Content-Length", "Transfer-Encoding"] {
        assert_eq!(header(name, "0"), refused(HeaderError::Reserved), "{name}");
    }
    for name in ["", "a b", "a,b", "\u{e9}"] {
        let subprotocol = request().subprotocol(name).err();
        assert_eq!(subprotocol, Some(RequestError::Subprotocol), "{name:?}");
    }
    let twice = request().subprotocol("a").unwrap().subprotocol("a").err();
    assert_eq!(twice, Some(RequestError::SubprotocolRepeated));
}

#[test]
fn one_origin_and_one_authorization() {
    let bearer = request().bearer("a.b-c_d~e+f/g==").unwrap();
    assert!(
        ask(&bearer)
            .1
            .contains("\r\nAuthorization: Bearer a.b-c_d~e+f/g==\r\n")
    );
    assert_eq!(bearer.bearer("a").err(), Some(RequestError::Repeated));
    let user = ClientRequest::new("ws://user@a".parse().unwrap());
    assert_eq!(user.bearer("a").err(), Some(RequestError::Repeated));
    let origin = request().header("origin", "a").unwrap();
    assert_eq!(origin.origin("a").err(), Some(RequestError::Repeated));
    assert_eq!(
        request().bearer("==").err(),
        Some(RequestError::BearerToken)
    );
}

#[test]
fn an_agreement_opens_the_connection() {
    let frames = b"\x81\x02hi";
    let bytes = [agreed().as_bytes(), frames].concat();
    let (answer, mut recv) = answer(&request(), bytes).unwrap();
    let Answer::Accepted(accepted) = answer else {
        panic!("an agreement");
    };
    assert_eq!(accepted.response(&recv).status(), 101);
    assert_eq!(accepted.response(&recv).reason(), "Switching Protocols");
    assert_eq!(accepted.response(&recv).body(), b"");
    assert_eq!(accepted.subprotocol(), None);
    let mut connection = accepted.open(Instant::now(), &mut recv);
    assert_eq!(connection.role(), Role::Client);
    // The server may send at once: its frames are the connection's first.
    let mut send = SendBuffer::new();
    let event = connection.poll(Instant::now(), &mut recv, &mut send);
    assert!(matches!(event, Ok(Some(Event::Text("hi")))));
}

#[test]
fn items_2_and_3_upgrade_and_connection() {
    for (name, line) in [
        ("Upgrade", "upgrade: WebSocket\r\n"),
        ("Connection", "connection: keep-alive, UPGRADE\r\n"),
        ("Connection", "Connection: a\r\nConnection: upgrade\r\n"),
    ] {
        assert_eq!(error(&request(), agreed_where(name, line)), None, "{line}");
    }
    for (field, value) in [
        (Field::Upgrade, "h2c"),
        (Field::Upgrade, "websocket, h2c"), // one value, not a list
        (Field::Upgrade, "websocket/13"),
        (Field::Connection, "close"),
        (Field::Connection, "upgrades"),
    ] {
        let name = field.name();
        let bytes = agreed_where(name, &format!("{name}: {value}\r\n"));
        assert_eq!(
            error(&request(), bytes),
            Some(HandshakeError::Invalid(field)),
            "{value}"
        );
        let bytes = agreed_where(name, "");
        assert_eq!(
            error(&request(), bytes),
            Some(HandshakeError::Missing(field))
        );
    }
    let twice = agreed_with("Upgrade: websocket\r\n");
    assert_eq!(
        error(&request(), twice),
        Some(HandshakeError::Repeated(Field::Upgrade))
    );
}

#[test]
fn item_4_the_accept_is_ours_to_the_letter() {
    let agreed = agreed();
    let (_, accept) = agreed.split_once("Accept: ").unwrap();
    let (accept, _) = accept.split_once("\r\n").unwrap();
    let with = |value: &str| {
        let line = format!("Sec-WebSocket-Accept: {value}\r\n");
        error(&request(), agreed_where("Sec-WebSocket-Accept", &line))
    };
    assert_eq!(with(accept), None);
    assert_eq!(with(&format!(" \t{accept}\t ")), None);
    for value in [
        "",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", // that of another key, replayed
        &accept.to_lowercase(),
        &accept[..27],
        &format!("{accept}="),
        &format!("\"{accept}\""),
        &format!("{accept}, {accept}"),
    ] {
        assert_eq!(
            with(value),
            Some(HandshakeError::Invalid(Field::Accept)),
            "{value}"
        );
    }
    let missing = agreed_where("Sec-WebSocket-Accept", "");
    assert_eq!(
        error(&request(), missing),
        Some(HandshakeError::Missing(Field::Accept))
    );
    let twice = agreed_with(&format!("sec-websocket-accept: {accept}\r\n"));
    assert_eq!(
        error(&request(), twice),
        Some(HandshakeError::Repeated(Field::Accept))
    );
}

#[test]
fn item_5_no_extension_that_was_not_offered() {
    for (value, expected) in [
        ("permessage-deflate", HandshakeError::ExtensionNotOffered),
        ("x; y=z", HandshakeError::ExtensionNotOffered),
        ("", HandshakeError::Invalid(Field::Extensions)),
        (";", HandshakeError::Invalid(Field::Extensions)),
        (
            "a\r\nSec-WebSocket-Extensions: b",
            HandshakeError::Repeated(Field::Extensions),
        ),
    ] {
        let bytes = agreed_with(&format!("Sec-WebSocket-Extensions: {value}\r\n"));
        assert_eq!(error(&request(), bytes), Some(expected), "{value}");
    }
}

#[test]
fn item_6_no_subprotocol_that_was_not_offered() {
    let offer = request()
        .subprotocol("a")
        .unwrap()
        .subprotocol("b")
        .unwrap();
    let chosen = |request: &ClientRequest, value: &str| {
        let bytes = agreed_with(&format!("Sec-WebSocket-Protocol: {value}\r\n"));
        let (answer, _) = answer(request, bytes)?;
        let Answer::Accepted(accepted) = answer else {
            panic!("an agreement");
        };
        Ok(accepted.subprotocol().map(str::to_owned))
    };
    assert_eq!(chosen(&offer, "b"), Ok(Some("b".to_owned())));
    for value in ["", "c", "A", "a, b", "a b", "\"a\""] {
        let expected = Err(HandshakeError::SubprotocolNotOffered);
        assert_eq!(chosen(&offer, value), expected, "{value}");
    }
    let twice = chosen(&offer, "a\r\nSec-WebSocket-Protocol: a");
    assert_eq!(twice, Err(HandshakeError::Repeated(Field::Protocol)));
    assert_eq!(
        chosen(&request(), "a"),
        Err(HandshakeError::SubprotocolNotOffered)
    );
    // To choose none is the server's right.
    assert_eq!(error(&offer, agreed()), None);
}

#[test]
fn every_other_status_is_a_value() {
    for status in [
        200, 204, 301, 302, 304, 400, 401, 404, 426, 500, 503, 599, 600, 999,
    ] {
        let bytes = format!("HTTP/1.1 {status} Why\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(refusal(bytes), (status, "Why".to_owned(), String::new()));
    }
    let old = "HTTP/1.0 404 Not Found\r\n\r\nsorry";
    assert_eq!(
        refusal(old),
        (404, "Not Found".to_owned(), "sorry".to_owned())
    );
    let bytes = "HTTP/1.1 302 Found\r\nLocation: ws://b/\r\nX: \u{ff}\r\nContent-Length: 0\r\n\r\n";
    let (answer, recv) = answer(&request(), bytes).unwrap();
    let Answer::Refused(refused) = answer else {
        panic!("a refusal");
    };
    let response = refused.response(&recv);
    assert_eq!(response.header_str("location"), Some("ws://b/"));
    assert_eq!(response.header("x"), Some("\u{ff}".as_bytes()));
    assert_eq!(response.headers().count(), 3);
}

#[test]
fn a_refusal_comes_with_the_start_of_its_body() {
    let body =
        |head: &str, body: &str| refusal(format!("HTTP/1.1 403 Forbidden\r\n{head}\r\n{body}")).2;
    assert_eq!(body("Content-Length: 3\r\n", "abcdef"), "abc");
    assert_eq!(body("Content-Length: 9\r\n", "abc"), "abc"); // cut off by the end of file
    assert_eq!(body("", "abc"), "abc");
    let chunks = "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n";
    assert_eq!(body("Transfer-Encoding: chunked\r\n", chunks), "abc");
    // RFC 9112 §6.3: a Transfer-Encoding goes before a Content-Length.
    let both = "Content-Length: 1\r\nTransfer-Encoding: Chunked\r\n";
    assert_eq!(body(both, chunks), "abc");
    assert_eq!(body("Transfer-Encoding: chunked, gzip\r\n", "abc"), "abc");
    let long = "x".repeat(5_000);
    assert_eq!(body("Content-Length: 5000\r\n", &long), &long[..4096]);
    assert_eq!(
        refusal("HTTP/1.1 304 \r\nContent-Length: 3\r\n\r\nabc").2,
        ""
    );
    for value in ["", "a", "-1", "+1", "1, 1", "99999999999999999999"] {
        let bytes = format!("HTTP/1.1 403 \r\nContent-Length: {value}\r\n\r\n");
        let expected = Some(HandshakeError::Invalid(Field::ContentLength));
        assert_eq!(error(&request(), bytes), expected, "{value}");
    }
}

#[test]
fn a_refusal_waits_for_its_body_and_no_longer_than_the_deadline() {
    let now = Instant::now();
    let mut send = SendBuffer::new();
    let mut handshake = ClientHandshake::start(&request(), Arc::default(), now, SEED, &mut send);
    let deadline = now + Config::default().handshake_timeout;
    let mut recv = RecvBuffer::new();
    recv.extend(b"HTTP/1.1 403 \r\nContent-Length: 9\r\n\r\nabc");
    assert!(handshake.poll(&mut recv).unwrap().is_none());
    assert_eq!(handshake.poll_timeout(), Some(deadline));
    assert_eq!(
        handshake.handle_timeout(deadline - Duration::from_millis(1)),
        Ok(())
    );
    assert!(handshake.poll(&mut recv).unwrap().is_none());
    assert_eq!(handshake.handle_timeout(deadline), Ok(()));
    assert_eq!(handshake.poll_timeout(), None);
    let Ok(Some(Answer::Refused(refused))) = handshake.poll(&mut recv) else {
        panic!("a refusal");
    };
    assert_eq!(refused.response(&recv).body(), b"abc");
    // The answer is given once.
    assert!(handshake.poll(&mut recv).unwrap().is_none());
    assert!(handshake.handle_eof(&mut recv).unwrap().is_none());
}

#[test]
fn without_an_answer_the_handshake_fails() {
    let now = Instant::now();
    let mut send = SendBuffer::new();
    let mut handshake = ClientHandshake::start(&request(), Arc::default(), now, SEED, &mut send);
    let deadline = handshake.poll_timeout().unwrap();
    assert_eq!(
        handshake.handle_timeout(deadline),
        Err(HandshakeError::TimedOut)
    );
    let mut recv = RecvBuffer::new();
    recv.extend(agreed().as_bytes());
    assert_eq!(
        handshake.poll(&mut recv).unwrap_err(),
        HandshakeError::TimedOut
    );
    for bytes in [
        "",
        "HTTP/1.1 101 ",
        "HTTP/1.1 403 \r\n",
        "HTTP/1.1 100 \r\n\r\n",
    ] {
        assert_eq!(
            error(&request(), bytes),
            Some(HandshakeError::EndOfFile),
            "{bytes:?}"
        );
    }
}

#[test]
fn interim_responses_are_passed_over_but_not_without_end() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 \r\n\r\n";
    assert_eq!(error(&request(), interim.repeat(4) + &agreed()), None);
    let (.., body) = refusal(interim.to_owned() + "HTTP/1.1 403 \r\n\r\nno");
    assert_eq!(body, "no");
    let expected = Some(HandshakeError::TooManyInterims);
    assert_eq!(error(&request(), interim.repeat(5)), expected);
}

#[test]
fn what_is_no_answer() {
    for (bytes, expected) in [
        (
            "SSH-2.0-OpenSSH_9.6\r\n\r\n",
            HandshakeError::Head(HeadError::Version),
        ),
        (
            "HTTP/1.1 101\n\n",
            HandshakeError::Head(HeadError::BareLineEnd),
        ),
        (
            "HTTP/1.1 101 \r\nA: b\r\n c\r\n\r\n",
            HandshakeError::Head(HeadError::FoldedLine),
        ),
        (
            "\x15\x03\x01",
            HandshakeError::Head(HeadError::ControlCharacter),
        ),
        (
            "HTTP/1.1 42 \r\n\r\n",
            HandshakeError::Head(HeadError::StartLine),
        ),
    ] {
        assert_eq!(error(&request(), bytes), Some(expected), "{bytes:?}");
    }
    // §4.1, and RFC 9110 §7.8: an agreement in HTTP/1.0 is none.
    let old = agreed().replace("HTTP/1.1", "HTTP/1.0");
    assert_eq!(
        error(&request(), old),
        Some(HandshakeError::Head(HeadError::Version))
    );
}

#[test]
fn a_secret_is_not_shown() {
    let url = "ws://user:hunter2@example.com".parse().unwrap();
    let request = ClientRequest::new(url).header("Cookie", "hunter2").unwrap();
    assert!(!format!("{request:?}").contains("hunter2"));
    let (handshake, ..) = ask(&request);
    let shown = format!("{handshake:?}");
    assert!(
        shown.contains("Seed(..)") && !shown.contains("hunter2"),
        "{shown}"
    );
    let bytes = agree(&request).replace("\r\n\r\n", "\r\nSet-Cookie: hunter2\r\n\r\n");
    let (answer, recv) = answer(&request, bytes).unwrap();
    let Answer::Accepted(accepted) = answer else {
        panic!("an agreement");
    };
    let shown = format!("{accepted:?} {:?}", accepted.response(&recv));
    assert!(
        shown.contains("Set-Cookie") && !shown.contains("hunter2"),
        "{shown}"
    );
}
