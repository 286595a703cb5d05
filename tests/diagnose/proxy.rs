//! Proxies: which is in force, and what it says.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;

use crate::support::{
    Report, all, behave, drain, field, listen, openline, read_head, report, respond, websocket,
};

/// Runs with one variable set.
fn with(variable: &str, value: &str, url: &str, arguments: &[&str]) -> Report {
    let mut command = openline(&all(url, arguments));
    command.env(variable, value);
    report(command)
}

/// A proxy that gives this answer to each CONNECT.
fn proxy(head: &'static str, body: &'static str) -> String {
    let port = listen(move |mut stream| {
        if read_head(&mut stream).is_some() {
            respond(&mut stream, head, body);
        }
    });
    format!("http://127.0.0.1:{port}")
}

/// A proxy that connects, for those who know the password.
fn working() -> String {
    let port = listen(|mut stream| {
        let Some(head) = read_head(&mut stream) else {
            return;
        };
        if field(&head, "Proxy-Authorization") != Some("Basic dXNlcjpwYXNz") {
            let demand = "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x";
            return respond(&mut stream, demand, "");
        }
        let target = head.split(' ').nth(1).unwrap();
        let mut server = TcpStream::connect(target).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            .unwrap();
        let (mut from, mut to) = (stream.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || copy(&mut from, &mut to));
        copy(&mut server, &mut stream);
    });
    format!("127.0.0.1:{port}")
}

fn copy(from: &mut TcpStream, to: &mut TcpStream) {
    let mut bytes = [0; 1024];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// Nobody asks it: the proxy is the end.
const URL: &str = "ws://server.invalid:9001/";

#[test]
fn a_proxy_that_works_is_gone_through() {
    let url = websocket(|stream| while behave(stream) {});
    let working = working();
    let given = format!("http://user:pass@{working}");
    let words = ["http_proxy names one", "connects us to 127.0.0.1"];
    with("http_proxy", &given, &url, &[]).works().says(&words);
    // An exception, and a refusal.
    let mut command = openline(&all(&url, &[]));
    command
        .env("http_proxy", "http://127.0.0.1:1")
        .env("no_proxy", "127.0.0.0/8");
    report(command)
        .works()
        .says(&["no_proxy makes an exception by 127.0.0.0/8"]);
    for (arguments, words) in [
        (&["--no-proxy"][..], "--no-proxy overrules it"),
        (&["--proxy", "none"], "--proxy none overrules it"),
    ] {
        with("http_proxy", "http://127.0.0.1:1", &url, arguments)
            .works()
            .says(&[words]);
    }
    // Without the password, and with a wrong one.
    let bare = format!("http://{working}");
    let words = [
        "wants credentials",
        "Proxy-Authenticate: Basic",
        "http_proxy=http://USER",
    ];
    with("http_proxy", &bare, &url, &[]).fails(
        13,
        "proxy-authentication",
        "authentication",
        &words,
    );
    let wrong = format!("http://user:wrong@{working}");
    let report = with("all_proxy", &wrong, &url, &[]);
    assert!(!report.json.to_string().contains("wrong"));
    report.fails(
        13,
        "proxy-authentication",
        "authentication",
        &["does not accept"],
    );
}

/// A SOCKS5 proxy that gives these answers, one for each thing that it is told; it connects
/// if the last says so.
fn socks(answers: &'static [&'static [u8]]) -> String {
    let port = listen(move |mut stream| {
        let mut target = None;
        for answer in answers {
            let mut told = [0; 300];
            let n = stream.read(&mut told).unwrap_or_default();
            if let [5, 1, 0, 1, address @ .., high, low] = &told[..n] {
                let address: [u8; 4] = address.try_into().unwrap();
                target = Some((Ipv4Addr::from(address), u16::from_be_bytes([*high, *low])));
            }
            if stream.write_all(answer).is_err() {
                return;
            }
        }
        let Some(target) = target else {
            // What is left unread would make a reset of the end.
            let _ = stream.read(&mut [0; 300]);
            return;
        };
        let mut server = TcpStream::connect(target).unwrap();
        let (mut from, mut to) = (stream.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || copy(&mut from, &mut to));
        copy(&mut server, &mut stream);
    });
    format!("127.0.0.1:{port}")
}

