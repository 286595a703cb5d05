//! The server's side (RFC 6455 §4.2).

use std::sync::Arc;
use std::time::{Duration, Instant};

use openline::proto::{
    AcceptError, Acceptance, Config, Connection, Event, Field, HandshakeError, HeadError, Headers,
    RecvBuffer, Refusal, Role, SendBuffer, ServerHandshake, Status, Upgrade,
};

use crate::peers::{REQUEST, request_where, request_with, serve};

const OK: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

fn accept(
    (upgrade, mut recv): (Upgrade, RecvBuffer),
    acceptance: &Acceptance,
) -> Result<(Connection, RecvBuffer, String), AcceptError> {
    let mut send = SendBuffer::new();
    let connection = upgrade.accept(Instant::now(), &mut recv, acceptance, &mut send)?;
    let sent = String::from_utf8(send.pending().to_vec()).unwrap();
    Ok((connection, recv, sent))
}

fn refused(refusal: &Refusal) -> String {
    let mut send = SendBuffer::new();
    refusal.write(&mut send);
    String::from_utf8(send.pending().to_vec()).unwrap()
}

fn error(request: impl AsRef<[u8]>) -> HandshakeError {
    serve(request).expect_err("a request to refuse")
}

#[test]
fn the_example_of_section_1_3_is_accepted() {
    let (connection, recv, sent) = accept(serve(REQUEST).unwrap(), &Acceptance::default()).unwrap();
    assert_eq!(sent, format!("{OK}\r\n"));
    assert_eq!(connection.role(), Role::Server);
    assert!(recv.is_empty());
}

#[test]
fn whoever_decides_sees_the_request() {
    let request = "GET /chat/%20?a=b?c HTTP/1.1\r\n\
        host: Server.example.com:8000\r\n\
        UPGRADE: WebSocket\r\n\
        connection: keep-alive, uPGRADE\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        sec-websocket-version: 13\r\n\
        Origin: http://example.com\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\n\
        sec-websocket-protocol: v2\r\n\
        Sec-WebSocket-Extensions: a; b=\"c\", d\r\n\
        Sec-WebSocket-Extensions: e\r\n\
        Cookie: \u{ff}\r\n\
        cookie: 2\r\n\
        \r\n";
    // As bytes: the cookie is one byte that is not UTF-8.
    let request: Vec<u8> = request
        .chars()
        .map(|char| u8::try_from(char).unwrap())
        .collect();
    let (upgrade, recv) = serve(request).unwrap();
    let request = upgrade.request(&recv);
    assert_eq!(request.target(), "/chat/%20?a=b?c");
    assert_eq!(request.path(), "/chat/%20");
    assert_eq!(request.query(), Some("a=b?c"));
    assert_eq!(request.host(), "Server.example.com:8000");
    assert_eq!(request.origin(), Some("http://example.com"));
    assert!(request.subprotocols().eq(["chat", "superchat", "v2"]));
    let extensions: Vec<_> = request.extensions().map(|e| e.to_string()).collect();
    assert_eq!(extensions, ["a; b=c", "d", "e"]);
    assert_eq!(request.headers().count(), 12);
    assert_eq!(request.header("COOKIE"), Some(&b"\xff"[..]));
    assert_eq!(request.header_str("cookie"), None);
    assert_eq!(request.header_str("Sec-WebSocket-Version"), Some("13"));
    assert_eq!(request.header("absent"), None);
}

#[test]
fn a_url_as_the_target_goes_before_host() {
    for (target, host, path, query) in [
        ("http://a:1/b?c", "a:1", "/b", Some("c")),
        ("HTTPS://a", "a", "/", None),
        ("http://a?b", "a", "/", Some("b")),
        ("/http://a", "server.example.com", "/http://a", None),
    ] {
        let (upgrade, recv) = serve(REQUEST.replace("/chat", target)).unwrap();
        let request = upgrade.request(&recv);
        assert_eq!((request.host(), request.path()), (host, path), "{target}");
        assert_eq!(request.query(), query, "{target}");
    }
}

