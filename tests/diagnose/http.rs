//! Answers of HTTP that are not 101.

use std::io::Write;

use crate::support::{
    Report, accept, answer, behave, diagnose, drain, field, http, listen, respond,
};

fn answered(head: &'static str, body: &'static str) -> Report {
    diagnose(&answer(head, body), &[])
}

/// A server that lets in only those of whom `is_welcome` is true, and gives others an answer.
fn guarded(refusal: &'static str, is_welcome: fn(&str) -> bool) -> String {
    http(move |stream, head| match is_welcome(head) {
        true => {
            accept(stream, head, "");
            while behave(stream) {}
        }
        false => respond(stream, refusal, ""),
    })
}

#[test]
fn no_answer() {
    let silent = http(|stream, _| drain(stream));
    let words = ["no answer to the request within 300 ms", "overloaded"];
    diagnose(&silent, &["--timeout", "300ms"]).fails(15, "http-silent", "overload", &words);
    let slow = http(|stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 101 Switching");
        drain(stream);
    });
    let words = ["did not come to its end", "it said"];
    diagnose(&slow, &["--timeout", "300ms"]).fails(15, "http-silent", "overload", &words);
    let closing = http(|_, _| {});
    let words = ["closed instead of an answer", "log"];
    diagnose(&closing, &[]).fails(15, "http-closed", "endpoint", &words);
}

#[test]
fn another_protocol() {
    for (bytes, words) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], "This is SSH"),
        (b"220 mail.example.com ESMTP\r\n\r\n", "mail or FTP"),
        (b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\r\n\r\n", "HTTP/2"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", "breaks its rules"),
        (b"hello\r\n\r\n", "It is not known what this is"),
    ] {
        let url = http(move |stream, _| {
            let _ = stream.write_all(bytes);
            drain(stream);
        });
        let arguments = ["--timeout", "1s"];
        diagnose(&url, &arguments).fails(15, "http-not-spoken", "endpoint", &[words, "it said"]);
    }
    // A record of TLS, as servers of TLS give to what is not TLS.
    let url = http(|stream, _| {
        let _ = stream.write_all(b"\x15\x03\x01\0\x02\x02\x46");
    });
    diagnose(&url, &[]).fails(15, "http-tls-port", "arguments", &["Use wss://127.0.0.1:"]);
}

#[test]
fn a_page() {
    let page = "<!doctype html><title>Our App</title>";
    let words = [
        "titled \"Our App\"",
        "asked as for a page the answer is 200",
        "path",
    ];
    answered("200 OK\r\nContent-Type: text/html", page).fails(
        15,
        "http-not-websocket",
        "endpoint",
        &words,
    );
    let words = ["nginx/1.22", "proxy_set_header Upgrade $http_upgrade"];
    answered("200 OK\r\nServer: nginx/1.22", page).fails(15, "http-not-websocket", "proxy", &words);
    answered("204 No Content", "").fails(15, "http-not-websocket", "endpoint", &["ordinary"]);
}

#[test]
fn an_upgrade_that_was_lost() {
    let url = answer("200 OK\r\nVia: 1.1 cache.example.com", "hello");
    let words = [
        "Via: 1.1 cache.example.com",
        "hop to hop",
        "wss:// passes it unseen",
    ];
    diagnose(&url, &[]).fails(15, "http-upgrade-lost", "proxy", &words);
    for (head, body, words) in [
        (
            "426 Upgrade Required\r\nServer: Apache/2.4",
            "",
            "upgrade=websocket",
        ),
        (
            "426 Upgrade Required\r\nServer: envoy",
            "",
            "upgrade_configs",
        ),
        (
            "426 Upgrade Required\r\nServer: cloudflare",
            "",
            "Network > WebSockets",
        ),
        ("505 HTTP Version Not Supported", "", "HTTP/1.0"),
        (
            "400 Bad Request",
            "Missing Upgrade header",
            "something before the server",
        ),
    ] {
        answered(head, body).fails(15, "http-upgrade-lost", "proxy", &[words]);
    }
}