#[test]
fn socks5() {
    const CONNECTED: &[u8] = &[5, 0, 0, 1, 127, 0, 0, 1, 0, 80];
    let url = websocket(|stream| while behave(stream) {});
    let working = format!(
        "socks5h://user:pass@{}",
        socks(&[&[5, 2], &[1, 0], CONNECTED])
    );
    let words = ["ws_proxy names one", "connects us to 127.0.0.1"];
    with("ws_proxy", &working, &url, &[]).works().says(&words);
    const WANTED: &[&[u8]] = &[&[5, 0xff]];
    const FORBIDDEN: &[&[u8]] = &[&[5, 0], &[5, 2, 0, 1]];
    const UNREACHABLE: &[&[u8]] = &[&[5, 0], &[5, 4, 0, 1]];
    const HTTP: &[&[u8]] = &[b"HTTP/1.1 400 Bad Request\r\n\r\n"];
    for (answers, cause, culprit, words) in [
        (
            WANTED,
            "proxy-authentication",
            "authentication",
            "wants credentials",
        ),
        (FORBIDDEN, "proxy-forbids", "proxy", "does not allow"),
        (UNREACHABLE, "proxy-gateway", "proxy", "reply 4"),
        (HTTP, "proxy-not-socks", "proxy", "HTTP proxy (http://"),
        (&[], "proxy-not-socks", "proxy", "closed the connection"),
    ] {
        let proxy = format!("socks5://{}", socks(answers));
        with("all_proxy", &proxy, URL, &[]).fails(13, cause, culprit, &[words]);
    }
}

#[test]
fn a_setting_that_cannot_be_obeyed() {
    for (setting, words) in [
        ("socks4://127.0.0.1:1080", "SOCKS4"),
        ("https://127.0.0.1:3128", "TLS"),
        ("http://", "HOST"),
    ] {
        let words = ["ALL_PROXY names", words];
        with("ALL_PROXY", setting, URL, &[]).fails(13, "proxy-setting", "arguments", &words);
    }
}

#[test]
fn a_proxy_that_is_not_there_is_named() {
    let words = [
        "the proxy 127.0.0.1 refuses",
        "http_proxy names, not the server",
    ];
    with("http_proxy", "http://127.0.0.1:1", URL, &[]).fails(12, "refused", "proxy", &words);
    let words = ["the proxy proxy.invalid", "http_proxy names"];
    let report = with("http_proxy", "http://proxy.invalid:1", URL, &[]);
    assert_eq!(report.exit, 11);
    report.says(&words);
}

#[test]
fn what_a_proxy_answers() {
    let gateway = proxy("502 Bad Gateway\r\nVia: 1.1 squid", "no route");
    let words = [
        "could not reach server.invalid:9001",
        "Via: 1.1 squid",
        "NO_PROXY",
    ];
    with("http_proxy", &gateway, URL, &[]).fails(13, "proxy-gateway", "proxy", &words);
    let strict = proxy("403 Forbidden", "port not allowed");
    let words = ["refuses to connect", "port not allowed", "443"];
    with("http_proxy", &strict, URL, &[]).fails(13, "proxy-forbids", "proxy", &words);
}

#[test]
fn what_is_no_proxy() {
    let silent = format!(
        "http://127.0.0.1:{}",
        listen(|mut stream| drain(&mut stream))
    );
    let arguments = ["--proxy", &silent, "--timeout", "300ms"];
    let words = ["did not answer our CONNECT within 300 ms"];
    crate::support::diagnose(URL, &arguments).fails(13, "proxy-silent", "proxy", &words);
    let ssh = listen(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9\r\n\r\n");
        drain(&mut stream);
    });
    let ssh = format!("http://127.0.0.1:{ssh}");
    let words = ["SSH-2.0", "--no-proxy"];
    with("http_proxy", &ssh, URL, &[]).fails(13, "proxy-not-http", "proxy", &words);
}
