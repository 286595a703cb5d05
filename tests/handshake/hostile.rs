//! The hostile peer in the opening handshake, to the limits and just past them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use openline::proto::{
    Acceptance, ClientRequest, Config, Field, HandshakeError, HeadError, RecvBuffer, SendBuffer,
    ServerHandshake,
};

use crate::peers::{REQUEST, agree, ask, request_where, request_with, serve, serve_under};

fn error_under(config: &Arc<Config>, bytes: impl AsRef<[u8]>) -> Option<HandshakeError> {
    serve_under(config, bytes.as_ref()).err()
}

fn error(bytes: impl AsRef<[u8]>) -> Option<HandshakeError> {
    error_under(&Arc::default(), bytes)
}

/// The shortest of some runs, in this thread's own time: what it takes when nothing else runs.
fn time(mut run: impl FnMut()) -> Duration {
    let timed = |_| {
        let start = ThreadTime::now();
        run();
        start.elapsed()
    };
    (0..7).map(timed).min().unwrap()
}

/// Fails if `run` takes more than in proportion to the size: eight times the bytes take a linear
/// reader eight times as long, and a quadratic one 64 times.
fn assert_linear(name: &str, run: impl Fn(usize)) {
    let small = time(|| run(2 << 10));
    let large = time(|| run(16 << 10));
    assert!(large < 28 * small, "{name}: {small:?} and {large:?}");
}

#[test]
fn endless_headers_one_byte_at_a_time_are_cut_off() {
    let config = Arc::new(Config {
        headers_max: usize::MAX,
        ..Config::default()
    });
    let max = config.handshake_size_max;
    let mut handshake = ServerHandshake::new(config, Instant::now());
    let mut recv = RecvBuffer::new();
    let bytes = REQUEST[..20]
        .bytes()
        .chain(b"A: b\r\n".iter().copied().cycle());
    for (n, byte) in bytes.take(64 << 10).enumerate() {
        recv.extend(&[byte]);
        match handshake.poll(&recv) {
            Ok(None) => assert!(n < max),
            result => {
                assert_eq!(n, max);
                let error = result.unwrap_err();
                assert_eq!(error, HandshakeError::Head(HeadError::TooLarge { max }));
                return;
            }
        }
    }
    panic!("64 KiB of headers were read");
}

#[test]
fn one_byte_at_a_time_costs_no_more_than_in_proportion() {
    let config = Arc::new(Config {
        handshake_size_max: 1 << 20,
        headers_max: 1 << 20,
        ..Config::default()
    });
    assert_linear("one byte at a time", |size| {
        let mut handshake = ServerHandshake::new(Arc::clone(&config), Instant::now());
        let mut recv = RecvBuffer::new();
        recv.extend(REQUEST.strip_suffix("\r\n").unwrap().as_bytes());
        for byte in b"A: b\r\n".iter().cycle().take(size) {
            recv.extend(&[*byte]);
            assert!(handshake.poll(&recv).unwrap().is_none());
        }
    });
}

#[test]
fn the_size_of_the_head_at_its_limit() {
    let request = request_with("A: b\r\n");
    for (max, expected) in [
        (request.len() + 1, None),
        (request.len(), None),
        (request.len() - 1, Some(request.len() - 1)),
    ] {
        let config = Arc::new(Config {
            handshake_size_max: max,
            ..Config::default()
        });
        let expected = expected.map(|max| HandshakeError::Head(HeadError::TooLarge { max }));
        assert_eq!(error_under(&config, &request), expected);
        // Bytes behind the head are not its own.
        let with_frame = request.clone() + "\u{1}";
        assert_eq!(error_under(&config, with_frame), expected);
    }
    let endless_line = "GET /".to_owned() + &"a".repeat(20_000);
    let max = Config::default().handshake_size_max;
    let too_large = HandshakeError::Head(HeadError::TooLarge { max });
    assert_eq!(error(endless_line), Some(too_large));
}

#[test]
fn the_number_of_headers_at_its_limit() {
    let max = 10;
    let config = Arc::new(Config {
        headers_max: max,
        ..Config::default()
    });
    // Five are the request's own.
    let error = |n: usize| error_under(&config, request_with(&"A: b\r\n".repeat(n - 5)));
    assert_eq!((error(9), error(10)), (None, None));
    let too_many = HandshakeError::Head(HeadError::TooManyFields { max });
    assert_eq!(error(11), Some(too_many));
}