#[test]
fn a_redirect() {
    for (location, culprit, words) in [
        (
            "https://127.0.0.1/ws",
            "arguments",
            "Use wss://127.0.0.1/ws instead",
        ),
        ("http://example.com/ws", "arguments", "That is another host"),
        ("/ws/", "arguments", "/ws/ instead"),
        ("/login?next=/ws", "authentication", "leads to a login"),
    ] {
        let url = http(move |stream, _| {
            respond(
                stream,
                &format!("301 Moved Permanently\r\nLocation: {location}"),
                "",
            );
        });
        let words = [words, "do not follow redirects"];
        diagnose(&url, &[]).fails(15, "http-redirect", culprit, &words);
    }
    answered("302 Found", "").fails(15, "http-redirect", "arguments", &["does not say where"]);
}

#[test]
fn a_bad_request() {
    let url = http(|stream, head| match field(head, "Upgrade") {
        Some(_) => respond(stream, "400 Bad Request", "no token in the query"),
        None => respond(stream, "200 OK", ""),
    });
    let words = ["fares otherwise", "no token in the query"];
    diagnose(&url, &[]).fails(15, "http-bad-request", "endpoint", &words);
    let words = ["says the same to a request for a page"];
    answered("400 Bad Request", "bad host").fails(15, "http-bad-request", "endpoint", &words);
    let nginx = "<title>400 The plain HTTP request was sent to HTTPS port</title>";
    answered("400 Bad Request", nginx).fails(15, "http-tls-port", "arguments", &["wss://"]);
    let nginx = "<title>400 No required SSL certificate was sent</title>";
    answered("400 Bad Request", nginx).fails(
        15,
        "http-client-certificate",
        "authentication",
        &["--cert FILE --key FILE"],
    );
}

#[test]
fn credentials_that_are_missing_or_refused() {
    let demand = "401 Unauthorized\r\nWWW-Authenticate: Bearer error=\"invalid_token\"";
    let bearer = guarded(demand, |head| {
        field(head, "Authorization") == Some("Bearer good")
    });
    let words = [
        "wants credentials",
        "--bearer TOKEN",
        "WWW-Authenticate: Bearer",
    ];
    diagnose(&bearer, &[]).fails(15, "http-unauthorized", "authentication", &words);
    let words = [
        "without the credentials the answer is 401",
        "error=\"invalid_token\"",
    ];
    let report = diagnose(&bearer, &["--bearer", "stale"]);
    assert!(!report.json.to_string().contains("stale"));
    report.fails(15, "http-credentials-refused", "authentication", &words);
    let words = ["without the credentials it answers 401: they count"];
    diagnose(&bearer, &["--bearer", "good"])
        .works()
        .says(&words);

    let basic = guarded(
        "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"",
        |head| field(head, "Authorization") == Some("Basic dXNlcjpwYXNz"),
    );
    let words = ["user information in the URL"];
    diagnose(&basic, &[]).fails(15, "http-unauthorized", "authentication", &words);
    diagnose(&basic.replace("ws://", "ws://user:pass@"), &[])
        .works()
        .says(&["they count"]);

    let negotiate = "401 Unauthorized\r\nWWW-Authenticate: Negotiate";
    let words = ["in the scheme that WWW-Authenticate names"];
    answered(negotiate, "").fails(15, "http-unauthorized", "authentication", &words);
    let words = ["whichever the server reads"];
    answered("401 No", "").fails(15, "http-unauthorized", "authentication", &words);

    let cookie = guarded("401 Unauthorized", |head| {
        field(head, "Cookie") == Some("a=1; b=2")
    });
    diagnose(&cookie, &["--cookie", "a=1", "--cookie", "b=2"])
        .works()
        .says(&["they count"]);
}

#[test]
fn credentials_that_are_not_needed() {
    let open = guarded("", |_| true);
    let words = ["without the credentials it answers the same"];
    diagnose(&open, &["--bearer", "x"]).works().says(&words);
    let shy = guarded("431 Request Header Fields Too Large", |head| {
        field(head, "Cookie").is_none()
    });
    let words = [
        "without them it is let in",
        "without the credentials the answer is 101",
    ];
    diagnose(&shy, &["--cookie", "a=1"]).fails(
        15,
        "http-credentials-harm",
        "authentication",
        &words,
    );
}