#[test]
fn an_acceptance_chooses_a_subprotocol_and_adds_headers() {
    let request = request_with("Sec-WebSocket-Protocol: chat, superchat\r\n");
    let mut headers = Headers::new();
    headers.push("Set-Cookie", "a=b").unwrap();
    let acceptance = Acceptance {
        subprotocol: Some("superchat".to_owned()),
        headers,
        ..Acceptance::default()
    };
    let (_, _, sent) = accept(serve(request).unwrap(), &acceptance).unwrap();
    let added = "Sec-WebSocket-Protocol: superchat\r\nSet-Cookie: a=b\r\n\r\n";
    assert_eq!(sent, format!("{OK}{added}"));
}

#[test]
fn a_subprotocol_that_was_not_offered_cannot_be_chosen() {
    for (offer, choice) in [("", "chat"), ("Sec-WebSocket-Protocol: chat\r\n", "Chat")] {
        let acceptance = Acceptance {
            subprotocol: Some(choice.to_owned()),
            ..Acceptance::default()
        };
        let (upgrade, mut recv) = serve(request_with(offer)).unwrap();
        let mut send = SendBuffer::new();
        let error = upgrade
            .accept(Instant::now(), &mut recv, &acceptance, &mut send)
            .unwrap_err();
        assert!(send.is_empty());
        // The request waits for an answer as before.
        let upgrade = error.into_upgrade();
        assert_eq!(upgrade.request(&recv).path(), "/chat");
        upgrade.refuse(&Refusal::new(Status::FORBIDDEN), &mut send);
        assert!(send.pending().starts_with(b"HTTP/1.1 403 Forbidden\r\n"));
    }
}

