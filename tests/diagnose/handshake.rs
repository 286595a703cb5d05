//! Answers 101 that break a promise.

use std::io::Write;

use crate::support::{accept, accept_key, behave, diagnose, field, http};

/// A 101 with these header fields; `KEY` stands for the right accept key.
fn agreeing(fields: &'static str) -> String {
    http(move |stream, head| {
        let fields = fields.replace("KEY", &accept_key(head));
        let response = format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n");
        let _ = stream.write_all(response.as_bytes());
        while behave(stream) {}
    })
}

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n";

#[test]
fn an_accept_key_that_is_wrong() {
    let wrong = agreeing(
        "Upgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
    );
    let words = ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "258EAFA5"];
    diagnose(&wrong, &[]).fails(16, "accept-wrong", "endpoint", &words);
    let missing = agreeing(UPGRADE);
    diagnose(&missing, &[]).fails(16, "accept-wrong", "endpoint", &["is missing"]);
    let cached = agreeing(
        "Upgrade: websocket\r\nConnection: Upgrade\r\nAge: 12\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
    );
    diagnose(&cached, &[]).fails(16, "accept-wrong", "proxy", &["out of a cache"]);
}

#[test]
fn an_upgrade_that_was_lost_on_the_way_back() {
    for fields in [
        "Connection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\n",
        "Upgrade: websocket\r\nConnection: keep-alive\r\nSec-WebSocket-Accept: KEY\r\n",
    ] {
        let words = ["hop to hop"];
        diagnose(&agreeing(fields), &[]).fails(16, "upgrade-headers", "proxy", &words);
    }
}

#[test]
fn what_was_not_offered() {
    let chosen = agreeing(
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\n\
         Sec-WebSocket-Protocol: chat\r\n",
    );
    let words = ["Sec-WebSocket-Protocol: chat", "--subprotocol NAME"];
    diagnose(&chosen, &[]).fails(16, "subprotocol-not-offered", "endpoint", &words);
    let words = ["choose one of Chat or none"];
    diagnose(&chosen, &["--subprotocol", "Chat"]).fails(
        16,
        "subprotocol-not-offered",
        "endpoint",
        &words,
    );
    let report = diagnose(&chosen, &["--subprotocol", "chat"]).works();
    assert_eq!(report.step("handshake")["facts"]["subprotocol"], "chat");
    let extended = agreeing(
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\n\
         Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n",
    );
    let words = ["x-webkit-deflate-frame"];
    diagnose(&extended, &[]).fails(16, "extension-not-offered", "endpoint", &words);
}

#[test]
fn another_rule() {
    let twice = agreeing(
        "Upgrade: websocket\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: KEY\r\n",
    );
    diagnose(&twice, &[]).fails(16, "handshake-invalid", "endpoint", &["more than once"]);
}

#[test]
fn compression_that_is_offered() {
    let agreed = "permessage-deflate; server_no_context_takeover";
    let url = http(move |stream, head| {
        let offered = field(head, "Sec-WebSocket-Extensions");
        let is_offered = offered.is_some_and(|offer| offer.starts_with("permessage-deflate"));
        match is_offered {
            true => accept(
                stream,
                head,
                &format!("Sec-WebSocket-Extensions: {agreed}\r\n"),
            ),
            false => accept(stream, head, ""),
        }
        while behave(stream) {}
    });
    let report = diagnose(&url, &["--deflate"]).works();
    assert_eq!(report.step("handshake")["facts"]["deflate"], agreed);
    report.says(&["it agrees: permessage-deflate; server_no_context_takeover"]);
    let report = diagnose(&url, &[]).works();
    assert!(report.step("handshake")["facts"]["deflate"].is_null());
    let plain = http(|stream, head| {
        accept(stream, head, "");
        while behave(stream) {}
    });
    diagnose(&plain, &["--deflate"])
        .works()
        .says(&["it agrees without it"]);
    let picky = http(|stream, head| {
        if field(head, "Sec-WebSocket-Extensions").is_none() {
            accept(stream, head, "");
            while behave(stream) {}
        }
    });
    let words = ["it does not agree to a connection"];
    diagnose(&picky, &["--deflate"]).works().says(&words);
}

#[test]
fn no_subprotocol_of_those_offered() {
    let url = http(|stream, head| {
        accept(stream, head, "");
        while behave(stream) {}
    });
    let words = ["none of the subprotocols offered: a, b", "browsers fail"];
    diagnose(&url, &["--subprotocol", "a", "--subprotocol", "b"]).warns("subprotocol-none", &words);
}