#[test]
fn who_is_not_let_in() {
    let words = ["--origin", "--bearer", "blocked"];
    answered("403 Forbidden", "").fails(15, "http-forbidden", "authentication", &words);
    let words = ["May this user", "If cloudflare did"];
    let waf = answer("403 Forbidden\r\nServer: cloudflare", "");
    diagnose(&waf, &["--bearer", "x"]).fails(15, "http-forbidden", "authentication", &words);

    let picky = guarded("403 Forbidden", |head| {
        field(head, "Origin").is_some_and(|origin| origin.starts_with("http://127.0.0.1:"))
    });
    let words = [
        "lets in only who names an Origin",
        "--origin http://127.0.0.1:",
    ];
    diagnose(&picky, &[]).fails(15, "http-origin", "authentication", &words);
    let strict = guarded("403 Forbidden", |head| field(head, "Origin").is_none());
    let words = [
        "does not let this Origin in",
        "without an Origin the answer is 101",
    ];
    diagnose(&strict, &["--origin", "https://evil.example"]).fails(
        15,
        "http-origin",
        "authentication",
        &words,
    );
}

#[test]
fn other_statuses() {
    for (head, cause, culprit, words) in [
        (
            "404 Not Found",
            "http-not-found",
            "arguments",
            "there is nothing at /ws",
        ),
        (
            "404 Not Found\r\nServer: nginx",
            "http-not-found",
            "arguments",
            "no route for this path",
        ),
        (
            "407 Proxy Authentication Required",
            "http-proxy-authentication",
            "proxy",
            "intercepts",
        ),
        (
            "426 No\r\nSec-WebSocket-Version: 7, 8",
            "http-version",
            "endpoint",
            "but 7, 8",
        ),
        (
            "429 Too Many\r\nRetry-After: 7",
            "http-too-many-requests",
            "overload",
            "Retry-After: 7",
        ),
        (
            "405 Method Not Allowed",
            "http-client-error",
            "endpoint",
            "GET",
        ),
        ("431 Too Large", "http-client-error", "endpoint", "cookies"),
        (
            "418 I'm a teapot",
            "http-client-error",
            "endpoint",
            "418 I'm a teapot",
        ),
        (
            "500 Internal Server Error",
            "http-server-error",
            "endpoint",
            "log of the server",
        ),
        (
            "502 Bad Gateway\r\nServer: nginx",
            "http-bad-gateway",
            "load-balancer",
            "nginx has no",
        ),
        (
            "503 Unavailable\r\nRetry-After: 9",
            "http-unavailable",
            "overload",
            "Retry-After: 9",
        ),
        (
            "503 Unavailable",
            "http-unavailable",
            "overload",
            "Try again in a while",
        ),
        (
            "520 Unknown\r\nCF-Ray: 1",
            "http-bad-gateway",
            "load-balancer",
            "a cache or CDN (CF-Ray)",
        ),
        (
            "502 Bad Gateway",
            "http-bad-gateway",
            "load-balancer",
            "the server has no working",
        ),
        (
            "504 Timeout",
            "http-gateway-timeout",
            "load-balancer",
            "waited in vain",
        ),
        ("799 Odd", "http-status", "endpoint", "799"),
    ] {
        answered(head, "").fails(15, cause, culprit, &[words]);
    }
}

#[test]
fn a_server_of_tls_alone() {
    // It waits for a ClientHello, and closes what is none without a word.
    let port = listen(|mut stream| {
        let mut first = [0];
        use std::io::Read;
        if stream.read_exact(&mut first).is_ok() && first == [0x16] {
            let _ = stream.write_all(b"\x15\x03\x03\0\x02\x02\x28");
        }
    });
    let words = ["asked with TLS it answered with TLS"];
    diagnose(&format!("ws://127.0.0.1:{port}/"), &[]).fails(
        15,
        "http-tls-port",
        "arguments",
        &words,
    );
}