#[test]
fn a_refusal_closes_and_says_how_long_it_is() {
    let mut refusal = Refusal::new(Status::UNAUTHORIZED).with_text("no\n");
    refusal.headers.push("WWW-Authenticate", "Basic").unwrap();
    assert_eq!(
        refused(&refusal),
        "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 3\r\n\
         Content-Type: text/plain; charset=utf-8\r\nWWW-Authenticate: Basic\r\n\r\nno\n"
    );
    let refusal = Refusal::new(Status::new(299).unwrap());
    assert_eq!(
        refused(&refusal),
        "HTTP/1.1 299 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    // RFC 9110 §8.6: no Content-Length with 204.
    let refusal = Refusal::new(Status::new(204).unwrap()).with_text("lost");
    assert!(refused(&refusal).ends_with("charset=utf-8\r\n\r\n"));
    assert!(!refused(&refusal).contains("Content-Length"));
}

#[test]
fn only_statuses_that_end_a_request_refuse_one() {
    for number in [0, 100, 101, 199, 600, 999] {
        assert_eq!(Status::new(number), None);
    }
    for number in [200, 302, 404, 599] {
        assert_eq!(Status::new(number).unwrap().number(), number);
    }
}

#[test]
fn each_fault_has_its_status() {
    for (error, line) in [
        (HandshakeError::Method, "405 Method Not Allowed"),
        (
            HandshakeError::Head(HeadError::Version),
            "505 HTTP Version Not Supported",
        ),
        (
            HandshakeError::Head(HeadError::TooLarge { max: 1 }),
            "431 Request Header Fields Too Large",
        ),
        (
            HandshakeError::Head(HeadError::TooManyFields { max: 1 }),
            "431 Request Header Fields Too Large",
        ),
        (
            HandshakeError::Head(HeadError::BareLineEnd),
            "400 Bad Request",
        ),
        (HandshakeError::Missing(Field::Host), "400 Bad Request"),
        (
            HandshakeError::Missing(Field::Upgrade),
            "426 Upgrade Required",
        ),
        (
            HandshakeError::Invalid(Field::Version),
            "426 Upgrade Required",
        ),
        (HandshakeError::Repeated(Field::Version), "400 Bad Request"),
        (HandshakeError::TimedOut, "408 Request Timeout"),
        (HandshakeError::Undecided, "503 Service Unavailable"),
    ] {
        let sent = refused(&error.refusal());
        assert!(
            sent.starts_with(&format!("HTTP/1.1 {line}\r\nConnection: close")),
            "{sent}"
        );
        // The body says what was wrong, and where that is written.
        assert!(sent.ends_with(&format!("\r\n\r\n{error}\n")), "{sent}");
        assert!(sent.contains("RFC "), "{sent}");
    }
    let sent = refused(&HandshakeError::Method.refusal());
    assert!(sent.contains("\r\nAllow: GET\r\n"), "{sent}");
    let sent = refused(&HandshakeError::Invalid(Field::Version).refusal());
    let named = "Connection: close, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    assert!(sent.contains(named), "{sent}");
}

#[test]
fn item_1_a_get_request_for_a_resource_name() {
    for method in ["POST", "get", "HEAD", "CONNECT", "OPTIONS"] {
        assert_eq!(
            error(REQUEST.replace("GET", method)),
            HandshakeError::Method
        );
    }
    for target in [
        "*",
        "chat",
        "server.example.com:80",
        "ws://a/",
        "ftp://a/",
        "http://",
        "http:///a",
        "http://a b",
        "http://u@a/",
        "/a#b",
        "http://a/#b",
        "?a",
    ] {
        let request = REQUEST.replace("/chat", target);
        assert!(serve(&request).is_err(), "{target}");
    }
    assert_eq!(error(REQUEST.replace("/chat", "*")), HandshakeError::Target);
    // Browsers leave these in a query.
    let request = REQUEST.replace("/chat", "/?a={\"b\"|'c'}&%&[\\^`]");
    assert!(serve(request).is_ok());
}

#[test]
fn item_2_host_once_and_well_formed() {
    let host = |line: &str| serve(request_where("Host", line)).map(|_| ()).err();
    for value in [
        "a",
        "a:80",
        "a:",
        "[::1]",
        "[::1]:80",
        "127.0.0.1",
        "a%20b",
        "a_b",
    ] {
        assert_eq!(host(&format!("Host: {value}\r\n")), None, "{value}");
    }
    for value in [
        "", "a b", "a/b", "u@a", "a:b", "a:65536", "[::1", "::1", "a,b c", "a\\b", "\u{e9}",
        "http://a", "a#b", "a?b", "%", "a:80:80",
    ] {
        let error = Some(HandshakeError::Invalid(Field::Host));
        assert_eq!(host(&format!("Host: {value}\r\n")), error, "{value}");
    }
    assert_eq!(host(""), Some(HandshakeError::Missing(Field::Host)));
    let twice = "Host: a\r\nhOST: a\r\n";
    assert_eq!(host(twice), Some(HandshakeError::Repeated(Field::Host)));
}

#[test]
fn items_3_and_4_upgrade_and_connection_are_lists_in_any_case() {
    for (field, word) in [
        (Field::Upgrade, "websocket"),
        (Field::Connection, "upgrade"),
    ] {
        let name = field.name();
        let with = |lines: &str| serve(request_where(name, lines)).map(|_| ()).err();
        for value in [
            word.to_owned(),
            word.to_uppercase(),
            format!("a, {word}"),
            format!("{word},a"),
            format!(",\t{word} ,"),
            format!("a\r\n{name}: {word}"),
            format!("{word}\r\n{}: a", name.to_lowercase()),
        ] {
            assert_eq!(with(&format!("{name}: {value}\r\n")), None, "{value}");
        }
        for value in [
            String::new(),
            format!("{word}s"),
            format!("{word} a"),
            format!("{word};a"),
            format!("\"{word}\""),
            format!("{word}/13"),
            "keep-alive".to_owned(),
        ] {
            let error = Some(HandshakeError::Invalid(field));
            assert_eq!(with(&format!("{name}: {value}\r\n")), error, "{value}");
        }
        assert_eq!(with(""), Some(HandshakeError::Missing(field)));
    }
}

#[test]
fn item_5_one_key_of_sixteen_bytes() {
    let with = |lines: &str| {
        serve(request_where("Sec-WebSocket-Key", lines))
            .map(|_| ())
            .err()
    };
    assert_eq!(with(""), Some(HandshakeError::Missing(Field::Key)));
    for value in [
        "",
        "a",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZWE=",
        "dGhl IHNhbXBsZSBub25jZQ==",
    ] {
        let error = Some(HandshakeError::Invalid(Field::Key));
        assert_eq!(
            with(&format!("Sec-WebSocket-Key: {value}\r\n")),
            error,
            "{value}"
        );
    }
    let line = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    assert_eq!(
        with(&line.repeat(2)),
        Some(HandshakeError::Repeated(Field::Key))
    );
    assert_eq!(
        with(&(line.to_owned() + &line.to_uppercase())),
        Some(HandshakeError::Repeated(Field::Key))
    );
    assert_eq!(
        with(&line.replace(": ", ":  \t").replace("==\r", "== \t \r")),
        None
    );
}

#[test]
fn item_6_no_version_but_13() {
    let with = |lines: &str| {
        serve(request_where("Sec-WebSocket-Version", lines))
            .map(|_| ())
            .err()
    };
    for value in [
        "", "0", "7", "8", "12", "14", "013", "+13", "13.0", "13, 8", "13 13", "\"13\"",
    ] {
        let error = Some(HandshakeError::Invalid(Field::Version));
        assert_eq!(
            with(&format!("Sec-WebSocket-Version: {value}\r\n")),
            error,
            "{value}"
        );
    }
    assert_eq!(with(""), Some(HandshakeError::Missing(Field::Version)));
    let line = "Sec-WebSocket-Version: 13\r\n";
    assert_eq!(
        with(&line.repeat(2)),
        Some(HandshakeError::Repeated(Field::Version))
    );
}

#[test]
fn item_7_one_origin_that_can_be_compared() {
    let with = |lines: &str| serve(request_with(lines)).map(|_| ()).err();
    assert_eq!(with("Origin: null\r\n"), None);
    assert_eq!(with("Origin: https://a:1\r\n"), None);
    for value in ["", "https://\u{e9}", "a\tb"] {
        let error = Some(HandshakeError::Invalid(Field::Origin));
        assert_eq!(with(&format!("Origin: {value}\r\n")), error, "{value}");
    }
    let twice = with("Origin: https://a\r\norigin: https://b\r\n");
    assert_eq!(twice, Some(HandshakeError::Repeated(Field::Origin)));
}

#[test]
fn item_8_subprotocols_are_tokens_that_differ() {
    let with = |value: &str| {
        let line = format!("Sec-WebSocket-Protocol: {value}\r\n");
        serve(request_with(&line)).map(|_| ()).err()
    };
    for value in [
        "a",
        "a,b",
        " a , ,b,",
        "a, A",
        "a\r\nSec-WebSocket-Protocol: b",
    ] {
        assert_eq!(with(value), None, "{value}");
    }
    for value in [
        "",
        ",",
        "a b",
        "a, b;c",
        "\"a\"",
        "a/b",
        "a, b, a",
        "\u{e9}",
        "a\r\nSec-WebSocket-Protocol: a",
    ] {
        assert_eq!(
            with(value),
            Some(HandshakeError::Invalid(Field::Protocol)),
            "{value}"
        );
    }
}

#[test]
fn item_9_extensions_obey_their_grammar() {
    let with = |value: &str| {
        let line = format!("Sec-WebSocket-Extensions: {value}\r\n");
        serve(request_with(&line)).map(|_| ()).err()
    };
    for value in [
        "permessage-deflate; client_max_window_bits",
        "a; b=\"1\", c",
    ] {
        assert_eq!(with(value), None, "{value}");
    }
    for value in [
        "",
        ",",
        "a;",
        "a; b=",
        "a b",
        "a; b=\"",
        "a, ;",
        "a\r\nSec-WebSocket-Extensions: ;",
    ] {
        assert_eq!(
            with(value),
            Some(HandshakeError::Invalid(Field::Extensions)),
            "{value}"
        );
    }
}

#[test]
fn no_extension_is_agreed_to() {
    let request = request_with("Sec-WebSocket-Extensions: permessage-deflate\r\n");
    let (_, _, sent) = accept(serve(request).unwrap(), &Acceptance::default()).unwrap();
    assert_eq!(sent, format!("{OK}\r\n"));
}

#[test]
fn frames_sent_before_the_101_are_the_connections_first() {
    let mut request = REQUEST.as_bytes().to_vec();
    request.extend(b"\x81\x82\0\0\0\0hi");
    let accepted = accept(serve(request).unwrap(), &Acceptance::default());
    let (mut connection, mut recv, _) = accepted.unwrap();
    let mut send = SendBuffer::new();
    let event = connection
        .poll(Instant::now(), &mut recv, &mut send)
        .unwrap();
    assert!(matches!(event, Some(Event::Text("hi"))));
}

#[test]
fn the_decision_may_be_taken_later() {
    let now = Instant::now();
    let config = Arc::new(Config {
        handshake_timeout: Duration::from_secs(10),
        ..Config::default()
    });
    let mut handshake = ServerHandshake::new(config, now);
    let mut recv = RecvBuffer::new();
    recv.extend(REQUEST.as_bytes());
    let upgrade = handshake.poll(&recv).unwrap().unwrap();
    // The handshake has no more to give and waits for nothing.
    assert!(handshake.poll(&recv).unwrap().is_none());
    assert_eq!(handshake.poll_timeout(), None);
    assert_eq!(
        handshake.handle_timeout(now + Duration::from_secs(60)),
        Ok(())
    );
    // The request moves to a buffer of its own and back, as in a loop.
    let held = recv.take_held();
    assert_eq!(upgrade.request(&held).path(), "/chat");
    recv.put_held(&held);
    assert_eq!(upgrade.poll_timeout(), Some(now + Duration::from_secs(10)));
    assert_eq!(
        upgrade.handle_timeout(now + Duration::from_millis(9_999)),
        Ok(())
    );
    let late = upgrade.handle_timeout(now + Duration::from_secs(10));
    assert_eq!(late, Err(HandshakeError::Undecided));
    assert!(accept((upgrade, recv), &Acceptance::default()).is_ok());
}

#[test]
fn the_deadline_is_absolute() {
    let now = Instant::now();
    let mut handshake = ServerHandshake::new(Arc::default(), now);
    let mut recv = RecvBuffer::new();
    let deadline = now + Config::default().handshake_timeout;
    for byte in &REQUEST.as_bytes()[..REQUEST.len() - 1] {
        recv.extend(&[*byte]);
        assert!(handshake.poll(&recv).unwrap().is_none());
        assert_eq!(handshake.poll_timeout(), Some(deadline));
        assert_eq!(
            handshake.handle_timeout(deadline - Duration::from_millis(1)),
            Ok(())
        );
    }
    assert_eq!(
        handshake.handle_timeout(deadline),
        Err(HandshakeError::TimedOut)
    );
    assert_eq!(handshake.poll_timeout(), None);
    recv.extend(b"\n");
    assert_eq!(handshake.poll(&recv).unwrap_err(), HandshakeError::TimedOut);
    // A timeout beyond the clock's range is none.
    let config = Arc::new(Config {
        handshake_timeout: Duration::MAX,
        ..Config::default()
    });
    assert_eq!(ServerHandshake::new(config, now).poll_timeout(), None);
}