#[test]
fn a_header_behind_the_limit_is_not_cut_off() {
    // What a parser that stops counting would take for a request without, or with, an upgrade.
    let upgrade = "Upgrade: websocket\r\n";
    let late = request_where("Upgrade", "");
    let late = late.replace(
        "\r\n\r\n",
        &format!("\r\n{}{upgrade}\r\n", "A: b\r\n".repeat(96)),
    );
    let max = Config::default().headers_max;
    let too_many = HandshakeError::Head(HeadError::TooManyFields { max });
    assert_eq!(error(late), Some(too_many));
}

#[test]
fn duplicates_in_mixed_case_are_duplicates() {
    for (field, line) in [
        (Field::Host, "hOsT: server.example.com\r\n"),
        (
            Field::Key,
            "SEC-WEBSOCKET-KEY: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        ),
        (Field::Version, "sec-websocket-version: 13\r\n"),
    ] {
        let repeated = HandshakeError::Repeated(field);
        assert_eq!(error(request_with(line)), Some(repeated), "{line}");
    }
}

#[test]
fn lists_full_of_nothing_take_linear_time() {
    let names = [
        "Connection",
        "Upgrade",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
    ];
    let fillings = [
        " ",
        "\t",
        ",",
        ";",
        "\"",
        "\\",
        ", ",
        "a,",
        "a;",
        "a ",
        "a; b=\"",
        "a=\"\\",
        ";a=\"b\"",
        ",a;b=\"\\c\"",
        "a,\t \t",
    ];
    for name in names {
        for filling in fillings {
            let config = Arc::new(Config {
                handshake_size_max: 1 << 20,
                ..Config::default()
            });
            let poll = |bytes: &[u8]| {
                let mut recv = RecvBuffer::new();
                recv.extend(bytes);
                let upgrade = ServerHandshake::new(Arc::clone(&config), Instant::now()).poll(&recv);
                if let Ok(Some(upgrade)) = upgrade {
                    let request = upgrade.request(&recv);
                    let params = request.extensions().map(|e| e.params().count());
                    let _ = params.sum::<usize>() + request.subprotocols().count();
                }
            };
            let value = |size: usize| filling.repeat(size / filling.len());
            assert_linear(&format!("{name}: {filling:?}"), |size| {
                poll(request_with(&format!("{name}: x{}y\r\n", value(size))).as_bytes());
            });
        }
    }
}

#[test]
fn many_subprotocols_are_compared_in_less_than_quadratic_time() {
    let config = Arc::new(Config {
        handshake_size_max: 1 << 20,
        ..Config::default()
    });
    assert_linear("different subprotocols", |size| {
        let names: Vec<_> = (0..size / 8).map(|n| format!("p{n:06}")).collect();
        let line = format!("Sec-WebSocket-Protocol: {}\r\n", names.join(","));
        let mut recv = RecvBuffer::new();
        recv.extend(request_with(&line).as_bytes());
        let handshake = &mut ServerHandshake::new(Arc::clone(&config), Instant::now());
        assert!(handshake.poll(&recv).unwrap().is_some());
    });
}

#[test]
fn every_byte_at_every_place_is_taken_or_refused() {
    let head = REQUEST.as_bytes();
    // Without the last line feed: one more behind it would be the connection's.
    for at in 0..head.len() - 1 {
        for byte in 0..=u8::MAX {
            let mut replaced = head.to_vec();
            replaced[at] = byte;
            let mut inserted = head.to_vec();
            inserted.insert(at, byte);
            // A control character is never taken, except the one that was there.
            let is_control = byte.is_ascii_control() && byte != b'\t';
            let replaced = serve_under(&Arc::default(), &replaced);
            assert!(
                !is_control || head[at] == byte || replaced.is_err(),
                "{byte:#x} at {at}"
            );
            let inserted = serve_under(&Arc::default(), &inserted);
            assert!(!is_control || inserted.is_err(), "{byte:#x} before {at}");
        }
    }
}

#[test]
fn bytes_beyond_ascii_stand_in_values_only() {
    let value = request_with("Cookie: \u{e9}\u{80}\u{10ffff}\r\n");
    assert_eq!(error(value), None);
    let name = request_with("Cook\u{e9}: a\r\n");
    assert_eq!(
        error(name),
        Some(HandshakeError::Head(HeadError::FieldName))
    );
    let target = REQUEST.replace("/chat", "/ch\u{e9}t");
    assert_eq!(
        error(target),
        Some(HandshakeError::Head(HeadError::StartLine))
    );
    let method = REQUEST.replace("GET", "G\u{e9}T");
    assert_eq!(
        error(method),
        Some(HandshakeError::Head(HeadError::StartLine))
    );
}

#[test]
fn a_body_with_the_upgrade_is_refused() {
    for lines in [
        "Content-Length: 1\r\n",
        "content-length: 5\r\n",
        "Content-Length: \r\n",
        "Content-Length: -0\r\n",
        "Content-Length: 0, 0\r\n",
        "Content-Length: 0\r\nContent-Length: 5\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding:\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
    ] {
        assert_eq!(
            error(request_with(lines)),
            Some(HandshakeError::Body),
            "{lines:?}"
        );
    }
    assert_eq!(error(request_with("Content-Length: 0\r\n")), None);
}

#[test]
fn what_follows_a_refused_request_is_not_another() {
    let smuggled = REQUEST.replace("Host", "Hast") + REQUEST;
    assert_eq!(error(&smuggled), Some(HandshakeError::Missing(Field::Host)));
    let refusal = HandshakeError::Missing(Field::Host).refusal();
    let mut send = SendBuffer::new();
    refusal.write(&mut send);
    let sent = String::from_utf8(send.pending().to_vec()).unwrap();
    assert!(sent.contains("\r\nConnection: close\r\n"), "{sent}");
}

#[test]
fn the_stream_may_be_cut_at_every_byte_across_the_request() {
    let stream = [REQUEST.as_bytes(), b"\x82\x81\0\0\0\0x"].concat();
    for cut in 0..=stream.len() {
        let mut handshake = ServerHandshake::new(Arc::default(), Instant::now());
        let mut recv = RecvBuffer::new();
        recv.extend(&stream[..cut]);
        let mut upgrade = handshake.poll(&recv).unwrap();
        assert_eq!(upgrade.is_some(), cut >= REQUEST.len());
        recv.extend(&stream[cut..]);
        if upgrade.is_none() {
            upgrade = handshake.poll(&recv).unwrap();
        }
        let mut send = SendBuffer::new();
        let upgrade = upgrade.unwrap();
        let acceptance = Acceptance::default();
        let _ = upgrade.accept(Instant::now(), &mut recv, &acceptance, &mut send);
        assert_eq!(recv.len(), 7);
    }
}

#[test]
fn the_stream_may_be_cut_at_every_byte_across_the_101() {
    let request = ClientRequest::new("ws://a".parse().unwrap());
    let agreed = agree(&request);
    let stream = [agreed.as_bytes(), b"\x82\x01x"].concat();
    for cut in 0..=stream.len() {
        let (mut handshake, ..) = ask(&request);
        let mut recv = RecvBuffer::new();
        recv.extend(&stream[..cut]);
        let mut answer = handshake.poll(&mut recv).unwrap();
        assert_eq!(answer.is_some(), cut >= agreed.len());
        recv.extend(&stream[cut..]);
        if answer.is_none() {
            answer = handshake.poll(&mut recv).unwrap();
        }
        let Some(openline::proto::Answer::Accepted(accepted)) = answer else {
            panic!("an agreement");
        };
        let _ = accepted.open(Instant::now(), &mut recv);
        assert_eq!(recv.len(), 3);
    }
}

#[test]
fn an_error_never_echoes_what_was_received() {
    let secret = "hunter2";
    for request in [
        REQUEST.replace("/chat", &format!("chat?token={secret}")),
        REQUEST.replace("GET", &secret.to_uppercase()),
        request_where("Host", &format!("Host: {secret}@a\r\n")),
        request_where(
            "Sec-WebSocket-Key",
            &format!("Sec-WebSocket-Key: {secret}\r\n"),
        ),
        request_where(
            "Sec-WebSocket-Version",
            &format!("Sec-WebSocket-Version: {secret}\r\n"),
        ),
        request_with(&format!("Sec-WebSocket-Protocol: {secret} {secret}\r\n")),
        request_with(&format!("Sec-WebSocket-Extensions: {secret} {secret}\r\n")),
        request_with(&format!("{secret} {secret}: a\r\n")),
    ] {
        let error = serve(request).unwrap_err();
        let mut send = SendBuffer::new();
        error.refusal().write(&mut send);
        let sent = String::from_utf8(send.pending().to_vec()).unwrap();
        let shown = format!("{error} {error:?} {sent}").to_lowercase();
        assert!(!shown.contains(secret), "{shown}");
    }
    let request = request_with(&format!("Authorization: Bearer {secret}\r\n"));
    let (upgrade, recv) = serve(request.replace("/chat", &format!("/?{secret}"))).unwrap();
    let shown = format!("{upgrade:?} {:?}", upgrade.request(&recv));
    assert!(!shown.contains(secret), "{shown}");
}
